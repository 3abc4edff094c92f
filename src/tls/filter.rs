//! The names that a certificate is shown for.

/// A name that a certificate is shown for: of the certificate itself, or of the line that lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// This name.
    Exact(Box<str>),
    /// `*.example.com`, without the asterisk: one label more than that.
    Wildcard(Box<str>),
    /// `!www.example.com`: not this name, though a wildcard beside it would match.
    Except(Box<str>),
    /// `*`: when nothing else matches.
    Default,
}

impl Filter {
    /// As a line of a list writes it. `None` for what excludes nothing: `!*.example.com`.
    pub fn parse(text: &str) -> Option<Filter> {
        let name = text.to_ascii_lowercase();
        Some(match (name.as_str(), name.strip_prefix('!')) {
            ("*", _) => Filter::Default,
            (_, Some(name)) if name.starts_with('*') => return None,
            (_, Some(name)) => Filter::Except(name.into()),
            (name, None) => match name.strip_prefix('*') {
                Some(rest) => Filter::Wildcard(rest.into()),
                None => Filter::Exact(name.into()),
            },
        })
    }
}

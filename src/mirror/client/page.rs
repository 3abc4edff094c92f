//! `Link: <...>; rel="next"` (RFC 8288): where the next page of a list is.

/// The target of the next page, as it stands in the header.
pub fn next(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (target, after) = after.split_once('>')?;
        let end = after.find(",<").or(after.find(", <")).unwrap_or(after.len());
        let mut params = after[..end].split(';').map(str::trim);
        let is_next = params.any(|p| {
            p.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("rel")
                    && value.trim().trim_matches('"').eq_ignore_ascii_case("next")
            })
        });
        if is_next {
            return Some(target);
        }
        rest = &after[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found() {
        assert_eq!(next(r#"</v2/_catalog?last=b&n=2>; rel="next""#), Some("/v2/_catalog?last=b&n=2"));
        assert_eq!(next(r#"<a>; rel=prev, <b>; title="x"; rel=next"#), Some("b"));
        assert_eq!(next(r#"<a>; rel="prev""#), None);
        assert_eq!(next(""), None);
        assert_eq!(next("<a"), None);
    }
}

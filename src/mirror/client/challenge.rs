//! `WWW-Authenticate` (RFC 9110 section 11, RFC 6750, distribution's token specification): what a registry asks for.

/// What is to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    Basic,
    Bearer { realm: String, service: String, scope: String },
}

/// The best challenge of a header: a bearer token where one is asked for.
pub fn parse(header: &str) -> Option<Challenge> {
    let (mut basic, mut rest) = (false, header);
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        let end = rest.find([' ', ',']).unwrap_or(rest.len());
        let (scheme, after) = rest.split_at(end);
        if scheme.is_empty() {
            return basic.then_some(Challenge::Basic);
        }
        let (params, next) = parameters(after);
        if scheme.eq_ignore_ascii_case("bearer") {
            let of = |name: &str| {
                let found = params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.clone()).unwrap_or_default()
            };
            return Some(Challenge::Bearer {
                realm: of("realm"),
                service: of("service"),
                scope: of("scope"),
            });
        }
        basic |= scheme.eq_ignore_ascii_case("basic");
        rest = next;
    }
}

/// `name=value` and `name="value"` up to the next scheme, and what follows.
fn parameters(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    loop {
        let at = rest.trim_start_matches([',', ' ']);
        let Some((name, after)) = at.split_once('=').filter(|(name, _)| !name.contains([' ', ',', '"']))
        else {
            return (found, at);
        };
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let end = after.find([',', ' ']).unwrap_or(after.len());
                (after[..end].to_owned(), &after[end..])
            }
        };
        found.push((name.to_owned(), value));
        rest = next;
    }
}

fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_of_real_registries() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let bearer = |realm: &str, service: &str, scope: &str| {
            Some(Challenge::Bearer { realm: realm.into(), service: service.into(), scope: scope.into() })
        };
        let read = bearer("https://auth.docker.io/token", "registry.docker.io", "repository:a/b:pull,push");
        assert_eq!(parse(hub), read);
        assert_eq!(parse(r#"Basic realm="Registry Realm""#), Some(Challenge::Basic));
        assert_eq!(parse(r#"Basic realm="a, b=c", bearer realm=x"#), bearer("x", "", ""));
        assert_eq!(parse(r#"Negotiate, Basic realm="a\"b""#), Some(Challenge::Basic));
        assert_eq!(parse("Bearer realm=\"open"), bearer("open", "", ""));
        assert_eq!(parse(""), None);
        assert_eq!(parse("Digest x"), None);
    }
}

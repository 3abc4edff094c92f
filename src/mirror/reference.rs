//! Names of repositories and tags, as the distribution specification allows them.

/// Bytes of a repository's name at most.
const REPOSITORY_BYTES: usize = 255;
const TAG_BYTES: usize = 128;

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/...)*`
pub fn is_repository(name: &str) -> bool {
    !name.is_empty() && name.len() <= REPOSITORY_BYTES && name.split('/').all(is_component)
}

fn is_component(text: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !text.starts_with(is_alphanumeric) || !text.ends_with(is_alphanumeric) {
        return false;
    }
    let separators = text.split(is_alphanumeric).filter(|between| !between.is_empty());
    separators.into_iter().all(|s| matches!(s, "." | "_" | "__") || s.bytes().all(|b| b == b'-'))
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
pub fn is_tag(tag: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= TAG_BYTES
        && tag.starts_with(is_word)
        && tag.chars().all(|c| is_word(c) || c == '.' || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_specification() {
        for good in ["a", "library/alpine", "a.b/c_d/e__f/g--h", "0/1"] {
            assert!(is_repository(good), "{good}");
        }
        for bad in ["", "/", "a/", "/a", "A", "a..b", "a___b", "-a", "a-", "a b", "a/../b", "\u{e4}"] {
            assert!(!is_repository(bad), "{bad}");
        }
        assert!(!is_repository(&"a".repeat(256)));
        for good in ["latest", "v1.2-rc_3", "_x", &"t".repeat(128)] {
            assert!(is_tag(good), "{good}");
        }
        for bad in ["", ".x", "-x", "a/b", "a:b", &"t".repeat(129)] {
            assert!(!is_tag(bad), "{bad}");
        }
    }
}

//! Order of version numbers, HAProxy's and OpenSSL's.

use std::cmp::Ordering;

/// Numbers, maturity (development, candidate, release), number of the candidate, commits since.
type Parts = ([u64; 4], u8, u64, u64);

/// Compares two versions as `-v` prints them (`3.4.0`, `2.4-dev19`, `2.6.12-1+deb12u4`); missing parts are zero.
/// `None` when one of them is no version.
pub fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(parts(a)?.cmp(&parts(b)?))
}

fn parts(version: &str) -> Option<Parts> {
    if version.is_empty() {
        return None;
    }
    let (numbers, tag) = match version.split_once('-') {
        Some((numbers, tag)) => (numbers, Some(tag)),
        None => (version, None),
    };
    let mut dotted = [0; 4];
    for (i, number) in numbers.split('.').enumerate() {
        *dotted.get_mut(i)? = if number.is_empty() { 0 } else { number.parse().ok()? };
    }
    let Some(tag) = tag else { return Some((dotted, 3, 0, 0)) };

    let maturities = [("dev", 1), ("rc", 2), ("pre", 2)];
    let found = maturities.iter().find_map(|(word, rank)| Some((*rank, tag.strip_prefix(word)?)));
    let (maturity, candidate, rest) = match found {
        Some((rank, rest)) => {
            let (number, rest) = rest.split_once('-').unwrap_or((rest, ""));
            (rank, if number.is_empty() { 0 } else { number.parse().ok()? }, rest)
        }
        None => (3, 0, tag),
    };
    // Whatever follows the last dash counts commits, when it is a number.
    let commits = rest.rsplit('-').next().and_then(|c| c.parse().ok()).unwrap_or(0);
    Some((dotted, maturity, candidate, commits))
}

/// Compares two OpenSSL versions: `1.1.1`, `1.1.1f`, `3.0.0-beta1`.
pub fn compare_openssl(a: &str, b: &str) -> Option<Ordering> {
    Some(openssl_parts(a)?.cmp(&openssl_parts(b)?))
}

/// Numbers, patch letter (old numbering), maturity: 0-14 before the release, 15 for it.
fn openssl_parts(version: &str) -> Option<([u64; 3], u8, u8)> {
    let (numbers, tag) = version.split_once('-').unwrap_or((version, ""));
    let letters = numbers.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let patch = match letters.as_bytes() {
        [] => 0,
        [letter @ b'a'..=b'z'] => letter - b'a' + 1,
        _ => return None,
    };
    let mut dotted = [0; 3];
    for (i, number) in numbers[..numbers.len() - letters.len()].split('.').enumerate() {
        *dotted.get_mut(i)? = number.parse().ok()?;
    }
    let maturity = match tag {
        "" => 15,
        "dev" => 0,
        tag => tag.trim_start_matches(|c: char| c.is_ascii_alphabetic()).parse::<u8>().ok()?.min(14),
    };
    Some((dotted, patch, maturity))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ordering::{Equal, Greater, Less};

    #[test]
    fn haproxy_versions() {
        for (a, b, order) in [
            ("3.4.0", "3.4", Equal),
            ("3.4.0", "3.4-dev5", Greater),
            ("3.4-dev5", "3.4-dev14", Less),
            ("3.4-rc1", "3.4-dev14", Greater),
            ("2.4-dev18-88910-48", "2.4-dev18-88910-49", Less),
            ("2.6.12-1+deb12u4", "2.6.12", Equal),
            ("3.4.0", "10", Less),
        ] {
            assert_eq!(compare(a, b), Some(order), "{a} {b}");
        }
        assert_eq!(compare("3.4.0", "x"), None);
        assert_eq!(compare("3.4.0", ""), None);
    }

    #[test]
    fn openssl_versions() {
        for (a, b, order) in [
            ("1.1.1", "1.1.1a", Less),
            ("3.0.0-beta1", "3.0.0", Less),
            ("3.0.0-dev", "3.0.0-alpha1", Less),
            ("3.0", "3.0.0", Equal),
        ] {
            assert_eq!(compare_openssl(a, b), Some(order), "{a} {b}");
        }
        assert_eq!(compare_openssl("3.0.0", "what"), None);
    }
}

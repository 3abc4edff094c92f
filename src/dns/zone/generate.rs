//! `$GENERATE`: one line that stands for many (BIND's reference manual, "BIND Primary File Extension").

/// Lines that one directive makes at most.
const MOST: u32 = 1 << 24;

/// `start-stop[/step]`.
pub(super) fn range(text: &[u8]) -> Option<(u32, u32, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (range, step) = text.split_once('/').unwrap_or((text, "1"));
    let (start, stop) = range.split_once('-')?;
    let (start, stop, step): (u32, u32, u32) = (start.parse().ok()?, stop.parse().ok()?, step.parse().ok()?);
    (step > 0 && start <= stop && (stop - start) / step < MOST).then_some((start, stop, step))
}

/// The text with each `$` or `${offset,width,base}` replaced; `\$` stays a dollar sign. `None`: a modifier is faulty.
pub(super) fn substitute(text: &[u8], value: u32, out: &mut Vec<u8>) -> Option<()> {
    let mut at = 0;
    while let Some(octet) = text.get(at).copied() {
        at += 1;
        match octet {
            b'\\' if text.get(at) == Some(&b'$') => {
                out.push(b'$');
                at += 1;
            }
            b'\\' => {
                out.push(b'\\');
                out.extend(text.get(at));
                at += 1;
            }
            b'$' if text.get(at) == Some(&b'{') => {
                let size = text[at..].iter().position(|c| *c == b'}')?;
                let modifier = std::str::from_utf8(&text[at + 1..at + size]).ok()?;
                out.extend(modified(modifier, value)?.bytes());
                at += size + 1;
            }
            b'$' => out.extend(value.to_string().bytes()),
            _ => out.push(octet),
        }
    }
    Some(())
}

fn modified(modifier: &str, value: u32) -> Option<String> {
    let mut parts = modifier.split(',').map(str::trim);
    let offset: i64 = parts.next()?.parse().ok()?;
    let width: usize = parts.next().map_or(Some(0), |w| w.parse().ok()).filter(|w| *w <= 255)?;
    let base = parts.next().unwrap_or("d");
    let value = u64::try_from(i64::from(value) + offset).ok()?;
    let text = match base {
        "d" => format!("{value:0width$}"),
        "o" => format!("{value:0width$o}"),
        "x" => format!("{value:0width$x}"),
        "X" => format!("{value:0width$X}"),
        "n" | "N" => {
            // Nibbles, the lowest first: for ip6.arpa. The width counts the dots.
            let digits = format!("{value:0w$x}", w = width.div_ceil(2));
            let nibbles: Vec<String> = digits.chars().rev().map(String::from).collect();
            let text = nibbles.join(".");
            if base == "N" { text.to_uppercase() } else { text }
        }
        _ => return None,
    };
    parts.next().is_none().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, value: u32) -> Option<String> {
        let mut out = Vec::new();
        substitute(text.as_bytes(), value, &mut out)?;
        String::from_utf8(out).ok()
    }

    #[test]
    fn dollars_are_replaced() {
        assert_eq!(line("host-$.a", 7).as_deref(), Some("host-7.a"));
        assert_eq!(line("${-2,3} \\$ \\$x", 9).as_deref(), Some("007 $ $x"));
        assert_eq!(line("${0,4,x}", 255).as_deref(), Some("00ff"));
        assert_eq!(line("${0,5,n}", 0x1a).as_deref(), Some("a.1.0"));
        assert_eq!((line("${-9}", 1), line("${0,1,q}", 1), line("${0", 1)), (None, None, None));
    }

    #[test]
    fn ranges() {
        assert_eq!(range(b"1-10/2"), Some((1, 10, 2)));
        assert_eq!(
            (range(b"5-1"), range(b"1-2/0"), range(b"1"), range(b"0-4294967295")),
            (None, None, None, None)
        );
    }
}

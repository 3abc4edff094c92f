//! A line of the runtime API: commands parted by `;`, words, escapes, payloads (management manual 9.3).

/// Most words of a command that are looked at.
const MAX_WORDS: usize = 64;
/// Longest mark that can follow `<<`.
const MAX_MARK: usize = 64;

/// The commands of a line: parted by semicolons that no backslash precedes.
pub fn commands(line: &str) -> Vec<&str> {
    let mut list = Vec::new();
    let mut begin = 0;
    let mut is_escaped = false;
    for (i, b) in line.bytes().enumerate() {
        match b {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b';' => {
                list.push(&line[begin..i]);
                begin = i + 1;
            }
            _ => {}
        }
    }
    list.push(&line[begin..]);
    list
}

/// The mark that ends the payload, when the line announces one: `<<`, or `<<mark`; and the line before it.
pub fn payload_mark(line: &str) -> Option<(&str, &str)> {
    let at = line.rfind([' ', '\t'])? + 1;
    let mark = line[at..].strip_prefix("<<")?;
    (mark.len() <= MAX_MARK).then(|| (&line[..at], mark))
}

/// The words of a command, without the backslashes that escape something.
pub fn words(command: &str) -> Vec<String> {
    let mut list = Vec::new();
    let mut word = String::new();
    let mut has_word = false;
    let mut chars = command.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => {
                if std::mem::take(&mut has_word) {
                    list.push(std::mem::take(&mut word));
                }
                continue;
            }
            '\\' => word.extend(chars.next()),
            c => word.push(c),
        }
        has_word = true;
    }
    if has_word {
        list.push(word);
    }
    list.truncate(MAX_WORDS);
    list
}

/// Words by position; those that are not there are empty.
#[derive(Debug)]
pub struct Args {
    pub words: Vec<String>,
    pub payload: Option<String>,
}

impl Args {
    pub fn at(&self, i: usize) -> &str {
        self.words.get(i).map_or("", String::as_str)
    }

    /// The words from position `i` on.
    pub fn from(&self, i: usize) -> impl Iterator<Item = &str> {
        self.words.iter().skip(i).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_part_and_backslashes_protect() {
        assert_eq!(commands("show info;show stat"), ["show info", "show stat"]);
        assert_eq!(commands("a\\;b;c"), ["a\\;b", "c"]);
        assert_eq!(commands("a\\\\;b"), ["a\\\\", "b"]);
        assert_eq!(commands(""), [""]);
        assert_eq!(words("  set\tmap a\\ b c\\;d e\\\\f "), ["set", "map", "a b", "c;d", "e\\f"]);
        assert!(words(" ").is_empty());
    }

    #[test]
    fn a_payload_is_announced_by_its_mark() {
        assert_eq!(payload_mark("set ssl cert x <<"), Some(("set ssl cert x ", "")));
        assert_eq!(payload_mark("set ssl cert x <<%EOF%"), Some(("set ssl cert x ", "%EOF%")));
        assert_eq!(payload_mark("set x<<"), None);
        assert_eq!(payload_mark(&format!("x <<{}", "a".repeat(65))), None);
    }
}

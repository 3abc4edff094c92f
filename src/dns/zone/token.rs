//! The words of a zone file, entry by entry (RFC 1035, 5.1).

/// A word: as it stands in the file, without quotes, escapes not resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'t> {
    pub(crate) text: &'t [u8],
    pub(crate) quoted: bool,
}

/// What is one line to the reader, parentheses resolved.
#[derive(Debug, Default)]
pub(crate) struct Entry<'t> {
    /// Where it begins, from 1.
    pub(crate) line: u32,
    /// It begins with space: its owner is that of the entry before.
    pub(crate) indented: bool,
    pub(crate) tokens: Vec<Token<'t>>,
}

/// Reads entries.
pub(crate) struct Tokens<'t> {
    text: &'t [u8],
    at: usize,
    line: u32,
}

impl<'t> Tokens<'t> {
    pub(crate) fn new(text: &'t [u8]) -> Tokens<'t> {
        Tokens { text, at: 0, line: 1 }
    }

    /// Reads the next entry that has words; false at the end.
    pub(crate) fn next(&mut self, entry: &mut Entry<'t>) -> Result<bool, (u32, &'static str)> {
        entry.tokens.clear();
        let mut depth = 0u32;
        let mut fresh = true;
        loop {
            let Some(octet) = self.text.get(self.at).copied() else {
                return match depth {
                    0 => Ok(!entry.tokens.is_empty()),
                    _ => Err((entry.line, "a parenthesis is not closed")),
                };
            };
            if fresh {
                (entry.line, entry.indented, fresh) = (self.line, matches!(octet, b' ' | b'\t'), false);
            }
            match octet {
                b'\n' => {
                    self.at += 1;
                    self.line += 1;
                    if depth == 0 {
                        if !entry.tokens.is_empty() {
                            return Ok(true);
                        }
                        fresh = true;
                    }
                }
                b' ' | b'\t' | b'\r' => self.at += 1,
                b';' => self.at += self.rest().iter().position(|c| *c == b'\n').unwrap_or(self.rest().len()),
                b'(' => {
                    depth += 1;
                    self.at += 1;
                }
                b')' => {
                    depth = depth.checked_sub(1).ok_or((self.line, "a parenthesis was not opened"))?;
                    self.at += 1;
                }
                b'"' => entry.tokens.push(self.quoted()?),
                _ => entry.tokens.push(self.word()),
            }
        }
    }

    fn rest(&self) -> &'t [u8] {
        &self.text[self.at..]
    }

    fn word(&mut self) -> Token<'t> {
        let rest = self.rest();
        let mut size = 0;
        while let Some(octet) = rest.get(size) {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"' => break,
                b'\\' if rest.get(size + 1).is_some_and(|next| *next != b'\n') => size += 2,
                // A parameter of SVCB and HTTPS: `alpn="h2"` is one word (RFC 9460, 2.1).
                b'=' if rest.get(size + 1) == Some(&b'"') => {
                    let inner = rest[size + 2..].iter().position(|c| matches!(c, b'"' | b'\n'));
                    size = inner.map_or(rest.len(), |inner| size + 3 + inner);
                }
                _ => size += 1,
            }
        }
        self.at += size;
        Token { text: &rest[..size], quoted: false }
    }

    fn quoted(&mut self) -> Result<Token<'t>, (u32, &'static str)> {
        let line = self.line;
        self.at += 1;
        let rest = self.rest();
        let mut size = 0;
        loop {
            match rest.get(size) {
                None => return Err((line, "a quote is not closed")),
                Some(b'"') => break,
                Some(b'\\') => size += 2,
                Some(octet) => {
                    self.line += u32::from(*octet == b'\n');
                    size += 1;
                }
            }
        }
        self.at += size + 1;
        Ok(Token { text: &rest[..size], quoted: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<(u32, bool, Vec<String>)> {
        let (mut tokens, mut entry, mut out) = (Tokens::new(text.as_bytes()), Entry::default(), Vec::new());
        while tokens.next(&mut entry).expect("readable") {
            let words = entry.tokens.iter().map(|t| String::from_utf8_lossy(t.text).into_owned()).collect();
            out.push((entry.line, entry.indented, words));
        }
        out
    }

    #[test]
    fn entries_and_their_words() {
        let words = |list: &[&str]| list.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let text = "; nothing\n\na IN (1 ; x\n 2\n) 3\n\tTXT \"q ; r\\\" s\" t\\;u";
        let expected = vec![
            (3, false, words(&["a", "IN", "1", "2", "3"])),
            (6, true, words(&["TXT", "q ; r\\\" s", "t\\;u"])),
        ];
        assert_eq!(all(text), expected);
    }

    #[test]
    fn what_is_not_closed_has_a_line() {
        let fault =
            |text: &str| Tokens::new(text.as_bytes()).next(&mut Entry::default()).expect_err("a fault");
        assert_eq!(fault("\na (\n\n"), (2, "a parenthesis is not closed"));
        assert_eq!(fault("\n)"), (2, "a parenthesis was not opened"));
        assert_eq!(fault("a \"\n\\"), (1, "a quote is not closed"));
    }
}

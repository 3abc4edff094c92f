//! The words of a filter expression.

/// One word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A name, or a value without quotes.
    Word(String),
    /// A value in quotes or backticks; `/a/b` when it selects.
    Quoted(String),
    Equal,
    NotEqual,
    Dot,
    Open,
    Close,
    OpenBracket,
    CloseBracket,
}

fn word_byte(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | ':')
}

/// The words of an expression, or what is wrong with it.
pub fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    let mut out = Vec::new();
    while let Some(c) = chars.get(at).copied() {
        let one = match c {
            ' ' | '\t' | '\n' | '\r' => None,
            '(' => Some(Token::Open),
            ')' => Some(Token::Close),
            '[' => Some(Token::OpenBracket),
            ']' => Some(Token::CloseBracket),
            '.' => Some(Token::Dot),
            '=' | '!' if chars.get(at + 1) == Some(&'=') => {
                at += 1;
                Some(if c == '=' { Token::Equal } else { Token::NotEqual })
            }
            '"' | '`' => {
                let (value, end) = quoted(&chars, at)?;
                at = end;
                Some(Token::Quoted(value))
            }
            c if word_byte(c) => {
                let end = word_end(&chars, at);
                out.push(Token::Word(chars[at..end].iter().collect()));
                at = end;
                continue;
            }
            c => return Err(format!("unexpected {c:?} at position {at}")),
        };
        out.extend(one);
        at += 1;
    }
    Ok(out)
}

/// A number keeps its point: `1.5` is one word, `Meta.a` three.
fn word_end(chars: &[char], start: usize) -> usize {
    let digits = |at: usize| chars.get(at).is_some_and(|c| c.is_ascii_digit());
    let number = digits(start) || chars[start] == '-' && digits(start + 1);
    let mut at = start + 1;
    while chars.get(at).is_some_and(|c| word_byte(*c) || number && *c == '.' && digits(at + 1)) {
        at += 1;
    }
    at
}

/// The value, and the index of its closing quote. Backslashes escape in `"` alone.
fn quoted(chars: &[char], start: usize) -> Result<(String, usize), String> {
    let quote = chars[start];
    let mut value = String::new();
    let mut at = start + 1;
    while let Some(c) = chars.get(at).copied() {
        match c {
            c if c == quote => return Ok((value, at)),
            '\\' if quote == '"' => {
                at += 1;
                match chars.get(at) {
                    Some('n') => value.push('\n'),
                    Some('t') => value.push('\t'),
                    Some('r') => value.push('\r'),
                    Some(c) => value.push(*c),
                    None => break,
                }
            }
            c => value.push(c),
        }
        at += 1;
    }
    Err(format!("a value that opens at position {start} does not close"))
}

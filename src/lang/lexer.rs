//! One line cut into words: quotes, backslashes, comments and variables (manual sections 2.2 and 2.3).

use super::env::Env;
use super::source::{FileId, Span, Word};

/// Most words a line may have.
pub const MAX_WORDS: usize = 64;

/// Where the line stands and what its variables mean.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub file: FileId,
    /// `.FILE`
    pub file_name: &'a str,
    /// `.LINE`
    pub line: u32,
    /// `.SECTION`
    pub section: &'a str,
    pub env: &'a Env,
    /// Whether `#` begins a comment: in files, not in `-cc`.
    pub comments: bool,
    /// Whether quotes are more than letters.
    pub quotes: bool,
}

/// Why a line cannot be cut. The words are HAProxy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("unmatched quote")]
    Quote,
    #[error("unmatched brace in environment variable name")]
    Brace,
    #[error("forbidden first char in environment variable name")]
    VariableName,
    #[error("truncated or invalid hexadecimal sequence")]
    Hex,
    #[error("truncated or invalid word expansion sequence")]
    Expansion,
    #[error("too many words")]
    TooManyWords,
}

/// A fault and its byte offset in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LexError {
    pub fault: Fault,
    pub at: usize,
}

/// An empty word: it would end the argument list, so a configuration must not have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmptyWord {
    /// Its number on the line, the keyword being 0.
    pub number: usize,
    /// Byte offset of its cause.
    pub at: usize,
    /// The undefined variable that made it, if one did.
    pub variable: Option<String>,
}

/// The words of one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    pub list: Vec<Word>,
    pub empty: Option<EmptyWord>,
}

/// Cuts a line, given without its line feed.
pub fn split(line: &[u8], place: Place<'_>) -> Result<Words, LexError> {
    Cutter {
        line,
        place,
        at: 0,
        quote: None,
        word: Vec::new(),
        start: None,
        in_word: false,
        empty_quote: false,
        unset: None,
        overflow: None,
        out: Words::default(),
    }
    .run()
}

/// C's `isspace`.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

struct Cutter<'a> {
    line: &'a [u8],
    place: Place<'a>,
    at: usize,
    /// The open quote and its offset.
    quote: Option<(u8, usize)>,
    word: Vec<u8>,
    /// Where the word, or the quote that may begin one, starts.
    start: Option<usize>,
    in_word: bool,
    /// The open quotes make a word even when they hold nothing.
    empty_quote: bool,
    /// An undefined variable seen in this word: its offset and name.
    unset: Option<(usize, String)>,
    /// Offset of the first word over the limit.
    overflow: Option<usize>,
    out: Words,
}

impl Cutter<'_> {
    fn run(mut self) -> Result<Words, LexError> {
        while let Some(byte) = self.peek(0) {
            match (byte, self.quote.map(|(q, _)| q)) {
                (b'\0' | b'\n' | b'\r', _) => break,
                (b'#', None) if self.place.comments => break,
                (b'"' | b'\'', None) if self.place.quotes => self.open_quote(byte),
                (b'"' | b'\'', Some(open)) if open == byte => self.close_quote(),
                (b'\\', None | Some(b'"')) => self.escape()?,
                (b'$', Some(b'"')) => self.variable()?,
                (_, None) if is_space(byte) => {
                    self.end_word();
                    while self.peek(0).is_some_and(is_space) {
                        self.at += 1;
                    }
                }
                _ => {
                    self.emit(byte, self.at);
                    self.at += 1;
                }
            }
        }
        self.end_word();
        if let Some((_, at)) = self.quote {
            return Err(LexError { fault: Fault::Quote, at });
        }
        match self.overflow {
            Some(at) => Err(LexError { fault: Fault::TooManyWords, at }),
            None => Ok(self.out),
        }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.line.get(self.at + ahead).copied()
    }

    fn begin(&mut self, at: usize) {
        if !self.in_word {
            self.in_word = true;
            self.start.get_or_insert(at);
        }
    }

    fn emit(&mut self, byte: u8, at: usize) {
        self.begin(at);
        self.word.push(byte);
    }

    fn end_word(&mut self) {
        let start = self.start.take().unwrap_or(self.at);
        let unset = self.unset.take();
        if !std::mem::take(&mut self.in_word) {
            return;
        }
        let mut bytes = std::mem::take(&mut self.word);
        if self.out.list.len() == MAX_WORDS {
            self.overflow.get_or_insert(start);
            return;
        }
        // A NUL, which only `\x00` can make, ends a word as it ends a C string.
        if let Some(nul) = bytes.iter().position(|b| *b == 0) {
            bytes.truncate(nul);
        }
        if bytes.is_empty() && self.out.empty.is_none() {
            let number = self.out.list.len();
            let (at, variable) = unset.map_or((start, None), |(at, name)| (at, Some(name)));
            self.out.empty = Some(EmptyWord { number, at, variable });
        }
        let span = Span {
            file: self.place.file,
            line: self.place.line,
            col: start as u32 + 1,
            len: (self.at - start) as u32,
        };
        self.out.list.push(Word::new(bytes, span));
    }

    fn open_quote(&mut self, quote: u8) {
        self.quote = Some((quote, self.at));
        self.empty_quote = true;
        if !self.in_word {
            self.start.get_or_insert(self.at);
        }
        self.at += 1;
    }

    fn close_quote(&mut self) {
        if self.empty_quote {
            self.begin(self.at);
        }
        self.quote = None;
        self.at += 1;
    }

    /// A backslash outside strong quotes. One that escapes nothing stands for itself, and so does the byte after.
    fn escape(&mut self) -> Result<(), LexError> {
        let at = self.at;
        let (byte, len) = match self.peek(1) {
            Some(b'#') if !self.place.comments => (b'\\', 1),
            Some(b @ (b' ' | b'\\' | b'#' | b'\'' | b'"')) => (b, 2),
            Some(b't') => (b'\t', 2),
            Some(b'n') => (b'\n', 2),
            Some(b'r') => (b'\r', 2),
            Some(b'$') if self.quote.is_some() => (b'$', 2),
            Some(b'x') => match (self.peek(2).and_then(hex), self.peek(3).and_then(hex)) {
                (Some(high), Some(low)) => (high << 4 | low, 4),
                _ => return Err(LexError { fault: Fault::Hex, at }),
            },
            _ => (b'\\', 1),
        };
        self.emit(byte, at);
        self.at += len;
        Ok(())
    }

    /// `$NAME`, `${NAME}`, `${NAME-default}` or `${NAME[*]}` inside weak quotes.
    fn variable(&mut self) -> Result<(), LexError> {
        let dollar = self.at;
        self.at += 1;
        let brace = (self.peek(0) == Some(b'{')).then_some(self.at);
        self.at += usize::from(brace.is_some());

        let name_at = self.at;
        let name = self.variable_name()?;
        let mut value = self.value_of(&name, name_at)?;
        let mut expand = false;
        if let Some(brace) = brace {
            if self.peek(0) == Some(b'[') {
                if self.line.get(self.at..self.at + 3) != Some(b"[*]") {
                    return Err(LexError { fault: Fault::Expansion, at: self.at });
                }
                expand = true;
                self.at += 3;
            }
            self.close_brace(brace, &mut value)?;
        }
        // A list with nothing in it makes no word at all, whatever its quotes.
        self.empty_quote &= !expand;
        match value {
            Some(value) => self.emit_value(&value, expand, dollar),
            None if expand => {}
            None => {
                self.begin(dollar);
                self.unset.get_or_insert((name_at, name));
            }
        }
        Ok(())
    }

    fn variable_name(&mut self) -> Result<String, LexError> {
        let from = self.at;
        match self.peek(0) {
            Some(b'.') => self.at += 1,
            Some(b) if b.is_ascii_alphabetic() || b == b'_' => {}
            _ => return Err(LexError { fault: Fault::VariableName, at: from }),
        }
        while self.peek(0).is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_') {
            self.at += 1;
        }
        Ok(self.line[from..self.at].iter().map(|b| char::from(*b)).collect())
    }

    fn value_of(&self, name: &str, at: usize) -> Result<Option<Vec<u8>>, LexError> {
        Ok(match name {
            ".LINE" => Some(self.place.line.to_string().into_bytes()),
            ".FILE" => Some(self.place.file_name.as_bytes().to_vec()),
            ".SECTION" => Some(self.place.section.as_bytes().to_vec()),
            _ if name.starts_with('.') => return Err(LexError { fault: Fault::VariableName, at }),
            _ => self.place.env.get(name).map(<[u8]>::to_vec),
        })
    }

    /// The end of `${...}`, with the default that replaces a missing value.
    fn close_brace(&mut self, brace: usize, value: &mut Option<Vec<u8>>) -> Result<(), LexError> {
        if self.peek(0) == Some(b'-') {
            let from = self.at + 1;
            while self.peek(0).is_some_and(|b| b != b'}' && b != 0) {
                self.at += 1;
            }
            if value.is_none() {
                *value = Some(self.line[from..self.at].to_vec());
            }
        }
        if self.peek(0) != Some(b'}') {
            return Err(LexError { fault: Fault::Brace, at: brace });
        }
        self.at += 1;
        Ok(())
    }

    fn emit_value(&mut self, value: &[u8], expand: bool, dollar: usize) {
        self.unset = None;
        for &byte in value {
            if expand && is_space(byte) {
                self.end_word();
            } else {
                self.emit(byte, dollar);
            }
        }
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|d| d as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut_in(line: &[u8], env: &Env) -> Result<Words, LexError> {
        split(
            line,
            Place {
                file: FileId(0),
                file_name: "a.cfg",
                line: 7,
                section: "web",
                env,
                comments: true,
                quotes: true,
            },
        )
    }

    fn cut(line: &str) -> Vec<String> {
        let mut env = Env::default();
        env.set("A", "one");
        env.set("L", " a  b c ");
        env.set("EMPTY", "");
        let words = cut_in(line.as_bytes(), &env).expect("a line that cuts");
        words.list.iter().map(|w| w.str().to_owned()).collect()
    }

    fn fault(line: &str) -> (Fault, usize) {
        let error = cut_in(line.as_bytes(), &Env::default()).expect_err("a line that does not cut");
        (error.fault, error.at)
    }

    #[test]
    fn separators_and_comments() {
        assert_eq!(cut("  mode \t http # or tcp"), ["mode", "http"]);
        assert_eq!(cut("daemon#daemonize"), ["daemon"]);
        assert_eq!(cut("mode http\rlost"), ["mode", "http"]);
        assert_eq!(cut("# only"), Vec::<String>::new());
    }

    #[test]
    fn the_manual_s_equivalent_log_formats() {
        let expected = ["log-format", "%{+Q}o %t %s %{-Q}r"];
        for line in [
            r"log-format %{+Q}o\ %t\ %s\ %{-Q}r",
            r#"log-format "%{+Q}o %t %s %{-Q}r""#,
            r"log-format '%{+Q}o %t %s %{-Q}r'",
            r#"log-format "%{+Q}o %t"' %s %{-Q}r'"#,
            r#"log-format "%{+Q}o %t"' %s'\ %{-Q}r"#,
        ] {
            assert_eq!(cut(line), expected, "{line}");
        }
    }

    #[test]
    fn escapes() {
        assert_eq!(
            cut(r"a\ b \#c \x41\x7a \n\r\t \\ \' \1 $A \$A"),
            ["a b", "#c", "Az", "\n\r\t", "\\", "'", "\\1", "$A", "\\$A"]
        );
        assert_eq!(cut(r#""\$A" "a\ b" 'a\ b' "it's" '"'"#), ["$A", "a b", r"a\ b", "it's", "\""]);
        // No line continuation: a backslash that ends a line stands for itself.
        assert_eq!(cut("mode http \\"), ["mode", "http", "\\"]);
        assert_eq!(cut("a\\x00b"), ["a"]);
    }

    #[test]
    fn variables() {
        assert_eq!(
            cut(r#""$A" "${A}x" "${B-two three}" "${A-no}" '$A'"#),
            ["one", "onex", "two three", "one", "$A"]
        );
        assert_eq!(cut(r#""${.LINE}" "${.FILE}" "${.SECTION}" "$.LINE""#), ["7", "a.cfg", "web", "7"]);
        assert_eq!(cut(r#"x "${L[*]}" y"#), ["x", "a", "b", "c", "y"]);
        assert_eq!(cut(r#"x"${L[*]}"y"#), ["x", "a", "b", "c", "y"]);
        assert_eq!(cut(r#"x"${A[*]}"y"#), ["xoney"]);
        assert_eq!(cut(r#"x "${NONE[*]}" "${EMPTY[*]}" y"#), ["x", "y"]);
    }

    #[test]
    fn empty_words_are_reported_with_their_cause() {
        let cut = |line: &str| cut_in(line.as_bytes(), &Env::default()).expect("cuts").empty;
        assert_eq!(cut("a b"), None);
        assert_eq!(cut("a ''"), Some(EmptyWord { number: 1, at: 2, variable: None }));
        assert_eq!(
            cut(r#"a b "${NONE}" c"#),
            Some(EmptyWord { number: 2, at: 7, variable: Some("NONE".into()) })
        );
    }

    #[test]
    fn faults_have_their_place() {
        assert_eq!(fault("bind :80 \""), (Fault::Quote, 9));
        assert_eq!(fault("mode http \\xZ"), (Fault::Hex, 10));
        assert_eq!(fault("mode \"${A\""), (Fault::Brace, 7));
        assert_eq!(fault("mode \"${A-x\""), (Fault::Brace, 7));
        assert_eq!(fault("mode \"$9\""), (Fault::VariableName, 7));
        assert_eq!(fault("mode \"${.WHAT}\""), (Fault::VariableName, 8));
        assert_eq!(fault("mode \"${A[1]}\""), (Fault::Expansion, 9));
        assert_eq!(fault(&"w ".repeat(65)), (Fault::TooManyWords, 128));
        assert_eq!(cut(&"w ".repeat(64)).len(), 64);
    }

    #[test]
    fn spans_cover_the_source() {
        let words = cut_in(b"  ab \"c d\"'e' f", &Env::default()).expect("cuts").list;
        let spans: Vec<_> = words.iter().map(|w| (w.span.col, w.span.len)).collect();
        assert_eq!(spans, [(3, 2), (6, 8), (15, 1)]);
    }

    /// A word as a user could write it: quoted strongly, weakly or by backslashes.
    fn quoted(word: &str, style: u8) -> String {
        let escape = |special: &str| {
            word.chars().fold(String::new(), |mut text, c| {
                match c {
                    '\n' => text.push_str("\\n"),
                    '\r' => text.push_str("\\r"),
                    _ if special.contains(c) => {
                        text.push('\\');
                        text.push(c);
                    }
                    '\t' | '\x0b' | '\x0c' => text.push_str(&format!("\\x{:02x}", c as u32)),
                    _ => text.push(c),
                }
                text
            })
        };
        match style {
            0 if !word.contains(['\'', '\n', '\r']) => format!("'{word}'"),
            1 => format!("\"{}\"", escape("\\\"$")),
            _ => escape("\\\"' #"),
        }
    }

    proptest! {
        #[test]
        fn never_panics(line: Vec<u8>) {
            let _ = cut_in(&line, &Env::default());
        }

        #[test]
        fn quoting_round_trips(words in prop::collection::vec(("[^\0]{1,20}", 0u8..3), 1..20)) {
            let line: Vec<_> = words.iter().map(|(word, style)| quoted(word, *style)).collect();
            let cut = cut_in(line.join(" ").as_bytes(), &Env::default()).expect("cuts");
            let got: Vec<_> = cut.list.iter().map(Word::str).collect();
            let expected: Vec<_> = words.iter().map(|(word, _)| word.as_str()).collect();
            prop_assert_eq!(got, expected);
        }
    }
}

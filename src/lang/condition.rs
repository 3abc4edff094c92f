//! Conditions of `.if`, `.elif` and `-cc`: predicates over the environment and the build (manual section 2.4).

use super::env::Env;
use super::lexer::{self, LexError, Place};
use super::registry::Kind;
use super::source::{FileId, Word};
use super::version;
use super::void::is_void;

/// What conditions may ask about the program. Given by the caller: `lang` knows nothing of the build.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// As `-v` shows it: `3.4.0`.
    pub version: &'static str,
    /// As `-vv` lists them: `+EPOLL`, `-KQUEUE`.
    pub features: Vec<&'static str>,
    /// What `enabled()` is true for: `EPOLL`, `SPLICE`...
    pub enabled: Vec<&'static str>,
    /// Name and version of the TLS library, e.g. `AWS-LC 1.50.0`.
    pub ssl_library: &'static str,
    /// The OpenSSL version that the TLS library claims, if any.
    pub openssl_version: Option<&'static str>,
    pub awslc_api: Option<i64>,
    pub fips: bool,
}

/// A condition that cannot be evaluated. `column` is 1-based.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CondError {
    pub column: usize,
    pub message: String,
}

/// The predicates: name and number of arguments, all strings.
pub const PREDICATES: [(&str, usize); 14] = [
    ("defined", 1),
    ("feature", 1),
    ("streq", 2),
    ("strneq", 2),
    ("strstr", 2),
    ("version_atleast", 1),
    ("version_before", 1),
    ("openssl_version_atleast", 1),
    ("openssl_version_before", 1),
    ("ssllib_name_startswith", 1),
    ("awslc_api_atleast", 1),
    ("awslc_api_before", 1),
    ("enabled", 1),
    ("fips_mode", 0),
];

/// Deepest nesting of parentheses.
const MAX_DEPTH: usize = 200;

/// Evaluates a whole expression. An empty one is false.
pub fn evaluate(expr: &str, facts: &Facts, env: &Env) -> Result<bool, CondError> {
    if expr.is_empty() {
        return Ok(false);
    }
    let mut parser = Parser { text: expr, at: 0 };
    let tree = parser.any(MAX_DEPTH)?;
    parser.blanks();
    if let Some(c) = parser.rest().chars().next() {
        let message = format!("unexpected character '{c}' at the end of conditional expression '{expr}'");
        return Err(parser.error(parser.at, message));
    }
    tree.holds(facts, env).map_err(|message| parser.error(parser.at, message))
}

/// Evaluates an expression as `-cc` has it: cut into words like a line, so with quotes and variables.
///
/// The error's message is complete: it begins with what HAProxy says before the cause.
pub fn check(text: &str, facts: &Facts, env: &Env) -> Result<bool, CondError> {
    let place =
        Place { file: FileId(0), file_name: "", line: 0, section: "", env, comments: false, quotes: true };
    let words = lexer::split(text.as_bytes(), place).map_err(|LexError { fault, at }| CondError {
        column: at + 1,
        message: format!("Syntax Error in condition: {fault}."),
    })?;
    let expr = words.list.iter().map(Word::str).collect::<Vec<_>>().join(" ");
    evaluate(&expr, facts, env).map_err(|error| CondError {
        message: format!("Failed to evaluate condition: {}", error.message),
        ..error
    })
}

/// One of `terms` must hold, each being a list of terms that must all hold.
struct Any(Vec<Vec<Term>>);

struct Term {
    negated: bool,
    what: What,
}

enum What {
    Constant(bool),
    Group(Any),
    Predicate(&'static str, Vec<String>),
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn error(&self, at: usize, message: String) -> CondError {
        CondError { column: at + 1, message }
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t']).len();
    }

    fn accept(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
            self.blanks();
        }
        found
    }

    fn any(&mut self, depth: usize) -> Result<Any, CondError> {
        let mut all = vec![self.all(depth)?];
        while self.accept("||") {
            all.push(self.all(depth)?);
        }
        Ok(Any(all))
    }

    fn all(&mut self, depth: usize) -> Result<Vec<Term>, CondError> {
        let mut terms = Vec::new();
        loop {
            terms.push(self.term(depth)?);
            self.blanks();
            if !self.accept("&&") {
                return Ok(terms);
            }
        }
    }

    fn term(&mut self, depth: usize) -> Result<Term, CondError> {
        self.blanks();
        let from = self.at;
        let mut negated = false;
        while self.accept("!") {
            negated = !negated;
        }
        if let Some(what) = self.integer() {
            return Ok(Term { negated, what });
        }
        if self.accept("(") && depth > 0 {
            let group = self.any(depth - 1)?;
            self.blanks();
            if !self.accept(")") {
                let text = &self.text[from..];
                let message = format!("expected ')' after conditional expression '{text}'");
                return Err(self.error(from, message));
            }
            return Ok(Term { negated, what: What::Group(group) });
        }
        let rest = self.rest();
        let word = &rest[..rest.find([' ', '(']).unwrap_or(rest.len())];
        if let Some(&(name, count)) = PREDICATES.iter().find(|(name, _)| *name == word) {
            self.at += name.len();
            let what = What::Predicate(name, self.arguments(name, count)?);
            return Ok(Term { negated, what });
        }
        let message = format!("unparsable conditional expression '{}'", &self.text[from..]);
        Err(self.error(from, message))
    }

    /// C's `strtol` with base 0: decimal, `0x` and `0` prefixes, a sign.
    fn integer(&mut self) -> Option<What> {
        let rest = self.rest().trim_start();
        let unsigned = rest.strip_prefix(['+', '-']).unwrap_or(rest);
        let (digits, radix) = match unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
            Some(hex) if hex.starts_with(|c: char| c.is_ascii_hexdigit()) => (hex, 16),
            _ if unsigned.starts_with('0') => (unsigned, 8),
            _ => (unsigned, 10),
        };
        let len = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
        if len == 0 {
            return None;
        }
        let nonzero = digits[..len].contains(|c| c != '0');
        self.at = self.text.len() - digits.len() + len;
        Some(What::Constant(nonzero))
    }

    /// `(a,b)`, with the quotes and backslashes of keyword arguments (manual section 2.2).
    fn arguments(&mut self, name: &str, count: usize) -> Result<Vec<String>, CondError> {
        let mut arguments = Vec::new();
        if self.rest().starts_with('(') {
            self.at += 1;
            while arguments.len() < count {
                arguments.push(self.argument());
                if !self.rest().starts_with(',') || arguments.len() == count {
                    break;
                }
                self.at += 1;
            }
            if arguments.len() == count {
                return self.closing(name, arguments);
            }
        } else if count == 0 {
            return Ok(arguments);
        }
        let got = arguments.len();
        let message = format!(
            "missing arguments (got {got}/{count}), type 'string' expected in argument {got} \
             of predicate '{name}' used in conditional expression"
        );
        Err(self.error(self.at, message))
    }

    fn closing(&mut self, name: &str, arguments: Vec<String>) -> Result<Vec<String>, CondError> {
        let rest = self.rest();
        if rest.starts_with(')') {
            self.at += 1;
            return Ok(arguments);
        }
        let before = if rest.is_empty() { String::new() } else { format!(" before '{rest}'") };
        let number = arguments.len().saturating_sub(1).max(1);
        let message = format!(
            "expected ')'{before} in argument {number} of predicate '{name}' used in conditional expression"
        );
        Err(self.error(self.at, message))
    }

    fn argument(&mut self) -> String {
        let mut out = String::new();
        let mut quote = None;
        let mut chars = self.rest().char_indices();
        let mut end = self.rest().len();
        while let Some((at, c)) = chars.next() {
            match (c, quote) {
                ('"' | '\'', None) => quote = Some(c),
                ('"' | '\'', Some(open)) if open == c => quote = None,
                ('\\', None | Some('"')) => match chars.clone().next() {
                    Some((_, escaped @ ('\\' | ' ' | '"' | '\''))) => {
                        out.push(escaped);
                        chars.next();
                    }
                    Some((_, letter @ ('r' | 'n' | 't'))) => {
                        out.push(match letter {
                            'r' => '\r',
                            'n' => '\n',
                            _ => '\t',
                        });
                        chars.next();
                    }
                    _ => out.push('\\'),
                },
                (',' | ')', None) => {
                    end = at;
                    break;
                }
                _ => out.push(c),
            }
        }
        self.at += end;
        out
    }
}

impl Any {
    fn holds(&self, facts: &Facts, env: &Env) -> Result<bool, String> {
        'any: for all in &self.0 {
            for term in all {
                if !term.holds(facts, env)? {
                    continue 'any;
                }
            }
            return Ok(true);
        }
        Ok(false)
    }
}

impl Term {
    fn holds(&self, facts: &Facts, env: &Env) -> Result<bool, String> {
        let holds = match &self.what {
            What::Predicate(name, _) if is_void(Kind::Predicate, name) => false,
            What::Constant(value) => *value,
            What::Group(any) => any.holds(facts, env)?,
            What::Predicate(name, arguments) => {
                let first = arguments.first().map_or("", String::as_str);
                let second = arguments.get(1).map_or("", String::as_str);
                predicate(name, first, second, facts, env).ok_or_else(|| {
                    format!("invalid argument to conditional expression predicate '{name}': '{first}'")
                })?
            }
        };
        Ok(holds != self.negated)
    }
}

/// `None` when the argument makes no sense to the predicate.
fn predicate(name: &str, first: &str, second: &str, facts: &Facts, env: &Env) -> Option<bool> {
    use std::cmp::Ordering::Less;
    Some(match name {
        "defined" => env.get(first).is_some(),
        "feature" => facts.features.iter().any(|f| f.strip_prefix('+') == Some(first)),
        "streq" => first == second,
        "strneq" => first != second,
        "strstr" => first.contains(second),
        "version_atleast" => version::compare(facts.version, first) != Some(Less),
        "version_before" => version::compare(facts.version, first) == Some(Less),
        "openssl_version_atleast" => version::compare_openssl(facts.openssl_version?, first)? != Less,
        "openssl_version_before" => version::compare_openssl(facts.openssl_version?, first)? == Less,
        "ssllib_name_startswith" => !facts.ssl_library.is_empty() && facts.ssl_library.starts_with(first),
        "awslc_api_atleast" => facts.awslc_api? >= first.parse().ok()?,
        "awslc_api_before" => facts.awslc_api? < first.parse().ok()?,
        "enabled" => facts.enabled.contains(&first),
        "fips_mode" => facts.fips,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn eval(expr: &str) -> Result<bool, CondError> {
        let facts = Facts {
            version: "3.4.0",
            features: vec!["+EPOLL", "-KQUEUE", "+OPENSSL"],
            enabled: vec!["EPOLL", "SPLICE"],
            ssl_library: "AWS-LC 1.50.0",
            openssl_version: Some("1.1.1"),
            awslc_api: Some(35),
            fips: false,
        };
        let mut env = Env::default();
        env.set("SET", "x");
        evaluate(expr, &facts, &env)
    }

    fn error(expr: &str) -> (usize, String) {
        let error = eval(expr).expect_err(expr);
        (error.column, error.message)
    }

    #[test]
    fn expressions() {
        for expr in [
            "1",
            "-1",
            "0x10",
            "!0",
            "! !1",
            "(1)",
            "0 || 1",
            "1 && 1",
            "1||0&&0",
            "(0||1) && !(0)",
            "defined(SET)",
            "!defined(UNSET)",
            "streq(a,a)",
            "streq(a b,a b)",
            "strneq(a,b)",
            "streq('a,b',\"a,b\")",
            "streq(a\\ b,'a b')",
            "strstr(haystack,stack)",
            "feature(EPOLL)",
            "!feature(KQUEUE)",
            "!feature(EPOL)",
            "enabled(SPLICE)",
            "!enabled(POLL)",
            "version_atleast(3.4)",
            "version_before(3.4.1)",
            "version_atleast(2.4-dev19)",
            "!version_before(3.4.0)",
            "streq(,)",
            "openssl_version_before(3.0.0)",
            "openssl_version_atleast(1.1.1)",
            "ssllib_name_startswith(AWS-LC)",
            "awslc_api_atleast(35)",
            "!awslc_api_before(35)",
            "!fips_mode()",
            "!fips_mode && 1",
            "1 || openssl_version_before(what)",
            "defined(SET) && ( streq(a,a) || 0 ) ",
        ] {
            assert_eq!(eval(expr), Ok(true), "{expr}");
        }
        for expr in ["", "0", "00", "!1", "streq(a, a)", "defined( SET )", "1 && 0 || 0"] {
            assert_eq!(eval(expr), Ok(false), "{expr}");
        }
    }

    #[test]
    fn errors_are_haproxy_s() {
        assert_eq!(error("foo"), (1, "unparsable conditional expression 'foo'".into()));
        assert_eq!(
            error("streq(1"),
            (
                8,
                "missing arguments (got 1/2), type 'string' expected in argument 1 of predicate 'streq' \
                 used in conditional expression"
                    .into()
            )
        );
        assert_eq!(
            error("streq(a,b").1,
            "expected ')' in argument 1 of predicate 'streq' used in conditional expression"
        );
        assert_eq!(
            error("defined(a,b)").1,
            "expected ')' before ',b)' in argument 1 of predicate 'defined' used in conditional expression"
        );
        assert_eq!(
            error("1 x"),
            (3, "unexpected character 'x' at the end of conditional expression '1 x'".into())
        );
        assert_eq!(error("(1").1, "expected ')' after conditional expression '(1'");
        assert!(eval("0 && nonsense(").is_err(), "parsed even when it does not matter");
        assert!(eval("awslc_api_before(x)").is_err());
        assert!(eval(&"(".repeat(100_000)).is_err());
        assert!(eval(&"!".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(expr in "[\\PC()!&|,\"'\\\\a0-9 ]{0,40}") {
            let _ = eval(&expr);
            let _ = eval(&format!("streq({expr}"));
        }
    }
}

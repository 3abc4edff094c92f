//! The files of `isobar test`: requests, and below each what is to become of it.
//!
//! ```text
//! config haproxy.cfg
//!
//! GET https://www.example.com/x from 203.0.113.7 with "Cookie: id=1"
//!     backend www
//!     server any
//!     status 200
//!     request-header X-Forwarded-For 203.0.113.7
//! ```

use std::path::{Path, PathBuf};

use super::asked::{self, Request};

/// What is to become of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    Frontend(String),
    /// `none`: no backend is chosen.
    Backend(String),
    /// `any`: whichever; `none`: no server is asked.
    Server(String),
    Status(u16),
    /// A field of the answer; without a value it is there.
    Header(String, Option<String>),
    NoHeader(String),
    /// Method and target as a server gets them.
    RequestLine(String),
    RequestHeader(String, Option<String>),
    NoRequestHeader(String),
    /// A log line has this in it.
    Log(String),
    /// The connection is ended without an answer.
    Closed,
}

/// An expectation, its line, and the words of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    pub line: usize,
    pub text: String,
    pub expected: Expected,
}

/// A request with what is expected of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    pub line: usize,
    pub request: Request,
    pub expectations: Vec<Expectation>,
}

/// One file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Script {
    /// The configuration, as files beside this one.
    pub files: Vec<PathBuf>,
    pub legacy: bool,
    pub cases: Vec<Case>,
}

const EXPECTATIONS: [&str; 11] = [
    "frontend",
    "backend",
    "server",
    "status",
    "header",
    "no-header",
    "request-line",
    "request-header",
    "no-request-header",
    "log",
    "closed",
];
const OPTIONS: [&str; 5] = ["from", "sni", "frontend", "with", "data"];

/// Words between blanks; quotes of either kind hold blanks together.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None if c == '#' && word.is_none() => break,
            _ => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}

fn hint(word: &str, known: &[&str]) -> String {
    crate::lang::suggest::hint(word, known.iter().copied())
        .map(|hint| format!("; {hint}"))
        .unwrap_or_default()
}

impl Script {
    /// Reads a file. The error has its place.
    pub fn parse(path: &Path, text: &str) -> Result<Script, String> {
        let mut script = Script::default();
        for (number, line) in text.lines().enumerate() {
            let number = number + 1;
            let placed = |e: String| format!("{}:{number}: {e}", path.display());
            let words = words(line).map_err(placed)?;
            let Some(first) = words.first() else { continue };
            if !line.starts_with([' ', '\t']) {
                script.begin(&words, number, path).map_err(placed)?;
                continue;
            }
            let Some(case) = script.cases.last_mut() else {
                return Err(placed(format!(
                    "'{first}' belongs to no request: one begins at the line's beginning"
                )));
            };
            let text = words.join(" ");
            let expected = expectation(&words).map_err(placed)?;
            case.expectations.push(Expectation { line: number, text, expected });
        }
        if let Some(case) = script.cases.iter().find(|case| case.expectations.is_empty()) {
            return Err(format!("{}:{}: nothing is expected of this request", path.display(), case.line));
        }
        if script.files.is_empty() && path.extension().is_some_and(|e| e == "test") {
            script.files.push(path.with_extension(""));
        }
        Ok(script)
    }

    fn begin(&mut self, words: &[String], line: usize, path: &Path) -> Result<(), String> {
        match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["config", files @ ..] if !files.is_empty() => {
                let folder = path.parent().unwrap_or(Path::new(""));
                self.files.extend(files.iter().map(|file| folder.join(file)));
            }
            ["legacy"] => self.legacy = true,
            [method, url, options @ ..] => {
                let mut request =
                    Request { method: (*method).to_owned(), url: (*url).to_owned(), ..Request::default() };
                request.check()?;
                for option in options.chunks(2) {
                    let [name, value] = option else {
                        return Err(format!("'{}' expects a value", option[0]));
                    };
                    match *name {
                        "from" => request.from = asked::address(value)?,
                        "sni" => request.sni = Some((*value).to_owned()),
                        "frontend" => request.frontend = Some((*value).to_owned()),
                        "with" => request.fields.push(asked::field((*value).to_owned())?),
                        "data" => request.body = (*value).to_owned(),
                        other => return Err(format!("unknown word '{other}'{}", hint(other, &OPTIONS))),
                    }
                }
                self.cases.push(Case { line, request, expectations: Vec::new() });
            }
            _ => return Err(format!("'{}' is no request: '<method> <url>' is the form", words.join(" "))),
        }
        Ok(())
    }
}

fn expectation(words: &[String]) -> Result<Expected, String> {
    let (name, rest) = words.split_first().ok_or("nothing is expected")?;
    let text = rest.join(" ");
    let named = || rest.first().cloned().ok_or_else(|| format!("'{name}' expects the name of a field"));
    let value = || (rest.len() > 1).then(|| rest[1..].join(" "));
    if rest.is_empty() && name != "closed" && EXPECTATIONS.contains(&name.as_str()) {
        return Err(format!("'{name}' expects a value"));
    }
    Ok(match name.as_str() {
        "frontend" => Expected::Frontend(text),
        "backend" => Expected::Backend(text),
        "server" => Expected::Server(text),
        "status" => Expected::Status(text.parse().map_err(|_| format!("'{text}' is no status"))?),
        "header" => Expected::Header(named()?, value()),
        "no-header" => Expected::NoHeader(named()?),
        "request-line" => Expected::RequestLine(text),
        "request-header" => Expected::RequestHeader(named()?, value()),
        "no-request-header" => Expected::NoRequestHeader(named()?),
        "log" => Expected::Log(text),
        "closed" => Expected::Closed,
        other => return Err(format!("unknown expectation '{other}'{}", hint(other, &EXPECTATIONS))),
    })
}

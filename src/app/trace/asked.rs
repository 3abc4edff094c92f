//! What is asked: the words behind `isobar trace` and `isobar test`.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use crate::lang::suggest;

/// A request that is to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub method: String,
    /// Absolute, or a path.
    pub url: String,
    pub from: IpAddr,
    /// The name that the client asks for with TLS.
    pub sni: Option<String>,
    /// `--frontend`.
    pub frontend: Option<String>,
    /// Header lines as they were given.
    pub fields: Vec<String>,
    pub body: String,
}

impl Default for Request {
    fn default() -> Self {
        Request {
            method: String::new(),
            url: String::new(),
            from: Ipv4Addr::LOCALHOST.into(),
            sni: None,
            frontend: None,
            fields: Vec::new(),
            body: String::new(),
        }
    }
}

/// `isobar trace`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    pub files: Vec<PathBuf>,
    pub legacy: bool,
    pub json: bool,
    pub request: Request,
}

/// `isobar test`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trial {
    pub scripts: Vec<PathBuf>,
    /// Instead of what the scripts name.
    pub files: Vec<PathBuf>,
    pub legacy: bool,
}

const TRACE_FLAGS: [&str; 8] = ["-f", "-H", "--from", "--sni", "--frontend", "--data", "--json", "--legacy"];
const TEST_FLAGS: [&str; 2] = ["-f", "--legacy"];

fn unknown(flag: &str, flags: &[&str]) -> String {
    let hint = suggest::hint(flag, flags.iter().copied()).map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("unknown option '{flag}'{hint}")
}

impl Asked {
    pub fn parse(words: &[String]) -> Result<Asked, String> {
        let mut asked = Asked::default();
        let mut plain = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let request = &mut asked.request;
            let mut value = || words.next().cloned().ok_or_else(|| format!("{word} expects a value"));
            match word.as_str() {
                "-f" => asked.files.push(value()?.into()),
                "-H" => request.fields.push(field(value()?)?),
                "--from" => request.from = address(&value()?)?,
                "--sni" => request.sni = Some(value()?),
                "--frontend" => request.frontend = Some(value()?),
                "--data" => request.body = value()?,
                "--json" => asked.json = true,
                "--legacy" => asked.legacy = true,
                flag if flag.starts_with('-') => return Err(unknown(flag, &TRACE_FLAGS)),
                word => plain.push(word.to_owned()),
            }
        }
        let form = "'isobar trace -f <file> [<option>...] <method> <url>' is the form";
        if asked.files.is_empty() {
            return Err(format!("of which file? {form}"));
        }
        let [method, url] = &plain[..] else { return Err(format!("which request? {form}")) };
        (asked.request.method, asked.request.url) = (method.clone(), url.clone());
        asked.request.check()?;
        Ok(asked)
    }
}

impl Trial {
    pub fn parse(words: &[String]) -> Result<Trial, String> {
        let mut trial = Trial::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "-f" => trial.files.push(words.next().ok_or("-f expects a value")?.into()),
                "--legacy" => trial.legacy = true,
                flag if flag.starts_with('-') => return Err(unknown(flag, &TEST_FLAGS)),
                file => trial.scripts.push(file.into()),
            }
        }
        if trial.scripts.is_empty() {
            return Err(
                "which file? 'isobar test [-f <configuration>]... [--legacy] <file>...' is the form".into()
            );
        }
        Ok(trial)
    }
}

/// `a.b.c.d` or an IPv6 address.
pub fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("'{text}' is no address"))
}

/// `Name: value`.
pub fn field(text: String) -> Result<String, String> {
    let name = text.split(':').next().unwrap_or_default();
    let is_name = !name.is_empty() && name.bytes().all(|c| c.is_ascii_graphic());
    if !text.contains(':') || !is_name || text.contains(['\r', '\n']) {
        return Err(format!("'{text}' is no header field: 'Name: value' is the form"));
    }
    Ok(text)
}

impl Request {
    /// Whether method and URL can be sent at all.
    pub fn check(&self) -> Result<(), String> {
        let is_word = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_graphic());
        if !is_word(&self.method) {
            return Err(format!("'{}' is no method", self.method));
        }
        let is_url = self.url.starts_with('/') || self.url == "*" || self.url.contains("://");
        if !is_word(&self.url) || !is_url {
            return Err(format!("'{}' is neither an absolute URL nor a path", self.url));
        }
        Ok(())
    }
}

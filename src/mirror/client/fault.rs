//! What goes wrong between a mirror and a registry, and what may be done about it.

use std::time::Duration;

use serde::Deserialize;

/// Of a registry's own words at most.
const WORDS: usize = 300;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No connection, or it broke.
    #[error("{host}: {why}")]
    Io { host: String, why: String },
    #[error("{host}: does not answer")]
    Slow { host: String },
    #[error("{host}: asks to come back in {} s", .wait.as_secs())]
    Limited { host: String, wait: Duration },
    #[error("{host}: {what}: {status} {words}")]
    Status { host: String, what: String, status: u16, words: String },
    #[error("{host}: {why}")]
    Unauthorized { host: String, why: String },
    /// What came is not what was asked for.
    #[error("{host}: {what}: the bytes have another digest, {found}")]
    Corrupt { host: String, what: String, found: String },
    /// What no other try will mend.
    #[error("{0}")]
    Invalid(String),
    #[error("stopped")]
    Stopped,
}

impl Fault {
    /// Whether the same may succeed a little later.
    pub fn is_passing(&self) -> bool {
        match self {
            Fault::Io { .. } | Fault::Slow { .. } | Fault::Limited { .. } | Fault::Corrupt { .. } => true,
            Fault::Status { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            Fault::Unauthorized { .. } | Fault::Invalid(_) | Fault::Stopped => false,
        }
    }

    pub fn is_status(&self, wanted: u16) -> bool {
        matches!(self, Fault::Status { status, .. } if *status == wanted)
    }

    /// What the metrics call it.
    pub fn cause(&self) -> &'static str {
        match self {
            Fault::Io { .. } => "connection",
            Fault::Slow { .. } => "timeout",
            Fault::Limited { .. } => "rate_limit",
            Fault::Status { status: 404, .. } => "not_found",
            Fault::Status { status: 500..=599, .. } => "server_error",
            Fault::Status { .. } => "refused",
            Fault::Unauthorized { .. } => "unauthorized",
            Fault::Corrupt { .. } => "digest",
            Fault::Invalid(_) => "invalid",
            Fault::Stopped => "stopped",
        }
    }
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// What a registry says in the body of an answer that is an error.
pub fn words(body: &[u8]) -> String {
    let text = match serde_json::from_slice::<Errors>(body) {
        Ok(Errors { errors }) => {
            errors.iter().map(|e| format!("{} {}", e.code, e.message)).collect::<Vec<_>>().join(", ")
        }
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    text.chars().filter(|c| !c.is_control()).take(WORDS).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_short_and_without_controls() {
        let body = br#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name\nnot known"}]}"#;
        assert_eq!(words(body), "NAME_UNKNOWN repository namenot known");
        assert_eq!(words(&[b'x'; 1000]).len(), WORDS);
        assert_eq!(words(b""), "");
    }

    #[test]
    fn what_passes_is_told_from_what_stays() {
        let status = |status| Fault::Status { host: "h".into(), what: "w".into(), status, words: "".into() };
        assert!([408, 429, 500, 503].into_iter().all(|s| status(s).is_passing()));
        assert!([400, 404, 405].into_iter().all(|s| !status(s).is_passing()));
        assert!(!Fault::Stopped.is_passing());
    }
}

//! Why something about TLS cannot be used, with the file and the line where there is one.

use std::fmt;
use std::io;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Pem(#[from] PemError),
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    #[error(transparent)]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    #[error("{0}: not a host name")]
    Name(String),
}

/// A fault of a text in PEM.
#[derive(Debug, thiserror::Error)]
pub struct PemError {
    /// The path of the file, or what else the text is.
    pub file: Box<str>,
    /// The line from 1, where the fault is of one.
    pub line: Option<usize>,
    #[source]
    pub fault: Fault,
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.fault),
            None => write!(f, "{}: {}", self.file, self.fault),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{}", crate::lang::load::reason(.0))]
    Io(io::Error),
    #[error("larger than {0} bytes")]
    Large(u64),
    /// Also of a file that is not PEM at all: DER, empty, any text.
    #[error("no certificate in it")]
    NoCertificate,
    #[error("no private key in it")]
    NoKey,
    #[error("no certificate revocation list in it")]
    NoCrl,
    #[error("the private key is encrypted")]
    Encrypted,
    #[error("'-----BEGIN {0}-----' without its end")]
    Unfinished(Box<str>),
    #[error("not base64")]
    Base64,
    #[error("a certificate that cannot be read ({0})")]
    Certificate(String),
    #[error("a private key that cannot be used ({0})")]
    Key(String),
    #[error("a certificate revocation list that cannot be read ({0})")]
    Crl(String),
    #[error("the private key is not that of the first certificate")]
    OtherKey,
}

//! What the words of `bind` and `server` lines, and of the lines of a `crt-list`, say about TLS, before files are read.

use std::path::{Path, PathBuf};

/// What one line about TLS says of handshakes; what is absent is said elsewhere (in `global`, or by the `bind` line of a
/// `crt-list`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options {
    /// `alpn`, or an empty text for `no-alpn`.
    pub alpn: Option<String>,
    pub ciphers: Option<String>,
    pub ciphersuites: Option<String>,
    /// `curves`, or `ecdhe` with its one curve.
    pub curves: Option<String>,
    /// `ssl-min-ver`, or `force-tlsvXX`.
    pub min: Option<Version>,
    /// `ssl-max-ver`, or `force-tlsvXX`.
    pub max: Option<Version>,
    /// `no-sslv3`, `no-tlsv10` and their kin.
    pub without: Vec<Version>,
    pub ca_file: Option<String>,
    pub ca_verify_file: Option<String>,
    pub crl_file: Option<String>,
    pub verify: Option<Verify>,
    pub has_early_data: bool,
    pub no_ca_names: bool,
}

/// Versions of the protocol that HAProxy has words for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    Ssl3,
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

/// What is asked of the other side's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verify {
    None,
    Optional,
    Required,
}

/// Where certificates come from, in the order of a `bind` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `crt`: a file, a directory or a bundle.
    Crt(String),
    /// `default-crt`.
    DefaultCrt(String),
    /// `crt-list`.
    CrtList(String),
}

/// The words of a `bind` line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BindWords {
    pub certificates: Vec<Source>,
    pub is_strict: bool,
    pub options: Options,
    pub ticket_keys: Option<String>,
    pub no_tickets: bool,
    pub prefer_client_ciphers: bool,
    pub crt_ignore_err: Ignored,
    pub ca_ignore_err: Ignored,
}

/// The words of a `server` line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerWords {
    /// `crt`: what is shown to a server that asks.
    pub crt: Option<String>,
    /// Of these `verify` is required unless it is said or `ssl-server-verify none` is.
    pub options: Options,
    pub verify_host: Option<String>,
    /// `no-ssl-reuse`.
    pub no_reuse: bool,
    pub no_tickets: bool,
}

/// Errors of certificates that do no harm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ignored {
    pub is_all: bool,
    pub codes: Vec<u32>,
}

/// What `global` says that is for every line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Globals {
    pub crt_base: Option<PathBuf>,
    pub ca_base: Option<PathBuf>,
    pub extra: ExtraFiles,
    /// `ssl-load-extra-del-ext`.
    pub is_extension_dropped: bool,
    /// `tune.ssl.cachesize`: blocks of about 200 bytes.
    pub cache_blocks: usize,
    /// `tune.ssl.lifetime`.
    pub lifetime_s: u64,
    /// `ssl-skip-self-issued-ca`.
    pub skips_self_issued: bool,
    pub stored: Vec<StoreLine>,
}

bitflags::bitflags! {
    /// `ssl-load-extra-files`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct ExtraFiles: u8 {
        const BUNDLE = 1;
        const SCTL = 2;
        const OCSP = 4;
        const ISSUER = 8;
        const KEY = 16;
    }
}

/// A `load` line of a `crt-store`, its bases merged into its paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreLine {
    /// `@store/name`: what `crt` calls it, once by its alias and once by its file.
    pub names: Vec<String>,
    pub crt: PathBuf,
    pub key: Option<PathBuf>,
    pub ocsp: Option<PathBuf>,
    pub issuer: Option<PathBuf>,
    pub sctl: Option<PathBuf>,
}

impl Default for Globals {
    fn default() -> Globals {
        Globals {
            crt_base: None,
            ca_base: None,
            extra: ExtraFiles::all(),
            is_extension_dropped: false,
            cache_blocks: 20_000,
            lifetime_s: 300,
            skips_self_issued: false,
            stored: Vec::new(),
        }
    }
}

impl Globals {
    pub(super) fn crt(&self, name: &str) -> PathBuf {
        based(self.crt_base.as_deref(), name)
    }

    pub(super) fn ca(&self, name: &str) -> PathBuf {
        based(self.ca_base.as_deref(), name)
    }
}

fn based(base: Option<&Path>, name: &str) -> PathBuf {
    match base {
        // A path of a transaction, of an environment or of a store (`@`) is taken as it is.
        Some(base) if !name.starts_with(['/', '@']) => base.join(name),
        _ => PathBuf::from(name),
    }
}

impl Version {
    pub fn parse(word: &str) -> Option<Version> {
        Some(match word {
            "SSLv3" => Version::Ssl3,
            "TLSv1.0" => Version::Tls10,
            "TLSv1.1" => Version::Tls11,
            "TLSv1.2" => Version::Tls12,
            "TLSv1.3" => Version::Tls13,
            _ => return None,
        })
    }

    /// As `no-` and `force-` call it.
    pub fn suffix(word: &str) -> Option<Version> {
        Some(match word {
            "sslv3" => Version::Ssl3,
            "tlsv10" => Version::Tls10,
            "tlsv11" => Version::Tls11,
            "tlsv12" => Version::Tls12,
            "tlsv13" => Version::Tls13,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Version::Ssl3 => "SSLv3",
            Version::Tls10 => "TLSv1.0",
            Version::Tls11 => "TLSv1.1",
            Version::Tls12 => "TLSv1.2",
            Version::Tls13 => "TLSv1.3",
        }
    }
}

impl Verify {
    pub fn parse(word: &str) -> Option<Verify> {
        match word {
            "none" => Some(Verify::None),
            "optional" => Some(Verify::Optional),
            "required" => Some(Verify::Required),
            _ => None,
        }
    }
}

/// Names of errors that newer versions take for numbers.
const ERRORS: [(&str, u32); 18] = [
    ("X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT", 2),
    ("X509_V_ERR_UNABLE_TO_GET_CRL", 3),
    ("X509_V_ERR_CERT_SIGNATURE_FAILURE", 7),
    ("X509_V_ERR_CRL_SIGNATURE_FAILURE", 8),
    ("X509_V_ERR_CERT_NOT_YET_VALID", 9),
    ("X509_V_ERR_CERT_HAS_EXPIRED", 10),
    ("X509_V_ERR_CRL_NOT_YET_VALID", 11),
    ("X509_V_ERR_CRL_HAS_EXPIRED", 12),
    ("X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT", 18),
    ("X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN", 19),
    ("X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", 20),
    ("X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE", 21),
    ("X509_V_ERR_CERT_CHAIN_TOO_LONG", 22),
    ("X509_V_ERR_CERT_REVOKED", 23),
    ("X509_V_ERR_INVALID_CA", 24),
    ("X509_V_ERR_PATH_LENGTH_EXCEEDED", 25),
    ("X509_V_ERR_INVALID_PURPOSE", 26),
    ("X509_V_ERR_CERT_UNTRUSTED", 27),
];

impl Ignored {
    /// The word after `crt-ignore-err` or `ca-ignore-err`.
    pub fn parse(word: &str) -> Result<Ignored, String> {
        if word == "all" {
            return Ok(Ignored { is_all: true, codes: Vec::new() });
        }
        let code = |item: &str| {
            let named = ERRORS.iter().find(|(name, _)| *name == item).map(|(_, code)| *code);
            let code = named.or_else(|| item.parse().ok()).filter(|code| (1..=94).contains(code));
            code.ok_or_else(|| format!("error codes '{item}' out of range"))
        };
        Ok(Ignored { is_all: false, codes: word.split(',').map(code).collect::<Result<_, _>>()? })
    }

    pub fn has(&self, code: u32) -> bool {
        self.is_all || self.codes.contains(&code)
    }
}

impl Options {
    /// Reads a word that both a `bind` line and a line of a `crt-list` have, and how many words it took with its values;
    /// `None` for another.
    pub fn read(&mut self, words: &[&str]) -> Option<Result<usize, String>> {
        let (word, rest) = words.split_first()?;
        let value = || match rest.first() {
            Some(value) if !value.is_empty() => Ok((*value).to_owned()),
            _ => Err(format!("'{word}' : missing {}", missing(word))),
        };
        let target = match *word {
            "alpn" => &mut self.alpn,
            "ciphers" => &mut self.ciphers,
            "ciphersuites" => &mut self.ciphersuites,
            "curves" | "ecdhe" => &mut self.curves,
            "ca-file" => &mut self.ca_file,
            "ca-verify-file" => &mut self.ca_verify_file,
            "crl-file" => &mut self.crl_file,
            // Its protocol is dead.
            "npn" => return Some(value().map(|_| 2)),
            _ => return self.read_other(word, value),
        };
        Some(value().map(|value| {
            *target = Some(value);
            2
        }))
    }

    fn read_other(
        &mut self,
        word: &str,
        value: impl Fn() -> Result<String, String>,
    ) -> Option<Result<usize, String>> {
        let version = || {
            let value = value()?;
            Version::parse(&value).ok_or_else(|| format!("'{word}' : unknown ssl/tls version"))
        };
        let read = match word {
            "allow-0rtt" => {
                self.has_early_data = true;
                Ok(1)
            }
            "no-ca-names" => {
                self.no_ca_names = true;
                Ok(1)
            }
            "no-alpn" => {
                self.alpn = Some(String::new());
                Ok(1)
            }
            "ssl-min-ver" => version().map(|version| {
                self.min = Some(version);
                2
            }),
            "ssl-max-ver" => version().map(|version| {
                self.max = Some(version);
                2
            }),
            "verify" => value().and_then(|value| {
                let unknown = || format!("'{word}' : unknown verify method '{value}', only 'none', 'optional', and 'required' are supported");
                self.verify = Some(Verify::parse(&value).ok_or_else(unknown)?);
                Ok(2)
            }),
            _ => return self.read_version(word),
        };
        Some(read)
    }

    fn read_version(&mut self, word: &str) -> Option<Result<usize, String>> {
        if let Some(version) = word.strip_prefix("no-").and_then(Version::suffix) {
            self.without.push(version);
        } else {
            let version = word.strip_prefix("force-").and_then(Version::suffix)?;
            (self.min, self.max) = (Some(version), Some(version));
        }
        Some(Ok(1))
    }

    /// These, and for what they leave open the others.
    pub fn or(&self, other: &Options) -> Options {
        let text = |own: &Option<String>, other: &Option<String>| own.clone().or_else(|| other.clone());
        let says_versions = self.min.is_some() || self.max.is_some() || !self.without.is_empty();
        let versions = if says_versions { self } else { other };
        Options {
            alpn: text(&self.alpn, &other.alpn),
            ciphers: text(&self.ciphers, &other.ciphers),
            ciphersuites: text(&self.ciphersuites, &other.ciphersuites),
            curves: text(&self.curves, &other.curves),
            min: versions.min,
            max: versions.max,
            without: versions.without.clone(),
            ca_file: text(&self.ca_file, &other.ca_file),
            ca_verify_file: text(&self.ca_verify_file, &other.ca_verify_file),
            crl_file: text(&self.crl_file, &other.crl_file),
            verify: self.verify.or(other.verify),
            has_early_data: self.has_early_data || other.has_early_data,
            no_ca_names: self.no_ca_names || other.no_ca_names,
        }
    }
}

fn missing(word: &str) -> &'static str {
    match word {
        "alpn" | "npn" => "the comma-delimited protocol suite",
        "ciphers" => "cipher suite",
        "ciphersuites" => "ciphersuites",
        "curves" => "curve suite",
        "ecdhe" => "named curve",
        "ca-file" | "ca-verify-file" => "CAfile path",
        "crl-file" => "CRLfile path",
        "verify" => "verify method",
        _ => "version",
    }
}

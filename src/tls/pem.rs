//! PEM (RFC 7468, and what older programs write): the sections of a text, each with its place. Text around sections and
//! sections of other kinds (parameters, comments of `openssl`) are passed over; line ends and their absence do not matter.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer,
    PrivateSec1KeyDer,
};

use super::error::{Fault, PemError};

/// No file of these is larger: the authorities of the world are a quarter of a megabyte.
const FILE_BYTES: u64 = 16 << 20;
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Programs differ in padding, and all read each other's.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What a section holds.
#[derive(Debug)]
pub enum Item {
    Certificate(CertificateDer<'static>),
    Key(PrivateKeyDer<'static>),
    /// A key that needs a passphrase.
    EncryptedKey,
    Crl(CertificateRevocationListDer<'static>),
}

/// An item and the line where its section begins.
pub type Placed = (usize, Item);

/// All that a text holds, in its order.
#[derive(Debug)]
pub struct Pem {
    file: Box<str>,
    items: Vec<Placed>,
}

impl Pem {
    /// `file`: the path of the text, or what else it is, for errors.
    pub fn parse(file: &str, text: &[u8]) -> Result<Pem, PemError> {
        Ok(Pem { file: file.into(), items: Sections::new(file, text).collect::<Result<_, _>>()? })
    }

    /// Reads a file. Blocks.
    pub fn open(path: &Path) -> Result<Pem, PemError> {
        let file = path.display().to_string();
        let failed = |fault| PemError { file: file.as_str().into(), line: None, fault };
        let mut text = Vec::new();
        let opened = File::open(path).and_then(|f| f.take(FILE_BYTES + 1).read_to_end(&mut text));
        opened.map_err(|e: io::Error| failed(Fault::Io(e)))?;
        if text.len() as u64 > FILE_BYTES {
            return Err(failed(Fault::Large(FILE_BYTES)));
        }
        Pem::parse(&file, &text)
    }

    pub fn file(&self) -> &str {
        &self.file
    }

    /// At least one certificate.
    pub fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, PemError> {
        Ok(self.placed()?.into_iter().map(|(_, certificate)| certificate).collect())
    }

    /// The first certificate.
    pub fn certificate(&self) -> Result<CertificateDer<'static>, PemError> {
        self.certificates()?.into_iter().next().ok_or_else(|| self.fault(None, Fault::NoCertificate))
    }

    /// At least one certificate, each with its line.
    pub(super) fn placed(&self) -> Result<Vec<(usize, CertificateDer<'static>)>, PemError> {
        let certificate = |(line, item): &Placed| match item {
            Item::Certificate(der) => Some((*line, der.clone())),
            _ => None,
        };
        let found: Vec<_> = self.items.iter().filter_map(certificate).collect();
        if found.is_empty() { Err(self.fault(None, Fault::NoCertificate)) } else { Ok(found) }
    }

    /// The first private key, with its line.
    pub fn key(&self) -> Result<(usize, PrivateKeyDer<'static>), PemError> {
        let key = |(line, item): &Placed| match item {
            Item::Key(der) => Some(Ok((*line, der.clone_key()))),
            Item::EncryptedKey => Some(Err(self.fault(Some(*line), Fault::Encrypted))),
            _ => None,
        };
        self.items.iter().find_map(key).unwrap_or_else(|| Err(self.fault(None, Fault::NoKey)))
    }

    /// At least one certificate revocation list, each with its line.
    pub(super) fn crls(&self) -> Result<Vec<(usize, CertificateRevocationListDer<'static>)>, PemError> {
        let crl = |(line, item): &Placed| match item {
            Item::Crl(der) => Some((*line, der.clone())),
            _ => None,
        };
        let found: Vec<_> = self.items.iter().filter_map(crl).collect();
        if found.is_empty() { Err(self.fault(None, Fault::NoCrl)) } else { Ok(found) }
    }

    pub(super) fn fault(&self, line: Option<usize>, fault: Fault) -> PemError {
        PemError { file: self.file.clone(), line, fault }
    }
}

/// The lines of a file with their numbers.
type Lines<'a> = std::iter::Enumerate<std::slice::Split<'a, u8, fn(&u8) -> bool>>;

/// The items of a text one by one: what is broken is an error, and the next may be right.
pub(super) struct Sections<'a> {
    file: &'a str,
    lines: Lines<'a>,
}

impl<'a> Sections<'a> {
    pub(super) fn new(file: &'a str, text: &'a [u8]) -> Sections<'a> {
        let is_end: fn(&u8) -> bool = |byte| *byte == b'\n';
        Sections { file, lines: text.split(is_end).enumerate() }
    }

    fn fault(&self, line: usize, fault: Fault) -> PemError {
        PemError { file: self.file.into(), line: Some(line), fault }
    }

    /// The label of the next section and its line.
    fn begin(&mut self) -> Option<(usize, &'a str)> {
        self.lines.find_map(|(n, line)| {
            let line = std::str::from_utf8(line).ok()?.trim_end();
            Some((n + 1, line.strip_prefix(BEGIN)?.strip_suffix(DASHES)?))
        })
    }

    /// The rest of the section that began at a line.
    fn body(&mut self, begin: usize, label: &str) -> Result<Body, PemError> {
        let mut body = Body { text: Vec::new(), is_encrypted: false, broken: None };
        for (n, line) in self.lines.by_ref() {
            let line = line.trim_ascii();
            if let Some(rest) = line.strip_prefix(END.as_bytes()) {
                match rest.strip_suffix(DASHES.as_bytes()) {
                    Some(end) if end == label.as_bytes() => return Ok(body),
                    _ => break,
                }
            }
            if line.starts_with(BEGIN.as_bytes()) {
                break;
            }
            body.take(n + 1, line);
        }
        Err(self.fault(begin, Fault::Unfinished(label.into())))
    }
}

impl Iterator for Sections<'_> {
    type Item = Result<Placed, PemError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (line, label) = self.begin()?;
            let body = match self.body(line, label) {
                Ok(body) => body,
                Err(e) => return Some(Err(e)),
            };
            match body.item(line, label) {
                Ok(Some(item)) => return Some(Ok((line, item))),
                Ok(None) => {}
                Err(at) => return Some(Err(self.fault(at, Fault::Base64))),
            }
        }
    }
}

struct Body {
    text: Vec<u8>,
    is_encrypted: bool,
    /// The first line that is not base64.
    broken: Option<usize>,
}

impl Body {
    fn take(&mut self, n: usize, line: &[u8]) {
        // A field of a header (RFC 1421), as keys had them.
        if let Some((name, value)) = std::str::from_utf8(line).ok().and_then(|text| text.split_once(':')) {
            self.is_encrypted |= name == "Proc-Type" && value.contains("ENCRYPTED");
            return;
        }
        let of_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/= \t".contains(byte);
        if !line.iter().all(of_base64) {
            self.broken.get_or_insert(n);
        }
        self.text.extend(line.iter().filter(|byte| !byte.is_ascii_whitespace()));
    }

    /// `None` for one of another kind; the line where it is not base64.
    fn item(self, begin: usize, label: &str) -> Result<Option<Item>, usize> {
        let der = || match self.broken {
            None => BASE64.decode(&self.text).map_err(|_| begin),
            Some(line) => Err(line),
        };
        Ok(Some(match label {
            "CERTIFICATE" | "X509 CERTIFICATE" => Item::Certificate(der()?.into()),
            "X509 CRL" => Item::Crl(der()?.into()),
            "ENCRYPTED PRIVATE KEY" => Item::EncryptedKey,
            "PRIVATE KEY" => Item::Key(PrivatePkcs8KeyDer::from(der()?).into()),
            "RSA PRIVATE KEY" | "EC PRIVATE KEY" if self.is_encrypted => Item::EncryptedKey,
            "RSA PRIVATE KEY" => Item::Key(PrivatePkcs1KeyDer::from(der()?).into()),
            "EC PRIVATE KEY" => Item::Key(PrivateSec1KeyDer::from(der()?).into()),
            _ => return Ok(None),
        }))
    }
}

/// A section of a label.
pub fn encode(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let mut out = format!("{BEGIN}{label}{DASHES}\n");
    for line in text.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out + END + label + DASHES + "\n"
}

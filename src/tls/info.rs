//! What sample fetches tell of certificates (`ssl_c_*`, `ssl_f_*`, `ssl_s_*`) and of connections (`ssl_fc_*`, `ssl_bc_*`), in
//! HAProxy's and OpenSSL's words.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls::{NamedGroup, ProtocolVersion};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;
use xxhash_rust::xxh64::xxh64;

use super::oid;
use super::suite;

/// A certificate that was read.
pub struct Certificate<'a>(X509Certificate<'a>);

impl<'a> Certificate<'a> {
    pub fn read(der: &'a [u8]) -> Option<Certificate<'a>> {
        X509Certificate::from_der(der).ok().map(|(_, of)| Certificate(of))
    }

    pub fn subject(&self) -> Dn<'_> {
        Dn(self.0.subject())
    }

    pub fn issuer(&self) -> Dn<'_> {
        Dn(self.0.issuer())
    }

    /// The bytes of the number, which is positive.
    pub fn serial(&self) -> &[u8] {
        let raw = self.0.raw_serial();
        match raw {
            [0, rest @ ..] if !rest.is_empty() => rest,
            _ => raw,
        }
    }

    pub fn not_before(&self) -> Option<String> {
        time(&self.0.validity().not_before)
    }

    pub fn not_after(&self) -> Option<String> {
        time(&self.0.validity().not_after)
    }

    pub fn version(&self) -> i64 {
        i64::from(self.0.version().0) + 1
    }

    /// The kind of its key with its size: `RSA2048`, `EC256`.
    pub fn key(&self) -> Option<String> {
        match self.0.public_key().parsed().ok()? {
            PublicKey::RSA(key) => Some(format!("RSA{}", key.key_size())),
            // The point is one byte and two numbers; those of P-521 are rounded up to bytes.
            PublicKey::EC(point) if point.key_size() == 528 => Some("EC521".to_owned()),
            PublicKey::EC(point) => Some(format!("EC{}", point.key_size())),
            PublicKey::DSA(_) => Some("DSA".to_owned()),
            _ => None,
        }
    }

    /// The kind of its key.
    pub fn key_algorithm(&self) -> String {
        oid::short_name(&self.0.public_key().algorithm.algorithm.to_id_string())
    }

    /// How it was signed.
    pub fn signature_algorithm(&self) -> String {
        oid::short_name(&self.0.signature_algorithm.algorithm.to_id_string())
    }

    /// Its other names, as OpenSSL prints them.
    pub fn alternative_names(&self) -> String {
        let names = self.0.subject_alternative_name().ok().flatten();
        let names = names.iter().flat_map(|names| &names.value.general_names).filter_map(general_name);
        names.collect::<Vec<_>>().join(", ")
    }
}

fn general_name(name: &GeneralName<'_>) -> Option<String> {
    Some(match name {
        GeneralName::DNSName(name) => format!("DNS:{name}"),
        GeneralName::RFC822Name(name) => format!("email:{name}"),
        GeneralName::URI(name) => format!("URI:{name}"),
        GeneralName::IPAddress(bytes) => match <[u8; 4]>::try_from(*bytes) {
            Ok(four) => format!("IP Address:{}", std::net::Ipv4Addr::from(four)),
            Err(_) => {
                let groups = bytes.chunks_exact(2).map(|pair| match pair {
                    [high, low] => format!("{:X}", u16::from_be_bytes([*high, *low])),
                    _ => String::new(),
                });
                format!("IP Address:{}", groups.collect::<Vec<_>>().join(":"))
            }
        },
        GeneralName::DirectoryName(name) => format!("DirName:{}", Dn(name).line()),
        GeneralName::RegisteredID(id) => format!("Registered ID:{}", oid::short_name(&id.to_id_string())),
        _ => return None,
    })
}

/// As the certificate has it, without the century.
fn time(time: &ASN1Time) -> Option<String> {
    let moment = time.to_datetime();
    let year = moment.year();
    // Whichever of the two forms it has, HAProxy tells years of this century, and of the last in the short form.
    if time.is_generalizedtime() && !(2000..2100).contains(&year) {
        return None;
    }
    let (month, day) = (u8::from(moment.month()), moment.day());
    let (hour, minute, second) = moment.to_hms();
    Some(format!("{:02}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z", year.rem_euclid(100)))
}

/// The digest by which certificates are known.
pub fn sha1(der: &[u8]) -> Vec<u8> {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, der).as_ref().to_vec()
}

/// A distinguished name.
pub struct Dn<'a>(&'a X509Name<'a>);

impl<'a> Dn<'a> {
    pub(super) fn of(name: &'a X509Name<'a>) -> Dn<'a> {
        Dn(name)
    }
    /// Each part's short name and its bytes.
    fn parts(&self) -> impl DoubleEndedIterator<Item = (String, Vec<u8>)> {
        let parts: Vec<_> = self
            .0
            .iter_attributes()
            .map(|part| (oid::short_name(&part.attr_type().to_id_string()), part.attr_value().data.to_vec()))
            .collect();
        parts.into_iter()
    }

    /// All of it on a line: `/C=FR/CN=name`.
    pub fn line(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// The same, whatever its bytes are.
    pub fn bytes(&self) -> Vec<u8> {
        self.parts().fold(Vec::new(), |mut line, (name, value)| {
            line.push(b'/');
            line.extend(name.as_bytes());
            line.push(b'=');
            line.extend(value);
            line
        })
    }

    /// One part by its short name: the nth from the beginning, or from the end if that is negative.
    pub fn entry(&self, name: &str, place: i64) -> Option<Vec<u8>> {
        let mut found = self.parts().filter(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let nth = usize::try_from(place.unsigned_abs()).ok()?.checked_sub(1)?;
        if place < 0 { found.rev().nth(nth) } else { found.nth(nth) }
    }

    /// With blanks, as newer versions of OpenSSL print it: `C = FR, CN = name`.
    pub(super) fn oneline(&self) -> String {
        let part = |(name, value): (String, Vec<u8>)| format!("{name} = {}", String::from_utf8_lossy(&value));
        self.parts().map(part).collect::<Vec<_>>().join(", ")
    }

    /// In the form of RFC 2253: `CN=name,C=FR`.
    pub fn rfc2253(&self) -> String {
        let sets: Vec<String> = self
            .0
            .iter_rdn()
            .map(|set| {
                let part = |part: &x509_parser::x509::AttributeTypeAndValue<'_>| {
                    let name = oid::short_name(&part.attr_type().to_id_string());
                    format!("{name}={}", escaped(part.attr_value().data))
                };
                set.iter().map(part).collect::<Vec<_>>().join("+")
            })
            .collect();
        sets.into_iter().rev().collect::<Vec<_>>().join(",")
    }
}

fn escaped(value: &[u8]) -> String {
    let mut text = String::new();
    for (at, byte) in value.iter().enumerate() {
        let is_edge = at == 0 || at + 1 == value.len();
        match *byte {
            byte @ (b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';') => {
                text.push('\\');
                text.push(byte.into());
            }
            b' ' if is_edge => text.push_str("\\ "),
            b'#' if at == 0 => text.push_str("\\#"),
            byte @ 0x20..0x7f => text.push(byte.into()),
            byte => text.push_str(&format!("\\{byte:02X}")),
        }
    }
    text
}

/// Certificates one after the other.
pub fn chain_der<'a>(chain: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    chain.into_iter().fold(Vec::new(), |mut all, der| {
        all.extend_from_slice(der);
        all
    })
}

/// Who stands at the end of a chain: whom its last certificate names.
pub fn root_dn(chain: &[&[u8]]) -> Option<String> {
    let last = chain.last().and_then(|der| Certificate::read(der))?;
    Some(last.issuer().line())
}

pub fn protocol(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        _ => "unknown",
    }
}

/// The name of the suite that was agreed on.
pub fn cipher(suite: rustls::CipherSuite) -> &'static str {
    suite::name(suite.into()).unwrap_or("(NONE)")
}

/// Its key's bits: `ssl_fc_alg_keysize` and `ssl_fc_use_keysize`.
pub fn key_bits(suite: rustls::CipherSuite) -> u32 {
    suite::bits(suite.into()).unwrap_or_default()
}

pub fn curve(group: NamedGroup) -> String {
    match group {
        NamedGroup::secp256r1 => "prime256v1".into(),
        NamedGroup::secp384r1 => "secp384r1".into(),
        NamedGroup::secp256r1MLKEM768 => "SecP256r1MLKEM768".into(),
        other => other.as_str().map_or_else(|| format!("{:#06x}", u16::from(other)), Into::into),
    }
}

/// Whether a number only keeps others from counting on what they know (RFC 8701).
fn is_grease(id: u16) -> bool {
    let [high, low] = id.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

/// A list of numbers of two bytes without those that mean nothing: `ssl_fc_cipherlist_bin(1)` and its kin.
pub fn without_grease(list: &[u8]) -> Vec<u8> {
    let of = |pair: &&[u8]| !matches!(pair, [high, low] if is_grease(u16::from_be_bytes([*high, *low])));
    list.chunks(2).filter(of).flatten().copied().collect()
}

/// The names of suites: `ssl_fc_cipherlist_str`.
pub fn cipher_names(list: &[u8]) -> String {
    let name = |pair: &[u8]| {
        let id = match pair {
            [high, low] => u16::from_be_bytes([*high, *low]),
            _ => 0,
        };
        match (suite::name(id), id) {
            (Some(name), _) => name.to_owned(),
            (None, 0x00ff) => "TLS_EMPTY_RENEGOTIATION_INFO_SCSV".into(),
            (None, 0x5600) => "TLS_FALLBACK_SCSV".into(),
            (None, id) => format!("UNKNOWN({id:04x})"),
        }
    };
    list.chunks_exact(2).map(name).collect::<Vec<_>>().join(",")
}

/// `ssl_fc_cipherlist_xxh`.
pub fn cipher_hash(list: &[u8]) -> i64 {
    xxh64(list, 0).cast_signed()
}

//! Signatures of messages by a shared secret (RFC 8945).

use aws_lc_rs::hmac;

use crate::dns::name::{QName, wire_len};
use crate::dns::wire::{rtype, u16_at};

/// How messages are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl Algorithm {
    pub fn of(name: &str) -> Option<Algorithm> {
        match name {
            "hmac-sha256" => Some(Algorithm::Sha256),
            "hmac-sha384" => Some(Algorithm::Sha384),
            "hmac-sha512" => Some(Algorithm::Sha512),
            _ => None,
        }
    }

    fn wire(self) -> &'static [u8] {
        match self {
            Algorithm::Sha256 => b"\x0bhmac-sha256\0",
            Algorithm::Sha384 => b"\x0bhmac-sha384\0",
            Algorithm::Sha512 => b"\x0bhmac-sha512\0",
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Algorithm::Sha256 => hmac::HMAC_SHA256,
            Algorithm::Sha384 => hmac::HMAC_SHA384,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
        }
    }
}

/// A shared secret and its name, in wire form and lower case.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    pub name: Box<[u8]>,
    pub algorithm: Algorithm,
    pub secret: Box<[u8]>,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", crate::dns::name::to_text(&self.name))
    }
}

/// How far clocks may be apart, in seconds.
const FUDGE_S: u16 = 300;
const CLASS_ANY: u16 = 255;

/// Errors of the record itself.
const BADSIG: u16 = 16;
const BADKEY: u16 = 17;
const BADTIME: u16 = 18;

/// What a signature is worth.
pub enum Verdict {
    /// By the key of this number; answers are signed by what comes with it.
    Good(usize, Signer),
    /// To be answered with NOTAUTH and [`rejection`].
    Bad(u16),
    /// No such record can be read there.
    Malformed,
}

/// Signs the messages of an answer, each by what was signed before.
pub struct Signer {
    key: Key,
    before: Vec<u8>,
    original_id: u16,
    is_first: bool,
}

struct Record<'p> {
    name: QName,
    algorithm: QName,
    time_s: u64,
    fudge_s: u16,
    mac: &'p [u8],
    original_id: u16,
    error: u16,
    other: &'p [u8],
}

fn read(packet: &[u8], at: usize) -> Option<Record<'_>> {
    let (name, fixed) = QName::parse(packet, at)?;
    let is_one = u16_at(packet, fixed)? == rtype::TSIG && u16_at(packet, fixed + 2)? == CLASS_ANY;
    let size = usize::from(u16_at(packet, fixed + 8)?);
    let rdata = packet.get(fixed + 10..fixed + 10 + size)?;
    let (algorithm, rest_at) = QName::parse(rdata, 0).filter(|_| is_one)?;
    let rest = &rdata[rest_at..];
    let time = rest.get(..6)?.iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet));
    let mac_size = usize::from(u16_at(rest, 8)?);
    let mac = rest.get(10..10 + mac_size)?;
    let tail = &rest[10 + mac_size..];
    let other = tail.get(6..6 + usize::from(u16_at(tail, 4)?))?;
    Some(Record {
        name,
        algorithm,
        time_s: time,
        fudge_s: u16_at(rest, 6)?,
        mac,
        original_id: u16_at(tail, 0)?,
        error: u16_at(tail, 2)?,
        other,
    })
}

/// The variables that are signed with a message (RFC 8945, 4.3.3).
fn variables(name: &[u8], algorithm: &[u8], time_s: u64, fudge_s: u16, error: u16, other: &[u8]) -> Vec<u8> {
    let mut out = name.to_vec();
    out.extend(CLASS_ANY.to_be_bytes());
    out.extend([0; 4]);
    out.extend(algorithm);
    out.extend(&time_s.to_be_bytes()[2..]);
    out.extend(fudge_s.to_be_bytes());
    out.extend(error.to_be_bytes());
    out.extend((other.len() as u16).to_be_bytes());
    out.extend(other);
    out
}

/// The message without its signature, which begins at `at`.
pub fn unsigned(packet: &[u8], at: usize) -> Vec<u8> {
    let mut message = packet[..at].to_vec();
    let count = u16_at(&message, 10).unwrap_or(1).saturating_sub(1);
    message[10..12].copy_from_slice(&count.to_be_bytes());
    message
}

/// Judges the signature that begins at `at`. `now_s`: seconds since 1970.
pub fn verify(packet: &[u8], at: usize, keys: &[Key], now_s: u64) -> Verdict {
    let Some(record) = read(packet, at) else { return Verdict::Malformed };
    let known = keys.iter().position(|key| {
        *key.name == *record.name.as_wire() && key.algorithm.wire() == record.algorithm.as_wire()
    });
    let Some(number) = known else { return Verdict::Bad(BADKEY) };
    let key = &keys[number];
    let mut signed = unsigned(packet, at);
    signed[..2].copy_from_slice(&record.original_id.to_be_bytes());
    let (name, algorithm) = (record.name.as_wire(), record.algorithm.as_wire());
    signed.extend(variables(name, algorithm, record.time_s, record.fudge_s, record.error, record.other));
    // A truncated signature is none to us (RFC 8945, 5.2.2.1, lets local policy decide).
    let secret = hmac::Key::new(key.algorithm.hmac(), &key.secret);
    if hmac::verify(&secret, &signed, record.mac).is_err() {
        return Verdict::Bad(BADSIG);
    }
    if now_s.abs_diff(record.time_s) > u64::from(record.fudge_s) {
        return Verdict::Bad(BADTIME);
    }
    let original_id = record.original_id;
    Verdict::Good(
        number,
        Signer { key: key.clone(), before: record.mac.to_vec(), original_id, is_first: true },
    )
}

impl Signer {
    /// Adds the signature to a message.
    pub fn sign(&mut self, message: &mut Vec<u8>, now_s: u64) {
        let mut signed = (self.before.len() as u16).to_be_bytes().to_vec();
        signed.extend(&self.before);
        signed.extend(&self.original_id.to_be_bytes());
        signed.extend(&message[2..]);
        let algorithm = self.key.algorithm.wire();
        if self.is_first {
            signed.extend(variables(&self.key.name, algorithm, now_s, FUDGE_S, 0, &[]));
        } else {
            signed.extend(&now_s.to_be_bytes()[2..]);
            signed.extend(FUDGE_S.to_be_bytes());
        }
        let secret = hmac::Key::new(self.key.algorithm.hmac(), &self.key.secret);
        let mac = hmac::sign(&secret, &signed);
        self.before = mac.as_ref().to_vec();
        self.is_first = false;
        append(message, &self.key.name, algorithm, now_s, &self.before, self.original_id, 0);
    }
}

/// Octets that a signature adds to a message.
pub const ROOM: usize = 10 + 255 + 13 + 16 + 64;

/// Adds to a message why its query was not believed, unsigned (RFC 8945, 5.3.2).
pub fn rejection(packet: &[u8], at: usize, error: u16, now_s: u64, message: &mut Vec<u8>) {
    let Some(record) = read(packet, at) else { return };
    append(message, record.name.as_wire(), record.algorithm.as_wire(), now_s, &[], record.original_id, error);
}

fn append(message: &mut Vec<u8>, name: &[u8], algorithm: &[u8], now_s: u64, mac: &[u8], id: u16, error: u16) {
    debug_assert!(wire_len(name) == Some(name.len()));
    message.extend(name);
    message.extend(rtype::TSIG.to_be_bytes());
    message.extend(CLASS_ANY.to_be_bytes());
    message.extend([0; 4]);
    message.extend(((algorithm.len() + 16 + mac.len()) as u16).to_be_bytes());
    message.extend(algorithm);
    message.extend(&now_s.to_be_bytes()[2..]);
    message.extend(FUDGE_S.to_be_bytes());
    message.extend((mac.len() as u16).to_be_bytes());
    message.extend(mac);
    message.extend(id.to_be_bytes());
    message.extend(error.to_be_bytes());
    message.extend([0, 0]);
    let count = u16_at(message, 10).unwrap_or(0) + 1;
    message[10..12].copy_from_slice(&count.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::wire::Query;

    fn key(secret: &[u8]) -> Key {
        Key { name: (*b"\x04test\0").into(), algorithm: Algorithm::Sha256, secret: secret.into() }
    }

    /// A query signed as a client does: like an answer to nothing.
    fn signed(key: &Key, now_s: u64) -> Vec<u8> {
        let mut packet = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\x01a\0\0\x06\0\x01".to_vec();
        let mut whole = packet.clone();
        whole.extend(variables(&key.name, key.algorithm.wire(), now_s, FUDGE_S, 0, &[]));
        let mac = hmac::sign(&hmac::Key::new(key.algorithm.hmac(), &key.secret), &whole);
        append(&mut packet, &key.name, key.algorithm.wire(), now_s, mac.as_ref(), 0x1234, 0);
        packet
    }

    fn judge(packet: &[u8], keys: &[Key], now_s: u64) -> Verdict {
        let (query, read) = Query::parse(packet);
        read.expect("readable");
        verify(packet, query.tsig_at.expect("a signature"), keys, now_s)
    }

    #[test]
    fn a_signature_holds_for_its_key_message_and_time() {
        let keys = [key(b"other"), key(b"secret")];
        // Of two keys of one name the first is the one.
        let packet = signed(&keys[0], 1000);
        assert!(matches!(judge(&packet, &keys, 1300), Verdict::Good(0, _)));
        assert!(matches!(judge(&packet, &keys, 1301), Verdict::Bad(BADTIME)));
        assert!(matches!(judge(&packet, &keys[1..], 1000), Verdict::Bad(BADSIG)));
        assert!(matches!(judge(&packet, &[], 1000), Verdict::Bad(BADKEY)));
        let mut changed = packet.clone();
        changed[13] = b'b';
        assert!(matches!(judge(&changed, &keys, 1000), Verdict::Bad(BADSIG)));
        for size in 20..packet.len() {
            assert!(matches!(verify(&packet[..size], 19, &keys, 1000), Verdict::Malformed | Verdict::Bad(_)));
        }
    }

    #[test]
    fn answers_are_a_chain() {
        let keys = [key(b"secret")];
        let packet = signed(&keys[0], 1000);
        let Verdict::Good(_, mut signer) = judge(&packet, &keys, 1000) else { panic!("good") };
        let message = b"\x12\x34\x80\0\0\x01\0\0\0\0\0\0\x01a\0\0\x06\0\x01".to_vec();
        let (mut first, mut second) = (message.clone(), message.clone());
        signer.sign(&mut first, 1001);
        signer.sign(&mut second, 1001);
        assert_eq!((first[11], unsigned(&first, message.len())), (1, message));
        assert_ne!(first, second, "the second is signed by what the first was signed with");
    }
}

//! AES-GCM for the records of TLS 1.3: by the library that is the faster one here, and into the very buffer that they are
//! sent from.
//!
//! Of processors that do AES and its carry-less products on vectors, AWS-LC makes use where the vectors have 512 bits,
//! `ring` where they have 256: on those of the second kind it needs half the time for a record.
//!
//! rustls copies what it seals twice: into a record of its own, and out of that. [`placing`] names a buffer for the time
//! of one call: what is sealed meanwhile is copied there once, sealed where it lies, and of each record rustls itself
//! gets a header alone, which tells nothing and is thrown away. Numbers, keys and their renewal stay rustls' own.

use std::cell::RefCell;
use std::sync::LazyLock;

use aws_lc_rs::aead as lc;
use ring::aead;
use rustls::crypto::CipherSuiteCommon;
use rustls::crypto::aws_lc_rs::cipher_suite as spoken;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter, NONCE_LEN,
    Nonce, OutboundChunks, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls13AeadAlgorithm,
    UnsupportedOperationError, make_tls13_aad,
};
use rustls::{
    ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion, SupportedCipherSuite, Tls13CipherSuite,
};

use super::digest;
use crate::base::buf::{Buf, roomy};

/// Of a record, before its data and behind it: the header; the kind of what is in it, and the tag.
const HEADER: usize = 5;
const TRAILER: usize = 1 + TAG;
const TAG: usize = 16;

/// Who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    AwsLc,
    Ring,
}

static FASTER: LazyLock<By> = LazyLock::new(faster);

#[cfg(target_arch = "x86_64")]
fn faster() -> By {
    let has_512 = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
    let has_256 = is_x86_feature_detected!("vaes")
        && is_x86_feature_detected!("vpclmulqdq")
        && is_x86_feature_detected!("avx2");
    if has_256 && !has_512 { By::Ring } else { By::AwsLc }
}

#[cfg(not(target_arch = "x86_64"))]
fn faster() -> By {
    By::AwsLc
}

/// An algorithm, by whom, and what its secrets are called.
struct Gcm {
    by: By,
    lc: &'static lc::Algorithm,
    ring: &'static aead::Algorithm,
    secrets: fn(AeadKey, Iv) -> ConnectionTrafficSecrets,
}

const fn aes_128(by: By) -> Gcm {
    let secrets = |key, iv| ConnectionTrafficSecrets::Aes128Gcm { key, iv };
    Gcm { by, lc: &lc::AES_128_GCM, ring: &aead::AES_128_GCM, secrets }
}

const fn aes_256(by: By) -> Gcm {
    let secrets = |key, iv| ConnectionTrafficSecrets::Aes256Gcm { key, iv };
    Gcm { by, lc: &lc::AES_256_GCM, ring: &aead::AES_256_GCM, secrets }
}

static ALGORITHMS: [Gcm; 4] = [aes_128(By::AwsLc), aes_256(By::AwsLc), aes_128(By::Ring), aes_256(By::Ring)];

/// The suites of these algorithms.
static SUITES: LazyLock<Vec<(By, Tls13CipherSuite)>> = LazyLock::new(|| {
    let bases = [spoken::TLS13_AES_128_GCM_SHA256, spoken::TLS13_AES_256_GCM_SHA384].into_iter().cycle();
    ALGORITHMS.iter().zip(bases).filter_map(|(gcm, base)| Some((gcm.by, with(base, gcm)?))).collect()
});

fn with(base: SupportedCipherSuite, gcm: &'static Gcm) -> Option<Tls13CipherSuite> {
    let SupportedCipherSuite::Tls13(base) = base else { return None };
    let (hash_provider, hkdf_provider) = digest::of(base.common.hash_provider.algorithm())?;
    let CipherSuiteCommon { suite, confidentiality_limit, .. } = base.common;
    let common = CipherSuiteCommon { suite, hash_provider, confidentiality_limit };
    Some(Tls13CipherSuite { common, hkdf_provider, aead_alg: gcm, quic: None })
}

/// The suite, as it is fastest on this processor.
pub(super) fn fastest(suite: SupportedCipherSuite) -> SupportedCipherSuite {
    done_by(*FASTER, suite)
}

/// The suite with AES-GCM and digests of this room, if it is one of TLS 1.3 with AES-GCM.
pub(super) fn done_by(by: By, suite: SupportedCipherSuite) -> SupportedCipherSuite {
    let is_it =
        |(of, ours): &&'static (By, Tls13CipherSuite)| *of == by && ours.common.suite == suite.suite();
    SUITES.iter().find(is_it).map_or(suite, |(_, ours)| SupportedCipherSuite::Tls13(ours))
}

/// Whether records of the suite can be placed.
pub fn places(suite: SupportedCipherSuite) -> bool {
    let SupportedCipherSuite::Tls13(suite) = suite else { return false };
    SUITES.iter().any(|(_, ours)| std::ptr::eq(ours, suite))
}

/// Where records go, and how many went there.
struct Place {
    buf: Buf,
    records: usize,
}

thread_local! {
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// Forgets the place, whatever came of the call.
struct Forget;

impl Drop for Forget {
    fn drop(&mut self) {
        PLACE.take();
    }
}

/// Seals by calling rustls, whose records go behind what is in `out`; those that it had sealed before the call, and hands
/// out now, go before them.
///
/// `seal` gets room for what rustls hands out itself, and tells how much that was.
pub fn placing<E>(out: &mut Buf, seal: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<(), E> {
    let before = out.len();
    let _forget = Forget;
    PLACE.set(Some(Place { buf: std::mem::take(out), records: 0 }));
    let mut handed = [0; 512];
    let sealed = seal(&mut handed);
    let Some(Place { buf, records }) = PLACE.take() else { return sealed.map(drop) };
    *out = buf;
    let earlier = sealed?.saturating_sub(records * HEADER);
    if let Some(earlier) = handed.get(..earlier).filter(|earlier| !earlier.is_empty()) {
        let placed = out.data().get(before..).unwrap_or_default().to_vec();
        out.truncate(before);
        out.grow(roomy(out.written().len() + earlier.len() + placed.len()));
        out.push(earlier);
        out.push(&placed);
    }
    Ok(())
}

impl Gcm {
    /// `None` never comes of a key of [`Tls13AeadAlgorithm::key_len`], which is what rustls makes.
    fn side(&self, key: &AeadKey, iv: Iv) -> Side {
        let lc = || lc::UnboundKey::new(self.lc, key.as_ref()).ok().map(lc::LessSafeKey::new).map(Key::AwsLc);
        let ring =
            || aead::UnboundKey::new(self.ring, key.as_ref()).ok().map(aead::LessSafeKey::new).map(Key::Ring);
        let key = match self.by {
            By::AwsLc => lc(),
            By::Ring => ring(),
        };
        Side { key, iv }
    }
}

impl Tls13AeadAlgorithm for Gcm {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(self.side(&key, iv))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(self.side(&key, iv))
    }

    fn key_len(&self) -> usize {
        self.ring.key_len()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Ok((self.secrets)(key, iv))
    }
}

#[allow(clippy::large_enum_variant)] // It lies in a box of its own.
enum Key {
    AwsLc(lc::LessSafeKey),
    Ring(aead::LessSafeKey),
}

impl Key {
    /// Seals where it lies; the tag.
    fn seal(&self, nonce: [u8; NONCE_LEN], about: &[u8], data: &mut [u8]) -> Option<[u8; TAG]> {
        match self {
            Key::AwsLc(key) => {
                let nonce = lc::Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, lc::Aad::from(about), data).ok()?;
                tag.as_ref().try_into().ok()
            }
            Key::Ring(key) => {
                let nonce = aead::Nonce::assume_unique_for_key(nonce);
                let tag = key.seal_in_place_separate_tag(nonce, aead::Aad::from(about), data).ok()?;
                tag.as_ref().try_into().ok()
            }
        }
    }

    /// Opens where it lies; how long it is without the tag.
    fn open(&self, nonce: [u8; NONCE_LEN], about: &[u8], data: &mut [u8]) -> Option<usize> {
        match self {
            Key::AwsLc(key) => {
                let nonce = lc::Nonce::assume_unique_for_key(nonce);
                key.open_in_place(nonce, lc::Aad::from(about), data).ok().map(|opened| opened.len())
            }
            Key::Ring(key) => {
                let nonce = aead::Nonce::assume_unique_for_key(nonce);
                key.open_in_place(nonce, aead::Aad::from(about), data).ok().map(|opened| opened.len())
            }
        }
    }
}

/// One direction of a connection.
struct Side {
    key: Option<Key>,
    iv: Iv,
}

impl Side {
    /// Of the record with this number; rustls numbers them, and no number comes twice under a key.
    fn nonce(&self, number: u64) -> [u8; NONCE_LEN] {
        Nonce::new(&self.iv, number).0
    }

    /// Puts a record behind what lies there.
    fn put(&self, message: &OutboundPlainMessage<'_>, number: u64, out: &mut Buf) -> Option<()> {
        let sealed = message.payload.len() + TRAILER;
        if out.room_len() < HEADER + sealed {
            out.grow(roomy(out.written().len() + HEADER + sealed));
        }
        let header = make_tls13_aad(sealed);
        out.push(&header);
        let at = out.len();
        match message.payload {
            OutboundChunks::Single(data) => out.push(data),
            ref pieces => out.push(&pieces.to_vec()),
        };
        out.push(&message.typ.to_array());
        let tag = self.key.as_ref()?.seal(self.nonce(number), &header, out.data_mut().get_mut(at..)?)?;
        (out.push(&tag) == TAG).then_some(())
    }
}

impl MessageEncrypter for Side {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        number: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let placed = PLACE.with_borrow_mut(|place| {
            let Place { buf, records } = place.as_mut()?;
            *records += 1;
            Some(self.put(&message, number, buf))
        });
        let payload = match placed {
            Some(placed) => placed.map(|()| PrefixedPayload::with_capacity(0)),
            None => {
                let length = message.payload.len() + TRAILER;
                let mut payload = PrefixedPayload::with_capacity(length);
                payload.extend_from_chunks(&message.payload);
                payload.extend_from_slice(&message.typ.to_array());
                let (nonce, about) = (self.nonce(number), make_tls13_aad(length));
                let tag = self.key.as_ref().and_then(|key| key.seal(nonce, &about, payload.as_mut()));
                tag.map(|tag| {
                    payload.extend_from_slice(&tag);
                    payload
                })
            }
        };
        let (kind, version) = (ContentType::ApplicationData, ProtocolVersion::TLSv1_2);
        Ok(OutboundOpaqueMessage::new(kind, version, payload.ok_or(Error::EncryptError)?))
    }

    fn encrypted_payload_len(&self, data: usize) -> usize {
        let is_placed = PLACE.with_borrow(Option::is_some);
        if is_placed { 0 } else { data + TRAILER }
    }
}

impl MessageDecrypter for Side {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        number: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let payload = &mut message.payload;
        let (nonce, about) = (self.nonce(number), make_tls13_aad(payload.len()));
        let opened = self.key.as_ref().and_then(|key| key.open(nonce, &about, payload));
        payload.truncate(opened.ok_or(Error::DecryptError)?);
        message.into_tls13_unpadded_message()
    }
}

//! SHA-256 and SHA-384 as a handshake of TLS 1.3 uses them: for its transcript, and for the schedule of its keys
//! (RFC 8446 section 7.1).
//!
//! Several keys are derived from each secret. AWS-LC works the secret into HMAC anew for each of them, which is half of
//! what that costs; here it is done once a secret. And AWS-LC computes SHA-384 without vectors on many processors.

use std::marker::PhantomData;

use hmac::digest::{Digest, Key as KeyBlock};
use hmac::{Hmac, KeyInit, Mac};
use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};
use rustls::crypto::hmac::{Hmac as Keying, Key, Tag};
use rustls::crypto::tls13::{Hkdf, HkdfUsingHmac};
use sha2::{Sha256, Sha384};

static SHA256: Sha<Sha256, Hmac<Sha256>> = Sha::new(HashAlgorithm::SHA256);
static SHA384: Sha<Sha384, Hmac<Sha384>> = Sha::new(HashAlgorithm::SHA384);
static HKDF_SHA256: HkdfUsingHmac<'static> = HkdfUsingHmac(&SHA256);
static HKDF_SHA384: HkdfUsingHmac<'static> = HkdfUsingHmac(&SHA384);

/// The functions of a suite with that digest.
pub(super) fn of(algorithm: HashAlgorithm) -> Option<(&'static dyn Hash, &'static dyn Hkdf)> {
    match algorithm {
        HashAlgorithm::SHA256 => Some((&SHA256, &HKDF_SHA256)),
        HashAlgorithm::SHA384 => Some((&SHA384, &HKDF_SHA384)),
        _ => None,
    }
}

/// One of the family, and HMAC with it.
struct Sha<D, M> {
    algorithm: HashAlgorithm,
    kind: PhantomData<fn() -> (D, M)>,
}

impl<D, M> Sha<D, M> {
    const fn new(algorithm: HashAlgorithm) -> Sha<D, M> {
        Sha { algorithm, kind: PhantomData }
    }
}

/// A digest of what came so far.
struct Running<D>(D);

impl<D: Digest + Clone + Send + Sync + 'static, M> Hash for Sha<D, M> {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Running(D::new()))
    }

    fn hash(&self, data: &[u8]) -> Output {
        Output::new(&D::digest(data))
    }

    fn output_len(&self) -> usize {
        <D as Digest>::output_size()
    }

    fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }
}

impl<D: Digest + Clone + Send + Sync + 'static> Context for Running<D> {
    fn fork_finish(&self) -> Output {
        Output::new(&self.0.clone().finalize())
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Running(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> Output {
        Output::new(&self.0.finalize())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

/// HMAC with a key that is worked in.
struct Keyed<M>(M);

impl<D, M> Keying for Sha<D, M>
where
    D: Digest,
    M: Mac + KeyInit + Clone + Send + Sync + 'static,
{
    fn with_key(&self, key: &[u8]) -> Box<dyn Key> {
        let mut block = KeyBlock::<M>::default();
        let long = (key.len() > block.len()).then(|| D::digest(key));
        let key = long.as_deref().unwrap_or(key);
        block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        Box::new(Keyed(M::new(&block)))
    }

    fn hash_output_len(&self) -> usize {
        <D as Digest>::output_size()
    }
}

impl<M: Mac + Clone + Send + Sync> Key for Keyed<M> {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> Tag {
        let mut mac = self.0.clone();
        mac.update(first);
        middle.iter().for_each(|piece| mac.update(piece));
        mac.update(last);
        Tag::new(&mac.finalize().into_bytes())
    }

    fn tag_len(&self) -> usize {
        M::output_size()
    }
}

#[cfg(test)]
mod tests {
    use rustls::SupportedCipherSuite;
    use rustls::crypto::aws_lc_rs::cipher_suite as other;
    use rustls::crypto::tls13::OkmBlock;

    use super::*;

    /// Whatever is hashed and derived, it is what the other library makes of it.
    #[test]
    fn digests_and_keys_are_those_of_the_other_library() {
        for suite in [other::TLS13_AES_128_GCM_SHA256, other::TLS13_AES_256_GCM_SHA384] {
            let SupportedCipherSuite::Tls13(suite) = suite else { panic!("not of TLS 1.3") };
            let (theirs, keys) = (suite.common.hash_provider, suite.hkdf_provider);
            let (ours, own_keys) = of(theirs.algorithm()).expect("ours");
            assert_eq!((ours.output_len(), ours.algorithm()), (theirs.output_len(), theirs.algorithm()));
            let data: Vec<u8> = (0..1000_u32).map(|n| n as u8).collect();
            for size in [0, 1, 47, 48, 64, 111, 112, 127, 128, 129, 300, 1000] {
                let data = &data[..size];
                let expected = theirs.hash(data);
                let (first, rest) = data.split_at(size / 3);
                let mut running = ours.start();
                running.update(first);
                let mut fork = running.fork();
                running.update(rest);
                fork.update(rest);
                assert_eq!(ours.hash(data).as_ref(), expected.as_ref());
                assert_eq!(running.fork_finish().as_ref(), expected.as_ref());
                assert_eq!(running.finish().as_ref(), expected.as_ref());
                assert_eq!(fork.finish().as_ref(), expected.as_ref());

                let salt = (size > 0).then_some(data);
                for (mine, other) in [
                    (
                        own_keys.extract_from_secret(salt, b"secret"),
                        keys.extract_from_secret(salt, b"secret"),
                    ),
                    (own_keys.extract_from_zero_ikm(salt), keys.extract_from_zero_ikm(salt)),
                ] {
                    let (mut a, mut b) = ([0; 200], [0; 200]);
                    mine.expand_slice(&[b"tls13 ", data], &mut a).expect("short");
                    other.expand_slice(&[b"tls13 ", data], &mut b).expect("short");
                    assert_eq!(a, b);
                    assert_eq!(mine.hash_len(), other.hash_len());
                    let (a, b) = (mine.expand_block(&[data]), other.expand_block(&[data]));
                    assert_eq!(a.as_ref(), b.as_ref());
                    let again = own_keys.expander_for_okm(&a).expand_block(&[b"again"]);
                    assert_eq!(again.as_ref(), keys.expander_for_okm(&b).expand_block(&[b"again"]).as_ref());
                    let signed = own_keys.hmac_sign(&a, data);
                    assert_eq!(signed.as_ref(), keys.hmac_sign(&OkmBlock::new(b.as_ref()), data).as_ref());
                }
            }
        }
        assert!(of(HashAlgorithm::SHA512).is_none());
    }
}

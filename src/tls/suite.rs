//! The cipher suites of TLS 1.2 and before that OpenSSL has, in the order in which it prefers them, with what its lists of
//! ciphers pick them by; and those that are spoken here.

use std::sync::LazyLock;

use rustls::SupportedCipherSuite;
use rustls::crypto::aws_lc_rs::cipher_suite as spoken;

use super::gcm::fastest;

use Authentication as A;
use Encryption as E;
use KeyExchange as K;
use Mac as M;
use Since as V;

#[allow(clippy::upper_case_acronyms)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyExchange {
    RSA,
    DHE,
    ECDHE,
    PSK,
    RSAPSK,
    DHEPSK,
    ECDHEPSK,
    SRP,
}

#[allow(clippy::upper_case_acronyms)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    RSA,
    DSS,
    ECDSA,
    PSK,
    SRP,
    ANULL,
}

#[allow(clippy::upper_case_acronyms)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    AES128,
    AES256,
    AES128GCM,
    AES256GCM,
    AES128CCM,
    AES256CCM,
    AES128CCM8,
    AES256CCM8,
    ARIA128,
    ARIA256,
    CAMELLIA128,
    CAMELLIA256,
    CHACHA20,
    ENULL,
}

#[allow(clippy::upper_case_acronyms)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mac {
    MD5,
    AEAD,
    SHA1,
    SHA256,
    SHA384,
}

/// The first version that a suite was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    SSL3,
    TLS1,
    TLS12,
}

#[derive(Debug)]
pub struct Suite {
    pub id: u16,
    pub name: &'static str,
    pub exchange: KeyExchange,
    pub authentication: Authentication,
    pub encryption: Encryption,
    pub mac: Mac,
    pub since: Since,
    pub is_default: bool,
    pub is_fips: bool,
}

impl Suite {
    /// Of its key.
    pub fn bits(&self) -> u32 {
        use Encryption::*;
        match self.encryption {
            AES128 | AES128GCM | AES128CCM | AES128CCM8 | ARIA128 | CAMELLIA128 => 128,
            AES256 | AES256GCM | AES256CCM | AES256CCM8 | ARIA256 | CAMELLIA256 | CHACHA20 => 256,
            ENULL => 0,
        }
    }

    /// How rustls speaks it, if it does.
    pub fn spoken(&self) -> Option<SupportedCipherSuite> {
        SPOKEN.iter().find(|(id, _)| *id == self.id).map(|(_, suite)| *suite)
    }
}

/// Of TLS 1.3: number, name and suite.
pub static TLS13: LazyLock<[(u16, &str, SupportedCipherSuite); 3]> = LazyLock::new(|| {
    [
        (0x1302, "TLS_AES_256_GCM_SHA384", fastest(spoken::TLS13_AES_256_GCM_SHA384)),
        (0x1303, "TLS_CHACHA20_POLY1305_SHA256", spoken::TLS13_CHACHA20_POLY1305_SHA256),
        (0x1301, "TLS_AES_128_GCM_SHA256", fastest(spoken::TLS13_AES_128_GCM_SHA256)),
    ]
});

const SPOKEN: [(u16, SupportedCipherSuite); 6] = [
    (0xc02c, spoken::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    (0xc030, spoken::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    (0xcca9, spoken::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    (0xcca8, spoken::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
    (0xc02b, spoken::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    (0xc02f, spoken::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
];

/// The name that OpenSSL has for a number.
pub fn name(id: u16) -> Option<&'static str> {
    let newest = TLS13.iter().find(|(of, ..)| *of == id).map(|(_, name, _)| *name);
    newest.or_else(|| SUITES.iter().find(|suite| suite.id == id).map(|suite| suite.name))
}

/// The bits of the key of a suite.
pub fn bits(id: u16) -> Option<u32> {
    match id {
        0x1301 => Some(128),
        0x1302 | 0x1303 => Some(256),
        _ => SUITES.iter().find(|suite| suite.id == id).map(Suite::bits),
    }
}

/// Whether a suite of TLS 1.2 goes with a certificate of ECDSA, and whether with one of RSA.
pub fn authenticates(id: u16) -> Option<Authentication> {
    SUITES.iter().find(|suite| suite.id == id).map(|suite| suite.authentication)
}

#[allow(clippy::too_many_arguments)] // A row.
const fn row(
    id: u16,
    name: &'static str,
    exchange: K,
    authentication: A,
    encryption: E,
    mac: M,
    since: V,
    is_default: bool,
    is_fips: bool,
) -> Suite {
    Suite { id, name, exchange, authentication, encryption, mac, since, is_default, is_fips }
}

/// In OpenSSL's order of preference.
#[rustfmt::skip]
pub static SUITES: [Suite; 155] = [
    row(0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384", K::ECDHE, A::ECDSA, E::AES256GCM, M::AEAD, V::TLS12, true, true),
    row(0xc030, "ECDHE-RSA-AES256-GCM-SHA384", K::ECDHE, A::RSA, E::AES256GCM, M::AEAD, V::TLS12, true, true),
    row(0x00a3, "DHE-DSS-AES256-GCM-SHA384", K::DHE, A::DSS, E::AES256GCM, M::AEAD, V::TLS12, false, true),
    row(0x009f, "DHE-RSA-AES256-GCM-SHA384", K::DHE, A::RSA, E::AES256GCM, M::AEAD, V::TLS12, true, true),
    row(0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305", K::ECDHE, A::ECDSA, E::CHACHA20, M::AEAD, V::TLS12, true, false),
    row(0xcca8, "ECDHE-RSA-CHACHA20-POLY1305", K::ECDHE, A::RSA, E::CHACHA20, M::AEAD, V::TLS12, true, false),
    row(0xccaa, "DHE-RSA-CHACHA20-POLY1305", K::DHE, A::RSA, E::CHACHA20, M::AEAD, V::TLS12, true, false),
    row(0xc0af, "ECDHE-ECDSA-AES256-CCM8", K::ECDHE, A::ECDSA, E::AES256CCM8, M::AEAD, V::TLS12, false, false),
    row(0xc0ad, "ECDHE-ECDSA-AES256-CCM", K::ECDHE, A::ECDSA, E::AES256CCM, M::AEAD, V::TLS12, false, false),
    row(0xc0a3, "DHE-RSA-AES256-CCM8", K::DHE, A::RSA, E::AES256CCM8, M::AEAD, V::TLS12, false, false),
    row(0xc09f, "DHE-RSA-AES256-CCM", K::DHE, A::RSA, E::AES256CCM, M::AEAD, V::TLS12, false, false),
    row(0xc05d, "ECDHE-ECDSA-ARIA256-GCM-SHA384", K::ECDHE, A::ECDSA, E::ARIA256, M::AEAD, V::TLS12, false, false),
    row(0xc061, "ECDHE-ARIA256-GCM-SHA384", K::ECDHE, A::RSA, E::ARIA256, M::AEAD, V::TLS12, false, false),
    row(0xc057, "DHE-DSS-ARIA256-GCM-SHA384", K::DHE, A::DSS, E::ARIA256, M::AEAD, V::TLS12, false, false),
    row(0xc053, "DHE-RSA-ARIA256-GCM-SHA384", K::DHE, A::RSA, E::ARIA256, M::AEAD, V::TLS12, false, false),
    row(0x00a7, "ADH-AES256-GCM-SHA384", K::DHE, A::ANULL, E::AES256GCM, M::AEAD, V::TLS12, false, true),
    row(0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256", K::ECDHE, A::ECDSA, E::AES128GCM, M::AEAD, V::TLS12, true, true),
    row(0xc02f, "ECDHE-RSA-AES128-GCM-SHA256", K::ECDHE, A::RSA, E::AES128GCM, M::AEAD, V::TLS12, true, true),
    row(0x00a2, "DHE-DSS-AES128-GCM-SHA256", K::DHE, A::DSS, E::AES128GCM, M::AEAD, V::TLS12, false, true),
    row(0x009e, "DHE-RSA-AES128-GCM-SHA256", K::DHE, A::RSA, E::AES128GCM, M::AEAD, V::TLS12, true, true),
    row(0xc0ae, "ECDHE-ECDSA-AES128-CCM8", K::ECDHE, A::ECDSA, E::AES128CCM8, M::AEAD, V::TLS12, false, false),
    row(0xc0ac, "ECDHE-ECDSA-AES128-CCM", K::ECDHE, A::ECDSA, E::AES128CCM, M::AEAD, V::TLS12, false, false),
    row(0xc0a2, "DHE-RSA-AES128-CCM8", K::DHE, A::RSA, E::AES128CCM8, M::AEAD, V::TLS12, false, false),
    row(0xc09e, "DHE-RSA-AES128-CCM", K::DHE, A::RSA, E::AES128CCM, M::AEAD, V::TLS12, false, false),
    row(0xc05c, "ECDHE-ECDSA-ARIA128-GCM-SHA256", K::ECDHE, A::ECDSA, E::ARIA128, M::AEAD, V::TLS12, false, false),
    row(0xc060, "ECDHE-ARIA128-GCM-SHA256", K::ECDHE, A::RSA, E::ARIA128, M::AEAD, V::TLS12, false, false),
    row(0xc056, "DHE-DSS-ARIA128-GCM-SHA256", K::DHE, A::DSS, E::ARIA128, M::AEAD, V::TLS12, false, false),
    row(0xc052, "DHE-RSA-ARIA128-GCM-SHA256", K::DHE, A::RSA, E::ARIA128, M::AEAD, V::TLS12, false, false),
    row(0x00a6, "ADH-AES128-GCM-SHA256", K::DHE, A::ANULL, E::AES128GCM, M::AEAD, V::TLS12, false, true),
    row(0xc024, "ECDHE-ECDSA-AES256-SHA384", K::ECDHE, A::ECDSA, E::AES256, M::SHA384, V::TLS12, true, true),
    row(0xc028, "ECDHE-RSA-AES256-SHA384", K::ECDHE, A::RSA, E::AES256, M::SHA384, V::TLS12, true, true),
    row(0x006b, "DHE-RSA-AES256-SHA256", K::DHE, A::RSA, E::AES256, M::SHA256, V::TLS12, true, true),
    row(0x006a, "DHE-DSS-AES256-SHA256", K::DHE, A::DSS, E::AES256, M::SHA256, V::TLS12, false, true),
    row(0xc073, "ECDHE-ECDSA-CAMELLIA256-SHA384", K::ECDHE, A::ECDSA, E::CAMELLIA256, M::SHA384, V::TLS12, false, false),
    row(0xc077, "ECDHE-RSA-CAMELLIA256-SHA384", K::ECDHE, A::RSA, E::CAMELLIA256, M::SHA384, V::TLS12, false, false),
    row(0x00c4, "DHE-RSA-CAMELLIA256-SHA256", K::DHE, A::RSA, E::CAMELLIA256, M::SHA256, V::TLS12, false, false),
    row(0x00c3, "DHE-DSS-CAMELLIA256-SHA256", K::DHE, A::DSS, E::CAMELLIA256, M::SHA256, V::TLS12, false, false),
    row(0x006d, "ADH-AES256-SHA256", K::DHE, A::ANULL, E::AES256, M::SHA256, V::TLS12, false, true),
    row(0x00c5, "ADH-CAMELLIA256-SHA256", K::DHE, A::ANULL, E::CAMELLIA256, M::SHA256, V::TLS12, false, false),
    row(0xc023, "ECDHE-ECDSA-AES128-SHA256", K::ECDHE, A::ECDSA, E::AES128, M::SHA256, V::TLS12, true, true),
    row(0xc027, "ECDHE-RSA-AES128-SHA256", K::ECDHE, A::RSA, E::AES128, M::SHA256, V::TLS12, true, true),
    row(0x0067, "DHE-RSA-AES128-SHA256", K::DHE, A::RSA, E::AES128, M::SHA256, V::TLS12, true, true),
    row(0x0040, "DHE-DSS-AES128-SHA256", K::DHE, A::DSS, E::AES128, M::SHA256, V::TLS12, false, true),
    row(0xc072, "ECDHE-ECDSA-CAMELLIA128-SHA256", K::ECDHE, A::ECDSA, E::CAMELLIA128, M::SHA256, V::TLS12, false, false),
    row(0xc076, "ECDHE-RSA-CAMELLIA128-SHA256", K::ECDHE, A::RSA, E::CAMELLIA128, M::SHA256, V::TLS12, false, false),
    row(0x00be, "DHE-RSA-CAMELLIA128-SHA256", K::DHE, A::RSA, E::CAMELLIA128, M::SHA256, V::TLS12, false, false),
    row(0x00bd, "DHE-DSS-CAMELLIA128-SHA256", K::DHE, A::DSS, E::CAMELLIA128, M::SHA256, V::TLS12, false, false),
    row(0x006c, "ADH-AES128-SHA256", K::DHE, A::ANULL, E::AES128, M::SHA256, V::TLS12, false, true),
    row(0x00bf, "ADH-CAMELLIA128-SHA256", K::DHE, A::ANULL, E::CAMELLIA128, M::SHA256, V::TLS12, false, false),
    row(0xc00a, "ECDHE-ECDSA-AES256-SHA", K::ECDHE, A::ECDSA, E::AES256, M::SHA1, V::TLS1, true, true),
    row(0xc014, "ECDHE-RSA-AES256-SHA", K::ECDHE, A::RSA, E::AES256, M::SHA1, V::TLS1, true, true),
    row(0x0039, "DHE-RSA-AES256-SHA", K::DHE, A::RSA, E::AES256, M::SHA1, V::SSL3, true, true),
    row(0x0038, "DHE-DSS-AES256-SHA", K::DHE, A::DSS, E::AES256, M::SHA1, V::SSL3, false, true),
    row(0x0088, "DHE-RSA-CAMELLIA256-SHA", K::DHE, A::RSA, E::CAMELLIA256, M::SHA1, V::SSL3, false, false),
    row(0x0087, "DHE-DSS-CAMELLIA256-SHA", K::DHE, A::DSS, E::CAMELLIA256, M::SHA1, V::SSL3, false, false),
    row(0xc019, "AECDH-AES256-SHA", K::ECDHE, A::ANULL, E::AES256, M::SHA1, V::TLS1, false, true),
    row(0x003a, "ADH-AES256-SHA", K::DHE, A::ANULL, E::AES256, M::SHA1, V::SSL3, false, true),
    row(0x0089, "ADH-CAMELLIA256-SHA", K::DHE, A::ANULL, E::CAMELLIA256, M::SHA1, V::SSL3, false, false),
    row(0xc009, "ECDHE-ECDSA-AES128-SHA", K::ECDHE, A::ECDSA, E::AES128, M::SHA1, V::TLS1, true, true),
    row(0xc013, "ECDHE-RSA-AES128-SHA", K::ECDHE, A::RSA, E::AES128, M::SHA1, V::TLS1, true, true),
    row(0x0033, "DHE-RSA-AES128-SHA", K::DHE, A::RSA, E::AES128, M::SHA1, V::SSL3, true, true),
    row(0x0032, "DHE-DSS-AES128-SHA", K::DHE, A::DSS, E::AES128, M::SHA1, V::SSL3, false, true),
    row(0x0045, "DHE-RSA-CAMELLIA128-SHA", K::DHE, A::RSA, E::CAMELLIA128, M::SHA1, V::SSL3, false, false),
    row(0x0044, "DHE-DSS-CAMELLIA128-SHA", K::DHE, A::DSS, E::CAMELLIA128, M::SHA1, V::SSL3, false, false),
    row(0xc018, "AECDH-AES128-SHA", K::ECDHE, A::ANULL, E::AES128, M::SHA1, V::TLS1, false, true),
    row(0x0034, "ADH-AES128-SHA", K::DHE, A::ANULL, E::AES128, M::SHA1, V::SSL3, false, true),
    row(0x0046, "ADH-CAMELLIA128-SHA", K::DHE, A::ANULL, E::CAMELLIA128, M::SHA1, V::SSL3, false, false),
    row(0x00ad, "RSA-PSK-AES256-GCM-SHA384", K::RSAPSK, A::RSA, E::AES256GCM, M::AEAD, V::TLS12, true, true),
    row(0x00ab, "DHE-PSK-AES256-GCM-SHA384", K::DHEPSK, A::PSK, E::AES256GCM, M::AEAD, V::TLS12, true, true),
    row(0xccae, "RSA-PSK-CHACHA20-POLY1305", K::RSAPSK, A::RSA, E::CHACHA20, M::AEAD, V::TLS12, true, false),
    row(0xccad, "DHE-PSK-CHACHA20-POLY1305", K::DHEPSK, A::PSK, E::CHACHA20, M::AEAD, V::TLS12, true, false),
    row(0xccac, "ECDHE-PSK-CHACHA20-POLY1305", K::ECDHEPSK, A::PSK, E::CHACHA20, M::AEAD, V::TLS12, true, false),
    row(0xc0ab, "DHE-PSK-AES256-CCM8", K::DHEPSK, A::PSK, E::AES256CCM8, M::AEAD, V::TLS12, false, false),
    row(0xc0a7, "DHE-PSK-AES256-CCM", K::DHEPSK, A::PSK, E::AES256CCM, M::AEAD, V::TLS12, false, false),
    row(0xc06f, "RSA-PSK-ARIA256-GCM-SHA384", K::RSAPSK, A::RSA, E::ARIA256, M::AEAD, V::TLS12, false, false),
    row(0xc06d, "DHE-PSK-ARIA256-GCM-SHA384", K::DHEPSK, A::PSK, E::ARIA256, M::AEAD, V::TLS12, false, false),
    row(0x009d, "AES256-GCM-SHA384", K::RSA, A::RSA, E::AES256GCM, M::AEAD, V::TLS12, true, true),
    row(0xc0a1, "AES256-CCM8", K::RSA, A::RSA, E::AES256CCM8, M::AEAD, V::TLS12, false, false),
    row(0xc09d, "AES256-CCM", K::RSA, A::RSA, E::AES256CCM, M::AEAD, V::TLS12, false, false),
    row(0xc051, "ARIA256-GCM-SHA384", K::RSA, A::RSA, E::ARIA256, M::AEAD, V::TLS12, false, false),
    row(0x00a9, "PSK-AES256-GCM-SHA384", K::PSK, A::PSK, E::AES256GCM, M::AEAD, V::TLS12, true, true),
    row(0xccab, "PSK-CHACHA20-POLY1305", K::PSK, A::PSK, E::CHACHA20, M::AEAD, V::TLS12, true, false),
    row(0xc0a9, "PSK-AES256-CCM8", K::PSK, A::PSK, E::AES256CCM8, M::AEAD, V::TLS12, false, false),
    row(0xc0a5, "PSK-AES256-CCM", K::PSK, A::PSK, E::AES256CCM, M::AEAD, V::TLS12, false, false),
    row(0xc06b, "PSK-ARIA256-GCM-SHA384", K::PSK, A::PSK, E::ARIA256, M::AEAD, V::TLS12, false, false),
    row(0x00ac, "RSA-PSK-AES128-GCM-SHA256", K::RSAPSK, A::RSA, E::AES128GCM, M::AEAD, V::TLS12, true, true),
    row(0x00aa, "DHE-PSK-AES128-GCM-SHA256", K::DHEPSK, A::PSK, E::AES128GCM, M::AEAD, V::TLS12, true, true),
    row(0xc0aa, "DHE-PSK-AES128-CCM8", K::DHEPSK, A::PSK, E::AES128CCM8, M::AEAD, V::TLS12, false, false),
    row(0xc0a6, "DHE-PSK-AES128-CCM", K::DHEPSK, A::PSK, E::AES128CCM, M::AEAD, V::TLS12, false, false),
    row(0xc06e, "RSA-PSK-ARIA128-GCM-SHA256", K::RSAPSK, A::RSA, E::ARIA128, M::AEAD, V::TLS12, false, false),
    row(0xc06c, "DHE-PSK-ARIA128-GCM-SHA256", K::DHEPSK, A::PSK, E::ARIA128, M::AEAD, V::TLS12, false, false),
    row(0x009c, "AES128-GCM-SHA256", K::RSA, A::RSA, E::AES128GCM, M::AEAD, V::TLS12, true, true),
    row(0xc0a0, "AES128-CCM8", K::RSA, A::RSA, E::AES128CCM8, M::AEAD, V::TLS12, false, false),
    row(0xc09c, "AES128-CCM", K::RSA, A::RSA, E::AES128CCM, M::AEAD, V::TLS12, false, false),
    row(0xc050, "ARIA128-GCM-SHA256", K::RSA, A::RSA, E::ARIA128, M::AEAD, V::TLS12, false, false),
    row(0x00a8, "PSK-AES128-GCM-SHA256", K::PSK, A::PSK, E::AES128GCM, M::AEAD, V::TLS12, true, true),
    row(0xc0a8, "PSK-AES128-CCM8", K::PSK, A::PSK, E::AES128CCM8, M::AEAD, V::TLS12, false, false),
    row(0xc0a4, "PSK-AES128-CCM", K::PSK, A::PSK, E::AES128CCM, M::AEAD, V::TLS12, false, false),
    row(0xc06a, "PSK-ARIA128-GCM-SHA256", K::PSK, A::PSK, E::ARIA128, M::AEAD, V::TLS12, false, false),
    row(0x003d, "AES256-SHA256", K::RSA, A::RSA, E::AES256, M::SHA256, V::TLS12, true, true),
    row(0x00c0, "CAMELLIA256-SHA256", K::RSA, A::RSA, E::CAMELLIA256, M::SHA256, V::TLS12, false, false),
    row(0x003c, "AES128-SHA256", K::RSA, A::RSA, E::AES128, M::SHA256, V::TLS12, true, true),
    row(0x00ba, "CAMELLIA128-SHA256", K::RSA, A::RSA, E::CAMELLIA128, M::SHA256, V::TLS12, false, false),
    row(0xc038, "ECDHE-PSK-AES256-CBC-SHA384", K::ECDHEPSK, A::PSK, E::AES256, M::SHA384, V::TLS1, true, true),
    row(0xc036, "ECDHE-PSK-AES256-CBC-SHA", K::ECDHEPSK, A::PSK, E::AES256, M::SHA1, V::TLS1, true, true),
    row(0xc022, "SRP-DSS-AES-256-CBC-SHA", K::SRP, A::DSS, E::AES256, M::SHA1, V::SSL3, false, false),
    row(0xc021, "SRP-RSA-AES-256-CBC-SHA", K::SRP, A::RSA, E::AES256, M::SHA1, V::SSL3, true, false),
    row(0xc020, "SRP-AES-256-CBC-SHA", K::SRP, A::SRP, E::AES256, M::SHA1, V::SSL3, true, false),
    row(0x00b7, "RSA-PSK-AES256-CBC-SHA384", K::RSAPSK, A::RSA, E::AES256, M::SHA384, V::TLS1, true, true),
    row(0x00b3, "DHE-PSK-AES256-CBC-SHA384", K::DHEPSK, A::PSK, E::AES256, M::SHA384, V::TLS1, true, true),
    row(0x0095, "RSA-PSK-AES256-CBC-SHA", K::RSAPSK, A::RSA, E::AES256, M::SHA1, V::SSL3, true, true),
    row(0x0091, "DHE-PSK-AES256-CBC-SHA", K::DHEPSK, A::PSK, E::AES256, M::SHA1, V::SSL3, true, true),
    row(0xc09b, "ECDHE-PSK-CAMELLIA256-SHA384", K::ECDHEPSK, A::PSK, E::CAMELLIA256, M::SHA384, V::TLS1, false, false),
    row(0xc099, "RSA-PSK-CAMELLIA256-SHA384", K::RSAPSK, A::RSA, E::CAMELLIA256, M::SHA384, V::TLS1, false, false),
    row(0xc097, "DHE-PSK-CAMELLIA256-SHA384", K::DHEPSK, A::PSK, E::CAMELLIA256, M::SHA384, V::TLS1, false, false),
    row(0x0035, "AES256-SHA", K::RSA, A::RSA, E::AES256, M::SHA1, V::SSL3, true, true),
    row(0x0084, "CAMELLIA256-SHA", K::RSA, A::RSA, E::CAMELLIA256, M::SHA1, V::SSL3, false, false),
    row(0x00af, "PSK-AES256-CBC-SHA384", K::PSK, A::PSK, E::AES256, M::SHA384, V::TLS1, true, true),
    row(0x008d, "PSK-AES256-CBC-SHA", K::PSK, A::PSK, E::AES256, M::SHA1, V::SSL3, true, true),
    row(0xc095, "PSK-CAMELLIA256-SHA384", K::PSK, A::PSK, E::CAMELLIA256, M::SHA384, V::TLS1, false, false),
    row(0xc037, "ECDHE-PSK-AES128-CBC-SHA256", K::ECDHEPSK, A::PSK, E::AES128, M::SHA256, V::TLS1, true, true),
    row(0xc035, "ECDHE-PSK-AES128-CBC-SHA", K::ECDHEPSK, A::PSK, E::AES128, M::SHA1, V::TLS1, true, true),
    row(0xc01f, "SRP-DSS-AES-128-CBC-SHA", K::SRP, A::DSS, E::AES128, M::SHA1, V::SSL3, false, false),
    row(0xc01e, "SRP-RSA-AES-128-CBC-SHA", K::SRP, A::RSA, E::AES128, M::SHA1, V::SSL3, true, false),
    row(0xc01d, "SRP-AES-128-CBC-SHA", K::SRP, A::SRP, E::AES128, M::SHA1, V::SSL3, true, false),
    row(0x00b6, "RSA-PSK-AES128-CBC-SHA256", K::RSAPSK, A::RSA, E::AES128, M::SHA256, V::TLS1, true, true),
    row(0x00b2, "DHE-PSK-AES128-CBC-SHA256", K::DHEPSK, A::PSK, E::AES128, M::SHA256, V::TLS1, true, true),
    row(0x0094, "RSA-PSK-AES128-CBC-SHA", K::RSAPSK, A::RSA, E::AES128, M::SHA1, V::SSL3, true, true),
    row(0x0090, "DHE-PSK-AES128-CBC-SHA", K::DHEPSK, A::PSK, E::AES128, M::SHA1, V::SSL3, true, true),
    row(0xc09a, "ECDHE-PSK-CAMELLIA128-SHA256", K::ECDHEPSK, A::PSK, E::CAMELLIA128, M::SHA256, V::TLS1, false, false),
    row(0xc098, "RSA-PSK-CAMELLIA128-SHA256", K::RSAPSK, A::RSA, E::CAMELLIA128, M::SHA256, V::TLS1, false, false),
    row(0xc096, "DHE-PSK-CAMELLIA128-SHA256", K::DHEPSK, A::PSK, E::CAMELLIA128, M::SHA256, V::TLS1, false, false),
    row(0x002f, "AES128-SHA", K::RSA, A::RSA, E::AES128, M::SHA1, V::SSL3, true, true),
    row(0x0041, "CAMELLIA128-SHA", K::RSA, A::RSA, E::CAMELLIA128, M::SHA1, V::SSL3, false, false),
    row(0x00ae, "PSK-AES128-CBC-SHA256", K::PSK, A::PSK, E::AES128, M::SHA256, V::TLS1, true, true),
    row(0x008c, "PSK-AES128-CBC-SHA", K::PSK, A::PSK, E::AES128, M::SHA1, V::SSL3, true, true),
    row(0xc094, "PSK-CAMELLIA128-SHA256", K::PSK, A::PSK, E::CAMELLIA128, M::SHA256, V::TLS1, false, false),
    row(0xc006, "ECDHE-ECDSA-NULL-SHA", K::ECDHE, A::ECDSA, E::ENULL, M::SHA1, V::TLS1, true, false),
    row(0xc010, "ECDHE-RSA-NULL-SHA", K::ECDHE, A::RSA, E::ENULL, M::SHA1, V::TLS1, true, false),
    row(0xc015, "AECDH-NULL-SHA", K::ECDHE, A::ANULL, E::ENULL, M::SHA1, V::TLS1, true, false),
    row(0x003b, "NULL-SHA256", K::RSA, A::RSA, E::ENULL, M::SHA256, V::TLS12, true, false),
    row(0xc03b, "ECDHE-PSK-NULL-SHA384", K::ECDHEPSK, A::PSK, E::ENULL, M::SHA384, V::TLS1, true, false),
    row(0xc03a, "ECDHE-PSK-NULL-SHA256", K::ECDHEPSK, A::PSK, E::ENULL, M::SHA256, V::TLS1, true, false),
    row(0xc039, "ECDHE-PSK-NULL-SHA", K::ECDHEPSK, A::PSK, E::ENULL, M::SHA1, V::TLS1, true, false),
    row(0x00b9, "RSA-PSK-NULL-SHA384", K::RSAPSK, A::RSA, E::ENULL, M::SHA384, V::TLS1, true, false),
    row(0x00b8, "RSA-PSK-NULL-SHA256", K::RSAPSK, A::RSA, E::ENULL, M::SHA256, V::TLS1, true, false),
    row(0x00b5, "DHE-PSK-NULL-SHA384", K::DHEPSK, A::PSK, E::ENULL, M::SHA384, V::TLS1, true, false),
    row(0x00b4, "DHE-PSK-NULL-SHA256", K::DHEPSK, A::PSK, E::ENULL, M::SHA256, V::TLS1, true, false),
    row(0x002e, "RSA-PSK-NULL-SHA", K::RSAPSK, A::RSA, E::ENULL, M::SHA1, V::SSL3, true, false),
    row(0x002d, "DHE-PSK-NULL-SHA", K::DHEPSK, A::PSK, E::ENULL, M::SHA1, V::SSL3, true, false),
    row(0x0002, "NULL-SHA", K::RSA, A::RSA, E::ENULL, M::SHA1, V::SSL3, true, false),
    row(0x0001, "NULL-MD5", K::RSA, A::RSA, E::ENULL, M::MD5, V::SSL3, true, false),
    row(0x00b1, "PSK-NULL-SHA384", K::PSK, A::PSK, E::ENULL, M::SHA384, V::TLS1, true, false),
    row(0x00b0, "PSK-NULL-SHA256", K::PSK, A::PSK, E::ENULL, M::SHA256, V::TLS1, true, false),
    row(0x002c, "PSK-NULL-SHA", K::PSK, A::PSK, E::ENULL, M::SHA1, V::SSL3, true, false),
];

//! What a node shows to be admitted: a join token of a cluster that stands, or the secret that its first nodes share.
//!
//! A token is `ISBTKN-1-<digest>-<secret>`, both in base 36: the SHA-256 of the certificate of the cluster's CA, by
//! which the joiner knows whom it talks to before it says the secret, and 128 random bits, one secret for each role.

use std::fmt;

use aws_lc_rs::{constant_time, digest, rand};

use super::super::map::Role;

/// SHA-256 of a certificate.
pub type Digest = [u8; 32];

const PREFIX: &str = "ISBTKN-";
const VERSION: &str = "1";
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
const DIGEST_DIGITS: usize = 50;
const SECRET_DIGITS: usize = 25;
/// Whoever stands between two nodes that meet may try secrets at home: a shorter one might be found.
const FOUNDING_BYTES: usize = 32;

/// The digest by which a token names a CA.
pub fn digest_of(certificate: &[u8]) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
    out
}

/// What admits to a cluster in one role, until it is rotated.
#[derive(Clone)]
pub struct Secret([u8; 16]);

impl Secret {
    /// A new one. `None` without a source of randomness.
    pub fn draw() -> Option<Secret> {
        let mut bytes = [0; 16];
        rand::fill(&mut bytes).ok()?;
        Some(Secret(bytes))
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Secret> {
        bytes.try_into().ok().map(Secret)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// In a time that does not tell how much of it was right.
    pub fn is(&self, other: &Secret) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(...)")
    }
}

/// The name of the map's record with the secret of a role.
pub fn record_of(role: Role) -> &'static str {
    match role {
        Role::Manager => "join-token-manager",
        Role::Worker => "join-token-worker",
    }
}

/// A join token.
#[derive(Clone, Debug)]
pub struct Token {
    pub ca: Digest,
    pub secret: Secret,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("this is no join token: those begin with ISBTKN-1-")]
    NoToken,
    #[error("a join token of another version than 1")]
    Version,
    #[error(
        "a join token with a mistake in it: it has 84 characters, digits and small letters after ISBTKN-1-"
    )]
    Broken,
    #[error(
        "neither a join token nor a secret of at least 32 characters, which are visible ASCII ('openssl rand -hex 32')"
    )]
    Weak,
}

impl Token {
    pub fn parse(text: &str) -> Result<Token, TokenError> {
        let rest = text.strip_prefix(PREFIX).ok_or(TokenError::NoToken)?;
        let (version, rest) = rest.split_once('-').ok_or(TokenError::Broken)?;
        if version != VERSION {
            return Err(TokenError::Version);
        }
        let (ca, secret) = rest.split_once('-').ok_or(TokenError::Broken)?;
        let ca = from_base36(ca, DIGEST_DIGITS).ok_or(TokenError::Broken)?;
        let secret = from_base36(secret, SECRET_DIGITS).ok_or(TokenError::Broken)?;
        Ok(Token { ca, secret: Secret(secret) })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ca, secret) = (to_base36(&self.ca, DIGEST_DIGITS), to_base36(&self.secret.0, SECRET_DIGITS));
        write!(f, "{PREFIX}{VERSION}-{ca}-{secret}")
    }
}

/// What `join-token` of the configuration says.
#[derive(Clone)]
pub enum Admission {
    Token(Token),
    /// Shared by the nodes that form the first cluster.
    Founding(String),
}

impl Admission {
    pub fn parse(text: &str) -> Result<Admission, TokenError> {
        if text.starts_with(PREFIX) {
            return Token::parse(text).map(Admission::Token);
        }
        let fine = text.len() >= FOUNDING_BYTES && text.bytes().all(|b| b.is_ascii_graphic());
        if fine { Ok(Admission::Founding(text.to_owned())) } else { Err(TokenError::Weak) }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Admission::Token(_) => "Token(...)",
            Admission::Founding(_) => "Founding(...)",
        })
    }
}

impl PartialEq for Admission {
    fn eq(&self, other: &Admission) -> bool {
        match (self, other) {
            (Admission::Token(a), Admission::Token(b)) => a.ca == b.ca && a.secret.is(&b.secret),
            (Admission::Founding(a), Admission::Founding(b)) => a == b,
            _ => false,
        }
    }
}

fn to_base36(bytes: &[u8], digits: usize) -> String {
    let mut number = bytes.to_vec();
    let mut out = Vec::with_capacity(digits);
    for _ in 0..digits {
        let mut rest = 0;
        for byte in &mut number {
            let value = rest * 256 + u32::from(*byte);
            *byte = (value / 36) as u8;
            rest = value % 36;
        }
        out.push(DIGITS.get(rest as usize).map_or('0', |digit| char::from(*digit)));
    }
    out.iter().rev().collect()
}

fn from_base36<const N: usize>(text: &str, digits: usize) -> Option<[u8; N]> {
    if text.len() != digits {
        return None;
    }
    let mut out = [0; N];
    for c in text.bytes() {
        let mut carry = DIGITS.iter().position(|digit| *digit == c)? as u32;
        for byte in out.iter_mut().rev() {
            let value = u32::from(*byte) * 36 + carry;
            *byte = value as u8;
            carry = value >> 8;
        }
        if carry != 0 {
            return None;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_written() {
        for fill in [0, 1, 0x7f, 0xff] {
            let token = Token { ca: [fill; 32], secret: Secret([fill; 16]) };
            let text = token.to_string();
            assert_eq!(text.len(), 9 + 50 + 1 + 25);
            let again = Token::parse(&text).unwrap();
            assert!(again.ca == token.ca && again.secret.is(&token.secret), "{text}");
        }
        let drawn = Token { ca: digest_of(b"a certificate"), secret: Secret::draw().unwrap() };
        assert!(Token::parse(&drawn.to_string()).unwrap().secret.is(&drawn.secret));
        assert!(!Secret::draw().unwrap().is(&Secret::draw().unwrap()));
    }

    #[test]
    fn what_is_no_token_says_why() {
        let good = Token { ca: [7; 32], secret: Secret([9; 16]) }.to_string();
        assert_eq!(Token::parse("SWMTKN-1-a-b").unwrap_err(), TokenError::NoToken);
        assert_eq!(Token::parse(&good.replace("-1-", "-2-")).unwrap_err(), TokenError::Version);
        assert_eq!(Token::parse(&good[..good.len() - 1]).unwrap_err(), TokenError::Broken);
        assert_eq!(Token::parse(&good.to_uppercase()).unwrap_err(), TokenError::Broken);
        // More than 256 bits.
        let many = format!("ISBTKN-1-{}-{}", "z".repeat(50), "0".repeat(25));
        assert_eq!(Token::parse(&many).unwrap_err(), TokenError::Broken);
    }

    #[test]
    fn a_secret_is_long_and_never_shown() {
        assert_eq!(Admission::parse("too short").unwrap_err(), TokenError::Weak);
        assert_eq!(Admission::parse(&"with blank ".repeat(4)).unwrap_err(), TokenError::Weak);
        let founding = Admission::parse(&"0123456789abcdef".repeat(2)).unwrap();
        assert_eq!(format!("{founding:?}"), "Founding(...)");
        let token = Token { ca: [7; 32], secret: Secret([9; 16]) };
        assert!(matches!(Admission::parse(&token.to_string()), Ok(Admission::Token(_))));
        assert!(!format!("{:?}", token.secret).contains('9'));
    }
}

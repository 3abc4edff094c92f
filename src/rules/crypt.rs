//! Hashed passwords as `crypt(3)` writes them: `$6$` (SHA-512), `$5$` (SHA-256) and `$1$` (MD5).

use std::sync::{Mutex, PoisonError};

use md5::{Digest, Md5};
use sha_crypt::{PasswordVerifier, ShaCrypt};

/// A hash that passwords are held against.
#[derive(Debug)]
pub struct Hash {
    text: Box<str>,
    /// A digest of the password that was right the last time: a hash is slow by design, and clients send the same
    /// password with every request.
    known: Mutex<Option<[u8; 32]>>,
}

/// Octets of a password.
const LONGEST: usize = 512;

impl Hash {
    /// Reads a hash; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Hash, String> {
        let rest = ["$6$", "$5$", "$1$"].iter().find_map(|kind| text.strip_prefix(kind));
        match rest {
            Some(rest) if rest.rsplit_once('$').is_some_and(|(_, hash)| hash.len() >= 22) => {
                Ok(Hash { text: text.into(), known: Mutex::new(None) })
            }
            Some(_) => Err("the hashed password is incomplete, expects '$<kind>$<salt>$<hash>'".to_owned()),
            None => {
                Err("expects a password hashed with SHA-512 ('$6$'), SHA-256 ('$5$') or MD5 ('$1$')"
                    .to_owned())
            }
        }
    }

    /// Whether this is the password.
    pub fn is_of(&self, password: &[u8]) -> bool {
        // Its cost grows with its length: as the C library, nothing longer is looked at.
        if password.len() > LONGEST {
            return false;
        }
        let digest: [u8; 32] = sha2::Sha256::digest([self.text.as_bytes(), password].concat()).into();
        // Not held while one is hashed: others would wait for a wrong one.
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known().is_some_and(|known| same(&known, &digest)) {
            return true;
        }
        let is_right = match self.text.strip_prefix("$1$") {
            Some(rest) => {
                let (salt, hash) = rest.split_once('$').unwrap_or((rest, ""));
                same(md5_crypt(password, salt.as_bytes()).as_bytes(), hash.as_bytes())
            }
            None => ShaCrypt::default().verify_password(password, &*self.text).is_ok(),
        };
        if is_right {
            *known() = Some(digest);
        }
        is_right
    }
}

/// Equal, in a time that does not tell where they differ.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// The oldest of them: a thousand rounds of MD5.
fn md5_crypt(password: &[u8], salt: &[u8]) -> String {
    let salt = &salt[..salt.len().min(8)];
    let other = Md5::digest([password, salt, password].concat());
    let mut first = Md5::new();
    first.update(password);
    first.update(b"$1$");
    first.update(salt);
    for piece in password.chunks(16) {
        first.update(&other[..piece.len()]);
    }
    let mut length = password.len();
    while length > 0 {
        first.update(if length & 1 == 1 { &[0][..] } else { &password[..1] });
        length >>= 1;
    }
    let mut digest = first.finalize();
    for round in 0..1000 {
        let mut next = Md5::new();
        next.update(if round % 2 == 1 { password } else { &digest[..] });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if round % 2 == 1 { &digest[..] } else { password });
        digest = next.finalize();
    }
    let mut text = String::new();
    for i in 0..5 {
        let last = if i == 4 { 5 } else { i + 12 };
        let bits = u32::from(digest[i]) << 16 | u32::from(digest[i + 6]) << 8 | u32::from(digest[last]);
        digits(bits, 4, &mut text);
    }
    digits(u32::from(digest[11]), 2, &mut text);
    text
}

/// Digits of base 64 in the order of `crypt(3)`, the lowest first.
fn digits(mut bits: u32, count: usize, text: &mut String) {
    const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for _ in 0..count {
        text.push(char::from(DIGITS[(bits & 63) as usize]));
        bits >>= 6;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl passwd` and `crypt(3)`.
    #[test]
    fn passwords_of_every_kind() {
        for (hash, password) in [
            ("$1$saltsalt$1K7dkhtbTNVUwUicA5kOT1", "pass word"),
            ("$1$ab$rn6aQS/o7141mj179E/zA.", ""),
            ("$1$12345678$mfvm1537Pq4WbZjm0J7680", "a very long password of more than sixteen bytes"),
            ("$5$saltsalt$9Wp9Qw4Ze8Jxq5F1Z3UnS47KFhc8AqhCRyxFDa8e660", "pass word"),
            ("$5$rounds=1400$anotherlongsalts$ovaM8vCalR0nGbVzYGGcjEuTQD8eTmgp0y2i6NKAxWB", "pass word"),
            (
                "$6$saltsalt$cc1KsgmlKYtCcnNH8.sv7Fe8mca8fAso5fHlNrb1VZa5WYQ.L3ChTcx06ID.LoaXZAf9CZNraK43XCp7LxKHl1",
                "pass word",
            ),
        ] {
            let known = Hash::parse(hash).expect(hash);
            for _ in 0..2 {
                assert!(known.is_of(password.as_bytes()), "{hash}");
                assert!(
                    !known.is_of(b"other") && !known.is_of(&[password.as_bytes(), b"x"].concat()),
                    "{hash}"
                );
            }
        }
        for wrong in ["", "secret", "$2y$05$abc", "$6$salt", "$1$a$b"] {
            assert!(Hash::parse(wrong).is_err(), "{wrong}");
        }
    }
}

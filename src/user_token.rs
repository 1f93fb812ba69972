//! Tokens of a shop's users: each names one user and runs out. The shop's backend makes them, with a key that it shares with
//! the HTTP API; nothing is stored.
//!
//! `rsu_<user>.<expires>.<mac>`: the user's number, the second since the epoch from which it is good no more, and base64 (for
//! URLs, without padding) of the HMAC-SHA256 of `rsu_<user>.<expires>`. So it holds nothing that is secret to its user.

use std::{fmt, str::FromStr};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::ids::{ParseError, UserId};

/// How every token of a user starts.
pub const PREFIX: &str = "rsu_";
/// How every key starts, so that one in the wrong place is recognised.
const KEY_PREFIX: &str = "rsk_";
/// A shorter key could be guessed.
const KEY_BYTES_MIN: usize = 32;

/// Signs and checks tokens; never shown.
#[derive(Clone)]
pub struct UserTokenKey(Hmac<Sha256>);

/// A fresh key, to be shown once.
#[must_use]
pub fn fresh_key() -> String {
    format!("{KEY_PREFIX}{}", STANDARD.encode(rand::random::<[u8; KEY_BYTES_MIN]>()))
}

impl UserTokenKey {
    /// A token for this user, good until `expires_s`, in seconds since the epoch.
    #[must_use]
    pub fn sign(&self, user: UserId, expires_s: i64) -> String {
        let named = format!("{PREFIX}{user}.{expires_s}");
        let mut mac = self.0.clone();
        mac.update(named.as_bytes());
        format!("{named}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    fn has_signed(&self, named: &str, signature: &[u8]) -> bool {
        let mut mac = self.0.clone();
        mac.update(named.as_bytes());
        // In a time that does not depend on where they differ.
        mac.verify_slice(signature).is_ok()
    }
}

impl FromStr for UserTokenKey {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        // It is not repeated: it is a secret.
        let bad = || {
            ParseError::new(
                "key for tokens of users",
                "…",
                "`rsk_` and base64 of 32 bytes or more, as `restock-cli token key` prints it",
            )
        };
        let bytes = text.trim().strip_prefix(KEY_PREFIX).and_then(|key| STANDARD.decode(key).ok());
        let bytes = bytes.filter(|bytes| bytes.len() >= KEY_BYTES_MIN).ok_or_else(bad)?;
        Hmac::new_from_slice(&bytes).map(Self).map_err(|_| bad())
    }
}

impl fmt::Debug for UserTokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserTokenKey")
    }
}

/// Why a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It was not made with any of the keys.
    #[error("the token is not one that is accepted")]
    Unknown,
    /// It was.
    #[error("the token has run out; ask the shop for another")]
    Expired,
}

/// Whose token it is, by any of these keys, at `now_s` seconds since the epoch.
///
/// # Errors
/// When it is not good, or not any more.
pub fn check(keys: &[UserTokenKey], token: &str, now_s: i64) -> Result<UserId, Refusal> {
    let (named, signature) = token.rsplit_once('.').ok_or(Refusal::Unknown)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refusal::Unknown)?;
    if !keys.iter().any(|key| key.has_signed(named, &signature)) {
        return Err(Refusal::Unknown);
    }
    let (user, expires_s) =
        named.strip_prefix(PREFIX).and_then(|named| named.split_once('.')).ok_or(Refusal::Unknown)?;
    let (user, expires_s) = (user.parse().map_err(|_| Refusal::Unknown)?, expires_s.parse::<i64>());
    if expires_s.map_err(|_| Refusal::Unknown)? <= now_s { Err(Refusal::Expired) } else { Ok(user) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> UserTokenKey {
        fresh_key().parse().expect("a key")
    }

    #[test]
    fn a_token_is_good_for_its_user_and_its_time_alone() {
        let (old, new) = (key(), key());
        let token = old.sign(UserId(1001), 1_000);
        assert_eq!(check(&[new.clone(), old.clone()], &token, 999), Ok(UserId(1001)));
        assert_eq!(check(std::slice::from_ref(&old), &token, 1_000), Err(Refusal::Expired));
        assert_eq!(check(&[new], &token, 999), Err(Refusal::Unknown));
        assert_eq!(check(&[], &token, 999), Err(Refusal::Unknown));
        for other in [token.replace("1001", "1002"), token.replace(".1000.", ".9000."), token.replace("rsu_", "rsv_")] {
            assert_eq!(check(std::slice::from_ref(&old), &other, 999), Err(Refusal::Unknown), "{other}");
        }
        for broken in ["", "rsu_", "rsu_1001", "rsu_1001.1000", "rsu_1001.1000.", "..", "rsu_1001.1000.ä"] {
            assert_eq!(check(std::slice::from_ref(&old), broken, 999), Err(Refusal::Unknown), "{broken}");
        }
    }

    #[test]
    fn what_the_documentation_says_makes_the_same_token() {
        let key: UserTokenKey = "rsk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".parse().expect("a key");
        // printf %s rsu_1001.1800000000 | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f -binary | basenc --base64url
        assert_eq!(
            key.sign(UserId(1001), 1_800_000_000),
            "rsu_1001.1800000000.HsLRvHgSnSpRAC04Fv0-pwBWpKg3yi3QKue2-xJ8Mrk"
        );
    }

    #[test]
    fn a_key_that_could_be_guessed_is_refused_and_not_repeated() {
        for bad in ["", "secret", "rsk_c2hvcnQ=", "rsk_not base64 at all, not base64 at all, no"] {
            let error = bad.parse::<UserTokenKey>().expect_err(bad).to_string();
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
        assert_eq!(format!("{:?}", key()), "UserTokenKey");
    }
}

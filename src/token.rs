//! Bearer tokens of the HTTP API: what a caller shows, and the hash that a server keeps of it.
//!
//! A token is 256 random bits, so that one plain SHA-256 of it cannot be guessed back.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{ids::ParseError, mysql::action::Operator};

/// How every token starts, so that one in the wrong place is recognised.
const PREFIX: &str = "rst_";

/// A fresh token, to be shown once.
#[must_use]
pub fn fresh() -> String {
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
}

/// The SHA-256 of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// That of this token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Whether both are the same, in a time that does not depend on where they differ.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

impl FromStr for TokenHash {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        // What was given instead may be a token: it is not repeated.
        let bad = || ParseError::new("hash of a token", "…", "64 hex digits, as `restock-cli token` prints them");
        let mut hash = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(bad());
        }
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).map_err(|_| bad())?;
        }
        Ok(Self(hash))
    }
}

/// A token that a server accepts, `hash` or `name:hash`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownToken {
    /// Whose it is, as it is kept with what is done by it.
    pub name: Option<Operator>,
    /// What is kept of it.
    pub hash: TokenHash,
}

impl FromStr for KnownToken {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (name, hash) = match text.rsplit_once(':') {
            Some((name, hash)) => (Some(name.parse()?), hash),
            None => (None, text),
        };
        Ok(Self { name, hash: hash.trim().parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash_and_nothing_else() {
        let (token, other) = (fresh(), fresh());
        assert_ne!(token, other);
        let hash = TokenHash::of(&token);
        let known: KnownToken = format!("ann:{hash}").parse().expect("an entry");
        assert!(known.hash.is(&TokenHash::of(&token)) && !known.hash.is(&TokenHash::of(&other)));
        assert_eq!(known.name.as_ref().map(Operator::as_str), Some("ann"));
        assert_eq!(hash.to_string().parse::<KnownToken>().map(|known| known.name), Ok(None));
    }

    #[test]
    fn a_bad_entry_is_refused_without_repeating_it() {
        let token = fresh();
        for bad in [token.as_str(), "", "ann:", &"g".repeat(64), &format!(":{}", "0".repeat(64)), &"é".repeat(32)] {
            let error = bad.parse::<KnownToken>().expect_err(bad).to_string();
            assert!(!error.contains(&token), "{error}");
        }
    }
}

//! Signatures as in [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md),
//! symmetric scheme `v1`: HMAC-SHA256 over `id.timestamp.body`, keyed with the decoded secret.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// A secret that cannot sign. Never shows the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be `whsec_` followed by base64")]
pub struct SecretError;

/// Signs messages with one secret; keyed once, and never shown.
#[derive(Clone)]
pub struct Signer(Hmac<Sha256>);

impl Signer {
    /// The signer of a secret, `whsec_` followed by standard base64 with padding.
    ///
    /// # Errors
    /// [`SecretError`] for anything else, and for an empty key.
    pub fn parse(secret: &SecretString) -> Result<Self, SecretError> {
        let encoded = secret.expose_secret().strip_prefix("whsec_").ok_or(SecretError)?;
        let key = STANDARD.decode(encoded).map_err(|_| SecretError)?;
        if key.is_empty() {
            return Err(SecretError);
        }
        Hmac::new_from_slice(&key).map(Self).map_err(|_| SecretError)
    }

    /// The value of `webhook-signature`: `v1,` and base64. `timestamp_s` is the value of `webhook-timestamp`, in
    /// seconds since the epoch.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(id.as_bytes());
        mac.update(b".");
        mac.update(timestamp_s.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        let mut signature = String::from("v1,");
        STANDARD.encode_string(mac.finalize().into_bytes(), &mut signature);
        signature
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(secret: &str) -> Result<Signer, SecretError> {
        Signer::parse(&SecretString::from(secret))
    }

    #[test]
    fn the_standards_own_example_is_signed_alike() {
        let signer = signer("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(
            signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
        assert_eq!(format!("{signer:?}"), "Signer");
    }

    #[test]
    fn a_secret_of_another_form_is_refused_and_not_shown() {
        for bad in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_not*base64", "WHSEC_MfKQ"] {
            let error = signer(bad).unwrap_err();
            assert_eq!(error.to_string(), "it must be `whsec_` followed by base64");
        }
    }
}

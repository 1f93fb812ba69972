//! Names of things: products, users, rounds, places in line, channels, keys.
//!
//! Each is a newtype with a `parse` at the edge; code behind the edge trusts it.

mod place;
mod schema;

use std::{fmt, str::FromStr, sync::Arc};

use serde::Serialize;

pub use place::{Place, rfc3339, time_us};

/// A name that does not have the form it must have. The message says what form that is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{given}` is not valid: {expected}")]
pub struct ParseError {
    what: &'static str,
    given: String,
    expected: &'static str,
}

impl ParseError {
    pub(crate) fn new(what: &'static str, given: &str, expected: &'static str) -> Self {
        let given = given.chars().take(80).collect::<String>().escape_debug().to_string();
        Self { what, given, expected }
    }
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                match text.parse::<$inner>() {
                    Ok(value) if value > 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(Self(value)),
                    _ => Err(ParseError::new($what, text, "it is a whole number above zero")),
                }
            }
        }
    };
}

number_id!(
    /// A product: `product.id`, a positive `BIGINT`.
    ProductId, i64, "product id"
);
number_id!(
    /// A user of the shop: a positive `BIGINT`.
    UserId, i64, "user id"
);

impl UserId {
    /// Whose outcomes are those of everybody who was erased; no text names them but a person in the log.
    pub const NOBODY: Self = Self(0);
}

number_id!(
    /// One restocking of one product, counted from 1.
    Round, u32, "round"
);

/// A product as people name it: `42`, or `sku:85123A`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProductRef {
    /// By number.
    Id(ProductId),
    /// By code; upper and lower case differ.
    Sku(Sku),
}

impl FromStr for ProductRef {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.strip_prefix("sku:") {
            Some(code) => Ok(Self::Sku(code.parse()?)),
            None => text
                .parse()
                .map(Self::Id)
                .map_err(|_| ParseError::new("product", text, "give a number such as 42, or sku:CODE")),
        }
    }
}

impl fmt::Display for ProductRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Sku(sku) => write!(f, "sku:{sku}"),
        }
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err(ParseError::new($what, text, $expected)) }
            }
        }
    };
}

text_id!(
    /// A way to reach people, such as `webhook`; also the name of its streams.
    Channel, "channel", "a small letter, then up to 15 small letters, digits or _",
    |text| text.len() <= 16
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
);
text_id!(
    /// A product's code in the shop; upper and lower case differ.
    Sku, "sku", "1 to 64 characters, none of them a control character, no space at either end",
    |text| (1..=64).contains(&text.chars().count()) && text.trim() == text && !text.chars().any(char::is_control)
);
text_id!(
    /// What a producer gives to make a repeated enqueue count once, per product.
    IdempotencyKey, "key", "1 to 128 characters, none of them a control character, not starting with #",
    |text| (1..=128).contains(&text.chars().count()) && !text.starts_with('#') && !text.chars().any(char::is_control)
);
text_id!(
    /// The deployment's name: the first word of every Redis key.
    Namespace, "namespace", "1 to 32 of a-z A-Z 0-9 . _ -",
    |text| (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
);

/// One of the hash slots over which products are spread, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u16);

impl Partition {
    /// The partition of a product, of `count` partitions.
    #[must_use]
    pub fn of(product: ProductId, count: u16) -> Self {
        let count = i64::from(count.max(1));
        Self(u16::try_from(product.0.rem_euclid(count)).unwrap_or(0))
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The unit that one worker at a time works in order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId {
    /// Whose line it is.
    pub product: ProductId,
    /// By which channel the people are told.
    pub channel: Channel,
}

impl fmt::Display for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.product, self.channel)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_product_is_a_number_or_a_case_sensitive_code() {
        assert_eq!("42".parse(), Ok(ProductRef::Id(ProductId(42))));
        assert_ne!("sku:85123A".parse::<ProductRef>(), "sku:85123a".parse());
        for bad in ["", "0", "-1", "+1", "4x", "sku:", "sku: x", "99999999999999999999"] {
            assert!(bad.parse::<ProductRef>().is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_of_rows_without_a_key_cannot_be_taken() {
        assert!("#7".parse::<IdempotencyKey>().is_err());
        assert!("order-7".parse::<IdempotencyKey>().is_ok());
    }

    proptest! {
        #[test]
        fn whatever_is_taken_for_a_name_is_written_as_it_was_read(text in "[0-9]{1,20}|sku:.{0,20}|[a-zA-Z0-9._#-]{0,40}|.{0,40}") {
            macro_rules! survives {
                ($($name:ty),*) => {$(
                    if let Ok(read) = text.parse::<$name>() {
                        let written = read.to_string();
                        prop_assert!(written.parse::<$name>() == Ok(read), "{written}");
                    }
                )*};
            }
            survives!(ProductId, UserId, Round, ProductRef, Sku, IdempotencyKey, Namespace, Channel, Place);
            let _ = Place::parse_time(&text);
        }
    }
}

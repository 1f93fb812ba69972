//! Whole numbers in JSON: `3` and `3.0` are the same one, as JSON Schema has it.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

/// Up to here every whole number is one of JSON's floating point numbers.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// A whole number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::api) struct Whole(pub(in crate::api) i64);

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Whole, E> {
        Ok(Whole(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Whole, E> {
        i64::try_from(value).map(Whole).map_err(|_| E::custom("the number is too large"))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Whole, E> {
        if value.fract() != 0.0 {
            return Err(E::custom("it is not a whole number"));
        }
        if value.abs() > EXACT_MAX {
            return Err(E::custom("the number is too large"));
        }
        // Whole and within 2^53: its text is that of an integer.
        format!("{value:.0}").parse().map(Whole).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_may_be_written_with_a_point() {
        for (text, value) in
            [("3", 3), ("3.0", 3), ("-0.0", 0), ("3e2", 300), ("-7", -7), ("9223372036854775807", i64::MAX)]
        {
            assert_eq!(
                serde_json::from_str::<Whole>(text).map_err(|error| error.to_string()),
                Ok(Whole(value)),
                "{text}"
            );
        }
        for bad in ["3.5", "1e300", "18446744073709551615", "\"3\"", "null", "true", "[3]"] {
            assert!(serde_json::from_str::<Whole>(bad).is_err(), "{bad}");
        }
    }
}

//! Places in line, which are times, and how times look to people.

use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

use super::ParseError;

/// The place in line of a subscription: its `created_at`, unique within its product, in µs since the epoch.
///
/// Redis keeps it as an opaque string of digits and compares it for equality only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub i64);

impl Place {
    /// The place as MySQL's `DATETIME(6)` in UTC.
    #[must_use]
    pub fn datetime(self) -> NaiveDateTime {
        DateTime::<Utc>::from_timestamp_micros(self.0).unwrap_or_default().naive_utc()
    }

    /// The place of a `DATETIME(6)` in UTC.
    #[must_use]
    pub fn from_datetime(at: NaiveDateTime) -> Self {
        Self(at.and_utc().timestamp_micros())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Place {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.parse().map(Self).map_err(|_| ParseError::new("place", text, "it is µs since the epoch"))
    }
}

impl Place {
    /// Reads a place as people and programs are shown it, a time of RFC 3339; or in µs since the epoch.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse_time(text: &str) -> Result<Self, ParseError> {
        match DateTime::parse_from_rfc3339(text) {
            Ok(at) => Ok(Self(at.timestamp_micros())),
            Err(_) => {
                text.parse().map_err(|_| ParseError::new("place", text, "a time such as 2026-01-31T12:00:00.000001Z"))
            }
        }
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&rfc3339(self.datetime()))
    }
}

/// A time as people read it: RFC 3339, UTC, microseconds.
#[must_use]
pub fn rfc3339(at: NaiveDateTime) -> String {
    at.and_utc().to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A time in µs since the epoch, as [`rfc3339`] writes it; one that no calendar has is the epoch.
#[must_use]
pub fn time_us(at_us: i64) -> String {
    rfc3339(DateTime::<Utc>::from_timestamp_micros(at_us).unwrap_or_default().naive_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_mysql_and_text() {
        let place = Place(1_700_000_000_123_456);
        assert_eq!(Place::from_datetime(place.datetime()), place);
        assert_eq!(place.to_string().parse(), Ok(place));
        assert_eq!(rfc3339(place.datetime()), "2023-11-14T22:13:20.123456Z");
    }
}

//! The values that settings can have.

use super::{KNOWN_CHANNELS, NONE, Name, PARTITIONS_MAX, RATE_MAX, SettingError};
use crate::ids::{Channel, Namespace, ParseError};

/// The value as it is stored, or why it cannot be.
pub(super) fn parse(name: Name, value: &str) -> Result<String, SettingError> {
    match name {
        Name::Partitions => parse_partitions(value).map(|count| count.to_string()),
        Name::Channels => {
            parse_channels(value).map(|channels| channels.iter().map(Channel::as_str).collect::<Vec<_>>().join(","))
        }
        Name::Rate => parse_rate(value).map(|rate| rate.to_string()),
        Name::Namespace => parse_namespace(value).map(|namespace| namespace.to_string()),
        Name::Paused => parse_paused(value).map(|paused| yes_or_no(paused).to_owned()),
    }
}

/// `None` for none of its own.
pub(super) fn parse_channel_rate(name: &str, value: &str) -> Result<Option<u32>, SettingError> {
    if value.trim() == NONE {
        return Ok(None);
    }
    let parsed = value.trim().parse().ok().filter(|rate| (1..=RATE_MAX).contains(rate));
    let expected = || format!("a whole number from 1 to {RATE_MAX}, in starts a second, or `{NONE}`");
    parsed.map(Some).ok_or_else(|| SettingError::Invalid {
        name: name.to_owned(),
        value: value.to_owned(),
        expected: expected(),
    })
}

fn invalid(name: Name, value: &str, expected: impl Into<String>) -> SettingError {
    SettingError::Invalid { name: name.as_str().to_owned(), value: value.to_owned(), expected: expected.into() }
}

pub(super) fn parse_partitions(value: &str) -> Result<u16, SettingError> {
    let parsed = value.trim().parse().ok().filter(|count| (1..=PARTITIONS_MAX).contains(count));
    parsed.ok_or_else(|| invalid(Name::Partitions, value, format!("a whole number from 1 to {PARTITIONS_MAX}")))
}

pub(super) fn parse_rate(value: &str) -> Result<u32, SettingError> {
    let parsed = value.trim().parse().ok().filter(|rate| *rate <= RATE_MAX);
    parsed.ok_or_else(|| {
        invalid(Name::Rate, value, format!("a whole number from 0 (no pace) to {RATE_MAX}, in starts a second"))
    })
}

pub(super) fn parse_channels(value: &str) -> Result<Vec<Channel>, SettingError> {
    let bad = || invalid(Name::Channels, value, format!("one or more of {}, each once", KNOWN_CHANNELS.join(",")));
    let mut channels: Vec<Channel> = Vec::new();
    for part in value.split(',').map(str::trim) {
        let channel: Channel = part.parse().map_err(|_| bad())?;
        if !KNOWN_CHANNELS.contains(&channel.as_str()) || channels.contains(&channel) {
            return Err(bad());
        }
        channels.push(channel);
    }
    Ok(channels)
}

pub(super) fn parse_paused(value: &str) -> Result<bool, SettingError> {
    match value.trim() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(invalid(Name::Paused, value, "yes or no")),
    }
}

pub(super) fn yes_or_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

pub(super) fn parse_namespace(value: &str) -> Result<Namespace, SettingError> {
    value.parse().map_err(|error: ParseError| invalid(Name::Namespace, value, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_before_they_are_stored() {
        for (name, good) in [
            (Name::Rate, "0"),
            (Name::Rate, "1000000"),
            (Name::Partitions, "1"),
            (Name::Channels, "webhook, file"),
            (Name::Namespace, "shop-1"),
            (Name::Paused, "yes"),
        ] {
            assert!(parse(name, good).is_ok(), "{good}");
        }
        for (name, bad) in [
            (Name::Rate, "-1"),
            (Name::Rate, "1000001"),
            (Name::Rate, "fast"),
            (Name::Partitions, "0"),
            (Name::Channels, ""),
            (Name::Channels, "webhook,webhook"),
            (Name::Channels, "pigeon"),
            (Name::Namespace, "a:b"),
            (Name::Paused, "maybe"),
        ] {
            assert!(matches!(parse(name, bad), Err(SettingError::Invalid { .. })), "{bad}");
        }
        for (good, rate) in [("200", Some(200)), (" none ", None)] {
            assert!(matches!(parse_channel_rate("rate.webhook", good), Ok(found) if found == rate), "{good}");
        }
        for bad in ["0", "-1", "", "no", "1000001"] {
            assert!(parse_channel_rate("rate.webhook", bad).is_err(), "{bad}");
        }
    }
}

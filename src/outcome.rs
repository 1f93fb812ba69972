//! What became of one person in one round.

use std::{fmt, str::FromStr};

use serde::Serialize;
use utoipa::ToSchema;

use crate::ids::{ParseError, Place, UserId};

/// What became of one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// The channel took the message.
    Sent,
    /// Opted out, or has no address: nothing was sent.
    Skipped,
    /// Refused for good.
    Failed,
    /// Given up after an attempt that got no answer: they may have been told.
    Unknown,
}

impl Outcome {
    /// Every outcome, in the order of the counts in a lane.
    pub const ALL: [Self; 4] = [Self::Sent, Self::Skipped, Self::Failed, Self::Unknown];

    /// As it stands in MySQL and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "SENT",
            Self::Skipped => "SKIPPED",
            Self::Failed => "FAILED",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// Its number in MySQL, which spares the server to compare texts.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Sent => 1,
            Self::Skipped => 2,
            Self::Failed => 3,
            Self::Unknown => 4,
        }
    }

    /// The one letter that stands for it in the log.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Sent => 'S',
            Self::Skipped => 'K',
            Self::Failed => 'F',
            Self::Unknown => 'U',
        }
    }

    /// The outcome of a letter of the log.
    #[must_use]
    pub fn from_letter(letter: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| letter.chars().eq([outcome.letter()]))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Outcome {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
            .ok_or_else(|| ParseError::new("outcome", text, "SENT, SKIPPED, FAILED or UNKNOWN"))
    }
}

/// One person's line in the history of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// Their place in line.
    pub place: Place,
    /// Who.
    pub user: UserId,
    /// What became of them.
    pub outcome: Outcome,
    /// When the deciding attempt started, in µs since the epoch.
    pub at_us: i64,
    /// Attempts made for them, since the round was last resumed; at least 1.
    pub tries: u32,
}

/// Writes people as the log carries them: `place,user,letter,at_us[,tries];…`. Most people need one try, so that it is
/// not written.
#[must_use]
pub fn encode(people: &[Settled]) -> String {
    use fmt::Write;
    let mut text = String::with_capacity(people.len() * 48);
    for p in people {
        // Writing to a String cannot fail.
        let _ = write!(text, "{},{},{},{}", p.place, p.user, p.outcome.letter(), p.at_us);
        if p.tries > 1 {
            let _ = write!(text, ",{}", p.tries);
        }
        text.push(';');
    }
    text
}

/// Reads what [`encode`] wrote.
///
/// # Errors
/// When a person is not of the form `place,user,letter,at_us[,tries]`.
pub fn decode(text: &str) -> Result<Vec<Settled>, ParseError> {
    text.split_terminator(';').map(decode_one).collect()
}

fn decode_one(text: &str) -> Result<Settled, ParseError> {
    let bad = || ParseError::new("person in the log", text, "it is place,user,letter,at_us[,tries]");
    let mut parts = text.split(',');
    let mut next = || parts.next().ok_or_else(bad);
    let mut settled = Settled {
        place: next()?.parse()?,
        user: match next()? {
            "0" => UserId::NOBODY,
            user => user.parse()?,
        },
        outcome: Outcome::from_letter(next()?).ok_or_else(bad)?,
        at_us: next()?.parse().map_err(|_| bad())?,
        tries: 1,
    };
    if let Some(tries) = parts.next() {
        settled.tries = tries.parse().map_err(|_| bad())?;
    }
    if parts.next().is_some() { Err(bad()) } else { Ok(settled) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_those_of_the_schema() {
        let mut outcomes = Outcome::ALL;
        outcomes.sort_by_key(|outcome| outcome.number());
        let names = outcomes.map(|outcome| format!("'{outcome}'")).join(", ");
        assert!(include_str!("../migrations/0001_restock.sql").contains(&format!("outcome       ENUM({names})")));
        assert_eq!(outcomes.map(Outcome::number), [1, 2, 3, 4]);
    }

    #[test]
    fn people_survive_the_log() {
        let people: Vec<Settled> = Outcome::ALL
            .into_iter()
            .zip(1..)
            .map(|(outcome, n)| {
                let tries = u32::try_from(n).unwrap();
                Settled { place: Place(1_700_000_000_000_000 + n), user: UserId(n), outcome, at_us: n, tries }
            })
            .collect();
        assert_eq!(decode(&encode(&people)), Ok(people));
        assert_eq!(decode(""), Ok(vec![]));
        assert_eq!(decode("1,0,S,3;").unwrap()[0].user, UserId::NOBODY);
        for bad in ["1,2,S", "1,2,X,3", "1,2,S,3,4,5", "1,2,S,3,x", "a,2,S,3"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn whatever_stands_there_is_read_or_refused(text in "[0-9,;SKFUx+-]{0,60}|.{0,40}") {
            if let Ok(people) = decode(&text) {
                prop_assert_eq!(decode(&encode(&people)), Ok(people));
            }
        }
    }
}

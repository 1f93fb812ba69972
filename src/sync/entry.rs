//! What one entry of the log says.

use super::{batch::Person, fields::Fields};
use crate::{
    ids::{Channel, LaneId, ParseError, ProductId, Round},
    outcome::{self, Settled},
    redis::log_entry::LogEntry,
    round::{Counts, RoundState, Stamp, decode_places},
};

/// A product's state after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProductState {
    pub(super) product: ProductId,
    pub(super) stock: i64,
    pub(super) round: u32,
    pub(super) paused: bool,
    pub(super) stamp: Stamp,
}

/// What became of a request of the outbox, or of a key that has no row there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) product: ProductId,
    pub(super) request: Option<i64>,
    pub(super) key: String,
    /// The round it got, or why it gets none.
    pub(super) round: Result<Round, String>,
}

/// What a row is about. None is all lanes of the product, or all rounds of the lane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) product: Option<ProductId>,
    pub(super) channel: Option<Channel>,
    pub(super) round: Option<Round>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    Product(ProductState),
    Round(Box<RoundState>, Vec<Settled>),
    Request(Answer),
    /// People without the state of their round: refused rows that are tried again.
    People(Vec<Person>),
}

/// Reads an entry.
///
/// # Errors
/// When it is of no known kind, or a field does not have its form.
pub(super) fn read(entry: &LogEntry) -> Result<Change, ParseError> {
    let fields = Fields::of(&entry.fields);
    if !entry.is_text || !fields.is_whole() {
        return Err(ParseError::new("entry of the log", fields.text("k"), "it is text, and all of it"));
    }
    match fields.text("k") {
        "product" => Ok(Change::Product(ProductState {
            product: fields.need("p")?,
            stock: fields.need("stock")?,
            round: fields.need("r")?,
            paused: fields.text("z") == "1",
            stamp: fields.stamp()?,
        })),
        "round" => Ok(Change::Round(Box::new(round(&fields)?), people(fields.text("people"))?)),
        "people" => {
            let (product, channel, round) = (fields.need("p")?, fields.need::<Channel>("c")?, fields.need("r")?);
            let person = |settled| Person { product, round, channel: channel.clone(), settled };
            Ok(Change::People(people(fields.text("people"))?.into_iter().map(person).collect()))
        }
        "request" => Ok(Change::Request(Answer {
            product: fields.need("p")?,
            request: fields.get("id")?,
            key: fields.text("key").to_owned(),
            round: match fields.text("s") {
                "ACCEPTED" => Ok(fields.need("r")?),
                _ => Err(fields.text("why").to_owned()),
            },
        })),
        other => Err(ParseError::new("kind of log entry", other, "product, round, people or request")),
    }
}

/// The last microsecond that MySQL can hold.
const TIME_US_MAX: i64 = 253_402_300_799_999_999;

/// MySQL's driver would fail on other times, again and again, without saying that it is the row's fault.
fn check_times(times_us: impl IntoIterator<Item = i64>) -> Result<(), ParseError> {
    match times_us.into_iter().find(|us| !(0..=TIME_US_MAX).contains(us)) {
        None => Ok(()),
        Some(bad) => Err(ParseError::new("time in the log", &bad.to_string(), "it is µs from 1970 to 9999")),
    }
}

fn people(text: &str) -> Result<Vec<Settled>, ParseError> {
    let people = outcome::decode(text)?;
    check_times(people.iter().flat_map(|person| [person.place.0, person.at_us]))?;
    Ok(people)
}

fn round(fields: &Fields<'_>) -> Result<RoundState, ParseError> {
    let state = RoundState {
        lane: LaneId { product: fields.need("p")?, channel: fields.need("c")? },
        round: fields.need("r")?,
        status: fields.need("s")?,
        from: fields.get("from")?,
        cursor: fields.get("cur")?,
        upto: fields.get("upto")?,
        ahead: decode_places(fields.text("ahead"))?,
        last_user: fields.get("lu")?,
        blocked_user: fields.get("bu")?,
        counts: counts(fields.text("n"))?,
        stamp: fields.stamp()?,
        retry_of: fields.get("rt")?,
        reason: fields.get("why")?,
        queued_us: fields.get("q")?,
        started_us: fields.get("b")?,
        ended_us: fields.get("x")?,
    };
    let RoundState { from, cursor, upto, queued_us, started_us, ended_us, .. } = &state;
    check_times([from, cursor, upto].into_iter().flatten().map(|place| place.0))?;
    check_times([queued_us, started_us, ended_us].into_iter().flatten().copied())?;
    Ok(state)
}

/// What an entry is about, as far as that can be read.
pub(super) fn subject(entry: &LogEntry) -> Subject {
    let fields = Fields::of(&entry.fields);
    Subject {
        product: fields.get("p").ok().flatten(),
        channel: fields.get("c").ok().flatten(),
        round: fields.get("r").ok().flatten(),
    }
}

/// The product that an entry names, as it stands there.
pub(super) fn product_of(entry: &LogEntry) -> Option<&str> {
    Some(Fields::of(&entry.fields).text("p")).filter(|product| !product.is_empty())
}

fn counts(text: &str) -> Result<Counts, ParseError> {
    let bad = || ParseError::new("counts in the log", text, "four whole numbers");
    let numbers: Vec<u64> = text.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|_| bad())?;
    let [sent, skipped, failed, unknown] = numbers.try_into().map_err(|_| bad())?;
    Ok(Counts { sent, skipped, failed, unknown })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::fields::{PACKED, PACKED_BEFORE},
        *,
    };

    fn entry(fields: &[(&str, &str)]) -> LogEntry {
        let fields = fields.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        LogEntry { id: "1-1".to_owned(), fields, is_text: true }
    }

    #[test]
    fn each_kind_is_read() {
        let product = entry(&[("k", "product"), ("p", "7"), ("stock", "-2"), ("r", "0"), ("e", "1"), ("v", "3")]);
        let stamp = Stamp { epoch: 1, version: 3 };
        let state = ProductState { product: ProductId(7), stock: -2, round: 0, paused: false, stamp };
        assert_eq!(read(&product), Ok(Change::Product(state)));
        let refused =
            entry(&[("k", "request"), ("p", "7"), ("id", "4"), ("key", "#4"), ("s", "REFUSED"), ("why", "x")]);
        let Ok(Change::Request(answer)) = read(&refused) else { panic!("a request") };
        assert_eq!((answer.request, answer.round), (Some(4), Err("x".to_owned())));
    }

    #[test]
    fn a_packed_round_says_the_same_as_one_with_all_its_fields() {
        let lane = [("k", "round"), ("lu", "2"), ("people", "")];
        let apart = [
            ("p", "7"),
            ("c", "webhook"),
            ("r", "3"),
            ("s", "CANCELED_BY_ERROR"),
            ("from", "1"),
            ("cur", "2"),
            ("upto", "9"),
            ("ahead", "4,5"),
            ("n", "1,2,3,4"),
            ("e", "2"),
            ("v", "9"),
            ("q", "1"),
            ("b", "2"),
            ("x", "3"),
            ("rt", "COMPLETED"),
            ("why", "a|b"),
        ];
        assert_eq!(apart.map(|(name, _)| name), PACKED);
        let state = apart.map(|(_, value)| value).join("|");
        let packed = read(&entry(&[&lane[..], &[("d", state.as_str())]].concat()));
        assert!(packed.is_ok(), "{packed:?}");
        assert_eq!(packed, read(&entry(&[&lane[..], &apart].concat())));
        // As release 0.1.0 did: whose product, channel and round stood apart.
        let state = apart[PACKED_BEFORE..].iter().map(|(_, value)| *value).collect::<Vec<_>>().join("|");
        let before = entry(&[&lane[..], &apart[..PACKED_BEFORE], &[("d", state.as_str())]].concat());
        assert_eq!(read(&before), packed);
        let cut = entry(&[&lane[..], &[("d", "7|webhook|3|COMPLETED|1")]].concat());
        assert!(read(&cut).is_err());
        assert_eq!((subject(&cut).product, product_of(&cut)), (Some(ProductId(7)), Some("7")), "what can be read is");
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        let mut round: Vec<(&str, &str)> = vec![("k", "round"), ("p", "7"), ("c", "webhook"), ("r", "1")];
        round.extend([("s", "QUEUED"), ("n", "0,0,0,0"), ("e", "1"), ("v", "1")]);
        assert!(read(&entry(&round)).is_ok());
        let with = |name: &'static str, value: &'static str| entry(&[&round[..], &[(name, value)]].concat());
        for bad in [
            with("cur", "253402300800000000"),
            with("b", "-1"),
            with("people", "5,101,S,253402300800000000;"),
            LogEntry { is_text: false, ..entry(&round) },
            entry(&[]),
            entry(&[("k", "rumour")]),
            entry(&[("k", "product"), ("p", "x")]),
            entry(&[("k", "request"), ("p", "7"), ("s", "ACCEPTED")]),
            entry(&[("k", "round"), ("p", "7"), ("c", "webhook"), ("r", "1"), ("s", "QUEUED"), ("n", "1,2,3")]),
        ] {
            assert!(read(&bad).is_err(), "{bad:?}");
        }
    }

    /// A value that a field may have, or should not have.
    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            "product|round|people|request|webhook|QUEUED|COMPLETED|ACCEPTED|REFUSED",
            "[0-9]{1,20}",
            "-?[0-9]{1,17}",
            "[0-9]{1,3}(,[0-9]{1,3}){3}",
            "([0-9]{1,18},[0-9]{1,3},[SKFU],[0-9]{1,18};){0,3}",
            ".{0,20}",
        ]
    }

    proptest! {
        #[test]
        fn whatever_stands_in_an_entry_is_read_or_refused_and_can_be_stored(
            fields in prop::collection::hash_map(
                "k|d|p|c|r|s|n|e|v|z|from|cur|upto|ahead|lu|bu|rt|why|q|b|x|people|stock|id|key", value(), 0..24),
            kind in "product|round|people|request",
        ) {
            let fields = fields.into_iter().chain([("k".to_owned(), kind)]).collect();
            let entry = LogEntry { id: "1-1".to_owned(), fields, is_text: true };
            let _ = subject(&entry);
            let Ok(change) = read(&entry) else { return Ok(()) };
            if let Change::Round(state, people) = change {
                let places = [state.from, state.cursor, state.upto].into_iter().flatten().map(|place| place.0);
                let times = [state.queued_us, state.started_us, state.ended_us].into_iter().flatten();
                let of_people = people.iter().flat_map(|person| [person.place.0, person.at_us]);
                prop_assert!(places.chain(times).chain(of_people).all(|us| (0..=TIME_US_MAX).contains(&us)));
            }
        }
    }
}

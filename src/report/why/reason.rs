//! Why somebody was not told, in words.

use crate::{
    ids::{Round, UserId},
    mysql::{history::RoundRow, line::Person},
    outcome::Outcome,
    round::Status,
};

/// A round in which a person has no outcome.
pub(super) struct Case<'a> {
    /// The round as it stands.
    pub(super) row: &'a RoundRow,
    /// Whether Redis said so, which MySQL may not have heard in full.
    pub(super) is_live: bool,
    /// Where they stand now.
    pub(super) person: Option<&'a Person>,
    /// Who.
    pub(super) user: UserId,
    /// Of the next in line: attempts made for them by now.
    pub(super) tries: Option<u32>,
    /// The last round before in which they have an outcome on this channel.
    pub(super) told_in: Option<Round>,
}

/// Why an outcome is not SENT.
pub(super) fn of_outcome(outcome: Outcome) -> Option<String> {
    let text = match outcome {
        Outcome::Sent => return None,
        Outcome::Skipped => "opted out of this channel, or has no address there",
        Outcome::Failed => "refused for good, or given up",
        Outcome::Unknown => "given up after an attempt without an answer: they may have been told",
    };
    Some(text.to_owned())
}

/// Why there is no outcome.
pub(super) fn of_silence(case: &Case<'_>) -> String {
    let state = &case.row.state;
    let why = state.reason.as_deref().unwrap_or("no reason was kept");
    if state.status == Status::Superseded {
        return format!("the round never began: {why}");
    }
    if state.started_us.is_none() {
        return match (state.status.is_open(), case.row.is_paused) {
            (true, true) => "the round has not begun: the product is paused".to_owned(),
            (true, false) => "the round has not begun".to_owned(),
            (false, _) => format!("the round ended before it began: {why}"),
        };
    }
    let Some(person) = case.person else { return "was not in line".to_owned() };
    if state.upto.is_none_or(|upto| person.place > upto) {
        return "stands behind the end of this round: subscribed, or did so again, after it began".to_owned();
    }
    if state.from.is_some_and(|from| person.place <= from) {
        return "the round went on behind this place: its turn was in a round before".to_owned();
    }
    let is_behind = state.cursor.is_some_and(|cursor| person.place <= cursor);
    let is_settled = is_behind || state.ahead.contains(&person.place) || state.status == Status::Completed;
    if is_settled && let (Some(round), Some(_)) = (case.told_in, state.from) {
        return format!("has the outcome in round {round}, which this one goes on with");
    }
    if is_settled {
        return passed_over(case, person);
    }
    match state.status {
        _ if state.status.is_open() && !person.active => "unsubscribed: will be passed over".to_owned(),
        _ if state.status.is_open() && case.row.is_paused => {
            "its turn has not come, and the product is paused".to_owned()
        }
        _ if state.status.is_open() => match case.tries {
            None => "its turn has not come".to_owned(),
            Some(0) => "is the next in line".to_owned(),
            Some(1) => "is being tried: one attempt so far".to_owned(),
            Some(tries) => format!("is being tried: {tries} attempts so far"),
        },
        _ if state.blocked_user == Some(case.user) => format!("could not be told, which ended the round: {why}"),
        _ => format!("the round ended before this place: {why}"),
    }
}

fn passed_over(case: &Case<'_>, person: &Person) -> String {
    let text = match (person.active, case.is_live) {
        (false, _) => "had unsubscribed when the round came to this place",
        (true, true) => "settled just now, or passed over: MySQL has not heard of it yet",
        (true, false) => "was not in line when the round came to this place: unsubscribed then, or imported later",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::{LaneId, Place, ProductId},
        round::{Counts, RoundState, Stamp},
    };

    /// A round over the places (10, 50] that stands at 30.
    fn round(status: Status) -> RoundRow {
        let lane = LaneId { product: ProductId(42), channel: "webhook".parse().unwrap() };
        let state = RoundState {
            lane,
            round: Round(3),
            status,
            from: Some(Place(10)),
            cursor: Some(Place(30)),
            upto: Some(Place(50)),
            ahead: vec![Place(33)],
            last_user: None,
            blocked_user: Some(UserId(31)),
            counts: Counts::default(),
            stamp: Stamp::default(),
            retry_of: None,
            reason: Some("stock is gone".to_owned()),
            queued_us: Some(1),
            started_us: Some(2),
            ended_us: None,
        };
        RoundRow { state, sku: None, total: None, is_paused: false }
    }

    fn said(row: &RoundRow, place: i64, active: bool) -> String {
        said_after(row, place, active, None)
    }

    fn said_after(row: &RoundRow, place: i64, active: bool, tries: Option<u32>) -> String {
        let person = Person { place: Place(place), user: UserId(place), active };
        let told_in = (place == 33).then_some(Round(2));
        of_silence(&Case { row, is_live: false, person: Some(&person), user: person.user, tries, told_in })
    }

    #[test]
    fn who_was_not_told_hears_why() {
        let (open, ended) = (round(Status::InProgress), round(Status::CanceledBySoldOut));
        for (row, place, active, word) in [
            (&open, 5, true, "a round before"),
            (&open, 20, false, "had unsubscribed"),
            (&open, 20, true, "imported later"),
            (&open, 33, true, "in round 2"),
            (&open, 40, true, "has not come"),
            (&open, 40, false, "will be passed over"),
            (&open, 60, true, "behind the end"),
            (&ended, 31, true, "could not be told"),
            (&ended, 40, true, "before this place: stock is gone"),
        ] {
            let said = said(row, place, active);
            assert!(said.contains(word), "{place}: {said}");
        }
        for (tries, word) in [(0, "next in line"), (1, "one attempt"), (3, "3 attempts")] {
            assert!(said_after(&open, 31, true, Some(tries)).contains(word));
        }
        let unbegun = RoundState { started_us: None, ..round(Status::Queued).state };
        let paused = RoundRow { state: unbegun, is_paused: true, ..round(Status::Queued) };
        assert!(said(&paused, 20, true).contains("paused"));
        assert!(said(&round(Status::Superseded), 20, true).contains("never began"));
    }
}

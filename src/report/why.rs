//! One person in a product's line: where they stand, and for each round whether they were told, or why not.

mod reason;

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    ReportError, Sources,
    live::{self, Known},
};
use crate::{
    ids::{Channel, LaneId, Place, ProductId, Round, UserId, rfc3339},
    mysql::{
        history::{self, PeopleOf, PersonRow},
        line::{self, Person},
    },
    outcome::Outcome,
    round::Status,
};

/// The most rounds that are looked at, the newest.
const ROUNDS_MAX: u32 = 1_000;

/// What is known of one person.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Why {
    /// Whose line.
    pub product: ProductId,
    /// Who.
    pub user: UserId,
    /// Their place in line; null when they never subscribed, or their subscription is gone.
    pub place: Option<Place>,
    /// How many active people stand there and before, with themselves; null for who does not wait.
    pub position: Option<u64>,
    /// When they subscribed, or did so again.
    pub subscribed_at: Option<Place>,
    /// Whether they still want to hear.
    pub active: bool,
    /// In order.
    pub rounds: Vec<WhyRound>,
}

/// One person in one round of one channel.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WhyRound {
    /// Which round.
    pub round: Round,
    /// By which channel.
    pub channel: Channel,
    /// Where the round stands.
    pub status: Status,
    /// What became of them; null when nothing did, or MySQL does not know it yet.
    pub outcome: Option<Outcome>,
    /// When the deciding attempt started.
    pub sent_at: Option<String>,
    /// Attempts made for them since the round was last resumed; of who has no outcome, known of the next in line only.
    pub tries: Option<u32>,
    /// Why they were not told.
    pub reason: Option<String>,
}

/// What became of `user`; `None` when they neither stand in line nor in the history.
///
/// # Errors
/// Those of MySQL; those of Redis other than that it does not answer.
pub async fn person(sources: &Sources, product: ProductId, user: UserId) -> Result<Option<Why>, ReportError> {
    let mysql = &sources.mysql;
    let mut rows = history::newest_rounds(mysql, product, ROUNDS_MAX).await?;
    let lanes = match &sources.redis {
        None => BTreeMap::new(),
        Some(redis) => match live::read(redis, &sources.settings, Some(product), &rows).await {
            Err(error) if error.is_unreachable() => BTreeMap::new(),
            read => read?.lanes,
        },
    };
    if !lanes.is_empty() {
        // Read again after Redis: what was flushed between the two is found in MySQL.
        rows = history::newest_rounds(mysql, product, ROUNDS_MAX).await?;
    }
    let person = line::place_of(mysql, product, user).await?;
    let mut rounds: Vec<WhyRound> = Vec::new();
    for known in live::overlay(rows, &lanes) {
        let row = look(sources, &known, person.as_ref(), user, &rounds).await?;
        rounds.push(row);
    }
    if person.is_none() && rounds.iter().all(|round| round.outcome.is_none()) {
        return Ok(None);
    }
    let active = person.as_ref().is_some_and(|person| person.active);
    let place = person.map(|person| person.place);
    let position = match place {
        Some(place) if active => Some(line::count_active(mysql, product, None, place).await?),
        _ => None,
    };
    Ok(Some(Why { product, user, place, position, subscribed_at: place, active, rounds }))
}

async fn look(
    sources: &Sources,
    known: &Known<'_>,
    person: Option<&Person>,
    user: UserId,
    before: &[WhyRound],
) -> Result<WhyRound, ReportError> {
    let state = &known.row.state;
    let LaneId { product, channel } = state.lane.clone();
    let of = PeopleOf { product, round: state.round, channel: channel.clone() };
    // Who stands behind the round may have stood elsewhere when it ran.
    let place = person.map(|person| person.place).filter(|place| state.upto.is_none_or(|upto| *place <= upto));
    let found = match state.started_us {
        Some(_) => history::person(&sources.mysql, &of, user, place).await?,
        None => None,
    };
    let row = |found: Option<PersonRow>, tries, reason| WhyRound {
        round: state.round,
        channel: channel.clone(),
        status: state.status,
        outcome: found.as_ref().map(|person| person.outcome),
        sent_at: found.map(|person| rfc3339(person.sent_at)),
        tries,
        reason,
    };
    if let Some(found) = found {
        let (tries, reason) = (found.tries, reason::of_outcome(found.outcome));
        return Ok(row(Some(found), Some(tries), reason));
    }
    let tries = tries(sources, known, person, user).await?;
    let told_in = before.iter().rev().find(|round| round.channel == channel && round.outcome.is_some());
    let case = reason::Case {
        row: &known.row,
        is_live: known.live.is_some(),
        person,
        user,
        tries,
        told_in: told_in.map(|round| round.round),
    };
    let reason = Some(reason::of_silence(&case));
    Ok(row(None, tries, reason))
}

/// The tries of who is next in line: only theirs are kept.
async fn tries(
    sources: &Sources,
    known: &Known<'_>,
    person: Option<&Person>,
    user: UserId,
) -> Result<Option<u32>, ReportError> {
    let (Some(view), Some(person)) = (known.live.filter(|view| view.round == known.row.state.round), person) else {
        return Ok(None);
    };
    if view.blocked_user == Some(user) {
        return Ok(Some(view.tries));
    }
    let cursor = view.cursor.unwrap_or(Place(0));
    let is_ahead = person.place > cursor && view.upto.is_some_and(|upto| person.place <= upto);
    if !person.active || !is_ahead || view.ahead.contains(&person.place) {
        return Ok(None);
    }
    let before = Place(person.place.0 - 1);
    let product = known.row.state.lane.product;
    let waits_behind = line::anyone_after(&sources.mysql, product, cursor, before, &view.ahead).await?;
    Ok((!waits_behind).then_some(view.tries))
}

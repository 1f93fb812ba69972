//! The end of a small run in which all went well, for tests to spoil.

use std::collections::BTreeMap;

use restock::{
    ids::{Place, Round, UserId},
    outcome::Outcome,
    redis::{inspect::ProductView, lane::LaneView},
    round::{Counts, RoundState, Stamp, Status},
};

use crate::{
    end::{Attempt, Bounds, End, InLine, InRedis, Request, Stored, Told},
    ledger::Promise,
    stage::lane,
    watch::Sighting,
};

pub(super) const PRODUCT: i64 = 1;
pub(super) const ROUND: u32 = 1;
pub(super) const OF: (i64, u32) = (PRODUCT, ROUND);
const PEOPLE: i64 = 10;
const STAMP: Stamp = Stamp { epoch: 1, version: 9 };
/// When the first person was told, and how long after them each next one.
pub(super) const START_US: i64 = 1_000_000_000;
pub(super) const STEP_US: i64 = 10_000;

/// Ten people of one product, told in one round.
pub(super) fn sound() -> End {
    let attempt = |user| Attempt {
        product: PRODUCT,
        round: ROUND,
        user,
        started_us: START_US + user * STEP_US,
        is_accepted: true,
        is_unanswered: false,
    };
    let told = |user| Told { place: Place(user), user, outcome: Outcome::Sent };
    let sighting = |cursor: i64| Sighting {
        at_us: START_US + cursor * STEP_US,
        product: PRODUCT,
        run: "run".to_owned(),
        round: ROUND,
        stamp: Stamp { epoch: 1, version: cursor.unsigned_abs() },
        cursor: Some(Place(cursor)),
        token: Some("token".to_owned()),
    };
    let state = state();
    let product = ProductView { stock: 5, round: ROUND, is_paused: false, stamp: STAMP };
    End {
        bounds: Bounds { rate: 100, window: 3 },
        lines: BTreeMap::from([(PRODUCT, (1..=PEOPLE).map(|user| InLine { place: Place(user), user }).collect())]),
        attempts: (1..=PEOPLE).map(attempt).collect(),
        failed: Vec::new(),
        outcomes: BTreeMap::from([(OF, (1..=PEOPLE).map(told).collect())]),
        requests: vec![Request { id: 1, product: PRODUCT, state: "ACCEPTED".to_owned(), round: Some(ROUND) }],
        stored: BTreeMap::from([(PRODUCT, Stored { stock: 5, round: ROUND, stamp: STAMP })]),
        redis: InRedis {
            products: BTreeMap::from([(PRODUCT, product)]),
            lanes: BTreeMap::from([(PRODUCT, view(&state))]),
            streams: vec![("log".to_owned(), 0, 0)],
        },
        rounds: BTreeMap::from([(OF, state)]),
        sightings: (1..=9).map(sighting).collect(),
        log_max: 10,
        worker_peak_kib: 10_000,
        struck: Vec::new(),
        sales: Vec::new(),
        acts: Vec::new(),
        promises: vec![Promise { product: PRODUCT, request: 1, round: Some(ROUND), at_us: START_US }],
        refused: Vec::new(),
        findings: Vec::new(),
        complaints: Vec::new(),
    }
}

fn state() -> RoundState {
    RoundState {
        lane: lane(PRODUCT),
        round: Round(ROUND),
        status: Status::Completed,
        from: None,
        cursor: Some(Place(PEOPLE)),
        upto: Some(Place(PEOPLE)),
        ahead: Vec::new(),
        last_user: Some(UserId(PEOPLE)),
        blocked_user: None,
        counts: Counts { sent: PEOPLE.unsigned_abs(), ..Counts::default() },
        stamp: STAMP,
        retry_of: None,
        reason: None,
        queued_us: Some(START_US - 2),
        started_us: Some(START_US - 1),
        ended_us: Some(START_US + 1_000_000),
    }
}

fn view(state: &RoundState) -> LaneView {
    LaneView {
        round: state.round,
        status: state.status,
        from: state.from,
        cursor: state.cursor,
        upto: state.upto,
        ahead: state.ahead.clone(),
        last_user: state.last_user,
        blocked_user: state.blocked_user,
        counts: state.counts,
        stamp: state.stamp,
        is_fresh_hold: false,
        token: None,
        owner: None,
        lease_until_ms: 0,
        waiting: None,
        waiting_us: None,
        entry: None,
        is_paused: false,
        tries: 0,
        retry_of: None,
        queued_us: state.queued_us,
        started_us: state.started_us,
        ended_us: state.ended_us,
        reason: None,
    }
}

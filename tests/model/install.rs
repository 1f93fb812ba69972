//! Installing what a check of the model has read, which may be old by now.

use restock::{
    ids::{ProductId, Round, UserId},
    redis::scripts::{Hydrate, Hydrated, LaneRecord},
    round::{Counts, RoundState, Stamp},
};
use restock_model::{
    State,
    round::{Row, bit},
    state::Check,
};

use super::{
    picture::status_of,
    stage::{P0, place, webhook},
};

/// Whether it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Installed {
    Yes,
    /// Redis is at this epoch.
    Newer(u64),
}

impl Installed {
    pub(crate) fn of(hydrated: Hydrated) -> Self {
        match hydrated {
            Hydrated::Done(_) => Self::Yes,
            Hydrated::Newer(epoch) => Self::Newer(epoch),
        }
    }

    /// What the model says.
    pub(crate) fn expected(slot: usize, before: &State, after: &State) -> Self {
        let epoch = |state: &State| state.redis.product.map_or(0, |product| product.stamp.epoch);
        let given = before.checks[slot].map_or(0, |check| check.epoch);
        if before.redis == after.redis || epoch(after) != given { Self::Newer(epoch(before).into()) } else { Self::Yes }
    }
}

/// The call that installs it.
pub(crate) fn hydrate_of(product: ProductId, check: &Check) -> Hydrate {
    let Check { epoch, product: read, current, waiting, newest } = *check;
    let record = LaneRecord {
        channel: webhook(),
        current: current.map(|row| state_of(product, &row)),
        waiting: (waiting > 0).then_some((Round(waiting.into()), 1)),
        stamp: stamp_of(newest),
    };
    Hydrate {
        partition: P0,
        product,
        stock: read.stock.into(),
        round: read.round.into(),
        paused: false,
        stamp: stamp_of(read.stamp),
        epoch: epoch.into(),
        lanes: vec![record],
    }
}

fn stamp_of(stamp: restock_model::round::Stamp) -> Stamp {
    Stamp { epoch: stamp.epoch.into(), version: stamp.version.into() }
}

fn state_of(product: ProductId, row: &Row) -> RoundState {
    RoundState {
        lane: restock::ids::LaneId { product, channel: webhook() },
        round: Round(row.round.into()),
        status: status_of(row.status).parse().expect("a status"),
        from: place(row.from),
        cursor: place(row.cursor),
        upto: place(row.upto),
        ahead: (1..8).filter(|n| row.ahead & bit(*n) != 0).filter_map(place).collect(),
        last_user: None::<UserId>,
        blocked_user: None,
        counts: Counts::default(),
        stamp: stamp_of(row.stamp),
        retry_of: None,
        reason: None,
        queued_us: Some(1),
        started_us: row.started.then_some(1),
        ended_us: (!row.status.is_open()).then_some(1),
    }
}

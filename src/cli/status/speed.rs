//! How fast lanes go, seen over the last seconds.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use crate::{
    ids::{Channel, ProductId, Round},
    report::{
        moment::{LaneNow, Moment},
        status::StatusRow,
    },
    round::Status,
};

/// The stretch of time over which a speed is measured.
const STRETCH: Duration = Duration::from_secs(5);

type Key = (ProductId, Channel, Round);

/// What was seen of each lane that runs.
#[derive(Debug, Default)]
pub(super) struct Speeds(HashMap<Key, VecDeque<(Instant, u64)>>);

impl Speeds {
    /// Takes in a moment; lanes that do not run any more are forgotten.
    pub(super) fn learn(&mut self, moment: &Moment, at: Instant) {
        let mut before = std::mem::take(&mut self.0);
        for LaneNow { row, .. } in moment.lanes.iter().filter(|lane| lane.row.status == Status::InProgress) {
            let mut seen = before.remove(&key(row)).unwrap_or_default();
            seen.push_back((at, settled(row)));
            // The last one before the stretch stays: the speed is that over the whole of it.
            while seen.get(1).is_some_and(|(second, _)| at.duration_since(*second) >= STRETCH) {
                seen.pop_front();
            }
            self.0.insert(key(row), seen);
        }
    }

    /// People settled a second; `None` before there is something to compare.
    pub(super) fn of(&self, row: &StatusRow) -> Option<f64> {
        let seen = self.0.get(&key(row))?;
        let ((first_at, first), (last_at, last)) = (seen.front()?, seen.back()?);
        let time = last_at.duration_since(*first_at).as_secs_f64();
        (time > 0.0).then(|| last.saturating_sub(*first) as f64 / time)
    }

    /// How long the rest takes at this speed, ms; `None` when nothing moves, or nobody has counted the people yet.
    pub(super) fn left_ms(&self, row: &StatusRow) -> Option<i64> {
        let speed = self.of(row).filter(|speed| *speed > 0.0)?;
        let rest = row.total?.saturating_sub(settled(row));
        Some((rest as f64 / speed * 1000.0) as i64)
    }
}

fn key(row: &StatusRow) -> Key {
    (row.product, row.channel.clone(), row.round)
}

/// The people of whom it is known what became.
pub(super) fn settled(row: &StatusRow) -> u64 {
    row.sent + row.skipped + row.failed + row.unknown
}

/// A time span, short: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min.
pub(super) fn span(ms: i64) -> String {
    match (ms / 1000, ms % 1000 / 100) {
        (seconds @ 0..10, tenths) => format!("{seconds}.{tenths} s"),
        (seconds @ 10..60, _) => format!("{seconds} s"),
        (seconds @ 60..3600, _) => format!("{} min {} s", seconds / 60, seconds % 60),
        (seconds, _) => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_short_and_exact() {
        let said = [0, 99, 400, 9_999, 10_000, 59_999, 185_000, 7_830_000].map(span);
        assert_eq!(said, ["0.0 s", "0.0 s", "0.4 s", "9.9 s", "10 s", "59 s", "3 min 5 s", "2 h 10 min"]);
    }
}

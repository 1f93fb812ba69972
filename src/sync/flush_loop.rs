//! When the log is flushed: at once while there is more, then after a pause.

use std::time::Duration;

use sqlx::MySqlConnection;
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Flusher,
    failures::Failures,
    flush::{Flush, Flushed},
    lead::kept_alive,
};
use crate::{ids::Partition, meter::Pulse, redis::Redis, stores::StoreError};

/// With so many entries in the log a pause of [`PARTS_ENOUGH`] suffices while more come. It ends at once when something has come
/// that no more follows, and else with the interval. So what is left for the end is little where much is done, and where
/// little is done what comes soon after each other is written once.
const MUCH_ENTRIES: u64 = 40;
/// Parts of an interval, of the same length. Two of them are the shortest pause.
const PARTS: u32 = 10;
/// After so many of them the next look is due, while nothing has come; else after each.
const PARTS_AT_REST: u32 = 2;
/// After so many of them much is enough.
const PARTS_ENOUGH: u32 = 2;

/// Flushes until the stop, and then until nothing is left; or until the lead is lost, which is what its errors mean.
/// `ready` is told when the log is known to be the one that MySQL follows.
pub(super) async fn flush_loop(
    flusher: &Flusher,
    flush: &mut Flush,
    db: &mut MySqlConnection,
    ready: &Notify,
    stop: &CancellationToken,
    pulse: &Pulse,
) -> Result<(), StoreError> {
    let partition = flush.partition;
    let mut failures = Failures::new("flushing", partition);
    loop {
        let stopping = stop.is_cancelled();
        let failed = match flush.advance(db).await {
            Ok(Flushed::Deposed) => {
                tracing::info!(%partition, "another flusher leads; standing by");
                return Ok(());
            }
            Ok(Flushed::Idle) if stopping => return Ok(()),
            Ok(flushed) => {
                failures.went_well();
                pulse.beat();
                ready.notify_one();
                if stopping || matches!(flushed, Flushed::Applied { more: true, .. }) {
                    continue;
                }
                None
            }
            // Somebody else's lock costs a pause, not the lead; so does a full disk.
            Err(error) if matches!(error, StoreError::Redis(_)) || error.is_contended() || error.is_full() => {
                Some(failures.failed(&error))
            }
            Err(error) => return Err(error),
        };
        let pause = async {
            match failed {
                Some(pause) => sleep(pause).await,
                None => pause(&flusher.stores.redis, partition, flusher.flush_interval).await,
            }
        };
        let pause = async {
            tokio::select! {
                () = stop.cancelled(), if !stopping => {}
                () = pause => {}
            }
        };
        kept_alive(db, pause).await?;
    }
}

/// Waits for the interval, or until there is much in the log, or something and it does not grow, or Redis does not answer: the
/// flush that follows tells.
async fn pause(redis: &Redis, partition: Partition, interval: Duration) {
    let (begun, mut growth) = (Instant::now(), Growth::default());
    loop {
        let parts = growth.next_look();
        sleep_until(begun + interval * parts / PARTS).await;
        if parts >= PARTS {
            return;
        }
        match redis.log_length(partition).await {
            Ok(entries) if growth.look(entries) => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// What the looks of one pause have seen of the log.
#[derive(Debug, Default)]
struct Growth {
    /// Parts of the pause that are over.
    parts: u32,
    before: Option<u64>,
}

impl Growth {
    /// Goes on to the next look, and says how many parts are over by then.
    fn next_look(&mut self) -> u32 {
        let step = if self.before == Some(0) { PARTS_AT_REST } else { 1 };
        self.parts = PARTS.min(self.parts + step);
        self.parts
    }

    /// Takes one look, and says whether the log is better written later: while it is empty, or grows and is not much yet.
    fn look(&mut self, entries: u64) -> bool {
        let grows = self.before.is_none_or(|before| entries > before);
        self.before = Some(entries);
        entries == 0 || (grows && (entries < MUCH_ENTRIES || self.parts < PARTS_ENOUGH))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many parts the pause ends by these looks.
    fn ends_after(looks: &[u64]) -> Option<u32> {
        let mut growth = Growth::default();
        looks.iter().find_map(|entries| {
            let parts = growth.next_look();
            (!growth.look(*entries)).then_some(parts)
        })
    }

    #[test]
    fn a_pause_goes_on_while_nothing_comes_or_more_and_more() {
        assert_eq!(ends_after(&[0, 0, 0, 0]), None);
        assert_eq!(ends_after(&[0, 1, 2, MUCH_ENTRIES - 1]), None);
        assert_eq!(ends_after(&[MUCH_ENTRIES]), None, "what comes so fast is much more soon");
    }

    #[test]
    fn a_pause_ends_when_no_more_comes_or_it_is_much() {
        assert_eq!(ends_after(&[3, 3]), Some(2));
        assert_eq!(ends_after(&[0, 3, 3]), Some(1 + PARTS_AT_REST + 1));
        assert_eq!(ends_after(&[5, 4]), Some(2), "another leader wrote some of it");
        assert_eq!(ends_after(&[1, MUCH_ENTRIES]), Some(PARTS_ENOUGH));
        assert_eq!(ends_after(&[1, 2, 3, MUCH_ENTRIES]), Some(4));
        assert_eq!(ends_after(&[0, MUCH_ENTRIES]), Some(1 + PARTS_AT_REST));
    }

    #[test]
    fn an_empty_log_is_looked_at_five_times() {
        let (mut growth, mut looks) = (Growth::default(), 0);
        while growth.next_look() < PARTS {
            assert!(growth.look(0));
            looks += 1;
        }
        assert_eq!(looks, 5);
    }
}

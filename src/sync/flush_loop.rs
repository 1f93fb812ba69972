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

/// With so many entries in the log the pause ends, and with fewer as soon as no more come; else it ends with the interval.
/// So what is left for the end is little where much is done, and where little is done a round that begins and ends between
/// two looks is written once.
const MUCH_ENTRIES: u64 = 40;
/// Parts of a pause, of the same length, between which the log is looked at; one part is the shortest pause.
const PARTS: u32 = 5;

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
    for part in 1..PARTS {
        sleep_until(begun + interval * part / PARTS).await;
        match redis.log_length(partition).await {
            Ok(entries) if growth.look(entries) => {}
            Ok(_) | Err(_) => return,
        }
    }
    sleep_until(begun + interval).await;
}

/// What the looks of one pause have seen of the log.
#[derive(Debug, Default)]
struct Growth {
    before: u64,
}

impl Growth {
    /// Takes one look, and says whether the log is better written later: while it is empty, or grows and is not much yet.
    fn look(&mut self, entries: u64) -> bool {
        let grows = entries > self.before;
        self.before = entries;
        entries == 0 || (grows && entries < MUCH_ENTRIES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At which look of these the pause ends.
    fn ends_at(looks: &[u64]) -> Option<usize> {
        let mut growth = Growth::default();
        looks.iter().position(|entries| !growth.look(*entries))
    }

    #[test]
    fn a_pause_goes_on_while_nothing_comes_or_more_and_more() {
        assert_eq!(ends_at(&[0, 0, 0, 0]), None);
        assert_eq!(ends_at(&[0, 1, 2, MUCH_ENTRIES - 1]), None);
    }

    #[test]
    fn a_pause_ends_when_no_more_comes_or_it_is_much() {
        assert_eq!(ends_at(&[0, 3, 3, 4]), Some(2));
        assert_eq!(ends_at(&[5, 4]), Some(1), "another leader wrote some of it");
        assert_eq!(ends_at(&[0, MUCH_ENTRIES]), Some(1));
    }
}

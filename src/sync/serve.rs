//! The loops of one partition.

use std::time::Duration;

use tokio::{
    sync::{Notify, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    BACKLOG_MAX, FLUSHING, Flusher,
    evict::Eviction,
    failures::Failures,
    flush_loop::flush_loop,
    lead::Lead,
    reconcile,
    relay::{Relay, Relayed, reload},
    totals::Counter,
};
use crate::{
    ids::Partition,
    meter::{FlushMeters, Pulse},
    mysql::{answered, setting::Settings},
    stores::{StoreError, Stores},
};

/// How often a standby asks for the lead.
const ELECT_EVERY: Duration = Duration::from_secs(1);
/// How often Redis is compared with MySQL.
const RECONCILE_EVERY: Duration = Duration::from_secs(10);
/// The most pages of idle products that are looked at then: where many rounds wait, a comparison takes minutes.
const EVICTIONS_MAX: usize = 25;
/// A store that takes longer to answer while the flusher stops is not waited for.
const ANSWER_MAX: Duration = Duration::from_millis(750);
/// How often they are asked then.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// No batch may take longer than this, and what needs longer is not well.
const FLUSHING_AGE_MAX: Duration = Duration::from_secs(30);
/// The longest that taking leave of MySQL may take.
const CLOSE_MAX: Duration = Duration::from_millis(250);

/// Stands by for the lead of a partition, and leads it, until `stop`.
pub(super) async fn partition(flusher: Flusher, partition: Partition, stop: CancellationToken) {
    let mut failures = Failures::new("taking the lead", partition);
    let pulse = flusher.vitals.pulse(FLUSHING, FLUSHING_AGE_MAX + flusher.flush_interval);
    let meters = FlushMeters::new(partition);
    while !stop.is_cancelled() {
        let elected = tokio::select! {
            () = stop.cancelled() => return,
            elected = answered(Lead::elect(&flusher.stores, partition, BACKLOG_MAX)) => elected,
        };
        match elected {
            Ok(Some(lead)) => {
                failures.went_well();
                tracing::debug!(%partition, "leads");
                match serve(&flusher, lead, (&meters, &pulse), &stop).await {
                    Ok(()) => {}
                    Err(error) => drop(failures.failed(&error)),
                }
            }
            Ok(None) => {
                failures.went_well();
                pulse.beat();
            }
            Err(error) => drop(failures.failed(&error)),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(ELECT_EVERY) => {}
        }
    }
}

/// Leads until the stop, or until the lead is lost: that is what its errors mean.
async fn serve(
    flusher: &Flusher,
    lead: Lead,
    (meters, pulse): (&FlushMeters, &Pulse),
    stop: &CancellationToken,
) -> Result<(), StoreError> {
    let _led = meters.lead();
    let Lead { mut connection, mut flush, relay, eviction, mut counter, alarm, mut stores, partition } = lead;
    // Nothing is relayed before the log is known to be the one that MySQL follows.
    let ready = Notify::new();
    let chores = async {
        ready.notified().await;
        // Boxed: all in one future they fill a thread's stack where nothing is optimised.
        tokio::join!(
            Box::pin(relay_loop(relay, partition, flusher.flush_interval)),
            Box::pin(upkeep_loop(&mut stores, eviction, partition, &alarm, meters)),
            count_loop(&mut counter, &flusher.stores, partition),
            heed_settings(flusher.settings.clone(), &alarm),
        );
    };
    let ended = tokio::select! {
        ended = flush_loop(flusher, &mut flush, &mut connection, &ready, stop, pulse) => ended,
        ((), ()) = async { tokio::join!(until(stop, chores), std::future::pending::<()>()) } => Ok(()),
        () = store_gone_while_stopping(&flusher.stores, partition, stop) => {
            tracing::warn!(%partition, "a store does not answer: what the log still holds is left to the next flusher");
            Ok(())
        }
    };
    match tokio::time::timeout(CLOSE_MAX, connection.close()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the leader's connection was already closed"),
        Err(_) => tracing::debug!("MySQL did not take leave in time"),
    }
    ended
}

/// Resolves when, after the stop, one of the stores does not answer: the last flush would wait for it in vain.
async fn store_gone_while_stopping(stores: &Stores, partition: Partition, stop: &CancellationToken) {
    stop.cancelled().await;
    let ask = || async {
        stores.redis.now_ms(partition).await?;
        sqlx::query("DO 0").execute(&stores.mysql).await?;
        Ok::<_, StoreError>(())
    };
    while matches!(tokio::time::timeout(ANSWER_MAX, ask()).await, Ok(Ok(()))) {
        sleep(ASK_EVERY).await;
    }
}

/// Runs something until the stop.
async fn until(stop: &CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

async fn relay_loop(mut relay: Relay, partition: Partition, interval: Duration) {
    let mut failures = Failures::new("relaying requests", partition);
    loop {
        let pause = match relay.step().await {
            Ok(relayed) => {
                failures.went_well();
                if relayed == Relayed::Full {
                    tracing::debug!(%partition, "the log is full; requests wait");
                }
                interval
            }
            Err(error) => failures.failed(&error),
        };
        sleep(pause).await;
    }
}

async fn upkeep_loop(
    stores: &mut Stores,
    mut eviction: Eviction,
    partition: Partition,
    alarm: &Notify,
    meters: &FlushMeters,
) {
    let mut failures = Failures::new("reconciling", partition);
    // Not at first, since what an earlier leader left undone is not known; nor after an alarm or a failure.
    let mut may_rest = false;
    loop {
        may_rest = match upkeep(stores, &mut eviction, partition, may_rest.then_some(alarm), meters).await {
            Ok(is_whole) => {
                failures.went_well();
                is_whole
                    && tokio::select! {
                        () = alarm.notified() => false,
                        () = sleep(RECONCILE_EVERY) => true,
                    }
            }
            Err(error) => {
                sleep(failures.failed(&error)).await;
                false
            }
        };
    }
}

/// False when the alarm that it listened to while it rested has ended it.
async fn upkeep(
    stores: &mut Stores,
    eviction: &mut Eviction,
    partition: Partition,
    resting: Option<&Notify>,
    meters: &FlushMeters,
) -> Result<bool, StoreError> {
    reload(stores).await?;
    let Some(done) = reconcile::step(stores, partition, resting).await? else { return Ok(false) };
    meters.reconciles.increment(1);
    meters.repairs.increment(done.checked as u64);
    if done.checked > 0 {
        tracing::info!(%partition, checked = done.checked, "repaired Redis from MySQL");
    }
    for _ in 0..EVICTIONS_MAX {
        if eviction.step(stores).await? == 0 {
            break;
        }
    }
    Ok(true)
}

/// A change of the settings is mirrored and applied at once, not at the next turn.
async fn heed_settings(mut settings: watch::Receiver<Settings>, alarm: &Notify) {
    while settings.changed().await.is_ok() {
        alarm.notify_one();
    }
}

async fn count_loop(counter: &mut Counter, stores: &Stores, partition: Partition) {
    let mut failures = Failures::new("counting people", partition);
    loop {
        match counter.next(&stores.mysql).await {
            Ok(()) => failures.went_well(),
            Err(error) => sleep(failures.failed(&error.into())).await,
        }
    }
}

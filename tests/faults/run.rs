//! One run: a storm of faults over a shop at work, then rest, then the checkers.

use std::{sync::Arc, time::Duration};

use restock::clock::wall_us;
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    checkers, deck, end,
    form::Form,
    load::Shopkeeper,
    report::{self, Report},
    stage::Stage,
    standstill, strike, watch,
};

pub(crate) async fn run(form: Form, seed: u64) -> Report {
    restock::config::install_tls_provider();
    let began = Instant::now();
    let stage = Arc::new(Stage::open(form.clone(), seed).await);
    let (stop_watch, stop_load) = (CancellationToken::new(), CancellationToken::new());
    let watching = tokio::spawn(watch::watch(stage.clone(), stop_watch.clone()));
    let mut shopkeepers = JoinSet::new();
    for product in stage.products() {
        shopkeepers.spawn(Shopkeeper::new(stage.clone(), product, seed).work(stop_load.clone()));
    }
    let start = Instant::now();
    let storm_us = wall_us();
    let mut storms = JoinSet::new();
    for planned in deck::deal(&form, seed).into_values() {
        storms.spawn(strike::storm(stage.clone(), start, planned));
    }
    // A fault that cannot be played is a fault of the suite.
    while let Some(ended) = storms.join_next().await {
        ended.expect("a storm is played to its end");
    }
    stop_load.cancel();
    let calm_us = wall_us();
    let deadline = Instant::now() + form.rest_within;
    let witness = tokio::spawn(standstill::witness(stage.clone()));
    let shopkeepers = each(&stage, shopkeepers.join_all().await, |keeper| keeper.settle(deadline)).await;
    // From here on nothing fails, and everything can be judged.
    let calm = Duration::from_micros(checkers::CALM_US.unsigned_abs());
    tokio::time::sleep(calm).await;
    each(&stage, shopkeepers, |keeper| keeper.tell_everybody(deadline)).await;
    rest(&stage, deadline).await;
    witness.abort();
    stop_watch.cancel();
    let seen = watching.await.expect("the watch ends");
    let end = end::gather(&stage, seen).await;
    dismiss(&stage).await;
    report::keep_attempts(&stage.folder, &end.attempts);
    let breaches = checkers::check(&end);
    Report::new(&form, seed, (storm_us, calm_us), began.elapsed(), &end, breaches)
}

/// Lets all shopkeepers do something at the same time; who cannot is complained of.
async fn each<F>(stage: &Stage, shopkeepers: Vec<Shopkeeper>, work: impl Fn(Shopkeeper) -> F) -> Vec<Shopkeeper>
where
    F: Future<Output = Result<Shopkeeper, String>> + Send + 'static,
{
    let mut working = JoinSet::new();
    for shopkeeper in shopkeepers {
        working.spawn(work(shopkeeper));
    }
    let mut done = Vec::new();
    for worked in working.join_all().await {
        match worked {
            Ok(shopkeeper) => done.push(shopkeeper),
            Err(complaint) => stage.ledger.complain(complaint),
        }
    }
    done
}

/// Waits until the flusher has nothing to do.
async fn rest(stage: &Stage, deadline: Instant) {
    loop {
        let mut entries = 0;
        for partition in stage.stores.partitions() {
            entries += stage.stores.redis.log_head(partition).await.map_or(1, |log| log.entries);
        }
        if entries == 0 {
            return;
        }
        if Instant::now() > deadline {
            return stage.ledger.complain(format!("{entries} entries of the log do not come to MySQL"));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Everybody goes home, in order.
async fn dismiss(stage: &Stage) {
    for roles in [&stage.crew.workers, &stage.crew.flushers] {
        for mut role in roles.lock().await.drain(..) {
            if let Some(complaint) = role.complaint() {
                stage.ledger.complain(complaint);
            } else if let Err(complaint) = role.stop(Duration::from_secs(10)).await {
                stage.ledger.complain(complaint);
            }
        }
    }
}

//! What producers do wrong, or at the same time; and entries that nobody can read. All of it to the last product.

use std::process::Stdio;

use restock::{
    clock::wall_us,
    ids::{IdempotencyKey, ProductId},
    producer::Resume,
};
use tokio::process::Command;

use super::{Cost, Planned, Stage};
use crate::{ledger::Promise, stage::webhook};

/// Every producer may fail for want of a store.
const UNREACHABLE: i32 = 5;

#[derive(serde::Deserialize)]
struct Accepted {
    round: Option<u32>,
    request: i64,
}

fn product(stage: &Stage) -> i64 {
    *stage.products().end()
}

fn enqueue(stage: &Stage, key: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_restock-cli"));
    command
        .args(["enqueue", &product(stage).to_string(), "--quantity", "1", "--key", key, "--output", "json"])
        .env("RESTOCK_REDIS_URL", stage.servers.redis.url())
        .env("RESTOCK_MYSQL_URL", stage.servers.mysql.url(&stage.database))
        .env("RESTOCK_NAMESPACE", stage.stores.settings.namespace.as_str())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs one, and writes down what it was told.
async fn run(stage: &Stage, mut command: Command) -> Option<Accepted> {
    let output = command.output().await.expect("restock-cli runs");
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(UNREACHABLE) {
            stage.ledger.complain(format!("enqueue ended with {}: {}", output.status, said.trim_end()));
        }
        return None;
    }
    let accepted: Accepted = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let (request, round) = (accepted.request, accepted.round);
    stage.ledger.promise(Promise { product: product(stage), request, round, at_us: wall_us() });
    Some(accepted)
}

/// Ten processes enqueue with one key: one request, one round.
pub(crate) async fn ten_with_one_key(stage: &Stage, fault: Planned) -> Cost {
    stage.ledger.act(product(stage), wall_us());
    let key = format!("ten-{}-{}", fault.at.as_micros(), fault.victim);
    let ten = (0..10).map(|_| run(stage, enqueue(stage, &key)));
    let answers: Vec<Accepted> = futures_util::future::join_all(ten).await.into_iter().flatten().collect();
    let requests: std::collections::BTreeSet<i64> = answers.iter().map(|answer| answer.request).collect();
    if requests.len() > 1 {
        stage.ledger.complain(format!("one key became the requests {requests:?}"));
    }
    Cost::Nothing
}

/// resume, enqueue and cancel at the same time.
pub(crate) async fn race(stage: &Stage, fault: Planned) -> Cost {
    let (id, channel) = (ProductId(product(stage)), webhook());
    stage.ledger.act(id.0, wall_us());
    let key: IdempotencyKey = format!("race-{}-{}", fault.at.as_micros(), fault.victim).parse().expect("a key");
    let producer = &stage.producer;
    let (_, enqueued, _) = tokio::join!(
        producer.resume(id, &channel, Resume::Plain),
        producer.enqueue(id, 1, Some(&key)),
        producer.cancel(id, &channel, "in a race"),
    );
    if let Ok(accepted) = enqueued {
        let (request, round) = (accepted.request.expect("by the outbox"), accepted.round.map(|round| round.0));
        stage.ledger.promise(Promise { product: id.0, request, round, at_us: wall_us() });
    }
    stage.ledger.act(id.0, wall_us());
    Cost::Nothing
}

/// Redis is killed, and somebody enqueues before it is back.
pub(crate) async fn enqueue_without_redis(stage: &Stage, fault: Planned) -> Cost {
    let recorded = stage.recorded().await;
    stage.servers.redis.kill().await.expect("it is killed");
    let cost = Cost::Unrecorded(stage.unrecorded(recorded));
    let key = format!("away-{}-{}", fault.at.as_micros(), fault.victim);
    if let Some(Accepted { round: Some(round), .. }) = run(stage, enqueue(stage, &key)).await {
        stage.ledger.complain(format!("enqueue was told round {round} without Redis"));
    }
    stage.servers.redis.start_again().await.expect("Redis starts again");
    cost
}

/// An entry of the job streams that names no product.
pub(crate) async fn poison_jobs(stage: &Stage) -> Cost {
    let partition = stage.stores.partition_of(ProductId(product(stage)));
    let jobs = stage.stores.redis.keys().jobs(partition, &webhook());
    add(stage, &format!("XADD {jobs} * product \"\\xff\\xfe\"")).await
}

/// An entry of the log that says nothing, and one of a time that MySQL cannot hold.
pub(crate) async fn poison_log(stage: &Stage) -> Cost {
    let id = product(stage);
    let log = stage.stores.redis.keys().log(stage.stores.partition_of(ProductId(id)));
    add(stage, &format!("XADD {log} * k rumour p {id}")).await;
    let round = format!("k round p {id} c webhook r 1 s QUEUED n 0,0,0,0 e 0 v 0 cur 3093527980800000000");
    add(stage, &format!("XADD {log} * {round}")).await
}

/// A Redis that does not take it just now, being away, full or asleep, has no such entry.
async fn add(stage: &Stage, command: &str) -> Cost {
    drop(stage.redis_command(command).await);
    Cost::Nothing
}

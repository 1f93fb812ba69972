//! A witness of a shop that does not come to rest: what each store says of who holds up whom, while it lasts.

use std::{fmt::Write as _, fs::OpenOptions, io::Write as _, sync::Arc, time::Duration};

use restock::{clock::wall_us, ids::ProductId};
use sqlx::Row;
use tokio::time::{Instant, sleep, timeout};

use super::stage::{Stage, lane};

/// A shop that is well has come to rest by then.
const AFTER: Duration = Duration::from_secs(25);
const EVERY: Duration = Duration::from_secs(10);
const LOOK_MAX: Duration = Duration::from_secs(3);

/// Sessions, transactions, the locks of leaders, and requests: each a question and the columns of its answer as one text.
const QUESTIONS: [(&str, &str); 4] = [
    (
        "sessions",
        "SELECT CONCAT_WS(' ', id, user, host, command, time, state, LEFT(info, 300)) FROM information_schema.processlist",
    ),
    (
        "transactions",
        "SELECT CONCAT_WS(' ', trx_mysql_thread_id, trx_state, trx_started, 'waits since', trx_wait_started, 'locks',
           trx_rows_locked, LEFT(trx_query, 300)) FROM information_schema.innodb_trx",
    ),
    (
        "requests",
        "SELECT CONCAT_WS(' ', id, product_id, state, created_at) FROM restock_request WHERE state = 'PENDING'",
    ),
    (
        "open rounds",
        "SELECT CONCAT_WS(' ', product_id, restock_round, status, epoch, version, started_at, ended_at)
         FROM product_notification_history WHERE ended_at IS NULL OR status = 'CANCELED_BY_ERROR'",
    ),
];

/// Writes it down from time to time, until it is dropped.
pub(crate) async fn witness(stage: Arc<Stage>) {
    sleep(AFTER).await;
    let begin = Instant::now() - AFTER;
    loop {
        let mut text = format!("\n== {:.1} s after the storm, at {} µs\n", begin.elapsed().as_secs_f64(), wall_us());
        for (what, question) in QUESTIONS {
            let _ = writeln!(text, "-- {what}");
            let look = sqlx::query(question).fetch_all(&stage.stores.mysql);
            match timeout(LOOK_MAX, look).await {
                Ok(Ok(rows)) => {
                    for row in rows {
                        let _ = writeln!(text, "{}", row.try_get_unchecked::<String, _>(0).unwrap_or_default());
                    }
                }
                failed => drop(writeln!(text, "no answer: {failed:?}")),
            }
        }
        look_at_redis(&stage, &mut text).await;
        let path = stage.folder.join("standstill.txt");
        let file =
            OpenOptions::new().create(true).append(true).open(&path).expect("the folder of the run can be written");
        (&file).write_all(text.as_bytes()).expect("the folder of the run can be written");
        sleep(EVERY).await;
    }
}

async fn look_at_redis(stage: &Stage, text: &mut String) {
    for product in stage.products() {
        let partition = stage.stores.partition_of(ProductId(product));
        let product_view = timeout(LOOK_MAX, stage.stores.redis.read_product(partition, ProductId(product))).await;
        let lanes = [lane(product)];
        let lane_view = timeout(LOOK_MAX, stage.stores.redis.read_lanes(partition, &lanes)).await;
        let _ = writeln!(text, "-- product {product} in partition {partition}\n{product_view:?}\n{lane_view:?}");
    }
    for partition in stage.stores.partitions() {
        let head = timeout(LOOK_MAX, stage.stores.redis.log_head(partition)).await;
        let _ = writeln!(text, "-- log {partition}: {head:?}");
    }
    for command in ["CLIENT LIST", "INFO memory"] {
        let said = stage.redis_command(command).await;
        let _ = writeln!(text, "-- {command}\n{}", said.unwrap_or_else(|error| error.to_string()));
    }
}

//! `restock-flusher` as a process.

use std::{
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use restock::{
    ids::{ProductId, UserId},
    local::{Servers, fresh_database_name},
    mysql::{schema, subscription},
    outcome::Outcome,
    redis::scripts::Advanced,
    stores::Checked,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::{
    fixture::{Shop, advance, settled},
    support::servers::servers,
};

const STATUS: &str = "SELECT status FROM product_notification_history";
const STOPS_WITHIN: Duration = Duration::from_secs(2);

/// Starts one that rests for so long when nothing is left to write.
pub(crate) fn start(redis_url: &str, mysql_url: &str, namespace: &str, interval_ms: u32) -> Child {
    Command::new(env!("CARGO_BIN_EXE_restock-flusher"))
        .env("RESTOCK_REDIS_URL", redis_url)
        .env("RESTOCK_MYSQL_URL", mysql_url)
        .env("RESTOCK_NAMESPACE", namespace)
        .env("RESTOCK_FLUSH_INTERVAL_MS", interval_ms.to_string())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts")
}

pub(crate) fn start_in(shop: &Shop) -> Child {
    start(&shop.redis_url, &shop.mysql_url, shop.stores.settings.namespace.as_str(), 20)
}

fn terminate(child: &Child) {
    let pid = Pid::from_raw(child.id().expect("it runs").cast_signed());
    kill(pid, Signal::SIGTERM).expect("it is told");
}

/// Waits until it says this on stderr.
async fn heard(child: &mut Child, text: &str) {
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let all = async {
        while let Some(line) = lines.next_line().await.expect("a line") {
            if line.contains(text) {
                return;
            }
        }
        panic!("it never says `{text}`");
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("it says so in time");
    // It must be able to go on writing.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
}

/// Tells it to stop, and expects that it does so at once and in good order.
async fn stops_at_once(mut child: Child, when: &str) {
    terminate(&child);
    let told = Instant::now();
    let ended = tokio::time::timeout(Duration::from_secs(20), child.wait()).await;
    let code = ended.unwrap_or_else(|_| panic!("{when}: it does not stop")).expect("it ends").code();
    assert_eq!(code, Some(0), "{when}");
    assert!(told.elapsed() <= STOPS_WITHIN, "{when}: it took {:?} to stop", told.elapsed());
}

/// Runs `restock-cli` to its end.
pub(crate) async fn cli(shop: &Shop, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_restock-cli"))
        .args(args)
        .env("RESTOCK_REDIS_URL", &shop.redis_url)
        .env("RESTOCK_MYSQL_URL", &shop.mysql_url)
        .env("RESTOCK_NAMESPACE", shop.stores.settings.namespace.as_str())
        .kill_on_drop(true)
        .output()
        .await
        .expect("the program starts")
}

#[tokio::test]
async fn a_flusher_that_is_told_to_stop_drains_and_exits_with_0() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101]).await;
    let child = start_in(&shop);
    shop.restock(7).await;
    shop.wait_for(STATUS, "QUEUED").await;
    terminate(&child);
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn without_a_schema_it_names_the_command_that_makes_one() {
    let urls = servers().await;
    let mysql_url = urls.database(&fresh_database_name());
    schema::create_database(&mysql_url.clone().into()).await.unwrap();
    let output = start(&urls.redis, &mysql_url, "restock", 20).wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("restock-cli migrate"), "{said}");
}

#[tokio::test]
async fn a_flusher_stops_at_once_while_a_store_is_away() {
    let own = Servers::start().await.unwrap();
    let shop = Shop::open_on_own(&own).await;
    shop.product(7, 0, &[101]).await;
    shop.restock(7).await;
    let first = start_in(&shop);
    shop.wait_for(STATUS, "QUEUED").await;
    stops_at_once(first, "both stores answer").await;

    let leading = async || {
        let child = start_in(&shop);
        let round = shop.restock(7).await.to_string();
        shop.wait_for("SELECT CAST(restock_round AS CHAR) FROM product", &round).await;
        child
    };
    let child = leading().await;
    own.mysql.freeze().await.unwrap();
    stops_at_once(child, "MySQL is frozen").await;
    own.mysql.thaw().await.unwrap();
    let mut child = leading().await;
    own.mysql.kill().await.unwrap();
    let mut other = start_in(&shop);
    heard(&mut other, "waiting for it").await;
    stops_at_once(other, "MySQL was away from the start").await;
    heard(&mut child, "trying again").await;
    stops_at_once(child, "MySQL has been away for a while").await;
    own.mysql.start_again().await.unwrap();

    let child = leading().await;
    own.redis.freeze().await.unwrap();
    stops_at_once(child, "Redis is frozen").await;
    own.redis.thaw().await.unwrap();
    let mut child = leading().await;
    own.redis.kill().await.unwrap();
    let mut other = start_in(&shop);
    heard(&mut other, "waiting for it").await;
    stops_at_once(other, "Redis was away from the start").await;
    heard(&mut child, "trying again").await;
    stops_at_once(child, "Redis has been away for a while").await;
}

#[tokio::test]
async fn what_a_killed_flusher_did_not_count_is_counted_by_the_next() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101, 102, 103]).await;
    shop.restock(7).await;
    let line = shop.line(7).await;
    // A round that is completed says itself how many it was about.
    assert_eq!(advance(&mut *shop.take().await, settled(&line, Outcome::Sent), false).await, Advanced::Go);

    // The line cannot be read, so that the round is committed and not counted.
    let mut somebody = shop.db().acquire().await.unwrap();
    sqlx::raw_sql("LOCK TABLES product_user_notification WRITE").execute(&mut *somebody).await.unwrap();
    let mut first = start_in(&shop);
    shop.wait_for(STATUS, "IN_PROGRESS").await;
    first.kill().await.unwrap();
    let total = "SELECT IFNULL(CAST(total AS CHAR), 'none') FROM product_notification_history";
    assert_eq!(shop.rows(total).await, ["none"]);
    sqlx::raw_sql("UNLOCK TABLES").execute(&mut *somebody).await.unwrap();
    // Who left the line since was one of them nevertheless.
    subscription::unsubscribe(shop.db(), ProductId(7), &[UserId(102)]).await.unwrap();

    let second = start_in(&shop);
    shop.wait_for(total, "3").await;
    terminate(&second);
    assert!(second.wait_with_output().await.unwrap().status.success());
}

#[tokio::test]
async fn a_database_with_another_count_of_partitions_is_refused() {
    let shop = Shop::open().await;
    shop.product(7, 1, &[101]).await;
    assert!(matches!(shop.stores.check(ProductId(7)).await.unwrap(), Checked::Done(_)));
    shop.execute("UPDATE setting SET value = '3' WHERE name = 'partitions'").await;
    let output = start_in(&shop).wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("1 partitions") && said.contains("over 3"), "{said}");
    let output = cli(&shop, &["stock", "set", "7", "5"]).await;
    assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
}

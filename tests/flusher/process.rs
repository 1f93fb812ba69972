//! `restock-flusher` as a process.

use std::process::{Output, Stdio};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::{Child, Command};

use super::{fixture::Shop, support::servers::servers};
use restock::{local::fresh_database_name, mysql::schema};

fn start(redis_url: &str, mysql_url: &str, namespace: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_restock-flusher"))
        .env("RESTOCK_REDIS_URL", redis_url)
        .env("RESTOCK_MYSQL_URL", mysql_url)
        .env("RESTOCK_NAMESPACE", namespace)
        .env("RESTOCK_FLUSH_INTERVAL_MS", "20")
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program starts")
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
    let child = start(&shop.redis_url, &shop.mysql_url, shop.stores.settings.namespace.as_str());
    shop.restock(7).await;
    shop.wait_for("SELECT status FROM product_notification_history", "QUEUED").await;
    let pid = Pid::from_raw(child.id().unwrap().cast_signed());
    kill(pid, Signal::SIGTERM).unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn without_a_schema_it_names_the_command_that_makes_one() {
    let urls = servers().await;
    let mysql_url = urls.database(&fresh_database_name());
    schema::create_database(&mysql_url.clone().into()).await.unwrap();
    let output = start(&urls.redis, &mysql_url, "restock").wait_with_output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("restock-cli migrate"), "{said}");
}

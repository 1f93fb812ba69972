//! Commands one after the other, as in a shell.

use std::fmt::Write;

use super::compare;
use crate::shop::Shop;

/// Runs a line as a shell would split it, and writes down what came of it.
pub(super) async fn run(shop: &Shop, transcript: &mut String, line: &str) {
    run_with(shop, transcript, line, "").await;
}

/// As [`run`], with this text on stdin.
pub(super) async fn run_with(shop: &Shop, transcript: &mut String, line: &str, stdin: &str) {
    let arguments: Vec<String> = line.split_whitespace().map(|word| word.replace('_', " ")).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = shop.run_with(&arguments, stdin).await;
    writeln!(transcript, "$ restock-cli {line}\n{}", ended.stdout.trim_end()).expect("a text can be written");
    if !ended.stderr.is_empty() {
        writeln!(transcript, "stderr: {}", ended.stderr.trim_end()).expect("a text can be written");
    }
    writeln!(transcript, "exit {}\n", ended.code).expect("a text can be written");
}

async fn all(name: &str, shop: &Shop, lines: &[&str]) {
    let mut transcript = String::new();
    for line in lines {
        run(shop, &mut transcript, line).await;
    }
    compare(name, &transcript);
}

#[tokio::test]
async fn the_shop() {
    let shop = Shop::empty().await;
    let lines = [
        "migrate --partitions 2",
        "settings",
        "settings set rate=300 --output json",
        "product add 42 --name Party_bunting --sku 47566 --stock 5",
        "product add 7 --name 파티_깃발 --output json",
        "product list",
        "product list --output json",
        "product show sku:47566 --output json",
        "stock set 42 9 --by ann",
        "stock add 42 -4 --output json --by ann",
        "stock show 7",
        "subscribe 42 1001 1002 1003",
        "subscribe 42 1001",
        "unsubscribe 42 1002 1009",
        "rate set 200 --by ann",
        "rate --output json",
        "pause 42 --by ann",
        "unpause 42 --by ann",
        "pause --by ann",
        "unpause --by ann",
        "actions --limit 3",
        "actions 42 --output json",
    ];
    all("shop", &shop, &lines).await;
}

#[tokio::test]
async fn rounds() {
    let shop = Shop::open().await;
    let mut transcript = String::new();
    for line in [
        "subscribe 42 1001 1002 1003",
        "status",
        "status --output json",
        "enqueue 42 --quantity 3 --key k1",
        "enqueue 42 --quantity 3 --key k1 --output json",
        "status 42",
        "pause 42 --by ann",
        "status 42 --output json",
        "unpause 42 --by ann",
        "cancel 42 --by ann",
        "status",
    ] {
        run(&shop, &mut transcript, line).await;
    }
    let told = tempfile::tempdir().expect("a folder");
    shop.done(&["settings", "set", "channels=file"]).await;
    let path = told.path().join("told.jsonl");
    let (_worker, _flusher) = (shop.worker(&["--file-path", &path.to_string_lossy()]), shop.flusher());
    shop.done(&["enqueue", "42", "--wait"]).await;
    shop.until(&["status", "42"], |rows| {
        rows.as_array().is_some_and(|rows| rows.iter().any(|row| row["channel"] == "file" && row["total"] == 3))
    })
    .await;
    for line in
        ["status 42", "history 42 --round 2", "history 42 --round 2 --output json", "pending", "why 42 --user 1002"]
    {
        run(&shop, &mut transcript, line).await;
    }
    compare("rounds", &transcript);
}

#[tokio::test]
async fn errors() {
    let shop = Shop::open().await;
    let lines = [
        // 2: what makes no sense
        "nonsense",
        "enqueue",
        "enqueue none",
        "stock set 42 -1",
        "stock set 42 x",
        "settings set rate",
        "settings set pace=3",
        "settings set rate=fast",
        "rate set -1",
        "history 42",
        "import products /nowhere.csv",
        "completions tcsh",
        // 3: what is not there
        "product show 999",
        "subscribe 999 1",
        "enqueue 999",
        "history 42 --round 9",
        "why 42 --user 9",
        "pause 999",
        // 4: what cannot be now
        "product add 42 --name x",
        "product add 43 --name x --sku 47566",
        "enqueue 7",
        "resume 42",
        "cancel 42",
        "stock add 42 -6",
        "settings set partitions=3",
    ];
    all("errors", &shop, &lines).await;
    all("errors-without-redis", &shop.without_redis(), &["stock set 42 1", "enqueue 42 --direct", "status", "pending"])
        .await;
    all("errors-without-mysql", &shop.without_mysql(), &["status", "enqueue 42", "migrate", "why 42 --user 1"]).await;
    all("errors-without-schema", &Shop::empty().await, &["status", "product list"]).await;
    let other = Shop { namespace: "elsewhere".to_owned(), ..shop };
    all("errors-elsewhere", &other, &["status"]).await;
}

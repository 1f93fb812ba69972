//! What an operator runs at night: each command's table, JSON, code and words.

use std::fs;

use super::{
    compare, compare_masked,
    transcripts::{run, run_with},
};
use crate::shop::Shop;

/// What the servers of this machine are like, which differs from one to the next.
const OF_SERVERS: &[(&str, &str)] = &[
    (r"(?m)^(ok  |WARN|FAIL) +(redis|mysql)(_\w+)? .*$", "[level]  $2$3  [what this server is like]"),
    (
        r#""check": "((redis|mysql)\w*)",\s+"level": ".*",\s+"detail": ".*",\s+"advice": .*"#,
        r#""check": "$1" [and so on]"#,
    ),
    (r"Redis is -?\d+ ms ahead and MySQL -?\d+ ms", "Redis is [n] ms ahead and MySQL [n] ms"),
    (r"the oldest entry waits for \d+ ms", "the oldest entry waits for [n] ms"),
    (r"(\d+ failed), \d+ warnings", "$1, [n] warnings"),
    // Columns are as wide as what was masked.
    (r"(\w\S*) {2,}", "$1  "),
];

/// The words of MySQL, which MariaDB has not, and moments.
const OF_ROWS: &[(&str, &str)] = &[
    (r#"of 42/null: [^"\n]*"#, "of 42/null: [why]"),
    (r"SQLSTATE \w+", "SQLSTATE [state]"),
    (r"\b1\d{15}\b", "[us]"),
    (r#""ms": \d+"#, r#""ms": [ms]"#),
    (r"(SENT +-) +\d+", "$1  [ms]"),
];

async fn all(name: &str, shop: &Shop, lines: &[&str], masks: &[(&str, &str)]) {
    let mut transcript = String::new();
    for line in lines {
        run(shop, &mut transcript, line).await;
    }
    compare_masked(name, &transcript, masks);
}

#[tokio::test]
async fn doctor() {
    let shop = Shop::open().await;
    all("doctor", &shop, &["doctor", "doctor --output json"], OF_SERVERS).await;
}

#[tokio::test]
async fn what_mysql_refused_and_everything_about_it() {
    let shop = Shop::open_with(&["--channels", "null"]).await;
    shop.done(&["subscribe", "42", "1001", "1002", "1003"]).await;
    all("sound", &shop, &["verify", "verify --output json", "dead list", "dead list --output json"], &[]).await;
    shop.execute("ALTER TABLE product_user_notification_history ADD CONSTRAINT one CHECK (user_id <> 1002)").await;
    let (flusher, worker) = (shop.flusher(), shop.worker(&[]));
    shop.done(&["enqueue", "42", "--wait"]).await;
    shop.until(&["dead", "list"], |rows| rows[0].is_object()).await;
    shop.until(&["status", "42"], |rows| rows[0]["total"] == 3).await;
    drop((flusher, worker));
    let lines = [
        "dead list",
        "dead list --output json",
        "dead show row:1",
        "verify 42",
        "verify 42 --output json",
        "verify --repair --dry-run",
        "dead replay row:1 --dry-run",
        "dead drop row:1 --by ann --output json",
        "dead drop row:1",
        "dead replay 17",
        "test-send 42 --user 1001",
        "test-send 42 --user 1001 --output json",
        "test-send 42 --user 1001 --channel file",
        "reclaim",
        "reclaim 42 --output json",
        "reclaim 999",
        "history prune --before 2020-01-01 --dry-run",
        "history prune --before 2020-01-01 --output json",
        "history prune --before 2999-01-01",
        "erase-user 1002 --dry-run",
        "erase-user 1002 --output json",
        "erase-user 1002",
    ];
    all("by-hand", &shop, &lines, OF_ROWS).await;
}

#[tokio::test]
async fn resume() {
    let shop = Shop::open().await;
    shop.done(&["subscribe", "42", "1001", "1002"]).await;
    shop.done(&["enqueue", "42"]).await;
    let lines = [
        "resume 42",
        "cancel 42 --dry-run",
        "cancel 42 --by ann --output json",
        "resume 42 --dry-run",
        "resume 42 --dry-run --output json",
        "resume 42 --skip",
        "resume 42 --retry-failed",
        "resume 42 --channel file",
        "resume 42 --by ann",
        "cancel 42 --by ann",
        "resume 42 --by ann --output json",
        "resume 999",
        "pause 42 --by ann --output json",
    ];
    all("resume", &shop, &lines, &[]).await;
}

#[tokio::test]
async fn import() {
    let shop = Shop::open().await;
    let mut transcript = String::new();
    let products = "id,sku,name,stock,colour\n100,,One,1,red\n101,,Two,-1,blue\n42,47566,Bunting,3,\n";
    run_with(&shop, &mut transcript, "import products -", products).await;
    run_with(&shop, &mut transcript, "import products - --skip-bad", products).await;
    run_with(&shop, &mut transcript, "import products - --skip-bad --output json", products).await;
    let people = "product_id,user_id,created_at\n42,1,2024-01-01 00:00:00\n42,2,2024-01-01 00:00:00\n100,1,soon\n";
    run_with(&shop, &mut transcript, "import subscriptions -", people).await;
    run_with(&shop, &mut transcript, "import subscriptions - --skip-bad", people).await;
    run_with(&shop, &mut transcript, "import subscriptions - --skip-bad --output json", people).await;
    run_with(&shop, &mut transcript, "import subscriptions -", "user_id,created_at\n").await;
    compare("import", &transcript);
}

#[tokio::test]
async fn manual_and_completions() {
    let shop = Shop { redis_url: String::new(), mysql_url: String::new(), namespace: "restock".to_owned() };
    let folder = tempfile::tempdir().expect("a folder");
    shop.done(&["man", "--out", &folder.path().to_string_lossy()]).await;
    let page = fs::read_to_string(folder.path().join("restock-cli-stock-set.1")).expect("a page");
    compare_masked("man", &page, &[(r"\d+\.\d+\.\d+", "[version]")]);
    let mut heads = String::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = shop.done(&["completions", shell]).await.stdout;
        let head: Vec<&str> = script.lines().take(12).collect();
        heads += &format!("$ restock-cli completions {shell}\n{}\n\n", head.join("\n"));
    }
    compare("completions", &heads);
}

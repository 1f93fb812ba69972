//! Arguments that make no sense: one line that says what to do, and exit 2, from every program.

use super::shop::{CLI, Ended, FLUSHER, Shop, WORKER, finish};

/// A shop that nothing gets to: arguments are looked at first.
fn nowhere() -> Shop {
    Shop {
        redis_url: "redis://127.0.0.1:1".to_owned(),
        mysql_url: "mysql://root@127.0.0.1:1/restock".to_owned(),
        namespace: "restock".to_owned(),
    }
}

async fn run(program: &str, args: &[&str]) -> Ended {
    finish(nowhere().program(program).args(args), "").await
}

#[tokio::test]
async fn bad_arguments_are_one_line_that_names_the_help() {
    let cases: [(&[&str], &[&str]); 15] = [
        (&[], &["no command is given", "`restock-cli --help`"]),
        (&["product"], &["no command is given", "`restock-cli product --help`"]),
        (&["--output", "json"], &["no command is given", "`restock-cli --help`"]),
        (&["enqeue", "42"], &["unrecognized subcommand 'enqeue'", "'enqueue'", "`restock-cli --help`"]),
        (&["enqueue"], &["required arguments", "<PRODUCT>", "`restock-cli enqueue --help`"]),
        (&["enqueue", "none"], &["'none'", "[PRODUCT]", "give a number such as 42"]),
        (&["enqueue", "-3"], &["'-3'", "`restock-cli enqueue --help`"]),
        (&["enqueue", "42", "--quantity", "-1"], &["'-1'", "--quantity <N>", "is not in 0..=2147483647"]),
        (&["enqueue", "42", "--key", "#1"], &["'#1'", "--key"]),
        (&["enqueue", "42", "43"], &["'43'", "`restock-cli enqueue --help`"]),
        (&["status", "--outptu", "json"], &["'--outptu'", "'--output'", "`restock-cli status --help`"]),
        (&["status", "--output", "yaml"], &["'yaml'", "table, json"]),
        (&["stock", "set", "42", "-1"], &["-1", "<PIECES>", "`restock-cli stock set --help`"]),
        (&["product", "add", "42", "--name", "x", "--stock", "-1"], &["-1", "--stock"]),
        (&["stock", "set", "4\n2\u{1b}[31m", "1"], &["[31m", "`restock-cli stock set --help`"]),
    ];
    for (args, words) in cases {
        let ended = run(CLI, args).await;
        ended.fails(2, words);
        assert!(ended.stderr.starts_with("restock-cli: ") && !ended.stderr.contains('\u{1b}'), "{ended:?}");
    }
}

#[tokio::test]
async fn worker_and_flusher_answer_alike() {
    for (program, name) in [(WORKER, "restock-worker"), (FLUSHER, "restock-flusher")] {
        run(program, &["--lane"]).await.fails(2, &[name, "'--lane'", &format!("`{name} --help`")]);
        run(program, &["--drain-ms", "never"]).await.fails(2, &[name, "--drain-ms", "never"]);
        run(program, &["--redis-url", "http://u:hunter2@h"]).await.fails(2, &[name, "--redis-url", "http"]);
        run(program, &["--log", "a=b=c"]).await.fails(2, &[name, "--log"]);
        let json = run(program, &["--log-format", "json", "--mysql-url", "mysql://h"]).await;
        json.fails(2, &["--mysql-url"]);
        let line: serde_json::Value = serde_json::from_str(&json.stderr).expect("a line of the log");
        assert_eq!((&line["level"], &line["target"]), (&"ERROR".into(), &name.into()));
    }
    run(FLUSHER, &["--flush-interval-ms", "0"]).await.fails(2, &["--flush-interval-ms", "1..=60000"]);
}

#[tokio::test]
async fn a_wrong_value_of_the_environment_names_its_variable() {
    let worker = finish(nowhere().program(WORKER).env("RESTOCK_LANES", "many"), "").await;
    worker.fails(2, &["'many'", "--lanes", "(from RESTOCK_LANES)"]);
    let given = finish(nowhere().program(WORKER).env("RESTOCK_LANES", "7").args(["--lanes", "many"]), "").await;
    given.fails(2, &["'many'", "--lanes"]);
    assert!(!given.stderr.contains("RESTOCK_LANES"), "{given:?}");
    finish(nowhere().program(CLI).env("RESTOCK_NAMESPACE", "a b").arg("status"), "")
        .await
        .fails(2, &["--namespace", "(from RESTOCK_NAMESPACE)", "`restock-cli status --help`"]);
}

#[tokio::test]
async fn a_password_in_the_wrong_place_is_not_repeated() {
    for args in [
        &["mysql://root:hunter2@h/restock"][..],
        &["--mysql-ulr", "mysql://root:hunter2@h/restock"],
        &["--mysql-ulr=mysql://root:hunter2@h/restock"],
        &["--mysql-url", "postgres://root:hunter2@h/restock", "--lanes", "1"],
        &["whsec_hunter2"],
    ] {
        for program in [CLI, WORKER, FLUSHER] {
            run(program, args).await.fails(2, &["--"]);
        }
    }
}

#[tokio::test]
async fn a_channel_that_cannot_be_made_is_usage() {
    let shop = Shop::open().await;
    let worker = async |args: &[&str]| finish(shop.program(WORKER).args(args), "").await;
    worker(&[]).await.fails(2, &["--webhook-url", "RESTOCK_WEBHOOK_URL"]);
    worker(&["--webhook-url", "ftp://u:hunter2@h"]).await.fails(2, &["--webhook-url", "http"]);
    worker(&["--webhook-url", "http://h", "--webhook-secret", "hunter2"]).await.fails(2, &["--webhook-secret"]);
    worker(&["--only", "file"]).await.fails(2, &["--only", "`file`", "`restock-cli settings`"]);
    shop.done(&["settings", "set", "channels=file"]).await;
    worker(&["--file-path", "/nowhere/x"]).await.fails(2, &["--file-path", "/nowhere/x", "No such file"]);
}

#[tokio::test]
async fn help_and_version_go_to_stdout() {
    for (program, name) in [(CLI, "restock-cli"), (WORKER, "restock-worker"), (FLUSHER, "restock-flusher")] {
        let (help, version) = (run(program, &["--help"]).await, run(program, &["--version"]).await);
        assert!(help.code == 0 && help.stderr.is_empty() && help.stdout.contains("Usage: "), "{help:?}");
        assert_eq!((version.code, version.stdout), (0, format!("{name} {}\n", env!("CARGO_PKG_VERSION"))));
    }
    assert!(run(CLI, &["help", "enqueue"]).await.stdout.contains("--quantity"));
}

#[tokio::test]
async fn what_is_not_built_yet_says_so() {
    for args in [&["enqueue", "42", "--dry-run"][..], &["enqueue", "--from", "x.csv"]] {
        run(CLI, args).await.fails(2, &["later version"]);
    }
}

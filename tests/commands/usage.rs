//! Arguments that make no sense: one line that says what to do, and exit 2, from every program.

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::timeout,
};

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
async fn the_operators_commands_answer_alike() {
    let cases: [(&[&str], &[&str]); 12] = [
        (&["enqueue", "42", "--dry-run", "--wait"], &["'--dry-run'", "'--wait'", "`restock-cli enqueue --help`"]),
        (&["enqueue", "42", "--from", "-"], &["--from", "`restock-cli enqueue --help`"]),
        (&["enqueue", "--from", "-", "--direct"], &["--from", "--direct"]),
        (&["resume", "42", "--dry-run", "--wait"], &["'--dry-run'", "'--wait'"]),
        (&["resume", "42", "--skip", "--retry-failed"], &["'--skip'", "'--retry-failed'"]),
        (&["why", "42"], &["--user <USER>", "`restock-cli why --help`"]),
        (&["reclaim", "--min-idle-ms", "soon"], &["'soon'", "--min-idle-ms"]),
        (&["dead"], &["no command is given", "`restock-cli dead --help`"]),
        (&["dead", "replay"], &["--all", "`restock-cli dead replay --help`"]),
        (&["dead", "drop", "--all", "row:1"], &["--all", "`restock-cli dead drop --help`"]),
        (&["dead", "replay", "17"], &["'17'", "`restock-cli dead list` shows"]),
        (&["test-send", "42"], &["--user <USER>", "`restock-cli test-send --help`"]),
    ];
    for (args, words) in cases {
        run(CLI, args).await.fails(2, words);
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
async fn a_log_that_is_no_terminal_has_no_colours() {
    // Nobody is at the addresses, which the log says; then the drain begins.
    let mut flusher = nowhere().program(FLUSHER);
    let mut flusher = flusher.env("RESTOCK_LOG", "info").stderr(Stdio::piped()).spawn().expect("it starts");
    let mut log = BufReader::new(flusher.stderr.take().expect("a pipe"));
    let mut line = String::new();
    timeout(Duration::from_secs(30), log.read_line(&mut line)).await.expect("a line in time").expect("it is read");
    assert!(line.contains("WARN") && line.contains("127.0.0.1:1") && !line.contains('\u{1b}'), "{line}");
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

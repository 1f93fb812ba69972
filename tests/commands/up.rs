//! `up`: everything for development in one process, and nothing of it afterwards.

use std::{
    fs,
    net::TcpStream,
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, BufReader},
    process::{Child, ChildStdout, Command},
};

use super::shop::{CLI, Shop};

/// Servers, a schema, and a sample of a quarter of a million rows on a busy machine.
const DEADLINE: Duration = Duration::from_secs(180);

/// Starts it, and reads the document that says that it is ready.
async fn start(command: &mut Command) -> (Child, BufReader<ChildStdout>, Value) {
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("it starts");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut text = Vec::new();
    let read = async {
        loop {
            text.push(output.read_u8().await.expect("it says what runs"));
            if let Ok(document) = serde_json::from_slice(&text) {
                return document;
            }
        }
    };
    let document = tokio::time::timeout(DEADLINE, read).await.expect("it is ready in time");
    (child, output, document)
}

async fn stop(mut child: Child) {
    let pid = Pid::from_raw(child.id().expect("it runs").cast_signed()).expect("a process");
    kill_process(pid, Signal::INT).expect("it is told");
    let ended = tokio::time::timeout(DEADLINE, child.wait()).await.expect("it ends in time").expect("it ends");
    assert_eq!(ended.code(), Some(0));
}

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

#[tokio::test]
async fn it_works_on_private_servers_and_leaves_nothing() {
    let (temporary, told) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let file = told.path().join("told.jsonl");
    let mut command = Command::new(CLI);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RESTOCK_") && !name.contains("LOCAL")) {
        command.env_remove(name);
    }
    command
        .args(["up", "--output", "json", "--rate", "0"])
        .env("TMPDIR", temporary.path())
        .env("RESTOCK_FILE_PATH", &file);
    let (child, _output, ready) = start(&mut command).await;
    assert_eq!((&ready["channels"][0], &ready["namespace"]), (&"file".into(), &"restock".into()));
    let shop = Shop {
        redis_url: text(&ready["redis_url"]),
        mysql_url: text(&ready["mysql_url"]),
        namespace: text(&ready["namespace"]),
    };
    let api = text(&ready["api_url"]);
    let probe =
        shop.program(CLI).args(["probe", "--live", api.trim_start_matches("http://")]).output().await.expect("it runs");
    assert!(probe.status.success(), "{api}: {probe:?}");
    // The first command to try, as it is printed, with the addresses in the environment.
    let first = text(&ready["first_command"]);
    let mut shell = shop.program("/bin/sh");
    let ended = shell.args(["-c", &first]).output().await.expect("a shell");
    assert!(ended.status.success(), "{first}: {ended:?}");
    let status = shop.json(&["status"]).await;
    assert_eq!(
        (&status[0]["status"], &status[0]["total"], &status[0]["sent"]),
        (&"COMPLETED".into(), &881.into(), &881.into())
    );
    assert_eq!(fs::read_to_string(&file).expect("people were told").lines().count(), 881);
    stop(child).await;
    let start = Instant::now();
    while fs::read_dir(temporary.path()).expect("the folder").count() > 0 {
        assert!(start.elapsed() < DEADLINE, "something is left in TMPDIR");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let address = shop.redis_url.trim_start_matches("redis://").to_owned();
    assert!(TcpStream::connect(address).is_err(), "Redis still runs");
    assert!(TcpStream::connect(api.trim_start_matches("http://")).is_err(), "the API still runs");
}

#[tokio::test]
async fn given_servers_keep_what_was_done() {
    let shop = Shop::empty().await;
    let mut command = shop.program(CLI);
    command.args(["up", "--output", "json", "--channels", "null", "--rate", "0"]);
    let (child, _output, ready) = start(&mut command).await;
    assert_eq!((&ready["redis_url"], &ready["channels"][0]), (&shop.redis_url.clone().into(), &"null".into()));
    assert!(text(&ready["first_command"]).contains("product add 42"));
    let mut shell = shop.program("/bin/sh");
    let ended = shell.args(["-c", &text(&ready["first_command"])]).output().await.expect("a shell");
    assert!(ended.status.success(), "{ended:?}");
    stop(child).await;
    let status = shop.json(&["status", "42"]).await;
    assert_eq!((&status[0]["status"], &status[0]["sent"]), (&"COMPLETED".into(), &3.into()));
}

#[tokio::test]
async fn a_channel_without_its_options_is_named_before_anything_works() {
    let shop = Shop::empty().await;
    let ended = shop.run(&["up", "--channels", "webhook"]).await;
    ended.fails(2, &["--webhook-url", "RESTOCK_WEBHOOK_URL"]);
}

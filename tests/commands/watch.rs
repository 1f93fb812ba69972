//! `status --watch`: a screen on a terminal, lines elsewhere.

use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use super::{
    shop::{CLI, Shop},
    terminal::Terminal,
};

/// What switches a terminal to another colour.
const COLOUR: &str = "\u{1b}[38;5;";

/// A shop in which one round waits for a worker that never comes, and one was canceled.
async fn waiting() -> Shop {
    let shop = Shop::open().await;
    shop.done(&["stock", "set", "7", "1"]).await;
    shop.done(&["enqueue", "7"]).await;
    shop.done(&["cancel", "7", "--by", "ann"]).await;
    shop.done(&["enqueue", "42"]).await;
    shop
}

fn watching(shop: &Shop) -> Command {
    let mut command = shop.program(CLI);
    command.args(["status", "--watch"]);
    command
}

fn watch(shop: &Shop, rows: u16, columns: u16) -> Terminal {
    Terminal::start(watching(shop), rows, columns)
}

#[tokio::test]
async fn a_screen_shows_the_lanes_and_leaves_the_terminal_clean() {
    let shop = waiting().await;
    let mut terminal = watch(&shop, 24, 100);
    let seen = terminal.until("both lanes", |screen| screen.contains("queued") && screen.contains("canceled by ann"));
    for words in ["q quits", "rate 0 of 500/s", "0 running, 1 waiting, the oldest for", "47566", "waits for", "outbox"]
    {
        assert!(seen.contains(words), "`{words}` is missing:\n{seen}");
    }
    shop.done(&["pause", "42"]).await;
    terminal.until("the pause", |screen| screen.contains("paused") && screen.contains("`restock-cli unpause 42`"));
    terminal.press(b"q");
    let (status, raw) = terminal.end();
    assert_eq!(status.code(), Some(0));
    assert!(raw.contains(COLOUR), "a screen has colours");
}

#[tokio::test]
async fn ctrl_c_and_sigterm_leave_it_clean_too_and_no_color_is_honoured() {
    let shop = waiting().await;
    let mut terminal = watch(&shop, 24, 80);
    terminal.until("a lane", |screen| screen.contains("queued"));
    terminal.press(b"\x03");
    assert_eq!(terminal.end().0.code(), Some(0));

    let mut command = watching(&shop);
    command.env("NO_COLOR", "1");
    let mut terminal = Terminal::start(command, 24, 80);
    terminal.until("a lane", |screen| screen.contains("queued"));
    terminal.signal(Signal::TERM);
    let (status, raw) = terminal.end();
    assert_eq!(status.code(), Some(0));
    assert!(!raw.contains(COLOUR), "NO_COLOR is set");
}

#[tokio::test]
async fn a_small_screen_shows_what_it_can() {
    let shop = waiting().await;
    for (rows, columns, word) in [(1, 20, "queued"), (2, 10, "42"), (3, 120, "canceled by ann"), (6, 5, "42")] {
        let mut terminal = watch(&shop, rows, columns);
        terminal.until(word, |screen| screen.contains(word));
        terminal.press(b"\x1b[B");
        terminal.press(b"q");
        assert_eq!(terminal.end().0.code(), Some(0), "{rows} x {columns}");
    }
}

#[tokio::test]
async fn what_is_wrong_at_first_is_one_line_and_no_screen() {
    let shop = Shop::empty().await.without_mysql();
    let (status, raw) = watch(&shop, 24, 200).end();
    assert_eq!(status.code(), Some(5), "{raw}");
    assert!(raw.starts_with("restock-cli: MySQL at ") && raw.trim_end().lines().count() == 1, "{raw}");
}

#[tokio::test]
async fn without_a_terminal_there_are_lines_of_what_is_new() {
    let shop = waiting().await;
    let mut command = watching(&shop);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut next = async || lines.next_line().await.expect("it reads").expect("a line");
    assert!(next().await.contains("Z rate 0 of 500/s; 0 running, 1 waiting"));
    assert!(next().await.contains("Z product 42 (47566) round 1 webhook: QUEUED 0/?, waits for "));
    shop.done(&["cancel", "42", "--by", "bob"]).await;
    assert!(next().await.contains("Z rate 0 of 500/s; 0 running, 0 waiting; "));
    let line = next().await;
    assert!(line.contains("CANCELED_BY_ADMIN 0/?, canceled by bob") && !line.contains('\u{1b}'), "{line}");
    let pid = rustix::process::Pid::from_raw(child.id().expect("it runs").cast_signed()).expect("a process");
    rustix::process::kill_process(pid, Signal::INT).expect("it is told");
    assert_eq!(child.wait().await.expect("it ends").code(), Some(0));
}

#[tokio::test]
async fn for_programs_each_look_is_a_json_document_on_a_line() {
    let shop = waiting().await;
    let mut command = watching(&shop);
    let mut child =
        command.args(["42", "--output", "json"]).stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    for _ in 0..2 {
        let line = lines.next_line().await.expect("it reads").expect("a line");
        let look: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!((&look["live"], &look["limit"], &look["used"]), (&true.into(), &500.into(), &0.into()), "{line}");
        assert_eq!((&look["lanes"][0]["product"], &look["lanes"][0]["status"]), (&42.into(), &"QUEUED".into()));
        assert!(look["lanes"][0]["waiting_ms"].is_i64() && look["lanes"][0]["owner"].is_null(), "{line}");
        assert!(look["lag"]["entries"].is_u64() && look["outbox"]["pending"].is_i64(), "{line}");
    }
    // Its reader goes away: that is no failure.
    drop(lines);
    assert_eq!(child.wait().await.expect("it ends").code(), Some(0));
}

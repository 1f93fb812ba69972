//! `demo --page`: the page is there while the story is told, and nothing is there after Ctrl-C.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use reqwest::{Client, Response};
use restock::config::install_tls_provider;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::{sleep, timeout},
};

use super::shop::CLI;

/// Servers, and the orders of a whole shop, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(20);
/// Redis, MySQL, the flusher, three workers, the API.
const PROGRAMS: usize = 7;

/// The processes that work in this folder, by what they were called with.
fn processes_in(folder: &Path) -> Vec<String> {
    let Ok(all) = fs::read_dir("/proc") else { return Vec::new() };
    let works_there = |process: &PathBuf| fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
    let all = all.filter_map(|entry| Some(entry.ok()?.path())).filter(works_there);
    all.map(|process| fs::read_to_string(process.join("cmdline")).unwrap_or_default().replace('\0', " ")).collect()
}

async fn get(url: &str) -> Response {
    let answer = timeout(DEADLINE, Client::new().get(url).send()).await.expect("in time");
    answer.expect("it answers").error_for_status().expect("it is there")
}

/// The API is ready a moment after its address is known.
async fn wait_until_ready(url: &str) {
    let start = Instant::now();
    let ask =
        || async { Client::new().get(format!("{url}readyz")).send().await.is_ok_and(|a| a.status().is_success()) };
    while !ask().await {
        assert!(start.elapsed() < DEADLINE, "{url} is not ready");
        sleep(POLL).await;
    }
}

/// Reads a stream until it has brought this.
async fn bring(stream: &mut Response, wanted: &str) {
    let mut text = String::new();
    while !text.contains(wanted) {
        let chunk = timeout(DEADLINE, stream.chunk()).await.expect("in time").expect("it goes on");
        text += &String::from_utf8_lossy(&chunk.unwrap_or_else(|| panic!("it ended without {wanted}: {text}")));
    }
}

#[tokio::test]
async fn the_page_is_there_while_it_runs_and_nothing_after_ctrl_c() {
    install_tls_provider();
    let temporary = tempfile::tempdir().expect("a folder");
    let folder = temporary.path().canonicalize().expect("a folder");
    let mut command = Command::new(CLI);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RESTOCK_") && !name.contains("LOCAL")) {
        command.env_remove(name);
    }
    command.args(["demo", "--page"]).env("TMPDIR", &folder).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let url = timeout(DEADLINE, async {
        while let Some(line) = lines.next_line().await.expect("it can be read") {
            if let Some((_, url)) = line.split_once("as it happens: ") {
                return url.trim().to_owned();
            }
        }
        panic!("it ended without the address of the page");
    });
    let url = url.await.expect("the address in time");
    // It must be able to go on writing.
    let told = tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    wait_until_ready(&url).await;
    assert!(get(&url).await.text().await.expect("a page").contains("<html"), "{url}");
    let mut stream = get(&format!("{url}api/rounds/stream")).await;
    // The story is being told: its rounds are under way.
    bring(&mut stream, "\"IN_PROGRESS\"").await;
    let running = processes_in(&folder);
    assert!(running.len() >= PROGRAMS, "{running:?}");

    let pid = Pid::from_raw(child.id().expect("it runs").cast_signed()).expect("a process");
    kill_process(pid, Signal::INT).expect("it is told");
    let ended = timeout(DEADLINE, child.wait()).await.expect("it ends in time").expect("it ends");
    assert_eq!(ended.code(), Some(130), "cut off in the middle");
    told.await.expect("its output ends with it");
    let start = Instant::now();
    loop {
        let (running, left) = (processes_in(&folder), fs::read_dir(&folder).expect("the folder").count());
        if running.is_empty() && left == 0 {
            break;
        }
        assert!(start.elapsed() < DEADLINE, "{left} folders are left, and: {running:?}");
        sleep(POLL).await;
    }
    let refused = Client::new().get(&url).send().await.expect_err("nobody listens");
    assert!(refused.is_connect(), "{refused:?}");
}

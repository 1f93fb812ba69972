//! `--wait`: how each end of a round shows in the exit code, with a worker and a flusher as processes.

use std::{process::Stdio, time::Duration};

use restock::demo::receiver::{Reaction, Receiver};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    time::timeout,
};

use super::shop::{CLI, FLUSHER, Shop, WORKER};

/// Far more than any of these rounds takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// A deployment with 40 people in the line of product 42, and somebody who receives.
struct Scene {
    shop: Shop,
    receiver: Receiver,
    _flusher: Child,
}

impl Scene {
    async fn set(react: impl Fn() -> Reaction + Send + Sync + 'static) -> Self {
        let shop = Shop::open().await;
        let people: Vec<String> = (1001..=1040).map(|user: i64| user.to_string()).collect();
        let mut args = vec!["subscribe", "42"];
        args.extend(people.iter().map(String::as_str));
        shop.done(&args).await;
        let receiver = Receiver::start(move |_| react()).await.expect("a free port");
        let flusher = shop.program(FLUSHER).env("RESTOCK_FLUSH_INTERVAL_MS", "20").spawn().expect("it starts");
        Self { shop, receiver, _flusher: flusher }
    }

    fn worker(&self) -> Child {
        let mut worker = self.shop.program(WORKER);
        worker.args(["--webhook-url", &self.receiver.url(), "--window", "4", "--retry-max", "0"]);
        worker.spawn().expect("it starts")
    }

    /// Announces and waits; answers the exit code and what was said.
    async fn announce(&self) -> (i32, String) {
        let ended = timeout(DEADLINE, self.shop.run(&["enqueue", "42", "--wait"])).await.expect("the round ends");
        (ended.code, ended.stderr)
    }

    async fn received(&self, requests: usize) {
        timeout(DEADLINE, self.receiver.wait_for(requests)).await.expect("people are told");
    }
}

#[tokio::test]
async fn a_completed_round_is_0() {
    let scene = Scene::set(Reaction::accept).await;
    let _worker = scene.worker();
    let (code, said) = scene.announce().await;
    assert!(code == 0 && said.contains("COMPLETED"), "{code}: {said}");
    assert_eq!(scene.receiver.count(), 40);
}

#[tokio::test]
async fn a_sell_out_is_10_and_the_next_round_goes_on() {
    let scene = Scene::set(|| Reaction::accept().after(Duration::from_millis(100))).await;
    let _worker = scene.worker();
    let ((code, said), ()) = tokio::join!(scene.announce(), async {
        scene.received(1).await;
        scene.shop.done(&["stock", "set", "42", "0"]).await;
    });
    assert!(code == 10 && said.contains("CANCELED_BY_SOLD_OUT"), "{code}: {said}");
    let told = scene.receiver.count();
    assert!(told < 40, "the stock was gone before the end of the line, and {told} were told");
    scene.shop.done(&["stock", "set", "42", "5"]).await;
    assert_eq!(scene.announce().await.0, 0);
    assert_eq!(scene.receiver.count(), 40, "nobody twice, nobody missing");
}

#[tokio::test]
async fn a_provider_that_refuses_us_is_11() {
    let scene = Scene::set(|| Reaction::status(401)).await;
    let _worker = scene.worker();
    let (code, said) = scene.announce().await;
    assert!(code == 11 && said.contains("CANCELED_BY_ERROR") && said.contains("401"), "{code}: {said}");
}

#[tokio::test]
async fn a_cancel_is_12() {
    let scene = Scene::set(|| Reaction::accept().after(Duration::from_millis(100))).await;
    let _worker = scene.worker();
    let ((code, said), ()) = tokio::join!(scene.announce(), async {
        scene.received(1).await;
        scene.shop.done(&["cancel", "42"]).await;
    });
    assert!(code == 12 && said.contains("CANCELED_BY_ADMIN"), "{code}: {said}");
}

#[tokio::test]
async fn a_round_that_a_newer_one_overtakes_is_13() {
    // No worker runs: the round never begins.
    let scene = Scene::set(Reaction::accept).await;
    let ((code, said), ()) = tokio::join!(scene.announce(), async {
        let queued = async || !scene.shop.json(&["status", "42"]).await.as_array().expect("an array").is_empty();
        timeout(DEADLINE, async { while !queued().await {} }).await.expect("the first round is there");
        scene.shop.done(&["enqueue", "42"]).await;
    });
    assert!(code == 13 && said.contains("SUPERSEDED"), "{code}: {said}");
}

#[tokio::test]
async fn that_no_worker_lives_is_said_once() {
    let scene = Scene::set(|| Reaction::accept().after(Duration::from_millis(300))).await;
    let mut wait = scene.shop.program(CLI);
    let mut wait = wait.args(["enqueue", "42", "--wait"]).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(wait.stderr.take().expect("a pipe")).lines();
    let warning = "channel webhook: no worker gave a sign of life";
    let heard = async {
        while let Some(line) = lines.next_line().await.expect("text") {
            if line.starts_with(warning) {
                return line;
            }
        }
        panic!("it ended in silence");
    };
    let line = timeout(DEADLINE, heard).await.expect("it says so");
    assert!(line.ends_with("start restock-worker"), "{line}");
    let status = scene.shop.done(&["status"]).await;
    assert!(status.stderr.contains(warning) && status.stdout.contains("QUEUED"), "{status:?}");
    assert_eq!(scene.shop.done(&["status", "--output", "json"]).await.stderr, "");
    let _worker = scene.worker();
    scene.received(1).await;
    let status = scene.shop.done(&["status"]).await;
    assert!(!status.stderr.contains(warning) && status.stdout.contains("IN_PROGRESS"), "{status:?}");
    assert_eq!(timeout(DEADLINE, wait.wait()).await.expect("it ends").expect("a code").code(), Some(0));
    while let Some(line) = lines.next_line().await.expect("text") {
        assert!(!line.starts_with(warning), "said twice");
    }
}

#[tokio::test]
async fn the_gravest_lane_decides() {
    let scene = Scene::set(|| Reaction::status(401)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("told.jsonl");
    scene.shop.done(&["settings", "set", "channels=file,webhook"]).await;
    let mut worker = scene.shop.program(WORKER);
    worker.args(["--webhook-url", &scene.receiver.url(), "--file-path", &file.to_string_lossy()]);
    let _worker = worker.spawn().expect("it starts");
    let (code, said) = scene.announce().await;
    assert!(code == 11 && said.contains("file: COMPLETED"), "{code}: {said}");
    assert_eq!(std::fs::read_to_string(file).expect("it is written").lines().count(), 40);
}

#[tokio::test]
async fn a_request_that_is_refused_later_is_a_conflict() {
    let scene = Scene::set(Reaction::accept).await;
    scene.shop.done(&["stock", "set", "42", "0"]).await;
    scene.shop.run(&["enqueue", "42", "--wait"]).await.fails(4, &["42", "no stock"]);
}

#[tokio::test]
async fn a_round_announced_right_after_the_channels_changed_is_for_the_new_ones() {
    let scene = Scene::set(Reaction::accept).await;
    let pool = restock::mysql::connect(&scene.shop.mysql_url.clone().into(), 1).await.expect("MySQL answers");
    // By the outbox, so that the flusher queues them with the settings that it has.
    let announce = async || {
        sqlx::query("INSERT INTO restock_request (product_id) VALUES (42)").execute(&pool).await.expect("a row");
        let open = "SELECT COUNT(*) FROM restock_request WHERE restock_round IS NULL";
        let accepted =
            async { while sqlx::query_scalar::<_, i64>(open).fetch_one(&pool).await.expect("a count") > 0 {} };
        timeout(DEADLINE, accepted).await.expect("it is accepted");
    };
    announce().await;
    scene.shop.done(&["settings", "set", "channels=file"]).await;
    announce().await;
    let of_file = "SELECT CAST(MAX(restock_round) AS SIGNED) FROM product_notification_history WHERE channel = 'file'";
    let round: Option<i64> = sqlx::query_scalar(of_file).fetch_one(&pool).await.expect("a round");
    assert_eq!(round, Some(2));
}

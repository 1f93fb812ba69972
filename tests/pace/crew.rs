//! Processes of a shop, and what they say.

use std::process::{Output, Stdio};

use restock::{ids::ProductId, redis::scripts::PaceUse};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    time::timeout,
};

use super::shop::{DEADLINE, Shop, lane};

impl Shop {
    /// A role whose last words are kept.
    pub(crate) fn witnessed(&self, program: &str) -> Child {
        self.role(program).stderr(Stdio::piped()).spawn().expect("the program starts")
    }

    /// Runs `restock-cli`, which must succeed.
    pub(crate) async fn cli(&self, args: &[&str]) -> Output {
        let output = self.role(env!("CARGO_BIN_EXE_restock-cli")).args(args).output().await.expect("it runs");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// A worker that waits for jobs already.
    pub(crate) async fn ready_worker(&self, options: &[&str]) -> Child {
        let program = env!("CARGO_BIN_EXE_restock-worker");
        let mut worker = self.role(program);
        worker.args(options).env("RESTOCK_LOG", "info").stderr(Stdio::piped());
        let mut worker = worker.spawn().expect("the worker starts");
        let mut said = BufReader::new(worker.stderr.take().expect("it is piped")).lines();
        loop {
            let line = timeout(DEADLINE, said.next_line()).await.expect("it is ready in time").expect("it can be read");
            if line.expect("it runs").contains("serving this channel") {
                break;
            }
        }
        // What it says from now on is read, so that it can go on saying it.
        tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        worker
    }

    /// What `restock-cli` prints as JSON.
    pub(crate) async fn cli_json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--output", "json"]).collect();
        serde_json::from_slice(&self.cli(&args).await.stdout).expect("it prints JSON")
    }

    /// Who holds the lane of a product.
    pub(crate) async fn owner(&self, product: i64) -> Option<String> {
        let partition = self.stores.partition_of(ProductId(product));
        let views = self.stores.redis.read_lanes(partition, &[lane(product)]).await.expect("Redis answers");
        views.into_iter().flatten().find_map(|view| view.owner)
    }

    /// The rate that Redis goes by.
    pub(crate) async fn rate_in_redis(&self) -> Option<i64> {
        let PaceUse { rate, .. } = self.stores.redis.pace_use("total").await.expect("Redis answers");
        rate
    }
}

//! What happens until each kind of state is there.
//!
//! | product | is left |
//! |---|---|
//! | 1 | in progress, with a worker that was killed: three told, its entry pending |
//! | 2 | canceled by hand: three told |
//! | 3 | completed: nine told, one refused; its idempotency key is known |
//! | 4 | queued, its job in the stream |
//! | 5 | handed back by a worker that was stopped: three told, and MySQL knows of none, they are in the log |
//! | 6 | a row in the outbox |
//! | 7 | cut off by a sell-out: three told |
//!
//! Ten people stand in line for each, users 101 to 110 for product 1, and so on. The fourth of 1, 2, 5 and 7 is answered 503.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use restock::{
    demo::receiver::{Reaction, Receiver},
    local::Servers,
};
use serde_json::Value;
use tokio::process::{Child, Command};

/// The database and the namespace.
pub(crate) const DATABASE: &str = "restock";
const DEADLINE: Duration = Duration::from_secs(30);
/// So patient that nobody but the story ends what it does.
const PATIENT: [&str; 6] = ["--claim-idle-ms", "600000", "--retry-max", "1000", "--retry-budget-ms", "600000"];

struct Stage<'a> {
    servers: &'a Servers,
    receiver: Receiver,
}

/// Plays it; no process is left then, and the servers run.
pub(crate) async fn play(servers: &Servers) -> anyhow::Result<()> {
    let receiver = Receiver::start(|delivery| match (delivery.key.lane.product.0, delivery.key.user.0 % 100) {
        (1 | 2 | 5 | 7, 4) => Reaction::status(503),
        (3, 3) => Reaction::status(410),
        _ => Reaction::accept(),
    })
    .await?;
    let stage = Stage { servers, receiver };
    stage.cli("migrate --partitions 2 --channels webhook --rate 500").await?;
    for product in 1..=7 {
        stage.cli(&format!("product add {product} --name product-{product} --sku S{product} --stock 10")).await?;
        let users: Vec<String> = (1..=10).map(|user| (product * 100 + user).to_string()).collect();
        stage.cli(&format!("subscribe {product} {}", users.join(" "))).await?;
    }
    let mut flusher = stage.program("restock-flusher").args(["--flush-interval-ms", "50"]).spawn()?;
    let mut worker = stage.worker()?;
    stage.cli("enqueue 3 --quantity 5 --key delivery-3 --wait").await?;
    stage.cli("enqueue 2").await?;
    stage.reaches(2, 3, "IN_PROGRESS").await?;
    stage.cli("cancel 2").await?;
    stage.reaches(2, 3, "CANCELED_BY_ADMIN").await?;
    stage.cli("enqueue 7").await?;
    stage.reaches(7, 3, "IN_PROGRESS").await?;
    stage.cli("stock set 7 0").await?;
    stage.reaches(7, 3, "CANCELED_BY_SOLD_OUT").await?;
    stage.cli("enqueue 1").await?;
    stage.reaches(1, 3, "IN_PROGRESS").await?;
    worker.kill().await?;

    stop(&mut flusher).await?;
    // Its lease is far from over: the next one leaves product 1 alone.
    let mut worker = stage.worker()?;
    stage.cli("enqueue 5").await?;
    stage.reaches(5, 3, "IN_PROGRESS").await?;
    stop(&mut worker).await?;
    stage.cli("enqueue 4").await?;
    let pool = restock::mysql::connect(&servers.mysql.url(DATABASE).into(), 1).await?;
    sqlx::raw_sql("INSERT INTO restock_request (product_id, quantity, idempotency_key) VALUES (6, 5, 'delivery-6')")
        .execute(&pool)
        .await?;
    Ok(())
}

async fn stop(process: &mut Child) -> anyhow::Result<()> {
    let pid = process.id().context("it runs")?;
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGTERM)?;
    ensure!(process.wait().await?.success(), "it did not stop in order");
    Ok(())
}

impl Stage<'_> {
    /// One of this release's programs, built beside this one.
    fn program(&self, name: &str) -> Command {
        let here = std::env::current_exe().ok();
        let folder = here.as_deref().and_then(|path| path.parent()?.parent()).map_or_else(PathBuf::new, PathBuf::from);
        let mut command = Command::new(folder.join(name));
        command
            .env("RESTOCK_REDIS_URL", self.servers.redis.url())
            .env("RESTOCK_MYSQL_URL", self.servers.mysql.url(DATABASE))
            .env("RESTOCK_NAMESPACE", DATABASE)
            .env("RESTOCK_WEBHOOK_URL", self.receiver.url())
            .env("RESTOCK_BY", "shop")
            .env("RESTOCK_LOG", "warn")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    fn worker(&self) -> anyhow::Result<Child> {
        Ok(self.program("restock-worker").args(PATIENT).args(["--window", "1"]).spawn()?)
    }

    async fn cli(&self, line: &str) -> anyhow::Result<Value> {
        let mut command = self.program("restock-cli");
        let ended = command.args(line.split(' ')).args(["--output", "json"]).output().await?;
        ensure!(ended.status.success(), "{line}: {}", String::from_utf8_lossy(&ended.stderr));
        Ok(serde_json::from_slice(&ended.stdout).unwrap_or_default())
    }

    /// Waits until the round of a product has told so many and stands so.
    async fn reaches(&self, product: i64, sent: u64, status: &str) -> anyhow::Result<()> {
        let reached = async {
            loop {
                let lanes = self.cli(&format!("status {product}")).await?;
                let lane = lanes.get(0).cloned().unwrap_or_default();
                if lane["status"] == status && lane["sent"] == sent {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(DEADLINE, reached).await.with_context(|| format!("product {product} is not {status}"))?
    }
}

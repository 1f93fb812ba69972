//! What the demo plays on: private servers, a receiver, and the real programs as processes.

use std::{path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, bail, ensure};
use secrecy::SecretString;
use tokio::process::{Child, Command};

use super::receiver::{Reaction, Receiver};
use crate::{config::Backends, local::Servers, producer::Producer, redis::Patience, stores::Stores};

/// Messages a second.
pub(super) const RATE: u32 = 500;
/// The most people that a killed worker can repeat, per lane.
pub(super) const WINDOW: usize = 64;
/// A silent worker's lanes are taken over after this time.
const CLAIM_IDLE_MS: u64 = 1200;
/// How long the receiver takes to answer.
const ANSWER_AFTER: Duration = Duration::from_millis(20);

pub(super) struct Stage {
    redis_url: String,
    mysql_url: String,
    pub(super) receiver: Receiver,
    programs: PathBuf,
    _servers: Servers,
}

impl Stage {
    pub(super) async fn set() -> anyhow::Result<Self> {
        let servers = Servers::start().await?;
        let answer = Reaction { delay: ANSWER_AFTER, ..Reaction::accept() };
        let receiver = Receiver::start(move |_| answer.clone()).await.context("the receiver does not start")?;
        let this = std::env::current_exe().context("where is this program?")?;
        let programs = this.parent().context("where is this program?")?.to_owned();
        let (redis_url, mysql_url) = (servers.redis.url(), servers.mysql.url("restock"));
        Ok(Self { redis_url, mysql_url, receiver, programs, _servers: servers })
    }

    fn command(&self, program: &str) -> anyhow::Result<Command> {
        let path = self.programs.join(program);
        ensure!(path.exists(), "{program} is not built; run `cargo build --release --bins`, or `make demo`");
        let mut command = Command::new(path);
        command
            .env("RESTOCK_REDIS_URL", &self.redis_url)
            .env("RESTOCK_MYSQL_URL", &self.mysql_url)
            .env("RESTOCK_NAMESPACE", "demo")
            .env("RESTOCK_WEBHOOK_URL", self.receiver.url())
            .env("RESTOCK_RATE", RATE.to_string())
            .env("RESTOCK_FLUSH_INTERVAL_MS", "100")
            .env("RESTOCK_LOG", "error")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        Ok(command)
    }

    /// Runs a command as a user would, and shows it.
    pub(super) async fn cli(&self, arguments: &[&str]) -> anyhow::Result<()> {
        println(&format!("\n$ restock-cli {}", arguments.join(" ")))?;
        let status = self.command("restock-cli")?.args(arguments).status().await?;
        if !status.success() {
            bail!("restock-cli {} failed", arguments.join(" "));
        }
        Ok(())
    }

    pub(super) fn flusher(&self) -> anyhow::Result<Child> {
        Ok(self.command("restock-flusher")?.spawn()?)
    }

    pub(super) fn worker(&self) -> anyhow::Result<Child> {
        let (window, idle) = (WINDOW.to_string(), CLAIM_IDLE_MS.to_string());
        let options = ["--window", &window, "--claim-idle-ms", &idle];
        Ok(self.command("restock-worker")?.args(options).spawn()?)
    }

    pub(super) async fn producer(&self) -> anyhow::Result<Producer> {
        let backends = Backends {
            redis_url: SecretString::from(self.redis_url.clone()),
            mysql_url: SecretString::from(self.mysql_url.clone()),
            namespace: "demo".parse()?,
        };
        Ok(Producer::new(Stores::open(&backends, Patience::Endless, 4).await?))
    }
}

/// Prints a line of the story.
pub(super) fn println(text: &str) -> anyhow::Result<()> {
    crate::cli::output::line(text)
}

//! What the demo plays on: private servers, a receiver, and the real programs as processes.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use secrecy::SecretString;
use tokio::io::AsyncWriteExt;

use super::receiver::{Reaction, Receiver};
use crate::{
    config::Backends,
    local::{Companion, Port, Servers},
    producer::Producer,
    redis::Patience,
    stores::Stores,
};

/// Messages a second.
pub(super) const RATE: u32 = 500;
/// The most people that a killed worker can repeat, per lane.
pub(super) const WINDOW: usize = 64;
/// The most lanes of one worker, so that all have something to do.
const LANES_EACH: &str = "4";
/// A silent worker's lanes are taken over after this time.
const CLAIM_IDLE_MS: u64 = 1200;
/// How long the receiver takes to answer.
const ANSWER_AFTER: Duration = Duration::from_millis(20);
const NAMESPACE: &str = "demo";

pub(super) struct Stage {
    pub(super) receiver: Receiver,
    backends: Backends,
    urls: [(&'static str, String); 3],
    programs: PathBuf,
    servers: Servers,
}

impl Stage {
    pub(super) async fn set() -> anyhow::Result<Self> {
        let servers = Servers::start().await?;
        let answer = Reaction { delay: ANSWER_AFTER, ..Reaction::accept() };
        let receiver = Receiver::start(move |_| answer).await.context("the receiver does not start")?;
        let this = std::env::current_exe().context("where is this program?")?;
        let programs = this.parent().context("where is this program?")?.to_owned();
        let (redis, mysql) = (servers.redis.url(), servers.mysql.url("restock"));
        let backends = Backends {
            redis_url: SecretString::from(redis.clone()),
            mysql_url: SecretString::from(mysql.clone()),
            namespace: NAMESPACE.parse()?,
        };
        let urls =
            [("RESTOCK_REDIS_URL", redis), ("RESTOCK_MYSQL_URL", mysql), ("RESTOCK_WEBHOOK_URL", receiver.url())];
        Ok(Self { receiver, backends, urls, programs, servers })
    }

    /// An error when a server is gone.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        self.servers.redis.check_running()?;
        Ok(self.servers.mysql.check_running()?)
    }

    fn command(&self, program: &str) -> anyhow::Result<Command> {
        let path = self.programs.join(program);
        ensure!(path.exists(), "{program} is not built; run `cargo build --release --bins`, or `make demo`");
        let mut command = Command::new(path);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RESTOCK_")) {
            command.env_remove(name);
        }
        command.envs(self.urls.clone()).env("RESTOCK_NAMESPACE", NAMESPACE).env("RESTOCK_LOG", "error");
        Ok(command)
    }

    /// Runs a command as a user would, with this text on stdin.
    pub(super) async fn cli(&self, arguments: &[&str], input: Vec<u8>) -> anyhow::Result<()> {
        let mut command = tokio::process::Command::from(self.command("restock-cli")?);
        command.args(arguments).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("restock-cli does not start")?;
        let mut stdin = child.stdin.take().context("restock-cli has no stdin")?;
        let write = async move { stdin.write_all(&input).await };
        let (written, ended) = tokio::join!(write, child.wait_with_output());
        let ended = ended?;
        if !ended.status.success() {
            let said = String::from_utf8_lossy(&ended.stderr);
            bail!("restock-cli {} ended with {}: {said}", arguments.join(" "), ended.status);
        }
        written.context("restock-cli did not read its input")
    }

    pub(super) fn flusher(&self) -> anyhow::Result<Companion> {
        let mut command = self.command("restock-flusher")?;
        command.env("RESTOCK_FLUSH_INTERVAL_MS", "100");
        Ok(Companion::start("the flusher", &command)?)
    }

    pub(super) fn worker(&self) -> anyhow::Result<Companion> {
        let mut command = self.command("restock-worker")?;
        let (window, idle) = (WINDOW.to_string(), CLAIM_IDLE_MS.to_string());
        command.args(["--lanes", LANES_EACH, "--window", &window, "--claim-idle-ms", &idle]);
        Ok(Companion::start("a worker", &command)?)
    }

    /// The HTTP API, which serves the page, with its port, and where that is.
    pub(super) fn page(&self) -> anyhow::Result<((Companion, Port), String)> {
        let port = Port::find()?;
        let address = format!("127.0.0.1:{port}");
        let mut command = self.command("restock-api")?;
        command.args(["--listen", &address]);
        Ok(((Companion::start("the HTTP API", &command)?, port), format!("http://{address}/")))
    }

    pub(super) async fn producer(&self) -> anyhow::Result<Producer> {
        Ok(Producer::new(Stores::open(&self.backends, Patience::Short, 4).await?))
    }
}

/// Prints a line of the story.
pub(super) fn say(text: &str) -> anyhow::Result<()> {
    crate::cli::output::line(text)
}

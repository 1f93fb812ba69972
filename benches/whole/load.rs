//! Asking a server as fast as it answers: by `wrk` where it is installed, else by the HTTP client that the channels use.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use futures_util::future::try_join_all;
use reqwest::{Client, Method};
use serde::Deserialize;
use tokio::process::Command;

/// Connections that ask at once, each for the next thing as soon as it has its answer.
pub(crate) const CONNECTIONS: usize = 64;
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/whole/load.lua");

/// What is asked for: `{}` in the path is a number from 1 to `count`, each in turn.
pub(crate) struct Ask<'a> {
    pub(crate) method: &'static str,
    pub(crate) path: &'a str,
    pub(crate) count: u64,
}

/// How a server answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    Wrk,
    Library,
}

/// What wrk prints at its end.
#[derive(Deserialize)]
struct Printed {
    requests: f64,
    us: f64,
    p50_us: f64,
    p99_us: f64,
    failed: u64,
}

impl Asker {
    pub(crate) async fn find() -> Self {
        let wrk = Command::new("wrk").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().await;
        if wrk.is_ok() { Self::Wrk } else { Self::Library }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Wrk => "wrk",
            Self::Library => "reqwest, in this process",
        }
    }

    /// Asks for so long; every answer must be a good one.
    pub(crate) async fn ask(
        self,
        server: &str,
        token: &str,
        ask: &Ask<'_>,
        time: Duration,
    ) -> anyhow::Result<Answered> {
        match self {
            Self::Wrk => by_wrk(server, token, ask, time).await,
            Self::Library => by_library(server, token, ask, time).await,
        }
    }
}

async fn by_wrk(server: &str, token: &str, ask: &Ask<'_>, time: Duration) -> anyhow::Result<Answered> {
    let output = Command::new("wrk")
        .args(["--threads", "1", "--connections", &CONNECTIONS.to_string()])
        .args(["--duration", &format!("{}s", time.as_secs().max(1)), "--script", SCRIPT, server, "--"])
        .args([ask.method, ask.path, &ask.count.to_string(), token])
        .stdin(Stdio::null())
        .output()
        .await
        .context("cannot run wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with('{'));
    let line = line.with_context(|| format!("wrk says: {text}{}", String::from_utf8_lossy(&output.stderr)))?;
    let Printed { requests, us, p50_us, p99_us, failed } = serde_json::from_str(line)?;
    ensure!(failed == 0, "{failed} of {requests} requests for {} failed", ask.path);
    Ok(Answered { per_second: requests * 1e6 / us, p50_ms: p50_us / 1e3, p99_ms: p99_us / 1e3 })
}

async fn by_library(server: &str, token: &str, ask: &Ask<'_>, time: Duration) -> anyhow::Result<Answered> {
    let (client, method) = (Client::new(), Method::from_bytes(ask.method.as_bytes())?);
    let start = Instant::now();
    let caller = |first: usize| {
        let (client, method) = (client.clone(), method.clone());
        async move {
            let (mut took, mut at) = (Vec::new(), first as u64);
            while start.elapsed() < time {
                let path = ask.path.replace("{}", &(at % ask.count + 1).to_string());
                let asked = Instant::now();
                let request = client.request(method.clone(), format!("{server}{path}")).bearer_auth(token);
                request.send().await?.error_for_status()?.bytes().await?;
                took.push(asked.elapsed().as_secs_f64() * 1e3);
                at += CONNECTIONS as u64;
            }
            anyhow::Ok(took)
        }
    };
    let mut took = try_join_all((0..CONNECTIONS).map(caller)).await?.concat();
    let per_second = took.len() as f64 / start.elapsed().as_secs_f64();
    took.sort_by(f64::total_cmp);
    let at = |percent: usize| took.get(took.len() * percent / 100).copied().unwrap_or(0.0);
    Ok(Answered { per_second, p50_ms: at(50), p99_ms: at(99) })
}

//! Whole runs on private servers: figure, the machine's own limit in the same run, ratio, peak memory.
//!
//! `make bench` runs all, `make bench ONLY=round,jobs` some. The roles run as processes, as in production; what is
//! measured inside this process calls the library as they do. Every run has servers of its own, so that the memory of
//! one says nothing about another.

mod enqueue;
mod growth;
mod jobs;
mod latency;
mod peers;
mod report;
mod round;
mod shop;
mod streams;
mod strict;
mod takeover;
mod usage;
mod webhook;
mod wire;

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::Parser;
use restock::config::install_tls_provider;

use report::Report;

/// In the order of their cost for a reader: the first says most.
const RUNS: [&str; 9] = ["round", "strict", "jobs", "latency", "enqueue", "webhook", "streams", "takeover", "growth"];
/// Only when it is named: it needs programs that are not ours.
const PEERS: &str = "peers";

/// Measures whole runs on private servers
#[derive(Debug, Parser)]
struct Options {
    /// Only these runs, separated by commas
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// People of the large round
    #[arg(long, env = "RESTOCK_BENCH_PEOPLE", default_value_t = 1_000_000)]
    people: u64,
    /// Products of the run with one person each
    #[arg(long, env = "RESTOCK_BENCH_JOBS", default_value_t = 50_000)]
    jobs: u64,
    /// Where the figures are written
    #[arg(long, env = "RESTOCK_BENCH_JSON", default_value = "target/bench.json")]
    json: PathBuf,
    /// Cargo passes it to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(options: &Options) -> anyhow::Result<()> {
    install_tls_provider();
    if let Some(unknown) = options.only.iter().find(|name| !RUNS.contains(&name.as_str()) && *name != PEERS) {
        bail!("there is no run `{unknown}`; there are {}", RUNS.join(", "));
    }
    let mut report = Report::default();
    for name in RUNS.into_iter().chain([PEERS]) {
        let is_wanted = match options.only.as_slice() {
            [] => name != PEERS,
            only => only.iter().any(|only| only == name),
        };
        if !is_wanted {
            continue;
        }
        report::say(&format!("{name} …"));
        match name {
            "round" => round::run(options, &mut report).await?,
            "strict" => strict::run(options, &mut report).await?,
            "jobs" => jobs::run(options, &mut report).await?,
            "latency" => latency::run(options, &mut report).await?,
            "enqueue" => enqueue::run(options, &mut report).await?,
            "webhook" => webhook::run(options, &mut report).await?,
            "streams" => streams::run(options, &mut report).await?,
            "takeover" => takeover::run(options, &mut report).await?,
            "growth" => growth::run(options, &mut report).await?,
            PEERS => peers::run(options, &mut report).await?,
            other => bail!("the run `{other}` is listed and not written"),
        }
    }
    report.finish(&options.json)
}

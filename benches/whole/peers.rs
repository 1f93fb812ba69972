//! Ours beside other job queues, on the same private Redis in one run. `make bench-peers` installs them first.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::Command,
    time::timeout,
};

use crate::{
    Options, jobs,
    report::{Report, Row, say},
    shop::Shop,
    usage::cpu_s,
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers");

/// None takes so long; one that has stopped is left out.
const DEADLINE: Duration = Duration::from_secs(300);

/// Name, jobs a second, Redis' time for each in µs.
type Bar = (&'static str, f64, f64);

pub(crate) async fn run(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let shop = Shop::open("null", 0).await?;
    let limit = jobs::script_calls(&shop, options.jobs).await?;
    let worked = jobs::work(&shop, options.jobs, jobs::LANES[0]).await?;
    let mut bars: Vec<Bar> = vec![("restock, recorded in MySQL", worked.jobs, worked.redis_us(options.jobs))];
    let mut apalis = Command::new(format!("{FOLDER}/apalis/target/release/restock-bench-apalis"));
    let mut bullmq = Command::new("node");
    bullmq.arg(format!("{FOLDER}/bullmq/bench.mjs"));
    for (name, command) in [("apalis-redis 1.0", &mut apalis), ("BullMQ 6.7", &mut bullmq)] {
        match timeout(DEADLINE, peer(&shop, command, options.jobs)).await {
            Ok(Ok((per_second, redis_us))) => bars.push((name, per_second, redis_us)),
            Ok(Err(error)) => say(&format!("  without {name}: {error:#}")),
            Err(_) => say(&format!("  without {name}: it does not end")),
        }
    }
    for (name, per_second, redis_us) in &bars {
        let row = Row::new("peers", *name, *per_second, "jobs/s");
        report.add(row.limit("script calls without state", limit.per_second));
        report.add(Row::new("peers", format!("{name}: Redis CPU of a job"), *redis_us, "µs"));
    }
    Ok(())
}

/// Lets another program queue its jobs, then work them; jobs a second, and Redis' time for each in µs.
async fn peer(shop: &Shop, command: &mut Command, count: u64) -> anyhow::Result<(f64, f64)> {
    let redis = shop.servers.redis.pid().context("Redis is no process")?;
    let mut child = command
        .env("COUNT", count.to_string())
        .env("REDIS_URL", shop.servers.redis.url())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("it is not installed")?;
    let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        anyhow::bail!("it has no pipes")
    };
    let mut lines = BufReader::new(output).lines();
    ensure!(lines.next_line().await?.as_deref() == Some("queued"), "it could not be run; see benches/peers");
    let (start, before) = (Instant::now(), cpu_s(redis));
    input.write_all(b"go\n").await?;
    ensure!(lines.next_line().await?.as_deref() == Some("done"), "it broke off");
    let (took, cpu) = (start.elapsed().as_secs_f64(), cpu_s(redis) - before);
    Ok((count as f64 / took, cpu * 1e6 / count as f64))
}

//! From `kill -9` of the worker that holds a lane to the next message, by another worker.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::ensure;

use crate::{
    Options,
    report::{Report, Row},
    shop::{Role, Shop},
};

/// Long enough at the rate of the run for everything to happen.
const PEOPLE: u64 = 100_000;
const RATE: u32 = 500;

pub(crate) async fn run(_: &Options, report: &mut Report) -> anyhow::Result<()> {
    for (claim_idle_ms, what) in [(15_000, "default claim idle"), (2_000, "claim idle of 2 s")] {
        let took = once(claim_idle_ms).await?.as_secs_f64();
        let row = Row::new("takeover", format!("kill -9 to next message, {what}"), took, "s");
        report.add(row.limit("claim idle", claim_idle_ms as f64 / 1e3));
    }
    Ok(())
}

async fn once(claim_idle_ms: u64) -> anyhow::Result<Duration> {
    let shop = Shop::open("file", RATE).await?;
    shop.products(1, 1, PEOPLE).await?;
    let folder = tempfile::tempdir()?;
    let worker = |name: &str| -> anyhow::Result<(Role, PathBuf)> {
        let path = folder.path().join(name);
        let file = path.display().to_string();
        let idle = claim_idle_ms.to_string();
        Ok((shop.worker(&["--file-path", &file, "--claim-idle-ms", &idle])?, path))
    };
    let _flusher = shop.flusher()?;
    let (mut first, its_file) = worker("first")?;
    shop.enqueue(1).await?;
    written(&its_file).await?;
    let (_second, other_file) = worker("second")?;
    // The file is made when the worker opens its channel, just before it reads its first entry.
    while !other_file.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    first.child.start_kill()?;
    let start = Instant::now();
    written(&other_file).await?;
    Ok(start.elapsed())
}

/// Waits until something is in a file.
async fn written(path: &Path) -> anyhow::Result<()> {
    let start = Instant::now();
    while !path.metadata().is_ok_and(|file| file.len() > 0) {
        ensure!(start.elapsed() < Duration::from_secs(60), "nobody was told for 60 s");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

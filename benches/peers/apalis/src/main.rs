//! apalis-redis on a queue of jobs that do nothing. `COUNT` jobs on `REDIS_URL`; says `queued`, waits for a line, works
//! them and says `done`.

use std::{
    env,
    io::{BufRead, stdin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use apalis::{layers::WorkerBuilderExt, prelude::*};
use apalis_redis::{Config, RedisStorage};
use tokio::sync::Notify;

#[tokio::main]
async fn main() -> Result<(), BoxDynError> {
    let count: u64 = env::var("COUNT")?.parse()?;
    let url = env::var("REDIS_URL")?;
    // What it offers for speed: large batches, no results, no events.
    let config = Config::default().queue("bench").batch_size(1_000).persist_results(false).emit_events(false);
    let mut storage = RedisStorage::new(apalis_redis::connect(url).await?).with_config(config);
    for first in (0..count).step_by(1_000) {
        storage.push_bulk((first..count.min(first + 1_000)).collect()).await?;
    }
    println!("queued");
    stdin().lock().read_line(&mut String::new())?;

    let (left, done) = (Arc::new(AtomicU64::new(count)), Arc::new(Notify::new()));
    let end = done.clone();
    let work = move |_: u64| {
        if left.fetch_sub(1, Ordering::Relaxed) == 1 {
            done.notify_one();
        }
        async { Ok::<(), BoxDynError>(()) }
    };
    let worker = WorkerBuilder::new("bench").backend(storage).concurrency(1_000).build(work);
    tokio::select! {
        ended = worker.run() => ended?,
        () = end.notified() => {}
    }
    println!("done");
    Ok(())
}

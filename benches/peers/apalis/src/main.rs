//! apalis-redis on a queue of jobs that do nothing. `COUNT` jobs on `REDIS_URL`; says `queued`, waits for a line, works
//! them, waits until Redis has every acknowledgement, and says `done`.

use std::{
    env,
    io::{BufRead, stdin},
    time::Duration,
};

use apalis::{layers::WorkerBuilderExt, prelude::*};
use apalis_redis::{Config, ConnectionManager, RedisStorage};

/// Jobs of one call, and under way at once.
const BATCH: u64 = 1_000;
/// How often Redis is asked how far it is.
const PAUSE: Duration = Duration::from_millis(2);

#[tokio::main]
async fn main() -> Result<(), BoxDynError> {
    let count: u64 = env::var("COUNT")?.parse()?;
    let url = env::var("REDIS_URL")?;
    // What it offers for speed: large batches, no events, no lock beside the fetch (for each job that searches the list of
    // those that wait). Results stay on: without them no job is acknowledged, and all are run again by the next worker.
    let config = Config::default().queue("bench").batch_size(BATCH as usize).emit_events(false).lock_tasks(false);
    let (due, ready, done) = (config.scheduled_jobs_set(), config.active_jobs_list(), config.done_jobs_set());
    let mut connection = apalis_redis::connect(url).await?;
    let mut storage = RedisStorage::new(connection.clone()).with_config(config);
    for first in (0..count).step_by(BATCH as usize) {
        storage.push_bulk((first..count.min(first + BATCH)).collect()).await?;
        promote(&mut connection, &due, &ready).await?;
    }
    println!("queued");
    stdin().lock().read_line(&mut String::new())?;

    let work = async |_: u64| Ok::<(), BoxDynError>(());
    let worker = WorkerBuilder::new("bench").backend(storage).concurrency(BATCH as usize).build(work);
    tokio::select! {
        ended = worker.run() => {
            ended?;
            return Err("the worker ended before its jobs".into());
        }
        acknowledged = acknowledgements(connection, &done, count) => acknowledged?,
    }
    println!("done");
    Ok(())
}

/// Makes what was pushed ready, as its worker would at its first fetch: that moves all of it by one command, which breaks
/// the worker when it is more than some 8,000 jobs (`too many results to unpack`).
async fn promote(connection: &mut ConnectionManager, due: &str, ready: &str) -> Result<(), BoxDynError> {
    let ids: Vec<String> = redis::cmd("ZRANGE").arg(due).arg(0).arg(-1).query_async(connection).await?;
    redis::pipe().atomic().rpush(ready, ids).del(due).exec_async(connection).await?;
    Ok(())
}

/// Waits until so many jobs are in the set of those done.
async fn acknowledgements(mut connection: ConnectionManager, done: &str, count: u64) -> Result<(), BoxDynError> {
    while redis::cmd("SCARD").arg(done).query_async::<u64>(&mut connection).await? < count {
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

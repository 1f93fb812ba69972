//! What is deleted of the log, and what is not.

use restock::redis::{entry_id::EntryId, scripts::ReadFrom};

use super::fixture::{Bench, P0};

/// A log of five entries, and what was read of it.
struct Log {
    bench: Bench,
    run_id: String,
    read: Vec<EntryId>,
}

impl Log {
    async fn of_five() -> Self {
        let bench = Bench::open().await;
        bench.redis.name_log(P0, "this").await.expect("it answers");
        let run_id = bench.redis.run_id_of(P0).await.expect("it answers");
        let mut log = Self { bench, run_id, read: Vec::new() };
        log.add(5).await;
        log.read = log.ids().await;
        log
    }

    async fn add(&self, entries: usize) {
        for _ in 0..entries {
            self.bench.redis.append_log(P0, [("k".to_owned(), "x".to_owned())]).await.expect("it answers");
        }
    }

    async fn ids(&self) -> Vec<EntryId> {
        let (_, entries) = self.bench.redis.read_log(P0, "0-0", 100).await.expect("it answers");
        entries.iter().map(|entry| entry.id.parse().expect("an id")).collect()
    }

    async fn delete(&self, incarnation: &str, run_id: &str, entries: &[EntryId]) {
        let read = ReadFrom { incarnation, run_id };
        self.bench.redis.delete_log(P0, read, entries).await.expect("it answers");
    }
}

/// What stands between the first and the last goes with them only where the log is deleted as a whole: so the two ways
/// are told apart.
#[tokio::test]
async fn what_was_read_is_deleted_as_a_whole_and_the_stream_knows_how_far() {
    let log = Log::of_five().await;
    let first_three = [log.read[0], log.read[2]];
    log.delete("this", &log.run_id, &first_three).await;
    assert_eq!(log.ids().await, &log.read[3..]);
    let head = log.bench.redis.log_head(P0).await.expect("it answers");
    assert_eq!((head.entries, head.max_deleted_id), (2, log.read[2].to_string()));
    // Twice does no harm, and all may go.
    log.delete("this", &log.run_id, &first_three).await;
    assert_eq!(log.ids().await, &log.read[3..]);
    log.delete("this", &log.run_id, &log.read[3..]).await;
    assert_eq!(log.ids().await, []);
    let head = log.bench.redis.log_head(P0).await.expect("it answers");
    assert_eq!(head.max_deleted_id, log.read[4].to_string());
    log.delete("this", &log.run_id, &[]).await;
}

#[tokio::test]
async fn of_a_log_that_is_not_the_one_that_was_read_only_what_was_read_is_deleted() {
    // Another life of the log, another time of the server, and a log that begins with something else.
    for (incarnation, run_id, first) in [("another", None, 0), ("this", Some("another"), 0), ("this", None, 1)] {
        let log = Log::of_five().await;
        let run_id = run_id.unwrap_or(&log.run_id);
        log.delete(incarnation, run_id, &[log.read[first], log.read[3]]).await;
        let left = (0..5).filter(|at| *at != first && *at != 3).map(|at| log.read[at]).collect::<Vec<_>>();
        assert_eq!(log.ids().await, left, "{incarnation} {run_id} {first}");
    }
}

//! What the scripts log, what is deleted of the log, and what is not.

use restock::{
    ids::Round,
    redis::{
        entry_id::EntryId,
        log_entry::LogEntry,
        scripts::{Advance, Advanced, Enqueued, Finish, ReadFrom, Reclaimed, Released, Renew, Settlement, Silence},
    },
    round::Status,
};

use super::fixture::{Bench, P0, advance, advance_of, lane, told, up_to};

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

/// The states that were logged, in order, each as its round and its status.
async fn rounds_logged(bench: &Bench) -> Vec<String> {
    let (_, entries) = bench.redis.read_log(P0, "0-0", 100).await.expect("it answers");
    let rounds = entries.iter().filter(|entry| entry.fields.get("k") == Some("round"));
    let said = |entry: &LogEntry| {
        let state: Vec<&str> = entry.fields.get("d").unwrap_or_default().split('|').collect();
        format!("{} {}", state[2], state[3])
    };
    rounds.map(said).collect()
}

#[tokio::test]
async fn a_round_that_ends_by_the_first_call_of_its_hold_is_logged_once_after_it_was_queued() {
    let (bench, mut begun) = Bench::held().await;
    assert_eq!(rounds_logged(&bench).await, ["1 QUEUED"]);
    assert!(bench.view().await.is_fresh_hold);
    let end = Advance { exhausted: true, ..advance_of(up_to(told([100]))) };
    assert_eq!(begun.hold.advance(&end).call().await.expect("it answers"), Advanced::Completed);
    assert_eq!(rounds_logged(&bench).await, ["1 QUEUED", "1 COMPLETED"]);
}

#[tokio::test]
async fn what_a_hold_began_is_logged_by_its_first_call_whatever_it_says() {
    let (bench, mut begun) = Bench::held().await;
    let renew = Renew { claim_idle_ms: 60_000, consumer: "tester", tries: 0, tried_us: None };
    assert!(begun.hold.renew(&renew).call().await.expect("it answers"));
    assert!(begun.hold.renew(&renew).call().await.expect("it answers"));
    assert_eq!(rounds_logged(&bench).await, ["1 QUEUED", "1 IN_PROGRESS"], "once");
    assert!(!bench.view().await.is_fresh_hold);

    let (bench, mut begun) = Bench::held().await;
    assert_eq!(advance(&mut begun, Settlement::default()).await, Advanced::Go);
    assert_eq!(rounds_logged(&bench).await, ["1 QUEUED", "1 IN_PROGRESS"]);
    assert_eq!(advance(&mut begun, Settlement::default()).await, Advanced::Go);
    assert_eq!(rounds_logged(&bench).await.len(), 2, "once");
}

#[tokio::test]
async fn a_round_that_waits_is_logged_after_the_one_that_has_begun() {
    let (bench, _begun) = Bench::held().await;
    assert_eq!(bench.enqueue(0).await, Enqueued::Queued(Round(2)));
    assert_eq!(rounds_logged(&bench).await, ["1 QUEUED", "1 IN_PROGRESS", "2 QUEUED"]);
}

#[tokio::test]
async fn a_round_whose_holder_is_cut_off_before_it_called_is_logged_before_one_that_waits_behind_it() {
    let (bench, _begun) = Bench::held().await;
    let taken = bench.redis.reclaim(P0, &lane(), Silence::AtLeast(0), false).await.expect("it answers");
    assert!(matches!(taken, Reclaimed::Taken(_)), "{taken:?}");
    assert_eq!(bench.enqueue(0).await, Enqueued::Queued(Round(2)));
    bench.take(60_000).await;
    assert_eq!(rounds_logged(&bench).await, ["1 QUEUED", "1 IN_PROGRESS", "2 QUEUED"]);
}

#[tokio::test]
async fn a_hold_that_is_handed_back_at_once_is_logged_and_the_next_one_says_nothing_new() {
    let (bench, mut begun) = Bench::held().await;
    assert_eq!(advance(&mut begun, up_to(told([1]))).await, Advanced::Go);
    let cursor = begun.hold.cursor();
    let nothing_more = Settlement { cursor, ..Settlement::default() };
    assert_eq!(begun.hold.release(&nothing_more).await.expect("it answers"), Released::Queued);
    let mut begun = bench.take(60_000).await;
    assert_eq!(advance(&mut begun, nothing_more).await, Advanced::Go);
    assert_eq!(rounds_logged(&bench).await, ["1 QUEUED", "1 IN_PROGRESS", "1 IN_PROGRESS"]);
}

/// Either states the round anew, so that what was begun needs no entry of its own.
#[tokio::test]
async fn a_hold_whose_first_call_gives_the_lane_away_says_once_what_became_of_it() {
    let (bench, mut begun) = Bench::held().await;
    assert_eq!(begun.hold.release(&Settlement::default()).await.expect("it answers"), Released::Queued);
    assert!(!bench.view().await.is_fresh_hold);
    assert_eq!(rounds_logged(&bench).await, ["1 QUEUED", "1 IN_PROGRESS"]);

    let (bench, mut begun) = Bench::held().await;
    let (settlement, reason) = (Settlement::default(), "refused".to_owned());
    let end = Finish { settlement, status: Status::CanceledByError, reason, blocked_user: None };
    assert!(begun.hold.finish(&end).await.expect("it answers"));
    assert!(!bench.view().await.is_fresh_hold);
    assert_eq!(rounds_logged(&bench).await, ["1 QUEUED", "1 CANCELED_BY_ERROR"]);
}

/// What a hold began has the version that its begin gave it, whoever logs it: no later state has the same.
#[tokio::test]
async fn what_is_logged_late_has_a_version_of_its_own() {
    let (bench, mut begun) = Bench::held().await;
    let at_begin = bench.view().await.stamp;
    assert_eq!(bench.enqueue(0).await, Enqueued::Queued(Round(2)));
    let end = Advance { exhausted: true, ..advance_of(up_to(told([100]))) };
    assert_eq!(begun.hold.advance(&end).call().await.expect("it answers"), Advanced::Completed);
    let (_, entries) = bench.redis.read_log(P0, "0-0", 100).await.expect("it answers");
    let states = entries.iter().filter_map(|entry| entry.fields.get("d")).map(|state| state.split('|').collect());
    let versions: Vec<(String, String)> = states.map(|state: Vec<&str>| (state[2].into(), state[10].into())).collect();
    let began = ("1".to_owned(), at_begin.version.to_string());
    assert_eq!(versions.iter().filter(|(_, version)| *version == began.1).collect::<Vec<_>>(), [&began]);
}

#[tokio::test]
async fn whoever_takes_over_from_a_holder_that_never_called_logs_what_that_one_began() {
    let bench = Bench::with_stock(10).await;
    assert_eq!(bench.enqueue(0).await, Enqueued::Queued(Round(1)));
    let entry = bench.entry().await;
    bench.take_by(&entry, 1).await;
    assert_eq!(rounds_logged(&bench).await, ["1 QUEUED"]);
    bench.take_by(&entry, 60_000).await;
    assert_eq!(rounds_logged(&bench).await, ["1 QUEUED", "1 IN_PROGRESS"]);
}

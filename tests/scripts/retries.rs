//! Telling those again who FAILED: what begin, advance, finish and release do with a cursor of its own.

use restock::{
    ids::{Round, UserId},
    outcome::Outcome,
    redis::scripts::{
        Advance, Advanced, Before, BeginReply, Canceled, Enqueued, Finish, Released, Resumed, Settlement, StockChange,
        Stop,
    },
    round::{Counts, Status},
};

use super::fixture::{Bench, P0, PRODUCT, advance, advance_of, lane, place, told, up_to};

/// A round of which persons 1 and 3 FAILED, ended in this way: completed, or cut off after person 4.
async fn ended(completed: bool) -> Bench {
    let (bench, mut begun) = Bench::held().await;
    let mut people = told(1..=4);
    (people[0].outcome, people[2].outcome) = (Outcome::Failed, Outcome::Failed);
    if completed {
        let end = Advance { exhausted: true, ..advance_of(up_to(people)) };
        assert_eq!(begun.hold.advance(&end).call().await.expect("Redis answers"), Advanced::Completed);
    } else {
        let (status, reason) = (Status::CanceledByError, "webhook answered 404".to_owned());
        let finish = Finish { settlement: up_to(people), status, reason, blocked_user: None };
        assert!(begun.hold.finish(&finish).await.expect("Redis answers"));
    }
    bench
}

async fn resume(bench: &Bench, before: Before) -> Resumed {
    bench.redis.resume(P0, &lane(), before).await.expect("Redis answers")
}

async fn retried(completed: bool) -> Bench {
    let bench = ended(completed).await;
    assert_eq!(resume(&bench, Before::RetryFailed).await, Resumed::Queued(Round(1)));
    bench
}

#[tokio::test]
async fn a_completed_round_keeps_its_cursor_while_its_failed_are_told_again() {
    let bench = retried(true).await;
    assert_eq!((bench.view().await.status, bench.entries().await), (Status::Queued, 1));
    let mut begun = bench.take(60_000).await;
    assert_eq!((begun.retry_of, begun.cursor), (Some(Status::Completed), None));
    assert_eq!(advance(&mut begun, up_to(told([1]))).await, Advanced::Go);
    let view = bench.view().await;
    assert_eq!(
        (view.cursor, view.last_user, view.retry_of),
        (Some(place(4)), Some(UserId(4)), Some(Status::Completed))
    );
    assert_eq!(view.counts, Counts { sent: 3, failed: 1, ..Counts::default() });

    let mut again = told([3]);
    again[0].outcome = Outcome::Failed;
    let end = Advance { exhausted: true, ..advance_of(up_to(again)) };
    assert_eq!(begun.hold.advance(&end).call().await.expect("Redis answers"), Advanced::Completed);
    let view = bench.view().await;
    assert_eq!((view.status, view.retry_of, view.reason, bench.entries().await), (Status::Completed, None, None, 0));
    assert_eq!(view.counts, Counts { sent: 3, failed: 1, ..Counts::default() });
}

#[tokio::test]
async fn whoever_takes_over_goes_on_behind_those_who_were_told_again() {
    let bench = retried(true).await;
    let mut begun = bench.take(60_000).await;
    let released = begun.hold.release(&up_to(told([1]))).await.expect("Redis answers");
    assert_eq!(released, Released::Queued);
    let next = bench.take(60_000).await;
    assert_eq!((next.cursor, next.ahead.len()), (Some(place(1)), 0));
    assert_eq!(next.stamp, bench.view().await.stamp, "the failed are read once MySQL has this state");
}

#[tokio::test]
async fn who_waits_for_mysql_waits_for_a_version_that_the_round_itself_has() {
    let bench = retried(true).await;
    let mut begun = bench.take(60_000).await;
    assert_eq!(begun.hold.release(&Settlement::default()).await.expect("Redis answers"), Released::Queued);
    assert_eq!(bench.enqueue(1).await, Enqueued::Queued(Round(2)));
    let next = bench.take(60_000).await;
    let log = bench.raw(&format!("XREVRANGE {} + - COUNT 1", bench.redis.keys().log(P0))).await;
    let words: Vec<&str> = log.lines().filter(|line| !line.starts_with(['$', '*'])).collect();
    let field = |name| words.iter().skip_while(|word| **word != name).nth(1).map(ToString::to_string);
    let state = field("d").expect("a round");
    let said = |at| state.split('|').nth(at).map(ToOwned::to_owned);
    assert_eq!((said(2), said(10)), (Some("1".to_owned()), Some(next.stamp.version.to_string())));
}

#[tokio::test]
async fn a_completed_round_stays_completed_when_its_retry_is_cut_short() {
    let bench = retried(true).await;
    let mut begun = bench.take(60_000).await;
    bench.redis.change_stock(P0, PRODUCT, StockChange::Set(0)).await.expect("Redis answers");
    assert_eq!(advance(&mut begun, up_to(told([1]))).await, Advanced::Stopped(Stop::SoldOut));
    let view = bench.view().await;
    assert_eq!((view.status, view.retry_of, view.cursor), (Status::Completed, None, Some(place(4))));
    assert_eq!(view.reason.as_deref(), Some("telling the failed again ended: stock is gone"));
    assert_eq!(bench.enqueue(5).await, Enqueued::Queued(Round(2)));
    let next = bench.take(60_000).await;
    assert_eq!((next.round, next.from, next.retry_of), (Round(2), None, None), "after COMPLETED from the first");
}

#[tokio::test]
async fn a_round_that_was_cut_off_goes_on_once_its_failed_are_told_again() {
    let bench = retried(false).await;
    let mut begun = bench.take(60_000).await;
    assert_eq!(begun.retry_of, Some(Status::CanceledByError));
    let end = Advance { exhausted: true, ..advance_of(up_to(told([1, 3]))) };
    let end = begun.hold.advance(&end);
    assert_eq!(end.call().await.expect("Redis answers"), Advanced::Retried);
    assert_eq!(end.call().await.expect("Redis answers"), Advanced::Retried, "also when it is sent twice");
    assert_eq!(bench.entries().await, 1);
    let next = bench.take(60_000).await;
    assert_eq!((next.round, next.cursor, next.retry_of), (Round(1), Some(place(4)), None));
    assert_eq!(bench.view().await.counts, Counts { sent: 4, ..Counts::default() });
}

#[tokio::test]
async fn a_retry_that_fails_names_nobody_to_skip_and_can_be_asked_for_again() {
    let bench = retried(false).await;
    let mut begun = bench.take(60_000).await;
    let finish = Finish {
        settlement: Settlement::default(),
        status: Status::CanceledByError,
        reason: "no answer".to_owned(),
        blocked_user: Some(UserId(1)),
    };
    assert!(begun.hold.finish(&finish).await.expect("Redis answers"));
    let view = bench.view().await;
    assert_eq!((view.status, view.blocked_user, view.retry_of), (Status::CanceledByError, None, None));
    assert_eq!(resume(&bench, Before::RetryFailed).await, Resumed::Queued(Round(1)));
    assert_eq!(
        bench.redis.cancel(P0, &lane(), "canceled by ann").await.expect("Redis answers"),
        Canceled::Ended(Round(1))
    );
    assert_eq!(resume(&bench, Before::Nothing).await, Resumed::Queued(Round(1)));
    assert_eq!(bench.take(60_000).await.cursor, Some(place(4)));
}

#[tokio::test]
async fn only_a_round_that_ended_with_somebody_failed_is_told_again() {
    let (bench, mut begun) = Bench::held().await;
    let open = Resumed::NotCanceled(Some(Status::InProgress));
    assert_eq!(resume(&bench, Before::RetryFailed).await, open);
    let end = Advance { exhausted: true, ..advance_of(up_to(told(1..=3))) };
    begun.hold.advance(&end).call().await.expect("Redis answers");
    assert_eq!(resume(&bench, Before::RetryFailed).await, Resumed::NobodyFailed(Round(1)));
    let bench = retried(true).await;
    let entry = bench.entry().await;
    assert_eq!(
        resume(&bench, Before::RetryFailed).await,
        Resumed::NotCanceled(Some(Status::Queued)),
        "it is under way"
    );
    assert!(matches!(bench.begin_when_free(&entry, 60_000).await, BeginReply::Go(_)));
}

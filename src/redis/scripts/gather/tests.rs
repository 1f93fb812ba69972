//! When calls gather, and when makers come and end.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, mpsc};

use super::*;
use crate::{
    ids::{Channel, LaneId, Namespace, Partition, ProductId},
    redis::keys::Keys,
};

fn kind() -> Kind {
    Kind { script: "begin", tag: String::new(), common: Arguments::default() }
}

fn call(bytes: usize) -> Waiting {
    let channel: Channel = "push".parse().expect("a channel");
    let lane = LaneId { product: ProductId(1), channel };
    let keys = Keys::new("restock".parse::<Namespace>().expect("a namespace")).of_lane(Partition(0), &lane);
    Waiting { keys: Arc::new(keys), own: "o".repeat(bytes), answer: oneshot::channel().0 }
}

/// Adds as many calls; says which of them asked for a maker.
fn push(gathering: &Gathering, calls: usize, bytes: usize) -> Vec<usize> {
    (0..calls).filter(|_| gathering.push(&kind(), call(bytes))).collect()
}

fn take(gathering: &Gathering) -> usize {
    gathering.take(&kind()).len()
}

#[test]
fn a_second_maker_comes_with_a_full_call_and_a_third_never() {
    let gathering = Gathering::default();
    assert_eq!(push(&gathering, 3 * CALLS_MAX, 1), [0, CALLS_MAX - 1]);
}

#[test]
fn few_that_are_large_are_a_full_call_too() {
    let gathering = Gathering::default();
    let fit = 5;
    let wanted = push(&gathering, 2 * fit + 1, BYTES_MAX / fit);
    assert_eq!(wanted, [0, fit]);
    assert_eq!([take(&gathering), take(&gathering), take(&gathering)], [fit, fit, 0], "the second maker ends");
    assert_eq!([take(&gathering), take(&gathering)], [1, 0]);
    push(&gathering, 1, 2 * BYTES_MAX);
    assert_eq!(take(&gathering), 1, "one that is too large by itself");
}

#[test]
fn what_is_no_full_call_waits_for_the_other_maker() {
    let gathering = Gathering::default();
    push(&gathering, 2 * CALLS_MAX + 1, 1);
    assert_eq!([take(&gathering), take(&gathering)], [CALLS_MAX, CALLS_MAX]);
    assert_eq!(take(&gathering), 0, "one maker ends");
    assert!(push(&gathering, 1, 1).is_empty(), "the other one takes it");
    assert_eq!([take(&gathering), take(&gathering)], [2, 0], "and then ends too");
    assert_eq!(push(&gathering, 2, 1), [0], "the queue begins again");
}

#[tokio::test]
async fn two_full_calls_are_under_way_at_once_and_never_three() {
    let (gathering, gate) = (Gathering::default(), Arc::new(Semaphore::new(0)));
    let (begun, mut begins) = mpsc::unbounded_channel();
    let under_way = Arc::new(AtomicUsize::new(0));
    let add = |calls: usize| {
        for _ in 0..calls {
            let (gate, begun, under_way) = (gate.clone(), begun.clone(), under_way.clone());
            let make = move |calls: Vec<Waiting>| {
                let (gate, begun, under_way) = (gate.clone(), begun.clone(), under_way.clone());
                async move {
                    let at_once = under_way.fetch_add(1, Ordering::SeqCst) + 1;
                    begun.send((calls.len(), at_once)).expect("the test listens");
                    gate.acquire().await.expect("it is not closed").forget();
                    under_way.fetch_sub(1, Ordering::SeqCst);
                }
            };
            if gathering.push(&kind(), call(1)) {
                tokio::spawn(gathering.clone().make_all(kind(), make));
            }
        }
    };
    add(1);
    assert_eq!(begins.recv().await, Some((1, 1)));
    add(CALLS_MAX - 1);
    assert_eq!(gathering.queues()[0].makers, 1, "they are not a full call");
    add(1);
    assert_eq!(begins.recv().await, Some((CALLS_MAX, 2)));
    add(CALLS_MAX + 5);
    assert_eq!(gathering.queues()[0].makers, 2, "two are under way");
    gate.add_permits(1);
    assert_eq!(begins.recv().await, Some((CALLS_MAX, 2)));
    gate.add_permits(2);
    assert_eq!(begins.recv().await, Some((5, 1)), "what is left goes when none is under way");
}

#[tokio::test]
async fn a_maker_that_panics_leaves_nobody_waiting() {
    let gathering = Gathering::default();
    let (answer, answered) = oneshot::channel();
    assert!(gathering.push(&kind(), call(1)));
    let (queues, late) = (gathering.clone(), Mutex::new(Some(Waiting { answer, ..call(1) })));
    let make = move |_| {
        let late = late.lock().expect("nobody else has it").take().expect("one call is made");
        assert!(!queues.push(&kind(), late), "it gathers for the maker that there is");
        async { panic!("as the client might") }
    };
    tokio::spawn(gathering.clone().make_all(kind(), make)).await.expect_err("it panics");
    let told = tokio::time::timeout(std::time::Duration::from_secs(5), answered).await.expect("nobody waits for ever");
    assert!(told.is_err(), "who gathered meanwhile is told that the call was given up");
    assert_eq!(push(&gathering, 1, 1), [0], "the next one gets a maker");
}

//! Deals permits to those who wait, in turn.

use tokio::sync::oneshot;

use super::{Permit, Permits};

/// A lane that waits for permits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) wanted: usize,
    pub(super) reply: oneshot::Sender<Permits>,
    pub(super) granted: Vec<Permit>,
}

/// Gives one permit to each in turn until none is left, and answers all who got any. Who got none stays, and comes
/// first next time.
pub(super) fn deal(waiting: &mut Vec<Waiting>, permits: Vec<Permit>) {
    let mut turn = 0;
    for permit in permits {
        let Some(next) = (turn..turn + waiting.len()).find(|n| {
            let request = &waiting[n % waiting.len()];
            request.granted.len() < request.wanted
        }) else {
            break;
        };
        let at = next % waiting.len();
        waiting[at].granted.push(permit);
        turn = at + 1;
    }
    let (served, unserved): (Vec<_>, Vec<_>) = waiting.drain(..).partition(|request| !request.granted.is_empty());
    *waiting = unserved;
    for request in served {
        // The permits of an asker that has gone away go back by themselves.
        let _ = request.reply.send(Permits::Timed(request.granted));
    }
}

/// Tells everybody that there is no pace.
pub(super) fn lift(waiting: &mut Vec<Waiting>) {
    for request in waiting.drain(..) {
        let _ = request.reply.send(Permits::Unlimited);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::BootTime,
        pace::permit::{Span, Unused},
    };

    fn ask(wanted: usize) -> (Waiting, oneshot::Receiver<Permits>) {
        let (reply, answer) = oneshot::channel();
        (Waiting { wanted, reply, granted: Vec::new() }, answer)
    }

    fn permits(count: i64) -> Vec<Permit> {
        let unused = std::sync::Arc::new(Unused::default());
        let span = |n| Span { earliest: BootTime(n), latest: BootTime(n) };
        (0..count).map(|n| Permit::new(span(n), n, unused.clone())).collect()
    }

    fn moments(answer: &mut oneshot::Receiver<Permits>) -> Vec<i64> {
        match answer.try_recv() {
            Ok(Permits::Timed(permits)) => permits.iter().map(|permit| permit.span().earliest.0).collect(),
            _ => vec![],
        }
    }

    #[test]
    fn permits_go_round_and_nobody_gets_more_than_wanted() {
        let ((large, mut to_large), (small, mut to_small)) = (ask(100), ask(1));
        let mut waiting = vec![large, small];
        deal(&mut waiting, permits(5));
        assert_eq!((moments(&mut to_large), moments(&mut to_small)), (vec![0, 2, 3, 4], vec![1]));
        assert!(waiting.is_empty());
    }

    #[test]
    fn who_got_nothing_stays_in_line() {
        let ((first, mut to_first), (second, mut to_second)) = (ask(3), ask(3));
        let mut waiting = vec![first, second];
        deal(&mut waiting, permits(1));
        assert_eq!((moments(&mut to_first), waiting.len()), (vec![0], 1));
        deal(&mut waiting, permits(1));
        assert_eq!(moments(&mut to_second), vec![0]);
    }
}

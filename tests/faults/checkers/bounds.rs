//! Bounds: Redis holds what is being worked and nothing else; the log is never longer than it may be; a worker's memory
//! does not grow.

use restock::sync::BACKLOG_MAX;

use crate::end::End;

/// A worker of a debug build, with a handful of lanes.
const WORKER_KIB_MAX: u64 = 150 * 1024;

pub(super) fn check(end: &End) -> Vec<String> {
    let mut wrong = Vec::new();
    for (stream, entries, pending) in &end.redis.streams {
        if (*entries, *pending) != (0, 0) {
            wrong.push(format!("{stream}: {entries} entries, of which {pending} pending, when nothing is to be done"));
        }
    }
    if end.log_max > BACKLOG_MAX {
        wrong.push(format!("a log had {} entries", end.log_max));
    }
    if end.worker_peak_kib > WORKER_KIB_MAX {
        wrong.push(format!("a worker had {} KiB of memory", end.worker_peak_kib));
    }
    wrong
}

#[test]
fn what_is_left_over_is_a_breach() {
    let mut end = super::sample::sound();
    end.redis.streams[0].1 = 1;
    (end.log_max, end.worker_peak_kib) = (BACKLOG_MAX + 1, WORKER_KIB_MAX + 1);
    assert_eq!(check(&end).len(), 3);
}

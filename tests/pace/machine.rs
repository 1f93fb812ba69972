//! How long the machine itself stood still: what no program on it can be blamed for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// A pause of this length is no stall: moments are valid for as long.
const PAUSE_MAX: Duration = Duration::from_millis(20);

/// What was seen.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stalls {
    /// The sum of all pauses, each beyond [`PAUSE_MAX`].
    pub(crate) total: Duration,
    /// The longest of them.
    pub(crate) longest: Duration,
}

/// A thread of the test that wants to run every millisecond, and writes down when it could not.
pub(crate) struct StallMeter {
    done: Arc<AtomicBool>,
    thread: JoinHandle<Stalls>,
}

impl StallMeter {
    pub(crate) fn start() -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let until = done.clone();
        let thread = thread::spawn(move || {
            let (mut stalls, mut last) = (Stalls::default(), Instant::now());
            while !until.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
                let pause = last.elapsed().saturating_sub(PAUSE_MAX);
                stalls.total += pause;
                stalls.longest = stalls.longest.max(pause);
                last = Instant::now();
            }
            stalls
        });
        Self { done, thread }
    }

    pub(crate) fn stop(self) -> Stalls {
        self.done.store(true, Ordering::Relaxed);
        self.thread.join().expect("it only sleeps")
    }
}

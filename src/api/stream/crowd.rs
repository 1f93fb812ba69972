//! Those who follow the same: a bounded queue for each. Frames are shared, not copied; who does not keep up is dropped, and
//! holds up nobody.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::body::Bytes;
use tokio::sync::mpsc::{self, error::TrySendError};

/// Frames that may wait for one stream. With those in the connection's buffers it can be so far behind.
const FRAMES_MAX: usize = 64;

/// Some queues.
#[derive(Debug, Default)]
pub(super) struct Crowd(Vec<Line>);

#[derive(Debug)]
struct Line {
    number: u64,
    frames: mpsc::Sender<Bytes>,
    is_cut: Arc<AtomicBool>,
}

/// The end of a queue.
#[derive(Debug)]
pub(super) struct Queue {
    frames: mpsc::Receiver<Bytes>,
    is_cut: Arc<AtomicBool>,
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sent {
    /// Queues that took it.
    pub(super) taken: u64,
    /// Queues that were full, and are no more.
    pub(super) dropped: u64,
}

impl Crowd {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One more, under a number of its own.
    pub(super) fn join(&mut self, number: u64) -> Queue {
        let (sender, frames) = mpsc::channel(FRAMES_MAX);
        let is_cut = Arc::new(AtomicBool::new(false));
        self.0.push(Line { number, frames: sender, is_cut: is_cut.clone() });
        Queue { frames, is_cut }
    }

    pub(super) fn leave(&mut self, number: u64) {
        if let Some(at) = self.0.iter().position(|line| line.number == number) {
            self.0.swap_remove(at);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn send(&mut self, frame: &Bytes) -> Sent {
        self.send_to(frame, |_| true)
    }

    /// To those whose number is wanted.
    pub(super) fn send_to(&mut self, frame: &Bytes, is_wanted: impl Fn(u64) -> bool) -> Sent {
        let mut sent = Sent::default();
        self.0.retain(|line| {
            if !is_wanted(line.number) {
                return true;
            }
            match line.frames.try_send(frame.clone()) {
                Ok(()) => sent.taken += 1,
                Err(TrySendError::Full(_)) => {
                    line.is_cut.store(true, Ordering::Release);
                    sent.dropped += 1;
                    return false;
                }
                Err(TrySendError::Closed(_)) => return false,
            }
            true
        });
        sent
    }
}

impl Queue {
    /// The next frame; `None` when there will be none any more. Who was dropped gets nothing of what still waits: it comes back
    /// and goes on behind what it has.
    pub(super) fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.is_cut.load(Ordering::Acquire) {
            return Poll::Ready(None);
        }
        self.frames.poll_recv(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn next(queue: &mut Queue) -> Option<Bytes> {
        poll_fn(|context| queue.poll_frame(context)).await
    }

    #[tokio::test]
    async fn who_does_not_keep_up_is_dropped_and_the_others_go_on() {
        let mut crowd = Crowd::default();
        let (mut slow, mut quick) = (crowd.join(1), crowd.join(2));
        let frame = Bytes::from_static(b"x");
        for _ in 0..FRAMES_MAX {
            assert_eq!(crowd.send(&frame), Sent { taken: 2, dropped: 0 });
            assert_eq!(next(&mut quick).await, Some(frame.clone()));
        }
        assert_eq!(crowd.send(&frame), Sent { taken: 1, dropped: 1 });
        assert_eq!(next(&mut quick).await, Some(frame.clone()));
        assert_eq!(next(&mut slow).await, None);
        assert_eq!(crowd.len(), 1);
        crowd.clear();
        assert_eq!(next(&mut quick).await, None);
    }
}

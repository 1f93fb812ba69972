//! A channel that reaches nobody: it measures everything but the provider.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;

use super::{Answer, Message, Sender};

/// More than any worker has in flight: 64 lanes with a window of 256.
const CONNECTIONS_MAX: usize = 64 * 256;

/// Answers [`Answer::Delivered`] at once, without an allocation.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullSender;

/// Has no size, so that boxing it allocates nothing.
struct Delivered;

const _: () = assert!(size_of::<Delivered>() == 0);

impl Future for Delivered {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Answer> {
        Poll::Ready(Answer::Delivered)
    }
}

impl Sender for NullSender {
    fn send(&self, _: Message) -> BoxFuture<'_, Answer> {
        Box::pin(Delivered)
    }

    fn connections_max(&self) -> usize {
        CONNECTIONS_MAX
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::channel::body::tests::example;

    #[test]
    fn nobody_is_told_at_once() {
        assert_eq!(NullSender.send(example()).now_or_never(), Some(Answer::Delivered));
    }
}

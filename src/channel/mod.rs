//! The ways to reach people, behind one small trait.
//!
//! A channel makes one attempt for one person and says what the provider answered. When to try, whether to try
//! again and what it means for the round is decided by the worker alone.
//!
//! | channel | module | what an attempt does |
//! |---|---|---|
//! | `webhook` | [`webhook`] | one signed POST; `reply` says what the answer means |
//! | `inbox` | [`mod@inbox`] | one row in MySQL, from where the HTTP API streams it |
//! | `file` | [`mod@file`] | one line of JSON, appended |
//! | `null` | [`null`] | nothing |

mod body;
pub mod config;
pub mod file;
pub mod inbox;
pub mod null;
mod reply;
pub mod signature;
pub mod webhook;

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

pub use self::config::{ChannelError, ChannelOptions};
use crate::{
    ids::{Channel, ProductId, Round, Sku, UserId},
    trace::Traceparent,
};

/// What a message says of the product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductCard {
    /// Its number.
    pub id: ProductId,
    /// Its code, if it has one.
    pub sku: Option<Sku>,
    /// Its name.
    pub name: String,
}

/// One attempt for one person.
#[derive(Debug, Clone)]
pub struct Message {
    /// What is back in stock.
    pub product: Arc<ProductCard>,
    /// In which round.
    pub round: Round,
    /// By which channel.
    pub channel: Channel,
    /// To whom.
    pub user: UserId,
    /// When this attempt started, in µs since the epoch.
    pub started_us: i64,
    /// The trace that this attempt belongs to, for the provider; none where nobody follows it.
    pub traceparent: Option<Traceparent>,
}

impl Message {
    /// The same on every attempt for this person in this round, so that the receiver can recognise a repeat:
    /// `<product>-<round>-<channel>-<user>`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}-{}-{}-{}", self.product.id, self.round, self.channel, self.user)
    }
}

/// What the provider answered to one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It took the message.
    Delivered,
    /// This person has no address here, or opted out; nothing was sent.
    Skipped,
    /// It refuses this person for good.
    Refused(String),
    /// Try again, not before `after` if the provider said so. `answered` is false when the request was abandoned
    /// without an answer, so that the person may have been told all the same.
    Retry {
        /// What went wrong, for people; no address and no message text.
        reason: String,
        /// The provider's Retry-After.
        after: Option<Duration>,
        /// Whether the provider answered at all.
        answered: bool,
    },
    /// It says that we are wrong (credentials, address of the endpoint): no person is to blame.
    Misconfigured(String),
}

/// A way to reach people.
pub trait Sender: Send + Sync + 'static {
    /// Makes one attempt. Gives up by itself after the channel's send timeout, and never panics.
    ///
    /// Calls count in the order in which they are made, not in which their futures are polled. A future that is
    /// dropped abandons its attempt: the person may have been told all the same.
    fn send(&self, message: Message) -> BoxFuture<'_, Answer>;

    /// The most attempts it makes at once, in this process.
    fn connections_max(&self) -> usize;
}

//! One request to the receiver, and what to do with it.

use std::{str::FromStr, time::Duration};

use hyper::{HeaderMap, body::Bytes};

use crate::ids::{Channel, LaneId, ParseError, Round, UserId};

/// The parts of a `webhook-id`: `<product>-<round>-<channel>-<user>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey {
    /// Product and channel.
    pub lane: LaneId,
    /// Which restocking.
    pub round: Round,
    /// Who is told.
    pub user: UserId,
}

impl FromStr for DeliveryKey {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let parts: Vec<&str> = text.split('-').collect();
        let &[product, round, channel, user] = parts.as_slice() else {
            return Err(ParseError::new("webhook-id", text, "it is <product>-<round>-<channel>-<user>"));
        };
        let channel: Channel = channel.parse()?;
        let lane = LaneId { product: product.parse()?, channel };
        // `restock-cli test-send` belongs to no round.
        let round = if round == "0" { Round(0) } else { round.parse()? };
        Ok(Self { lane, round, user: user.parse()? })
    }
}

/// One request that was received.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Whom it tells of what.
    pub key: DeliveryKey,
    /// When its head had arrived, in µs since the epoch, by the system's clock.
    pub arrived_us: i64,
    /// `restock-started-at`: when the sender started it, in µs since the epoch.
    pub started_us: i64,
    /// `webhook-timestamp`, as sent.
    pub timestamp: Option<Box<str>>,
    /// `webhook-signature`, as sent.
    pub signature: Option<Box<str>>,
    /// The body, to check the signature with. Empty in the record unless the receiver keeps bodies.
    pub body: Bytes,
    /// The status that was chosen as the answer; none when the request was left hanging.
    pub status: Option<u16>,
}

impl Delivery {
    /// Nothing when a header that every delivery has is missing or malformed.
    pub(super) fn parse(headers: &HeaderMap, arrived_us: i64, body: Bytes) -> Option<Self> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        Some(Self {
            key: text("webhook-id")?.parse().ok()?,
            arrived_us,
            started_us: text("restock-started-at")?.parse().ok()?,
            timestamp: text("webhook-timestamp").map(Into::into),
            signature: text("webhook-signature").map(Into::into),
            body,
            status: None,
        })
    }

    /// Whether the answer was 2xx: the person is told.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// How to answer a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaction {
    /// The HTTP status, 100 to 999.
    pub status: u16,
    /// How long to wait before answering.
    pub delay: Duration,
    /// The `retry-after` header; in whole seconds, rounded up.
    pub retry_after: Option<Duration>,
    /// Never answer: the request ends when the sender gives up.
    pub hang: bool,
}

impl Reaction {
    /// This status, at once.
    #[must_use]
    pub const fn status(status: u16) -> Self {
        Self { status, delay: Duration::ZERO, retry_after: None, hang: false }
    }

    /// 200, at once.
    #[must_use]
    pub const fn accept() -> Self {
        Self::status(200)
    }

    /// No answer at all.
    #[must_use]
    pub const fn hang() -> Self {
        Self { hang: true, ..Self::accept() }
    }

    /// The same after a while.
    #[must_use]
    pub const fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

//! What is done to the lanes of a product together: resume, cancel, pause; and what came of it, in words.

use std::fmt;

use super::{Continued, Producer, ProducerError, Resume, WouldCancel, WouldResume};
use crate::{
    ids::{Channel, ProductId, Round},
    redis::scripts::Paused,
};

/// What came of canceling a lane's open round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancellation {
    /// It has ended.
    Ended(Round),
    /// Its worker ends it when what is in flight is settled.
    Told(Round),
}

/// A lane whose open round was canceled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanceledLane {
    /// On which channel.
    pub channel: Channel,
    /// What came of it.
    pub done: Cancellation,
}

impl CanceledLane {
    /// Which round was open.
    #[must_use]
    pub fn round(&self) -> Round {
        match self.done {
            Cancellation::Ended(round) | Cancellation::Told(round) => round,
        }
    }
}

impl fmt::Display for CanceledLane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channel = &self.channel;
        match self.done {
            Cancellation::Ended(round) => write!(f, "round {round} on {channel} has ended"),
            Cancellation::Told(round) => {
                write!(f, "round {round} on {channel} ends when what is in flight is settled")
            }
        }
    }
}

/// What came of pausing a product, or letting it go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PausedProduct {
    /// Whether it stands still now.
    pub paused: bool,
    /// Whether it was otherwise before.
    pub changed: bool,
    /// Its open lanes, if anything was changed.
    pub open: u32,
    /// Of those that stand still: how many do so only when what is in flight is settled.
    pub held: u32,
}

impl fmt::Display for PausedProduct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { paused, changed, open, held } = self;
        match (changed, paused, open, held) {
            (false, true, ..) => f.write_str("is paused already"),
            (false, false, ..) => f.write_str("is not paused"),
            (true, true, 0, _) => f.write_str("is paused; no round is open"),
            (true, true, open, 0) => write!(f, "is paused; open lanes that stand still: {open}"),
            (true, true, open, held) => {
                write!(
                    f,
                    "is paused; open lanes: {open}, of which {held} stand still when what is in flight is settled"
                )
            }
            (true, false, open, _) => write!(f, "goes on; open lanes: {open}"),
        }
    }
}

/// Lanes with which something was done, and why it could not be done with another.
struct Lanes<T> {
    done: Vec<T>,
    refusal: Option<ProducerError>,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { done: Vec::new(), refusal: None }
    }
}

impl<T> Lanes<T> {
    /// A lane that is not in the right state holds nobody back; a store that fails does.
    fn add(&mut self, tried: Result<T, ProducerError>) -> Result<(), ProducerError> {
        match tried {
            Ok(lane) => self.done.push(lane),
            Err(
                error @ (ProducerError::NothingToResume { .. }
                | ProducerError::NobodyBlocks { .. }
                | ProducerError::NobodyFailed { .. }
                | ProducerError::NothingToCancel { .. }),
            ) => {
                self.refusal.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The first refusal, when it could be done with none.
    fn end(self) -> Result<Vec<T>, ProducerError> {
        match self.refusal {
            Some(refusal) if self.done.is_empty() => Err(refusal),
            _ => Ok(self.done),
        }
    }
}

impl Producer {
    /// The enabled channels, or the one of them that was named.
    ///
    /// # Errors
    /// [`ProducerError::NotEnabled`].
    pub fn lanes(&self, channel: Option<&Channel>) -> Result<Vec<Channel>, ProducerError> {
        let enabled = self.channels();
        match channel {
            None => Ok(enabled.to_vec()),
            Some(channel) if enabled.contains(channel) => Ok(vec![channel.clone()]),
            Some(channel) => Err(ProducerError::NotEnabled { channel: channel.clone(), enabled: enabled.to_vec() }),
        }
    }

    /// Resumes the lanes of a product, or the one on this channel; those that cannot be resumed are passed over, as long as
    /// one can.
    ///
    /// # Errors
    /// [`ProducerError::NotEnabled`], and those of [`Producer::resume`]: the first lane's, when none can be resumed.
    pub async fn resume_all(
        &self,
        product: ProductId,
        channel: Option<&Channel>,
        how: Resume,
    ) -> Result<Vec<Continued>, ProducerError> {
        let mut lanes = Lanes::default();
        for channel in &self.lanes(channel)? {
            lanes.add(self.resume(product, channel, how).await)?;
        }
        lanes.end()
    }

    /// What [`Producer::resume_all`] would do.
    ///
    /// # Errors
    /// As [`Producer::resume_all`].
    pub async fn would_resume_all(
        &self,
        product: ProductId,
        channel: Option<&Channel>,
        how: Resume,
    ) -> Result<Vec<WouldResume>, ProducerError> {
        let mut lanes = Lanes::default();
        for channel in &self.lanes(channel)? {
            lanes.add(self.would_resume(product, channel, how).await)?;
        }
        lanes.end()
    }

    /// Ends what is open on these channels, at least one round. `reason` is for people and not empty.
    ///
    /// # Errors
    /// [`ProducerError::NothingToCancel`] when none has an open round, and those of [`Producer::cancel`].
    pub async fn cancel_all(
        &self,
        product: ProductId,
        channels: &[Channel],
        reason: &str,
    ) -> Result<Vec<CanceledLane>, ProducerError> {
        let mut lanes = Lanes::default();
        for channel in channels {
            let canceled = self.cancel(product, channel, reason).await;
            lanes.add(canceled.map(|done| CanceledLane { channel: channel.clone(), done }))?;
        }
        lanes.end().map_err(|_| ProducerError::nothing_to_cancel(product, channels))
    }

    /// What [`Producer::cancel_all`] would do.
    ///
    /// # Errors
    /// As [`Producer::cancel_all`].
    pub async fn would_cancel_all(
        &self,
        product: ProductId,
        channels: &[Channel],
    ) -> Result<Vec<WouldCancel>, ProducerError> {
        let mut lanes = Lanes::default();
        for channel in channels {
            lanes.add(self.would_cancel(product, channel).await)?;
        }
        lanes.end().map_err(|_| ProducerError::nothing_to_cancel(product, channels))
    }

    /// Lets all lanes of a product stand still, or go on.
    ///
    /// # Errors
    /// [`ProducerError::NotFound`], and those of the stores.
    pub async fn pause(&self, product: ProductId, paused: bool) -> Result<PausedProduct, ProducerError> {
        let partition = self.stores().partition_of(product);
        for _ in 0..super::TRIES_MAX {
            match self.stores().redis.pause(partition, product, &self.channels(), paused).await? {
                Paused::Done { open, held } => return Ok(PausedProduct { paused, changed: true, open, held }),
                Paused::Same => return Ok(PausedProduct { paused, changed: false, open: 0, held: 0 }),
                Paused::Unchecked => self.check(product).await?,
            }
        }
        Err(ProducerError::Unsettled(product))
    }
}

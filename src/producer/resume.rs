//! Going on with a round that was cut off.

use std::fmt;

use super::{Producer, ProducerError, TRIES_MAX};
use crate::{
    ids::{Channel, LaneId, Place, ProductId, Round, UserId},
    mysql::line,
    outcome::Outcome,
    redis::{
        lane::LaneView,
        scripts::{Before, Resumed, Skip},
    },
};

/// How the reason of a round starts that a person's unanswered attempts ended: they may have been told.
const NO_ANSWER: &str = "no answer";

/// What goes before a round goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Resume {
    /// Nothing: it goes on after the last person settled.
    #[default]
    Plain,
    /// The person who could not be told is given up.
    Skip,
    /// Those who FAILED in it are told again, also when it was completed.
    RetryFailed,
}

/// A lane that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continued {
    /// On which channel.
    pub channel: Channel,
    /// With which round.
    pub round: Round,
    /// Who was given up.
    pub skipped: Option<UserId>,
}

impl fmt::Display for Continued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {} on {} goes on", self.round, self.channel)?;
        self.skipped.map_or(Ok(()), |user| write!(f, ", without user {user}"))
    }
}

impl Resume {
    /// As it stands in the list of actions.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Self::Plain => "resume",
            Self::Skip => "resume --skip",
            Self::RetryFailed => "resume --retry-failed",
        }
    }
}

impl Producer {
    /// Goes on with the round of a lane that was cut off, after the last person settled; with [`Resume::Skip`] after
    /// the person who could not be told. One who meanwhile left that place in line does not block it and is not given
    /// up. With [`Resume::RetryFailed`] those who FAILED in the lane's last round are told again first.
    ///
    /// # Errors
    /// [`ProducerError::NothingToResume`], [`ProducerError::NobodyBlocks`], [`ProducerError::NobodyFailed`],
    /// [`ProducerError::NoStock`],
    /// [`ProducerError::NotFound`], and those of the stores.
    pub async fn resume(&self, product: ProductId, channel: &Channel, how: Resume) -> Result<Continued, ProducerError> {
        let (partition, lane) = (self.stores.partition_of(product), LaneId { product, channel: channel.clone() });
        for _ in 0..TRIES_MAX {
            let person = if how == Resume::Skip { self.blocking(&lane).await? } else { Blocking::Gone };
            let given_up = match &person {
                // Checked and still absent: the lane never had a round.
                Blocking::Unchecked if self.stores.redis.is_checked(partition, product).await? => {
                    return Err(ProducerError::NothingToResume { product, channel: channel.clone(), status: None });
                }
                Blocking::Unchecked => {
                    self.check(product).await?;
                    continue;
                }
                Blocking::Person(person) => Some(person),
                Blocking::Gone => None,
            };
            let before = match (how, given_up) {
                (Resume::RetryFailed, _) => Before::RetryFailed,
                (_, Some(skip)) => Before::Skip(*skip),
                (_, None) => Before::Nothing,
            };
            match self.stores.redis.resume(partition, &lane, before).await? {
                Resumed::Queued(round) => {
                    return Ok(Continued { channel: channel.clone(), round, skipped: given_up.map(|skip| skip.user) });
                }
                Resumed::NotCanceled(status) => {
                    return Err(ProducerError::NothingToResume { product, channel: channel.clone(), status });
                }
                Resumed::NobodyFailed(round) => {
                    return Err(ProducerError::NobodyFailed { product, channel: channel.clone(), round });
                }
                Resumed::NoStock(stock) => return Err(ProducerError::NoStock { product, stock }),
                Resumed::Moved(..) => {}
                Resumed::Unchecked => self.check(product).await?,
            }
        }
        Err(ProducerError::Unsettled(product))
    }

    /// Whom [`Producer::resume`] would give up.
    pub(super) async fn would_skip(&self, lane: &LaneId) -> Result<Option<UserId>, ProducerError> {
        Ok(match self.blocking(lane).await? {
            Blocking::Person(person) => Some(person.user),
            Blocking::Unchecked | Blocking::Gone => None,
        })
    }

    /// Who blocks a lane that was cut off.
    async fn blocking(&self, lane: &LaneId) -> Result<Blocking, ProducerError> {
        let (product, channel) = (lane.product, lane.channel.clone());
        let lanes = self.stores.redis.read_lanes(self.stores.partition_of(product), std::slice::from_ref(lane)).await?;
        let Some(view) = lanes.into_iter().flatten().next() else { return Ok(Blocking::Unchecked) };
        if !view.status.is_canceled() {
            return Err(ProducerError::NothingToResume { product, channel, status: Some(view.status) });
        }
        let user = view.blocked_user.ok_or(ProducerError::NobodyBlocks { product, channel })?;
        let Some(place) = self.place_where_blocked(product, user, &view).await? else { return Ok(Blocking::Gone) };
        let outcome = match &view.reason {
            Some(reason) if reason.starts_with(NO_ANSWER) => Outcome::Unknown,
            _ => Outcome::Failed,
        };
        Ok(Blocking::Person(Skip { cursor: view.cursor, place, user, outcome }))
    }

    /// The place of a person, if it still is the next one. Who subscribed again stands at the end: giving them up there
    /// would pass over everybody before them.
    async fn place_where_blocked(
        &self,
        product: ProductId,
        user: UserId,
        view: &LaneView,
    ) -> Result<Option<Place>, ProducerError> {
        let person = line::place_of(&self.stores.mysql, product, user).await?;
        let Some(place) = person.filter(|person| person.active).map(|person| person.place) else { return Ok(None) };
        let cursor = view.cursor.unwrap_or(Place(0));
        if place <= cursor || view.upto.is_some_and(|upto| place > upto) {
            return Ok(None);
        }
        let before = Place(place.0 - 1);
        let is_behind = line::anyone_after(&self.stores.mysql, product, cursor, before, &view.ahead).await?;
        Ok((!is_behind).then_some(place))
    }
}

/// Who blocks a lane.
enum Blocking {
    /// Redis has no such lane.
    Unchecked,
    /// They left their place in line; nobody has to be given up.
    Gone,
    Person(Skip),
}

//! Where lanes stand after something was done to them by hand, for programs.

use serde::Serialize;

use crate::{
    ids::{Channel, LaneId, Partition, Place, ProductId, Round, UserId},
    redis::{Redis, RedisError},
    round::Status,
};

/// A product, and what was done to its lanes.
#[derive(Debug, Serialize)]
pub(super) struct Done {
    pub(super) product: ProductId,
    pub(super) lanes: Vec<Standing>,
}

/// A lane after it.
#[derive(Debug, Serialize)]
pub(super) struct Standing {
    pub(super) channel: Channel,
    pub(super) round: Round,
    /// Null when the lane has gone on to another round meanwhile.
    pub(super) status: Option<Status>,
    pub(super) cursor: Option<Place>,
    pub(super) last_user: Option<UserId>,
    /// What was done, in the words that are kept.
    pub(super) done: String,
}

/// Looks where each of these rounds stands now.
///
/// # Errors
/// Those of Redis.
pub(super) async fn look(
    redis: &Redis,
    partition: Partition,
    product: ProductId,
    done: Vec<(Channel, Round, String)>,
) -> Result<Done, RedisError> {
    let lanes: Vec<LaneId> = done.iter().map(|(channel, ..)| LaneId { product, channel: channel.clone() }).collect();
    let views = redis.read_lanes(partition, &lanes).await?;
    let stand = |((channel, round, done), view): ((Channel, Round, String), Option<_>)| {
        let view: Option<crate::redis::lane::LaneView> = view;
        let is_waiting = view.as_ref().is_some_and(|view| view.waiting == Some(round));
        let view = view.filter(|view| view.round == round);
        let status = view.as_ref().map(|view| view.status).or(is_waiting.then_some(Status::Queued));
        let (cursor, last_user) = view.map_or((None, None), |view| (view.cursor, view.last_user));
        Standing { channel, round, status, cursor, last_user, done }
    };
    Ok(Done { product, lanes: done.into_iter().zip(views).map(stand).collect() })
}

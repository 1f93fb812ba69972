//! Whether a round names the person at its cursor as its last one.

use super::{
    Finding, Kind, Verifier,
    rounds::{at, subject},
};
use crate::{
    ids::{Place, UserId},
    round::RoundState,
};

/// What is wrong with the last user of a round, when this user's outcome lies at its cursor. A round that names nobody is
/// that of somebody who was erased, or has passed nobody; an outcome of nobody may be anybody's.
pub(super) fn differs(state: &RoundState, there: Option<UserId>) -> Option<Finding> {
    let named = state.last_user?;
    let there = there.filter(|user| *user != UserId::NOBODY && *user != named)?;
    let detail = format!("it names user {named}, and user {there} is at its cursor, {}", at(state.cursor));
    Some(Finding::new(Kind::LastUserDiffers, subject(state), detail))
}

impl Verifier {
    /// Whose outcome of a round lies at a place; none when it was pruned.
    pub(super) async fn user_at(&self, state: &RoundState, place: Place) -> sqlx::Result<Option<UserId>> {
        let user: Option<i64> = sqlx::query_scalar(
            "SELECT user_id FROM product_user_notification_history
             WHERE product_id = ? AND restock_round = ? AND channel = ? AND place = ?",
        )
        .bind(state.lane.product.0)
        .bind(state.round.0)
        .bind(state.lane.channel.as_str())
        .bind(place.datetime())
        .fetch_optional(&self.stores.mysql)
        .await?;
        Ok(user.map(UserId))
    }
}

//! What became of people in the rounds.

use chrono::NaiveDateTime;
use sqlx::{FromRow, MySqlExecutor, Row, mysql::MySqlRow};

use crate::{
    ids::{Channel, Place, ProductId, Round, UserId},
    mysql::{decode_error, line::Person},
    outcome::Outcome,
};

/// After every place that there can be: the end of the year 9999.
const LAST_PLACE: Place = Place(253_402_300_799_000_000);

/// What became of one person in a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRow {
    /// By which channel.
    pub channel: Channel,
    /// Their place in line then.
    pub place: Place,
    /// Who.
    pub user: UserId,
    /// What became of them.
    pub outcome: Outcome,
    /// When the deciding attempt started, UTC.
    pub sent_at: NaiveDateTime,
    /// Attempts made for them, since the round was last resumed.
    pub tries: u32,
}

impl<'r> FromRow<'r, MySqlRow> for PersonRow {
    fn from_row(row: &'r MySqlRow) -> sqlx::Result<Self> {
        let text = |column: &str| row.try_get::<String, _>(column);
        Ok(Self {
            channel: text("channel")?.parse().map_err(decode_error)?,
            place: Place::from_datetime(row.try_get("place")?),
            user: UserId(row.try_get("user_id")?),
            outcome: text("outcome")?.parse().map_err(decode_error)?,
            sent_at: row.try_get("sent_at")?,
            tries: u32::from(row.try_get::<u16, _>("tries")?),
        })
    }
}

/// Which people of a round.
#[derive(Debug, Clone)]
pub struct PeopleOf {
    /// Of which product.
    pub product: ProductId,
    /// Of which round.
    pub round: Round,
    /// By which channel.
    pub channel: Channel,
}

/// The first `limit` people in (`after`, `upto`] who FAILED in a round and still stand in line at that place.
///
/// # Errors
/// Those of MySQL.
pub async fn failed(
    db: impl MySqlExecutor<'_>,
    of: &PeopleOf,
    after: Option<Place>,
    upto: Place,
    limit: u32,
) -> sqlx::Result<Vec<Person>> {
    let rows: Vec<(NaiveDateTime, i64)> = sqlx::query_as(
        "SELECT h.place, h.user_id FROM product_user_notification_history h
         JOIN product_user_notification n
           ON n.product_id = h.product_id AND n.created_at = h.place AND n.user_id = h.user_id AND n.is_active = 1
         WHERE h.product_id = ? AND h.restock_round = ? AND h.channel = ? AND h.place > ? AND h.place <= ?
           AND h.outcome = 'FAILED' ORDER BY h.place LIMIT ?",
    )
    .bind(of.product.0)
    .bind(of.round.0)
    .bind(of.channel.as_str())
    .bind(after.unwrap_or(Place(0)).datetime())
    .bind(upto.datetime())
    .bind(limit)
    .fetch_all(db)
    .await?;
    let person = |(at, user)| Person { place: Place::from_datetime(at), user: UserId(user), active: true };
    Ok(rows.into_iter().map(person).collect())
}

/// The first `limit` people settled in a round after the place `after`, in line order.
///
/// # Errors
/// Those of MySQL.
pub async fn people(
    db: impl MySqlExecutor<'_>,
    of: &PeopleOf,
    after: Option<Place>,
    limit: u32,
) -> sqlx::Result<Vec<PersonRow>> {
    sqlx::query_as(
        "SELECT channel, place, user_id, outcome, sent_at, tries FROM product_user_notification_history
         WHERE product_id = ? AND restock_round = ? AND channel = ? AND place > ? ORDER BY place LIMIT ?",
    )
    .bind(of.product.0)
    .bind(of.round.0)
    .bind(of.channel.as_str())
    .bind(after.unwrap_or(Place(0)).datetime())
    .bind(limit)
    .fetch_all(db)
    .await
}

/// What became of one user in a round, who stood at `place` then; without a place everybody in the round is read.
///
/// # Errors
/// Those of MySQL.
pub async fn person(
    db: impl MySqlExecutor<'_>,
    of: &PeopleOf,
    user: UserId,
    place: Option<Place>,
) -> sqlx::Result<Option<PersonRow>> {
    let place = place.map(Place::datetime);
    sqlx::query_as(
        "SELECT channel, place, user_id, outcome, sent_at, tries FROM product_user_notification_history
         WHERE product_id = ? AND restock_round = ? AND channel = ? AND place BETWEEN ? AND ? AND user_id = ?
         ORDER BY place DESC LIMIT 1",
    )
    .bind(of.product.0)
    .bind(of.round.0)
    .bind(of.channel.as_str())
    .bind(place.unwrap_or(Place(0).datetime()))
    .bind(place.unwrap_or(LAST_PLACE.datetime()))
    .bind(user.0)
    .fetch_optional(db)
    .await
}

/// The round and channel of a product that have outcomes and come next after this one.
///
/// # Errors
/// Those of MySQL.
pub async fn next_with_outcomes(
    db: impl MySqlExecutor<'_>,
    product: ProductId,
    after: Option<(Round, Channel)>,
) -> sqlx::Result<Option<(Round, Channel)>> {
    let (round, channel) = after.map_or((0, String::new()), |(round, channel)| (round.0, channel.to_string()));
    // Two ranges of the key, because a comparison of two columns at once reads it from the start.
    let next: Option<(u32, String)> = sqlx::query_as(
        "(SELECT restock_round, channel FROM product_user_notification_history
          WHERE product_id = ? AND restock_round = ? AND channel > ? ORDER BY restock_round, channel LIMIT 1)
         UNION ALL
         (SELECT restock_round, channel FROM product_user_notification_history
          WHERE product_id = ? AND restock_round > ? ORDER BY restock_round, channel LIMIT 1)
         ORDER BY restock_round, channel LIMIT 1",
    )
    .bind(product.0)
    .bind(round)
    .bind(channel)
    .bind(product.0)
    .bind(round)
    .fetch_optional(db)
    .await?;
    let Some((round, channel)) = next else { return Ok(None) };
    Ok(Some((Round(round), channel.parse().map_err(decode_error)?)))
}

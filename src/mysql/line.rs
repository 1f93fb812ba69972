//! Reading the line of a product: who stands where.
//!
//! Invariant: `created_at` is unique within its product and the table is clustered by it, so a page at any depth reads
//! page + 1 index entries. `FORCE INDEX` keeps stale statistics from choosing the index by user instead.

use chrono::NaiveDateTime;
use sqlx::MySqlExecutor;

use crate::ids::{Place, ProductId, UserId};

/// No subscription is this old: "after it" is the whole line.
const START: Place = Place(0);

/// Somebody in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person {
    /// Where they stand.
    pub place: Place,
    /// Who.
    pub user: UserId,
    /// Whether they still want to hear; who does not is passed over without a row in the history.
    pub active: bool,
}

type PersonRow = (NaiveDateTime, i64, bool);

fn person((at, user, active): PersonRow) -> Person {
    Person { place: Place::from_datetime(at), user: UserId(user), active }
}

/// The first `limit` people in (`after`, `upto`], in line order, the inactive ones too; `None` is the start of the line.
///
/// # Errors
/// Those of MySQL.
pub async fn page(
    db: impl MySqlExecutor<'_>,
    product: ProductId,
    after: Option<Place>,
    upto: Place,
    limit: u32,
) -> sqlx::Result<Vec<Person>> {
    let rows: Vec<PersonRow> = sqlx::query_as(
        "SELECT created_at, user_id, is_active FROM product_user_notification FORCE INDEX (PRIMARY)
         WHERE product_id = ? AND created_at > ? AND created_at <= ? ORDER BY created_at LIMIT ?",
    )
    .bind(product.0)
    .bind(after.unwrap_or(START).datetime())
    .bind(upto.datetime())
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(person).collect())
}

/// The place of the last active person in line.
///
/// # Errors
/// Those of MySQL.
pub async fn newest_active(db: impl MySqlExecutor<'_>, product: ProductId) -> sqlx::Result<Option<Place>> {
    let at: Option<NaiveDateTime> = sqlx::query_scalar(
        "SELECT created_at FROM product_user_notification FORCE INDEX (PRIMARY)
         WHERE product_id = ? AND is_active = 1 ORDER BY created_at DESC LIMIT 1",
    )
    .bind(product.0)
    .fetch_optional(db)
    .await?;
    Ok(at.map(Place::from_datetime))
}

/// How many active people stand in (`after`, `upto`]. Reads every one of them.
///
/// # Errors
/// Those of MySQL.
pub async fn count_active(
    db: impl MySqlExecutor<'_>,
    product: ProductId,
    after: Option<Place>,
    upto: Place,
) -> sqlx::Result<u64> {
    let count: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM product_user_notification FORCE INDEX (PRIMARY)
         WHERE product_id = ? AND created_at > ? AND created_at <= ? AND is_active = 1",
    )
    .bind(product.0)
    .bind(after.unwrap_or(START).datetime())
    .bind(upto.datetime())
    .fetch_one(db)
    .await?;
    Ok(count.unsigned_abs())
}

/// Of the newest `limit` places in line: how many are of active people, and how many there are. Reads no more than these.
///
/// # Errors
/// Those of MySQL.
pub async fn count_newest(db: impl MySqlExecutor<'_>, product: ProductId, limit: u32) -> sqlx::Result<(u64, u64)> {
    let (active, all): (i64, i64) = sqlx::query_as(
        "SELECT COUNT(CASE WHEN is_active = 1 THEN 1 END), COUNT(*) FROM
           (SELECT is_active FROM product_user_notification FORCE INDEX (PRIMARY)
            WHERE product_id = ? ORDER BY created_at DESC LIMIT ?) newest",
    )
    .bind(product.0)
    .bind(limit)
    .fetch_one(db)
    .await?;
    Ok((active.unsigned_abs(), all.unsigned_abs()))
}

/// Whether an active person stands in (`after`, `upto`] whose place is not in `ahead`.
///
/// # Errors
/// Those of MySQL.
pub async fn anyone_after(
    db: impl MySqlExecutor<'_>,
    product: ProductId,
    after: Place,
    upto: Place,
    ahead: &[Place],
) -> sqlx::Result<bool> {
    // One more than are settled already: if all of these are settled, nobody else is there.
    let limit = u64::try_from(ahead.len()).unwrap_or(u64::MAX).saturating_add(1);
    let places: Vec<NaiveDateTime> = sqlx::query_scalar(
        "SELECT created_at FROM product_user_notification FORCE INDEX (PRIMARY)
         WHERE product_id = ? AND created_at > ? AND created_at <= ? AND is_active = 1 ORDER BY created_at LIMIT ?",
    )
    .bind(product.0)
    .bind(after.datetime())
    .bind(upto.datetime())
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(places.into_iter().any(|at| !ahead.contains(&Place::from_datetime(at))))
}

/// Where a user stands, also when they no longer want to hear; `None` when they never subscribed.
///
/// # Errors
/// Those of MySQL.
pub async fn place_of(db: impl MySqlExecutor<'_>, product: ProductId, user: UserId) -> sqlx::Result<Option<Person>> {
    let row: Option<PersonRow> = sqlx::query_as(
        "SELECT created_at, user_id, is_active FROM product_user_notification WHERE product_id = ? AND user_id = ?",
    )
    .bind(product.0)
    .bind(user.0)
    .fetch_optional(db)
    .await?;
    Ok(row.map(person))
}

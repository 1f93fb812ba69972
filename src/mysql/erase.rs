//! Taking a person out of every table, in small steps: each may be the last one before a crash, and all of them may be
//! done again.
//!
//! The person's outcomes stay, so that a round still adds up; they belong to user 0 then, who is nobody. There is no
//! index of outcomes by user: they are found by reading the history, range by range, without locking it.

mod mention;

use chrono::NaiveDateTime;
use sqlx::{MySqlPool, QueryBuilder};

use crate::ids::{LaneId, Place, ProductId, Round, UserId};

pub use mention::{Mention, mentions, silence};

/// Products looked at in one step.
const PAGE_PRODUCTS: u32 = 500;
/// Outcomes read in one step.
const RANGE_ROWS: u32 = 20_000;
/// Outcomes changed in one transaction.
const CHANGE_ROWS: usize = 500;

/// A place in line that the person has.
pub type Standing = (ProductId, Place);

/// The products after `after`, a page of them, in order.
///
/// # Errors
/// Those of MySQL.
pub async fn products_after(db: &MySqlPool, after: Option<ProductId>) -> sqlx::Result<Vec<ProductId>> {
    let ids: Vec<i64> = sqlx::query_scalar("SELECT id FROM product WHERE id > ? ORDER BY id LIMIT ?")
        .bind(after.map_or(0, |id| id.0))
        .bind(PAGE_PRODUCTS)
        .fetch_all(db)
        .await?;
    Ok(ids.into_iter().map(ProductId).collect())
}

/// Where a user stands in the lines of these products, active or not.
///
/// # Errors
/// Those of MySQL.
pub async fn standings(db: &MySqlPool, user: UserId, products: &[ProductId]) -> sqlx::Result<Vec<Standing>> {
    if products.is_empty() {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::new(
        "SELECT product_id, created_at FROM product_user_notification FORCE INDEX (product_user) WHERE user_id = ",
    );
    query.push_bind(user.0).push(" AND product_id IN (");
    let mut list = query.separated(", ");
    for product in products {
        list.push_bind(product.0);
    }
    query.push(")");
    let rows: Vec<(i64, NaiveDateTime)> = query.build_query_as().persistent(false).fetch_all(db).await?;
    Ok(rows.into_iter().map(|(product, at)| (ProductId(product), Place::from_datetime(at))).collect())
}

/// Takes a user out of a line for good; whether they stood in it.
///
/// # Errors
/// Those of MySQL.
pub async fn leave_line(db: &MySqlPool, product: ProductId, user: UserId) -> sqlx::Result<bool> {
    let left = sqlx::query("DELETE FROM product_user_notification WHERE product_id = ? AND user_id = ?")
        .bind(product.0)
        .bind(user.0)
        .execute(db)
        .await?;
    Ok(left.rows_affected() > 0)
}

/// The places of a user's outcomes in one round, found a range at a time.
///
/// # Errors
/// Those of MySQL.
pub async fn outcomes(db: &MySqlPool, lane: &LaneId, round: Round, user: UserId) -> sqlx::Result<Vec<Place>> {
    let (mut after, mut found) = (Place(0).datetime(), Vec::new());
    loop {
        let upto: Option<NaiveDateTime> = sqlx::query_scalar(
            "SELECT MAX(place) FROM (SELECT place FROM product_user_notification_history
             WHERE product_id = ? AND restock_round = ? AND channel = ? AND place > ? ORDER BY place LIMIT ?) part",
        )
        .bind(lane.product.0)
        .bind(round.0)
        .bind(lane.channel.as_str())
        .bind(after)
        .bind(RANGE_ROWS)
        .fetch_one(db)
        .await?;
        let Some(upto) = upto else { return Ok(found) };
        let places: Vec<NaiveDateTime> = sqlx::query_scalar(
            "SELECT place FROM product_user_notification_history
             WHERE product_id = ? AND restock_round = ? AND channel = ? AND place > ? AND place <= ? AND user_id = ?",
        )
        .bind(lane.product.0)
        .bind(round.0)
        .bind(lane.channel.as_str())
        .bind(after)
        .bind(upto)
        .bind(user.0)
        .fetch_all(db)
        .await?;
        found.extend(places.into_iter().map(Place::from_datetime));
        after = upto;
    }
}

/// Makes outcomes those of nobody; how many were the user's.
///
/// # Errors
/// Those of MySQL.
pub async fn disown(db: &MySqlPool, lane: &LaneId, round: Round, user: UserId, places: &[Place]) -> sqlx::Result<u64> {
    let mut changed = 0;
    for chunk in places.chunks(CHANGE_ROWS) {
        let mut query = QueryBuilder::new("UPDATE product_user_notification_history SET user_id = ");
        query.push_bind(UserId::NOBODY.0).push(" WHERE product_id = ").push_bind(lane.product.0);
        query.push(" AND restock_round = ").push_bind(round.0).push(" AND channel = ");
        query.push_bind(lane.channel.as_str()).push(" AND user_id = ").push_bind(user.0).push(" AND place IN (");
        let mut list = query.separated(", ");
        for place in chunk {
            list.push_bind(place.datetime());
        }
        query.push(")");
        changed += query.build().persistent(false).execute(db).await?.rows_affected();
    }
    Ok(changed)
}

/// How often a user is named beside their outcomes: as the last person of a round of this product, or as the one who
/// blocked it.
///
/// # Errors
/// Those of MySQL.
pub async fn count_named(db: &MySqlPool, product: ProductId, user: UserId) -> sqlx::Result<u64> {
    let named: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM product_notification_history
         WHERE product_id = ? AND (last_user_id = ? OR blocked_user_id = ?)",
    )
    .bind(product.0)
    .bind(user.0)
    .bind(user.0)
    .fetch_one(db)
    .await?;
    Ok(named.unsigned_abs())
}

/// Takes the name out there.
///
/// # Errors
/// Those of MySQL.
pub async fn unname(db: &MySqlPool, product: ProductId, user: UserId) -> sqlx::Result<u64> {
    let changed = sqlx::query(
        "UPDATE product_notification_history
         SET last_user_id = NULLIF(last_user_id, ?), blocked_user_id = NULLIF(blocked_user_id, ?)
         WHERE product_id = ? AND (last_user_id = ? OR blocked_user_id = ?)",
    )
    .bind(user.0)
    .bind(user.0)
    .bind(product.0)
    .bind(user.0)
    .bind(user.0)
    .execute(db)
    .await?;
    Ok(changed.rows_affected())
}

//! Getting into line and out of it.
//!
//! Invariant: the row of a product in `product_line` is locked until the commit, and a new place is
//! `max(now, the product's newest + 1 µs)`. So rows become visible in line order, and whoever reads "everybody up to
//! here" misses nobody who stands before.

use std::collections::{HashMap, HashSet};

use chrono::NaiveDateTime;
use sqlx::{MySqlConnection, MySqlPool, QueryBuilder};

use super::sizes::{filled, portions, push_filled};
use crate::ids::{Place, ProductId, UserId};

/// Users named in one statement.
const CHUNK_USERS: usize = 1_024;

/// Why nobody was subscribed or unsubscribed.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// There is no such product.
    #[error("there is no product {0}; see `restock-cli product list`")]
    NoSuchProduct(ProductId),
    /// MySQL failed.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

/// What [`subscribe`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Subscribed {
    /// In line for the first time.
    pub added: u64,
    /// Back in line, at its end.
    pub returned: u64,
    /// In line already; they keep their place.
    pub kept: u64,
}

/// Puts users at the end of the line, in this order; who is in it already keeps the place. All or nobody.
///
/// # Errors
/// When there is no such product, and those of MySQL.
pub async fn subscribe(pool: &MySqlPool, product: ProductId, users: &[UserId]) -> Result<Subscribed, SubscribeError> {
    let mut tx = pool.begin().await?;
    let mut next = lock_line(&mut tx, product).await?;
    let mut take_place = || {
        let place = next;
        next = Place(next.0 + 1);
        place
    };
    let mut seen = HashSet::new();
    let users: Vec<UserId> = users.iter().copied().filter(|user| seen.insert(*user)).collect();
    let mut done = Subscribed::default();
    for chunk in users.chunks(CHUNK_USERS) {
        let known = known_users(&mut tx, product, chunk).await?;
        let (mut fresh, mut back) = (Vec::new(), Vec::new());
        for user in chunk {
            match known.get(user) {
                Some(true) => done.kept += 1,
                Some(false) => back.push((*user, take_place())),
                None => fresh.push((*user, take_place())),
            }
        }
        move_to_end(&mut tx, product, &back).await?;
        insert(&mut tx, product, &fresh).await?;
        done.returned += u64::try_from(back.len()).unwrap_or(u64::MAX);
        done.added += u64::try_from(fresh.len()).unwrap_or(u64::MAX);
    }
    sqlx::query("UPDATE product_line SET newest = ? WHERE product_id = ?")
        .bind(Place(next.0 - 1).datetime())
        .bind(product.0)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(done)
}

/// What [`unsubscribe`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unsubscribed {
    /// They wanted to hear, and no longer do.
    pub ended: u64,
    /// They had unsubscribed before.
    pub kept: u64,
    /// They never subscribed to this product.
    pub unknown: Vec<UserId>,
}

/// Takes users out of the line; their rows stay, inactive.
///
/// # Errors
/// When there is no such product, and those of MySQL.
pub async fn unsubscribe(
    pool: &MySqlPool,
    product: ProductId,
    users: &[UserId],
) -> Result<Unsubscribed, SubscribeError> {
    let mut tx = pool.begin().await?;
    // The lock keeps somebody's subscribe and unsubscribe, sent at once, from waiting for each other in a circle.
    lock_line(&mut tx, product).await?;
    let mut seen = HashSet::new();
    let users: Vec<UserId> = users.iter().copied().filter(|user| seen.insert(*user)).collect();
    let mut done = Unsubscribed::default();
    for chunk in users.chunks(CHUNK_USERS) {
        let known = known_users(&mut tx, product, chunk).await?;
        done.unknown.extend(chunk.iter().filter(|user| !known.contains_key(user)));
        let mut update = QueryBuilder::new(
            "UPDATE product_user_notification SET is_active = 0 WHERE is_active = 1 AND product_id = ",
        );
        update.push_bind(product.0);
        push_users(&mut update, chunk);
        let ended = update.build().execute(&mut *tx).await?.rows_affected();
        done.ended += ended;
        done.kept += u64::try_from(known.len()).unwrap_or(u64::MAX).saturating_sub(ended);
    }
    tx.commit().await?;
    Ok(done)
}

/// Locks the line until the transaction ends, and answers the next free place at its end.
async fn lock_line(tx: &mut MySqlConnection, product: ProductId) -> Result<Place, SubscribeError> {
    let exists: Option<i64> =
        sqlx::query_scalar("SELECT id FROM product WHERE id = ?").bind(product.0).fetch_optional(&mut *tx).await?;
    if exists.is_none() {
        return Err(SubscribeError::NoSuchProduct(product));
    }
    // Takes the row's exclusive lock whether it is there or not; INSERT IGNORE would take a shared one first.
    sqlx::query("INSERT INTO product_line (product_id) VALUES (?) ON DUPLICATE KEY UPDATE newest = newest")
        .bind(product.0)
        .execute(&mut *tx)
        .await?;
    // Only now is `newest` the last holder's. The row in line counts too, should another program have put it there.
    let (newest, last, now): (Option<NaiveDateTime>, Option<NaiveDateTime>, NaiveDateTime) = sqlx::query_as(
        "SELECT newest, (SELECT MAX(created_at) FROM product_user_notification WHERE product_id = ?),
                UTC_TIMESTAMP(6) FROM product_line WHERE product_id = ? FOR UPDATE",
    )
    .bind(product.0)
    .bind(product.0)
    .fetch_one(&mut *tx)
    .await?;
    let after_newest = newest.max(last).map(|at| Place(Place::from_datetime(at).0 + 1));
    Ok(Place::from_datetime(now).max(after_newest.unwrap_or(Place(0))))
}

/// Which of these users have a row, and whether it is active.
async fn known_users(
    tx: &mut MySqlConnection,
    product: ProductId,
    users: &[UserId],
) -> sqlx::Result<HashMap<UserId, bool>> {
    let mut query = QueryBuilder::new("SELECT user_id, is_active FROM product_user_notification WHERE product_id = ");
    query.push_bind(product.0);
    push_users(&mut query, users);
    let rows: Vec<(i64, bool)> = query.build_query_as().fetch_all(tx).await?;
    Ok(rows.into_iter().map(|(user, active)| (UserId(user), active)).collect())
}

fn push_users(query: &mut QueryBuilder<sqlx::MySql>, users: &[UserId]) {
    query.push(" AND user_id IN (");
    push_filled(query, users, |user| user.0);
    query.push(")");
}

/// In one statement, because the line is locked meanwhile.
async fn move_to_end(tx: &mut MySqlConnection, product: ProductId, people: &[(UserId, Place)]) -> sqlx::Result<()> {
    if people.is_empty() {
        return Ok(());
    }
    let mut query = QueryBuilder::new("UPDATE product_user_notification SET is_active = 1, created_at = CASE user_id");
    for (user, place) in filled(people) {
        query.push(" WHEN ").push_bind(user.0).push(" THEN ").push_bind(place.datetime());
    }
    query.push(" ELSE created_at END WHERE product_id = ").push_bind(product.0);
    let users: Vec<UserId> = people.iter().map(|(user, _)| *user).collect();
    push_users(&mut query, &users);
    query.build().execute(tx).await.map(drop)
}

async fn insert(tx: &mut MySqlConnection, product: ProductId, people: &[(UserId, Place)]) -> sqlx::Result<()> {
    for portion in portions(people, CHUNK_USERS) {
        let mut query = QueryBuilder::new("INSERT INTO product_user_notification (product_id, created_at, user_id) ");
        query.push_values(portion, |mut row, (user, place)| {
            row.push_bind(product.0).push_bind(place.datetime()).push_bind(user.0);
        });
        query.build().execute(&mut *tx).await?;
    }
    Ok(())
}

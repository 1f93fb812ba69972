//! What workers read when they take lanes, for many lanes by one query: a query costs more than what it reads.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use sqlx::{MySqlExecutor, QueryBuilder};

use super::{decode_error, line::Person};
use crate::ids::{Place, ProductId, Sku, UserId};

/// What is seen of a product and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Its code, if it has one.
    pub sku: Option<Sku>,
    /// Its name.
    pub name: String,
    /// The place of the last active person in line.
    pub newest: Option<Place>,
}

/// Looks at each of these products; `None` for one that MySQL does not know.
///
/// # Errors
/// Those of MySQL.
pub async fn looks(db: impl MySqlExecutor<'_>, products: &[ProductId]) -> sqlx::Result<Vec<Option<Look>>> {
    let mut query = QueryBuilder::new(
        "SELECT p.id, p.sku, p.name,
             (SELECT n.created_at FROM product_user_notification n FORCE INDEX (PRIMARY)
              WHERE n.product_id = p.id AND n.is_active = 1 ORDER BY n.created_at DESC LIMIT 1)
         FROM product p WHERE p.id IN (",
    );
    let mut ids = query.separated(", ");
    for product in products {
        ids.push_bind(product.0);
    }
    query.push(")");
    let rows: Vec<(i64, Option<String>, String, Option<NaiveDateTime>)> = query.build_query_as().fetch_all(db).await?;
    let mut seen = HashMap::new();
    for (id, sku, name, newest) in rows {
        let sku = sku.map(|sku| sku.parse()).transpose().map_err(decode_error)?;
        seen.insert(id, Look { sku, name, newest: newest.map(Place::from_datetime) });
    }
    Ok(products.iter().map(|product| seen.get(&product.0).cloned()).collect())
}

/// The people of a product in (`after`, `upto`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Whose line.
    pub product: ProductId,
    /// The place before the first; `None` is the start of the line.
    pub after: Option<Place>,
    /// The last place.
    pub upto: Place,
}

/// The first `limit` people of each span, as [`super::line::page`] gives them for one.
///
/// # Errors
/// Those of MySQL.
pub async fn pages(db: impl MySqlExecutor<'_>, spans: &[Span], limit: u32) -> sqlx::Result<Vec<Vec<Person>>> {
    let mut query = QueryBuilder::new("");
    for (at, span) in spans.iter().enumerate() {
        query.push(if at == 0 { "(SELECT CAST(" } else { " UNION ALL (SELECT CAST(" });
        query.push_bind(at as u64).push(
            " AS UNSIGNED) AS span, created_at, user_id, is_active
              FROM product_user_notification FORCE INDEX (PRIMARY) WHERE product_id = ",
        );
        query.push_bind(span.product.0).push(" AND created_at > ");
        query.push_bind(span.after.unwrap_or(Place(0)).datetime()).push(" AND created_at <= ");
        query.push_bind(span.upto.datetime()).push(" ORDER BY created_at LIMIT ").push_bind(limit).push(")");
    }
    let rows: Vec<(u64, NaiveDateTime, i64, bool)> = query.build_query_as().fetch_all(db).await?;
    let mut pages = vec![Vec::new(); spans.len()];
    for (span, at, user, active) in rows {
        if let Some(page) = usize::try_from(span).ok().and_then(|span| pages.get_mut(span)) {
            page.push(Person { place: Place::from_datetime(at), user: UserId(user), active });
        }
    }
    // The server may give the spans in any order, and the people of a span only as it read them.
    for page in &mut pages {
        page.sort_unstable_by_key(|person| person.place);
    }
    Ok(pages)
}

/// How many active people stand in each of these spans. Reads every one of them.
///
/// # Errors
/// Those of MySQL.
pub async fn counts_active(db: impl MySqlExecutor<'_>, spans: &[Span]) -> sqlx::Result<Vec<u64>> {
    let mut query = QueryBuilder::new("");
    for (at, Span { product, after, upto }) in spans.iter().enumerate() {
        query.push(if at == 0 { "SELECT CAST(" } else { " UNION ALL SELECT CAST(" });
        query.push_bind(at as u64).push(
            " AS UNSIGNED) AS span, COUNT(*) FROM product_user_notification FORCE INDEX (PRIMARY)
              WHERE is_active = 1 AND product_id = ",
        );
        query.push_bind(product.0).push(" AND created_at > ").push_bind(after.unwrap_or(Place(0)).datetime());
        query.push(" AND created_at <= ").push_bind(upto.datetime());
    }
    let rows: Vec<(u64, i64)> = query.build_query_as().fetch_all(db).await?;
    let mut counts = vec![0; spans.len()];
    for (span, count) in rows {
        if let Some(slot) = usize::try_from(span).ok().and_then(|span| counts.get_mut(span)) {
            *slot = count.unsigned_abs();
        }
    }
    Ok(counts)
}

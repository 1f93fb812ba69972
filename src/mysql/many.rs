//! What workers read when they take lanes, for many lanes by one query: a query costs more than what it reads. The
//! queries have few different sizes, so that each is prepared once: the last question fills what is left.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use sqlx::{MySql, MySqlConnection, MySqlExecutor, QueryBuilder};

use super::{
    decode_error,
    line::Person,
    sizes::{filled, push_filled},
};
use crate::ids::{Place, ProductId, Sku, UserId};

/// A line that has at most about so many people is read as a whole by a look.
const SHORT: usize = 4;

/// What is seen of a product and its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Its code, if it has one.
    pub sku: Option<Sku>,
    /// Its name.
    pub name: String,
    /// The place of the last active person in line.
    pub newest: Option<Place>,
    /// Everybody in line, where these are few.
    pub line: Option<Vec<Person>>,
}

/// Looks at each of these products; `None` for one that MySQL does not know.
///
/// Most lines are short, and a line is read in one go with many others: so each is first taken for a short one.
///
/// # Errors
/// Those of MySQL.
pub async fn looks(db: &mut MySqlConnection, products: &[ProductId]) -> sqlx::Result<Vec<Option<Look>>> {
    if products.is_empty() {
        return Ok(Vec::new());
    }
    let lines = short_lines(&mut *db, products).await?;
    let long: Vec<ProductId> = products.iter().filter(|product| !lines.has_all_of(**product)).copied().collect();
    let newest = newest(&mut *db, &long).await?;
    let cards = cards(db, products).await?;
    let look = |product: &ProductId| {
        let (sku, name) = cards.get(product).cloned()?;
        // Two lanes of one product may ask at the same time.
        let line = lines.has_all_of(*product).then(|| lines.of(*product).to_vec());
        let last = |line: &Vec<Person>| line.iter().rfind(|person| person.active).map(|person| person.place);
        let newest = line.as_ref().map_or_else(|| newest.get(product).copied(), last);
        Some(Look { sku, name, newest, line })
    };
    Ok(products.iter().map(look).collect())
}

/// The first people of these lines: all of them, where the lines are short.
async fn short_lines(db: &mut MySqlConnection, products: &[ProductId]) -> sqlx::Result<Ranges> {
    let mut query = QueryBuilder::new(PEOPLE);
    query.push("product_id IN (");
    let count = push_filled(&mut query, products, |product| product.0);
    query.push(")");
    Ranges::read(db, query, count * SHORT).await
}

/// The places of the last active people in line.
async fn newest(db: &mut MySqlConnection, products: &[ProductId]) -> sqlx::Result<HashMap<ProductId, Place>> {
    if products.is_empty() {
        return Ok(HashMap::new());
    }
    let mut query = QueryBuilder::new(
        "SELECT p.id, (SELECT n.created_at FROM product_user_notification n FORCE INDEX (PRIMARY)
             WHERE n.product_id = p.id AND n.is_active = 1 ORDER BY n.created_at DESC LIMIT 1)
         FROM product p WHERE p.id IN (",
    );
    push_filled(&mut query, products, |product| product.0);
    let rows: Vec<(i64, Option<NaiveDateTime>)> = query.push(")").build_query_as().fetch_all(db).await?;
    let places = rows.into_iter().filter_map(|(product, at)| Some((ProductId(product), Place::from_datetime(at?))));
    Ok(places.collect())
}

/// How products are called.
type Cards = HashMap<ProductId, (Option<Sku>, String)>;

async fn cards(db: &mut MySqlConnection, products: &[ProductId]) -> sqlx::Result<Cards> {
    let mut query = QueryBuilder::new("SELECT id, sku, name FROM product WHERE id IN (");
    push_filled(&mut query, products, |product| product.0);
    let rows: Vec<(i64, Option<String>, String)> = query.push(")").build_query_as().fetch_all(db).await?;
    let card = |(id, sku, name): (i64, Option<String>, String)| {
        Ok((ProductId(id), (sku.map(|sku| sku.parse()).transpose().map_err(decode_error)?, name)))
    };
    rows.into_iter().map(card).collect()
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
/// Most lines are short: so all are read as ranges of the key, and only where the spans together hold more than `limit`
/// people each on average, those that were not reached are asked for each by itself.
///
/// # Errors
/// Those of MySQL.
pub async fn pages(db: &mut MySqlConnection, spans: &[Span], limit: u32) -> sqlx::Result<Vec<Vec<Person>>> {
    if spans.is_empty() {
        return Ok(Vec::new());
    }
    let found = ranges(&mut *db, spans, limit).await?;
    let whole_page = |span: &Span| {
        let is_within = |person: &&Person| Some(person.place) > span.after && person.place <= span.upto;
        let page: Vec<Person> = found.of(span.product).iter().filter(is_within).take(limit as usize).copied().collect();
        let is_whole = page.len() == limit as usize || found.has_all_of(span.product);
        is_whole.then_some(page)
    };
    let mut pages: Vec<Option<Vec<Person>>> = spans.iter().map(whole_page).collect();
    let missing: Vec<Span> =
        spans.iter().zip(&pages).filter(|(_, page)| page.is_none()).map(|(span, _)| *span).collect();
    if !missing.is_empty() {
        let mut apart = pages_apart(db, &missing, limit).await?.into_iter();
        for page in pages.iter_mut().filter(|page| page.is_none()) {
            *page = apart.next();
        }
    }
    Ok(pages.into_iter().map(Option::unwrap_or_default).collect())
}

/// Selects what [`Ranges`] are read from.
const PEOPLE: &str =
    "SELECT product_id, created_at, user_id, is_active FROM product_user_notification FORCE INDEX (PRIMARY) WHERE ";

/// The people of parts of several lines, by product, in line order.
struct Ranges {
    people: HashMap<ProductId, Vec<Person>>,
    /// The last product read, where perhaps not all was: of this one and of those after it.
    upto: Option<ProductId>,
}

impl Ranges {
    /// Reads up to `rows_max` of the people whom the query is about.
    async fn read(db: &mut MySqlConnection, mut query: QueryBuilder<MySql>, rows_max: usize) -> sqlx::Result<Self> {
        query.push(" ORDER BY product_id, created_at LIMIT ").push_bind(rows_max as u64);
        let rows: Vec<(i64, NaiveDateTime, i64, bool)> = query.build_query_as().fetch_all(db).await?;
        let upto = rows.last().filter(|_| rows.len() >= rows_max).map(|row| ProductId(row.0));
        let mut people: HashMap<ProductId, Vec<Person>> = HashMap::new();
        for (product, at, user, active) in rows {
            let person = Person { place: Place::from_datetime(at), user: UserId(user), active };
            people.entry(ProductId(product)).or_default().push(person);
        }
        Ok(Self { people, upto })
    }

    fn of(&self, product: ProductId) -> &[Person] {
        self.people.get(&product).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether everybody of this product whom the query is about was read.
    fn has_all_of(&self, product: ProductId) -> bool {
        self.upto.is_none_or(|last| product < last)
    }
}

/// Reads up to `limit` people a span, by product and place.
async fn ranges(db: &mut MySqlConnection, spans: &[Span], limit: u32) -> sqlx::Result<Ranges> {
    let mut query = QueryBuilder::new(PEOPLE);
    let mut rows_max = 0;
    for (at, span) in filled(spans).enumerate() {
        rows_max += limit as usize;
        query.push(if at == 0 { "(product_id = " } else { " OR (product_id = " }).push_bind(span.product.0);
        query.push(" AND created_at > ").push_bind(span.after.unwrap_or(Place(0)).datetime());
        query.push(" AND created_at <= ").push_bind(span.upto.datetime()).push(")");
    }
    Ranges::read(db, query, rows_max).await
}

/// Queries over so many spans, read apart, are kept: most are over few.
const KEPT_SPANS: usize = 16;

/// The same for spans that may be long: each has a limit of its own.
async fn pages_apart(db: &mut MySqlConnection, spans: &[Span], limit: u32) -> sqlx::Result<Vec<Vec<Person>>> {
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
    let rows: Vec<(u64, NaiveDateTime, i64, bool)> =
        query.build_query_as().persistent(spans.len() <= KEPT_SPANS).fetch_all(db).await?;
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

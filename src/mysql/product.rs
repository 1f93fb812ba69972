//! Products as MySQL knows them. Their live stock and round are Redis' while a product is worked; what is here lags by
//! what is not yet flushed.

use serde::Serialize;
use sqlx::{FromRow, MySqlExecutor, MySqlPool, Row, mysql::MySqlRow};
use utoipa::ToSchema;

use super::{decode_error, is_duplicate};
use crate::ids::{ParseError, ProductId, ProductRef, Sku};

/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 255;

/// A product, as it stands in MySQL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Product)]
pub struct ProductRow {
    /// Its number.
    pub id: ProductId,
    /// Its code, if it has one.
    pub sku: Option<Sku>,
    /// Its name for people.
    pub name: String,
    /// Pieces left, as last flushed.
    pub stock: i64,
    /// The newest round, as last flushed; 0 before the first.
    #[serde(rename = "round")]
    pub restock_round: u32,
    /// How often MySQL's state was installed in Redis.
    #[serde(skip)]
    pub epoch: u64,
    /// Counts the changes within the epoch.
    #[serde(skip)]
    pub version: u64,
}

impl<'r> FromRow<'r, MySqlRow> for ProductRow {
    fn from_row(row: &'r MySqlRow) -> sqlx::Result<Self> {
        let sku: Option<String> = row.try_get("sku")?;
        Ok(Self {
            id: ProductId(row.try_get("id")?),
            sku: sku.map(|sku| sku.parse()).transpose().map_err(decode_error)?,
            name: row.try_get("name")?,
            stock: row.try_get("stock")?,
            restock_round: row.try_get("restock_round")?,
            epoch: row.try_get("epoch")?,
            version: row.try_get("version")?,
        })
    }
}

/// The product of that number or code.
///
/// # Errors
/// Those of MySQL.
pub async fn find(db: impl MySqlExecutor<'_>, product: &ProductRef) -> sqlx::Result<Option<ProductRow>> {
    let query = match product {
        ProductRef::Id(id) => {
            sqlx::query_as("SELECT id, sku, name, stock, restock_round, epoch, version FROM product WHERE id = ?")
                .bind(id.0)
        }
        ProductRef::Sku(sku) => {
            sqlx::query_as("SELECT id, sku, name, stock, restock_round, epoch, version FROM product WHERE sku = ?")
                .bind(sku.as_str())
        }
    };
    query.fetch_optional(db).await
}

/// The first `limit` products after `after`, by number.
///
/// # Errors
/// Those of MySQL.
pub async fn list(db: impl MySqlExecutor<'_>, after: Option<ProductId>, limit: u32) -> sqlx::Result<Vec<ProductRow>> {
    sqlx::query_as(
        "SELECT id, sku, name, stock, restock_round, epoch, version FROM product WHERE id > ? ORDER BY id LIMIT ?",
    )
    .bind(after.map_or(0, |id| id.0))
    .bind(limit)
    .fetch_all(db)
    .await
}

/// A product to be added; the name has been through [`parse_name`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewProduct {
    /// Its number.
    pub id: ProductId,
    /// Its code, if it has one.
    pub sku: Option<Sku>,
    /// Its name for people.
    pub name: String,
    /// Pieces in stock, not below zero.
    pub stock: i64,
}

/// Reads the name of a product; spaces around it are dropped.
///
/// # Errors
/// When it is empty, longer than 255 characters or holds a control character.
pub fn parse_name(text: &str) -> Result<String, ParseError> {
    let name = text.trim();
    if (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        Ok(name.to_owned())
    } else {
        Err(ParseError::new("name", text, "1 to 255 characters, none of them a control character"))
    }
}

/// Why a product was not added.
#[derive(Debug, thiserror::Error)]
pub enum AddError {
    /// The number is taken.
    #[error("product {0} exists already; choose another id")]
    IdTaken(ProductId),
    /// The code is taken.
    #[error("sku `{sku}` is product {by} already; choose another sku")]
    SkuTaken {
        /// The code.
        sku: Sku,
        /// Whose it is.
        by: ProductId,
    },
    /// MySQL failed.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

/// Adds a product.
///
/// # Errors
/// When its number or its code is taken, and those of MySQL.
pub async fn add(pool: &MySqlPool, product: &NewProduct) -> Result<(), AddError> {
    let added = sqlx::query("INSERT INTO product (id, sku, name, stock) VALUES (?, ?, ?, ?)")
        .bind(product.id.0)
        .bind(product.sku.as_ref().map(Sku::as_str))
        .bind(&product.name)
        .bind(product.stock)
        .execute(pool)
        .await;
    let Err(error) = added else { return Ok(()) };
    if !is_duplicate(&error) {
        return Err(error.into());
    }
    Err(sku_taken(pool, product.id, product.sku.as_ref()).await?.unwrap_or(AddError::IdTaken(product.id)))
}

/// Whose code it is, if not this product's.
async fn sku_taken(pool: &MySqlPool, id: ProductId, sku: Option<&Sku>) -> sqlx::Result<Option<AddError>> {
    let Some(sku) = sku else { return Ok(None) };
    let other = find(pool, &ProductRef::Sku(sku.clone())).await?.filter(|other| other.id != id);
    Ok(other.map(|other| AddError::SkuTaken { sku: sku.clone(), by: other.id }))
}

/// Names a product: adds it without stock, or gives the one of that number this name and code. Answers whether it was
/// added. The name has been through [`parse_name`].
///
/// # Errors
/// [`AddError::SkuTaken`], and those of MySQL.
pub async fn put(pool: &MySqlPool, id: ProductId, name: &str, sku: Option<&Sku>) -> Result<bool, AddError> {
    let mut tx = pool.begin().await?;
    let known: Option<i64> = sqlx::query_scalar("SELECT id FROM product WHERE id = ? FOR UPDATE")
        .bind(id.0)
        .fetch_optional(&mut *tx)
        .await?;
    let query = match known {
        Some(_) => "UPDATE product SET sku = ?, name = ? WHERE id = ?",
        None => "INSERT INTO product (sku, name, id) VALUES (?, ?, ?)",
    };
    let written = sqlx::query(query).bind(sku.map(Sku::as_str)).bind(name).bind(id.0).execute(&mut *tx).await;
    match written {
        Ok(_) => tx.commit().await?,
        Err(error) if is_duplicate(&error) => {
            tx.rollback().await?;
            // Somebody else has added it at the same moment, when the code is nobody's.
            return Err(sku_taken(pool, id, sku).await?.unwrap_or(AddError::IdTaken(id)));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(known.is_none())
}

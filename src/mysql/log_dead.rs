//! Rows of the log that MySQL refused, set aside so that the others flow.

use std::collections::BTreeMap;

use sqlx::MySqlExecutor;

use crate::ids::ProductId;

/// How many rows of each product were set aside, of one product or of all; those without any are left out.
///
/// # Errors
/// Those of MySQL.
pub async fn count_by_product(
    db: impl MySqlExecutor<'_>,
    product: Option<ProductId>,
) -> sqlx::Result<BTreeMap<ProductId, u64>> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT product_id, COUNT(*) FROM log_dead WHERE product_id IS NOT NULL AND (? IS NULL OR product_id = ?)
         GROUP BY product_id",
    )
    .bind(product.map(|id| id.0))
    .bind(product.map(|id| id.0))
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|(product, count)| (ProductId(product), count.unsigned_abs())).collect())
}

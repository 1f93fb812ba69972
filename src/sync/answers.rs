//! Writing what became of requests into the outbox.

use sqlx::{MySqlConnection, QueryBuilder};

use super::{
    batch::Said,
    entry::{Answer, Subject},
    rows::Row,
    words::{self, Words},
};
use crate::ids::{ProductId, Round};

impl Row for Answer {
    const KIND: &'static str = "request";

    fn about(&self) -> Subject {
        Subject { product: Some(self.product), round: self.round.as_ref().ok().copied(), channel: None }
    }

    fn words(&self) -> Words {
        words::of_answer(self)
    }

    fn name(&self) -> String {
        format!("request {} of {}", self.request.unwrap_or(0), self.product)
    }

    async fn write(rows: &[Said<Self>], db: &mut MySqlConnection) -> sqlx::Result<()> {
        let mut accepted: Vec<(i64, ProductId, Round)> = Vec::new();
        for answer in rows.iter().map(|said| &said.what) {
            match (answer.request, &answer.round) {
                (Some(id), Ok(round)) => accepted.push((id, answer.product, *round)),
                (Some(id), Err(reason)) => refuse_request(db, id, answer.product, reason).await?,
                (None, _) => {}
            }
        }
        if accepted.is_empty() {
            return Ok(());
        }
        let mut query = QueryBuilder::new("UPDATE restock_request r JOIN (");
        for (at, (id, product, round)) in accepted.into_iter().enumerate() {
            query.push(if at == 0 { "SELECT CAST(" } else { " UNION ALL SELECT CAST(" });
            query.push_bind(id).push(" AS SIGNED) AS id, CAST(");
            query.push_bind(product.0).push(" AS SIGNED) AS product, CAST(");
            query.push_bind(round.0).push(" AS UNSIGNED) AS round");
        }
        // A MySQL that was set back gives numbers out again: the same number may be another product's request.
        query.push(
            ") n ON n.id = r.id AND n.product = r.product_id SET r.state = 'ACCEPTED', r.restock_round = n.round, r.reason = NULL
             WHERE r.state = 'PENDING'",
        );
        query.build().execute(db).await.map(drop)
    }
}

/// Writes that a pending request can have no round.
pub(super) async fn refuse_request(
    db: &mut MySqlConnection,
    id: i64,
    product: ProductId,
    reason: &str,
) -> sqlx::Result<()> {
    sqlx::query(
        "UPDATE restock_request SET state = 'REFUSED', reason = ?
         WHERE id = ? AND product_id = ? AND state = 'PENDING'",
    )
    .bind(reason)
    .bind(id)
    .bind(product.0)
    .execute(db)
    .await
    .map(drop)
}

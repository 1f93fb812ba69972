//! What keeps a batch that was read from a log that is gone out of MySQL.
//!
//! Between reading a batch and committing it Redis may be emptied or come back older, and be filled again from a MySQL that
//! lacks the batch: its rounds are given out again. Committed then, the batch would end them, and they would be undone.
//!
//! Invariant: while a batch is committed no check is between reading its products and installing them, for both hold the
//! products' rows; and what a check has overtaken is committed only while the log still has it.

use std::collections::BTreeMap;

use sqlx::{MySqlConnection, QueryBuilder};

use super::batch::Batch;
use crate::{ids::ProductId, mysql::sizes::push_filled};

/// Locks the products of a batch until the end of the transaction, as a check does; answers whether a check has reserved an
/// epoch for one of them since something in the batch was written. A lane that Redis kept goes on under its old epoch, so
/// that this alone says nothing bad of the batch.
pub(super) async fn is_overtaken(tx: &mut MySqlConnection, batch: &Batch) -> sqlx::Result<bool> {
    let epochs = oldest_epochs(batch);
    if epochs.is_empty() {
        return Ok(false);
    }
    let mut query = QueryBuilder::new("SELECT id, reserved_epoch FROM product WHERE id IN (");
    let products: Vec<ProductId> = epochs.keys().copied().collect();
    push_filled(&mut query, &products, |product| product.0);
    // By number, as everybody who locks several. Not in share mode: who then writes one that a check waits for would have to
    // wait for that check.
    query.push(") ORDER BY id FOR UPDATE");
    let reserved: Vec<(i64, u64)> = query.build_query_as().fetch_all(tx).await?;
    let is_newer = |(id, reserved): &(i64, u64)| epochs.get(&ProductId(*id)).is_some_and(|epoch| epoch < reserved);
    Ok(reserved.iter().any(is_newer))
}

/// The oldest epoch under which something in the batch was written, by product. A request says nothing of epochs, and its
/// round stands in the log before it.
fn oldest_epochs(batch: &Batch) -> BTreeMap<ProductId, u64> {
    let products = batch.products.iter().map(|said| (said.what.product, said.what.stamp.epoch));
    let rounds = batch.rounds.iter().map(|said| (said.what.lane.product, said.what.stamp.epoch));
    let mut oldest = BTreeMap::new();
    for (product, epoch) in products.chain(rounds) {
        let known = oldest.entry(product).or_insert(epoch);
        *known = epoch.min(*known);
    }
    oldest
}

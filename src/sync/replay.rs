//! Trying a refused row again: it is logged once more, and the flusher takes it as any other entry. What is logged may be
//! lost with Redis, so the row keeps its mark until the flusher has written it, and lifts the mark in that transaction.

use std::collections::BTreeMap;

use super::dead::Mark;
use crate::{
    mysql::refused::RefusedRow,
    stores::{StoreError, Stores},
};

/// Why a row cannot be tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It is longer than what `log_dead` keeps of a row, or was kept by an older version.
    #[error("row {0} of log_dead does not hold all that was refused; mend it by hand, then drop it")]
    NotKept(i64),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What would be logged again.
///
/// # Errors
/// [`ReplayError::NotKept`].
pub fn words_of(row: &RefusedRow) -> Result<BTreeMap<String, String>, ReplayError> {
    serde_json::from_str(&row.detail).map_err(|_| ReplayError::NotKept(row.id))
}

/// Logs a row again. Its mark goes once MySQL has it; if it is refused once more, it stays set aside; a state that MySQL
/// has a newer one of changes nothing.
///
/// # Errors
/// [`ReplayError::NotKept`], and those of the stores.
pub async fn replay(stores: &Stores, row: &RefusedRow) -> Result<(), ReplayError> {
    let mut words = words_of(row)?;
    words.insert(Mark::FIELD.to_owned(), Mark { row: row.id, entry: row.entry.clone() }.to_string());
    stores.redis.append_log(row.partition, words).await.map_err(StoreError::from)?;
    Ok(())
}

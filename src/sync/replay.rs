//! Trying a refused row again: it is logged once more, and the flusher takes it as any other entry.

use std::collections::BTreeMap;

use crate::{
    mysql::refused::{self, RefusedRow},
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

/// Logs a row again and takes its mark away. If it is refused once more, it is set aside once more, with its mark; a
/// state that MySQL has a newer one of changes nothing.
///
/// # Errors
/// [`ReplayError::NotKept`], and those of the stores.
pub async fn replay(stores: &Stores, row: &RefusedRow) -> Result<(), ReplayError> {
    let words = words_of(row)?;
    stores.redis.append_log(row.partition, words).await.map_err(StoreError::from)?;
    // Whoever set it aside again meanwhile has written another entry: that mark stays.
    refused::settle(&stores.mysql, row.id, Some(&row.entry)).await.map_err(StoreError::from)?;
    Ok(())
}

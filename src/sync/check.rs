//! Checking products against MySQL, one by one or all that Redis holds.

use std::sync::Arc;

use futures_util::{StreamExt, stream};

use crate::{
    ids::{Partition, ProductId},
    stores::{Checked, StoreError, Stores},
};

/// Products checked at the same time; each takes a connection to MySQL.
const CHECKS_AT_ONCE: usize = 4;
/// Products of Redis that are looked at together.
const SCAN_PRODUCTS: u32 = 500;

/// What came of checking some products.
#[derive(Debug, Default)]
pub(super) struct Checks {
    /// So many could be.
    pub(super) done: usize,
    /// So many could not be, because somebody else held them.
    failed: usize,
    /// The first reason why.
    error: Option<StoreError>,
}

/// Checks these products; one that cannot be checked holds back no other.
pub(super) async fn check_each(stores: &Stores, products: Vec<ProductId>) -> Result<Checks, StoreError> {
    let shared = Arc::new(stores.clone());
    let checks = products.into_iter().map(|product| {
        let stores = Arc::clone(&shared);
        async move { (product, stores.check(product).await) }
    });
    let mut checks = stream::iter(checks).buffer_unordered(CHECKS_AT_ONCE);
    let mut all = Checks::default();
    while let Some((product, checked)) = checks.next().await {
        let error = match checked {
            Ok(Checked::Done(_)) => {
                all.done += 1;
                continue;
            }
            Ok(Checked::NoSuchProduct) => {
                tracing::warn!(%product, "there are rounds of a product that MySQL does not have");
                continue;
            }
            Err(error) => error,
        };
        if error.is_passing() && !error.is_contended() {
            return Err(error);
        }
        if !error.is_contended() {
            // It may never be: that must not hold back the record of all others.
            tracing::warn!(%product, %error, "cannot be checked; see `restock-cli verify`");
            continue;
        }
        tracing::debug!(%product, %error, "somebody else holds it; checked again later");
        all.failed += 1;
        all.error.get_or_insert(error);
    }
    Ok(all)
}

/// Checks every product that Redis holds, so that all that MySQL has otherwise is logged again; returns how many.
///
/// # Errors
/// Those of the stores; also when a product was held by somebody else, once all others were checked: nothing else would ever
/// visit its ended rounds, so the caller must come back before it relies on MySQL having them.
pub(super) async fn check_all(stores: &Stores, partition: Partition) -> Result<usize, StoreError> {
    // Not by the time of their last change: who changes meanwhile must be seen too.
    let (mut cursor, mut checked, mut failed, mut first) = ("0".to_owned(), 0, 0, None);
    loop {
        let (next, products) = stores.redis.scan_products(partition, &cursor, SCAN_PRODUCTS).await?;
        let page = check_each(stores, products).await?;
        checked += page.done;
        failed += page.failed;
        first = first.or(page.error);
        if next == "0" {
            break;
        }
        cursor = next;
    }
    let Some(error) = first else { return Ok(checked) };
    tracing::warn!(%partition, checked, failed, "not all that Redis holds could be checked; all of it is checked again");
    Err(error)
}

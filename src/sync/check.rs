//! Checking many products against MySQL: some that are named, or all that Redis holds.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{StreamExt, TryStreamExt, stream};

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
    /// So many were checked.
    pub(super) done: usize,
    /// So many were not, because somebody else held them. Not among these are those that MySQL does not have, or that cannot be
    /// checked at all.
    held: usize,
    /// What the first of them said.
    first_error: Option<StoreError>,
}

/// Checks these products, some at a time; one that cannot be checked holds back no other.
///
/// # Errors
/// That a store cannot be reached, once the checks beside it are over: none is cut off in its transaction by another's error.
pub(super) async fn check_each(stores: &Stores, products: Vec<ProductId>) -> Result<Checks, StoreError> {
    let shared = Arc::new(stores.clone());
    let (gives_up, mut unreachable) = (AtomicBool::new(false), None);
    let wanted = products.into_iter().take_while(|_| !gives_up.load(Ordering::Relaxed));
    let checks = wanted.map(|product| {
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
            gives_up.store(true, Ordering::Relaxed);
            unreachable.get_or_insert(error);
        } else if !error.is_contended() {
            // It may never be: that must not hold back the record of all others.
            tracing::warn!(%product, %error, "cannot be checked; see `restock-cli verify`");
        } else {
            tracing::debug!(%product, %error, "somebody else holds it; checked again later");
            all.held += 1;
            all.first_error.get_or_insert(error);
        }
    }
    unreachable.map_or(Ok(all), Err)
}

/// Checks every product that Redis holds, so that all that MySQL has otherwise is logged again; returns how many.
///
/// # Errors
/// Those of the stores; also when a product was held by somebody else, once all others were checked: nothing else would ever
/// visit its ended rounds, so the caller must come back before it relies on MySQL having them.
pub(super) async fn check_all(stores: &Stores, partition: Partition) -> Result<usize, StoreError> {
    let (mut checked, mut held, mut first_error) = (0, 0, None);
    // Not by the time of their last change: who changes meanwhile must be seen too.
    let mut pages = pin!(stores.redis.scan_products(partition, SCAN_PRODUCTS));
    while let Some(products) = pages.try_next().await? {
        let page = check_each(stores, products).await?;
        checked += page.done;
        held += page.held;
        first_error = first_error.or(page.first_error);
    }
    let Some(error) = first_error else { return Ok(checked) };
    tracing::warn!(%partition, checked, held, "not all that Redis holds could be checked; all of it is checked again");
    Err(error)
}

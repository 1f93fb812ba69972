//! How long what is logged waits to be written.

use std::time::{Duration, Instant};

use super::{fixture::Shop, process::start, silent::ROUND};

/// The longest pause; what no more follows is written after three tenths of it at most.
const INTERVAL: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn what_no_more_follows_is_written_before_the_pause_is_over() {
    let shop = Shop::open().await;
    shop.product(7, 0, &[101]).await;
    let interval_ms = INTERVAL.as_millis() as u32;
    let _flusher = start(&shop.redis_url, &shop.mysql_url, shop.stores.settings.namespace.as_str(), interval_ms);
    shop.leader().await;
    // Its first flush finds the log empty or this in it; then comes a pause, which all that follows falls into.
    shop.restock(7).await;
    shop.wait_for(ROUND, "1").await;
    let begun = Instant::now();
    shop.restock(7).await;
    shop.wait_for(ROUND, "2").await;
    let took = begun.elapsed();
    assert!(took < INTERVAL * 2 / 5, "written after {took:?}, as if more were waited for");
}

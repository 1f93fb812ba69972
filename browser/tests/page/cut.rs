//! A stream that is cut off, in the middle of a message or between two: every message is there once.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::time::sleep;

use super::{
    browser::{Browser, DEADLINE, with_browser},
    proxy::Proxy,
    shop::Shop,
};

const PRODUCTS: usize = 60;
/// Those that are restocked before each cut.
const BATCH: usize = 20;
const _: () = assert!(PRODUCTS == 3 * BATCH);
const POLL: Duration = Duration::from_millis(20);

/// The names of the messages, the newest first.
async fn shown(browser: &Browser) -> Vec<String> {
    let names = browser
        .run("return [...document.querySelectorAll('#messages .message-name')].map((name) => name.textContent)")
        .await;
    let names = names.as_array().cloned().unwrap_or_default();
    names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_cut_off_brings_every_message_exactly_once() {
    let mut shop = Shop::open().await;
    shop.cli(&["migrate", "--partitions", "2", "--channels", "inbox", "--rate", "50"]).await;
    let mut products = "id,sku,name\n".to_owned();
    let mut wishes = "product_id,user_id,created_at\n".to_owned();
    for product in 1..=PRODUCTS {
        products += &format!("{product},S{product},Thing {product}\n");
        wishes += &format!("{product},7,2026-01-01T00:00:00Z\n");
    }
    shop.cli_with(&["import", "products", "-"], &products).await;
    shop.cli_with(&["import", "subscriptions", "-"], &wishes).await;
    let proxy = Proxy::start(shop.serve_with_tokens().await).await;
    let token = shop.token_of(7).await;
    shop.work(&[]);
    with_browser(async move |browser| {
        browser.goto(&format!("http://{}/me#token={token}", proxy.address)).await;
        browser.shows("#link", "Live").await;
        let (start, mut seen_at_cut, mut cuts) = (Instant::now(), Vec::new(), 0);
        // In the middle of a message, at the first byte of one, and some messages on: all brings more bytes than that.
        for (batch, bytes) in [700, 1, 1234].into_iter().enumerate() {
            let told = (batch + 1) * BATCH;
            proxy.cut_after(bytes);
            let restocks: String = (told - BATCH + 1..=told).map(|product| format!("{product},5\n")).collect();
            shop.cli_with(&["enqueue", "--from", "-"], &restocks).await;
            cuts += 1;
            while proxy.cuts() < cuts {
                assert!(start.elapsed() < DEADLINE, "nothing came that could be cut");
                sleep(POLL).await;
            }
            browser.shows("#link", "Reconnecting").await;
            seen_at_cut.push(shown(&browser).await.len());
            proxy.open();
            while shown(&browser).await.len() < told {
                assert!(start.elapsed() < DEADLINE, "{} are missing", told - shown(&browser).await.len());
                sleep(POLL).await;
            }
        }
        let (names, streams, sent) = (shown(&browser).await, proxy.streams(), proxy.messages());
        println!("cut with {seen_at_cut:?} of {PRODUCTS} messages on the page; {streams} streams, {sent} messages on the wire");
        let is_in_the_middle = |(batch, seen): (usize, &usize)| (batch * BATCH..(batch + 1) * BATCH).contains(seen);
        assert!(seen_at_cut.iter().enumerate().all(is_in_the_middle), "{seen_at_cut:?}");
        assert_eq!(streams, 1 + cuts, "it came back once after each cut");
        // Each stream goes on behind the last message that the page has: only what was cut is sent again.
        assert!((PRODUCTS..=PRODUCTS + cuts).contains(&sent), "{sent} messages were sent");
        let told: BTreeSet<&String> = names.iter().collect();
        assert_eq!((names.len(), told.len()), (PRODUCTS, PRODUCTS), "each once: {names:?}");
        // In their order, the newest first: as a page that was never cut off shows them.
        browser.client.refresh().await.expect("it loads again");
        browser.shows("#link", "Live").await;
        while browser.client.find(fantoccini::Locator::Css("#older:not([hidden])")).await.is_ok() {
            browser.press("#older").await;
            sleep(POLL).await;
        }
        assert_eq!(shown(&browser).await, names);
        browser.is_quiet(|line| line.contains("net::ERR_")).await;
    })
    .await;
}

//! The person at the cursor, when it passes people who were told before it came to them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use restock::demo::receiver::{Reaction, Receiver};
use serde_json::json;

use super::shop::Shop;

/// Five people; the third cannot be told, while the two behind are. Then the round goes on.
async fn goes_on(resume: &[&str]) -> Shop {
    let shop = Shop::open().await;
    shop.done(&["subscribe", "42", "1001", "1002", "1003", "1004", "1005"]).await;
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = mended.clone();
    let receiver = Receiver::start(move |delivery| match delivery.key.user.0 {
        1003 if !is_mended.load(Ordering::Relaxed) => Reaction::status(500),
        _ => Reaction::accept(),
    })
    .await
    .expect("the receiver starts");
    let url = receiver.url();
    let _roles = (shop.flusher(), shop.worker(&["--webhook-url", &url, "--retry-max", "1"]));
    assert_eq!(shop.run(&["enqueue", "42", "--wait"]).await.code, 11);
    let row = &shop.json(&["status", "42"]).await[0];
    assert_eq!((&row["sent"], &row["last_user"]), (&json!(4), &json!(1002)), "{row}");
    mended.store(true, Ordering::Relaxed);
    shop.done(resume).await;
    shop
}

#[tokio::test]
async fn the_last_person_is_the_one_at_the_cursor_also_when_they_were_told_ahead_of_it() {
    for resume in [&["resume", "42", "--wait"][..], &["resume", "42", "--skip", "--wait"]] {
        let shop = goes_on(resume).await;
        let last = &shop.json(&["history", "42", "--round", "1"]).await[4];
        let _flusher = shop.flusher();
        let row = &shop.until(&["status", "42"], |rows| rows[0]["status"] == "COMPLETED").await[0];
        assert_eq!((&row["cursor"], &row["last_user"]), (&last["place"], &json!(1005)), "{resume:?}: {row}");
        assert_eq!(shop.json(&["verify", "42"]).await["ok"], true);
    }
}

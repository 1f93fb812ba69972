//! Two servers for one shop.

use futures_util::future::join_all;

use super::shop::Shop;

#[tokio::test]
async fn the_same_key_at_both_at_once_gives_one_round() {
    let shop = Shop::open().await;
    let (one, other) = (shop.api().await, shop.api().await);
    for round in 1..=25 {
        let key = format!("delivery-{round}");
        let headers = [("idempotency-key", key.as_str())];
        let both = (0..6).map(|n| {
            let api = if n % 2 == 0 { &one } else { &other };
            api.ask("POST", "/api/products/42/notifications/re-stock", &headers, "")
        });
        for answer in join_all(both).await {
            let answer = answer.is(202);
            assert_eq!(answer.body["round"], round, "{answer:?}");
        }
    }
    assert_eq!(one.get("/api/products/42").await.body["round"], 25);
}

#[tokio::test]
async fn one_that_is_killed_is_not_missed() {
    let shop = Shop::open().await;
    let (mut one, other) = (shop.api().await, shop.api().await);
    let headers = |key: &str| [("idempotency-key".to_owned(), key.to_owned())];
    let mut rounds = Vec::new();
    for n in 1..=40 {
        let key = headers(&format!("k{n}"));
        let key = [(key[0].0.as_str(), key[0].1.as_str())];
        let path = "/api/products/42/notifications/re-stock";
        if n == 20 {
            one.child.start_kill().expect("it is killed");
        }
        // What a proxy does: whoever does not answer is passed over, and the key makes that safe.
        let answer = match one.try_ask("POST", path, &key, "").await {
            Ok(answer) => answer,
            Err(_) => other.ask("POST", path, &key, "").await,
        };
        rounds.push(answer.is(202).body["round"].clone());
    }
    assert_eq!(rounds, (1..=40).map(serde_json::Value::from).collect::<Vec<_>>());
    one.child.wait().await.expect("it has ended");
}

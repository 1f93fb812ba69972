//! Who may do what.

use futures_util::future::join_all;
use restock::token::{TokenHash, fresh};

use super::shop::Shop;

const PRODUCER_READS: &str = "/api/products/42";
const ADMIN_READS: &str = "/api/rate";
const PAUSE: &str = "/api/admin/products/42/notifications/pause";

#[tokio::test]
async fn a_token_opens_what_it_is_for() {
    let shop = Shop::open().await;
    let (old, new, admin) = (fresh(), fresh(), fresh());
    let producers = format!("shop:{},{}", TokenHash::of(&old), TokenHash::of(&new));
    let admins = format!("ann:{}", TokenHash::of(&admin));
    let mut api = shop.start(&["--producer-token-hash", &producers, "--admin-token-hash", &admins]).await;
    api = api.with_token(Some(&admin));
    api.until(|answer| answer.status == 200, PRODUCER_READS).await;
    for (token, producer, of_admin) in [
        (Some(old.as_str()), 200, 403),
        (Some(new.as_str()), 200, 403),
        (Some(admin.as_str()), 200, 200),
        (Some("rst_guess"), 401, 401),
        (Some(""), 401, 401),
        (None, 401, 401),
    ] {
        api = api.with_token(token);
        for (path, status) in [(PRODUCER_READS, producer), (ADMIN_READS, of_admin)] {
            let answer = api.get(path).await.is(status);
            let challenge = answer.header("www-authenticate");
            assert_eq!(challenge.starts_with("Bearer realm=\"restock\""), status == 401, "{answer:?}");
            assert_eq!(challenge.contains("invalid_token"), status == 401 && token.is_some(), "{answer:?}");
        }
    }
    api = api.with_token(Some(&new));
    api.post(PAUSE, "").await.fails(403, "forbidden", "");
    api.get("/metrics").await.fails(403, "forbidden", "");
    api.post("/admin/products/42/notifications/re-stock", "").await.fails(403, "forbidden", "");
    api = api.with_token(None);
    api.post("/products/42/notifications/re-stock", "").await.fails(401, "unauthorized", "");
    let basic = [("authorization", "Basic YTpi")];
    api.ask("GET", PRODUCER_READS, &basic, "").await.fails(401, "unauthorized", "");
    api.get("/metrics").await.fails(401, "unauthorized", "");
    // What is no secret, and what is not there, needs no token.
    for open in ["/openapi.json", "/livez", "/readyz"] {
        api.get(open).await.is(200);
    }
    api.get("/nothing").await.is(404);

    api = api.with_token(Some(&admin));
    api.post(PAUSE, "").await.is(200);
    let metrics = api.get("/metrics").await.is(200);
    assert!(metrics.body.as_str().is_some_and(|text| text.contains("restock_http_requests_total")), "{metrics:?}");
    let actions = shop.cli(&["actions", "--output", "json"]).await;
    assert!(actions.contains("\"by\": \"ann\""), "{actions}");
    assert!(!actions.contains("forbidden"), "{actions}");
}

#[tokio::test]
async fn without_tokens_web_pages_cannot_use_it() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    let restock = "/products/42/notifications/re-stock";
    let evil = [("origin", "https://evil.example")];
    api.ask("POST", restock, &evil, "").await.fails(403, "forbidden", "");
    let rebound = [("host", "evil.example")];
    api.ask("POST", restock, &rebound, "").await.fails(421, "misdirected", "");
    for (name, value) in
        [("x-forwarded-for", "203.0.113.7"), ("forwarded", "for=203.0.113.7"), ("x-real-ip", "203.0.113.7")]
    {
        api.ask("POST", restock, &[(name, value)], "").await.fails(403, "forbidden", "");
    }
    let own = format!("http://{}", api.address);
    api.ask("POST", restock, &[("origin", own.as_str())], "").await.is(202);
}

#[tokio::test]
async fn of_two_tokens_none_counts() {
    let shop = Shop::open().await;
    let token = fresh();
    let api = shop.start(&["--producer-token-hash", &TokenHash::of(&token).to_string()]).await;
    api.until(|answer| answer.status == 200, "/readyz").await;
    let (good, bad) = (format!("Bearer {token}"), format!("Bearer {}", fresh()));
    for tokens in [[&good, &bad], [&bad, &good], [&good, &good]] {
        let twice = tokens.map(|token| ("authorization", token.as_str()));
        api.ask("GET", PRODUCER_READS, &twice, "").await.fails(401, "unauthorized", "");
    }
    api.ask("GET", PRODUCER_READS, &[("authorization", &good)], "").await.is(200);
}

#[tokio::test]
async fn pages_may_not_call_a_server_without_tokens() {
    let shop = Shop::open().await;
    let (code, said) = shop.refuses(&["--allow-origin", "https://shop.example"]).await;
    assert!(code == Some(2) && said.contains("--producer-token-hash") && said.lines().count() == 1, "{code:?}: {said}");
}

#[tokio::test]
async fn a_page_may_call_from_an_origin_that_was_named() {
    let shop = Shop::open().await;
    let token = fresh();
    let hash = TokenHash::of(&token).to_string();
    let args = ["--producer-token-hash", hash.as_str(), "--allow-origin", "https://shop.example"];
    let api = shop.start(&args).await.with_token(Some(&token));
    api.until(|answer| answer.status == 200, PRODUCER_READS).await;
    for (origin, allowed) in [("https://shop.example", "https://shop.example"), ("https://evil.example", "")] {
        let asked = [("origin", origin), ("access-control-request-method", "PUT")];
        let before = api.ask("OPTIONS", PRODUCER_READS, &asked, "").await;
        assert_eq!(before.header("access-control-allow-origin"), allowed, "{before:?}");
        let answer = api.ask("GET", PRODUCER_READS, &[("origin", origin)], "").await.is(200);
        assert_eq!(answer.header("access-control-allow-origin"), allowed, "{answer:?}");
        assert_eq!(answer.header("access-control-allow-credentials"), "");
    }
}

#[tokio::test]
async fn strangers_do_not_use_up_what_belongs_to_callers() {
    let shop = Shop::open().await;
    let token = fresh();
    let hash = TokenHash::of(&token).to_string();
    let api = shop.start(&["--producer-token-hash", &hash, "--requests-per-second", "5"]).await;
    api.until(|answer| answer.status == 200, "/readyz").await;
    for (path, wanted) in [(PRODUCER_READS, 401), ("/openapi.json", 200), ("/nothing", 404)] {
        let strangers = join_all((0..100).map(|_| api.get(path))).await;
        assert!(strangers.iter().any(|answer| answer.status == 429), "{path} has no limit");
        assert!(strangers.iter().all(|answer| answer.status == 429 || answer.status == wanted), "{path}");
    }
    let bearer = format!("Bearer {token}");
    for _ in 0..5 {
        api.ask("GET", PRODUCER_READS, &[("authorization", &bearer)], "").await.is(200);
    }
}

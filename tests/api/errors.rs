//! What cannot be read, is not there, or is too much: the right 4xx, in one form.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::shop::{Api, Shop};

/// Sends these bytes as they are.
async fn raw(api: &Api, request: &str) -> String {
    let mut stream = TcpStream::connect(&api.address).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut answer = Vec::new();
    // It may close what it does not want to read to the end.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said_in_one_form() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    for (method, path, body, status, kind, field) in [
        ("GET", "/nothing", "", 404, "not-found", ""),
        ("GET", "/api", "", 404, "not-found", ""),
        ("GET", "/docs/nothing", "", 404, "not-found", ""),
        ("PATCH", "/api/products/42", "", 405, "method-not-allowed", ""),
        ("OPTIONS", "/api/products/42", "", 405, "method-not-allowed", ""),
        ("GET", "/api/products/0", "", 400, "bad-request", "productId"),
        ("GET", "/api/products/x", "", 400, "bad-request", "productId"),
        ("GET", "/api/products/9223372036854775808", "", 400, "bad-request", "productId"),
        ("GET", "/api/products/42/rounds/4294967296", "", 400, "bad-request", "round"),
        ("GET", "/api/products/42/subscriptions/-1", "", 400, "bad-request", "userId"),
        ("GET", "/api/products/%ff", "", 400, "bad-request", ""),
        ("GET", "/api/products?limit=1001", "", 400, "bad-request", "limit"),
        ("GET", "/api/products?limit=ten", "", 400, "bad-request", "limit"),
        ("GET", "/api/products?limit=1&limit=2", "", 400, "bad-request", "limit"),
        ("GET", "/api/products?colour=red", "", 400, "bad-request", "colour"),
        ("GET", "/api/products/42?colour=red", "", 400, "bad-request", "colour"),
        ("GET", "/api/products/42/rounds/1?limit=1", "", 400, "bad-request", "limit"),
        ("PUT", "/api/products/43?a%20b", r#"{"name":"a"}"#, 400, "bad-request", "a b"),
        ("PUT", "/api/products/42/subscriptions/1?active=false", "", 400, "bad-request", "active"),
        ("POST", "/api/products/42/subscriptions?user=1", "", 400, "bad-request", "user"),
        ("POST", "/products/42/notifications/re-stock?quantity=5", "", 400, "bad-request", "quantity"),
        ("POST", "/admin/products/42/notifications/re-stock?skip", "", 400, "bad-request", "skip"),
        ("GET", "/api/products/42/rounds/1/recipients?after=now", "", 400, "bad-request", "after"),
        ("PUT", "/api/products/43", "{", 400, "bad-request", "body"),
        ("PUT", "/api/products/43", r#"{"name":"a"} {}"#, 400, "bad-request", "body"),
        ("PUT", "/api/products/43", "", 400, "bad-request", "body"),
        ("PUT", "/api/products/43", "[]", 422, "invalid-fields", "body"),
        ("PUT", "/api/products/43", "true", 422, "invalid-fields", "body"),
        ("PUT", "/api/products/43", "{}", 422, "invalid-fields", "name"),
        ("PUT", "/api/products/43", r#"{"name":7}"#, 422, "invalid-fields", "name"),
        ("PUT", "/api/products/42/stock", r#"{"stock":"unknown field `id`"}"#, 422, "invalid-fields", "stock"),
        ("PUT", "/api/products/43", r#"{"name":" "}"#, 422, "invalid-fields", "name"),
        ("PUT", "/api/products/43", r#"{"name":"a","sku":" a"}"#, 422, "invalid-fields", "sku"),
        ("PUT", "/api/products/43", r#"{"name":"a","name":"b"}"#, 422, "invalid-fields", "name"),
        ("PUT", "/api/products/43", r#"{"name":"a","colour":"red"}"#, 422, "invalid-fields", "colour"),
        (
            "POST",
            "/api/products/42/notifications/re-stock",
            r#"{"quantity":2147483648}"#,
            422,
            "invalid-fields",
            "quantity",
        ),
        ("POST", "/api/products/42/notifications/re-stock", r#"{"quantity":-1}"#, 422, "invalid-fields", "quantity"),
    ] {
        let answer = api.ask(method, path, &[("content-type", "application/json")], body).await;
        let answer = answer.fails(status, kind, field);
        assert_eq!(answer.body["instance"].as_str(), path.split('?').next(), "{answer:?}");
        assert!(answer.body["detail"].as_str().is_some_and(|detail| !detail.contains("struct")), "{answer:?}");
    }
    api.get("/api/products/43").await.fails(404, "not-found", "");
    assert_eq!(api.ask("DELETE", "/api/products/42", &[], "").await.header("allow"), "GET,HEAD,PUT");
}

#[tokio::test]
async fn headers_are_read_with_care() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    let restock = "/api/products/42/notifications/re-stock";
    for (name, value, body, status, kind, field) in [
        ("content-type", "text/plain", "{}", 415, "unsupported-media-type", "Content-Type"),
        ("content-encoding", "gzip", "{}", 415, "unsupported-media-type", "Content-Encoding"),
        ("idempotency-key", "#7", "", 400, "bad-request", "Idempotency-Key"),
        ("idempotency-key", "\"\"", "", 400, "bad-request", "Idempotency-Key"),
        ("idempotency-key", "å", "", 400, "bad-request", "Idempotency-Key"),
        ("idempotency-key", "\"a\\x\"", "", 400, "bad-request", "Idempotency-Key"),
        ("idempotency-key", "\"a\"b\"", "", 400, "bad-request", "Idempotency-Key"),
        ("idempotency-key", "\"a", "", 400, "bad-request", "Idempotency-Key"),
    ] {
        api.ask("POST", restock, &[(name, value)], body).await.fails(status, kind, field);
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "b")];
    api.ask("POST", restock, &twice, "").await.fails(400, "bad-request", "Idempotency-Key");
    let json = ("content-type", "application/json");
    let types = [json, ("content-type", "text/plain")];
    api.ask("POST", restock, &types, "{}").await.fails(400, "bad-request", "Content-Type");
    let encodings = [json, ("content-encoding", "identity"), ("content-encoding", "gzip")];
    api.ask("POST", restock, &encodings, "{}").await.fails(400, "bad-request", "Content-Encoding");
    let tags = [json, ("if-match", "\"a\""), ("if-match", "*")];
    api.ask("PUT", "/api/products/42/stock", &tags, r#"{"stock":1}"#).await.fails(400, "bad-request", "If-Match");
    assert_eq!(api.get("/api/products/42").await.is(200).body["round"], 0, "what is refused does nothing");
    let charset = [("content-type", "Application/JSON; charset=utf-8")];
    api.ask("POST", restock, &charset, "{}").await.is(202);
}

#[tokio::test]
async fn a_request_is_for_the_server_that_all_of_it_names() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    for (target, hosts, status) in [
        ("/api/products/42", "host: localhost\r\n", 200),
        ("http://localhost/api/products/42", "host: localhost\r\n", 200),
        ("/api/products/42", "host: localhost\r\nhost: evil.example\r\n", 400),
        ("/api/products/42", "host: evil.example\r\nhost: localhost\r\n", 400),
        ("http://evil.example/api/products/42", "host: localhost\r\n", 421),
        ("http://localhost/api/products/42", "host: evil.example\r\n", 421),
        ("/api/products/42", "host: evil@localhost\r\n", 421),
        ("/api/products/42", "", 421),
    ] {
        let answer = raw(&api, &format!("GET {target} HTTP/1.1\r\n{hosts}connection: close\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{target} {hosts}: {answer}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_kept() {
    let shop = Shop::open().await;
    let api = shop.api_with(&["--body-bytes-max", "1000"]).await;
    let restock = "/api/products/42/notifications/re-stock";
    api.post(restock, &format!("{{{}}}", " ".repeat(1_000))).await.fails(413, "too-large", "");
    api.post(restock, &format!("{{{}}}", " ".repeat(998))).await.is(202);
    // A length is only a promise: this one is told by its chunks.
    let chunk = format!("3e9\r\n{}\r\n0\r\n\r\n", " ".repeat(0x3e9));
    let head = format!(
        "POST {restock} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n"
    );
    let answer = raw(&api, &format!("{head}transfer-encoding: chunked\r\n\r\n{chunk}")).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    let many: String = (0..100).map(|n| format!("x-{n}: 1\r\n")).collect();
    let answer = raw(&api, &format!("{head}{many}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let answer = raw(&api, &format!("{head}x: {}\r\n\r\n", "x".repeat(20_000))).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[tokio::test]
async fn every_answer_is_for_who_asked_and_the_description_needs_nobody_else() {
    let shop = Shop::open().await;
    let api = shop.api().await;
    for path in ["/api/products/42", "/nothing", "/openapi.json", "/docs/", "/docs/swagger-ui-bundle.js"] {
        let answer = api.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
    let page = api.get("/docs/").await.is(200).body;
    assert!(page.as_str().is_some_and(|page| !page.contains("http://") && !page.contains("https://")), "{page}");
    assert!(page.as_str().is_some_and(|page| !page.contains("<style") && !page.contains("onload=")), "{page}");
    let description = api.get("/openapi.json").await.is(200).body;
    assert_eq!(description["openapi"], "3.1.0");
    let paths = description["paths"].as_object().expect("paths");
    assert!(paths.contains_key("/products/{productId}/notifications/re-stock"), "{paths:?}");
    assert!(paths.contains_key("/api/products/{productId}/rounds/{round}/recipients"), "{paths:?}");
}

//! What the description says of itself: every operation is closed to those who have no token for it.

use restock::token::{TokenHash, fresh};
use serde_json::Value;

use super::shop::Shop;

/// Every operation: method, path with numbers in it, whether it is for admins.
fn operations(description: &Value) -> Vec<(String, String, bool)> {
    let paths = description["paths"].as_object().expect("paths");
    let mut found = Vec::new();
    for (path, methods) in paths {
        let path =
            path.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect::<Vec<_>>().join("/");
        for (method, operation) in methods.as_object().expect("methods") {
            assert_eq!(operation["security"][0]["token"], Value::Array(Vec::new()), "{method} {path}");
            let is_for_admins = operation["tags"][0] == "Admin";
            let is_for_users = path.contains("/users/");
            assert_eq!(operation["security"][1]["userToken"].is_array(), is_for_users, "{method} {path}");
            assert_eq!(operation["responses"]["403"].is_object(), is_for_admins || is_for_users, "{method} {path}");
            found.push((method.to_uppercase(), path.clone(), is_for_admins));
        }
    }
    found
}

#[tokio::test]
async fn every_operation_needs_the_token_that_it_says() {
    let shop = Shop::open().await;
    let token = fresh();
    let hash = TokenHash::of(&token).to_string();
    let api = shop.start(&["--producer-token-hash", &hash]).await;
    api.until(|answer| answer.status == 200, "/readyz").await;
    let operations = operations(&api.get("/openapi.json").await.is(200).body);
    let (for_admins, for_producers): (Vec<_>, Vec<_>) =
        operations.iter().partition(|(.., is_for_admins)| *is_for_admins);
    assert!(for_admins.len() >= 9 && for_producers.len() >= 14, "{operations:?}");
    let bearer = format!("Bearer {token}");
    for (method, path, is_for_admins) in &operations {
        api.ask(method, path, &[], "").await.fails(401, "unauthorized", "");
        let answer = api.ask(method, path, &[("authorization", &bearer)], "").await;
        if *is_for_admins {
            answer.fails(403, "forbidden", "");
        } else {
            assert!(!matches!(answer.status, 401 | 403), "{method} {path}: {answer:?}");
        }
    }
}

//! A stream of events behind nginx.

use std::time::{Duration, Instant};

use restock::{
    clock::wall_us,
    ids::UserId,
    token::fresh,
    user_token::{self, UserTokenKey},
};

use super::{
    deployment::{Deployment, client},
    proxy::{DEADLINE, FAILING, api, fixed, nginx, until_ready},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_passes_at_once_and_its_token_is_written_nowhere() {
    let deployment = Deployment::open("inbox", 0).await;
    let (token, key) = (fresh(), user_token::fresh_key());
    let signer: UserTokenKey = key.parse().expect("a key");
    let api = api(&deployment, &token, &["--user-token-key", &key]).await;
    api.until_ready(true).await;
    let folder = tempfile::tempdir().expect("a folder");
    let site = fixed(&[&api.address], FAILING);
    let Some((_nginx, url)) = nginx(folder.path(), &site).await else { return };
    until_ready(&url).await;
    let own = signer.sign(UserId(101), wall_us() / 1_000_000 + 60);
    let path = "/api/users/101/notifications/stream";
    let mut stream = client().get(format!("{url}{path}?token={own}")).send().await.expect("an answer");
    assert_eq!(stream.status(), 200);
    // The greeting is a few bytes: who gathers would wait for more.
    let first = tokio::time::timeout(DEADLINE, stream.chunk()).await.expect("at once").expect("it is open");
    assert!(first.is_some_and(|greeting| greeting.starts_with(b"retry: ")));
    drop(stream);
    let start = Instant::now();
    loop {
        let log = std::fs::read_to_string(folder.path().join("access.log")).unwrap_or_default();
        if log.contains(path) {
            assert!(!log.contains("rsu_") && !log.contains("token="), "{log}");
            break;
        }
        assert!(start.elapsed() < DEADLINE, "nginx writes nothing down: {log}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

//! What is shipped to be run as it stands carries no secret that somebody else knows, and names what it builds on.

use std::process::Command;

use super::deployment::API;

const COMPOSE: &str = include_str!("../../docker-compose.yml");
const DOCKERFILE: &str = include_str!("../../Dockerfile");
const KUBERNETES: [&str; 5] = [
    include_str!("../../deploy/kubernetes/api.yaml"),
    include_str!("../../deploy/kubernetes/flusher.yaml"),
    include_str!("../../deploy/kubernetes/migrate.yaml"),
    include_str!("../../deploy/kubernetes/settings.yaml"),
    include_str!("../../deploy/kubernetes/worker.yaml"),
];

#[test]
fn nothing_that_is_shipped_carries_a_secret() {
    for text in KUBERNETES.into_iter().chain([COMPOSE, DOCKERFILE]) {
        assert!(!text.contains("rst_") && !text.contains("stringData"), "{text}");
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        let mut hashes = words.filter(|word| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(hashes.next(), None, "a hash of a token");
        let mut logins =
            text.split("://").skip(1).filter_map(|rest| rest.split(['/', ' ', '\n']).next()?.split_once('@'));
        assert!(logins.all(|(login, _)| !login.contains(':')), "a password: {text}");
    }
    for name in ["RESTOCK_API_PRODUCER_TOKENS", "RESTOCK_API_ADMIN_TOKENS", "RESTOCK_WEBHOOK_SECRET"] {
        assert!(COMPOSE.contains(&format!("{name}: ${{{name}:-}}")), "{name} has no default");
    }
}

#[test]
fn an_api_as_compose_starts_it_without_tokens_says_what_it_needs() {
    let mut api = Command::new(API);
    api.env("RESTOCK_LISTEN", "0.0.0.0:0").env("RESTOCK_API_PRODUCER_TOKENS", "").env("RESTOCK_API_ADMIN_TOKENS", "");
    let ended = api.env_remove("RESTOCK_METRICS_LISTEN").output().expect("it runs");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!((ended.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("RESTOCK_API_ADMIN_TOKENS") && said.contains("restock-cli token"), "{said}");
}

#[test]
fn what_it_builds_on_is_named_by_its_version() {
    let named = |text: &'static str, word| text.lines().filter_map(move |line| line.trim().strip_prefix(word));
    let ours = |image: &&str| *image != "restock" && !image.starts_with("&");
    let images: Vec<&str> = named(DOCKERFILE, "FROM ").chain(named(COMPOSE, "image: ").filter(ours)).collect();
    assert!(images.len() >= 7, "{images:?}");
    for image in images {
        let tag = image.split_whitespace().next().and_then(|name| name.split_once(':')).map_or("", |(_, tag)| tag);
        let version = tag.trim_start_matches('v').split('-').next().unwrap_or_default();
        let numbers = version.split('.').filter(|part| part.parse::<u32>().is_ok()).count();
        assert!(numbers >= 2, "{image} is another one tomorrow");
    }
}

//! The channels against real sockets and real files: what each answer of a provider means, and what is sent.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

#[path = "channel/garbage.rs"]
mod garbage;
#[path = "channel/server.rs"]
mod server;

use std::{
    collections::HashSet,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use clap::Parser;
use futures_util::future::join_all;
use restock::{
    channel::{Answer, ChannelOptions, Message, ProductCard, Sender, signature::Signer},
    ids::{ProductId, Round, UserId},
    local::Port,
};
use secrecy::SecretString;

use server::{Reply, Server};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    channels: ChannelOptions,
}

fn sender(channel: &str, args: &[&str]) -> Arc<dyn Sender> {
    let program = Program::parse_from([&["restock"], args].concat());
    program.channels.build(&channel.parse().unwrap()).unwrap()
}

fn webhook(url: &str, args: &[&str]) -> Arc<dyn Sender> {
    sender("webhook", &[&["--webhook-url", url], args].concat())
}

fn message(user: i64) -> Message {
    Message {
        product: Arc::new(ProductCard {
            id: ProductId(42),
            sku: Some("47566".parse().unwrap()),
            name: "Party bunting".to_owned(),
        }),
        round: Round(3),
        channel: "webhook".parse().unwrap(),
        user: UserId(user),
        started_us: 1_700_000_000_123_456,
        traceparent: None,
    }
}

fn retry(reason: &str, after: Option<Duration>, answered: bool) -> Answer {
    Answer::Retry { reason: reason.to_owned(), after, answered }
}

/// What a webhook answers to one person whom the server treats so.
async fn answer_to(reply: Reply) -> Answer {
    let server = Server::start(move |_| reply.clone()).await;
    webhook(&server.url(), &[]).send(message(1)).await
}

#[tokio::test]
async fn every_row_of_the_answer_table() {
    for code in [200, 201, 202, 204] {
        assert_eq!(answer_to(Reply::status(code)).await, Answer::Delivered);
    }
    for code in [410, 422] {
        assert_eq!(answer_to(Reply::status(code)).await, Answer::Refused(format!("webhook answered {code}")));
    }
    for code in [408, 425, 429, 500, 502, 503, 504] {
        assert_eq!(answer_to(Reply::status(code)).await, retry(&format!("webhook answered {code}"), None, true));
    }
    for code in [400, 401, 403, 404, 405, 409, 413, 418] {
        assert_eq!(answer_to(Reply::status(code)).await, Answer::Misconfigured(format!("webhook answered {code}")));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let server = Server::start(|_| Reply::with_head(307, "location: /elsewhere\r\n")).await;
    let answer = webhook(&server.url(), &[]).send(message(1)).await;
    assert_eq!(answer, Answer::Misconfigured("webhook answered 307; redirects are not followed".to_owned()));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn retry_after_is_honoured_in_both_forms() {
    let seconds = Reply::with_head(429, "retry-after: 17\r\n");
    assert_eq!(answer_to(seconds).await, retry("webhook answered 429", Some(Duration::from_secs(17)), true));

    let at = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
    let date = Reply::with_head(503, &format!("retry-after: {at}\r\n"));
    let Answer::Retry { after: Some(after), answered: true, .. } = answer_to(date).await else {
        panic!("a retry with a time");
    };
    assert!((3500..=3600).contains(&after.as_secs()), "{after:?}");
}

#[tokio::test]
async fn a_request_is_what_the_contract_says() {
    let server = Server::start(|_| Reply::status(200)).await;
    webhook(&server.url(), &["--webhook-secret", SECRET]).send(message(1001)).await;
    webhook(&server.url(), &[]).send(message(1001)).await;
    let seen = server.seen();
    let [signed, unsigned] = seen.as_slice() else { panic!("two requests") };

    assert_eq!(signed.line, "POST /hooks/KEY?token=T HTTP/1.1");
    assert_eq!(
        signed.body,
        r#"{"type":"product.restocked","timestamp":"2023-11-14T22:13:20.123456Z","data":{"product_id":42,"sku":"47566","name":"Party bunting","restock_round":3,"user_id":1001}}"#
    );
    for (name, value) in [
        ("content-type", "application/json"),
        ("webhook-id", "42-3-webhook-1001"),
        ("webhook-timestamp", "1700000000"),
        ("restock-started-at", "1700000000123456"),
    ] {
        assert_eq!(signed.header(name), Some(value), "{name}");
        assert_eq!(unsigned.header(name), Some(value), "{name}");
    }
    let signer = Signer::parse(&SecretString::from(SECRET)).unwrap();
    let expected = signer.sign("42-3-webhook-1001", 1_700_000_000, signed.body.as_bytes());
    assert_eq!(signed.header("webhook-signature"), Some(expected.as_str()));
    assert_eq!(unsigned.header("webhook-signature"), None);
}

#[tokio::test]
async fn silence_ends_at_the_timeout_and_a_late_body_does_not_undo_the_status() {
    let server = Server::start(|_| Reply::Silence).await;
    let sender = webhook(&server.url(), &["--send-timeout-ms", "150"]);
    assert_eq!(sender.send(message(1)).await, retry("no answer: timed out after 150 ms", None, false));

    let server = Server::start(|_| Reply::HeadOnly(200)).await;
    let sender = webhook(&server.url(), &["--send-timeout-ms", "150"]);
    assert_eq!(sender.send(message(1)).await, Answer::Delivered);
}

#[tokio::test]
async fn the_wait_for_a_connection_counts() {
    let server = Server::start(|_| Reply::Silence).await;
    let sender = webhook(&server.url(), &["--send-timeout-ms", "150", "--connections-max", "1"]);
    let answers = join_all((1..=3).map(|user| sender.send(message(user)))).await;
    assert!(answers.iter().all(|answer| *answer == retry("no answer: timed out after 150 ms", None, false)));
}

#[tokio::test]
async fn no_answer_is_a_retry_that_says_so() {
    let port = Port::find().unwrap();
    let refused = webhook(&format!("http://127.0.0.1:{port}/hooks"), &[]).send(message(1)).await;
    assert_eq!(refused, retry("no answer: connection refused", None, false));
    assert_eq!(answer_to(Reply::Reset).await, retry("no answer: connection reset", None, false));
    assert_eq!(answer_to(Reply::Close).await, retry("no answer: connection closed", None, false));

    // A name of no valid form fails in any resolver without asking a server.
    let name = format!("http://{}.invalid/hooks", "a".repeat(64));
    let unresolved = webhook(&name, &[]).send(message(1)).await;
    assert_eq!(unresolved, retry("no answer: host name not resolved", None, false));
}

#[tokio::test]
async fn what_is_not_http_is_our_mistake() {
    let answer = answer_to(Reply::Raw("SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned())).await;
    assert_eq!(answer, Answer::Misconfigured("webhook's answer is not HTTP".to_owned()));
}

#[tokio::test]
async fn a_certificate_that_does_not_verify_is_our_mistake() {
    let url = server::serve_untrusted_tls();
    let answer = webhook(&url, &[]).send(message(1)).await;
    let Answer::Misconfigured(reason) = answer else { panic!("{answer:?}") };
    assert!(reason.starts_with("webhook's certificate does not verify"), "{reason}");
}

#[tokio::test]
async fn connections_are_kept_and_bounded() {
    let server = Server::start(|_| Reply::status(200)).await;
    let sender = webhook(&server.url(), &["--connections-max", "4"]);
    assert_eq!(sender.connections_max(), 4);
    for wave in 0..10 {
        let answers = join_all((1..=20).map(|user| sender.send(message(wave * 20 + user)))).await;
        assert!(answers.iter().all(|answer| *answer == Answer::Delivered));
    }
    let seen = server.seen();
    let users: HashSet<_> = seen.iter().map(|request| request.header("webhook-id").unwrap()).collect();
    assert_eq!((seen.len(), users.len()), (200, 200));
    eprintln!("connections {}", server.connections());
    assert!(server.connections() <= 4, "{} connections", server.connections());
    assert!(server.in_flight_max() <= 4, "{} at once", server.in_flight_max());
}

#[tokio::test]
async fn an_answer_with_a_body_keeps_its_connection_and_a_long_one_costs_it() {
    let server = Server::start(|_| Reply::with_body(500, 60_000)).await;
    let sender = webhook(&server.url(), &[]);
    for user in 1..=5 {
        assert_eq!(sender.send(message(user)).await, retry("webhook answered 500", None, true));
    }
    assert_eq!(server.connections(), 1);

    let server = Server::start(|_| Reply::with_body(500, 1_000_000)).await;
    let sender = webhook(&server.url(), &[]);
    for user in 1..=2 {
        assert_eq!(sender.send(message(user)).await, retry("webhook answered 500", None, true));
    }
    assert_eq!(server.connections(), 2);
}

fn temp_file() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("told.jsonl").to_str().unwrap().to_owned();
    (folder, path)
}

fn users_in(path: impl AsRef<Path>) -> Vec<i64> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["data"]["user_id"].as_i64().unwrap())
        .collect()
}

#[tokio::test]
async fn lines_stand_in_the_order_of_the_calls_whatever_is_polled_first() {
    let (_folder, path) = temp_file();
    let sender = sender("file", &["--file-path", &path]);
    let mut sends: Vec<_> = (1..=1000).map(|user| sender.send(message(user))).collect();
    sends.reverse();
    assert!(join_all(sends).await.iter().all(|answer| *answer == Answer::Delivered));
    assert_eq!(users_in(&path), (1..=1000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_delivered_line_can_be_read_at_once_and_a_later_process_appends() {
    let (_folder, path) = temp_file();
    std::fs::write(&path, "{\"data\":{\"user_id\":").unwrap();
    for user in 1..=3 {
        let sender = sender("file", &["--file-path", &path]);
        assert_eq!(sender.send(message(user)).await, Answer::Delivered);
        let text = std::fs::read_to_string(&path).unwrap();
        let (torn, lines) = text.split_once('\n').unwrap();
        assert_eq!(torn, "{\"data\":{\"user_id\":", "the line that a crash cut short stays alone");
        assert!(lines.lines().last().unwrap().starts_with(&format!("{{\"key\":\"42-3-webhook-{user}\",\"type\":")));
    }
}

#[tokio::test]
async fn a_full_disk_is_a_retry() {
    let sender = sender("file", &["--file-path", "/dev/full"]);
    let full = retry("the file was not written: no storage space", None, true);
    assert_eq!(sender.send(message(1)).await, full);
    assert_eq!(sender.send(message(2)).await, full);
}

#[tokio::test]
async fn more_lines_than_may_wait_are_put_off_not_kept() {
    // Nobody reads the pipe: the writer stands still with what it took.
    let (_folder, path) = temp_file();
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let reader = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let sender = sender("file", &["--file-path", &path, "--send-timeout-ms", "100"]);
    let max = i64::try_from(sender.connections_max()).unwrap();
    let answers = join_all((1..=3 * max).map(|user| sender.send(message(user)))).await;
    let behind = retry(&format!("the file is behind: {max} lines wait"), None, true);
    let timed_out = retry("no answer: timed out after 100 ms", None, false);
    assert!(answers.contains(&behind));
    assert!(answers.contains(&timed_out));
    drop(reader);
}

//! The webhook receiver of the demo and the tests, over real connections.
#![cfg(feature = "local-servers")]

use std::time::{Duration, Instant};

use restock::{
    demo::receiver::{Behaviour, Reaction, Receiver},
    ids::Round,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

const DEADLINE: Duration = Duration::from_secs(10);

/// One keep-alive connection.
struct Client(TcpStream);

impl Client {
    async fn connect(receiver: &Receiver) -> Self {
        Self(TcpStream::connect(receiver.address()).await.expect("the receiver listens"))
    }

    async fn send(&mut self, headers: &str, body: &str) {
        let length = body.len();
        let request = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{headers}\r\n{body}");
        self.0.write_all(request.as_bytes()).await.expect("the connection is open");
    }

    async fn answer(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = timeout(DEADLINE, self.0.read_u8()).await.expect("an answer in time");
            head.push(byte.expect("the connection is open"));
        }
        String::from_utf8(head).expect("a head in ASCII")
    }

    async fn post(&mut self, id: &str, started_us: i64) -> String {
        self.send(&format!("webhook-id: {id}\r\nrestock-started-at: {started_us}\r\n"), "{}").await;
        self.answer().await
    }
}

#[tokio::test]
async fn each_request_is_recorded_and_answered_as_told() {
    let receiver = Receiver::start(|delivery| match delivery.key.user.0 {
        1 => Reaction { retry_after: Some(Duration::from_millis(1_500)), ..Reaction::status(429) },
        2 => Reaction::status(410).after(Duration::from_millis(50)),
        _ => Reaction::accept(),
    })
    .await
    .unwrap();
    let mut client = Client::connect(&receiver).await;

    let limited = client.post("7-1-webhook-1", 10).await;
    assert!(limited.starts_with("HTTP/1.1 429") && limited.contains("retry-after: 2\r\n"), "{limited}");
    let before = Instant::now();
    assert!(client.post("7-1-webhook-2", 20).await.starts_with("HTTP/1.1 410"));
    assert!(before.elapsed() >= Duration::from_millis(50));
    assert!(client.post("7-1-webhook-3", 30).await.starts_with("HTTP/1.1 200"));
    assert!(client.post("not an id", 40).await.starts_with("HTTP/1.1 400"));

    assert_eq!((receiver.count(), receiver.malformed()), (3, 1));
    let recording = receiver.take_recording();
    let lane = recording.deliveries()[0].key.lane.clone();
    let summary = recording.round(&lane, Round(1));
    assert_eq!((summary.attempts, summary.told, summary.repeats), (3, 1, 0));
    assert_eq!(receiver.count(), 0);
}

#[tokio::test]
async fn signature_and_body_can_be_kept() {
    let receiver = Receiver::start_with(Behaviour { keep_bodies: true, ..Behaviour::default() }).await.unwrap();
    let mut client = Client::connect(&receiver).await;
    let headers =
        "webhook-id: 7-1-webhook-1\r\nrestock-started-at: 1\r\nwebhook-timestamp: 5\r\nwebhook-signature: v1,x=\r\n";
    client.send(headers, r#"{"a":1}"#).await;
    client.answer().await;
    let recording = receiver.recording();
    let delivery = &recording.deliveries()[0];
    assert_eq!((delivery.timestamp.as_deref(), delivery.signature.as_deref()), (Some("5"), Some("v1,x=")));
    assert_eq!(&delivery.body[..], br#"{"a":1}"#);
}

#[tokio::test]
async fn a_hanging_request_is_recorded_without_an_answer() {
    let receiver = Receiver::start(|_| Reaction::hang()).await.unwrap();
    let mut client = Client::connect(&receiver).await;
    client.send("webhook-id: 7-1-webhook-1\r\nrestock-started-at: 1\r\n", "").await;
    timeout(DEADLINE, receiver.wait_for(1)).await.unwrap();
    assert_eq!(receiver.recording().deliveries()[0].status, None);

    drop(receiver);
    let end = timeout(DEADLINE, client.0.read(&mut [0])).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)), "the connection is closed with the receiver: {end:?}");
}

#[tokio::test]
async fn many_connections_lose_nothing() {
    const CONNECTIONS: i64 = 64;
    const REQUESTS: i64 = 50;
    let receiver = Receiver::start(|_| Reaction::accept()).await.unwrap();
    let mut clients = tokio::task::JoinSet::new();
    for connection in 0..CONNECTIONS {
        let mut client = Client::connect(&receiver).await;
        clients.spawn(async move {
            for request in 0..REQUESTS {
                let user = 1 + connection * REQUESTS + request;
                assert!(client.post(&format!("7-1-webhook-{user}"), user).await.starts_with("HTTP/1.1 200"));
            }
        });
    }
    timeout(DEADLINE * 3, clients.join_all()).await.unwrap();
    let recording = receiver.recording();
    let summary = recording.rounds().into_values().next().unwrap();
    assert_eq!(summary.told, usize::try_from(CONNECTIONS * REQUESTS).unwrap());
    assert_eq!(summary.repeats, 0);
}

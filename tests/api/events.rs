//! A client of streams of events, over the wire.

use reqwest::{Client, Response};
use restock::config::install_tls_provider;
use serde_json::Value;
use tokio::time::timeout;

use super::shop::{Api, DEADLINE};

/// A stream that is followed.
pub struct Events {
    response: Response,
    /// What came and was not read yet; it may end within a character.
    bytes: Vec<u8>,
    /// The last id, as a browser keeps it.
    pub last_id: Option<i64>,
}

/// One event.
#[derive(Debug, Clone)]
pub struct Event {
    pub id: Option<i64>,
    pub name: String,
    pub data: Value,
}

impl Events {
    /// Follows a stream that must be there, after the number that was seen last.
    pub async fn follow(api: &Api, path: &str, last_id: Option<i64>) -> Self {
        Self::follow_with(api, path, last_id, &[]).await
    }

    pub async fn follow_with(api: &Api, path: &str, last_id: Option<i64>, headers: &[(&str, &str)]) -> Self {
        install_tls_provider();
        let mut request = Client::new().get(format!("http://{}{path}", api.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(id) = last_id {
            request = request.header("last-event-id", id.to_string());
        }
        let response = timeout(DEADLINE, request.send()).await.expect("an answer in time").expect("an answer");
        assert_eq!(response.status(), 200, "{path}");
        let header =
            |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        assert_eq!((header("content-type"), header("cache-control")), ("text/event-stream", "no-store"));
        assert_eq!((header("x-accel-buffering"), header("connection")), ("no", "close"));
        Self { response, bytes: Vec::new(), last_id }
    }

    /// What is there up to the next empty line.
    fn take_block(&mut self) -> Option<String> {
        let end = self.bytes.windows(2).position(|pair| pair == b"\n\n")?;
        let block = self.bytes.drain(..end + 2).collect();
        Some(String::from_utf8(block).expect("text"))
    }

    /// Waits for more; false when the stream has ended, or was cut off.
    async fn wait(&mut self) -> bool {
        let chunk = timeout(DEADLINE, self.response.chunk()).await.expect("something comes in time");
        let Ok(Some(chunk)) = chunk else { return false };
        self.bytes.extend_from_slice(&chunk);
        true
    }

    /// The next event; `None` when the stream has ended, or was cut off.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some(block) = self.take_block() {
                let event = self.learn(&block);
                if event.is_some() {
                    return event;
                }
            }
            if !self.wait().await {
                return None;
            }
        }
    }

    /// The next event that is as wanted.
    pub async fn until(&mut self, wanted: impl Fn(&Event) -> bool) -> Event {
        timeout(DEADLINE, async {
            loop {
                let event = self.next().await.expect("the stream goes on");
                if wanted(&event) {
                    return event;
                }
            }
        })
        .await
        .expect("it comes in time")
    }

    /// Waits until the stream has said where it is, so that nothing that comes now is missed.
    pub async fn begun(mut self) -> Self {
        let greeting = loop {
            if let Some(block) = self.take_block() {
                break block;
            }
            assert!(self.wait().await, "it ended at once");
        };
        assert!(self.learn(&greeting).is_none() && greeting.starts_with("retry: "), "{greeting}");
        assert!(self.last_id.is_some(), "{greeting}");
        self
    }

    /// As the standard has it: a block without data is no event, but its id counts.
    fn learn(&mut self, block: &str) -> Option<Event> {
        let (mut id, mut name, mut data) = (None, String::new(), None);
        for line in block.lines() {
            match line.split_once(": ") {
                Some(("id", text)) => id = Some(text.parse().expect("a number")),
                Some(("event", text)) => name = text.to_owned(),
                Some(("data", text)) => data = Some(serde_json::from_str(text).expect("JSON")),
                _ => {}
            }
        }
        self.last_id = id.or(self.last_id);
        data.map(|data| Event { id, name, data })
    }
}

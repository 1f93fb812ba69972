//! A provider of the shop's: takes webhooks, and refuses those of the products that it is told to.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::sleep,
};

const ANSWER_AFTER: Duration = Duration::from_millis(20);

/// Products, and the status that theirs are answered with.
type Statuses = Arc<Mutex<BTreeMap<i64, u16>>>;

/// Until it is dropped.
pub struct Provider {
    /// Where it takes webhooks.
    pub url: String,
    statuses: Statuses,
    accepting: AbortHandle,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Provider {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/restock", listener.local_addr().expect("an address"));
        let statuses = Statuses::default();
        let shared = statuses.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone()));
            }
        });
        Self { url, statuses, accepting: accepting.abort_handle() }
    }

    /// From now on webhooks of this product are answered so.
    pub fn answer(&self, product: i64, status: u16) {
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner).insert(product, status);
    }
}

/// Answers one request after the other, until the other end leaves.
async fn serve(stream: TcpStream, statuses: Statuses) {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            match stream.read_line(&mut line).await {
                Ok(1..) => {}
                _ => return,
            }
            let head = line.trim().to_ascii_lowercase();
            if head.is_empty() {
                break;
            }
            if let Some(text) = head.strip_prefix("content-length:") {
                length = text.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        let message: Value = serde_json::from_slice(&body).unwrap_or_default();
        let product = message["data"]["product_id"].as_i64().unwrap_or(0);
        let status = statuses.lock().unwrap_or_else(PoisonError::into_inner).get(&product).copied().unwrap_or(204);
        sleep(ANSWER_AFTER).await;
        let answer = format!("HTTP/1.1 {status} Said\r\ncontent-length: 0\r\n\r\n");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

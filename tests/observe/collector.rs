//! A collector of spans and a receiver of webhooks, over real sockets: both only remember what came.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use tokio::net::TcpListener;

use super::spans::{self, Span};

const DEADLINE: Duration = Duration::from_secs(30);

/// What came, in order.
type Seen<T> = Arc<Mutex<Vec<T>>>;

/// Takes OTLP over HTTP.
pub struct Collector {
    pub endpoint: String,
    bodies: Seen<Bytes>,
}

impl Collector {
    pub async fn start() -> Self {
        let bodies = Seen::default();
        let take = async |State(bodies): State<Seen<Bytes>>, body: Bytes| {
            bodies.lock().expect("nobody panics").push(body);
        };
        let app = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&bodies));
        Self { endpoint: serve(app).await, bodies }
    }

    /// Every span that came, with the attributes of who sent it.
    pub fn spans(&self) -> Vec<(Span, Vec<(String, String)>)> {
        let bodies = self.bodies.lock().expect("nobody panics").clone();
        let read = bodies.iter().map(|body| spans::read(body));
        read.flat_map(|(spans, sender)| spans.into_iter().map(move |span| (span, sender.clone()))).collect()
    }

    /// Waits for a span of which this is true.
    pub async fn span(&self, what: &str, is_it: impl Fn(&Span) -> bool) -> Span {
        let start = Instant::now();
        loop {
            if let Some((span, _)) = self.spans().into_iter().find(|(span, _)| is_it(span)) {
                return span;
            }
            assert!(start.elapsed() < DEADLINE, "{what} does not come: {:#?}", self.spans());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether these bytes came anywhere.
    pub fn has(&self, part: &[u8]) -> bool {
        let bodies = self.bodies.lock().expect("nobody panics");
        bodies.iter().any(|body| body.windows(part.len()).any(|window| window == part))
    }
}

/// Takes webhooks, and keeps their `traceparent`.
pub struct Receiver {
    pub url: String,
    parents: Seen<Option<String>>,
}

impl Receiver {
    pub async fn start() -> Self {
        let parents = Seen::default();
        let take = async |State(parents): State<Seen<Option<String>>>, headers: HeaderMap| {
            let parent = headers.get("traceparent").map(|value| value.to_str().expect("text").to_owned());
            parents.lock().expect("nobody panics").push(parent);
        };
        let app = Router::new().route("/", post(take)).with_state(Arc::clone(&parents));
        Self { url: serve(app).await, parents }
    }

    /// What came since this was last asked.
    pub fn take(&self) -> Vec<Option<String>> {
        std::mem::take(&mut *self.parents.lock().expect("nobody panics"))
    }
}

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

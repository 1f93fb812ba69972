//! A collector of spans and a receiver of webhooks, over real sockets: both only remember what came.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use tokio::net::TcpListener;

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

    /// Whether something came that holds all of these, in one message or in several.
    pub fn has(&self, parts: &[&[u8]]) -> bool {
        let bodies = self.bodies.lock().expect("nobody panics");
        parts.iter().all(|part| bodies.iter().any(|body| body.windows(part.len()).any(|window| window == *part)))
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

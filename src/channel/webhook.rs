//! One POST per person, with the headers of
//! [Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).

use std::{
    fmt,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use futures_util::future::BoxFuture;
use reqwest::{
    Client, RequestBuilder, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue, RETRY_AFTER},
    redirect,
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};

use super::{Answer, Message, Sender, body, reply, signature::Signer};

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const STARTED_AT: HeaderName = HeaderName::from_static("restock-started-at");

/// The most of an answer's body that is read, and thrown away, to keep its connection; a longer one costs it.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Idle connections go before the 60 s after which most load balancers drop them: a request on a connection that
/// is just being closed gets no answer, and may tell a person twice.
const IDLE_MAX: Duration = Duration::from_secs(45);

/// What a [`WebhookSender`] is made of.
#[derive(Clone)]
pub struct WebhookSettings {
    /// Where to post, `http` or `https`. A user and a password in it become basic authorization.
    pub url: Url,
    /// Signs each request; none leaves the signature out.
    pub signer: Option<Signer>,
    /// The most time of one attempt, from the wait for a connection to the end of the answer.
    pub send_timeout: Duration,
    /// The most attempts at once, each on a connection of its own; at least 1.
    pub connections_max: usize,
}

/// Posts messages to one endpoint over HTTP/1.1 connections that are kept alive.
///
/// Follows no redirect and tries nothing again by itself. Proxies are taken from the environment (`HTTPS_PROXY`,
/// `NO_PROXY` …), trusted roots from the system.
pub struct WebhookSender {
    client: Client,
    settings: WebhookSettings,
    connections: Semaphore,
}

impl WebhookSender {
    /// Makes the client; connects to nobody yet.
    ///
    /// # Errors
    /// The system has no trusted roots, and the URL is `https`.
    pub fn new(settings: WebhookSettings) -> Result<Self, reqwest::Error> {
        // An error says that somebody installed one: then that is the one to use.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .http1_only()
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .dns_resolver(SystemResolver)
            .pool_max_idle_per_host(settings.connections_max)
            .pool_idle_timeout(IDLE_MAX)
            .user_agent(concat!("restock/", env!("CARGO_PKG_VERSION")));
        if settings.url.scheme() == "http" {
            // Without TLS there is no need of the system's roots, which a small container may not have.
            client = client.tls_certs_only([]);
        }
        let connections = Semaphore::new(settings.connections_max);
        Ok(Self { client: client.build()?, settings, connections })
    }

    /// The status decides as soon as it is there: a body that never ends does not undo it.
    async fn attempt(&self, message: &Message) -> Answer {
        let deadline = Instant::now() + self.settings.send_timeout;
        let request = match self.request(message) {
            Ok(request) => request,
            Err(_) => return Answer::Misconfigured("the message cannot be written as a request".to_owned()),
        };
        // The semaphore is never closed, so this is always a permit; it is held until the connection is free again.
        let head = async { (self.connections.acquire().await, request.send().await) };
        let Ok((_connection, response)) = timeout_at(deadline, head).await else {
            return reply::no_answer(format_args!("timed out after {} ms", self.settings.send_timeout.as_millis()));
        };
        let response = match response {
            Ok(response) => response,
            Err(error) => return reply::of_error(&error),
        };
        let answer = reply::of_status(response.status(), retry_after(response.headers()));
        let _ = timeout_at(deadline, drain(response)).await;
        answer
    }

    fn request(&self, message: &Message) -> Result<RequestBuilder, RequestError> {
        let key = message.key();
        let body = body::body(message)?;
        let timestamp_s = message.started_us.div_euclid(1_000_000);
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(WEBHOOK_TIMESTAMP, timestamp_s.into());
        headers.insert(STARTED_AT, message.started_us.into());
        if let Some(signer) = &self.settings.signer {
            headers.insert(WEBHOOK_SIGNATURE, signer.sign(&key, timestamp_s, &body).try_into()?);
        }
        if let Some(traceparent) = &message.traceparent {
            headers.insert(TRACEPARENT, traceparent.as_str().try_into()?);
        }
        headers.insert(WEBHOOK_ID, key.try_into()?);
        Ok(self.client.post(self.settings.url.clone()).headers(headers).body(body))
    }
}

impl Sender for WebhookSender {
    fn send(&self, message: Message) -> BoxFuture<'_, Answer> {
        Box::pin(async move { self.attempt(&message).await })
    }

    fn connections_max(&self) -> usize {
        self.settings.connections_max
    }
}

impl fmt::Debug for WebhookSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WebhookSender").field(&self.settings).finish()
    }
}

/// Without the URL: its path or its password is often a secret.
impl fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSettings")
            .field("signed", &self.signer.is_some())
            .field("send_timeout", &self.send_timeout)
            .field("connections_max", &self.connections_max)
            .finish_non_exhaustive()
    }
}

/// A message that is no request: unreachable with the names that `ids` lets in.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("body")]
    Body(#[from] serde_json::Error),
    #[error("header")]
    Header(#[from] InvalidHeaderValue),
}

/// The system's resolver, with a failure that can be told from others.
struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(|_| reply::NameError)?;
            let found: Vec<SocketAddr> = found.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    reply::retry_after(headers.get(RETRY_AFTER)?.to_str().ok()?, SystemTime::now())
}

/// Reads a body to its end, so that its connection can serve the next request; gives up on a long one.
async fn drain(mut response: Response) {
    let mut left = BODY_BYTES_MAX;
    while let Ok(Some(chunk)) = response.chunk().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

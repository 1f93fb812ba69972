//! The listener for whoever looks after a process.
//!
//! Whoever can reach it needs no token, so nothing that they do may cost the process more than a bounded number of
//! connections for a bounded time: a program that runs out of file descriptors tells nobody anything.

use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, http::StatusCode};
use clap::Args;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use super::{Observer, exposition, probes};
use crate::meter::Role;

/// More than a check and a survey may take; waiting for a turn is included.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Scrapers and probes are few; more wait.
const REQUESTS_MAX: usize = 16;
/// Connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 64;
/// The longest that the head of a request may take, and that a connection may wait for the next one. Less than scrapers pause,
/// so that none of them asks on a connection in the moment in which it is closed.
const HEAD_MAX: Duration = Duration::from_secs(5);
/// The largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// A connection takes no new request after so long; the one under way has [`ANSWER_MAX`] to end.
const CONNECTION_MAX: Duration = Duration::from_secs(60);
/// How long it waits when no connection can be accepted, such as without free file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whether and where a process shows what it does.
#[derive(Debug, Clone, Args)]
pub struct Observing {
    /// Serve /metrics, /livez and /readyz here, such as 127.0.0.1:9464; off without it
    #[arg(long, env = "RESTOCK_METRICS_LISTEN", value_name = "ADDRESS:PORT")]
    pub metrics_listen: Option<SocketAddr>,
}

/// The address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address} for metrics: {why}; stop what listens there, or give another --metrics-listen / \
     RESTOCK_METRICS_LISTEN"
)]
pub struct ListenError {
    address: SocketAddr,
    why: io::Error,
}

impl Observing {
    /// Listens, and answers until the process ends, so also while it waits for its stores and while it drains. Without an
    /// address nothing is measured, but where there is an API, which has the same on its own port.
    ///
    /// # Errors
    /// When the address is taken or not this machine's.
    pub async fn start(&self, role: Role, stop: CancellationToken) -> Result<Observer, ListenError> {
        let Some(address) = self.metrics_listen else {
            let has_api = matches!(role, Role::Api | Role::Up);
            return Ok(if has_api { Observer::start(role, stop) } else { Observer::unobserved(role, stop) });
        };
        let listener = TcpListener::bind(address).await.map_err(|why| ListenError { address, why })?;
        let address = listener.local_addr().unwrap_or(address);
        let observer = Observer::start(role, stop);
        let app = probes(observer.clone())
            .merge(exposition(observer.clone()))
            .layer(GlobalConcurrencyLimitLayer::new(REQUESTS_MAX))
            .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, ANSWER_MAX));
        tracing::info!(%address, "serving /metrics, /livez and /readyz");
        tokio::spawn(accept(listener, app));
        Ok(observer)
    }
}

async fn accept(listener: TcpListener, app: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, app.clone(), place))),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection for metrics");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers on one connection, which holds its place until it ends.
async fn serve(stream: TcpStream, app: Router, place: OwnedSemaphorePermit) {
    let _place = place;
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut connection = pin!(connection);
    if timeout(CONNECTION_MAX, connection.as_mut()).await.is_err() {
        connection.as_mut().graceful_shutdown();
        if timeout(ANSWER_MAX, connection).await.is_err() {
            tracing::debug!("whoever asked for metrics does not read the answer");
        }
    }
}

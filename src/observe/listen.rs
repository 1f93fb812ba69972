//! The listener for whoever looks after a process.

use std::{io, net::SocketAddr, time::Duration};

use axum::http::StatusCode;
use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use super::{Observer, exposition, probes};
use crate::meter::Role;

/// More than a check and a survey may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Scrapers and probes are few; more wait.
const REQUESTS_MAX: usize = 16;

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
            .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, ANSWER_MAX))
            .layer(GlobalConcurrencyLimitLayer::new(REQUESTS_MAX));
        tracing::info!(%address, "serving /metrics, /livez and /readyz");
        tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, app).await {
                tracing::error!(%error, "metrics are not served any more");
            }
        });
        Ok(observer)
    }
}

//! What a running process shows of itself over HTTP: `/metrics`, `/livez`, `/readyz`.
//!
//! ```text
//! /metrics   the counters of this process, and for flusher and API a survey of the deployment, a few seconds old at most
//! /livez     200 while the process turns its event loop: restart it when this fails
//! /readyz    200 while it can do its job now, else 503; the body names each check
//! ```
//!
//! They have a listener of their own, `--metrics-listen` ([`Observing`]), that needs no token: nothing here shows a product, a
//! user or an address, still it belongs on an inner network. The API has them on its own port too, and shows the metrics
//! there to admins only.

mod health;
mod listen;
mod process;
mod survey;
mod track;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{Json, Router, extract::State, http::StatusCode, http::header, response::IntoResponse, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use sqlx::MySqlPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::{health::Checkup, survey::Surveyor};
use crate::{
    config::Backends,
    meter::{self, Role, Vitals},
    mysql::{connect_briefly, setting::Settings},
    redis::Redis,
    stores::Stores,
};

pub use self::{
    health::{Check, Health},
    listen::{ListenError, Observing},
    track::track,
};

/// For checks and the survey, beside whatever the role does: a busy pool must not make it look sick.
const CONNECTIONS_MAX: u32 = 2;
/// MySQL gives up what takes longer, so that nothing goes on there for which nobody waits.
const STATEMENT_MAX: Duration = Duration::from_secs(1);
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a process shows. Clones are the same.
#[derive(Clone)]
pub struct Observer(Arc<Inner>);

struct Inner {
    role: Role,
    vitals: Vitals,
    stop: CancellationToken,
    /// None where nobody looks.
    recorder: Option<PrometheusHandle>,
    sight: OnceLock<Sight>,
    checkup: Checkup,
    surveyor: Surveyor,
}

/// What it looks at, once there is something to see.
struct Sight {
    redis: Redis,
    mysql: MySqlPool,
    settings: watch::Receiver<Settings>,
}

impl Observer {
    /// Starts to measure; call it before the parts of the process are made. `stop` is the one of the process: who stops is
    /// not ready any more.
    #[must_use]
    pub fn start(role: Role, stop: CancellationToken) -> Self {
        process::begin();
        Self::new(role, stop, Some(meter::install(role)))
    }

    /// For a process at which nobody looks: it measures nothing.
    #[must_use]
    pub fn unobserved(role: Role, stop: CancellationToken) -> Self {
        Self::new(role, stop, None)
    }

    fn new(role: Role, stop: CancellationToken, recorder: Option<PrometheusHandle>) -> Self {
        let (checkup, surveyor) = (Checkup::default(), Surveyor::default());
        let vitals = Vitals::default();
        Self(Arc::new(Inner { role, vitals, stop, recorder, sight: OnceLock::new(), checkup, surveyor }))
    }

    /// Gives it the stores to look at: until then the process is not ready. A second call changes nothing.
    ///
    /// # Errors
    /// When the address of MySQL cannot be read.
    pub fn attach(
        &self,
        backends: &Backends,
        stores: &Stores,
        settings: watch::Receiver<Settings>,
    ) -> sqlx::Result<()> {
        if self.0.recorder.is_some() {
            let mysql = connect_briefly(&backends.mysql_url, CONNECTIONS_MAX, STATEMENT_MAX)?;
            let _ = self.0.sight.set(Sight { redis: stores.redis.clone(), mysql, settings });
        }
        Ok(())
    }

    /// Where the loops of this process give signs of life.
    #[must_use]
    pub fn vitals(&self) -> Vitals {
        self.0.vitals.clone()
    }

    /// Whether the process can do its job now.
    pub async fn health(&self) -> Health {
        self.0.checkup.health(&self.0).await
    }

    /// The metrics as Prometheus reads them.
    pub async fn metrics(&self) -> String {
        let Some(recorder) = &self.0.recorder else { return String::new() };
        if self.0.role.surveys()
            && let Some(sight) = self.0.sight.get()
        {
            self.0.surveyor.look(sight).await;
        }
        let mut text = recorder.render();
        process::write(&mut text);
        text
    }
}

/// `/livez` and `/readyz`, for any router to merge.
pub fn probes(observer: Observer) -> Router {
    Router::new().route("/livez", get(async || "ok\n")).route("/readyz", get(readyz)).with_state(observer)
}

/// `/metrics`, for any router to merge.
pub fn exposition(observer: Observer) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(observer)
}

async fn metrics(State(observer): State<Observer>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, TEXT)], observer.metrics().await)
}

async fn readyz(State(observer): State<Observer>) -> impl IntoResponse {
    let health = observer.health().await;
    let status = if health.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(health))
}

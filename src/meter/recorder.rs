//! Where the process' metrics are kept.

use std::{fmt, sync::OnceLock, time::Duration};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::catalogue::{BACKEND_ERRORS, BUILD_INFO, CATALOGUE, Kind};

/// Values of histograms are gathered until somebody folds them: that bounds how many, whether or not anybody scrapes.
const FOLD_EVERY: Duration = Duration::from_secs(1);

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `restock-worker`.
    Worker,
    /// `restock-flusher`.
    Flusher,
    /// `restock-api`.
    Api,
    /// `restock-cli up`: a worker and a flusher.
    Up,
}

impl Role {
    /// As a label has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Flusher => "flusher",
            Self::Api => "api",
            Self::Up => "up",
        }
    }

    /// Whether it shows the state of the whole deployment beside its own.
    #[must_use]
    pub fn surveys(self) -> bool {
        self != Self::Worker
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Starts to keep what this process measures; whatever made its handles before is not kept. A second call changes
/// nothing. Must be called in a runtime.
///
/// # Panics
/// When another recorder was installed by somebody else, or the catalogue names impossible bounds.
pub fn install(role: Role) -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let mut builder = PrometheusBuilder::new();
            for metric in CATALOGUE {
                if let Kind::Histogram(bounds) = metric.kind {
                    builder = builder
                        .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds)
                        .expect("a histogram has bounds");
                }
            }
            let handle = builder.install_recorder().expect("nobody else records");
            describe();
            BUILD_INFO.gauge([env!("CARGO_PKG_VERSION"), role.as_str()]).set(1.0);
            for backend in ["redis", "mysql"] {
                for kind in ["unreachable", "refused"] {
                    BACKEND_ERRORS.counter([backend, kind]).increment(0);
                }
            }
            tokio::spawn(fold(handle.clone()));
            handle
        })
        .clone()
}

fn describe() {
    for metric in CATALOGUE {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
            Kind::Histogram(_) => metrics::describe_histogram!(metric.name, metric.help),
        }
    }
}

async fn fold(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(FOLD_EVERY).await;
        handle.run_upkeep();
    }
}

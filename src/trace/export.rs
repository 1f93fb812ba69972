//! Sending spans to a collector, by OTLP over HTTP with protobuf. The standard's environment variables say where and how:
//! `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_EXPORTER_OTLP_TIMEOUT`,
//! `OTEL_BSP_…`.
//!
//! Spans are gathered in a bounded queue and sent from a thread of its own; a collector that is away costs spans and
//! nothing else.

use std::{
    env,
    sync::{Arc, OnceLock},
    time::Duration,
};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter as Otlp, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{SdkTracer, SdkTracerProvider, SpanData, SpanExporter},
};
use tokio::runtime::Handle;

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
/// The standard's own.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const PROTOCOL: &str = "http/protobuf";
/// The longest that a process that ends waits for its collector.
const END_MAX: Duration = Duration::from_secs(2);

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Whether spans are exported.
#[must_use]
pub fn is_on() -> bool {
    PROVIDER.get().is_some()
}

/// What makes spans, once for this process; none where the environment names no collector. Must be called in a runtime.
///
/// # Errors
/// The variable that cannot be used, and why.
pub fn tracer() -> Result<Option<SdkTracer>, String> {
    let given = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, set(name)?)));
    let Some((_, endpoint)) = given(ENDPOINTS) else { return Ok(None) };
    let is_disabled = set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let Ok(runtime) = Handle::try_current() else { return Ok(None) };
    if is_disabled || is_on() {
        return Ok(None);
    }
    if let Some((name, other)) = given(PROTOCOLS).filter(|(_, protocol)| protocol != PROTOCOL) {
        return Err(format!("{name} is `{other}`; only {PROTOCOL} is built in"));
    }
    let timeout = match given(TIMEOUTS) {
        Some((name, text)) => milliseconds(&text).ok_or_else(|| format!("{name} is `{text}`; give milliseconds"))?,
        None => TIMEOUT_DEFAULT,
    };
    // The library has a timeout for its own clients only; without one a collector that falls silent would end all export.
    let mut client = reqwest::Client::builder().timeout(timeout);
    if endpoint.starts_with("http://") {
        // Without TLS there is no need of the system's roots, which a small container may not have.
        client = client.tls_certs_only([]);
    }
    let client = client.build().map_err(|error| error.to_string())?;
    let exporter = Otlp::builder().with_http().with_http_client(client).build();
    let exporter = Arc::new(exporter.map_err(|error| format!("OTEL_EXPORTER_OTLP_ENDPOINT cannot be used: {error}"))?);
    let mut resource = Resource::builder();
    if set("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(program());
    }
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(OnRuntime { exporter, runtime })
        .with_resource(resource.build())
        .build();
    let tracer = provider.tracer("restock");
    Ok(PROVIDER.set(provider).is_ok().then_some(tracer))
}

/// Sends what is left, for two seconds at most.
pub async fn end() {
    let Some(provider) = PROVIDER.get() else { return };
    let ended = tokio::task::spawn_blocking(|| provider.shutdown_with_timeout(END_MAX)).await;
    if !matches!(ended, Ok(Ok(()))) {
        tracing::debug!(?ended, "the last spans may not have reached their collector");
    }
}

/// An empty variable is none.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn milliseconds(text: &str) -> Option<Duration> {
    text.parse().ok().filter(|ms| *ms > 0).map(Duration::from_millis)
}

fn program() -> String {
    let path = env::current_exe().unwrap_or_default();
    path.file_stem().map_or_else(|| "restock".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Makes the calls of an exporter in the process' runtime, which its HTTP client needs: the thread that gathers spans has
/// none.
#[derive(Debug)]
struct OnRuntime {
    exporter: Arc<Otlp>,
    runtime: Handle,
}

impl SpanExporter for OnRuntime {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exporter = Arc::clone(&self.exporter);
        let sent = self.runtime.spawn(async move { exporter.export(batch).await }).await;
        sent.unwrap_or_else(|error| Err(OTelSdkError::InternalFailure(error.to_string())))
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Nobody else has it before the first export.
        if let Some(exporter) = Arc::get_mut(&mut self.exporter) {
            exporter.set_resource(resource);
        }
    }
}

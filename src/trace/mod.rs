//! Following one restock from the request to the webhook, by W3C trace context.
//!
//! ```text
//! traceparent of a request, or TRACEPARENT of a command ─► span ─► row of the outbox ─► enqueue.lua, called by whoever asks or
//!   by the relay: lane and job entry ─► worker: a span for the hold of the lane ─► a span for an attempt ─► traceparent of
//!   the webhook
//! ```
//!
//! Only what somebody follows is followed: without a sampled parent an entry has no such field and a message no such header.
//! Spans are exported by OTLP over HTTP where `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector; without one the context is
//! passed on all the same.
//!
//! Invariant: a span names products, rounds and channels, and never a user or an address.

mod export;
mod traceparent;

use opentelemetry::trace::TraceContextExt;
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

pub use self::{
    export::{end, is_on, tracer},
    traceparent::Traceparent,
};

/// The target of every span that is exported; the log leaves it out.
pub const TARGET: &str = "restock::trace";

tokio::task_local! {
    static PARENT: Option<Traceparent>;
}

/// Does some work as part of a trace. The span is made only where spans are exported.
pub async fn follow<T>(span: impl FnOnce() -> Span, parent: Option<Traceparent>, work: impl Future<Output = T>) -> T {
    let span = if is_on() { child(span(), parent.as_ref()) } else { Span::none() };
    PARENT.scope(parent, work.instrument(span)).await
}

/// Keeps some work in the trace of whoever makes it, when it is to go on in a task of its own.
pub fn carry<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let parent = PARENT.try_with(Option::clone).ok().flatten();
    PARENT.scope(parent, work.in_current_span())
}

/// The span as a child of a remote one.
#[must_use]
pub fn child(span: Span, parent: Option<&Traceparent>) -> Span {
    if let Some(parent) = parent
        && let Err(error) = span.set_parent(parent.context())
    {
        tracing::debug!(?error, "a span has no parent");
    }
    span
}

/// The context of the work under way, when it is followed.
#[must_use]
pub fn current() -> Option<Traceparent> {
    if is_on() {
        return of(&Span::current());
    }
    PARENT.try_with(Option::clone).ok().flatten().filter(Traceparent::is_sampled)
}

/// The context of a span, when it is followed.
#[must_use]
pub fn of(span: &Span) -> Option<Traceparent> {
    let context = span.context();
    let context = context.span().span_context().clone();
    (context.is_valid() && context.is_sampled()).then(|| Traceparent::of(&context))
}

//! Counting the requests of an HTTP server by the route that they matched, and following those that somebody follows.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};

use tracing::{Span, field::Empty};

use crate::{
    meter::catalogue as the,
    trace::{self, Traceparent},
};

/// Counts requests and measures the time until their answer begins: a middleware for `axum::middleware::from_fn`, inside
/// of the router, so that the route is known. A `traceparent` is passed on to the job. What matches no route
/// counts as `none`, whatever path somebody tries.
pub async fn track(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = method(&request);
    let start = Instant::now();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let parent = request.headers().get("traceparent").and_then(|text| Traceparent::parse(text.to_str().ok()?));
    let span = || {
        tracing::info_span!(
            target: trace::TARGET, "request", otel.kind = "server", otel.name = format!("{method} {route}"),
            http.request.method = method, http.route = route, http.response.status_code = Empty,
        )
    };
    let answer = async {
        let response = next.run(request).await;
        Span::current().record("http.response.status_code", response.status().as_u16());
        response
    };
    let response = trace::follow(span, parent, answer).await;
    the::HTTP_REQUESTS.counter([route, method, response.status().as_str()]).increment(1);
    the::HTTP_SECONDS.histogram([route]).record(start.elapsed().as_secs_f64());
    response
}

/// Methods can be invented: only the usual ones become labels.
fn method(request: &Request) -> &'static str {
    match request.method().as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

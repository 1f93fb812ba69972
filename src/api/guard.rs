//! What surrounds every request: headers, problem documents, and limits.

use std::{any::Any, num::NonZeroU32, sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, MatchedPath, Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter, clock::Clock};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::{
    Api,
    problem::{CONTENT_TYPE, Kind, Problem, Repetition},
    routes::is_document,
};

/// Answers are for whoever asked, and nothing in them is to be run or shown inside another page.
const HEADERS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
];

/// Writes problems down, and adds the headers that every answer has. The outermost layer.
pub(super) async fn dress(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let repetition = Repetition::of(&method, request.headers());
    let mut response = next.run(request).await;
    let status = response.status();
    let is_written = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == CONTENT_TYPE);
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        response = problem.write(&path, repetition, response);
    } else if (status.is_client_error() || status.is_server_error()) && !is_written {
        response = Problem::of_status(status).write(&path, repetition, response);
    }
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    tracing::debug!(%method, route, status = response.status().as_u16(), "answered");
    response
}

/// What a panic is to the caller.
pub(super) fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Problem::internal(&format_args!("a panic: {text}")).into_response()
}

/// Who asks how often, and how many at once.
pub(super) struct Gate {
    api: Arc<Api>,
    callers: Option<DefaultDirectRateLimiter>,
    /// Of those who may do nothing here, so that they cannot use up what belongs to callers.
    strangers: Option<DefaultDirectRateLimiter>,
    places: Arc<Semaphore>,
}

impl Gate {
    pub(super) fn new(api: Arc<Api>) -> Self {
        let rate = || {
            let rate = NonZeroU32::new(api.options.requests_per_second)?;
            Some(RateLimiter::direct(Quota::per_second(rate)))
        };
        let (callers, strangers) = (rate(), rate());
        let places = usize::try_from(api.options.in_flight_max).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { api, callers, strangers, places: Arc::new(Semaphore::new(places)) }
    }
}

fn check_rate(rate: Option<&DefaultDirectRateLimiter>) -> Result<(), Problem> {
    let Some(rate) = rate else { return Ok(()) };
    rate.check().map_err(|later| {
        let wait = later.wait_time_from(rate.clock().now());
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let problem = Problem::new(Kind::TooManyRequests, "this server has been asked too often within a second");
        problem.with_header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    })
}

/// Finds out who it is, and turns away what is too much, at once: who has to wait without end is answered when nobody
/// listens any more. Who is nobody here, or asks for nothing of the shop's, takes no place: the answer is there already.
pub(super) async fn admit(State(gate): State<Arc<Gate>>, mut request: Request, next: Next) -> Response {
    let caller = gate.api.identify(request.uri(), request.headers());
    let is_of_the_shop = request.extensions().get::<MatchedPath>().is_some_and(|path| !is_document(path.as_str()));
    let is_caller = caller.is_ok();
    request.extensions_mut().insert(caller);
    if !(is_caller && is_of_the_shop) {
        return match check_rate(gate.strangers.as_ref()) {
            Ok(()) => next.run(request).await,
            Err(problem) => problem.into_response(),
        };
    }
    if let Err(problem) = check_rate(gate.callers.as_ref()) {
        return problem.into_response();
    }
    let Ok(place) = gate.places.clone().try_acquire_owned() else {
        return Problem::new(Kind::Overloaded, "too many requests are worked on; ask again").into_response();
    };
    PLACE.scope(Arc::new(place), next.run(request)).await
}

tokio::task_local! {
    /// The place of the request under way among those in hand.
    static PLACE: Arc<OwnedSemaphorePermit>;
}

/// Keeps the place of the request under way as long as this work goes on, also in a task of its own that outlives it.
pub(super) fn keep_place<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let place = PLACE.try_with(Arc::clone).ok();
    async move {
        let _place = place;
        work.await
    }
}

/// When the answer should be on its way: some time before the request is given up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(pub(super) Instant);

impl<S: Sync> FromRequestParts<S> for Deadline {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let missing = || Problem::internal(&"a route without a time limit");
        parts.extensions.get::<Self>().copied().ok_or_else(missing)
    }
}

/// Gives a request so much time; a tenth of it is kept for the answer.
pub(super) async fn hurry(State(most): State<Duration>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Deadline(Instant::now() + (most - most / 10)));
    match timeout(most, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::in_doubt(Kind::TooSlow, "it took too long").into_response(),
    }
}

/// Turns away parameters where none are read: whoever gives one means something by it.
pub(super) async fn refuse_parameters(request: Request, next: Next) -> Response {
    match Query::<Vec<(String, String)>>::try_from_uri(request.uri()) {
        Ok(Query(given)) => match given.into_iter().next() {
            None => next.run(request).await,
            Some((name, _)) => {
                Problem::of_field(Kind::BadRequest, name, "unknown parameter: nothing is read after the `?`")
                    .into_response()
            }
        },
        Err(error) => Problem::of_field(Kind::BadRequest, "query", error.body_text()).into_response(),
    }
}

/// The headers of the page at `/docs`, which needs its own scripts and styles.
pub(super) async fn dress_docs(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                  font-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    set(response.headers_mut(), header::CONTENT_SECURITY_POLICY, policy);
    response
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

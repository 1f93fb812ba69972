//! Connections: how many, how long a header may take, and a stop that waits for what is in hand.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::{Request, body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::{impatient::Impatient, options::ApiOptions, stream::ConnectionPlace};

/// The longest that the head of a request may take, and that a connection may wait for one.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// Headers of one request; more get 431.
const HEADERS_MAX: usize = 64;
/// The largest head of a request, in bytes; a larger one gets 431.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// How long it waits when no connection can be accepted, such as without free file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`; then accepts nobody any more, lets each connection end the request that it is at, and returns when
/// all have ended, or after the drain: the end of that, for what else is to be waited for.
pub(super) async fn run(
    listener: TcpListener,
    router: Router,
    options: &ApiOptions,
    stop: CancellationToken,
) -> Instant {
    let places = usize::try_from(options.connections_max).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
    let (places, connections) = (Arc::new(Semaphore::new(places)), TaskTracker::new());
    let write_wait = Duration::from_millis(options.request_timeout_ms);
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = stop.cancelled() => break,
            next = next => next,
        };
        match (place, accepted) {
            (Ok(place), Ok((stream, _))) => {
                // Without it small answers wait for the acknowledgement of the one before.
                let _ = stream.set_nodelay(true);
                let stream = Impatient::new(stream, write_wait);
                connections.spawn(serve(stream, place, router.clone(), stop.clone()));
            }
            (_, Err(error)) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
            (Err(_), _) => break,
        }
    }
    // Whoever connects from now on must be refused, and not wait.
    drop(listener);
    connections.close();
    let end = Instant::now() + options.drain();
    if timeout_at(end, connections.wait()).await.is_err() {
        tracing::warn!(connections = connections.len(), "the drain is over; requests are cut off");
    }
    end
}

async fn serve(stream: Impatient<TcpStream>, place: OwnedSemaphorePermit, router: Router, stop: CancellationToken) {
    // Held as long as the connection, or until that becomes a stream.
    let place = ConnectionPlace::new(place);
    let router = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(place.clone());
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

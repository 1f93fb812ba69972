//! A provider that runs in this process: takes webhooks, answers as it is told to, and keeps a record.
//!
//! ```text
//! POST ─► head and body ─► Delivery ─► react(&Delivery) ─► record ─► delay ─► answer
//! ```
//!
//! What is in the record can be examined by [`Recording`].

mod delivery;
mod recording;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{HeaderValue, RETRY_AFTER},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use delivery::{Delivery, DeliveryKey, Reaction};
pub use recording::{OrderCheck, Recording, RoundSummary};

const BODY_BYTES_MAX: usize = 64 * 1024;

/// What a receiver does; [`Receiver::start`] uses the default with another `react`.
pub struct Behaviour {
    /// Decides on each request, before it is recorded; called from several tasks at once. Its `status` is not yet set.
    pub react: Box<dyn Fn(&Delivery) -> Reaction + Send + Sync>,
    /// Whether the record keeps the bodies. Each costs its size in memory.
    pub keep_bodies: bool,
    /// Where to listen; port 0 is any free port.
    pub address: SocketAddr,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            react: Box::new(|_| Reaction::accept()),
            keep_bodies: false,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }
}

/// A running webhook receiver. Dropping it closes the port and all connections at once.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    state: Arc<State>,
    _stop: DropGuard,
}

struct State {
    behaviour: Behaviour,
    deliveries: Mutex<Vec<Delivery>>,
    count: watch::Sender<Count>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    deliveries: usize,
    malformed: usize,
}

impl Receiver {
    /// Listens on a free port of 127.0.0.1 and answers each request as `react` says.
    ///
    /// # Errors
    /// The port could not be opened.
    pub async fn start(react: impl Fn(&Delivery) -> Reaction + Send + Sync + 'static) -> io::Result<Self> {
        Self::start_with(Behaviour { react: Box::new(react), ..Behaviour::default() }).await
    }

    /// The same with all that can be chosen.
    ///
    /// # Errors
    /// The address could not be opened.
    pub async fn start_with(behaviour: Behaviour) -> io::Result<Self> {
        let listener = TcpListener::bind(behaviour.address).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State { behaviour, deliveries: Mutex::default(), count: watch::Sender::default() });
        let stop = CancellationToken::new();
        tokio::spawn(accept(listener, Arc::clone(&state), stop.clone()));
        Ok(Self { address, state, _stop: stop.drop_guard() })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT/restock`; any path will do.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/restock", self.address)
    }

    /// How many requests were recorded so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state.count.borrow().deliveries
    }

    /// How many requests lacked a valid `webhook-id` or `restock-started-at`; they got 400 and are not recorded.
    #[must_use]
    pub fn malformed(&self) -> usize {
        self.state.count.borrow().malformed
    }

    /// Waits until at least this many requests were recorded. Put a deadline around it.
    pub async fn wait_for(&self, deliveries: usize) {
        let mut count = self.state.count.subscribe();
        // The sender lives in our own state, so this cannot fail.
        let _ = count.wait_for(|count| count.deliveries >= deliveries).await;
    }

    /// A copy of the record so far, in the order of arrival.
    #[must_use]
    pub fn recording(&self) -> Recording {
        Recording::new(self.state.deliveries().clone())
    }

    /// Forgets the record and begins a new one.
    pub fn take_recording(&self) -> Recording {
        let mut deliveries = self.state.deliveries();
        self.state.count.send_modify(|count| count.deliveries = 0);
        Recording::new(std::mem::take(&mut *deliveries))
    }
}

async fn accept(listener: TcpListener, state: Arc<State>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => { connections.spawn(serve(stream, Arc::clone(&state))); }
                // Too many open files, or a connection that is gone already: let others finish first.
                Err(_) => sleep(Duration::from_millis(10)).await,
            },
        }
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| handle(&state, request));
    // An error here is a sender that went away; what it had sent is recorded.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

type Answer = Response<Empty<Bytes>>;

async fn handle(state: &State, request: Request<Incoming>) -> Result<Answer, hyper::Error> {
    let arrived_us = now_us();
    let (head, body) = request.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let delivery = body.ok().and_then(|body| Delivery::parse(&head.headers, arrived_us, body.to_bytes()));
    let Some(delivery) = delivery else {
        state.count.send_modify(|count| count.malformed += 1);
        return Ok(answer(Reaction::status(400)));
    };
    let reaction = state.record(delivery);
    if reaction.hang {
        std::future::pending::<()>().await;
    }
    if !reaction.delay.is_zero() {
        sleep(reaction.delay).await;
    }
    Ok(answer(reaction))
}

impl State {
    fn deliveries(&self) -> MutexGuard<'_, Vec<Delivery>> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, mut delivery: Delivery) -> Reaction {
        let reaction = (self.behaviour.react)(&delivery);
        delivery.status = (!reaction.hang).then_some(reaction.status);
        if !self.behaviour.keep_bodies {
            delivery.body = Bytes::new();
        }
        let mut deliveries = self.deliveries();
        deliveries.push(delivery);
        self.count.send_modify(|count| count.deliveries = deliveries.len());
        reaction
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("count", &*self.count.borrow()).finish_non_exhaustive()
    }
}

fn answer(reaction: Reaction) -> Answer {
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::from_u16(reaction.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Some(after) = reaction.retry_after {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The system's clock, in µs since the epoch.
pub(super) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

//! A wire between the browser and the server that can be cut at any byte.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
    sync::watch,
    task::AbortHandle,
};

#[derive(Default)]
struct Wire {
    /// Bytes that a stream may still bring before it is cut.
    left: AtomicU64,
    is_closed: watch::Sender<bool>,
    streams: AtomicUsize,
    cuts: AtomicUsize,
    messages: AtomicUsize,
}

/// Until it is dropped.
pub struct Proxy {
    /// `127.0.0.1:PORT`
    pub address: String,
    wire: Arc<Wire>,
    accepting: AbortHandle,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Proxy {
    /// Before this server.
    pub async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let wire = Arc::new(Wire { left: AtomicU64::new(u64::MAX), ..Wire::default() });
        let shared = wire.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if *shared.is_closed.borrow() {
                    continue;
                }
                if let Ok(far) = TcpStream::connect(&server).await {
                    tokio::spawn(pass(near, far, shared.clone()));
                }
            }
        });
        Self { address, wire, accepting: accepting.abort_handle() }
    }

    /// Cuts the streams that are open after so many bytes more, then all that is open, and lets nobody in until [`Proxy::open`]:
    /// over a connection that the browser has kept for later a stream would begin again at once.
    pub fn cut_after(&self, bytes: u64) {
        self.wire.left.store(bytes, Ordering::SeqCst);
    }

    pub fn open(&self) {
        self.wire.left.store(u64::MAX, Ordering::SeqCst);
        self.wire.is_closed.send_replace(false);
    }

    pub fn cuts(&self) -> usize {
        self.wire.cuts.load(Ordering::SeqCst)
    }

    /// How many messages were passed on, those that were cut too.
    pub fn messages(&self) -> usize {
        self.wire.messages.load(Ordering::SeqCst)
    }

    /// How many streams of events were begun.
    pub fn streams(&self) -> usize {
        self.wire.streams.load(Ordering::SeqCst)
    }
}

async fn pass(near: TcpStream, far: TcpStream, wire: Arc<Wire>) {
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let mut is_closed = wire.is_closed.subscribe();
    tokio::select! {
        _ = is_closed.wait_for(|is_closed| *is_closed) => {}
        () = ask(near_in, far_out) => {}
        () = answer(far_in, near_out, &wire) => {}
    }
}

async fn ask(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    if copy(&mut from, &mut to).await.is_ok() {
        // The answer may still come.
        std::future::pending::<()>().await;
    }
}

/// Passes on an answer, and of a stream no more than is left.
async fn answer(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, wire: &Wire) {
    let (mut bytes, mut is_stream) = (vec![0; 16 * 1024], false);
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        // The page's own code names that type too.
        if !is_stream && String::from_utf8_lossy(&bytes[..read]).contains("content-type: text/event-stream") {
            is_stream = true;
            wire.streams.fetch_add(1, Ordering::SeqCst);
        }
        let most = if is_stream { wire.left.load(Ordering::SeqCst) } else { u64::MAX };
        let passed = read.min(usize::try_from(most).unwrap_or(usize::MAX));
        if is_stream {
            let text = String::from_utf8_lossy(&bytes[..passed]);
            wire.messages.fetch_add(text.matches("event: restock-notification").count(), Ordering::SeqCst);
        }
        if to.write_all(&bytes[..passed]).await.is_err() {
            return;
        }
        if is_stream && most != u64::MAX {
            wire.left.fetch_sub(passed as u64, Ordering::SeqCst);
            if most <= read as u64 {
                wire.cuts.fetch_add(1, Ordering::SeqCst);
                wire.is_closed.send_replace(true);
                return;
            }
        }
    }
}

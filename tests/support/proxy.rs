//! A way to a server on which answers come late, or are lost with their connection.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

/// Passes on what is sent to a server and what it answers, each way late and in order.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    /// Each way, µs.
    delay_us: Arc<AtomicU64>,
    cuts: watch::Sender<u64>,
    mutes: watch::Sender<u64>,
}

impl Proxy {
    pub(crate) async fn start(server: String, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let ((cuts, cut), (mutes, mute)) = (watch::channel(0), watch::channel(0));
        let delay_us = Arc::new(AtomicU64::new(in_us(delay)));
        let late = delay_us.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&server).await else { continue };
                tokio::spawn(connect((client, server), late.clone(), cut.clone(), mute.clone()));
            }
        });
        Self { address, delay_us, cuts, mutes }
    }

    /// From now on everything takes this long, each way.
    pub(crate) fn slow(&self, delay: Duration) {
        self.delay_us.store(in_us(delay), Ordering::Relaxed);
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Breaks all connections; what the server has not been sent or has not answered yet is lost on the way.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// All connections stay open and pass nothing any more, as after a power cut on the way; new ones work.
    pub(crate) fn mute(&self) {
        self.mutes.send_modify(|mutes| *mutes += 1);
    }
}

fn in_us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

async fn connect(
    (client, server): (TcpStream, TcpStream),
    delay_us: Arc<AtomicU64>,
    mut cut: watch::Receiver<u64>,
    mut mute: watch::Receiver<u64>,
) {
    cut.mark_unchanged();
    mute.mark_unchanged();
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client, server) = (client.into_split(), server.into_split());
    let passing = async {
        tokio::select! {
            () = pass(client.0, server.1, &delay_us) => {}
            () = pass(server.0, client.1, &delay_us) => {}
        }
    };
    tokio::pin!(passing);
    tokio::select! {
        () = &mut passing => {}
        _ = cut.changed() => {}
        // Both sides stay open, and nothing moves.
        _ = mute.changed() => { let _ = cut.changed().await; }
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay_us: &AtomicU64) {
    let (sender, mut late) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let delay = Duration::from_micros(delay_us.load(Ordering::Relaxed));
            let _ = sender.send((Instant::now() + delay, buffer[..count].to_vec()));
        }
    };
    let write = async move {
        while let Some((due, bytes)) = late.recv().await {
            sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(read, write);
}

//! A way to a server that can be slow, cut, or open and dead.

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
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// Passes on what is sent to a server and what it answers, in order.
#[derive(Debug)]
pub(crate) struct Wire {
    address: SocketAddr,
    /// Each way, µs.
    delay_us: Arc<AtomicU64>,
    cuts: watch::Sender<u64>,
    mutes: watch::Sender<u64>,
}

impl Wire {
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let (cuts, mutes, delay_us) = (watch::Sender::new(0), watch::Sender::new(0), Arc::new(AtomicU64::new(0)));
        let (cut, mute, delay) = (cuts.subscribe(), mutes.subscribe(), delay_us.clone());
        tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    Some(_) = connections.join_next() => {}
                    accepted = listener.accept() => {
                        let Ok((client, _)) = accepted else { continue };
                        connections.spawn(connect(client, server, delay.clone(), cut.clone(), mute.clone()));
                    }
                }
            }
        });
        Self { address, delay_us, cuts, mutes }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on everything takes this much longer, each way.
    pub(crate) fn slow(&self, delay: Duration) {
        self.delay_us.store(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Breaks all connections; what was on the way is lost.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// All connections stay open and pass nothing any more, until they are cut; new ones work.
    pub(crate) fn mute(&self) {
        self.mutes.send_modify(|mutes| *mutes += 1);
    }
}

async fn connect(
    client: TcpStream,
    server: SocketAddr,
    delay: Arc<AtomicU64>,
    mut cut: watch::Receiver<u64>,
    mut mute: watch::Receiver<u64>,
) {
    cut.mark_unchanged();
    mute.mark_unchanged();
    let Ok(server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client, server) = (client.into_split(), server.into_split());
    let passing = async {
        tokio::select! {
            () = pass(client.0, server.1, &delay) => {}
            () = pass(server.0, client.1, &delay) => {}
        }
    };
    tokio::pin!(passing);
    tokio::select! {
        () = &mut passing => {}
        _ = cut.changed() => {}
        // Both sides stay open, and nothing moves.
        _ = mute.changed() => drop(cut.changed().await),
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: &AtomicU64) {
    let (sender, mut late) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let due = Instant::now() + Duration::from_micros(delay.load(Ordering::Relaxed));
            let _ = sender.send((due, buffer[..count].to_vec()));
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

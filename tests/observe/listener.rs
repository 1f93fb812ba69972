//! The listener of the metrics needs no token: whoever can reach it may waste none of it for long.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{interval, timeout},
};

use super::deployment::{Deployment, FLUSHER};

const DEADLINE: Duration = Duration::from_secs(30);
/// More than it takes at once.
const IDLE: usize = 100;

/// Waits until the other end has closed the connection; what it says before does not matter.
async fn until_closed(stream: &mut TcpStream) {
    let mut said = Vec::new();
    // A reset is an end too.
    let _ = timeout(DEADLINE, stream.read_to_end(&mut said)).await.expect("it is closed in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_connects_and_says_nothing_keeps_nobody_out_and_is_let_go() {
    let deployment = Deployment::open("null", 0).await;
    let flusher = deployment.start(FLUSHER, &[]).await;
    flusher.until_ready(true).await;
    let mut silent = Vec::new();
    for at in 0..IDLE {
        let mut stream = TcpStream::connect(&flusher.address).await.expect("a connection");
        if at % 2 == 0 {
            stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: a").await.expect("it takes the half of a head");
        }
        silent.push(stream);
    }
    let open = flusher.until_in_time("process_open_fds", |_| true).await.value("process_open_fds").expect("a gauge");
    assert!(open < IDLE as f64, "{open} files are open");
    for stream in &mut silent {
        until_closed(stream).await;
    }
    // Whoever has asked and been answered, and asks no more, is let go as well.
    let mut stream = TcpStream::connect(&flusher.address).await.expect("a connection");
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("it takes a request");
    until_closed(&mut stream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_letter_by_letter_is_not_waited_for() {
    let deployment = Deployment::open("null", 0).await;
    let flusher = deployment.start(FLUSHER, &[]).await;
    let stream = TcpStream::connect(&flusher.address).await.expect("a connection");
    let (mut answer, mut request) = stream.into_split();
    request.write_all(b"GET /livez HTTP/1.1\r\nx-slow: ").await.expect("it takes a beginning");
    let trickle = async {
        let mut pace = interval(Duration::from_millis(100));
        while request.write_all(b"a").await.is_ok() {
            pace.tick().await;
        }
    };
    let mut said = Vec::new();
    let closed = async { drop(answer.read_to_end(&mut said).await) };
    timeout(DEADLINE, async { tokio::join!(trickle, closed) }).await.expect("it is given up in time");
}

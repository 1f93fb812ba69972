//! A small HTTP server over real sockets that answers as a test tells it, and remembers what it saw.

use std::{
    io::Read,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What the server does with one request.
#[derive(Clone)]
pub enum Reply {
    /// Answers so, and keeps the connection.
    Raw(String),
    /// Answers the status, promises a body, and sends none.
    HeadOnly(u16),
    /// Never answers.
    Silence,
    /// Closes the connection.
    Close,
    /// Resets the connection.
    Reset,
}

impl Reply {
    pub fn status(code: u16) -> Self {
        Self::with_head(code, "")
    }

    /// With more header lines, each ended by CRLF.
    pub fn with_head(code: u16, lines: &str) -> Self {
        let length = if code == 204 { "" } else { "content-length: 0\r\n" };
        Self::Raw(format!("HTTP/1.1 {code} X\r\n{length}{lines}\r\n"))
    }

    pub fn with_body(code: u16, bytes: usize) -> Self {
        Self::Raw(format!("HTTP/1.1 {code} X\r\ncontent-length: {bytes}\r\n\r\n{}", "x".repeat(bytes)))
    }
}

/// A request as it came.
#[derive(Clone)]
pub struct Request {
    pub line: String,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct Log {
    seen: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    in_flight: AtomicUsize,
    in_flight_max: AtomicUsize,
}

pub struct Server {
    port: u16,
    log: Arc<Log>,
}

impl Server {
    pub async fn start(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Arc::new(Log::default());
        let (reply, of_task) = (Arc::new(reply), Arc::clone(&log));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                of_task.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(stream, Arc::clone(&of_task), Arc::clone(&reply)));
            }
        });
        Self { port, log }
    }

    /// With a path and a query that must show up nowhere.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks/KEY?token=T", self.port)
    }

    pub fn seen(&self) -> Vec<Request> {
        self.log.seen.lock().unwrap().clone()
    }

    /// Connections taken so far.
    pub fn connections(&self) -> usize {
        self.log.connections.load(Ordering::SeqCst)
    }

    /// The most requests that waited for their answer at once.
    pub fn in_flight_max(&self) -> usize {
        self.log.in_flight_max.load(Ordering::SeqCst)
    }
}

async fn serve(stream: TcpStream, log: Arc<Log>, reply: Arc<impl Fn(&Request) -> Reply>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream).await {
        let now = log.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
        log.in_flight_max.fetch_max(now, Ordering::SeqCst);
        let reply = reply(&request);
        log.seen.lock().unwrap().push(request);
        let text = match reply {
            Reply::Raw(text) => text,
            Reply::HeadOnly(code) => format!("HTTP/1.1 {code} X\r\ncontent-length: 10\r\n\r\n"),
            Reply::Silence => String::new(),
            Reply::Close => return,
            Reply::Reset => return stream.get_ref().set_zero_linger().unwrap(),
        };
        log.in_flight.fetch_sub(1, Ordering::SeqCst);
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let line = read_line(stream).await?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream).await?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { line, headers, body: String::new() };
    let mut body = vec![0; request.header("content-length")?.parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    request.body = String::from_utf8(body).ok()?;
    Some(request)
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await {
        Ok(1..) => Some(line.trim_end().to_owned()),
        _ => None,
    }
}

/// Serves one TLS connection with a certificate that nobody trusts; returns its URL.
pub fn serve_untrusted_tls() -> String {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("../data/tls/localhost.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("../data/tls/localhost.key")).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        // The client ends the handshake with an alert: that is the end of this connection.
        let mut tls = rustls::Stream::new(&mut connection, &mut stream);
        let _ = tls.read(&mut [0; 1024]);
    });
    format!("https://localhost:{port}/hooks/KEY")
}

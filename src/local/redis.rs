//! Redis or Valkey: how it is started, and when it answers.

use std::{io::ErrorKind, net::Ipv4Addr, path::Path, process::Command, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// A server that is silent for so long, such as a frozen one, does not answer.
const ASK_MAX: Duration = Duration::from_secs(3);

/// A server that keeps its data as a production one should: every write in the append-only file, synced every second,
/// no snapshots beside it, and an error rather than an eviction when memory is full.
pub(super) fn command(program: &Path, home: &Path, port: u16) -> Command {
    let mut command = Command::new(program);
    command.arg("--port").arg(port.to_string()).arg("--dir").arg(home).args(SETTINGS);
    command
}

/// The settings without port and folder; also those of the container.
pub(super) const SETTINGS: &[&str] = &[
    "--appendonly",
    "yes",
    "--appendfsync",
    "everysec",
    "--save",
    "",
    // By default the file is rewritten each 64 MB, at thousands of rounds a second every few seconds.
    "--auto-aof-rewrite-min-size",
    "256mb",
    // To delete an entry, Redis walks through those before it in its node: a hundred by default.
    "--stream-node-max-entries",
    "16",
    "--maxmemory-policy",
    "noeviction",
    "--daemonize",
    "no",
];

/// The file of a sentinel, in its folder: it reads it at start and keeps what it learns there.
pub(super) const SENTINEL_FILE: &str = "sentinel.conf";

/// Not bound to loopback, a sentinel would take commands from everywhere.
pub(super) fn sentinel_settings(port: u16) -> String {
    format!("bind 127.0.0.1\nport {port}\n")
}

pub(super) fn sentinel_command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg(home.join(SENTINEL_FILE)).arg("--sentinel");
    command
}

/// Whether the server on this port takes commands, and is the process `pid` if one is given.
///
/// Another run may have taken the port just before our server did; its server would answer too.
pub(super) async fn answers(port: u16, pid: Option<u32>) -> bool {
    ask(port, "PING\r\nINFO server").await.is_ok_and(|reply| {
        reply.starts_with("+PONG")
            && pid.is_none_or(|pid| reply.lines().any(|line| line.trim_end() == format!("process_id:{pid}")))
    })
}

/// Sends commands as they are typed, one on each line, and returns the replies as they come.
pub(super) async fn ask(port: u16, commands: &str) -> std::io::Result<String> {
    timeout(ASK_MAX, exchange(port, commands)).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

async fn exchange(port: u16, commands: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(format!("{commands}\r\n").as_bytes()).await?;
    // A sentinel does not know QUIT; what was sent before the end is answered all the same.
    stream.shutdown().await?;
    let mut reply = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut reply).await?;
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

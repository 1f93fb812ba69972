//! What the crate has no call for: asking a Redis server how it is.

use anyhow::{Context, ensure};
use restock::local::LocalRedis;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// A plain connection.
pub(crate) struct Wire(BufReader<TcpStream>);

impl Wire {
    pub(crate) async fn open(redis: &LocalRedis) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", redis.port())).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// One command, words parted by blanks; the answer's text, or its number as text.
    async fn ask(&mut self, command: &str) -> anyhow::Result<String> {
        self.0.get_mut().write_all(format!("{command}\r\n").as_bytes()).await?;
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        let line = line.trim_end();
        ensure!(!line.starts_with('-'), "Redis refuses `{command}`: {line}");
        let Some(length) = line.strip_prefix('$') else { return Ok(line.get(1..).unwrap_or_default().to_owned()) };
        let mut text = vec![0; length.parse::<usize>()? + 2];
        self.0.read_exact(&mut text).await?;
        text.truncate(text.len() - 2);
        Ok(String::from_utf8(text)?)
    }

    /// Entries of a stream.
    pub(crate) async fn length(&mut self, stream: &str) -> anyhow::Result<u64> {
        Ok(self.ask(&format!("XLEN {stream}")).await?.parse()?)
    }

    /// Scripts called since the server started.
    pub(crate) async fn script_calls(&mut self) -> anyhow::Result<u64> {
        let info = self.ask("INFO commandstats").await?;
        let calls = info.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
        let calls = calls.and_then(|rest| rest.split(',').next());
        Ok(calls.context("INFO commandstats names no evalsha")?.parse()?)
    }

    /// Bytes that its data takes.
    pub(crate) async fn used_memory(&mut self) -> anyhow::Result<u64> {
        let info = self.ask("INFO memory").await?;
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        Ok(used.context("INFO memory names no used_memory")?.trim().parse()?)
    }
}

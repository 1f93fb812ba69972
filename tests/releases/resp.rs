//! Redis as it is on the wire: any command, any reply.

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

/// A connection.
pub(crate) struct Wire(BufReader<TcpStream>);

/// What a command is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Nothing.
    Nil,
    /// A text or a number.
    Text(String),
    /// Several replies.
    Many(Vec<Reply>),
}

impl Wire {
    /// To a server on 127.0.0.1.
    pub(crate) async fn open(port: u16) -> Self {
        Self(BufReader::new(TcpStream::connect(("127.0.0.1", port)).await.expect("Redis answers")))
    }

    /// Sends one command.
    ///
    /// # Panics
    /// Redis refuses it.
    pub(crate) async fn ask<S: AsRef<str>>(&mut self, words: &[S]) -> Reply {
        let mut sent = format!("*{}\r\n", words.len());
        for word in words.iter().map(S::as_ref) {
            sent.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        self.0.write_all(sent.as_bytes()).await.expect("Redis answers");
        let reply = Box::pin(self.read()).await;
        let words: Vec<&str> = words.iter().map(S::as_ref).collect();
        reply.unwrap_or_else(|refusal| panic!("{words:?}: {refusal}"))
    }

    async fn read(&mut self) -> Result<Reply, String> {
        let mut line = String::new();
        self.0.read_line(&mut line).await.expect("Redis answers");
        let (kind, rest) = line.trim_end().split_at_checked(1).expect("a reply has a kind");
        match kind {
            "-" => Err(rest.to_owned()),
            "+" | ":" => Ok(Reply::Text(rest.to_owned())),
            "$" | "*" if rest == "-1" => Ok(Reply::Nil),
            "$" => {
                let mut bytes = vec![0; rest.parse::<usize>().expect("a length") + 2];
                self.0.read_exact(&mut bytes).await.expect("Redis answers");
                bytes.truncate(bytes.len() - 2);
                Ok(Reply::Text(String::from_utf8(bytes).expect("restock keeps texts")))
            }
            "*" => {
                let mut replies = Vec::new();
                for _ in 0..rest.parse::<usize>().expect("a count") {
                    replies.push(Box::pin(self.read()).await?);
                }
                Ok(Reply::Many(replies))
            }
            _ => panic!("an unknown reply: {line}"),
        }
    }

    /// The name under which products and paces of this server are kept: its run.
    pub(crate) async fn run(&mut self) -> String {
        let mut info = self.ask(&["INFO", "server"]).await.text();
        info.push_str(&self.ask(&["INFO", "replication"]).await.text());
        let text = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        format!("{}-{}", text("run_id:"), text("master_replid:"))
    }
}

impl Reply {
    /// The text of it; of nothing an empty one.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Nil => String::new(),
            Self::Many(replies) => panic!("a text is expected: {replies:?}"),
        }
    }

    /// The replies in it.
    pub(crate) fn many(self) -> Vec<Self> {
        match self {
            Self::Many(replies) => replies,
            other => panic!("several replies are expected: {other:?}"),
        }
    }

    /// The texts in it.
    pub(crate) fn texts(self) -> Vec<String> {
        self.many().into_iter().map(Self::text).collect()
    }
}

//! A Redis with a copy, and three sentinels that promote the copy when the first is gone.

use std::time::Duration;

use super::{
    LocalError, LocalRedis,
    server::{Kind, Server},
    settle::{first_answer, replicated, until},
};

/// The name by which sentinels know the pair.
const NAME: &str = "restock";
/// How long a primary is silent before a sentinel takes it for dead.
const DOWN_AFTER: Duration = Duration::from_secs(1);
const SENTINELS: usize = 3;

/// A private primary with a replica and three sentinels, of which two decide.
///
/// Both servers have their writes in their own append-only files, and the replica is about as far behind as the network
/// is slow: what a primary had accepted and not passed on is lost with it.
#[derive(Debug)]
pub struct LocalSentinels {
    nodes: [LocalRedis; 2],
    /// What Redis asks for; the sentinels ask for nothing.
    password: Option<String>,
    sentinels: Vec<LocalRedis>,
}

impl LocalSentinels {
    /// Starts all five and waits until the sentinels know each other and the replica.
    ///
    /// # Errors
    /// One of them is not installed or does not start, or they do not find each other.
    pub async fn start() -> Result<Self, LocalError> {
        Self::start_with(None).await
    }

    /// The same, with Redis asking for this password, and the sentinels for none.
    ///
    /// # Errors
    /// As [`LocalSentinels::start`].
    pub async fn start_with_password(password: &str) -> Result<Self, LocalError> {
        Self::start_with(Some(password)).await
    }

    async fn start_with(password: Option<&str>) -> Result<Self, LocalError> {
        let (first, second) =
            tokio::try_join!(LocalRedis::start_with(replicated()), LocalRedis::start_with(replicated()))?;
        let mut sentinels = Vec::with_capacity(SENTINELS);
        for _ in 0..SENTINELS {
            sentinels.push(LocalRedis(Server::start_with(Kind::Sentinel, Vec::new()).await?));
        }
        let all = Self { nodes: [first, second], password: password.map(str::to_owned), sentinels };
        all.introduce().await?;
        Ok(all)
    }

    async fn introduce(&self) -> Result<(), LocalError> {
        let [first, second] = &self.nodes;
        let password = self.password.as_deref();
        let login = password.map_or_else(String::new, |password| format!("AUTH {password}\r\n"));
        let port = first.port();
        for node in &self.nodes {
            if let Some(password) = password {
                node.command(&format!("CONFIG SET masterauth {password} requirepass {password}")).await?;
            }
        }
        second.command(&format!("{login}REPLICAOF 127.0.0.1 {port}")).await?;
        until("the replica follows", || async {
            Ok(second.command(&format!("{login}INFO replication")).await?.contains("master_link_status:up"))
        })
        .await?;
        for sentinel in &self.sentinels {
            sentinel.command(&format!("SENTINEL MONITOR {NAME} 127.0.0.1 {port} 2")).await?;
            let down_after_ms = DOWN_AFTER.as_millis();
            let mut settings = format!("down-after-milliseconds {down_after_ms} failover-timeout 5000");
            if let Some(password) = password {
                settings.push_str(&format!(" auth-pass {password}"));
            }
            sentinel.command(&format!("SENTINEL SET {NAME} {settings}")).await?;
        }
        until("the sentinels know each other and the replica", || async {
            for sentinel in &self.sentinels {
                let known = sentinel.command(&format!("SENTINEL MASTER {NAME}")).await?;
                let has = |name: &str, count: usize| {
                    let mut words = known.lines().skip_while(|line| *line != name).skip(2);
                    words.next().is_some_and(|word| word == count.to_string())
                };
                if !(has("num-other-sentinels", SENTINELS - 1) && has("num-slaves", 1)) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    /// `redis-sentinel://127.0.0.1:PORT?node=…&sentinelServiceName=restock`, with all three.
    #[must_use]
    pub fn url(&self) -> String {
        let mut ports = self.sentinels.iter().map(|sentinel| sentinel.port());
        let first = ports.next().unwrap_or_default();
        let others: String = ports.map(|port| format!("node=127.0.0.1:{port}&")).collect();
        let login = self.password.as_ref().map_or_else(String::new, |password| format!(":{password}@"));
        format!("redis-sentinel://{login}127.0.0.1:{first}?{others}sentinelServiceName={NAME}")
    }

    /// The sentinels, in the order of the URL.
    #[must_use]
    pub fn sentinels(&self) -> &[LocalRedis] {
        &self.sentinels
    }

    /// The one that the sentinels now name, and the other one.
    ///
    /// # Errors
    /// No sentinel answers.
    pub async fn pair(&self) -> Result<(&LocalRedis, &LocalRedis), LocalError> {
        let command = format!("SENTINEL GET-MASTER-ADDR-BY-NAME {NAME}");
        let answer = first_answer(self.sentinels.iter(), &command, "a sentinel that answers").await?;
        let [first, second] = &self.nodes;
        let is_second = answer.lines().any(|line| line == second.port().to_string());
        Ok(if is_second { (second, first) } else { (first, second) })
    }

    /// Waits until the sentinels name another than this one.
    ///
    /// # Errors
    /// They do not within a minute.
    pub async fn replaced(&self, gone: &LocalRedis) -> Result<(), LocalError> {
        until("another server is the primary", || async { Ok(self.pair().await?.0.port() != gone.port()) }).await
    }
}

//! Private Redis and MySQL servers for the demo, the tests and the benches.
//!
//! ```text
//! Servers ─┬─ LocalRedis ─┐            ┌─ Process: a program of this machine ─┐
//!          └─ LocalMySql ─┴─► Server ──┤                                      ├─ Home: folder + watchdog
//!                                      └─ Container: Docker, when there is none┘
//! ```
//!
//! [`LocalSentinels`] and [`LocalCluster`] are several such servers that take over from each other.
//!
//! Each server listens on a free port of 127.0.0.1 and keeps its data in a folder of mode 700 under `TMPDIR`. Nothing
//! on the machine is read or changed, and a server that is already there is left alone. When a value is dropped, its
//! server is killed and its folder removed; when this process ends in any other way, `kill -9` included, a watchdog
//! does the same within a fraction of a second.
//!
//! The servers have no password, so every user of this machine can reach them while they run: they are for data that
//! may be lost and seen.
//!
//! | variable | chooses |
//! |---|---|
//! | `RESTOCK_LOCAL_REDIS` | the Redis or Valkey program, instead of `redis-server`, `valkey-server` |
//! | `RESTOCK_LOCAL_MYSQLD` | the MariaDB or MySQL program, instead of `mariadbd`, `mysqld` |
//! | `TMPDIR` | where the folders are made |
//!
//! A wrapper script as a program must `exec` the server in the end: signals go to its process.

mod cluster;
mod companion;
mod docker;
mod error;
mod home;
mod mysql;
mod port;
mod process;
mod programs;
mod redis;
mod run;
mod sentinel;
mod server;
mod settle;
mod urls;

use std::ops::Deref;

pub use cluster::LocalCluster;
pub use companion::Companion;
pub use error::LocalError;
pub use port::Port;
pub use programs::{MYSQLD_VARIABLE, REDIS_VARIABLE};
pub(crate) use run::Signals;
pub use run::run_with_servers;
pub use sentinel::LocalSentinels;
pub use server::Server;
pub use urls::{MYSQL_URL_VARIABLE, REDIS_URL_VARIABLE, Urls, fresh_database_name, fresh_namespace};

use server::Kind;

/// A private Redis and a private MySQL.
#[derive(Debug)]
pub struct Servers {
    /// Redis or Valkey.
    pub redis: LocalRedis,
    /// MariaDB or MySQL.
    pub mysql: LocalMySql,
}

impl Servers {
    /// Starts both at the same time and waits until both answer.
    ///
    /// # Errors
    /// One of them is not installed or does not start. Nothing is left running then.
    pub async fn start() -> Result<Self, LocalError> {
        let (redis, mysql) = tokio::try_join!(LocalRedis::start(), LocalMySql::start())?;
        Ok(Self { redis, mysql })
    }
}

/// A private Redis or Valkey: append-only file synced every second, no snapshots, no eviction.
#[derive(Debug)]
pub struct LocalRedis(Server);

impl LocalRedis {
    /// Starts one and waits until it answers.
    ///
    /// # Errors
    /// It is not installed or does not start.
    pub async fn start() -> Result<Self, LocalError> {
        Server::start(Kind::Redis).await.map(Self)
    }

    /// Starts one of several that are to find each other.
    async fn start_with(options: Vec<String>) -> Result<Self, LocalError> {
        Server::start_with(Kind::Redis, options).await.map(Self)
    }

    /// Sends one command as it is typed and returns the reply as it comes.
    ///
    /// # Errors
    /// The server does not answer, or refuses.
    pub async fn command(&self, command: &str) -> Result<String, LocalError> {
        let port = self.port();
        let reply = redis::ask(port, command).await.map_err(LocalError::io("ask", format!("127.0.0.1:{port}")))?;
        match reply.strip_prefix('-') {
            Some(reason) => {
                let reply = reason.lines().next().unwrap_or_default().to_owned();
                Err(LocalError::Refused { port, command: command.to_owned(), reply })
            }
            None => Ok(reply),
        }
    }

    /// `redis://127.0.0.1:PORT`
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }
}

impl Deref for LocalRedis {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

/// A private MariaDB or MySQL: each commit synced to disk, no binary log, `LOAD DATA LOCAL` allowed, user `root`
/// without a password.
#[derive(Debug)]
pub struct LocalMySql(Server);

impl LocalMySql {
    /// Starts one, with no database in it, and waits until it answers.
    ///
    /// # Errors
    /// It is not installed or does not start.
    pub async fn start() -> Result<Self, LocalError> {
        Server::start(Kind::MySql).await.map(Self)
    }

    /// Starts one with these options after our own: not in a container.
    ///
    /// # Errors
    /// It is not installed or does not start.
    pub async fn start_with(options: &[&str]) -> Result<Self, LocalError> {
        let options = options.iter().map(|&option| option.to_owned()).collect();
        Server::start_with(Kind::MySql, options).await.map(Self)
    }

    /// `mysql://root@127.0.0.1:PORT/database`. The database is not created.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("{}/{database}", self.server_url())
    }

    /// `mysql://root@127.0.0.1:PORT`
    #[must_use]
    pub fn server_url(&self) -> String {
        mysql::server_url(self.port())
    }
}

impl Deref for LocalMySql {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

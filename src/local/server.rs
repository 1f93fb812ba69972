//! One private server, whatever it is and wherever it runs.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep, timeout};

use super::{
    LocalError,
    docker::{Container, Image},
    home::Home,
    mysql,
    port::Port,
    process::Process,
    programs::{self, Database},
    redis,
};

/// How long a server may take to answer, and to make its data folder: MySQL on a busy machine needs many seconds.
const READY_MAX: Duration = Duration::from_secs(120);
const STOP_MAX: Duration = Duration::from_secs(60);
const PROBE_MAX: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(10);
const PORT_TRIES: usize = 5;

/// What a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Redis,
    Sentinel,
    MySql,
}

/// What a server is, with the program found for it.
#[derive(Debug)]
enum Program {
    Redis(PathBuf),
    Sentinel(PathBuf),
    Database(Database),
}

#[derive(Debug)]
enum Host {
    Process { program: Program, process: Process },
    Container(Box<Container>),
}

/// A private server on a port of 127.0.0.1, with its data in a folder of its own.
///
/// All methods take `&self`: a test may hand it to several tasks. Dropping it kills the server and deletes its data;
/// so does the end of this process, however it comes about.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    /// What this one is given beside its kind's settings.
    options: Vec<String>,
    port: Port,
    host: Host,
}

impl Server {
    /// Starts a server and waits until it answers. A port lost to another process is replaced by a new one.
    pub(super) async fn start(kind: Kind) -> Result<Self, LocalError> {
        match Self::program(kind)? {
            Some(program) => Self::start_program(kind, program, Vec::new()).await,
            None => Self::start_container(kind).await,
        }
    }

    /// Starts one with options of its own, or of several that must find each other: which containers would not take, or do.
    pub(super) async fn start_with(kind: Kind, options: Vec<String>) -> Result<Self, LocalError> {
        let not_found = || LocalError::ProgramMissing { server: kind.name(), looked_for: kind.programs() };
        Self::start_program(kind, Self::program(kind)?.ok_or_else(not_found)?, options).await
    }

    fn program(kind: Kind) -> Result<Option<Program>, LocalError> {
        Ok(match kind {
            Kind::Redis => programs::redis()?.map(Program::Redis),
            Kind::Sentinel => programs::redis()?.map(Program::Sentinel),
            Kind::MySql => programs::database()?.map(Program::Database),
        })
    }

    async fn start_program(kind: Kind, program: Program, options: Vec<String>) -> Result<Self, LocalError> {
        let process = Process::new(kind.name(), Home::create()?);
        if let Program::Database(database) = &program {
            process.run(&mysql::install_command(database, process.home())?, READY_MAX).await?;
        }
        let mut server = Self { kind, options, port: Port::find()?, host: Host::Process { program, process } };
        let mut tries = 1;
        loop {
            server.write_configuration()?;
            match server.start_again().await {
                Err(error) if error.is_port_taken() && tries < PORT_TRIES => tries += 1,
                other => return other.map(|()| server),
            }
            server.port = Port::find()?;
        }
    }

    async fn start_container(kind: Kind) -> Result<Self, LocalError> {
        let image = match kind {
            Kind::Redis | Kind::Sentinel => Image::Redis,
            Kind::MySql => Image::MariaDb,
        };
        let mut tries = 1;
        loop {
            let port = Port::find()?;
            match Container::start(image, port.number()).await {
                Ok(container) => {
                    let host = Host::Container(Box::new(container));
                    let server = Self { kind, options: Vec::new(), port, host };
                    server.ready().await?;
                    return Ok(server);
                }
                Err(error) if error.is_port_taken() && tries < PORT_TRIES => tries += 1,
                Err(error) => {
                    let looked_for = kind.programs();
                    return Err(LocalError::Missing { server: kind.name(), looked_for, docker: Box::new(error) });
                }
            }
        }
    }

    /// The port on 127.0.0.1. It stays the same until the server is dropped.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The id of the server's process; none while it is down, and for a container.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match &self.host {
            Host::Process { process, .. } => process.pid(),
            Host::Container(_) => None,
        }
    }

    /// Whether the server's process still runs; of a container nothing is known.
    ///
    /// # Errors
    /// It has ended; the message has the end of its log.
    pub fn check_running(&self) -> Result<(), LocalError> {
        match &self.host {
            Host::Process { process, .. } => process.check_running().map(drop),
            Host::Container(_) => Ok(()),
        }
    }

    /// Ends the server at once, as SIGKILL does, and waits until it is gone. What it had written to its files stays.
    ///
    /// A container is asked first and killed right after.
    ///
    /// # Errors
    /// Docker refused.
    pub async fn kill(&self) -> Result<(), LocalError> {
        match &self.host {
            Host::Process { process, .. } => {
                process.kill();
                Ok(())
            }
            Host::Container(container) => container.stop(Duration::ZERO).await,
        }
    }

    /// Asks the server to end (also when it is frozen) and waits until it has. Its data stays.
    ///
    /// # Errors
    /// It did not end within 60 s, and was killed; or Docker refused.
    pub async fn stop(&self) -> Result<(), LocalError> {
        match &self.host {
            Host::Process { process, .. } => process.stop(STOP_MAX).await,
            Host::Container(container) => container.stop(STOP_MAX).await,
        }
    }

    /// Starts the server on the same port with the same data, and waits until it answers. A running server stays.
    ///
    /// # Errors
    /// It ended, or did not answer within 120 s; the error has the end of its log.
    pub async fn start_again(&self) -> Result<(), LocalError> {
        match &self.host {
            Host::Process { program, process } => process.spawn(&self.command(program, process.home()))?,
            Host::Container(container) => container.start_again().await?,
        }
        self.ready().await
    }

    /// Stops the server in its tracks (SIGSTOP): connections stay open and nothing answers.
    ///
    /// # Errors
    /// It is not running.
    pub async fn freeze(&self) -> Result<(), LocalError> {
        match &self.host {
            Host::Process { process, .. } => process.signal(Signal::SIGSTOP),
            Host::Container(container) => container.freeze().await,
        }
    }

    /// Lets a frozen server run on (SIGCONT).
    ///
    /// # Errors
    /// It is not running.
    pub async fn thaw(&self) -> Result<(), LocalError> {
        match &self.host {
            Host::Process { process, .. } => process.signal(Signal::SIGCONT),
            Host::Container(container) => container.thaw().await,
        }
    }

    /// A sentinel keeps what it knows in its file, and is not given anything beside it.
    fn write_configuration(&self) -> Result<(), LocalError> {
        match &self.host {
            Host::Process { program: Program::Sentinel(_), process } => {
                let file = process.home().file(redis::SENTINEL_FILE);
                fs::write(&file, redis::sentinel_settings(self.port())).map_err(LocalError::io("write", &file))
            }
            _ => Ok(()),
        }
    }

    fn command(&self, program: &Program, home: &Home) -> Command {
        match program {
            Program::Redis(path) => {
                let mut command = redis::command(path, home.path(), self.port());
                command.args(&self.options);
                command
            }
            Program::Sentinel(path) => redis::sentinel_command(path, home.path()),
            Program::Database(database) => {
                let mut command = mysql::command(database, home, self.port());
                command.args(&self.options);
                command
            }
        }
    }

    async fn ready(&self) -> Result<(), LocalError> {
        let deadline = Instant::now() + READY_MAX;
        loop {
            self.check_running()?;
            if timeout(PROBE_MAX, self.answers()).await.unwrap_or(false) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(match &self.host {
                    Host::Process { process, .. } => process.late("answer", READY_MAX),
                    Host::Container(_) => LocalError::Late {
                        server: self.kind.name(),
                        what: "answer",
                        within: READY_MAX,
                        log: "(in a container: `docker logs`)".to_owned(),
                    },
                });
            }
            sleep(POLL).await;
        }
    }

    async fn answers(&self) -> bool {
        match (self.kind, &self.host) {
            (Kind::Redis | Kind::Sentinel, _) => redis::answers(self.port(), self.pid()).await,
            (Kind::MySql, Host::Process { process, .. }) => {
                mysql::answers(self.port(), Some(&mysql::data(process.home()))).await
            }
            (Kind::MySql, Host::Container(_)) => mysql::answers(self.port(), None).await,
        }
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Redis => "Redis",
            Self::Sentinel => "a sentinel",
            Self::MySql => "MariaDB or MySQL",
        }
    }

    fn programs(self) -> &'static str {
        match self {
            Self::Redis | Self::Sentinel => "redis-server, valkey-server",
            Self::MySql => "mariadbd, mysqld",
        }
    }
}

//! The entry of the programs that run until they are told to end.

use std::process::ExitCode;

use anyhow::Context;
use chrono::Utc;
use clap::Args;
use serde_json::json;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use super::{exit::Failure, output};
use crate::{
    config::{self, Backends, LogFormat, Logging},
    ids::rfc3339,
    meter::Role,
    observe::{Observer, Observing},
    stop, trace,
};

/// How many threads a program works with. Worker and flusher wait for Redis, MySQL and receivers far more than they compute: one thread
/// takes less for it than two, which wake each other for every answer. More are for work that fills one, such as TLS to many receivers.
#[derive(Debug, Clone, Copy, Args)]
pub struct Threads {
    /// Threads that work: more only where one is busy all the time
    #[arg(long, env = "RESTOCK_THREADS", default_value_t = 1, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1_024))]
    threads: u16,
}

impl Threads {
    /// Runs a whole program.
    ///
    /// # Panics
    /// When the system gives this process no thread or no descriptor to wait with.
    pub fn run(self, program: impl Future<Output = ExitCode>) -> ExitCode {
        let mut runtime = match self.threads {
            1 => Builder::new_current_thread(),
            _ => Builder::new_multi_thread(),
        };
        let runtime = runtime.worker_threads(self.threads.into()).enable_all().build();
        let runtime = runtime.expect("a process may start threads and wait for descriptors");
        let ended = runtime.block_on(program);
        // What the system still keeps a thread waiting for, such as a pipe that nobody reads, is not waited for.
        runtime.shutdown_background();
        ended
    }
}

/// Prepares this process, shows what it does where that is wanted, runs its work with a token that SIGTERM and SIGINT cancel,
/// and says how it ended: the codes are those of `restock-cli`, the reason is one line on stderr in the form of the log,
/// whatever the log's filter.
pub async fn run(
    program: &'static str,
    backends: &Backends,
    logging: &Logging,
    (role, observing): (Role, &Observing),
    work: impl AsyncFnOnce(CancellationToken, Observer) -> anyhow::Result<()>,
) -> ExitCode {
    let ended = async {
        config::prepare(backends, logging)?;
        let stop = stop::on_signals().context("cannot listen for signals")?;
        let observer = observing.start(role, stop.clone()).await?;
        work(stop, observer).await
    };
    let ended = ended.await;
    trace::end().await;
    let Err(error) = ended else {
        tracing::info!("stopped");
        return ExitCode::SUCCESS;
    };
    let failure = Failure::of(&error, backends);
    output::note(&match logging.log_format {
        LogFormat::Text => format!("{program}: {failure}"),
        LogFormat::Json => {
            let at = rfc3339(Utc::now().naive_utc());
            json!({ "timestamp": at, "level": "ERROR", "message": failure.to_string(), "target": program }).to_string()
        }
    });
    failure.code.into()
}

#[cfg(test)]
mod tests {
    use clap::{Parser, error::ErrorKind};
    use tokio::runtime::{Handle, RuntimeFlavor};

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        threads: Threads,
    }

    fn runtime(arguments: &[&str]) -> Result<(RuntimeFlavor, usize), ErrorKind> {
        let Command { threads } =
            Command::try_parse_from([&["program"], arguments].concat()).map_err(|error| error.kind())?;
        let mut runtime = None;
        threads.run(async {
            let handle = Handle::current();
            runtime = Some((handle.runtime_flavor(), handle.metrics().num_workers()));
            ExitCode::SUCCESS
        });
        Ok(runtime.expect("it has run"))
    }

    #[test]
    fn a_program_works_with_one_thread_or_as_many_as_it_is_told() {
        assert_eq!(runtime(&[]), Ok((RuntimeFlavor::CurrentThread, 1)));
        assert_eq!(runtime(&["--threads", "3"]), Ok((RuntimeFlavor::MultiThread, 3)));
        assert_eq!(runtime(&["--threads", "0"]), Err(ErrorKind::ValueValidation));
    }
}

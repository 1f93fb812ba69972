//! The entry of the programs that run until they are told to end.

use std::process::ExitCode;

use anyhow::Context;
use chrono::Utc;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{exit::Failure, output};
use crate::{
    config::{self, Backends, LogFormat, Logging},
    ids::rfc3339,
    meter::Role,
    observe::{Observer, Observing},
    stop, trace,
};

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

//! Ending a process: the first signal drains, the second ends at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The exit code of a process that was told twice to end.
pub const FORCED_EXIT_CODE: i32 = 130;

/// A token that SIGTERM or SIGINT cancels; a second signal ends the process with [`FORCED_EXIT_CODE`].
///
/// # Errors
/// When the signals cannot be listened to.
pub fn on_signals() -> io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        next(&mut terminate, &mut interrupt).await;
        tracing::info!("told to stop: draining; a second signal ends at once");
        stop.cancel();
        next(&mut terminate, &mut interrupt).await;
        tracing::warn!("told to stop again: ending at once");
        std::process::exit(FORCED_EXIT_CODE);
    });
    Ok(token)
}

async fn next(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

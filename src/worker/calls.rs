//! The calls of a hold, made until Redis answers.

use futures_util::{FutureExt, future::BoxFuture};
use metrics::Histogram;
use tokio::time::sleep;

use crate::{
    clock::BootTime,
    redis::{
        RETRY_PAUSE, RedisError,
        scripts::{Advanced, PendingAdvance, PendingRenew},
    },
};

/// A call under way.
pub(super) type Call = BoxFuture<'static, Reply>;

/// What a call came back with.
#[derive(Debug)]
pub(super) enum Reply {
    /// The lease runs again in full.
    Renewed,
    /// The answer, and when it was first asked for: a replayed answer must not look fresh.
    Advanced(BootTime, Advanced),
    /// The lane is not ours any more, or Redis says what we do not understand.
    Lost,
}

pub(super) fn advance(call: PendingAdvance, seconds: Histogram) -> Call {
    async move {
        let handed = BootTime::now();
        loop {
            match call.call().await {
                Ok(advanced) => {
                    seconds.record(handed.age_us(BootTime::now()) as f64 / 1e6);
                    return Reply::Advanced(handed, advanced);
                }
                Err(error) if error.is_unreachable() => wait(&error).await,
                Err(error) => return give_up(&error),
            }
        }
    }
    .boxed()
}

pub(super) fn renew(call: PendingRenew) -> Call {
    async move {
        loop {
            match call.call().await {
                Ok(true) => return Reply::Renewed,
                Ok(false) => return Reply::Lost,
                Err(error) if error.is_unreachable() => wait(&error).await,
                Err(error) => return give_up(&error),
            }
        }
    }
    .boxed()
}

async fn wait(error: &RedisError) {
    tracing::debug!(%error, "asking again");
    sleep(RETRY_PAUSE).await;
}

fn give_up(error: &RedisError) -> Reply {
    tracing::error!(%error, "dropping a lane; another worker takes it when the lease has run out");
    Reply::Lost
}

//! Stop signals: one sharded channel per partition; the message is the product's id.

use std::time::Duration;

use fred::{
    clients::SubscriberClient,
    interfaces::{EventInterface, PubsubInterface},
    prelude::ClientLike,
    types::{Builder, Value},
};
use tokio::{
    sync::{broadcast, mpsc},
    time::{sleep, timeout},
};

use super::{
    RETRY_PAUSE, Redis, RedisError,
    connect::{Link, UNRESPONSIVE_AFTER},
};
use crate::ids::{Partition, ProductId};

/// How often the listener looks whether its connection lives.
const PING_EVERY: Duration = Duration::from_secs(2);

/// What a listener learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// This product's stock is gone, or one of its lanes is to stop: look now.
    Stop(ProductId),
    /// Signals may have been missed: take every authorisation as lapsed.
    Resubscribed,
}

/// Listens on a connection of its own, without end; drops what nobody takes for longer than the queue holds, and
/// says [`Signal::Resubscribed`] then.
///
/// # Errors
/// When the first connection cannot be made.
pub async fn listen(redis: &Redis, partitions: u16) -> Result<mpsc::Receiver<Signal>, RedisError> {
    let channels = (0..partitions).map(|p| redis.keys().signal(Partition(p))).collect();
    listen_on(redis, channels, |id| id.parse().ok().map(Signal::Stop), Signal::Resubscribed).await
}

/// Listens on sharded channels, on a connection of its own, without end: what `read` makes of each message, and `missed` when
/// some may have been lost.
///
/// # Errors
/// When the first connection cannot be made.
pub(super) async fn listen_on<T: Clone + Send + Sync + 'static>(
    redis: &Redis,
    channels: Vec<String>,
    read: impl Fn(&str) -> Option<T> + Send + 'static,
    missed: T,
) -> Result<mpsc::Receiver<T>, RedisError> {
    let client: SubscriberClient = Builder::from_config(redis.client.client_config())
        .set_policy(redis.client.client_reconnect_policy().unwrap_or_default())
        .set_connection_config(redis.client.connection_config().clone())
        .build_subscriber_client()?;
    let (sender, receiver) = mpsc::channel(1024);
    let (mut messages, mut reconnects) = (client.message_rx(), client.reconnect_rx());
    let link = Link::open(client.clone()).await?;
    subscribe(&client, &channels).await?;
    let pings = tokio::spawn(keep_listening(link, channels.clone()));
    tokio::spawn(async move {
        loop {
            let signal = tokio::select! {
                message = messages.recv() => match message {
                    Ok(message) => message.value.convert::<String>().ok().and_then(|text| read(&text)),
                    Err(broadcast::error::RecvError::Lagged(_)) => Some(missed.clone()),
                    Err(broadcast::error::RecvError::Closed) => break,
                },
                _ = reconnects.recv() => {
                    // The client's own way to subscribe again fails where there are only sharded channels.
                    while let Err(error) = subscribe(&client, &channels).await {
                        tracing::debug!(%error, "cannot listen again yet");
                        sleep(RETRY_PAUSE).await;
                    }
                    Some(missed.clone())
                }
                () = sender.closed() => break,
            };
            if let Some(signal) = signal
                && sender.send(signal).await.is_err()
            {
                break;
            }
        }
        pings.abort();
        if let Err(error) = client.quit().await {
            tracing::debug!(%error, "the subscriber was already closed");
        }
    });
    Ok(receiver)
}

/// A connection that only listens has no call whose answer could be missed: these are watched instead.
///
/// In a cluster each partition may lie elsewhere, and moves without a broken connection when somebody hands it over: who
/// subscribes again is told where it lies now.
async fn keep_listening(link: Link<SubscriberClient>, channels: Vec<String>) {
    loop {
        sleep(PING_EVERY).await;
        let asked = async {
            if link.client.is_clustered() {
                return subscribe(&link.client, &channels).await;
            }
            Ok(link.client.ping::<Value>(None).await.map(drop)?)
        };
        match timeout(UNRESPONSIVE_AFTER, asked).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "a connection that listens does not answer"),
            Err(_) => link.renew().await,
        }
    }
}

/// One by one, because each lies in a slot of its own.
async fn subscribe(client: &SubscriberClient, channels: &[String]) -> Result<(), RedisError> {
    for channel in channels {
        client.ssubscribe(channel.as_str()).await?;
    }
    Ok(())
}

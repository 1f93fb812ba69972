//! Connecting to both stores.

use std::time::Duration;

use sqlx::MySqlPool;
use tokio_util::sync::CancellationToken;

use super::Stores;
use crate::{
    config::Backends,
    ids::Namespace,
    mysql::{
        self,
        schema::{self, SchemaError},
        setting::{SettingError, Settings},
    },
    redis::{Patience, Redis, RedisError},
};

/// How long a long-running role waits before it tries an unreachable MySQL again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long it waits for an answer before it says so.
const TELL_AFTER: Duration = Duration::from_secs(2);

/// Why there is nothing to work with.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The schema is not the one of this program; the message names the command that mends it.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The settings cannot be used, or belong to another deployment.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// Redis holds the keys of another deployment under this namespace.
    #[error(
        "Redis holds the namespace `{namespace}` in {in_redis} partitions, this database spreads it over {stored}: they \
         are not of one deployment; give another --namespace, or the database that belongs to this Redis"
    )]
    OtherPartitions {
        /// The first word of every key.
        namespace: Namespace,
        /// Over how many partitions they are spread there.
        in_redis: u16,
        /// Over how many they would be.
        stored: u16,
    },
    /// MySQL failed.
    #[error("MySQL: {0}")]
    Sql(#[from] sqlx::Error),
    /// Redis failed.
    #[error(transparent)]
    Redis(#[from] RedisError),
}

impl OpenError {
    /// Whether a backend did not answer, so that it may go well later.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Schema(SchemaError::Sql(error)) | Self::Setting(SettingError::Sql(error)) | Self::Sql(error) => {
                mysql::is_unreachable(error)
            }
            Self::Redis(error) => error.is_unreachable(),
            Self::Schema(_) | Self::Setting(_) | Self::OtherPartitions { .. } => false,
        }
    }
}

impl Stores {
    /// Connects to both, and checks the schema, that the database belongs to this namespace, and that Redis has the
    /// namespace from this deployment.
    ///
    /// # Errors
    /// When one of them does not answer or cannot be used.
    pub async fn open(backends: &Backends, patience: Patience, connections_max: u32) -> Result<Self, OpenError> {
        let (mysql, settings) = Self::open_record(backends, connections_max).await?;
        let redis = Redis::connect(&backends.redis_url, &backends.namespace, patience).await?;
        // Elsewhere than where they lie, nobody would find a product, and each would have its rounds twice.
        match redis.mirrored_partitions().await? {
            Some(in_redis) if in_redis != settings.partitions => {
                let (namespace, stored) = (settings.namespace, settings.partitions);
                Err(OpenError::OtherPartitions { namespace, in_redis, stored })
            }
            _ => Ok(Self { redis, mysql, settings }),
        }
    }

    /// The half of [`Stores::open`] for what needs no Redis.
    ///
    /// # Errors
    /// When MySQL does not answer or cannot be used.
    pub async fn open_record(backends: &Backends, connections_max: u32) -> Result<(MySqlPool, Settings), OpenError> {
        let mysql = mysql::connect(&backends.mysql_url, connections_max).await?;
        schema::check(&mysql).await?;
        let settings = Settings::load(&mysql).await?;
        settings.check_namespace(&backends.namespace)?;
        Ok((mysql, settings))
    }

    /// As [`Stores::open`], for long-running roles: waits for backends that do not answer, until `stop`; `None` then.
    ///
    /// # Errors
    /// When one of them answers and cannot be used.
    pub async fn wait_for(
        backends: &Backends,
        connections_max: u32,
        stop: &CancellationToken,
    ) -> Result<Option<Self>, OpenError> {
        let mut told = false;
        let mut tell = |error: &str| {
            if !std::mem::replace(&mut told, true) {
                let (redis, mysql) = (backends.redis_address(), backends.mysql_address());
                tracing::warn!(error, redis, mysql, "a backend does not answer; waiting for it");
            }
        };
        loop {
            let opening = Self::open(backends, Patience::Endless, connections_max);
            tokio::pin!(opening);
            let opened = loop {
                tokio::select! {
                    () = stop.cancelled() => return Ok(None),
                    opened = &mut opening => break opened,
                    // The patient client of Redis waits without a word.
                    () = tokio::time::sleep(TELL_AFTER) => tell("no answer yet"),
                }
            };
            match opened {
                Err(error) if error.is_unreachable() => tell(&error.to_string()),
                opened => return opened.map(Some),
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(RETRY_PAUSE) => {}
            }
        }
    }
}

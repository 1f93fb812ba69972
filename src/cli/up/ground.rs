//! The two servers that `up` stands on: private ones, or those that were given.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{
    cli::Context,
    config::Backends,
    local::{LocalError, LocalMySql, LocalRedis},
};

/// Redis and MySQL. Dropping it ends those that are private, and removes their data.
pub(super) struct Ground {
    pub(super) backends: Backends,
    redis: Option<LocalRedis>,
    mysql: Option<LocalMySql>,
}

impl Ground {
    /// Starts what was not given.
    pub(super) async fn lay(context: &Context) -> Result<Self, LocalError> {
        let redis = async { if context.given.redis { Ok(None) } else { LocalRedis::start().await.map(Some) } };
        let mysql = async { if context.given.mysql { Ok(None) } else { LocalMySql::start().await.map(Some) } };
        let (redis, mysql) = tokio::try_join!(redis, mysql)?;
        let mut backends = context.backends.clone();
        if let Some(redis) = &redis {
            backends.redis_url = SecretString::from(redis.url());
        }
        if let Some(mysql) = &mysql {
            backends.mysql_url = SecretString::from(mysql.url("restock"));
        }
        Ok(Self { backends, redis, mysql })
    }

    pub(super) fn is_private(&self) -> bool {
        self.redis.is_some() || self.mysql.is_some()
    }

    pub(super) fn has_private_mysql(&self) -> bool {
        self.mysql.is_some()
    }

    /// The address, unless it holds a password.
    pub(super) fn redis_url(&self) -> Option<String> {
        without_secret(&self.backends.redis_url)
    }

    /// The address, unless it holds a password.
    pub(super) fn mysql_url(&self) -> Option<String> {
        without_secret(&self.backends.mysql_url)
    }

    pub(super) fn describe_redis(&self) -> String {
        let whose = if self.redis.is_some() { "private" } else { "given" };
        format!("{} ({whose})", self.backends.redis_address())
    }

    pub(super) fn describe_mysql(&self) -> String {
        let whose = if self.mysql.is_some() { "private, user root without a password" } else { "given" };
        format!("{} ({whose})", self.backends.mysql_address())
    }
}

/// Options in the query can be secrets too: a URL with any is not shown.
fn without_secret(url: &SecretString) -> Option<String> {
    let text = url.expose_secret();
    let url = Url::parse(text).ok()?;
    (url.password().is_none() && url.query().is_none()).then(|| text.to_owned())
}

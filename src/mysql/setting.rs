//! The deployment's settings: stored once for all processes, so that no two of them run with different ones.

mod error;
mod value;

use std::collections::BTreeMap;

use sqlx::{MySqlConnection, MySqlExecutor, MySqlPool};

pub use error::SettingError;
use value::{
    parse, parse_channel_rate, parse_channels, parse_namespace, parse_partitions, parse_paused, parse_rate, yes_or_no,
};

use crate::{
    ids::{Channel, Namespace},
    limit::Limit,
};

/// The channels that this version can work.
pub const KNOWN_CHANNELS: [&str; 4] = ["webhook", "inbox", "file", "null"];
/// The most starts a second that can be asked for; 0 is no pace.
pub const RATE_MAX: u32 = 1_000_000;
/// Before the name of a channel: the setting of its own rate.
pub const RATE_OF: &str = "rate.";
/// A channel's rate that is none.
const NONE: &str = "none";
/// The most partitions.
pub const PARTITIONS_MAX: u16 = 1024;

/// The name of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// Over how many slots the products are spread; fixed once stored.
    Partitions,
    /// Which channels are enabled, `webhook,file`.
    Channels,
    /// Starts a second over all workers; 0 = no pace.
    Rate,
    /// The first word of every Redis key; fixed once stored.
    Namespace,
    /// Whether all sending stands still.
    Paused,
}

impl Name {
    /// Every setting.
    pub const ALL: [Self; 5] = [Self::Partitions, Self::Channels, Self::Rate, Self::Namespace, Self::Paused];

    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Partitions => "partitions",
            Self::Channels => "channels",
            Self::Rate => "rate",
            Self::Namespace => "namespace",
            Self::Paused => "paused",
        }
    }
}

/// The deployment's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Over how many slots the products are spread.
    pub partitions: u16,
    /// The enabled channels, at least one.
    pub channels: Vec<Channel>,
    /// Starts a second over all workers; 0 = no pace.
    pub rate: u32,
    /// Channels with a rate of their own within that.
    pub channel_rates: BTreeMap<Channel, u32>,
    /// The first word of every Redis key.
    pub namespace: Namespace,
    /// Whether all sending stands still.
    pub paused: bool,
    /// Rises with each change: of two states the one with the higher revision stands.
    pub revision: u64,
}

impl Settings {
    /// First settings, for [`Settings::store_first`].
    #[must_use]
    pub fn first(namespace: Namespace, partitions: u16, channels: Vec<Channel>, rate: u32) -> Self {
        Self { partitions, channels, rate, channel_rates: BTreeMap::new(), namespace, paused: false, revision: 0 }
    }

    /// The part that the pace of a channel needs.
    #[must_use]
    pub fn limit_of(&self, channel: &Channel) -> Limit {
        let channel_rate = self.channel_rates.get(channel).copied().unwrap_or(0);
        Limit { rate: self.rate, channel_rate, paused: self.paused, revision: self.revision }
    }

    /// All of them by name, as [`set`] takes them.
    #[must_use]
    pub fn entries(&self) -> Vec<(String, String)> {
        let fixed = Name::ALL.map(|name| (name.as_str().to_owned(), self.value(name)));
        let rates = self.channel_rates.iter().map(|(channel, rate)| (format!("{RATE_OF}{channel}"), rate.to_string()));
        fixed.into_iter().chain(rates).collect()
    }

    /// The stored settings.
    ///
    /// # Errors
    /// When one is absent or cannot be used, and those of MySQL.
    pub async fn load(db: impl MySqlExecutor<'_>) -> Result<Self, SettingError> {
        let stored: Vec<(String, String, u64)> =
            sqlx::query_as("SELECT name, value, revision FROM setting").fetch_all(db).await?;
        let get = |name: Name| {
            let found = stored.iter().find(|(stored, ..)| stored == name.as_str());
            found.map(|(_, value, _)| value.as_str()).ok_or(SettingError::Missing(name.as_str()))
        };
        Ok(Self {
            partitions: parse_partitions(get(Name::Partitions)?)?,
            channels: parse_channels(get(Name::Channels)?)?,
            rate: parse_rate(get(Name::Rate)?)?,
            channel_rates: channel_rates(&stored)?,
            namespace: parse_namespace(get(Name::Namespace)?)?,
            paused: parse_paused(get(Name::Paused)?)?,
            revision: stored.iter().map(|(.., revision)| *revision).max().unwrap_or(0),
        })
    }

    /// Stores each of these that has no value yet; those that stand are left alone.
    ///
    /// # Errors
    /// When one of them cannot be used, and those of MySQL.
    pub async fn store_first(&self, pool: &MySqlPool) -> Result<(), SettingError> {
        for name in Name::ALL {
            parse(name, &self.value(name))?;
        }
        for name in Name::ALL {
            sqlx::query("INSERT INTO setting (name, value) VALUES (?, ?) ON DUPLICATE KEY UPDATE name = setting.name")
                .bind(name.as_str())
                .bind(self.value(name))
                .execute(pool)
                .await?;
        }
        Ok(())
    }

    /// One of them as text, as it is stored.
    #[must_use]
    pub fn value(&self, name: Name) -> String {
        match name {
            Name::Partitions => self.partitions.to_string(),
            Name::Channels => self.channels.iter().map(Channel::as_str).collect::<Vec<_>>().join(","),
            Name::Rate => self.rate.to_string(),
            Name::Namespace => self.namespace.to_string(),
            Name::Paused => yes_or_no(self.paused).to_owned(),
        }
    }

    /// Refuses to go on in a process of another deployment.
    ///
    /// # Errors
    /// When `given` is not the stored namespace.
    pub fn check_namespace(&self, given: &Namespace) -> Result<(), SettingError> {
        if self.namespace == *given {
            Ok(())
        } else {
            Err(SettingError::NamespaceDiffers { stored: self.namespace.clone(), given: given.clone() })
        }
    }

    /// Refuses to go on where the keys in Redis would be other ones than those that a process was `started` with.
    ///
    /// # Errors
    /// When the namespace or the count of partitions is another one.
    pub fn check_same_deployment(&self, started: &Self) -> Result<(), SettingError> {
        self.check_namespace(&started.namespace)?;
        if self.partitions == started.partitions {
            Ok(())
        } else {
            Err(SettingError::PartitionsDiffer { stored: self.partitions, running: started.partitions })
        }
    }
}

/// Whether [`set`] can take this, without storing anything; whether a fixed setting differs is for `set` to see.
///
/// # Errors
/// When there is no such setting, or the value cannot be used.
pub fn check(name: &str, value: &str) -> Result<(), SettingError> {
    if let Some(channel) = name.strip_prefix(RATE_OF) {
        return check_channel_rate(channel, value).map(drop);
    }
    let known = Name::ALL.into_iter().find(|known| known.as_str() == name);
    parse(known.ok_or_else(|| SettingError::Unknown(name.to_owned()))?, value).map(drop)
}

/// The value as it is stored.
fn check_channel_rate(channel: &str, value: &str) -> Result<String, SettingError> {
    let name = format!("{RATE_OF}{channel}");
    if !KNOWN_CHANNELS.contains(&channel) {
        return Err(SettingError::Unknown(name));
    }
    let rate = parse_channel_rate(&name, value)?;
    Ok(rate.map_or_else(|| NONE.to_owned(), |rate| rate.to_string()))
}

/// Stores a new value of a setting, for all processes.
///
/// # Errors
/// Those of [`set_all`].
pub async fn set(pool: &MySqlPool, name: &str, value: &str) -> Result<(), SettingError> {
    set_all(pool, &[(name, value)]).await
}

/// Stores new values of settings, for all processes: all of them at once, or none.
///
/// # Errors
/// When there is no such setting, one is fixed, or a value cannot be used; and those of MySQL.
pub async fn set_all<T: AsRef<str>>(pool: &MySqlPool, values: &[(T, T)]) -> Result<(), SettingError> {
    let mut tx = pool.begin().await?;
    // Invariant: who changes settings holds this row, so that what is committed later has the higher revision. Whoever
    // changes several then waits for nobody who waits for them.
    sqlx::query("SELECT name FROM setting WHERE name = ? FOR UPDATE")
        .bind(Name::Rate.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    for (name, value) in values {
        set_one(&mut tx, name.as_ref(), value.as_ref()).await?;
    }
    Ok(tx.commit().await?)
}

async fn set_one(tx: &mut MySqlConnection, name: &str, value: &str) -> Result<(), SettingError> {
    if let Some(channel) = name.strip_prefix(RATE_OF) {
        return set_channel_rate(tx, channel, value).await;
    }
    let known = Name::ALL.into_iter().find(|known| known.as_str() == name);
    let name = known.ok_or_else(|| SettingError::Unknown(name.to_owned()))?;
    let value = parse(name, value)?;
    if matches!(name, Name::Partitions | Name::Namespace) {
        let stored: Option<String> = sqlx::query_scalar("SELECT value FROM setting WHERE name = ?")
            .bind(name.as_str())
            .fetch_optional(tx)
            .await?;
        return match stored {
            Some(stored) if stored == value => Ok(()),
            Some(stored) => Err(SettingError::Fixed { name: name.as_str(), stored }),
            None => Err(SettingError::Missing(name.as_str())),
        };
    }
    store(tx, name.as_str(), &value).await
}

/// Gives a channel a rate of its own, within that of all; `none` takes it away.
///
/// # Errors
/// When there is no such channel or the value cannot be used; and those of MySQL.
async fn set_channel_rate(tx: &mut MySqlConnection, channel: &str, value: &str) -> Result<(), SettingError> {
    let rate = check_channel_rate(channel, value)?;
    // The row stays, or the revision would go back.
    store(tx, &format!("{RATE_OF}{channel}"), &rate).await
}

async fn store(tx: &mut MySqlConnection, name: &str, value: &str) -> Result<(), SettingError> {
    // A clock that went back, or a restored database, must not make the new value look old.
    sqlx::query(
        "INSERT INTO setting (name, value, revision)
         SELECT ?, ?, GREATEST(COALESCE(MAX(revision), 0) + 1,
             CAST(UNIX_TIMESTAMP(CURRENT_TIMESTAMP(6)) * 1000000 AS UNSIGNED)) FROM setting
         ON DUPLICATE KEY UPDATE value = VALUES(value), revision = VALUES(revision)",
    )
    .bind(name)
    .bind(value)
    .execute(tx)
    .await?;
    Ok(())
}

fn channel_rates(stored: &[(String, String, u64)]) -> Result<BTreeMap<Channel, u32>, SettingError> {
    let mut rates = BTreeMap::new();
    for (name, value, _) in stored {
        let Some(channel) = name.strip_prefix(RATE_OF).and_then(|channel| channel.parse().ok()) else { continue };
        if let Some(rate) = parse_channel_rate(name, value)? {
            rates.insert(channel, rate);
        }
    }
    Ok(rates)
}

//! Why settings cannot be used.

use crate::ids::Namespace;

/// Why a setting cannot be read, stored or worked with.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    /// `migrate` stores all of them.
    #[error("the setting `{0}` is not stored in MySQL; run `restock-cli migrate`")]
    Missing(&'static str),
    /// There is no such setting.
    #[error(
        "there is no setting `{0}`; the settings are partitions, channels, rate, rate.CHANNEL, namespace and paused"
    )]
    Unknown(String),
    /// The value cannot be used.
    #[error("{name}={value} is not valid: {expected}")]
    Invalid {
        /// Which setting.
        name: String,
        /// The value given or found.
        value: String,
        /// What it must be.
        expected: String,
    },
    /// Every key in Redis depends on it.
    #[error(
        "`{name}` is {stored} since the first `migrate` and cannot be changed: every key in Redis depends on it; a new database can \
         have another"
    )]
    Fixed {
        /// Which setting.
        name: &'static str,
        /// The value that stands.
        stored: String,
    },
    /// This process was started for another deployment.
    #[error(
        "this database belongs to the namespace `{stored}`, not `{given}`; give --namespace {stored}, or another database"
    )]
    NamespaceDiffers {
        /// The deployment's.
        stored: Namespace,
        /// This process's.
        given: Namespace,
    },
    /// The products of this database are spread otherwise than this process looks for them.
    #[error(
        "this database has {stored} partitions now, and this process was started for {running}; start it again if \
         that is meant"
    )]
    PartitionsDiffer {
        /// The deployment's.
        stored: u16,
        /// This process's.
        running: u16,
    },
    /// MySQL failed.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

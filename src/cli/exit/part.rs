//! The exit code of each error that a part of the library finds by itself.

use super::Exit;
use crate::{
    api::{RunError, options::OptionError},
    config::ConfigError,
    ids::ParseError,
    mysql::{
        import::ImportError, product::AddError, schema::SchemaError, setting::SettingError,
        subscription::SubscribeError,
    },
    producer::ProducerError,
    stores::{OpenError, StoreError},
    worker::NotEnabled,
};

/// The code of an error of a part, other than one that it only passes on.
pub(super) fn code_of_part(cause: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    if cause.is::<ParseError>() || cause.is::<ConfigError>() || cause.is::<NotEnabled>() || cause.is::<OptionError>() {
        Some(Exit::Usage)
    } else if let Some(error) = cause.downcast_ref::<SettingError>() {
        code_of_setting(error)
    } else if let Some(error) = cause.downcast_ref::<ProducerError>() {
        code_of_producer(error)
    } else if let Some(error) = cause.downcast_ref::<OpenError>() {
        code_of_open(error)
    } else if let Some(error) = cause.downcast_ref::<RunError>() {
        match error {
            RunError::Options(_) => Some(Exit::Usage),
            RunError::Open(error) => code_of_open(error),
            RunError::Listen { .. } | RunError::Sql(_) | RunError::Replaced(_) => Some(Exit::Failure),
        }
    } else if cause.is::<AddError>() {
        Some(Exit::Conflict)
    } else if cause.is::<SubscribeError>() {
        Some(Exit::NotFound)
    } else if cause.is::<SchemaError>() || cause.is::<StoreError>() {
        Some(Exit::Failure)
    } else if let Some(error) = cause.downcast_ref::<ImportError>() {
        error.is_input().then_some(Exit::Usage)
    } else {
        None
    }
}

fn code_of_open(error: &OpenError) -> Option<Exit> {
    match error {
        OpenError::Setting(error) => code_of_setting(error),
        OpenError::OtherPartitions { .. } => Some(Exit::Conflict),
        OpenError::Schema(_) => Some(Exit::Failure),
        OpenError::Sql(_) | OpenError::Redis(_) => None,
    }
}

fn code_of_setting(error: &SettingError) -> Option<Exit> {
    match error {
        SettingError::Sql(_) => None,
        SettingError::Unknown(_) | SettingError::Invalid { .. } => Some(Exit::Usage),
        SettingError::Fixed { .. } | SettingError::NamespaceDiffers { .. } | SettingError::PartitionsDiffer { .. } => {
            Some(Exit::Conflict)
        }
        SettingError::Missing(_) => Some(Exit::Failure),
    }
}

fn code_of_producer(error: &ProducerError) -> Option<Exit> {
    match error {
        ProducerError::NotFound(_) => Some(Exit::NotFound),
        ProducerError::NoStock { .. }
        | ProducerError::KeyConflict { .. }
        | ProducerError::Refused { .. }
        | ProducerError::NothingToResume { .. }
        | ProducerError::NobodyBlocks { .. }
        | ProducerError::NobodyFailed { .. }
        | ProducerError::NothingToCancel { .. }
        | ProducerError::NotEnabled { .. }
        | ProducerError::Moved { .. }
        | ProducerError::BelowZero { .. }
        | ProducerError::AboveMost { .. } => Some(Exit::Conflict),
        ProducerError::Backlog | ProducerError::Unsettled(_) | ProducerError::Store(_) => Some(Exit::Failure),
        ProducerError::Setting(error) => code_of_setting(error),
    }
}

//! Which backend's error is at the bottom of one that a part passes on.

use crate::{
    api::RunError,
    mysql::{
        import::ImportError, product::AddError, schema::SchemaError, setting::SettingError,
        subscription::SubscribeError,
    },
    producer::ProducerError,
    redis::RedisError,
    report::ReportError,
    stores::{OpenError, StoreError},
};

/// MySQL's error, when this is one or only passes one on.
pub(super) fn mysql_error<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a sqlx::Error> {
    if let Some(error) = cause.downcast_ref::<sqlx::Error>() {
        return Some(error);
    }
    if let Some(StoreError::Sql(error)) = cause.downcast_ref::<StoreError>() {
        return Some(error);
    }
    if let Some(ReportError::Sql(error)) = cause.downcast_ref::<ReportError>() {
        return Some(error);
    }
    match (cause.downcast_ref::<SettingError>(), cause.downcast_ref::<SchemaError>()) {
        (Some(SettingError::Sql(error)), _) | (_, Some(SchemaError::Sql(error))) => return Some(error),
        _ => {}
    }
    match (cause.downcast_ref::<AddError>(), cause.downcast_ref::<SubscribeError>()) {
        (Some(AddError::Sql(error)), _) | (_, Some(SubscribeError::Sql(error))) => return Some(error),
        _ => {}
    }
    if let Some(ImportError::Sql(error)) = cause.downcast_ref::<ImportError>() {
        return Some(error);
    }
    match (cause.downcast_ref::<OpenError>(), cause.downcast_ref::<ProducerError>()) {
        (Some(OpenError::Sql(error)), _) => Some(error),
        (Some(OpenError::Schema(error)), _) => mysql_error(error),
        (Some(OpenError::Setting(error)), _) | (_, Some(ProducerError::Setting(error))) => mysql_error(error),
        (_, Some(ProducerError::Store(error))) => mysql_error(error),
        _ => match cause.downcast_ref::<RunError>() {
            Some(RunError::Open(error)) => mysql_error(error),
            Some(RunError::Sql(error)) => Some(error),
            _ => None,
        },
    }
}

/// Redis' error, when this is one or only passes one on.
pub(super) fn redis_error<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a RedisError> {
    if let Some(error) = cause.downcast_ref::<RedisError>() {
        return Some(error);
    }
    if let Some(ReportError::Redis(error)) = cause.downcast_ref::<ReportError>() {
        return Some(error);
    }
    match (cause.downcast_ref::<StoreError>(), cause.downcast_ref::<OpenError>(), cause.downcast_ref::<ProducerError>())
    {
        (Some(StoreError::Redis(error)), ..) | (_, Some(OpenError::Redis(error)), _) => Some(error),
        (.., Some(ProducerError::Store(error))) => redis_error(error),
        _ => match cause.downcast_ref::<RunError>() {
            Some(RunError::Open(error)) => redis_error(error),
            _ => None,
        },
    }
}

//! What the doctor writes down.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// It works, and something is at risk.
    Warn,
    /// A promise cannot be kept.
    Fail,
}

impl Level {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    pub(super) check: &'static str,
    pub(super) level: Level,
    pub(super) detail: String,
    pub(super) advice: Option<&'static str>,
}

/// Everything that was looked at, in order.
#[derive(Debug, Default)]
pub(super) struct Sheet(Vec<Check>);

impl Sheet {
    pub(super) fn ok(&mut self, check: &'static str, detail: impl Into<String>) {
        self.0.push(Check { check, level: Level::Ok, detail: detail.into(), advice: None });
    }

    pub(super) fn warn(&mut self, check: &'static str, detail: impl Into<String>, advice: &'static str) {
        self.0.push(Check { check, level: Level::Warn, detail: detail.into(), advice: Some(advice) });
    }

    pub(super) fn fail(&mut self, check: &'static str, detail: impl Into<String>, advice: &'static str) {
        self.0.push(Check { check, level: Level::Fail, detail: detail.into(), advice: Some(advice) });
    }

    /// Fails or warns by `level`; what is [`Level::Ok`] needs no advice.
    pub(super) fn judge(&mut self, check: &'static str, level: Level, detail: impl Into<String>, advice: &'static str) {
        match level {
            Level::Ok => self.ok(check, detail),
            Level::Warn => self.warn(check, detail, advice),
            Level::Fail => self.fail(check, detail, advice),
        }
    }

    /// Adds what was found at one of several servers, with its name.
    pub(super) fn add(&mut self, other: Self, name: Option<&str>) {
        self.0.extend(other.0.into_iter().map(|check| match name {
            Some(name) => Check { detail: format!("{name}: {}", check.detail), ..check },
            None => check,
        }));
    }

    pub(super) fn into_checks(self) -> Vec<Check> {
        self.0
    }
}

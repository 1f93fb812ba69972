//! The deployment's settings while a role runs: whoever changes them in MySQL is obeyed within a second.
//!
//! Everything is read each time, not only what has a higher revision: a database that was restored, or edited by
//! hand, is obeyed too. While MySQL is away the last known settings stand.

use std::time::Duration;

use sqlx::MySqlPool;
use tokio::{sync::watch, task::JoinHandle, time::sleep};

use crate::mysql::{
    answered,
    setting::{SettingError, Settings},
};

/// How often MySQL is asked.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// Follows the settings of a running role, until it is dropped.
#[derive(Debug)]
pub struct SettingsWatch {
    settings: watch::Receiver<Settings>,
    looking: JoinHandle<SettingError>,
}

impl SettingsWatch {
    /// Starts from these settings. The pool should be one of its own: a busy one would make it late.
    #[must_use]
    pub fn start(mysql: MySqlPool, settings: Settings) -> Self {
        let (known, receiver) = watch::channel(settings);
        Self { settings: receiver, looking: tokio::spawn(look(mysql, known)) }
    }

    /// The settings as last read.
    #[must_use]
    pub fn settings(&self) -> watch::Receiver<Settings> {
        self.settings.clone()
    }

    /// Waits until the database is another deployment's than the one that this process was started for, and says
    /// how; that never ends well.
    pub async fn refused(&mut self) -> SettingError {
        match (&mut self.looking).await {
            Ok(refusal) => refusal,
            // Only a panic ends it otherwise, and that was logged; the last known settings stand.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for SettingsWatch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

async fn look(mysql: MySqlPool, known: watch::Sender<Settings>) -> SettingError {
    let mut failing = false;
    loop {
        sleep(LOOK_EVERY).await;
        let found = match answered(Settings::load(&mysql)).await {
            Ok(found) => found,
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "cannot read the settings; going on with the last ones");
                }
                continue;
            }
        };
        if std::mem::take(&mut failing) {
            tracing::info!("the settings can be read again");
        }
        if let Err(refusal) = found.check_same_deployment(&known.borrow()) {
            return refusal;
        }
        known.send_if_modified(|current| {
            let before = current.entries();
            for (setting, now) in found.entries().into_iter().filter(|entry| !before.contains(entry)) {
                tracing::info!(setting, now, "a setting has changed");
            }
            let changed = *current != found;
            *current = found;
            changed
        });
    }
}

//! How many streams there may be. They are counted by themselves: not among the requests in hand, and not among the connections
//! either, or a few thousand people who listen would keep everybody else out.

use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::meter::{Held, StreamMeters};

/// Files that a process has open beside its clients.
const FILES_BESIDE: u64 = 128;

/// The places for streams.
#[derive(Debug)]
pub(super) struct Places(Arc<Semaphore>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _open: Held,
}

impl Places {
    pub(super) fn new(most: u32) -> Self {
        Self(Arc::new(Semaphore::new((most as usize).min(Semaphore::MAX_PERMITS))))
    }

    pub(super) fn take(&self, meters: &StreamMeters) -> Option<Place> {
        let permit = self.0.clone().try_acquire_owned().ok()?;
        Some(Place { _permit: permit, _open: meters.open() })
    }
}

/// The place that a connection has among all; a stream gives it back, and is the last that comes over its connection.
#[derive(Debug, Clone)]
pub(in crate::api) struct ConnectionPlace(Arc<Mutex<Option<OwnedSemaphorePermit>>>);

impl ConnectionPlace {
    pub(in crate::api) fn new(permit: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(Mutex::new(Some(permit))))
    }

    pub(super) fn give_back(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Lets this process open a file for each of so many clients, where the system allows it.
pub(in crate::api) fn allow_files(clients: u64) {
    let needed = clients.saturating_add(FILES_BESIDE);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return;
    }
    let wanted = maximum.map_or(needed, |maximum| maximum.min(needed));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    if raised.is_err() || wanted < needed {
        tracing::warn!(
            needed,
            allowed = if raised.is_ok() { Some(wanted) } else { current },
            "the system allows fewer open files than clients: raise `ulimit -n`, or lower --streams-max and --api-connections-max"
        );
    }
}

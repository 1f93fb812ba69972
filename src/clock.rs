//! Two clocks: one for the record, one for deadlines.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The wall clock, in µs since the epoch: for what people read.
#[must_use]
pub fn wall_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A moment on the clock that also runs while the machine sleeps or the process is stopped, in µs since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(pub i64);

impl BootTime {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        #[cfg(target_os = "linux")]
        let id = rustix::time::ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let id = rustix::time::ClockId::Monotonic;
        let now = rustix::time::clock_gettime(id);
        Self(now.tv_sec * 1_000_000 + now.tv_nsec / 1000)
    }

    /// This much later.
    #[must_use]
    pub fn plus_us(self, us: i64) -> Self {
        Self(self.0 + us)
    }

    /// How long ago this was, in µs; negative for a moment to come.
    #[must_use]
    pub fn age_us(self, now: Self) -> i64 {
        now.0 - self.0
    }

    /// The time from `now` until this moment; zero when it has passed.
    #[must_use]
    pub fn until(self, now: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0 - now.0).unwrap_or(0))
    }
}

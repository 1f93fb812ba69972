//! Signs of life of the loops of a process: one that stopped turning cannot do its job, whatever the stores answer.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use crate::clock::BootTime;

/// The pulses of a process' loops. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Vitals(Arc<Mutex<Vec<Weak<Beats>>>>);

/// The pulse of one loop, which counts for as long as it lives.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<Beats>);

#[derive(Debug)]
struct Beats {
    part: &'static str,
    /// On the boot clock, µs; 0 before the first.
    last: AtomicI64,
    age_max_us: i64,
}

impl Pulse {
    /// The loop turned over, and what it did went well.
    pub fn beat(&self) {
        self.0.last.store(BootTime::now().0, Ordering::Relaxed);
    }
}

impl Vitals {
    /// A pulse for a loop of this part, which is well while the last beat is no older than this.
    #[must_use]
    pub fn pulse(&self, part: &'static str, age_max: Duration) -> Pulse {
        let age_max_us = i64::try_from(age_max.as_micros()).unwrap_or(i64::MAX);
        let beats = Arc::new(Beats { part, last: AtomicI64::new(0), age_max_us });
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|beats| beats.strong_count() > 0);
        all.push(Arc::downgrade(&beats));
        Pulse(beats)
    }

    /// Why a part is not well; `Ok` when all its loops are, and there is at least one.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn check(&self, part: &str) -> Result<(), String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let beats: Vec<Arc<Beats>> = all.iter().filter_map(Weak::upgrade).filter(|beats| beats.part == part).collect();
        drop(all);
        let now = BootTime::now();
        let age_us = |beats: &Beats| match beats.last.load(Ordering::Relaxed) {
            0 => None,
            last => Some(now.0 - last),
        };
        let silent = beats.iter().filter(|beats| age_us(beats).is_none_or(|age| age > beats.age_max_us)).count();
        match (silent, beats.len()) {
            (_, 0) => Err("has not begun".to_owned()),
            (0, _) => Ok(()),
            (silent, all) => Err(format!("{silent} of {all} loops did not turn over lately")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_well_while_each_of_its_loops_beats() {
        let vitals = Vitals::default();
        assert!(vitals.check("reading").is_err());
        let (first, second) =
            (vitals.pulse("reading", Duration::from_secs(60)), vitals.pulse("reading", Duration::ZERO));
        let _other = vitals.pulse("flushing", Duration::from_secs(60));
        first.beat();
        assert_eq!(vitals.check("reading"), Err("1 of 2 loops did not turn over lately".to_owned()));
        drop(second);
        assert_eq!(vitals.check("reading"), Ok(()));
        assert!(vitals.check("flushing").is_err());
    }
}

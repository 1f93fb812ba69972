//! What a run came to, for people and as JSON.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;

use super::{
    checkers::{self, Breach},
    deck::Kind,
    end::{Attempt, End},
    form::Form,
    ledger::Struck,
};

/// Leaves what the receiver saw beside the logs of the processes.
pub(crate) fn keep_attempts(folder: &Path, attempts: &[Attempt]) {
    let mut file = csv::Writer::from_path(folder.join("attempts.csv")).expect("the folder of the run can be written");
    for attempt in attempts {
        file.serialize(attempt).expect("the folder of the run can be written");
    }
}

/// The most breaches of a promise that are printed.
const SHOWN_MAX: usize = 10;

/// The figures of a run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    form: &'static str,
    seed: u64,
    /// All of it, s.
    took_s: f64,
    /// Of which faults struck, s.
    storm_s: f64,
    /// How often each kind struck.
    faults: BTreeMap<&'static str, usize>,
    /// How often it was to strike.
    planned: BTreeMap<&'static str, usize>,
    rounds: usize,
    requests: usize,
    attempts: usize,
    /// People whom the rounds owed an outcome.
    expected: usize,
    /// Of those, with an outcome.
    told: usize,
    lost: usize,
    /// How often somebody was told who had been told already.
    repeated: usize,
    /// Of those, the most that one fault explains.
    repeated_most_after_one_fault: usize,
    starts_in_a_second_max: usize,
    rate: usize,
    /// From a kill to the next start in a lane that it hit, ms.
    takeover_median_ms: i64,
    takeover_max_ms: i64,
    turns_judged: usize,
    others_between_turns_max: usize,
    log_entries_max: u64,
    worker_peak_kib: u64,
    pub(crate) breaches: Vec<Breach>,
    /// Each fault, with what it was allowed to cost.
    struck: Vec<Struck>,
    #[serde(skip)]
    folder: PathBuf,
}

impl Report {
    pub(crate) fn new(
        form: &Form,
        seed: u64,
        (storm_us, calm_us): (i64, i64),
        took: Duration,
        end: &End,
        breaches: Vec<Breach>,
    ) -> Self {
        let mut faults: BTreeMap<&'static str, usize> =
            form.counts.iter().filter(|(_, count)| *count > 0).map(|(kind, _)| (kind.text(), 0)).collect();
        for fault in &end.struck {
            *faults.entry(fault.kind.text()).or_default() += 1;
        }
        let planned = form.counts.iter().map(|(kind, count)| (kind.text(), *count)).collect();
        let (expected, lost) = checkers::lost_count(end);
        let takeovers = takeovers_ms(end);
        let turns = checkers::turns(end);
        Self {
            form: form.name,
            seed,
            took_s: took.as_secs_f64(),
            storm_s: (calm_us - storm_us) as f64 / 1e6,
            faults,
            planned,
            rounds: end.rounds.len(),
            requests: end.requests.len(),
            attempts: end.attempts.len(),
            expected,
            told: expected - lost,
            lost,
            repeated: checkers::repeated(end).len(),
            repeated_most_after_one_fault: checkers::most_after_one_fault(end),
            starts_in_a_second_max: checkers::fullest_second(&end.attempts).0,
            rate: end.bounds.rate,
            takeover_median_ms: takeovers.get(takeovers.len() / 2).copied().unwrap_or(0),
            takeover_max_ms: takeovers.last().copied().unwrap_or(0),
            turns_judged: turns.judged,
            others_between_turns_max: turns.others_max,
            log_entries_max: end.log_max,
            worker_peak_kib: end.worker_peak_kib,
            breaches,
            struck: end.struck.clone(),
            folder: super::stage::folder(form),
        }
    }

    /// Leaves the report as JSON beside the logs of the processes.
    pub(crate) fn write(&self) {
        let json = serde_json::to_vec_pretty(self).expect("figures are JSON");
        let path = self.folder.join("report.json");
        fs::write(&path, json).expect("the folder of the run can be written");
        eprintln!("{}", path.display());
    }
}

/// For each kill and lane that it hit: how long until somebody else started a person of the same round; sorted.
fn takeovers_ms(end: &End) -> Vec<i64> {
    let mut took = Vec::new();
    for fault in end.struck.iter().filter(|fault| fault.kind == Kind::WorkerKill) {
        for product in fault.hit() {
            let at = end.attempts.partition_point(|attempt| attempt.started_us <= fault.from_us);
            let of_lane = |attempt: &&Attempt| attempt.product == product;
            let before = end.attempts[..at].iter().rev().find(of_lane);
            // Who was started before the process was gone is not its successor's.
            let later = end.attempts[at..].iter().filter(|attempt| attempt.started_us > fault.until_us);
            let after = later.into_iter().find(of_lane);
            if let (Some(before), Some(after)) = (before, after)
                && before.round == after.round
            {
                took.push((after.started_us - fault.from_us) / 1000);
            }
        }
    }
    took.sort_unstable();
    took
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nfaults, {} form, seed {}: {:.0} s, of which a storm of {:.0} s",
            self.form, self.seed, self.took_s, self.storm_s
        )?;
        for (kind, count) in &self.faults {
            let planned = self.planned.get(kind).copied().unwrap_or(0);
            let of = if planned == *count { String::new() } else { format!(" (of {planned})") };
            writeln!(f, "  {count:>5}  {kind}{of}")?;
        }
        writeln!(f, "{} rounds, {} requests, {} attempts", self.rounds, self.requests, self.attempts)?;
        writeln!(f, "people: {} expected, {} told, {} lost", self.expected, self.told, self.lost)?;
        let most = self.repeated_most_after_one_fault;
        writeln!(f, "told again: {}, at most {most} of a lane after one fault", self.repeated)?;
        writeln!(f, "most starts in any second: {} of {}", self.starts_in_a_second_max, self.rate)?;
        let (median_ms, max_ms) = (self.takeover_median_ms, self.takeover_max_ms);
        writeln!(f, "from a kill to the next person of its lane: {median_ms} ms in the median, {max_ms} ms at most")?;
        let (judged, others) = (self.turns_judged, self.others_between_turns_max);
        writeln!(f, "turns judged in calm: {judged}, at most {others} people of other lanes between two")?;
        writeln!(
            f,
            "most entries in a log: {}, most memory of a worker: {} KiB",
            self.log_entries_max, self.worker_peak_kib
        )?;
        for (promise, _) in checkers::CHECKERS {
            let broken: Vec<&Breach> = self.breaches.iter().filter(|breach| breach.promise == promise).collect();
            writeln!(
                f,
                "  {promise:<20} {}",
                if broken.is_empty() { "kept".to_owned() } else { format!("BROKEN {} times", broken.len()) }
            )?;
            for breach in broken.iter().take(SHOWN_MAX) {
                writeln!(f, "    {}", breach.what)?;
            }
        }
        Ok(())
    }
}

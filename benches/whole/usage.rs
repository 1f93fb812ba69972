//! What processes use, as Linux counts it.

use std::fs;

use serde::Serialize;

/// Linux counts the time of processes in these, on every architecture that people use.
const TICKS_PER_SECOND: f64 = 100.0;

/// What one process used in a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Used {
    pub(crate) process: String,
    /// The most memory it ever had (`VmHWM`).
    pub(crate) peak_kib: u64,
    /// Seconds of processor time in the measured span.
    pub(crate) cpu_s: f64,
}

/// Processes that are watched, with the time they had used at the start.
#[derive(Debug)]
pub(crate) struct Watch(Vec<(String, u32, f64)>);

impl Watch {
    pub(crate) fn start(processes: &[(String, u32)]) -> Self {
        Self(processes.iter().map(|(name, pid)| (name.clone(), *pid, cpu_s(*pid))).collect())
    }

    pub(crate) fn read(&self) -> Vec<Used> {
        let read = |(process, pid, before): &(String, u32, f64)| Used {
            process: process.clone(),
            peak_kib: peak_kib(*pid),
            cpu_s: cpu_s(*pid) - before,
        };
        self.0.iter().map(read).collect()
    }
}

/// Seconds of processor time that a process has used; 0 when it is gone.
pub(crate) fn cpu_s(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in brackets, may hold anything; the fields after it are numbers.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks: f64 = fields.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<f64>().ok()).sum();
    ticks / TICKS_PER_SECOND
}

fn peak_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

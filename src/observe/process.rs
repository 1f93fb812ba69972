//! What the operating system knows of this process, by the names that Prometheus' own libraries use. It is written by
//! hand, since seconds of processor time are no whole number and a counter of the recorder is.

use std::{fmt::Write, fs, sync::LazyLock};

use rustix::time::{ClockId, clock_gettime};

use crate::clock::wall_us;

/// The names and types written here; each has no labels.
pub(super) const NAMES: [(&str, &str, &str); 4] = [
    ("process_cpu_seconds_total", "counter", "Processor time used, user and system."),
    ("process_resident_memory_bytes", "gauge", "Memory in use; only on Linux."),
    ("process_open_fds", "gauge", "Files and connections open; only on Linux."),
    ("process_start_time_seconds", "gauge", "When the process began to measure, since the epoch."),
];

static STARTED_US: LazyLock<i64> = LazyLock::new(wall_us);

/// Appends them to the text of the recorder.
pub(super) fn write(text: &mut String) {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    let values = [
        Some(cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9),
        resident_bytes(),
        fs::read_dir("/proc/self/fd").ok().map(|files| files.count() as f64),
        Some(*STARTED_US as f64 / 1e6),
    ];
    for ((name, kind, help), value) in NAMES.into_iter().zip(values) {
        if let Some(value) = value {
            // Writing to a string never fails.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
        }
    }
}

/// Notes the start.
pub(super) fn begin() {
    LazyLock::force(&STARTED_US);
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

//! Processes of a deployment: signals to them, what they use, and the seed by which they are chosen.

use tokio::process::{Child, Command};

/// Sends a signal, named as for `kill`.
pub(crate) async fn signal(name: &str, process: &Child) {
    let pid = process.id().expect("it runs").to_string();
    let sent = Command::new("kill").args([name, &pid]).status().await.expect("kill runs");
    assert!(sent.success(), "kill {name} {pid}");
}

/// The processor time that a process has used, in ms.
pub(crate) fn cpu_ms(process: &Child) -> u64 {
    let pid = process.id().expect("it runs");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process on Linux");
    // After the name, which may hold anything: user and system time are the 12th and 13th field, in ticks of 10 ms.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<u64>().expect("a number");
    (ticks(11) + ticks(12)) * 10
}

/// Where in the kernel the threads of a process wait.
pub(crate) fn waits(process: &Child) -> Vec<String> {
    let pid = process.id().expect("it runs");
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a process on Linux").flatten();
    threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("wchan")).ok()).collect()
}

/// The seed of a test's random choices: `RESTOCK_TEST_SEED`, or a fresh one; printed, so that a failure can be repeated.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("RESTOCK_TEST_SEED").ok();
    let seed = given.map_or_else(rand::random, |text| text.parse().expect("RESTOCK_TEST_SEED is a number"));
    eprintln!("RESTOCK_TEST_SEED={seed}");
    seed
}

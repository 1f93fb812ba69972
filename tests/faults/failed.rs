//! Attempts that failed and may be repeated, by the logs of the workers: no receiver knows of one that was cut off on its way.

use std::{fs, path::Path};

/// An attempt without an answer that would stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed {
    pub(crate) product: i64,
    pub(crate) round: u32,
    pub(crate) user: i64,
    pub(crate) started_us: i64,
}

impl Failed {
    fn read(line: &str) -> Option<Self> {
        let (_, words) = line.split_once("an attempt failed ")?;
        // The last one: a line that a kill cut short may end in the middle of a number.
        words.split_once(" pause=")?;
        let word = |name| words.split_whitespace().find_map(|word| word.strip_prefix(name));
        Some(Self {
            product: word("lane=")?.split('/').next()?.parse().ok()?,
            round: word("round=")?.parse().ok()?,
            user: word("user=")?.parse().ok()?,
            started_us: word("started_us=")?.parse().ok()?,
        })
    }
}

/// All that the logs in this folder tell of; those on a full disk tell nothing.
pub(crate) fn read(folder: &Path) -> Vec<Failed> {
    let files = fs::read_dir(folder).expect("the folder of the run can be read");
    let logs =
        files.map(|file| file.expect("a file").path()).filter(|path| path.extension().is_some_and(|is| is == "log"));
    let text = |log| String::from_utf8_lossy(&fs::read(log).expect("the log can be read")).into_owned();
    logs.flat_map(|log| text(log).lines().filter_map(Failed::read).collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::Failed;

    #[test]
    fn a_line_of_a_log_is_read() {
        let line = "2026-11-22T03:43:30.8Z DEBUG restock::worker::landing: an attempt failed lane=3/webhook \
                    round=11 user=97 started_us=1795319010823377 reason=\"no answer: connection closed\" pause=326.9ms";
        let failed = Failed { product: 3, round: 11, user: 97, started_us: 1_795_319_010_823_377 };
        assert_eq!(Failed::read(line), Some(failed));
        assert_eq!(Failed::read(line.split_once("10823377").expect("its start").0), None, "cut short");
        assert_eq!(Failed::read("2026-11-22T03:43:30.8Z INFO restock_worker: working"), None);
    }
}

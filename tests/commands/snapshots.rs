//! What every command says, word for word: its help, its table and its JSON, how it exits, and the line of its error.
//!
//! The words lie in `snapshots/`, one file per test, with times, addresses and random names masked. When they are meant
//! to change, `INSTA_UPDATE=always make test` writes them anew; the difference is for the reader of the commit.

mod by_hand;
mod help;
mod transcripts;

/// What differs from run to run, and what stands for it.
const MASKS: &[(&str, &str)] = &[
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]"),
    (r"test-[0-9a-f]{16}", "[namespace]"),
    (r"restock_test_[0-9a-f]{16}", "[database]"),
    (r"127\.0\.0\.1:\d+", "[address]"),
    (r"\b\d+-[0-9a-f]{8}\b", "[consumer]"),
    (r"\b\d{13}-\d+\b", "[entry]"),
    (r"restock-cli \d+\.\d+\.\d+", "restock-cli [version]"),
    // The tail of a padded column moves with what was masked in it.
    (r" +\n", "\n"),
];

/// Compares a text with the snapshot of this name.
fn compare(name: &str, text: &str) {
    compare_masked(name, text, &[]);
}

/// As [`compare`], with masks of its own, which come first.
fn compare_masked(name: &str, text: &str, masks: &[(&str, &str)]) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, mask) in masks.iter().chain(MASKS) {
        settings.add_filter(pattern, *mask);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}

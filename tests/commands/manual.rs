//! What is made of the command line itself: manual pages and completions.

use std::{collections::BTreeMap, fs};

use super::shop::{CLI, Ended, finish};
use tokio::process::Command;

const PROGRAMS: [(&str, &str); 3] = [
    ("restock-worker", env!("CARGO_BIN_EXE_restock-worker")),
    ("restock-flusher", env!("CARGO_BIN_EXE_restock-flusher")),
    ("restock-api", env!("CARGO_BIN_EXE_restock-api")),
];

async fn run(args: &[&str]) -> Ended {
    finish(Command::new(CLI).args(args), "").await
}

/// All pages by the name of their file.
async fn pages() -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("man1");
    let done = run(&["man", "--out", &out.to_string_lossy()]).await;
    assert_eq!(done.code, 0, "{done:?}");
    let files = fs::read_dir(out).expect("a folder").map(|file| file.expect("a file").path());
    let page = |path: std::path::PathBuf| {
        let text = fs::read_to_string(&path).expect("UTF-8");
        (path.file_name().expect("a name").to_string_lossy().into_owned(), text)
    };
    files.map(page).collect()
}

#[tokio::test]
async fn every_page_has_an_example_and_the_exit_status() {
    let pages = pages().await;
    assert!(pages.len() > 40, "{:?}", pages.keys());
    for (file, text) in &pages {
        let heads: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
        for head in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "\"EXIT STATUS\"", "EXAMPLES", "VERSION"] {
            assert!(heads.contains(&head), "{file} has no {head}: {heads:?}");
        }
        assert!(!text.contains("Example:"), "{file}");
    }
    let example = pages["restock-cli-stock-set.1"].split(".SH EXAMPLES").nth(1).expect("a section");
    assert!(example.contains("restock\\-cli stock set 42 0"), "{example}");
    let codes = |file: &str| {
        let section = pages[file].split(".SH \"EXIT STATUS\"").nth(1).expect("a section");
        let section = section.split(".SH").next().expect("its text");
        section.lines().filter_map(|line| line.strip_prefix("\\fB")?.strip_suffix("\\fR")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(codes("restock-cli.1"), "0 1 2 3 4 5 6 10 11 12 13");
    assert_eq!(codes("restock-cli-enqueue.1"), "0 1 2 3 4 5 6 10 11 12 13");
    assert_eq!(codes("restock-worker.1"), "0 1 2 3 4 5 6");
}

#[tokio::test]
async fn the_pages_name_every_variable() {
    let pages = pages().await;
    for (file, variable) in [
        ("restock-cli.1", "RESTOCK_REDIS_URL"),
        ("restock-cli-stock-set.1", "RESTOCK_BY"),
        ("restock-cli-migrate.1", "RESTOCK_PARTITIONS"),
    ] {
        assert!(pages[file].contains(variable), "{file} does not name {variable}");
    }
}

#[tokio::test]
async fn each_program_has_a_page_with_all_that_its_help_names() {
    let pages = pages().await;
    for (program, path) in PROGRAMS {
        let help = finish(Command::new(path).arg("--help"), "").await.stdout;
        let page = pages[&format!("{program}.1")].replace("\\-", "-");
        let mut named = 0;
        for word in help.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_') {
            if word.starts_with("--") && word.len() > 2 || word.starts_with("RESTOCK_") {
                assert!(page.contains(word), "the page of {program} does not name {word}");
                named += 1;
            }
        }
        assert!(named > 15, "{program} names {named}: {help}");
    }
}

#[tokio::test]
async fn what_is_hidden_is_in_no_page_and_no_completion() {
    assert!(!pages().await.contains_key("restock-cli-servers.1"));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]).await;
        assert_eq!((script.code, script.stderr.as_str()), (0, ""), "{shell}");
        for shown in ["enqueue", "erase-user", "dry-run", "redis-url"] {
            assert!(script.stdout.contains(shown), "{shell} does not offer {shown}");
        }
        assert!(!script.stdout.contains("private Redis and MySQL beside"), "{shell}");
        assert!(!script.stdout.split_whitespace().any(|word| word == "servers"), "{shell}");
    }
}

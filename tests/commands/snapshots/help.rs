//! `--help` of every command, found by asking for it: a new command is noticed without being listed here.

use tokio::process::Command;

use super::compare;
use crate::shop::CLI;

/// Over the options that every command has: they are pinned once, in the help of the program.
const EVERYWHERE: &str = "Connection and output:";

async fn help(path: &[String]) -> String {
    let mut command = Command::new(CLI);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RESTOCK_")) {
        command.env_remove(name);
    }
    let ended = command.args(path).arg("--help").env("COLUMNS", "100").output().await.expect("the program runs");
    assert!(ended.status.success() && ended.stderr.is_empty(), "{path:?}: {ended:?}");
    String::from_utf8(ended.stdout).expect("the program prints UTF-8")
}

/// The names under `Commands:`.
fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The two options that clap adds to every command.
const OF_CLAP: &str = "  -h, --help
          Print help (see a summary with '-h')

  -V, --version
          Print version

";

/// The help without the options that every command has.
fn own(help: &str) -> String {
    let (mut kept, mut is_dropping) = (Vec::new(), false);
    for line in help.lines() {
        if !line.is_empty() && !line.starts_with(' ') {
            is_dropping = line == EVERYWHERE;
        }
        if !is_dropping {
            kept.push(line);
        }
    }
    kept.join("\n").replace(OF_CLAP, "")
}

#[tokio::test]
async fn every_command_explains_itself_with_an_example() {
    let program = help(&[]).await;
    compare("help", &program);
    let commands = subcommands(&program);
    assert!(commands.len() > 20, "{commands:?}");
    for command in commands {
        let (mut text, mut paths) = (String::new(), vec![vec![command.clone()]]);
        while let Some(path) = paths.pop() {
            let said = help(&path).await;
            assert!(said.contains("Example: restock-cli "), "{path:?} has no example");
            assert!(said.contains(EVERYWHERE), "{path:?}");
            text += &format!("$ restock-cli {} --help\n{}\n", path.join(" "), own(&said));
            paths.extend(subcommands(&said).into_iter().rev().map(|name| [path.as_slice(), &[name]].concat()));
        }
        compare(&format!("help-{command}"), &text);
    }
}

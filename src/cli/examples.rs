//! An example for the help of every command. A test runs each through the parser, and misses none.

use clap::Command;

/// The command, and how it is used.
const EXAMPLES: &[(&str, &str)] = &[
    ("", "enqueue 42 --quantity 10 --wait"),
    ("migrate", "migrate --partitions 4 --channels webhook --rate 500"),
    ("settings", "settings"),
    ("settings set", "settings set channels=webhook,file"),
    ("product", "product list"),
    ("product add", "product add 42 --name 'Party bunting' --sku 47566 --stock 0"),
    ("product list", "product list --limit 20"),
    ("product show", "product show sku:85123A"),
    ("stock", "stock show 42"),
    ("stock show", "stock show 42"),
    ("stock set", "stock set 42 0"),
    ("stock add", "stock add 42 -1"),
    ("subscribe", "subscribe 42 1001 1002"),
    ("unsubscribe", "unsubscribe 42 1001"),
    ("import", "import subscriptions wishes.csv.gz"),
    ("import products", "import products products.csv"),
    ("import subscriptions", "import subscriptions wishes.csv.gz --skip-bad"),
    ("enqueue", "enqueue 42 --quantity 10 --key delivery-7781 --wait"),
    ("resume", "resume 42 --skip --wait"),
    ("cancel", "cancel 42 --by ann"),
    ("pause", "pause 42"),
    ("unpause", "unpause 42"),
    ("rate", "rate"),
    ("rate set", "rate set 200"),
    ("token", "token --name shop"),
    ("token user", "token user 1001 --ttl 12h"),
    ("token key", "token key"),
    ("actions", "actions 42 --limit 10"),
    ("status", "status 42 --watch"),
    ("history", "history 42 --round 3 --limit 100"),
    ("why", "why 42 --user 1001"),
    ("pending", "pending --output json"),
    ("reclaim", "reclaim --min-idle-ms 60000"),
    ("dead", "dead list"),
    ("dead list", "dead list"),
    ("dead show", "dead show row:1"),
    ("dead replay", "dead replay --all"),
    ("dead drop", "dead drop row:1"),
    ("test-send", "test-send 42 --user 1001"),
    ("verify", "verify"),
    ("doctor", "doctor"),
    ("erase-user", "erase-user 1001"),
    ("history prune", "history prune --before 2026-01-01"),
    ("up", "up --rate 100"),
    ("demo", "demo --page"),
    ("probe", "probe 127.0.0.1:9464"),
    ("completions", "completions bash > /etc/bash_completion.d/restock-cli"),
    ("man", "man --out /usr/local/share/man/man1"),
];

/// What stands before an example at the end of a help.
pub(super) const WORD: &str = "Example: ";

/// Gives each command the example that belongs to it.
pub(super) fn add(command: Command) -> Command {
    with_example(command, "")
}

fn with_example(command: Command, path: &str) -> Command {
    let command = command.mut_subcommands(|sub| {
        let path = if path.is_empty() { sub.get_name().to_owned() } else { format!("{path} {}", sub.get_name()) };
        with_example(sub, &path)
    });
    match EXAMPLES.iter().find(|(name, _)| *name == path) {
        Some((_, example)) => {
            let more = command.get_after_help().map(|text| format!("\n\n{text}")).unwrap_or_default();
            command.after_help(format!("{WORD}restock-cli {example}{more}"))
        }
        None => command,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn check(command: &Command, path: &str) {
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
            let path = if path.is_empty() { sub.get_name().to_owned() } else { format!("{path} {}", sub.get_name()) };
            let Some((_, example)) = EXAMPLES.iter().find(|(name, _)| *name == path) else {
                panic!("`{path}` has no example");
            };
            assert!(example.starts_with(&path), "`{example}` is no example of `{path}`");
            let arguments = example.split(" > ").next().unwrap_or_default().replace("'Party bunting'", "bunting");
            let arguments = ["restock-cli"].into_iter().chain(arguments.split_whitespace());
            if let Err(error) = Cli::command().try_get_matches_from(arguments) {
                panic!("`{example}`: {error}");
            }
            check(sub, &path);
        }
    }

    #[test]
    fn every_command_has_an_example_that_works() {
        check(&Cli::command(), "");
    }
}

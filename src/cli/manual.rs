//! `restock-cli completions` and `man`: what is made of the command line itself, without any store.

mod page;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use self::page::Page;
use super::{
    Command, command,
    exit::Exit,
    output,
    programs::{ApiProgram, FlusherProgram, WorkerProgram},
};

/// Options of `completions`.
#[derive(Debug, Args)]
pub struct CompletionArgs {
    /// Of which shell
    shell: Shell,
}

/// Options of `man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write the pages of all commands and programs into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Runs the command if it is one of these.
pub(super) fn run(command: &Command) -> Option<anyhow::Result<Exit>> {
    match command {
        Command::Completions(args) => Some(complete(args.shell)),
        Command::Man(ManArgs { out: None }) => Some(page()),
        Command::Man(ManArgs { out: Some(folder) }) => Some(pages(folder)),
        _ => None,
    }
}

fn complete(shell: Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut shown(&command::with_examples()), "restock-cli", &mut script);
    print(&script)
}

/// The command line without what is hidden: clap's completions would offer that, too.
fn shown(whole: &clap::Command) -> clap::Command {
    let program = clap::Command::new("restock-cli")
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .args(whole.get_arguments().cloned());
    program.subcommands(whole.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned())
}

fn page() -> anyhow::Result<Exit> {
    print(&Page::of(&built(command::with_examples()))?.text)
}

fn print(text: &[u8]) -> anyhow::Result<Exit> {
    io::stdout().lock().write_all(text)?;
    Ok(Exit::Done)
}

fn pages(folder: &Path) -> anyhow::Result<Exit> {
    let cannot =
        || format!("the manual cannot be written to {}; give a folder that this user may write", folder.display());
    fs::create_dir_all(folder).with_context(cannot)?;
    let services = [WorkerProgram::command(), FlusherProgram::command(), ApiProgram::command()];
    for program in [command::with_examples()].into_iter().chain(services) {
        write(&built(program), folder).with_context(cannot)?;
    }
    output::note(&format!("the manual is in {0}; read it with `man {0}/restock-cli.1`", folder.display()));
    Ok(Exit::Done)
}

/// With the options that every command has in each of them.
fn built(program: clap::Command) -> clap::Command {
    let mut program = program.disable_help_subcommand(true);
    program.build();
    program
}

fn write(command: &clap::Command, folder: &Path) -> io::Result<()> {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        write(sub, folder)?;
    }
    let Page { file, text } = Page::of(command)?;
    fs::write(folder.join(file), text)
}

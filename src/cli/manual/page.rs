//! One manual page: the sections that clap's command gives, and those that readers of manuals look for besides.

use std::io;

use clap::Command;
use clap_mangen::Man;
use roff::{Roff, bold, roman};

use crate::cli::{examples, exit::Exit};

/// The page of a command that was built, and the name of its file.
pub(super) struct Page {
    /// Such as `restock-cli-stock-set.1`.
    pub(super) file: String,
    /// In the language of man.
    pub(super) text: Vec<u8>,
}

impl Page {
    /// Writes the page of `command`.
    pub(super) fn of(command: &Command) -> io::Result<Self> {
        let man = Man::new(command.clone()).manual("restock");
        let mut text = Vec::new();
        man.render_title(&mut text)?;
        man.render_name_section(&mut text)?;
        man.render_synopsis_section(&mut text)?;
        man.render_description_section(&mut text)?;
        if command.get_arguments().any(|argument| !argument.is_hide_set()) {
            man.render_options_section(&mut text)?;
        }
        if command.get_subcommands().any(|sub| !sub.is_hide_set()) {
            man.render_subcommands_section(&mut text)?;
        }
        let mut more = Roff::default();
        add_exit_status(&mut more, command);
        let (example, notes) = after_help(command);
        if let Some(example) = example {
            add_example(&mut more, &example);
        }
        if let Some(notes) = notes {
            more.control("SH", ["NOTES"]);
            more.text([roman(notes)]);
        }
        more.to_writer(&mut text)?;
        man.render_version_section(&mut text)?;
        Ok(Self { file: man.get_filename(), text })
    }
}

/// The codes of waiting stand where one can wait, and on the page of the whole program.
fn add_exit_status(page: &mut Roff, command: &Command) {
    let may_wait = command.get_subcommands().next().is_some()
        || command.get_arguments().any(|argument| argument.get_id() == "wait");
    page.control("SH", ["EXIT STATUS"]);
    for exit in Exit::ALL.into_iter().filter(|exit| may_wait || !exit.is_of_waiting()) {
        page.control("TP", []);
        page.text([bold((exit as u8).to_string())]);
        page.text([roman(exit.meaning().replace('`', ""))]);
    }
}

/// The example that the help ends with, and what else it says there.
fn after_help(command: &Command) -> (Option<String>, Option<String>) {
    let Some(text) = command.get_after_help().map(ToString::to_string) else { return (None, None) };
    let Some(rest) = text.strip_prefix(examples::WORD) else { return (None, Some(text)) };
    let (example, notes) = rest.split_once("\n\n").map_or((rest, None), |(example, notes)| (example, Some(notes)));
    (Some(example.to_owned()), notes.map(str::to_owned))
}

fn add_example(page: &mut Roff, example: &str) {
    page.control("SH", ["EXAMPLES"]);
    page.control("EX", []);
    page.text([roman(example)]);
    page.control("EE", []);
}

//! What a command prints on stdout: a table for people, or JSON with the contract's names.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use comfy_table::{Attribute, Cell, CellAlignment, Color, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::report::Unreadable;

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Aligned columns, a heading.
    Table,
    /// One JSON document.
    Json,
}

/// Something that people read as a row of a table, and programs as a JSON object.
pub trait Record: Serialize {
    /// The headings; a leading `>` sets a column of numbers to the right.
    const HEADINGS: &'static [&'static str];
    /// The cells, as many as there are headings.
    fn cells(&self) -> Vec<String>;
}

/// Prints records: an array in JSON.
///
/// # Errors
/// When stdout cannot be written.
pub fn records<R: Record>(output: Output, records: &[R]) -> anyhow::Result<()> {
    match output {
        Output::Table => table(records),
        Output::Json => json(records),
    }
}

/// Prints one record: an object in JSON.
///
/// # Errors
/// When stdout cannot be written.
pub fn record<R: Record>(output: Output, record: &R) -> anyhow::Result<()> {
    match output {
        Output::Table => table(std::slice::from_ref(record)),
        Output::Json => json(record),
    }
}

/// Whether what is printed on stdout may have colours: on a terminal, unless `NO_COLOR` is set.
#[must_use]
pub fn has_colours() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Prints a line on stdout.
///
/// # Errors
/// When stdout cannot be written.
pub fn line(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout().lock(), "{text}")?)
}

/// Tells the person at the terminal something that is not data: a line on stderr.
pub fn note(text: &str) {
    // With stderr gone there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Names what Redis holds and nobody can read: it was changed by hand.
pub fn note_unreadable(lanes: &[Unreadable]) {
    for Unreadable { lane, error } in lanes {
        note(&format!("lane {lane}: {error}; see `restock-cli verify {}`", lane.product));
    }
}

/// Prints a JSON document and a newline.
///
/// # Errors
/// When stdout cannot be written.
pub fn json<T: Serialize + ?Sized>(value: &T) -> anyhow::Result<()> {
    line(&serde_json::to_string_pretty(value)?)
}

fn table<R: Record>(records: &[R]) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let colours = has_colours();
    // The library would colour by its own idea of what a terminal is.
    if colours {
        table.enforce_styling()
    } else {
        table.force_no_tty()
    };
    table.set_header(R::HEADINGS.iter().map(|heading| {
        let cell = Cell::new(heading.trim_start_matches('>'));
        if colours { cell.add_attribute(Attribute::Bold) } else { cell }
    }));
    for (index, heading) in R::HEADINGS.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            if heading.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    for record in records {
        table.add_row(record.cells().into_iter().map(|text| match colour_of(&text) {
            Some(colour) if colours => Cell::new(text).fg(colour),
            _ => Cell::new(text),
        }));
    }
    line(&table.trim_fmt())
}

/// The colour of a cell that holds one of the contract's words; the same in every table.
fn colour_of(cell: &str) -> Option<Color> {
    match cell {
        "COMPLETED" | "SENT" | "ACCEPTED" => Some(Color::DarkGreen),
        "IN_PROGRESS" | "running" => Some(Color::DarkCyan),
        "QUEUED" | "PENDING" => Some(Color::DarkBlue),
        "CANCELED_BY_SOLD_OUT" => Some(Color::DarkMagenta),
        "CANCELED_BY_ERROR" | "FAILED" | "REFUSED" => Some(Color::DarkRed),
        "CANCELED_BY_ADMIN" | "UNKNOWN" | "paused" => Some(Color::DarkYellow),
        "SUPERSEDED" | "SKIPPED" => Some(Color::DarkGrey),
        _ if cell.ends_with(", paused") => Some(Color::DarkYellow),
        _ => None,
    }
}

/// The same bar in this form.
pub(super) fn styled(bar: ProgressBar, form: &str) -> ProgressBar {
    match ProgressStyle::with_template(form) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A cell that may be empty.
pub fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

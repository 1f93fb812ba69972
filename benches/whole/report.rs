//! What was measured: one table for people, one file for programs.

use std::{
    fs,
    io::{Write, stderr, stdout},
    path::Path,
};

use anyhow::Context;
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;

use crate::usage::Used;

/// One figure.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// Which run.
    pub(crate) run: &'static str,
    /// What of it.
    pub(crate) what: String,
    /// How much.
    pub(crate) figure: f64,
    /// Of what.
    pub(crate) unit: &'static str,
    /// What the machine does without us, in the same run: its name and its figure, in the same unit.
    pub(crate) limit: Option<(String, f64)>,
    /// What we want of the ratio or of the figure.
    pub(crate) goal: &'static str,
    /// What the processes used.
    pub(crate) used: Vec<Used>,
}

impl Row {
    pub(crate) fn new(run: &'static str, what: impl Into<String>, figure: f64, unit: &'static str) -> Self {
        Self { run, what: what.into(), figure, unit, limit: None, goal: "", used: Vec::new() }
    }

    pub(crate) fn limit(mut self, name: impl Into<String>, figure: f64) -> Self {
        self.limit = Some((name.into(), figure));
        self
    }

    pub(crate) fn goal(mut self, goal: &'static str) -> Self {
        self.goal = goal;
        self
    }

    pub(crate) fn used(mut self, used: &[Used]) -> Self {
        self.used = used.to_vec();
        self
    }

    fn ratio(&self) -> Option<f64> {
        self.limit.as_ref().map(|(_, limit)| self.figure / limit)
    }
}

/// All figures of a run of the benches.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn add(&mut self, row: Row) {
        let ratio = row.ratio().map_or_else(String::new, |ratio| format!(", {ratio:.2} of the limit"));
        say(&format!("  {}: {} {}{ratio}", row.what, amount(row.figure), row.unit));
        self.rows.push(row);
    }

    /// Prints the table and writes the file.
    pub(crate) fn finish(&self, json: &Path) -> anyhow::Result<()> {
        let mut table = Table::new();
        table.load_style(UTF8_HORIZONTAL_ONLY);
        table.set_header(["run", "what", "figure", "the machine's limit", "ratio", "goal", "peak memory", "CPU s"]);
        for row in &self.rows {
            let limit = row.limit.as_ref().map_or_else(String::new, |(name, at)| format!("{} {name}", amount(*at)));
            let each = |text: &dyn Fn(&Used) -> String| row.used.iter().map(text).collect::<Vec<_>>().join("\n");
            table.add_row([
                row.run.to_owned(),
                row.what.clone(),
                format!("{} {}", amount(row.figure), row.unit),
                limit,
                row.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}")),
                row.goal.to_owned(),
                each(&|used| format!("{} {} MiB", used.process, used.peak_kib / 1024)),
                each(&|used| format!("{:.1}", used.cpu_s)),
            ]);
        }
        writeln!(stdout(), "{table}").context("cannot print the table")?;
        if let Some(folder) = json.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        fs::write(json, serde_json::to_vec_pretty(&self.rows)?)
            .with_context(|| format!("cannot write {}", json.display()))
    }
}

/// Three digits that matter.
fn amount(figure: f64) -> String {
    match figure.abs() {
        large if large >= 1_000.0 => {
            let digits = format!("{figure:.0}");
            let groups: Vec<&str> =
                digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
            groups.join(",")
        }
        middle if middle >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

/// Tells what goes on, beside the table.
pub(crate) fn say(text: &str) {
    // Nobody may be listening any more, and the figures are in the file.
    let _ = writeln!(stderr(), "{text}");
}

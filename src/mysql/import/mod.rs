//! Importing products and subscriptions from CSV.
//!
//! ```text
//! file, .gz or stdin ─► csv_file: lines ─► check every one ─► spool: the good ones ─► MySQL, 10,000 a commit
//! ```
//!
//! Nothing is written before the last line has been read: one bad line, and nothing is imported. The good ones wait in
//! an unnamed temporary file, so that memory does not grow with the input and stdin needs to be read only once.

mod bytes;
mod csv_file;
#[cfg(test)]
mod garbage;
mod place;
mod products;
mod spool;
mod subscriptions;
mod write;

use std::{fmt, io, path::PathBuf};

use bytes::GzipFault;
use csv_file::Fault;
pub use products::{CheckedProducts, ImportedProducts, check_products, import_products};
pub use subscriptions::{Catalogue, CheckedSubscriptions, check_subscriptions};
pub use write::{ImportedSubscriptions, import_subscriptions};

/// Rows in one commit.
const BATCH_ROWS: usize = 10_000;
/// Bad lines that are kept to be shown.
const BAD_SHOWN_MAX: usize = 10;

/// Where the CSV comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Standard input, plain or compressed with gzip.
    Stdin,
    /// A file, plain or compressed with gzip; one whose name ends in `.gz` must be.
    File(PathBuf),
}

impl Source {
    /// `-` is stdin, everything else a file.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text == "-" { Self::Stdin } else { Self::File(text.into()) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("stdin"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// A line that cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Its number in the input, the heading being line 1.
    pub line: u64,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// The bad lines of an input.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BadLines {
    /// How many.
    pub count: u64,
    /// The first few.
    pub first: Vec<BadLine>,
}

impl BadLines {
    fn add(&mut self, line: u64, what: String) {
        self.count += 1;
        if self.first.len() < BAD_SHOWN_MAX {
            self.first.push(BadLine { line, what });
        }
    }
}

/// Why nothing, or not all, was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The input cannot be opened, read or decompressed.
    #[error("{name} cannot be read: {error}; nothing was imported: check the path")]
    Unreadable {
        /// Which input.
        name: Source,
        /// Why.
        error: io::Error,
    },
    /// What is or should be compressed cannot be decompressed to its end.
    #[error("{name}: {what}; nothing was imported: make or copy it again")]
    Gzip {
        /// Which input.
        name: Source,
        /// What is wrong.
        what: String,
    },
    /// The heading lacks a column, or names one twice.
    #[error("{name}: {what}; nothing was imported: mend the heading")]
    Heading {
        /// Which input.
        name: Source,
        /// What is wrong.
        what: String,
    },
    /// The temporary file failed.
    #[error("the temporary file in TMPDIR failed: {0}; make room there, or set TMPDIR")]
    Spool(#[source] io::Error),
    /// MySQL failed; what was committed before is complete and is passed over when the import is run again.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
}

impl ImportError {
    /// Whether the input is to blame.
    #[must_use]
    pub fn is_input(&self) -> bool {
        matches!(self, Self::Unreadable { .. } | Self::Gzip { .. } | Self::Heading { .. })
    }

    fn of_fault(name: &Source, fault: Fault) -> Self {
        match fault {
            Fault::Io(error) if let Some(fault) = GzipFault::of(&error) => {
                Self::Gzip { name: name.clone(), what: fault.to_string() }
            }
            Fault::Io(error) => Self::Unreadable { name: name.clone(), error },
            Fault::Heading(what) => Self::Heading { name: name.clone(), what },
        }
    }
}

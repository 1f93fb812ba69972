//! Reading CSV: named columns, whole lines, line numbers.

use std::{fs::File, io};

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::{Source, bytes::Bytes};

/// Read at a time.
pub(super) const BUFFER_BYTES: usize = 256 * 1024;

/// What makes the whole input unusable.
pub(super) enum Fault {
    Io(io::Error),
    Heading(String),
}

impl From<csv::Error> for Fault {
    fn from(error: csv::Error) -> Self {
        match error.into_kind() {
            csv::ErrorKind::Io(error) => Self::Io(error),
            // Lines of any length and any bytes are read; there is no other error left.
            kind => Self::Io(io::Error::other(format!("{kind:?}"))),
        }
    }
}

/// An open CSV with a heading.
pub(super) struct CsvFile {
    reader: Reader<Bytes>,
    columns: Vec<String>,
    record: ByteRecord,
}

impl CsvFile {
    /// Opens the input and reads the heading. `on_bytes` hears how many bytes of the file were read each time.
    pub(super) fn open(source: &Source, on_bytes: impl Fn(u64) + Send + 'static) -> Result<Self, Fault> {
        let bytes = match source {
            Source::Stdin => Bytes::of(io::stdin(), false, on_bytes),
            Source::File(path) => {
                let is_named_gz = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
                Bytes::of(File::open(path).map_err(Fault::Io)?, is_named_gz, on_bytes)
            }
        };
        let bytes = bytes.map_err(Fault::Io)?;
        let mut reader = ReaderBuilder::new().flexible(true).buffer_capacity(BUFFER_BYTES).from_reader(bytes);
        let heading = reader.byte_headers()?;
        let columns: Vec<String> =
            heading.iter().map(|name| String::from_utf8_lossy(name).trim().to_lowercase()).collect();
        for (index, name) in columns.iter().enumerate() {
            if columns[..index].contains(name) {
                return Err(Fault::Heading(format!("the heading names the column `{name}` twice")));
            }
        }
        Ok(Self { reader, columns, record: ByteRecord::new() })
    }

    /// Where a column stands.
    pub(super) fn find(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// Where a column stands that must be there.
    pub(super) fn need(&self, name: &str) -> Result<usize, Fault> {
        self.find(name).ok_or_else(|| {
            let found = self.columns.join(",");
            Fault::Heading(format!("the first line must name the column `{name}`, it names `{found}`"))
        })
    }

    /// The columns that are none of these.
    pub(super) fn unused(&self, known: &[&str]) -> Vec<String> {
        self.columns.iter().filter(|column| !known.contains(&column.as_str())).cloned().collect()
    }

    /// The next line; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Line<'_>>, Fault> {
        if !self.reader.read_byte_record(&mut self.record)? {
            return Ok(None);
        }
        let number = self.record.position().map_or(0, csv::Position::line);
        Ok(Some(Line { number, columns: self.columns.len(), record: &self.record }))
    }
}

/// One line of the input.
pub(super) struct Line<'a> {
    /// Counted from 1, the heading's.
    pub(super) number: u64,
    columns: usize,
    record: &'a ByteRecord,
}

impl<'a> Line<'a> {
    /// Refuses a line with more or fewer fields than the heading.
    pub(super) fn check_len(&self) -> Result<(), String> {
        if self.record.len() == self.columns {
            Ok(())
        } else {
            Err(format!("it has {} fields, the heading {}", self.record.len(), self.columns))
        }
    }

    /// The text of a field, without the spaces around it.
    pub(super) fn text(&self, column: usize) -> Result<&'a str, String> {
        let bytes = self.record.get(column).unwrap_or_default();
        std::str::from_utf8(bytes)
            .map(str::trim)
            .map_err(|_| format!("field {} is not UTF-8; save the file as UTF-8", column + 1))
    }
}

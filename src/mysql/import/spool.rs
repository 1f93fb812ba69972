//! The good rows, waiting in an unnamed temporary file until the last line has been checked.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    marker::PhantomData,
};

/// A row that can be put into a file and read back.
pub(super) trait Spooled: Sized {
    fn write(&self, to: &mut impl Write) -> io::Result<()>;
    fn read(from: &mut impl Read) -> io::Result<Self>;
}

/// Takes rows.
pub(super) struct SpoolWriter<R> {
    file: BufWriter<File>,
    rows: u64,
    of: PhantomData<R>,
}

impl<R: Spooled> SpoolWriter<R> {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { file: BufWriter::with_capacity(256 * 1024, tempfile::tempfile()?), rows: 0, of: PhantomData })
    }

    pub(super) fn push(&mut self, row: &R) -> io::Result<()> {
        self.rows += 1;
        row.write(&mut self.file)
    }

    pub(super) fn finish(self) -> io::Result<Spool<R>> {
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        Ok(Spool { file: BufReader::with_capacity(256 * 1024, file), rows: self.rows, read: 0, of: PhantomData })
    }
}

/// Gives the rows back, once.
#[derive(Debug)]
pub(super) struct Spool<R> {
    file: BufReader<File>,
    rows: u64,
    read: u64,
    of: PhantomData<R>,
}

impl<R: Spooled> Spool<R> {
    /// How many there are in all.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// The next `max` rows or fewer; none at the end.
    pub(super) fn batch(&mut self, max: usize) -> io::Result<Vec<R>> {
        let left = usize::try_from(self.rows - self.read).unwrap_or(usize::MAX);
        let rows = (0..left.min(max)).map(|_| R::read(&mut self.file)).collect::<io::Result<Vec<R>>>()?;
        self.read += u64::try_from(rows.len()).unwrap_or(0);
        Ok(rows)
    }
}

pub(super) fn write_i64(to: &mut impl Write, value: i64) -> io::Result<()> {
    to.write_all(&value.to_le_bytes())
}

pub(super) fn read_i64(from: &mut impl Read) -> io::Result<i64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(i64::from_le_bytes(bytes))
}

pub(super) fn write_text(to: &mut impl Write, text: &str) -> io::Result<()> {
    write_i64(to, i64::try_from(text.len()).unwrap_or(i64::MAX))?;
    to.write_all(text.as_bytes())
}

pub(super) fn read_text(from: &mut impl Read) -> io::Result<String> {
    let len = usize::try_from(read_i64(from)?).map_err(io::Error::other)?;
    let mut bytes = vec![0; len];
    from.read_exact(&mut bytes)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

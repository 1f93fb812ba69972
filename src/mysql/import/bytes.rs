//! The bytes of an input, decompressed where they are compressed.

use std::io::{self, BufReader, Chain, Cursor, Read};

use flate2::read::MultiGzDecoder;

use super::csv_file::BUFFER_BYTES;

/// The first bytes of everything that gzip writes; no CSV starts with them.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// What is wrong with compressed data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum GzipFault {
    #[error("its name ends in .gz, and it is not compressed with gzip")]
    Absent,
    #[error("its gzip data is cut off before the end")]
    Cut,
    #[error("its gzip data is damaged")]
    Damaged,
}

impl From<GzipFault> for io::Error {
    fn from(fault: GzipFault) -> Self {
        Self::new(io::ErrorKind::InvalidData, fault)
    }
}

impl GzipFault {
    /// The fault that an error stands for, if it is one.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

type Input = Chain<Cursor<Vec<u8>>, Box<dyn Read + Send>>;

/// The plain bytes of an input.
pub(super) enum Bytes {
    Plain(Input),
    Gzip(Box<MultiGzDecoder<BufReader<Input>>>),
}

impl Bytes {
    /// Looks at the first bytes of `inner`; `on_bytes` hears how many were read of it each time.
    pub(super) fn of(
        inner: impl Read + Send + 'static,
        is_named_gz: bool,
        on_bytes: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let mut inner: Box<dyn Read + Send> = Box::new(Counted { inner, on_bytes });
        let mut head = Vec::with_capacity(MAGIC.len());
        inner.by_ref().take(MAGIC.len() as u64).read_to_end(&mut head)?;
        let is_gzip = head == MAGIC;
        let input = Cursor::new(head).chain(inner);
        match (is_gzip, is_named_gz) {
            (true, _) => {
                let buffered = BufReader::with_capacity(BUFFER_BYTES, input);
                Ok(Self::Gzip(Box::new(MultiGzDecoder::new(buffered))))
            }
            (false, true) => Err(GzipFault::Absent.into()),
            (false, false) => Ok(Self::Plain(input)),
        }
    }
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(buffer),
            Self::Gzip(input) => input.read(buffer).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => GzipFault::Cut.into(),
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => GzipFault::Damaged.into(),
                _ => error,
            }),
        }
    }
}

struct Counted<R, F> {
    inner: R,
    on_bytes: F,
}

impl<R: Read, F: Fn(u64)> Read for Counted<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        (self.on_bytes)(u64::try_from(count).unwrap_or(0));
        Ok(count)
    }
}

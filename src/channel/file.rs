//! A channel that appends one line of JSON per person to a file: for trials, audits and tests.
//!
//! ```text
//! send ─► lines of the next batch ─► writer thread: one write ─► every call of the batch gets its answer
//! ```
//!
//! While one batch is written the next one fills, so that batches grow with the load by themselves.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use futures_util::future::BoxFuture;
use tokio::{sync::watch, time::timeout};

use super::{Answer, Message, Sender, body};

/// The most lines in a batch, and so the most that wait while another one is written.
const BATCH_LINES_MAX: usize = 4096;

/// Appends to one file, in the order of the calls.
///
/// [`Answer::Delivered`] means that the operating system took the whole line; it is not synced to the disk. What
/// cannot be written is [`Answer::Retry`]. A line cut short by a full disk is closed with a line feed before the
/// next one, so that readers lose that line alone.
#[derive(Debug)]
pub struct FileSender {
    shared: Arc<Shared>,
    send_timeout: Duration,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    batch: Batch,
    closed: bool,
}

/// Lines that one write takes to the file, and the callers who wait for it.
#[derive(Debug)]
struct Batch {
    lines: Vec<u8>,
    count: usize,
    written: watch::Sender<Option<Written>>,
}

/// How far a batch came: its first `bytes` are in the file.
#[derive(Debug, Clone, Copy)]
struct Written {
    bytes: usize,
    failure: Option<ErrorKind>,
}

impl FileSender {
    /// Opens the file, creating it if need be, and starts the writer.
    ///
    /// # Errors
    /// The file cannot be opened for appending, or the thread not be started.
    pub fn open(path: &Path, send_timeout: Duration) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let torn = ends_torn(path);
        let state = Mutex::new(State { batch: Batch::new(Vec::new()), closed: false });
        let shared = Arc::new(Shared { state, changed: Condvar::new() });
        let of_writer = Arc::clone(&shared);
        thread::Builder::new().name("restock-file".to_owned()).spawn(move || of_writer.write_batches(file, torn))?;
        Ok(Self { shared, send_timeout })
    }
}

impl Sender for FileSender {
    fn send(&self, message: Message) -> BoxFuture<'_, Answer> {
        // The line takes its place here, not when the future is first polled: that keeps the order of the calls.
        let queued = self.shared.queue(&message);
        Box::pin(async move {
            let (end, mut written) = match queued {
                Ok(queued) => queued,
                Err(answer) => return answer,
            };
            match timeout(self.send_timeout, written.wait_for(Option::is_some)).await {
                Ok(Ok(written)) => written.map_or_else(unanswered, |written| written.answer(end)),
                Ok(Err(_)) => unanswered(),
                Err(_) => Answer::Retry {
                    reason: format!("no answer: timed out after {} ms", self.send_timeout.as_millis()),
                    after: None,
                    answered: false,
                },
            }
        })
    }

    fn connections_max(&self) -> usize {
        BATCH_LINES_MAX
    }
}

impl Drop for FileSender {
    /// The writer ends after what is queued; nobody waits for it.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    /// A panic elsewhere leaves no half-made state behind: every change under the lock is complete.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the line into the next batch; says where it ends there, and where to wait.
    fn queue(&self, message: &Message) -> Result<(usize, watch::Receiver<Option<Written>>), Answer> {
        let mut state = self.lock();
        let batch = &mut state.batch;
        if batch.count >= BATCH_LINES_MAX {
            return Err(Answer::Retry {
                reason: format!("the file is behind: {BATCH_LINES_MAX} lines wait"),
                after: None,
                answered: true,
            });
        }
        body::append_line(message, &mut batch.lines)
            .map_err(|_| Answer::Misconfigured("the message cannot be written as JSON".to_owned()))?;
        batch.count += 1;
        if batch.count == 1 {
            self.changed.notify_one();
        }
        Ok((batch.lines.len(), batch.written.subscribe()))
    }

    /// Takes what is queued; none when there is nothing and never will be.
    fn take(&self, spare: Vec<u8>) -> Option<Batch> {
        let mut state = self.lock();
        while state.batch.count == 0 {
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Some(std::mem::replace(&mut state.batch, Batch::new(spare)))
    }

    fn write_batches(&self, mut file: File, mut torn: bool) {
        let mut spare = Vec::new();
        while let Some(batch) = self.take(spare) {
            let written = write_batch(&mut file, &batch.lines, &mut torn);
            batch.written.send_replace(Some(written));
            spare = batch.lines;
            spare.clear();
        }
    }
}

impl Batch {
    fn new(lines: Vec<u8>) -> Self {
        Self { lines, count: 0, written: watch::Sender::new(None) }
    }
}

impl Written {
    fn answer(self, end: usize) -> Answer {
        match self.failure {
            Some(kind) if end > self.bytes => {
                Answer::Retry { reason: format!("the file was not written: {kind}"), after: None, answered: true }
            }
            _ => Answer::Delivered,
        }
    }
}

fn unanswered() -> Answer {
    Answer::Retry { reason: "no answer: the writer of the file ended".to_owned(), after: None, answered: false }
}

/// One write, more only where the system takes less than all. `torn`: the file ends inside a line.
fn write_batch(file: &mut impl Write, lines: &[u8], torn: &mut bool) -> Written {
    let mut bytes = 0;
    let result = if *torn { file.write_all(b"\n") } else { Ok(()) }.and_then(|()| {
        *torn = false;
        while bytes < lines.len() {
            match file.write(&lines[bytes..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(taken) => bytes += taken,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    });
    if bytes > 0 {
        *torn = lines[bytes - 1] != b'\n';
    }
    Written { bytes, failure: result.err().map(|error| error.kind()) }
}

/// Whether an earlier process left the file inside a line; no for what cannot be read or sought, such as a pipe.
fn ends_torn(path: &Path) -> bool {
    let last = || -> io::Result<u8> {
        if !path.metadata()?.is_file() {
            return Ok(b'\n');
        }
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        Ok(last[0])
    };
    last().is_ok_and(|byte| byte != b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, then is full.
    struct Disk {
        content: Vec<u8>,
        free: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.free);
            if taken == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.content.extend_from_slice(&bytes[..taken]);
            self.free -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_disk_full_inside_a_batch_keeps_whole_lines_and_closes_the_torn_one() {
        let mut disk = Disk { content: Vec::new(), free: 6 };
        let mut torn = false;
        let written = write_batch(&mut disk, b"{1}\n{2}\n", &mut torn);
        assert_eq!(written.answer(4), Answer::Delivered);
        assert!(matches!(written.answer(8), Answer::Retry { answered: true, .. }));

        let written = write_batch(&mut disk, b"{2}\n", &mut torn);
        assert!(matches!(written.answer(4), Answer::Retry { answered: true, .. }));

        disk.free = 100;
        assert_eq!(write_batch(&mut disk, b"{2}\n", &mut torn).answer(4), Answer::Delivered);
        assert_eq!(disk.content, b"{1}\n{2\n{2}\n");
        assert!(!torn);
    }
}

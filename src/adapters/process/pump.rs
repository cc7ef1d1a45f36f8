//! The path of a command's output: from its pipe through the filter to the file and the listeners.

use std::{
    fs::{File, OpenOptions},
    io::{self, PipeReader, PipeWriter, Read},
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    unistd::getuid,
};

use super::{Filter, keep::Keep};

/// Bytes read at once, and wished for as the pipe's size.
const PIPE: usize = 1 << 20;

/// A pipe for the output of a command.
pub(super) fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    // A wish: without it there are only more wake-ups.
    let _ = fcntl(&reader, FcntlArg::F_SETPIPE_SZ(i32::try_from(PIPE).unwrap_or(i32::MAX)));
    Ok((reader, writer))
}

/// Opens the file for the output: ours alone, not through a symbolic link, never truncated.
pub(super) fn open_output(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.uid() != getuid().as_raw() || meta.mode() & 0o077 != 0 {
        return Err(io::Error::other("it exists, but is not a file of our own"));
    }
    Ok(file)
}

/// Reads the pipe until its end.
pub(super) struct Pump<S> {
    reader: PipeReader,
    /// Hangs up when the reading has to stop.
    stopped: PipeReader,
    keep: Option<Keep>,
    filter: Filter,
    sink: S,
    bytes: u64,
    fault: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Pumped {
    /// Bytes read, before filtering.
    pub(super) bytes: u64,
    /// Bytes that are not in the file because there were too many.
    pub(super) left_out: u64,
    /// Why the file is not complete.
    pub(super) fault: Option<String>,
}

impl<S: FnMut(&[u8])> Pump<S> {
    pub(super) fn new(
        reader: PipeReader,
        stopped: PipeReader,
        keep: Option<Keep>,
        filter: Filter,
        sink: S,
    ) -> Self {
        Self { reader, stopped, keep, filter, sink, bytes: 0, fault: None }
    }

    pub(super) fn run(mut self) -> Pumped {
        let mut buffer = vec![0; PIPE / 4];
        // Once told to stop, no more than what the pipe held then.
        let mut left = usize::MAX;
        while left > 0 {
            let (ready, stopped) = self.wait();
            if stopped {
                left = left.min(PIPE);
            }
            if !ready {
                if stopped {
                    break;
                }
                continue;
            }
            match self.reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    left = left.saturating_sub(count);
                    self.bytes += count as u64;
                    self.pass(buffer.get(..count));
                }
                Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => {
                    self.fault.get_or_insert_with(|| fault.to_string());
                    break;
                }
            }
        }
        self.pass(None);
        let mut left_out = 0;
        match self.keep.take().map(Keep::finish) {
            Some(Ok(0)) | None => {}
            Some(Ok(count)) => {
                left_out = count;
                let note = format!("\n[cutover: {count} bytes of output are not in its file]\n");
                (self.sink)(note.as_bytes());
            }
            Some(Err(fault)) => self.fault = Some(fault.to_string()),
        }
        Pumped { bytes: self.bytes, left_out, fault: self.fault }
    }

    /// Waits until there is output or its end, or until told to stop.
    fn wait(&self) -> (bool, bool) {
        let mut fds = [
            PollFd::new(self.reader.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.stopped.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {
                let [output, stop] = fds.map(|fd| fd.any().unwrap_or(false));
                (output, stop)
            }
            // Then reading says what is wrong.
            Err(_) => (true, false),
        }
    }

    fn pass(&mut self, piece: Option<&[u8]>) {
        let Self { filter, keep, sink, fault, .. } = self;
        filter(piece, &mut |bytes| {
            if bytes.is_empty() {
                return;
            }
            if let Some(open) = keep
                && let Err(error) = open.add(bytes)
            {
                // The command goes on: a full disk is no reason to stop a migration half-way.
                *fault = Some(error.to_string());
                *keep = None;
            }
            sink(bytes);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{super::keep::Limits, *};

    #[test]
    fn a_full_disk_does_not_stop_the_output() {
        let (reader, mut writer) = io::pipe().unwrap();
        let (stopped, _stop) = io::pipe().unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        writer.write_all(b"one\ntwo\n").unwrap();
        drop(writer);
        let mut shown = Vec::new();
        let sink = |bytes: &[u8]| shown.extend_from_slice(bytes);
        let filter = super::super::unfiltered();
        let pump = Pump::new(reader, stopped, Some(Keep::new(full, Limits::DISK)), filter, sink);
        let pumped = pump.run();
        assert_eq!(pumped.bytes, 8);
        assert!(pumped.fault.unwrap().contains("No space left"));
        assert_eq!(shown, b"one\ntwo\n");
    }

    #[test]
    fn an_unknown_holder_of_the_pipe_does_not_hold_us() {
        let (reader, mut writer) = io::pipe().unwrap();
        let (stopped, stop) = io::pipe().unwrap();
        writer.write_all(b"last words").unwrap();
        drop(stop);
        let mut shown = Vec::new();
        let sink = |bytes: &[u8]| shown.extend_from_slice(bytes);
        let filter = super::super::unfiltered();
        // The writer stays open: without the stop this would never return.
        let pumped = Pump::new(reader, stopped, None, filter, sink).run();
        assert_eq!((pumped.bytes, shown.as_slice()), (10, b"last words".as_slice()));
        drop(writer);
    }
}

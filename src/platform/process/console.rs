//! A guest's output: whole lines, each stamped when it is read, within bounds whatever the guest prints.
//!
//! Invariant: reading never blocks and never keeps more than [`MAX_LINES`] lines or [`MAX_KEPT`] bytes, since a
//! thousand instances share one harness and a guest may flood it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use crate::guest::GuestLine;
use crate::host::clock::Clock;
use crate::model::event::Event;
use crate::model::units::Nanos;
use crate::platform::{Exit, Milestone, StampedLine};

/// Lines kept of one instance.
const MAX_LINES: usize = 4096;

/// Bytes kept of one instance's lines.
const MAX_KEPT: usize = 1 << 20;

/// Bytes kept of one line; the rest of it is dropped.
const MAX_LINE: usize = 16 << 10;

/// Bytes per read, on the stack.
const CHUNK: usize = 8 << 10;

/// Reads before the caller checks its deadline again, so that a flood cannot delay it.
const READS: usize = 64;

/// The reading end of a guest's output.
#[derive(Debug)]
pub(in crate::platform) struct Console {
    /// `None` once every writer is gone.
    pipe: Option<OwnedFd>,
    partial: Vec<u8>,
    lines: Vec<StampedLine>,
    kept: usize,
    dropped: u64,
    /// When the first byte was read.
    first_byte: Option<Nanos>,
    /// When the guest's output began.
    guest_start: Option<Nanos>,
    first: FirstLines,
}

/// What the first line of each kind reported, and when.
#[derive(Debug, Default)]
struct FirstLines {
    main: Option<Nanos>,
    ready: Option<Nanos>,
    attacking: Option<Nanos>,
    result: Option<Nanos>,
    error: Option<String>,
    exit: Option<Exit>,
}

impl Console {
    /// A console over `pipe`, which does not block.
    pub(in crate::platform) fn new(pipe: OwnedFd) -> Self {
        Self {
            pipe: Some(pipe),
            partial: Vec::new(),
            lines: Vec::new(),
            kept: 0,
            dropped: 0,
            first_byte: None,
            guest_start: None,
            first: FirstLines::default(),
        }
    }

    /// The descriptor to poll; `None` once every writer is gone.
    pub(in crate::platform) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Reads what is available, up to a bound. Returns whether there may be more.
    pub(in crate::platform) fn read(&mut self, clock: &dyn Clock) -> bool {
        let mut buffer = [0; CHUNK];
        for _ in 0..READS {
            let Some(pipe) = &self.pipe else { return false };
            match rustix::io::read(pipe, &mut buffer) {
                Ok(0) => self.close(clock.now()),
                Ok(n) => self.take(&buffer[..n], clock.now()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return false,
                Err(_) => self.close(clock.now()),
            }
        }
        true
    }

    /// Closes the pipe. Further writes to it fail.
    pub(in crate::platform) fn discard(&mut self) {
        self.pipe = None;
        self.partial = Vec::new();
    }

    /// The lines kept so far.
    pub(in crate::platform) fn lines(&self) -> &[StampedLine] {
        &self.lines
    }

    /// Takes the lines kept so far.
    pub(in crate::platform) fn take_lines(&mut self) -> Vec<StampedLine> {
        std::mem::take(&mut self.lines)
    }

    /// When a line reported `milestone`; always `None` for [`Milestone::Exit`], which no line reports.
    pub(in crate::platform) fn reached(&self, milestone: Milestone) -> Option<Nanos> {
        match milestone {
            Milestone::Main => self.first.main,
            Milestone::Ready => self.first.ready,
            Milestone::Attacking => self.first.attacking,
            Milestone::Result => self.first.result,
            Milestone::Exit => None,
        }
    }

    /// The events that lines have reported so far.
    pub(in crate::platform) fn events(&self) -> impl Iterator<Item = (Event, Nanos)> {
        let first = &self.first;
        [(Event::Main, first.main), (Event::Ready, first.ready), (Event::Result, first.result)]
            .into_iter()
            .filter_map(|(event, at)| Some((event, at?)))
    }

    /// When the guest's output began, once there is a whole line: at its first byte, or at `FW main` if that comes
    /// first.
    pub(in crate::platform) fn guest_start(&self) -> Option<Nanos> {
        self.guest_start
    }

    /// The program's exit status as the guest system reported it.
    pub(in crate::platform) fn exit(&self) -> Option<Exit> {
        self.first.exit
    }

    /// The first `FW error`.
    pub(in crate::platform) fn error(&self) -> Option<&str> {
        self.first.error.as_deref()
    }

    /// Describes the last line, for error messages.
    pub(in crate::platform) fn last_seen(&self) -> String {
        // A panicking kernel prints the reason first and the stack last.
        let last = self.lines.iter().find(|stamped| is_panic(&stamped.line)).or(self.lines.last());
        let last = match last.map(|stamped| &stamped.line) {
            None => return "no output".to_owned(),
            Some(GuestLine::Main) => "FW main".to_owned(),
            Some(GuestLine::Ready) => "FW ready".to_owned(),
            Some(GuestLine::Ops(n)) => format!("FW ops {n}"),
            Some(GuestLine::Result(_)) => "FW result".to_owned(),
            Some(GuestLine::Error(text)) => format!("FW error {text}"),
            Some(GuestLine::Guest | GuestLine::ExitCode(_) | GuestLine::ExitSignal(_)) => {
                "of the guest system".to_owned()
            }
            Some(GuestLine::Other(text)) => format!("`{}`", text.chars().take(80).collect::<String>()),
        };
        match self.dropped {
            0 => format!("line {last}"),
            n => format!("line {last} and {n} more lines, dropped"),
        }
    }

    fn close(&mut self, at: Nanos) {
        self.pipe = None;
        if !self.partial.is_empty() {
            self.end_line(at);
        }
    }

    fn take(&mut self, mut bytes: &[u8], at: Nanos) {
        self.first_byte.get_or_insert(at);
        while let Some(end) = bytes.iter().position(|&b| b == b'\n') {
            self.extend(&bytes[..end]);
            self.end_line(at);
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    fn extend(&mut self, bytes: &[u8]) {
        let left = MAX_LINE.saturating_sub(self.partial.len());
        self.partial.extend_from_slice(&bytes[..bytes.len().min(left)]);
    }

    fn end_line(&mut self, at: Nanos) {
        let line = GuestLine::parse(&String::from_utf8_lossy(&self.partial));
        let size = self.partial.len();
        let began = if line == GuestLine::Main { at } else { self.first_byte.unwrap_or(at) };
        self.guest_start.get_or_insert(began);
        // Free the memory of a long line instead of keeping it for the rest of the instance's life.
        if self.partial.capacity() > 512 {
            self.partial = Vec::new()
        } else {
            self.partial.clear()
        }
        if self.take_system_line(&line) {
            return;
        }
        let first = self.record_first(&line, at);
        if first || (self.lines.len() < MAX_LINES && self.kept + size <= MAX_KEPT) {
            self.kept += size;
            self.lines.push(StampedLine { at, line });
        } else {
            self.dropped += 1;
        }
    }

    /// Handles a line of the guest system, which is not kept. Returns whether `line` is one. The first exit status
    /// counts.
    fn take_system_line(&mut self, line: &GuestLine) -> bool {
        let exit = match line {
            GuestLine::Guest => return true,
            GuestLine::ExitCode(code) => Exit::Code((*code).into()),
            GuestLine::ExitSignal(signal) => Exit::Signal((*signal).into()),
            _ => return false,
        };
        self.first.exit.get_or_insert(exit);
        true
    }

    /// Records the first line of each kind. Returns whether `line` is one; those are always kept.
    fn record_first(&mut self, line: &GuestLine, at: Nanos) -> bool {
        let known = &mut self.first;
        let slot = match line {
            GuestLine::Main => &mut known.main,
            GuestLine::Ready => &mut known.ready,
            GuestLine::Ops(n) if *n > 0 => &mut known.attacking,
            GuestLine::Result(_) => &mut known.result,
            GuestLine::Error(text) if known.error.is_none() => {
                known.error = Some(text.clone());
                return true;
            }
            _ => return false,
        };
        let first = slot.is_none();
        slot.get_or_insert(at);
        first
    }
}

fn is_panic(line: &GuestLine) -> bool {
    matches!(line, GuestLine::Other(text) if text.contains("Kernel panic"))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;
    use crate::host::clock::VirtualClock;

    /// A console that has read `text` from a guest, which then ended if `ends`.
    fn after(text: &[u8], ends: bool) -> (Console, Option<File>) {
        let (read, write) = crate::platform::process::watch::pipe().expect("a pipe");
        let mut console = Console::new(read);
        let mut write = File::from(write);
        let clock = VirtualClock::default();
        for part in text.chunks(4096) {
            clock.advance(Nanos(1));
            write.write_all(part).expect("written");
            console.read(&clock);
        }
        let write = (!ends).then_some(write);
        console.read(&clock);
        (console, write)
    }

    #[test]
    fn milestones_carry_the_instant_of_their_first_line() {
        let (console, _writer) = after(b"FW main\nFW ops 0\nFW ops 7\nFW main\n", false);
        assert_eq!(console.reached(Milestone::Main), Some(Nanos(1)));
        assert_eq!(console.reached(Milestone::Attacking), Some(Nanos(1)));
        assert_eq!(console.reached(Milestone::Ready), None);
        assert_eq!(console.lines().len(), 4);
    }

    #[test]
    fn lines_of_the_guest_system_are_not_its_programs() {
        let (console, _writer) = after(b"FW guest\nFW main\nFW exit signal 6\nFW exit code 0\n", false);
        assert_eq!(console.lines().len(), 1);
        assert_eq!((console.exit(), console.guest_start()), (Some(Exit::Signal(6)), Some(Nanos(1))));
    }

    #[test]
    fn a_last_line_without_an_end_counts_once_the_guest_is_gone() {
        let (console, writer) = after(b"FW main", false);
        assert_eq!((console.reached(Milestone::Main), console.fd().is_some()), (None, true));
        drop(writer);
        let (console, _) = after(b"FW main", true);
        assert_eq!((console.reached(Milestone::Main), console.fd().is_none()), (Some(Nanos(1)), true));
    }

    #[test]
    fn a_flood_is_bounded_and_a_result_after_it_still_kept() {
        let mut flood = b"x\n".repeat(MAX_LINES * 2);
        flood.extend_from_slice(b"FW result {}\n");
        let (console, _) = after(&flood, true);
        assert_eq!(console.lines().len(), MAX_LINES + 1);
        assert!(console.reached(Milestone::Result).is_some());
        assert!(console.last_seen().contains("4096 more lines"), "{}", console.last_seen());
    }

    #[test]
    fn an_endless_line_is_cut() {
        let (console, _) = after(&b"y".repeat(MAX_LINE * 3), true);
        let [StampedLine { line: GuestLine::Other(text), .. }] = console.lines() else { panic!("one line") };
        assert_eq!(text.len(), MAX_LINE);
    }

    #[test]
    fn long_lines_are_bounded_together() {
        let mut flood = b"z".repeat(MAX_LINE);
        flood.push(b'\n');
        let (console, _) = after(&flood.repeat(MAX_KEPT / MAX_LINE + 9), true);
        assert_eq!(console.lines().len(), MAX_KEPT / MAX_LINE);
    }
}

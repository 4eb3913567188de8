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

/// Bytes asked for at once, on the stack.
const CHUNK: usize = 8 << 10;

/// Reads before the caller looks at its deadline again: a flood must not hold it.
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
    /// When the guest began to speak.
    opened: Option<Nanos>,
    seen: Seen,
}

/// The instants of the first line of each kind.
#[derive(Debug, Default)]
struct Seen {
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
        let (first_byte, opened, seen) = (None, None, Seen::default());
        Self { pipe: Some(pipe), partial: Vec::new(), lines: Vec::new(), kept: 0, dropped: 0, first_byte, opened, seen }
    }

    /// What to poll; `None` once every writer is gone.
    pub(in crate::platform) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Reads what is there, at most a bounded amount. Whether there may be more.
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

    /// Reads no more: whoever writes learns that nobody listens.
    pub(in crate::platform) fn forget(&mut self) {
        self.pipe = None;
        self.partial = Vec::new();
    }

    /// The lines kept so far.
    pub(in crate::platform) fn lines(&self) -> &[StampedLine] {
        &self.lines
    }

    /// The lines kept, taken out.
    pub(in crate::platform) fn take_lines(&mut self) -> Vec<StampedLine> {
        std::mem::take(&mut self.lines)
    }

    /// When `milestone` was reached; never for [`Milestone::Exit`], which no line tells.
    pub(in crate::platform) fn reached(&self, milestone: Milestone) -> Option<Nanos> {
        match milestone {
            Milestone::Main => self.seen.main,
            Milestone::Ready => self.seen.ready,
            Milestone::Attacking => self.seen.attacking,
            Milestone::Result => self.seen.result,
            Milestone::Exit => None,
        }
    }

    /// The events that lines tell, so far.
    pub(in crate::platform) fn events(&self) -> impl Iterator<Item = (Event, Nanos)> {
        let seen = &self.seen;
        [(Event::Main, seen.main), (Event::Ready, seen.ready), (Event::Result, seen.result)]
            .into_iter()
            .filter_map(|(event, at)| Some((event, at?)))
    }

    /// When the first byte was read, once there is a line: what begins with the program's own line began with that.
    pub(in crate::platform) fn opened(&self) -> Option<Nanos> {
        self.opened
    }

    /// How the program ended by the word of its guest system.
    pub(in crate::platform) fn exit(&self) -> Option<Exit> {
        self.seen.exit
    }

    /// The first `FW error`.
    pub(in crate::platform) fn error(&self) -> Option<&str> {
        self.seen.error.as_deref()
    }

    /// The last thing seen, in words, for error messages.
    pub(in crate::platform) fn last(&self) -> String {
        // A kernel says why it panics first, and where last.
        let is_panic =
            |line: &&StampedLine| matches!(&line.line, GuestLine::Other(text) if text.contains("Kernel panic"));
        let last = self.lines.iter().find(is_panic).or(self.lines.last());
        let last = match last.map(|stamped| &stamped.line) {
            None => return "no output".to_owned(),
            Some(GuestLine::Main) => "FW main".to_owned(),
            Some(GuestLine::Ready) => "FW ready".to_owned(),
            Some(GuestLine::Ops(n)) => format!("FW ops {n}"),
            Some(GuestLine::Result(_)) => "FW result".to_owned(),
            Some(GuestLine::Error(text)) => format!("FW error {text}"),
            Some(GuestLine::Guest | GuestLine::ExitCode(_) | GuestLine::ExitSignal(_)) => "of its system".to_owned(),
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
        let room = MAX_LINE.saturating_sub(self.partial.len());
        self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn end_line(&mut self, at: Nanos) {
        let line = GuestLine::parse(&String::from_utf8_lossy(&self.partial));
        let size = self.partial.len();
        let began = if line == GuestLine::Main { at } else { self.first_byte.unwrap_or(at) };
        self.opened.get_or_insert(began);
        // The memory of one long line is not kept for the rest of an instance's life.
        if self.partial.capacity() > 512 {
            self.partial = Vec::new()
        } else {
            self.partial.clear()
        }
        if self.is_of_the_system(&line) {
            return;
        }
        let first = self.note(&line, at);
        if first || (self.lines.len() < MAX_LINES && self.kept + size <= MAX_KEPT) {
            self.kept += size;
            self.lines.push(StampedLine { at, line });
        } else {
            self.dropped += 1;
        }
    }

    /// Takes what a guest system says for itself, which is none of its program's lines. Its first word on the end counts.
    fn is_of_the_system(&mut self, line: &GuestLine) -> bool {
        let exit = match line {
            GuestLine::Guest => return true,
            GuestLine::ExitCode(code) => Exit::Code((*code).into()),
            GuestLine::ExitSignal(signal) => Exit::Signal((*signal).into()),
            _ => return false,
        };
        self.seen.exit.get_or_insert(exit);
        true
    }

    /// Notes a milestone. Whether it is the first of its kind, which is kept in any case.
    fn note(&mut self, line: &GuestLine, at: Nanos) -> bool {
        let seen = &mut self.seen;
        let slot = match line {
            GuestLine::Main => &mut seen.main,
            GuestLine::Ready => &mut seen.ready,
            GuestLine::Ops(n) if *n > 0 => &mut seen.attacking,
            GuestLine::Result(_) => &mut seen.result,
            GuestLine::Error(text) if seen.error.is_none() => {
                seen.error = Some(text.clone());
                return true;
            }
            _ => return false,
        };
        let first = slot.is_none();
        slot.get_or_insert(at);
        first
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;
    use crate::host::clock::VirtualClock;

    /// What a console has after a guest printed `text` and, maybe, ended.
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
    fn what_a_guest_system_says_is_none_of_its_programs_lines() {
        let (console, _writer) = after(b"FW guest\nFW main\nFW exit signal 6\nFW exit code 0\n", false);
        assert_eq!(console.lines().len(), 1);
        assert_eq!((console.exit(), console.opened()), (Some(Exit::Signal(6)), Some(Nanos(1))));
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
        assert!(console.last().contains("4096 more lines"), "{}", console.last());
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

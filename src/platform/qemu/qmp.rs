//! QEMU's monitor protocol (`docs/interop/qmp-spec.rst` of QEMU), as far as the harness needs it: when the monitor is up,
//! which threads are virtual CPUs, and why a machine stopped.
//!
//! QEMU inherits one end of a socket pair, so there is no path to connect to or to remove.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

/// No message that is used here is longer.
const MOST_LINE: usize = 64 << 10;

/// A message of the monitor.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Message {
    /// It is up. Has QEMU's version.
    Greeting(String),
    /// The answer to a command.
    Return(Value),
    /// It rejected a command, with the reason.
    Error(String),
    /// Something happened. Has the event's name and data.
    Event(String, Value),
}

/// The harness's end of the connection.
#[derive(Debug)]
pub(super) struct Qmp {
    socket: UnixStream,
    partial: Vec<u8>,
    closed: bool,
    /// The last event about a stop or a reset of the machine.
    pub(super) last_event: Option<String>,
}

impl Qmp {
    /// The harness's end, and QEMU's.
    pub(super) fn pair() -> io::Result<(Self, UnixStream)> {
        let (socket, theirs) = UnixStream::pair()?;
        socket.set_nonblocking(true)?;
        Ok((Self { socket, partial: Vec::new(), closed: false, last_event: None }, theirs))
    }

    /// The descriptor that becomes readable when there is a message; `None` after the monitor is gone.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.closed).then(|| self.socket.as_fd())
    }

    /// Sends a command without arguments.
    pub(super) fn send(&mut self, command: &str) -> io::Result<()> {
        self.socket.write_all(format!("{}\n", json!({ "execute": command })).as_bytes())
    }

    /// Reads the new messages, without waiting, and notes why the machine stopped.
    pub(super) fn read(&mut self) -> Vec<Message> {
        let mut buffer = [0; 4096];
        while !self.closed {
            match self.socket.read(&mut buffer) {
                Ok(0) => self.closed = true,
                Ok(n) if self.partial.len() < MOST_LINE => self.partial.extend_from_slice(&buffer[..n]),
                Ok(_) => self.closed = true,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.closed = true,
            }
        }
        let messages = take_lines(&mut self.partial);
        self.last_event = messages.iter().rev().find_map(ending).or(self.last_event.take());
        messages
    }
}

/// Removes the complete lines from `text` and parses them; ignores other text than messages.
fn take_lines(text: &mut Vec<u8>) -> Vec<Message> {
    let end = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let whole: Vec<u8> = text.drain(..end).collect();
    whole.split(|&byte| byte == b'\n').filter_map(parse).collect()
}

fn parse(line: &[u8]) -> Option<Message> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(greeting) = value.get("QMP") {
        let version = &greeting["version"]["qemu"];
        let number = |part: &str| version[part].as_u64().unwrap_or_default();
        return Some(Message::Greeting(format!("{}.{}.{}", number("major"), number("minor"), number("micro"))));
    }
    if let Some(event) = value.get("event") {
        return Some(Message::Event(text(event)?, value.get("data").cloned().unwrap_or_default()));
    }
    match (value.get("return"), value.get("error")) {
        (Some(answer), _) => Some(Message::Return(answer.clone())),
        (_, Some(error)) => Some(Message::Error(text(&error["desc"])?)),
        _ => None,
    }
}

/// Why the machine stopped or was reset: `guest-reset`, `guest-shutdown` or `guest-panic` (`qapi/run-state.json`).
fn ending(message: &Message) -> Option<String> {
    match message {
        Message::Event(name, data) if ["SHUTDOWN", "RESET", "GUEST_PANICKED"].contains(&name.as_str()) => {
            let reason = data["reason"].as_str().map_or_else(String::new, |reason| format!(" ({reason})"));
            Some(format!("{name}{reason}"))
        }
        _ => None,
    }
}

/// The threads of virtual CPUs, in order, from the answer to `query-cpus-fast`.
pub(super) fn vcpu_threads(answer: &Value) -> Option<Vec<i32>> {
    let thread = |cpu: &Value| i32::try_from(cpu.get("thread-id")?.as_i64()?).ok();
    answer.as_array().filter(|all| !all.is_empty())?.iter().map(thread).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_messages(parts: &[&str]) -> (Vec<Message>, Qmp) {
        let (mut ours, mut theirs) = Qmp::pair().expect("a pair");
        let mut messages = Vec::new();
        for part in parts {
            theirs.write_all(part.as_bytes()).expect("written");
            messages.extend(ours.read());
        }
        drop(theirs);
        messages.extend(ours.read());
        (messages, ours)
    }

    #[test]
    fn a_greeting_has_the_version() {
        let greeting = r#"{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": "Debian"}, "capabilities": ["oob"]}}"#;
        let (messages, _) = read_messages(&[&greeting[..30], &greeting[30..], "\r\n"]);
        assert_eq!(messages, [Message::Greeting("10.0.2".to_owned())]);
    }

    #[test]
    fn answers_list_the_threads_of_virtual_cpus() {
        let answer = r#"{"return": [{"cpu-index": 0, "thread-id": 71}, {"cpu-index": 1, "thread-id": 72}]}"#;
        let (messages, _) = read_messages(&["{\"return\": {}}\n", answer, "\n"]);
        let [Message::Return(none), Message::Return(all)] = messages.as_slice() else { panic!("{messages:?}") };
        assert_eq!((vcpu_threads(none), vcpu_threads(all)), (None, Some(vec![71, 72])));
        assert_eq!(vcpu_threads(&json!([])), None);
    }

    #[test]
    fn why_a_machine_stopped_is_kept() {
        let events = [
            "{\"timestamp\": {\"seconds\": 1}, \"event\": \"RESET\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\n",
            "{\"event\": \"STOP\"}\n",
            "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\n",
        ];
        let (messages, qmp) = read_messages(&events);
        assert_eq!((messages.len(), qmp.last_event.as_deref()), (3, Some("SHUTDOWN (guest-reset)")));
        assert!(qmp.fd().is_none(), "the monitor is gone");
    }

    #[test]
    fn other_text_is_ignored_and_a_rejection_is_read() {
        let (messages, _) =
            read_messages(&["nonsense\n[1]\n{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}\n"]);
        assert_eq!(messages, [Message::Error("no".to_owned())]);
    }

    #[test]
    fn an_endless_line_ends_the_conversation() {
        let (mut ours, mut theirs) = Qmp::pair().expect("a pair");
        for _ in 0..20 {
            let _ = theirs.write_all(&[b'x'; 4096]);
            assert_eq!(ours.read(), []);
        }
        assert!(ours.fd().is_none() && ours.partial.len() <= MOST_LINE + 4096);
    }
}

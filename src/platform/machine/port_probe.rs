//! Readiness of a server that does not report it: the harness connects to its port until it answers, and then prints the
//! line for it.

use std::fs::File;
use std::io::Write;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::host::network::inside;
use crate::platform::Endpoint;

/// The pause between two attempts: the most that this adds to the instant of readiness.
const PAUSE: Duration = Duration::from_millis(1);

/// How long one attempt may take: a guest whose network is not up yet does not answer at all.
const PATIENCE: Duration = Duration::from_millis(20);

/// A thread that probes a port until it answers or this is dropped.
#[derive(Debug)]
pub(super) struct PortProbe {
    is_stopped: Arc<AtomicBool>,
}

impl PortProbe {
    /// Probes `endpoint` from now on, and writes `FW ready` to `console` once it answers. Does nothing without an
    /// endpoint or a console.
    pub(super) fn start(endpoint: Option<&Endpoint>, console: Option<OwnedFd>) -> Option<Self> {
        let (endpoint, console) = (endpoint?.clone(), console?);
        let is_stopped = Arc::new(AtomicBool::new(false));
        let probe = Self { is_stopped: Arc::clone(&is_stopped) };
        // Without a thread nothing is printed, and the wait ends at its deadline.
        let _ = thread::Builder::new()
            .name("fw-port-probe".to_owned())
            .spawn(move || report_readiness(&endpoint, console, &is_stopped));
        Some(probe)
    }
}

impl Drop for PortProbe {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }
}

fn report_readiness(endpoint: &Endpoint, console: OwnedFd, is_stopped: &AtomicBool) {
    let probe = || wait_for_answer(endpoint, is_stopped);
    let answered = match &endpoint.netns {
        Some(netns) => inside(netns, probe).unwrap_or(false),
        None => probe(),
    };
    if answered {
        // The guest may be in the middle of a line, hence the first line break. Nobody reads it any more if this fails.
        let _ = File::from(console).write_all(b"\nFW ready\n");
    }
}

fn wait_for_answer(endpoint: &Endpoint, is_stopped: &AtomicBool) -> bool {
    while !is_stopped.load(Ordering::Relaxed) {
        if TcpStream::connect_timeout(&endpoint.address, PATIENCE).is_ok() {
            return true;
        }
        thread::sleep(PAUSE);
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_line_is_printed_when_the_port_answers_and_not_before() {
        let reserved = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = reserved.local_addr().expect("its address");
        drop(reserved);
        let (mut read, write) = std::io::pipe().expect("a pipe");
        let probe = PortProbe::start(Some(&Endpoint { address, netns: None }), Some(write.into()));
        let mut text = String::new();
        let _server = TcpListener::bind(address).expect("it serves");
        read.read_to_string(&mut text).expect("the writer ends");
        assert_eq!(text, "\nFW ready\n");
        drop(probe);
    }

    #[test]
    fn nothing_is_printed_for_a_machine_that_was_ended() {
        let address = "127.0.0.1:1".parse().expect("an address without a listener");
        let (mut read, write) = std::io::pipe().expect("a pipe");
        drop(PortProbe::start(Some(&Endpoint { address, netns: None }), Some(write.into())));
        let mut text = String::new();
        read.read_to_string(&mut text).expect("the writer ends");
        assert_eq!(text, "");
    }
}

//! Readiness of a server that says nothing: its port is tried until it answers, and then the line is said for it.

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

/// How often the port is tried: what this adds to the instant of readiness at the most.
const EVERY: Duration = Duration::from_millis(1);

/// How long one try may take: a guest whose network is not up yet answers nothing at all.
const PATIENCE: Duration = Duration::from_millis(20);

/// Trying a port, which ends when it has answered, or with this.
#[derive(Debug)]
pub(in crate::platform) struct PortProbe {
    ends: Arc<AtomicBool>,
}

impl PortProbe {
    /// Tries the port at `endpoint` from now on, and writes `FW ready` to `console` once it answers. Nothing where one is
    /// missing.
    pub(in crate::platform) fn begin(endpoint: Option<&Endpoint>, console: Option<OwnedFd>) -> Option<Self> {
        let (endpoint, console) = (endpoint?.clone(), console?);
        let ends = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&ends);
        let port_probe = move || {
            let netns = endpoint.netns.clone();
            let answered = || until_answered(&endpoint, &told);
            let answered = netns.map_or_else(|| Ok(answered()), |netns| inside(&netns, answered));
            if answered.unwrap_or(false) {
                // Nobody reads it any more when this fails.
                // The guest may be in the middle of a line.
                let _ = File::from(console).write_all(b"\nFW ready\n");
            }
        };
        // Without a thread nothing is said, and the wait ends at its deadline.
        let _ = thread::Builder::new().name("fw-knock".to_owned()).spawn(port_probe);
        Some(Self { ends })
    }
}

impl Drop for PortProbe {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

fn until_answered(endpoint: &Endpoint, ends: &AtomicBool) -> bool {
    while !ends.load(Ordering::Relaxed) {
        if TcpStream::connect_timeout(&endpoint.address, PATIENCE).is_ok() {
            return true;
        }
        thread::sleep(EVERY);
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_line_is_said_when_the_port_answers_and_not_before() {
        let reserved = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = reserved.local_addr().expect("its address");
        drop(reserved);
        let (mut read, write) = std::io::pipe().expect("a pipe");
        let knocking = PortProbe::begin(Some(&Endpoint { address, netns: None }), Some(write.into()));
        let mut text = String::new();
        let _server = TcpListener::bind(address).expect("it serves");
        read.read_to_string(&mut text).expect("the writer ends");
        assert_eq!(text, "\nFW ready\n");
        drop(knocking);
    }

    #[test]
    fn nothing_is_said_for_one_that_was_ended() {
        let address = "127.0.0.1:1".parse().expect("an address that nobody listens at");
        let (mut read, write) = std::io::pipe().expect("a pipe");
        drop(PortProbe::begin(Some(&Endpoint { address, netns: None }), Some(write.into())));
        let mut text = String::new();
        read.read_to_string(&mut text).expect("the writer ends");
        assert_eq!(text, "");
    }
}

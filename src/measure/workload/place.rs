//! The CPUs and the network namespace of a load generator, and the sockets in that namespace.
//!
//! Both belong to a thread and are inherited by the processes that it starts, so all of this happens in a new thread.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::host::network::inside;
use crate::host::placement::pin_current_thread;
use crate::model::cpuset::CpuSet;

/// Does `work` in a new thread on `cpus` and in the network namespace `netns`; `None` is that of this process.
///
/// # Errors
/// When the thread cannot enter the namespace or be pinned.
pub(super) fn within<T: Send>(netns: Option<&Path>, cpus: &CpuSet, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    let pinned = || {
        pin_current_thread(cpus)?;
        Ok(work())
    };
    let panicked = |_| Err(io::Error::other("its thread panicked"));
    match netns {
        Some(path) => inside(path, pinned)?,
        None => thread::scope(|scope| scope.spawn(pinned).join()).unwrap_or_else(panicked),
    }
}

/// Makes one connection and closes it. A tool may retry forever where nothing listens (`redis-benchmark` 7.0 does).
pub(super) fn reach(address: SocketAddr, patience: Duration) -> io::Result<()> {
    TcpStream::connect_timeout(&address, patience).map(drop)
}

/// The sockets in TIME_WAIT in this thread's network namespace; `None` where the kernel does not report them.
pub(super) fn time_wait() -> Option<u64> {
    time_wait_in(&fs::read_to_string("/proc/thread-self/net/sockstat").ok()?)
}

/// The ports that this thread's network namespace gives to outgoing connections.
pub(super) fn ports() -> Option<u64> {
    ports_in(&fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?)
}

/// `TCP: inuse 1 orphan 0 tw 3 alloc 1 mem 402`
fn time_wait_in(sockstat: &str) -> Option<u64> {
    let mut words = sockstat.lines().find_map(|line| line.strip_prefix("TCP:"))?.split_whitespace();
    words.find(|&word| word == "tw")?;
    words.next()?.parse().ok()
}

/// `32768   60999`, both included.
fn ports_in(range: &str) -> Option<u64> {
    let (first, last) = range.trim().split_once(char::is_whitespace)?;
    let (first, last) = (first.parse::<u64>().ok()?, last.trim().parse::<u64>().ok()?);
    (last + 1).checked_sub(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::placement::usable_cpus;

    #[test]
    fn what_the_kernel_prints_is_read() {
        let sockstat = "sockets: used 32\nTCP: inuse 1 orphan 0 tw 37 alloc 1 mem 402\nUDP: inuse 0 mem 0\n";
        assert_eq!(time_wait_in(sockstat), Some(37));
        assert_eq!(time_wait_in("TCP: inuse 1 orphan 0 tw"), None);
        assert_eq!(time_wait_in("UDP: inuse 1 tw 1"), None);
        assert_eq!(ports_in("32768\t60999\n"), Some(28232));
        assert_eq!(ports_in("32768"), None);
        assert!(time_wait().is_some() && ports().is_some());
    }

    #[test]
    fn a_namespace_that_is_not_there_is_named() {
        let cpus = usable_cpus().unwrap();
        let error = within(Some(Path::new("/no/such/netns")), &cpus, || ()).unwrap_err().to_string();
        assert!(error.starts_with("failed to enter the network namespace /no/such/netns: "), "{error}");
    }

    #[test]
    fn work_is_done_on_the_cpus_it_was_given_and_nothing_else_moves() {
        let all = usable_cpus().unwrap();
        let one = CpuSet::one(all.iter().last().unwrap());
        assert_eq!(within(None, &one, usable_cpus).unwrap().unwrap(), one);
        assert_eq!(usable_cpus().unwrap(), all);
    }
}

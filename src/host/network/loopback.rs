//! Addresses on the host's loopback, for servers that are bare processes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::process::id;
use std::sync::atomic::{AtomicU32, Ordering};

use super::NetworkError;
use crate::host::error::failed_to;

/// Added to a server's port. The sum needs no privileges and is below the ports that the kernel assigns to clients
/// (`ip_unprivileged_port_start` 1024 and `ip_local_port_range` from 32768, `ip-sysctl.rst`).
const PORT_BASE: u16 = 20_000;

/// The first address, far from the few addresses of 127.0.0.0/8 that services use.
const FIRST: u32 = u32::from_be_bytes([127, 16, 0, 1]);

/// The bits of an address's number. The last address is 127.32.0.0.
const BITS: u32 = 20;

/// The most addresses in a row to try.
const TRIES: u32 = 1_000;

/// How many addresses this process has tried.
static TRIED: AtomicU32 = AtomicU32::new(0);

/// Finds a free address of 127.0.0.0/8 for a server whose usual port is `port`. The returned port is higher by `PORT_BASE`.
///
/// Nothing reserves the address before the server listens. Therefore no address is returned twice in this process, and each
/// process starts its search far from others.
///
/// # Errors
/// When a thousand addresses in a row are busy, or the kernel refuses to listen.
pub fn on_loopback(port: u16) -> io::Result<SocketAddr> {
    let begin = beginning(id());
    let candidates = (0..TRIES).map(|_| endpoint(begin.wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed)), port));
    first_free(candidates)
}

fn first_free(candidates: impl Iterator<Item = SocketAddrV4>) -> io::Result<SocketAddr> {
    for candidate in candidates {
        match TcpListener::bind(candidate) {
            Ok(_) => return Ok(candidate.into()),
            Err(e) if e.kind() == io::ErrorKind::AddrInUse => {}
            Err(e) => return Err(failed_to(format!("listen on {candidate}"), e)),
        }
    }
    Err(NetworkError::LoopbackFull.into())
}

/// The number at which process `pid` starts. Consecutive pids start far apart (Fibonacci hashing; Knuth, volume 3, 6.4).
fn beginning(pid: u32) -> u32 {
    pid.wrapping_mul(0x9e37_79b1) >> (u32::BITS - BITS)
}

/// The address with that number, for a server on `port`.
fn endpoint(number: u32, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from_bits(FIRST + number % (1 << BITS)), PORT_BASE + port % PORT_BASE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_addresses_of_the_loopback() {
        assert_eq!(endpoint(0, 80).to_string(), "127.16.0.1:20080");
        assert_eq!(endpoint((1 << BITS) - 1, 6379).to_string(), "127.32.0.0:26379");
        assert_eq!(endpoint(1 << BITS, 80), endpoint(0, 80));
        assert!((0..=u16::MAX).all(|port| (20_000..40_000).contains(&endpoint(0, port).port())));
    }

    #[test]
    fn processes_begin_far_from_each_other() {
        let mut begins: Vec<_> = (1..=100).map(beginning).collect();
        begins.sort_unstable();
        assert!(begins.windows(2).all(|pair| pair[1] - pair[0] > 1_000), "{begins:?}");
    }

    #[test]
    fn a_busy_address_is_skipped() {
        let busy = TcpListener::bind(on_loopback(7).expect("a free address")).expect("it is free");
        let SocketAddr::V4(at) = busy.local_addr().expect("its address") else { panic!("it is an IPv4 address") };
        let next = endpoint(u32::from(*at.ip()) - FIRST + 1, 7);
        assert_eq!(first_free([at, next].into_iter()).expect("the other one"), next.into());
        assert_eq!(first_free([at].into_iter()).expect_err("it is busy").kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn no_address_is_returned_twice() {
        assert_ne!(on_loopback(7).expect("an address"), on_loopback(7).expect("an address"));
    }
}

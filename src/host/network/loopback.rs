//! Addresses of the host's own loopback, for servers that are bare processes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::process::id;
use std::sync::atomic::{AtomicU32, Ordering};

/// Added to a server's port: the result may be used without privileges, and lies below those that the kernel gives to
/// clients (`ip_unprivileged_port_start` 1024 and `ip_local_port_range` from 32768, `ip-sysctl.rst`).
const PORT_BASE: u16 = 20_000;

/// The first address: away from 127.0.0.1 and the few others of 127.0.0.0/8 that services use.
const FIRST: u32 = u32::from_be_bytes([127, 16, 0, 1]);

/// The bits of the numbers of addresses: up to 127.32.0.0.
const BITS: u32 = 20;

/// How many addresses in a row may be busy before that is a failure.
const TRIES: u32 = 1_000;

/// How many addresses this process has tried.
static TRIED: AtomicU32 = AtomicU32::new(0);

/// An address of 127.0.0.0/8 on which nobody listens at a port for `port`, and which this process has given to nobody
/// else yet. Nothing holds it until its server does, so each process begins far from where others do.
///
/// # Errors
/// When a thousand in a row are busy, or a server may not listen here at all.
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
            Err(e) => return Err(io::Error::new(e.kind(), format!("listen on {candidate}: {e}"))),
        }
    }
    Err(io::Error::new(
        io::ErrorKind::AddrInUse,
        "no address of the loopback is free: end the servers on 127.16.0.0/12",
    ))
}

/// The number with which process `pid` begins: neighbours are spread over all (Fibonacci hashing; Knuth, volume 3, 6.4).
fn beginning(pid: u32) -> u32 {
    pid.wrapping_mul(0x9e37_79b1) >> (u32::BITS - BITS)
}

/// Where the instance of that number answers for `port`.
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
    fn a_busy_address_is_passed_over() {
        let busy = TcpListener::bind(on_loopback(7).expect("a free address")).expect("it is free");
        let SocketAddr::V4(at) = busy.local_addr().expect("its address") else { panic!("it is of version 4") };
        let next = endpoint(u32::from(*at.ip()) - FIRST + 1, 7);
        assert_eq!(first_free([at, next].into_iter()).expect("the other one"), next.into());
        assert_eq!(first_free([at].into_iter()).expect_err("it is busy").kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn nobody_is_given_anothers_address() {
        assert_ne!(on_loopback(7).expect("an address"), on_loopback(7).expect("an address"));
    }
}

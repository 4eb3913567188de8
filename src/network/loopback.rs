//! Addresses of the host's own loopback, for servers that are bare processes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Added to a server's port: the result may be used without privileges, and lies below those that the kernel gives to
/// clients (`ip_unprivileged_port_start` 1024 and `ip_local_port_range` from 32768, `ip-sysctl.rst`).
const PORT_BASE: u16 = 20_000;

/// The first address: away from 127.0.0.1 and the few others of 127.0.0.0/8 that services use.
const FIRST: u32 = u32::from_be_bytes([127, 18, 0, 1]);

/// So many follow it.
const ADDRESSES: u32 = 1 << 17;

/// How many addresses in a row may be busy before that is a failure.
const TRIES: u32 = 1_000;

/// Gives each instance an address of its own.
#[derive(Debug, Default)]
pub struct Loopback(AtomicU32);

impl Loopback {
    /// An address of 127.0.0.0/8 on which nobody listens at a port for `port`. Nothing holds it until its server does.
    ///
    /// # Errors
    /// When a thousand in a row are busy, or a server may not listen here at all.
    pub fn next(&self, port: u16) -> io::Result<SocketAddr> {
        let mut last = None;
        for _ in 0..TRIES {
            let candidate = endpoint(self.0.fetch_add(1, Ordering::Relaxed), port);
            match TcpListener::bind(candidate) {
                Ok(_) => return Ok(candidate.into()),
                Err(e) if e.kind() == io::ErrorKind::AddrInUse => last = Some(e),
                Err(e) => return Err(io::Error::new(e.kind(), format!("listen on {candidate}: {e}"))),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::other("no address of the loopback is free")))
    }
}

/// Where the instance of that number answers for `port`.
fn endpoint(number: u32, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from_bits(FIRST + number % ADDRESSES), PORT_BASE + port % PORT_BASE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_addresses_of_the_loopback() {
        assert_eq!(endpoint(0, 80).to_string(), "127.18.0.1:20080");
        assert_eq!(endpoint(ADDRESSES - 1, 6379).to_string(), "127.20.0.0:26379");
        assert_eq!(endpoint(ADDRESSES, 80), endpoint(0, 80));
        assert!((0..=u16::MAX).all(|port| (20_000..40_000).contains(&endpoint(0, port).port())));
    }

    #[test]
    fn a_busy_address_is_passed_over() {
        let loopback = Loopback::default();
        let first = loopback.next(7).expect("a free address");
        loopback.0.store(0, Ordering::Relaxed);
        let busy = TcpListener::bind(first).expect("it is free");
        let next = loopback.next(7).expect("another one");
        assert_ne!(next, busy.local_addr().expect("its address"));
    }
}

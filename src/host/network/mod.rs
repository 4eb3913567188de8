//! The network of a run: one network namespace with bridges. Containers connect to them by a virtual Ethernet pair and a
//! namespace of their own, virtual machines by a tap.
//!
//! Invariants: no link, address or route is ever created in the host's own network namespace, and no thread of the harness
//! stays in another one. The namespaces have no names. Only open files of the harness and the processes in them keep them
//! alive, so the kernel removes them even after a crash, and no ledger has to list them. A name would also need a mount,
//! which every later container would have to copy.
//!
//! All neighbor entries are permanent and set in advance, for both ends and the bridge. No first packet waits for ARP or
//! floods a thousand ports, and the kernel neither counts nor collects the entries (`gc_thresh3` in `arp(7)`; permanent
//! entries are exempt since Linux 5.0).

mod address;
mod delay;
mod loopback;
mod namespace;
mod netlink;
mod request;
mod tap;

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use address::{BRIDGES, Slot};
use namespace::Namespace;
use netlink::Socket;

pub use delay::can_delay;
pub use loopback::on_loopback;
pub use namespace::{enter, inside};
pub use tap::{Offload, Tap};

use crate::host::limits::BRIDGE_PORTS;
use crate::model::units::Nanos;

/// The network of a run. It is created when the first instance is attached, and removed when this and all attachments are
/// dropped.
#[derive(Debug)]
pub struct RunNetwork {
    ports: u32,
    links: Mutex<Option<Links>>,
}

/// Why the network cannot serve an instance.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// All bridges are full.
    #[error("all addresses of 198.18.0.0/15 are in use; run fewer instances")]
    BridgesFull,
    /// No loopback address is free.
    #[error("no loopback address is free; end the servers on 127.16.0.0/12")]
    LoopbackFull,
    /// The thread that worked in another namespace panicked.
    #[error("the thread in the network namespace panicked")]
    ThreadPanicked,
    /// The kernel's reply is neither an acknowledgement nor an error.
    #[error("unexpected reply from rtnetlink: {0}")]
    UnexpectedReply(String),
}

impl From<NetworkError> for io::Error {
    fn from(error: NetworkError) -> Self {
        let kind = match error {
            NetworkError::BridgesFull | NetworkError::LoopbackFull => io::ErrorKind::AddrInUse,
            NetworkError::ThreadPanicked | NetworkError::UnexpectedReply(_) => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// The parts of the network that exist once an instance has been attached.
#[derive(Debug)]
struct Links {
    namespace: Arc<Namespace>,
    socket: Socket,
    bridges: u32,
    /// The slot that has been free for longest comes first, so that a new instance gets few packets meant for an old one.
    free: VecDeque<Slot>,
}

/// An instance's connection to the network. Dropping it removes the connection.
#[derive(Debug)]
pub struct Attachment {
    slot: Slot,
    namespace: Namespace,
    /// `None` once it is detached.
    network: Option<Arc<RunNetwork>>,
}

impl Default for RunNetwork {
    fn default() -> Self {
        Self::with_ports(BRIDGE_PORTS as u32)
    }
}

impl RunNetwork {
    /// A network with at most `ports` instances per bridge, up to [`BRIDGE_PORTS`].
    pub fn with_ports(ports: u32) -> Self {
        Self { ports: ports.clamp(1, BRIDGE_PORTS as u32), links: Mutex::new(None) }
    }

    /// Creates a network namespace for one instance and connects it to a bridge of the run. Its loopback is up, its `eth0`
    /// has an address, and a client in the run's namespace can reach it.
    ///
    /// # Errors
    /// Names the step that failed; nothing remains then. Requires `CAP_SYS_ADMIN` and `CAP_NET_ADMIN`.
    pub fn attach(self: &Arc<Self>) -> io::Result<Attachment> {
        let (namespace, socket) = Namespace::create()?;
        let slot = self.plug(&namespace)?;
        let attachment = Attachment { slot, namespace, network: Some(Arc::clone(self)) };
        socket.execute(request::configure_instance(slot))?;
        Ok(attachment)
    }

    /// The namespace from which all attached instances can be reached; `None` before the first. The path is valid as long
    /// as this network lives.
    pub fn netns(&self) -> Option<PathBuf> {
        self.lock().as_ref().map(|links| links.namespace.path())
    }

    /// Takes a free slot. Also returns the run's namespace.
    fn take(&self) -> io::Result<(Slot, Arc<Namespace>)> {
        let mut links = self.lock();
        let links = Links::ensure(&mut links)?;
        Ok((links.take(self.ports)?, Arc::clone(&links.namespace)))
    }

    /// Frees the slot of a link that the kernel has already removed.
    fn release(&self, slot: Slot) -> io::Result<()> {
        let mut links = self.lock();
        let Some(links) = &mut *links else { return Ok(()) };
        links.free.push_back(slot);
        links.socket.execute(request::forget(slot))
    }

    /// Connects `namespace` to a bridge.
    fn plug(&self, namespace: &Namespace) -> io::Result<Slot> {
        let mut links = self.lock();
        let links = Links::ensure(&mut links)?;
        let slot = links.take(self.ports)?;
        let plugged = links.socket.execute(request::plug(slot, namespace));
        match plugged {
            Ok(()) => Ok(slot),
            Err(e) => {
                // The first error is the one to report, so that of the clean-up is dropped.
                let _ = links.socket.execute(request::unplug(slot));
                links.free.push_back(slot);
                Err(e)
            }
        }
    }

    /// Removes the link of `slot` and frees the slot. The kernel needs tens of milliseconds for that (an RCU grace period), so
    /// this uses another socket and does not hold the lock meanwhile.
    fn unplug(&self, slot: Slot) -> io::Result<()> {
        let Some(namespace) = self.lock().as_ref().map(|links| Arc::clone(&links.namespace)) else { return Ok(()) };
        namespace.socket()?.execute(request::unplug(slot))?;
        if let Some(links) = &mut *self.lock() {
            links.free.push_back(slot);
        }
        Ok(())
    }

    /// Delays packets to the instance at `slot`.
    fn delay(&self, slot: Slot, span: Nanos) -> io::Result<()> {
        self.lock().as_ref().map_or(Ok(()), |links| links.socket.execute(delay::on_port(slot, span)))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Links>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Links {
    fn ensure(links: &mut Option<Self>) -> io::Result<&mut Self> {
        match links {
            Some(links) => Ok(links),
            none => Ok(none.insert(Self::new()?)),
        }
    }

    fn new() -> io::Result<Self> {
        let (namespace, socket) = Namespace::create()?;
        socket.execute(request::configure_run())?;
        Ok(Self { namespace: Arc::new(namespace), socket, bridges: 0, free: VecDeque::new() })
    }

    /// Takes a free slot, on a new bridge if all others are full.
    fn take(&mut self, ports: u32) -> io::Result<Slot> {
        if let Some(slot) = self.free.pop_front() {
            return Ok(slot);
        }
        if self.bridges == BRIDGES {
            return Err(NetworkError::BridgesFull.into());
        }
        let bridge = self.bridges;
        self.socket.execute(request::bridge(bridge))?;
        self.bridges += 1;
        self.free.extend((1..ports).map(|port| Slot { bridge, port }));
        Ok(Slot { bridge, port: 0 })
    }
}

impl Attachment {
    /// The instance's network namespace, for its processes to join. The path is valid as long as this attachment lives.
    pub fn netns(&self) -> PathBuf {
        self.namespace.path()
    }

    /// The instance's address, as seen from [`RunNetwork::netns`].
    pub fn address(&self) -> Ipv4Addr {
        self.slot.address()
    }

    /// Delays every packet to the instance by `span`: a fire drill.
    ///
    /// # Errors
    /// As [`can_delay`].
    pub fn delay(&self, span: Nanos) -> io::Result<()> {
        self.network.as_ref().map_or(Ok(()), |network| network.delay(self.slot, span))
    }

    /// Removes the virtual Ethernet pair and releases the namespace.
    ///
    /// # Errors
    /// When the kernel refuses; the pair then remains until the end of the run.
    pub fn detach(mut self) -> io::Result<()> {
        self.unplug()
    }

    fn unplug(&mut self) -> io::Result<()> {
        self.network.take().map_or(Ok(()), |network| network.unplug(self.slot))
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // After an error, the end of the run's namespace removes the pair.
        let _ = self.unplug();
    }
}

#[cfg(test)]
mod tests;

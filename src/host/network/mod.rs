//! One network namespace a run: bridges in it, and for each container a namespace of its own with a virtual pair, for
//! each virtual machine a tap.
//!
//! Invariants: no link, address or route is ever made in the host's own network namespace, and no thread of the harness
//! stays in another one. A namespace here has no name: open files of the harness and the processes in it are all that
//! keep it, so when those end, by whatever end, the kernel removes it with everything in it, and a ledger has nothing
//! to find. It also means that no mount is made, which every later container would have to copy.
//!
//! Every neighbour is known before it is asked for, on both sides and on the bridge: no first packet waits for an answer
//! to ARP or floods a thousand ports, and the kernel neither counts nor collects such entries (`gc_thresh3`, `arp(7)`;
//! those that are permanent are exempt since Linux 5.0).

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

/// The network of a run. Nothing is made before the first instance is attached; dropping it, and all that is attached,
/// removes everything.
#[derive(Debug)]
pub struct RunNetwork {
    ports: u32,
    made: Mutex<Option<Links>>,
}

/// What there is once the first instance was attached.
#[derive(Debug)]
struct Links {
    namespace: Arc<Namespace>,
    socket: Socket,
    bridges: u32,
    /// The longest unused comes first, so that a new instance hardly meets what a client still sends to an old one.
    free: VecDeque<Slot>,
}

/// An instance's place in the network. Dropping it removes it.
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
    /// A network whose bridges take `ports` instances each, at most [`BRIDGE_PORTS`].
    pub fn with_ports(ports: u32) -> Self {
        Self { ports: ports.clamp(1, BRIDGE_PORTS as u32), made: Mutex::new(None) }
    }

    /// A new network namespace for one instance, connected to a bridge of the run: its own loopback is up, its `eth0`
    /// has an address, and a client in the run's namespace reaches it.
    ///
    /// # Errors
    /// Names the step that failed; nothing of it is left then. Needs `CAP_SYS_ADMIN` and `CAP_NET_ADMIN`.
    pub fn attach(self: &Arc<Self>) -> io::Result<Attachment> {
        let (namespace, socket) = Namespace::make()?;
        let slot = self.plug(&namespace)?;
        let attachment = Attachment { slot, namespace, network: Some(Arc::clone(self)) };
        socket.ask(request::furnish(slot))?;
        Ok(attachment)
    }

    /// The namespace from which every attached instance is reached; `None` before the first. The path is good as long
    /// as this network lives.
    pub fn netns(&self) -> Option<PathBuf> {
        self.lock().as_ref().map(|made| made.namespace.path())
    }

    /// A free place in the network, and the namespace that it is in.
    fn take(&self) -> io::Result<(Slot, Arc<Namespace>)> {
        let mut made = self.lock();
        let made = Links::ensure(&mut made)?;
        Ok((made.take(self.ports)?, Arc::clone(&made.namespace)))
    }

    /// Gives back the place of a link that is gone.
    fn release(&self, slot: Slot) -> io::Result<()> {
        let mut made = self.lock();
        let Some(made) = &mut *made else { return Ok(()) };
        made.free.push_back(slot);
        made.socket.ask(request::forget(slot))
    }

    /// Connects `namespace` to a bridge.
    fn plug(&self, namespace: &Namespace) -> io::Result<Slot> {
        let mut made = self.lock();
        let made = Links::ensure(&mut made)?;
        let slot = made.take(self.ports)?;
        let plugged = made.socket.ask(request::plug(slot, namespace));
        match plugged {
            Ok(()) => Ok(slot),
            Err(e) => {
                // What there is of it goes; why it is incomplete is what matters.
                let _ = made.socket.ask(request::unplug(slot));
                made.free.push_back(slot);
                Err(e)
            }
        }
    }

    /// Removes the link of `slot`, which can then be taken again. The kernel waits for a grace period of RCU, tens of
    /// milliseconds, so nobody else is kept waiting meanwhile.
    fn unplug(&self, slot: Slot) -> io::Result<()> {
        let Some(namespace) = self.lock().as_ref().map(|made| Arc::clone(&made.namespace)) else { return Ok(()) };
        namespace.socket()?.ask(request::unplug(slot))?;
        if let Some(made) = &mut *self.lock() {
            made.free.push_back(slot);
        }
        Ok(())
    }

    /// Delays what goes to the instance at `slot`.
    fn delay(&self, slot: Slot, span: Nanos) -> io::Result<()> {
        self.lock().as_ref().map_or(Ok(()), |made| made.socket.ask(delay::on_port(slot, span)))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Links>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Links {
    fn ensure(made: &mut Option<Self>) -> io::Result<&mut Self> {
        match made {
            Some(made) => Ok(made),
            none => Ok(none.insert(Self::new()?)),
        }
    }

    fn new() -> io::Result<Self> {
        let (namespace, socket) = Namespace::make()?;
        socket.ask(request::found())?;
        Ok(Self { namespace: Arc::new(namespace), socket, bridges: 0, free: VecDeque::new() })
    }

    /// A free slot, on a new bridge if the others are full.
    fn take(&mut self, ports: u32) -> io::Result<Slot> {
        if let Some(slot) = self.free.pop_front() {
            return Ok(slot);
        }
        if self.bridges == BRIDGES {
            return Err(io::Error::other("every address of 198.18.0.0/15 is used: run fewer instances"));
        }
        let bridge = self.bridges;
        self.socket.ask(request::bridge(bridge))?;
        self.bridges += 1;
        self.free.extend((1..ports).map(|port| Slot { bridge, port }));
        Ok(Slot { bridge, port: 0 })
    }
}

impl Attachment {
    /// The instance's network namespace, to be joined by its processes. The path is good as long as this attachment
    /// lives.
    pub fn netns(&self) -> PathBuf {
        self.namespace.path()
    }

    /// The instance's address, reached from [`RunNetwork::netns`].
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

    /// Removes the pair and lets the namespace go.
    ///
    /// # Errors
    /// When the kernel refuses, which leaves the pair until the end of the run.
    pub fn detach(mut self) -> io::Result<()> {
        self.unplug()
    }

    fn unplug(&mut self) -> io::Result<()> {
        self.network.take().map_or(Ok(()), |network| network.unplug(self.slot))
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        // The namespace of the run ends with the run at the latest, and this with it.
        let _ = self.unplug();
    }
}

#[cfg(test)]
mod tests;

//! The connection of a virtual machine: a tap on a bridge of the run.
//!
//! Most monitors get the tap as an open file and stay in the host's own network namespace. The kernel removes such a tap
//! when its last descriptor is closed, so also when the monitor crashes. A monitor that can only open a tap by name runs in
//! the run's namespace. Its tap is persistent: it remains until it is detached or the namespace ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use super::address::{Mac, PREFIX, Slot, gateway, gateway_mac};
use super::{RunNetwork, namespace, request};
use crate::host::error::failed_to;
use crate::model::units::Nanos;

/// The device that creates taps (`Documentation/networking/tuntap.rst` of the kernel).
const DEVICE: &str = "/dev/net/tun";

/// Whether frames have a header by which host and guest offload checksums and segmentation to each other
/// (`virtio_net_hdr`). The guest's driver must support it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offload {
    /// They have it.
    Header,
    /// They do not.
    Plain,
}

/// A machine's connection to the network. Dropping it frees the slot; the link ends when the machine has ended, too.
#[derive(Debug)]
pub struct Tap {
    slot: Slot,
    /// `None` once it was handed over.
    file: Option<File>,
    /// It exists even if no process has it open, and must be removed.
    is_persistent: bool,
    /// `None` once it is detached.
    network: Option<Arc<RunNetwork>>,
}

impl RunNetwork {
    /// Creates a tap on a bridge of the run. A client in the run's namespace can reach the machine that uses it.
    ///
    /// # Errors
    /// Names the step that failed; nothing remains then. Requires `CAP_SYS_ADMIN`, `CAP_NET_ADMIN` and `/dev/net/tun`.
    pub fn attach_tap(self: &Arc<Self>, offload: Offload) -> io::Result<Tap> {
        let (slot, namespace) = self.take()?;
        // From here on, dropping the tap frees the slot.
        let mut tap = Tap { slot, file: None, is_persistent: false, network: Some(Arc::clone(self)) };
        let opened = namespace::within(&namespace.0, || open(slot, offload))?;
        tap.file = Some(opened.map_err(|e| failed_to(format!("create the tap {}", slot.port_name()), e))?);
        namespace.socket()?.execute(request::plug_tap(slot))?;
        Ok(tap)
    }

    /// Creates a persistent tap for a monitor in the run's namespace ([`RunNetwork::netns`]), which opens it by name.
    ///
    /// # Errors
    /// As [`RunNetwork::attach_tap`].
    pub fn attach_persistent_tap(self: &Arc<Self>) -> io::Result<Tap> {
        // The monitor sets the offload anew when it opens the tap.
        let mut tap = self.attach_tap(Offload::Header)?;
        tap.persist().map_err(|e| failed_to(format!("make the tap {} persistent", tap.name()), e))?;
        Ok(tap)
    }
}

impl Tap {
    /// The descriptor for the machine's monitor.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }

    /// Closes this process's descriptor once the monitor has its own. The link then ends with the monitor.
    pub fn hand_over(&mut self) {
        self.file = None;
    }

    /// Delays every packet to the machine by `span`: a fire drill.
    ///
    /// # Errors
    /// As [`super::can_delay`].
    pub fn delay(&self, span: Nanos) -> io::Result<()> {
        self.network.as_ref().map_or(Ok(()), |network| network.delay(self.slot, span))
    }

    /// Its name in the run's namespace.
    pub fn name(&self) -> String {
        self.slot.port_name()
    }

    /// Makes it exist without an open descriptor (`TUNSETPERSIST`), and closes this process's descriptor.
    fn persist(&mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        // SAFETY: the request takes a plain number, and the descriptor is one of the tun driver.
        if unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETPERSIST, 1) } != 0 {
            return Err(io::Error::last_os_error());
        }
        self.is_persistent = true;
        Ok(())
    }

    /// The hardware address that the guest's network card must have, as in the bridge's forwarding entry.
    pub fn mac(&self) -> Mac {
        self.slot.mac()
    }

    /// The guest's address.
    pub fn address(&self) -> Ipv4Addr {
        self.slot.address()
    }

    /// The prefix length of that address.
    pub fn prefix(&self) -> u8 {
        PREFIX
    }

    /// The bridge's addresses, with which the guest communicates.
    pub fn gateway(&self) -> (Ipv4Addr, Mac) {
        (gateway(self.slot.bridge), gateway_mac(self.slot.bridge))
    }

    /// Frees its slot. Call this after the machine has ended.
    ///
    /// # Errors
    /// When the kernel refuses; the entries then remain until the end of the run.
    pub fn detach(mut self) -> io::Result<()> {
        self.unplug()
    }

    fn unplug(&mut self) -> io::Result<()> {
        self.file = None;
        self.network.take().map_or(Ok(()), |network| match self.is_persistent {
            true => network.unplug(self.slot),
            false => network.release(self.slot),
        })
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // After an error, the end of the run's namespace removes the link.
        let _ = self.unplug();
    }
}

/// Opens a tap with the name and number of `slot` in the calling thread's network namespace.
fn open(slot: Slot, offload: Offload) -> io::Result<File> {
    let device = OpenOptions::new().read(true).write(true).open(DEVICE);
    let device = device.map_err(|e| failed_to(format!("open {DEVICE}"), e))?;
    let request = interface(slot, offload);
    let index = slot.port_index() as libc::c_int;
    // SAFETY: the descriptor is one of the tun driver, and both requests only read variables that live (`if_tun.h`).
    let is_open = unsafe {
        libc::ioctl(device.as_raw_fd(), libc::TUNSETIFINDEX, &raw const index) == 0
            && libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw const request) == 0
    };
    if is_open { Ok(device) } else { Err(io::Error::last_os_error()) }
}

/// The request for the tap of `slot`. The tun driver creates the tap unless it exists.
pub(super) fn interface(slot: Slot, offload: Offload) -> libc::ifreq {
    // SAFETY: the struct has only integers and bytes, for which zero is valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(slot.port_name().bytes()) {
        *to = from as libc::c_char;
    }
    let header = if offload == Offload::Header { libc::IFF_VNET_HDR } else { 0 };
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | header) as libc::c_short;
    request
}

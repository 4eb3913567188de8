//! The port of a virtual machine: a tap on a bridge of the run.
//!
//! Most monitors get it as an open file and stay in the host's own network namespace: it lives exactly as long as somebody
//! has it open, so that the kernel removes it when the monitor ends, by whatever end. One that only opens a tap by its name
//! is started in the run's namespace, and has one that stays until it is detached, or the namespace ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use super::address::{Mac, PREFIX, Slot, gateway, gateway_mac};
use super::{RunNetwork, namespace, request};
use crate::model::units::Nanos;

/// Where taps come from (`Documentation/networking/tuntap.rst` of the kernel).
const DEVICE: &str = "/dev/net/tun";

/// Whether frames carry a header that lets host and guest leave sums and segments to each other (`virtio_net_hdr`). A
/// guest's driver has to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offload {
    /// They do.
    Header,
    /// They do not.
    Plain,
}

/// A machine's place in the network. Dropping it gives the place back; the link goes when the machine has ended, too.
#[derive(Debug)]
pub struct Tap {
    slot: Slot,
    /// `None` once it was handed over.
    file: Option<File>,
    /// It is there without anybody who has it open, and has to be removed.
    is_lasting: bool,
    /// `None` once it is detached.
    network: Option<Arc<RunNetwork>>,
}

impl RunNetwork {
    /// A new tap on a bridge of the run, which a client in the run's namespace reaches once a machine has it.
    ///
    /// # Errors
    /// Names the step that failed; nothing of it is left then. Needs `CAP_SYS_ADMIN`, `CAP_NET_ADMIN` and `/dev/net/tun`.
    pub fn attach_tap(self: &Arc<Self>, offload: Offload) -> io::Result<Tap> {
        let (slot, namespace) = self.take()?;
        // From here on its drop gives the slot back.
        let mut tap = Tap { slot, file: None, is_lasting: false, network: Some(Arc::clone(self)) };
        let made = namespace::within(&namespace.0, || open(slot, offload))?;
        tap.file = Some(made.map_err(|e| io::Error::new(e.kind(), format!("make the tap {}: {e}", slot.port_name())))?);
        namespace.socket()?.ask(request::plug_tap(slot))?;
        Ok(tap)
    }

    /// The same, for a monitor in the run's namespace ([`RunNetwork::netns`]) that opens it by its name: it stays until it is
    /// detached.
    ///
    /// # Errors
    /// As [`RunNetwork::attach_tap`].
    pub fn attach_lasting_tap(self: &Arc<Self>) -> io::Result<Tap> {
        // Whoever opens it says anew what its frames carry.
        let mut tap = self.attach_tap(Offload::Header)?;
        tap.last().map_err(|e| io::Error::new(e.kind(), format!("keep the tap {}: {e}", tap.name())))?;
        Ok(tap)
    }
}

impl Tap {
    /// What the machine's monitor is to have open.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }

    /// Closes this process's own copy, once the monitor has one: from now on the link is gone when that has ended.
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

    /// Keeps it without anybody who has it open (`TUNSETPERSIST`), and closes it.
    fn last(&mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        // SAFETY: a request of a plain number on a descriptor of the tun driver.
        if unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETPERSIST, 1) } != 0 {
            return Err(io::Error::last_os_error());
        }
        self.is_lasting = true;
        Ok(())
    }

    /// The hardware address that the guest's card has to have: the bridge knows where it is.
    pub fn mac(&self) -> Mac {
        self.slot.mac()
    }

    /// The guest's address.
    pub fn address(&self) -> Ipv4Addr {
        self.slot.address()
    }

    /// The bits of the network in that address.
    pub fn prefix(&self) -> u8 {
        PREFIX
    }

    /// Who asks the guest, and answers it.
    pub fn gateway(&self) -> (Ipv4Addr, Mac) {
        (gateway(self.slot.bridge), gateway_mac(self.slot.bridge))
    }

    /// Gives its place back, once the machine has ended.
    ///
    /// # Errors
    /// When the kernel refuses to forget it, which it does at the end of the run.
    pub fn detach(mut self) -> io::Result<()> {
        self.unplug()
    }

    fn unplug(&mut self) -> io::Result<()> {
        self.file = None;
        self.network.take().map_or(Ok(()), |network| match self.is_lasting {
            true => network.unplug(self.slot),
            false => network.release(self.slot),
        })
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        // The namespace of the run ends with the run at the latest, and this with it.
        let _ = self.unplug();
    }
}

/// A tap in the calling thread's network namespace, with the name and the number of its slot.
fn open(slot: Slot, offload: Offload) -> io::Result<File> {
    let device = OpenOptions::new().read(true).write(true).open(DEVICE);
    let device = device.map_err(|e| io::Error::new(e.kind(), format!("open {DEVICE}: {e}")))?;
    let request = interface(slot, offload);
    let index = slot.port_index() as libc::c_int;
    // SAFETY: both requests are made on a descriptor of the tun driver and read memory that lives (`if_tun.h`).
    let made = unsafe {
        libc::ioctl(device.as_raw_fd(), libc::TUNSETIFINDEX, &raw const index) == 0
            && libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw const request) == 0
    };
    if made { Ok(device) } else { Err(io::Error::last_os_error()) }
}

/// What the tun driver is asked for: the tap of that slot's name, made where it is not there.
pub(super) fn interface(slot: Slot, offload: Offload) -> libc::ifreq {
    // SAFETY: a request of plain numbers and bytes, for which all zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(slot.port_name().bytes()) {
        *to = from as libc::c_char;
    }
    let header = if offload == Offload::Header { libc::IFF_VNET_HDR } else { 0 };
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | header) as libc::c_short;
    request
}

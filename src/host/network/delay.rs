//! Delays packets to an instance by a queue of the kernel's traffic control on its port: `netem` (`tc-netem(8)`).

use std::io;

use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage};

use super::address::{LOOPBACK_INDEX, Slot};
use super::namespace::Namespace;
use super::netlink::NetlinkRequest;
use crate::model::units::Nanos;

/// The kind of queue.
const NETEM: &str = "netem";

/// The attribute with the options of a queue (`TCA_OPTIONS` in `linux/rtnetlink.h`).
const OPTIONS: u16 = 2;

/// The option of netem with a delay in nanoseconds (`TCA_NETEM_LATENCY64` in `linux/pkt_sched.h`).
const LATENCY64: u16 = 10;

/// The most packets in the queue: more than arrive within a delay of a millisecond.
const PACKETS: u32 = 1 << 16;

/// The kernel's older unit of time for queues, in nanoseconds (`PSCHED_SHIFT` in `net/pkt_sched.h`).
const TICK: u64 = 64;

/// Checks that this kernel can delay packets, by a delay on the loopback of a temporary network namespace.
///
/// # Errors
/// When the kernel cannot, or this user may not. Without `sch_netem` the kind is [`io::ErrorKind::NotFound`].
pub fn can_delay() -> io::Result<()> {
    let (_namespace, socket) = Namespace::create()?;
    socket.execute(vec![queue("the loopback", LOOPBACK_INDEX, NETEM, options(Nanos::MILLI))])
}

/// Delays every packet to the instance at `slot`. To be executed in the run's namespace.
pub(super) fn on_port(slot: Slot, span: Nanos) -> Vec<NetlinkRequest> {
    vec![queue(&slot.port_name(), slot.port_index(), NETEM, options(span))]
}

/// Replaces the queue of a link by one of that kind.
pub(super) fn queue(link: &str, index: u32, kind: &str, options: Vec<u8>) -> NetlinkRequest {
    let mut message = TcMessage::with_index(index as i32);
    message.header.parent = TcHandle::ROOT;
    message.attributes =
        vec![TcAttribute::Kind(kind.to_owned()), TcAttribute::Other(DefaultNla::new(OPTIONS, options))];
    let step = format!("put the queue {kind} on {link}");
    NetlinkRequest { step, message: RouteNetlinkMessage::NewQueueDiscipline(message), flags: NLM_F_CREATE | NLM_F_EXCL }
}

/// `struct tc_netem_qopt` with the delay in ticks for old kernels, followed by the delay in nanoseconds.
fn options(span: Nanos) -> Vec<u8> {
    let ticks = u32::try_from(span.0 / TICK).unwrap_or(u32::MAX);
    let [loss, gap, duplicate, jitter] = [0; 4];
    let numbers = [ticks, PACKETS, loss, gap, duplicate, jitter];
    let length = (2 * size_of::<u16>() + size_of::<u64>()) as u16;
    let attribute = [length.to_ne_bytes(), LATENCY64.to_ne_bytes()].concat();
    [numbers.map(u32::to_ne_bytes).concat(), attribute, span.0.to_ne_bytes().to_vec()].concat()
}

#[cfg(test)]
mod tests;

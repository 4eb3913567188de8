//! Queues on links, read back from the kernel.

use std::sync::Arc;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage};
use nix::sys::socket::{MsgFlags, recv, send};

use super::*;
use crate::host::network::netlink::Socket;
use crate::host::network::{Namespace, RunNetwork, inside};

/// The queues in the network namespace of `socket`: the number of the link, the kind, the options.
fn queues(socket: &Socket) -> Vec<(i32, String, Vec<u8>)> {
    let mut message = NetlinkMessage::from(RouteNetlinkMessage::GetQueueDiscipline(TcMessage::default()));
    message.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    message.finalize();
    let mut text = vec![0; message.buffer_len()];
    message.serialize(&mut text);
    send(socket.raw(), &text, MsgFlags::empty()).expect("sent");
    let (mut found, mut reply) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let length = recv(socket.raw(), &mut reply, MsgFlags::empty()).expect("answered");
        let mut rest = &reply[..length];
        while rest.len() >= 16 {
            let one = u32::from_ne_bytes(rest[..4].try_into().expect("four bytes")) as usize;
            match u16::from_ne_bytes(rest[4..6].try_into().expect("two bytes")) {
                // NLMSG_DONE of `linux/netlink.h`.
                3 => return found,
                _ => found.extend(queue_in(&rest[16..one])),
            }
            rest = &rest[one.next_multiple_of(4).min(rest.len())..];
        }
    }
}

/// Parses a queue from `struct tcmsg` and its attributes (`linux/rtnetlink.h`). Attribute 1 is the kind.
fn queue_in(text: &[u8]) -> Option<(i32, String, Vec<u8>)> {
    let index = i32::from_ne_bytes(text.get(4..8)?.try_into().ok()?);
    let (mut kind, mut options, mut rest) = (String::new(), Vec::new(), text.get(20..)?);
    while rest.len() >= 4 {
        let length = usize::from(u16::from_ne_bytes(rest[..2].try_into().ok()?));
        let value = &rest[4..length];
        match u16::from_ne_bytes(rest[2..4].try_into().ok()?) & 0x3fff {
            1 => kind = String::from_utf8_lossy(value).trim_end_matches('\0').to_owned(),
            OPTIONS => options = value.to_vec(),
            _ => {}
        }
        rest = &rest[length.next_multiple_of(4).min(rest.len())..];
    }
    Some((index, kind, options))
}

#[test]
fn a_delay_is_encoded_in_ticks_and_in_nanoseconds() {
    let options = options(Nanos(100_000));
    let number = |at: usize| u32::from_ne_bytes(options[at..at + 4].try_into().expect("four bytes"));
    assert_eq!((number(0), number(4)), (1_562, PACKETS), "100 µs are 1,562 ticks of 64 ns");
    assert!(options[8..24].iter().all(|&byte| byte == 0), "nothing is lost, doubled or shuffled");
    assert_eq!(options[24..28], [12u16.to_ne_bytes(), LATENCY64.to_ne_bytes()].concat());
    assert_eq!(options[28..], 100_000u64.to_ne_bytes());
}

#[test]
fn a_long_delay_has_no_ticks_that_wrap() {
    let options = options(Nanos(3_600 * Nanos::SECOND.0));
    assert_eq!(options[..4], u32::MAX.to_ne_bytes());
}

/// Uses `tbf`, which more kernels have than netem, to check that a queue in this form can be put on a port.
#[test]
fn a_queue_is_put_on_a_link_and_read_back() {
    let (_namespace, socket) = match Namespace::create() {
        Ok(made) => made,
        Err(e) => return eprintln!("skipped: {e}; run as root"),
    };
    // Attribute 1 is `struct tc_tbf_qopt` of `linux/pkt_sched.h`: the rate, no peak rate, limit, buffer and mtu.
    let rate = [0u32.to_ne_bytes(), 0u32.to_ne_bytes(), 1_000_000u32.to_ne_bytes()].concat();
    let rest = [vec![0; 12], [10_000u32, 100_000, 0].map(u32::to_ne_bytes).concat()].concat();
    let length = (4 + rate.len() + rest.len()) as u16;
    let options = [[length.to_ne_bytes(), 1u16.to_ne_bytes()].concat(), rate, rest].concat();
    match socket.execute(vec![queue("the loopback", LOOPBACK_INDEX, "tbf", options)]) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return eprintln!("skipped: this kernel has no tbf"),
        done => done.expect("put"),
    }
    let kinds: Vec<_> = queues(&socket).into_iter().map(|(index, kind, _)| (index, kind)).collect();
    assert!(kinds.contains(&(LOOPBACK_INDEX as i32, "tbf".to_owned())), "{kinds:?}");
}

#[test]
fn an_unknown_queue_is_not_found() {
    let (_namespace, socket) = match Namespace::create() {
        Ok(made) => made,
        Err(e) => return eprintln!("skipped: {e}; run as root"),
    };
    let error =
        socket.execute(vec![queue("the loopback", LOOPBACK_INDEX, "fw-none", Vec::new())]).expect_err("no such kind");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("put the queue fw-none on the loopback"), "{error}");
}

#[test]
fn a_delay_on_an_instances_port_is_read_back() {
    if let Err(e) = can_delay() {
        return eprintln!("skipped: packets cannot be delayed on this host: {e}");
    }
    let network = Arc::new(RunNetwork::with_ports(2));
    let (delayed, other) = (network.attach().expect("attached"), network.attach().expect("attached"));
    delayed.delay(Nanos(123_456)).expect("delayed");
    let netns = network.netns().expect("it exists");
    let all = inside(&netns, || Socket::open().map(|socket| queues(&socket))).expect("entered").expect("read");
    let netem_on = |slot: Slot| all.iter().find(|(index, kind, _)| *index == slot.port_index() as i32 && kind == NETEM);
    let (_, _, options) = netem_on(delayed.slot).expect("it has the queue");
    assert!(options.windows(8).any(|bytes| bytes == 123_456u64.to_ne_bytes()), "{options:?}");
    assert!(netem_on(other.slot).is_none());
}

//! What is asked of the kernel, as data: bridges, pairs, addresses and neighbours. Pure.

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    BridgeStpState, InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::RouteType;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::address::{ETH0_INDEX, LOOPBACK_INDEX, Mac, PREFIX, Slot, bridge_index, bridge_name, gateway, gateway_mac};
use super::namespace::Namespace;
use super::netlink::NetlinkRequest;

/// What the run's own namespace needs.
pub(super) fn found() -> Vec<NetlinkRequest> {
    vec![set_up("the loopback", LOOPBACK_INDEX)]
}

/// A bridge with its address. It forwards at once, since it looks neither for loops nor for groups of listeners.
pub(super) fn bridge(bridge: u32) -> Vec<NetlinkRequest> {
    let name = bridge_name(bridge);
    let quiet = vec![InfoBridge::StpState(BridgeStpState::Disabled), InfoBridge::MulticastSnooping(false)];
    let mut link = up(bridge_index(bridge));
    link.attributes = vec![
        LinkAttribute::IfName(name.clone()),
        LinkAttribute::Address(gateway_mac(bridge).to_vec()),
        LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(InfoData::Bridge(quiet))]),
    ];
    vec![
        create(format!("make the bridge {name}"), RouteNetlinkMessage::NewLink(link)),
        address(&name, bridge_index(bridge), gateway(bridge)),
    ]
}

/// A pair between the bridge of `slot` and `eth0` in `namespace`, and all that the bridge's side knows of it. For the
/// run's namespace.
pub(super) fn plug(slot: Slot, namespace: &Namespace) -> Vec<NetlinkRequest> {
    let name = slot.port_name();
    let mut eth0 = LinkMessage::default();
    // It cannot be up from the beginning, when it has no other end yet (`veth_open`, `drivers/net/veth.c`).
    eth0.header.index = ETH0_INDEX;
    eth0.attributes = vec![
        LinkAttribute::IfName("eth0".to_owned()),
        LinkAttribute::Address(slot.mac().to_vec()),
        LinkAttribute::NetNsFd(namespace.fd()),
    ];
    let mut port = up(slot.port_index());
    port.attributes = vec![
        LinkAttribute::IfName(name.clone()),
        LinkAttribute::Address(slot.port_mac().to_vec()),
        LinkAttribute::Controller(bridge_index(slot.bridge)),
        LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(eth0))),
        ]),
    ];
    vec![
        create(format!("make the pair {name}"), RouteNetlinkMessage::NewLink(port)),
        forwarding(&name, slot),
        neighbour(&bridge_name(slot.bridge), bridge_index(slot.bridge), slot.address(), slot.mac()),
    ]
}

/// Takes back what [`plug`] did, and what [`plug_tap`] did to a tap that stays. With one end of a pair the kernel removes
/// the other, and what the bridge knows of it.
pub(super) fn unplug(slot: Slot) -> Vec<NetlinkRequest> {
    let name = slot.port_name();
    let mut port = LinkMessage::default();
    port.header.index = slot.port_index();
    let link = NetlinkRequest {
        what: format!("remove the link {name}"),
        message: RouteNetlinkMessage::DelLink(port),
        flags: 0,
    };
    std::iter::once(link).chain(forget(slot)).collect()
}

/// Makes the tap of `slot` a port of its bridge, with all that the bridge's side knows of what is behind it. For the
/// run's namespace.
pub(super) fn plug_tap(slot: Slot) -> Vec<NetlinkRequest> {
    let name = slot.port_name();
    let mut port = up(slot.port_index());
    port.attributes =
        vec![LinkAttribute::Address(slot.port_mac().to_vec()), LinkAttribute::Controller(bridge_index(slot.bridge))];
    let what = format!("put the tap {name} on its bridge");
    vec![
        NetlinkRequest { what, message: RouteNetlinkMessage::SetLink(port), flags: 0 },
        forwarding(&name, slot),
        neighbour(&bridge_name(slot.bridge), bridge_index(slot.bridge), slot.address(), slot.mac()),
    ]
}

/// Forgets who is behind `slot`.
pub(super) fn forget(slot: Slot) -> Vec<NetlinkRequest> {
    let own = neighbour_message(bridge_index(slot.bridge), slot.address());
    let what = format!("forget the neighbour {}", slot.address());
    vec![NetlinkRequest { what, message: RouteNetlinkMessage::DelNeighbour(own), flags: 0 }]
}

/// What an instance's own namespace needs once `eth0` is in it.
pub(super) fn furnish(slot: Slot) -> Vec<NetlinkRequest> {
    vec![
        set_up("the loopback", LOOPBACK_INDEX),
        set_up("eth0", ETH0_INDEX),
        address("eth0", ETH0_INDEX, slot.address()),
        neighbour("eth0", ETH0_INDEX, gateway(slot.bridge), gateway_mac(slot.bridge)),
    ]
}

/// Sets a link up that is there; a loopback gets its address by that, too.
fn set_up(link: &str, index: u32) -> NetlinkRequest {
    NetlinkRequest { what: format!("set {link} up"), message: RouteNetlinkMessage::SetLink(up(index)), flags: 0 }
}

/// A link with that number that is up.
fn up(index: u32) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    link
}

fn address(link: &str, index: u32, own: Ipv4Addr) -> NetlinkRequest {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = PREFIX;
    message.header.index = index;
    let own = IpAddr::V4(own);
    message.attributes = vec![AddressAttribute::Local(own), AddressAttribute::Address(own)];
    create(format!("give {link} the address {own}"), RouteNetlinkMessage::NewAddress(message))
}

/// The hardware address of a neighbour, for good.
fn neighbour(link: &str, index: u32, other: Ipv4Addr, mac: Mac) -> NetlinkRequest {
    let mut message = neighbour_message(index, other);
    message.header.state = NeighbourState::Permanent;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
    let message = RouteNetlinkMessage::NewNeighbour(message);
    NetlinkRequest {
        what: format!("tell {link} of its neighbour {other}"),
        message,
        flags: NLM_F_CREATE | NLM_F_REPLACE,
    }
}

fn neighbour_message(index: u32, other: Ipv4Addr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.ifindex = index;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![NeighbourAttribute::Destination(NeighbourAddress::Inet(other))];
    message
}

/// Tells the bridge behind which of its ports the instance is (`bridge fdb add … master static`, `bridge(8)`).
fn forwarding(link: &str, slot: Slot) -> NetlinkRequest {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = slot.port_index();
    message.header.state = NeighbourState::Noarp;
    message.header.flags = NeighbourFlags::Controller;
    message.attributes = vec![NeighbourAttribute::LinkLayerAddress(slot.mac().to_vec())];
    let message = RouteNetlinkMessage::NewNeighbour(message);
    // The pair is up at once, and its first packet may have taught the bridge already.
    NetlinkRequest {
        what: format!("tell the bridge what is behind {link}"),
        message,
        flags: NLM_F_CREATE | NLM_F_REPLACE,
    }
}

fn create(what: String, message: RouteNetlinkMessage) -> NetlinkRequest {
    NetlinkRequest { what, message, flags: NLM_F_CREATE | NLM_F_EXCL }
}

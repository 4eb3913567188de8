//! The requests to the kernel, as data: bridges, pairs, addresses and neighbors. Pure.

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

/// Configures the run's new namespace.
pub(super) fn configure_run() -> Vec<NetlinkRequest> {
    vec![set_up("the loopback", LOOPBACK_INDEX)]
}

/// Creates a bridge with its address. Without the spanning tree protocol and multicast snooping it forwards at once.
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
        create(format!("create the bridge {name}"), RouteNetlinkMessage::NewLink(link)),
        address(&name, bridge_index(bridge), gateway(bridge)),
    ]
}

/// Creates a pair from the bridge of `slot` to `eth0` in `namespace`, with the entries for it on the bridge's side. To be
/// executed in the run's namespace.
pub(super) fn plug(slot: Slot, namespace: &Namespace) -> Vec<NetlinkRequest> {
    let name = slot.port_name();
    let mut eth0 = LinkMessage::default();
    // `eth0` cannot be up from the start because its other end does not exist yet (`veth_open`, `drivers/net/veth.c`).
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
        create(format!("create the pair {name}"), RouteNetlinkMessage::NewLink(port)),
        forwarding(&name, slot),
        neighbor(&bridge_name(slot.bridge), bridge_index(slot.bridge), slot.address(), slot.mac()),
    ]
}

/// Undoes [`plug`], or [`plug_tap`] for a persistent tap. With one end of a pair the kernel also removes the other end and
/// the forwarding entry of the bridge.
pub(super) fn unplug(slot: Slot) -> Vec<NetlinkRequest> {
    let name = slot.port_name();
    let mut port = LinkMessage::default();
    port.header.index = slot.port_index();
    let link = NetlinkRequest {
        step: format!("remove the link {name}"),
        message: RouteNetlinkMessage::DelLink(port),
        flags: 0,
    };
    std::iter::once(link).chain(forget(slot)).collect()
}

/// Makes the tap of `slot` a port of its bridge, with the entries for its machine on the bridge's side. To be executed in the
/// run's namespace.
pub(super) fn plug_tap(slot: Slot) -> Vec<NetlinkRequest> {
    let name = slot.port_name();
    let mut port = up(slot.port_index());
    port.attributes =
        vec![LinkAttribute::Address(slot.port_mac().to_vec()), LinkAttribute::Controller(bridge_index(slot.bridge))];
    let step = format!("put the tap {name} on its bridge");
    vec![
        NetlinkRequest { step, message: RouteNetlinkMessage::SetLink(port), flags: 0 },
        forwarding(&name, slot),
        neighbor(&bridge_name(slot.bridge), bridge_index(slot.bridge), slot.address(), slot.mac()),
    ]
}

/// Removes the neighbor entry of the instance at `slot`.
pub(super) fn forget(slot: Slot) -> Vec<NetlinkRequest> {
    let own = neighbor_message(bridge_index(slot.bridge), slot.address());
    let step = format!("remove the neighbor {}", slot.address());
    vec![NetlinkRequest { step, message: RouteNetlinkMessage::DelNeighbour(own), flags: 0 }]
}

/// Configures an instance's namespace once `eth0` is in it.
pub(super) fn configure_instance(slot: Slot) -> Vec<NetlinkRequest> {
    vec![
        set_up("the loopback", LOOPBACK_INDEX),
        set_up("eth0", ETH0_INDEX),
        address("eth0", ETH0_INDEX, slot.address()),
        neighbor("eth0", ETH0_INDEX, gateway(slot.bridge), gateway_mac(slot.bridge)),
    ]
}

/// Sets an existing link up. A loopback also gets its address by that.
fn set_up(link: &str, index: u32) -> NetlinkRequest {
    NetlinkRequest { step: format!("set {link} up"), message: RouteNetlinkMessage::SetLink(up(index)), flags: 0 }
}

/// A message about the link with that number, which sets it up.
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

/// Sets the hardware address of a neighbor permanently.
fn neighbor(link: &str, index: u32, other: Ipv4Addr, mac: Mac) -> NetlinkRequest {
    let mut message = neighbor_message(index, other);
    message.header.state = NeighbourState::Permanent;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
    let message = RouteNetlinkMessage::NewNeighbour(message);
    NetlinkRequest { step: format!("add the neighbor {other} to {link}"), message, flags: NLM_F_CREATE | NLM_F_REPLACE }
}

fn neighbor_message(index: u32, other: Ipv4Addr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.ifindex = index;
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![NeighbourAttribute::Destination(NeighbourAddress::Inet(other))];
    message
}

/// Adds the bridge's forwarding entry for the instance's port (`bridge fdb add … master static`, `bridge(8)`).
fn forwarding(link: &str, slot: Slot) -> NetlinkRequest {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = slot.port_index();
    message.header.state = NeighbourState::Noarp;
    message.header.flags = NeighbourFlags::Controller;
    message.attributes = vec![NeighbourAttribute::LinkLayerAddress(slot.mac().to_vec())];
    let message = RouteNetlinkMessage::NewNeighbour(message);
    // The entry may exist: the pair is up at once, and the bridge learns from its first packet.
    NetlinkRequest {
        step: format!("add the forwarding entry for {link}"),
        message,
        flags: NLM_F_CREATE | NLM_F_REPLACE,
    }
}

fn create(step: String, message: RouteNetlinkMessage) -> NetlinkRequest {
    NetlinkRequest { step, message, flags: NLM_F_CREATE | NLM_F_EXCL }
}

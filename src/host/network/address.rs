//! Addresses, names and numbers of instances and bridges. All follow from an instance's slot. Pure.

use std::net::Ipv4Addr;

/// The range that is reserved for benchmarks, 198.18.0.0/15. No network that this host can reach uses it (RFC 2544,
/// RFC 6890).
const RANGE: u32 = u32::from_be_bytes([198, 18, 0, 0]);

/// The prefix length of a bridge's network: 2,048 of the range's 131,072 addresses, twice the ports of a bridge.
pub(super) const PREFIX: u8 = 21;

/// The number of bridges that fit into the range.
pub(super) const BRIDGES: u32 = 1 << (PREFIX - 15);

/// The number of an instance's `eth0`, above the numbers of links that the kernel creates in a new namespace.
pub(super) const ETH0_INDEX: u32 = 64;

/// The number of the loopback in every namespace (`LOOPBACK_IFINDEX`, `include/net/flow.h`).
pub(super) const LOOPBACK_INDEX: u32 = 1;

/// The bridge and port that an instance is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    /// The bridge, from 0, below [`BRIDGES`].
    pub(super) bridge: u32,
    /// The port, from 0, below 1,023.
    pub(super) port: u32,
}

/// A hardware address.
pub(super) type Mac = [u8; 6];

impl Slot {
    /// The instance's address.
    pub(super) fn address(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(network(self.bridge) + 2 + self.port)
    }

    /// The hardware address of the instance's `eth0`.
    pub(super) fn mac(self) -> Mac {
        mac(*b"FW", self.address())
    }

    /// The hardware address of the bridge port.
    pub(super) fn port_mac(self) -> Mac {
        mac(*b"FP", self.address())
    }

    /// The number of the bridge port in the run's namespace.
    pub(super) fn port_index(self) -> u32 {
        1 << 20 | self.bridge << 10 | self.port
    }

    /// The name of the bridge port.
    pub(super) fn port_name(self) -> String {
        format!("{}p{}", bridge_name(self.bridge), self.port)
    }
}

/// The address of a bridge, from which clients connect to its instances.
pub(super) fn gateway(bridge: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(network(bridge) + 1)
}

/// The hardware address of a bridge.
pub(super) fn gateway_mac(bridge: u32) -> Mac {
    mac(*b"FW", gateway(bridge))
}

/// The number of a bridge in the run's namespace.
pub(super) fn bridge_index(bridge: u32) -> u32 {
    1 << 19 | bridge
}

/// The name of a bridge.
pub(super) fn bridge_name(bridge: u32) -> String {
    format!("fw{bridge}")
}

fn network(bridge: u32) -> u32 {
    RANGE + (bridge << (32 - PREFIX))
}

/// Builds a hardware address from two letters and an IP address, so that it is as unique as the IP address. The two lowest
/// bits of the first octet mark it as locally administered and unicast (IEEE 802, 8.2).
fn mac(letters: [u8; 2], address: Ipv4Addr) -> Mac {
    let [_, b, c, d] = address.octets();
    [0x02, letters[0], letters[1], b, c, d]
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn slots(ports: u32, count: u32) -> Vec<Slot> {
        (0..count).map(|n| Slot { bridge: n / ports, port: n % ports }).collect()
    }

    #[test]
    fn the_first_and_the_last_are_within_the_range() {
        let first = Slot { bridge: 0, port: 0 };
        let last = Slot { bridge: BRIDGES - 1, port: 1022 };
        assert_eq!((gateway(0), first.address()), (Ipv4Addr::new(198, 18, 0, 1), Ipv4Addr::new(198, 18, 0, 2)));
        assert_eq!(last.address(), Ipv4Addr::new(198, 19, 252, 0));
        assert_eq!(first.mac(), [0x02, b'F', b'W', 18, 0, 2]);
        assert!(last.port_name().len() < libc::IFNAMSIZ);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn addresses_and_numbers_are_unique(ports in 157_u32..=1023, count in 1_u32..=10_000) {
            let slots = slots(ports, count);
            let bridges = 0..slots.last().map_or(0, |slot| slot.bridge + 1);
            let all = slots.len() + bridges.len();
            let distinct = |own: HashSet<u64>| own.len();
            let number = |mac: Mac| mac.iter().fold(0, |n, &octet| n << 8 | u64::from(octet));
            let addresses = slots.iter().map(|s| s.address()).chain(bridges.clone().map(gateway));
            prop_assert_eq!(distinct(addresses.map(|a| a.to_bits().into()).collect()), all);
            let macs = slots.iter().flat_map(|s| [s.mac(), s.port_mac()]).chain(bridges.clone().map(gateway_mac));
            prop_assert_eq!(distinct(macs.map(number).collect()), all + slots.len());
            let indices = slots.iter().map(|s| s.port_index()).chain(bridges.map(bridge_index));
            prop_assert_eq!(distinct(indices.map(u64::from).collect()), all);
        }

        #[test]
        fn an_instance_shares_a_network_with_its_own_bridge_only(bridge in 0..BRIDGES, port in 0_u32..1023) {
            let network = |address: Ipv4Addr| address.to_bits() >> (32 - PREFIX);
            let own = network(Slot { bridge, port }.address());
            let reached: Vec<_> = (0..BRIDGES).filter(|&other| network(gateway(other)) == own).collect();
            prop_assert_eq!(reached, vec![bridge]);
            prop_assert_eq!(own >> (PREFIX - 15), RANGE >> 17);
        }
    }
}

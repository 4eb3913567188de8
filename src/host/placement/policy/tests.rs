//! Placements on the described hosts, and what holds on every host.

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::host::fixture;

/// The assignment as `victim | attackers | harness`, or the reason why it is not possible.
fn described(topology: &Topology, placement: &str) -> String {
    match assign(topology, placement.parse().unwrap()) {
        Ok(a) => format!("{} | {} | {}", a.victim, attackers(&a), a.harness),
        Err(e) => e.reason.to_string(),
    }
}

fn attackers(a: &Assignment) -> String {
    let all: CpuSet = a.attackers.iter().flat_map(CpuSet::iter).collect();
    assert_eq!(all.len(), a.attackers.iter().map(CpuSet::len).sum::<usize>(), "one CPU for each attacker");
    all.to_string()
}

#[rstest]
#[case("server-2x26x2", "alone", "51 |  | 0,52")]
#[case("server-2x26x2", "same-thread", "51 | 51 | 0,52")]
#[case("server-2x26x2", "same-core", "51 | 103 | 0,52")]
#[case("server-2x26x2", "same-socket", "51 | 50 | 0,52")]
#[case("server-2x26x2", "other-socket", "51 | 25 | 0,52")]
#[case("server-2x26x2", "fill", "51 | 26-50,78-102 | 0,52")]
#[case("laptop-smt", "same-core", "6 | 7 | 0-1")]
#[case::shares_the_cache("laptop-smt", "same-socket", "6 | 4 | 0-1")]
#[case::harness_among_the_attackers("laptop-smt", "fill", "6 | 0-5 | 0-5")]
#[case("laptop-smt", "other-socket", "this host has one socket")]
#[case::a_performance_core("hybrid", "same-core", "10 | 11 | 0-1")]
#[case::a_performance_core_too("hybrid", "same-socket", "10 | 8 | 0-1")]
#[case("hybrid", "fill", "10 | 0-9,12-15 | 0-9,12-15")]
#[case("vm-2x1", "alone", "1 |  | 0")]
#[case("vm-2x1", "same-thread", "1 | 1 | 0")]
#[case("vm-2x1", "same-core", "this host's cores have one hardware thread each")]
#[case("vm-2x1", "same-socket", "1 | 0 | 0")]
#[case("vm-2x1", "other-socket", "this host has one socket")]
#[case("vm-2x1", "fill", "1 | 0 | 0")]
#[case("vm-2x1", "unpinned", " |  | ")]
fn a_described_host_places(#[case] host: &str, #[case] placement: &str, #[case] expected: &str) {
    assert_eq!(described(&fixture::topology(host), placement), expected);
}

#[rstest]
#[case::its_own_socket("server-2x26x2", "same-thread", "26-50,78-102")]
#[case::no_attackers_sibling("server-2x26x2", "same-socket", "26-49,78-101")]
#[case::the_other_socket_when_the_own_is_full("server-2x26x2", "fill", "0-25,52-77")]
#[case("server-2x26x2", "other-socket", "26-50,78-102")]
#[case("laptop-smt", "same-core", "0-5")]
#[case("laptop-smt", "same-socket", "0-3")]
#[case::among_the_attackers("laptop-smt", "fill", "0-5")]
#[case("hybrid", "same-socket", "0-7,12-15")]
#[case("vm-2x1", "alone", "0")]
#[case("vm-2x1", "same-thread", "0")]
#[case::with_the_attacker("vm-2x1", "same-socket", "0")]
#[case("vm-2x1", "unpinned", "")]
fn a_client_gets_the_cpus_that_victim_and_attackers_leave(
    #[case] host: &str,
    #[case] placement: &str,
    #[case] expected: &str,
) {
    let assignment = assign(&fixture::topology(host), placement.parse().unwrap()).unwrap();
    assert_eq!(assignment.client.to_string(), expected);
}

#[rstest]
#[case("server-2x26x2", "0-103", "0-16,52-68", "17-51,69-103")]
#[case("laptop-smt", "0-7", "0-1", "2-7")]
#[case("hybrid", "0-15", "0-5", "6-15")]
#[case("vm-2x1", "0-1", "0", "1")]
#[case::one_core("laptop-smt", "2-3", "2", "3")]
#[case::one_cpu("vm-2x1", "0", "0", "0")]
#[case::nothing("vm-2x1", "", "", "")]
fn servers_and_client_run_on_different_cpus(
    #[case] host: &str,
    #[case] usable: &str,
    #[case] client: &str,
    #[case] victims: &str,
) {
    let apart = apart(&fixture::topology_of(host, &usable.parse().unwrap()));
    assert_eq!((apart.client.to_string(), apart.victims.to_string()), (client.to_owned(), victims.to_owned()));
}

#[rstest]
#[case::alone("0", "1", &["1"], None)]
#[case::unpinned("", "", &[""], None)]
#[case::attacker("0-2", "3", &["1"], Some("the load generator shares CPU 1 with an attacker"))]
#[case::victim("0", "0", &["0"], Some("the load generator shares CPU 0 with its server"))]
fn a_client_that_shares_a_cpu_is_reported(
    #[case] client: &str,
    #[case] victim: &str,
    #[case] attackers: &[&str],
    #[case] expected: Option<&str>,
) {
    let attackers: Vec<CpuSet> = attackers.iter().map(|set| set.parse().unwrap()).collect();
    let caution = client_shares(&client.parse().unwrap(), &victim.parse().unwrap(), &attackers);
    assert_eq!(caution.as_deref(), expected);
}

#[rstest]
#[case::one_cpu("vm-2x1", "0", "alone", "0 |  | 0")]
#[case::one_cpu("vm-2x1", "0", "same-thread", "0 | 0 | 0")]
#[case::one_cpu("vm-2x1", "0", "fill", "this process may use one core of the victim's socket only")]
#[case::half_cores("laptop-smt", "1,3", "same-core", "this process may not use CPU 2, the sibling of CPU 3")]
#[case::one_core("laptop-smt", "2-3", "alone", "2 |  | 3")]
#[case::cpu_0_is_avoided("laptop-smt", "0-1", "same-core", "1 | 0 | 0")]
#[case::a_whole_core_goes_before_the_last("laptop-smt", "2-4", "alone", "2 |  | 4")]
#[case::the_larger_share("server-2x26x2", "0-9,30", "other-socket", "9 | 30 | 0")]
#[case::one_socket("server-2x26x2", "0-9", "other-socket", "this process may use the CPUs of one socket only")]
#[case::slow_cores_alone("hybrid", "12-15", "same-core", "the core of CPU 15 has one hardware thread")]
#[case::nothing("hybrid", "", "alone", "this process may use no CPU")]
fn placement_never_leaves_the_usable_cpus(
    #[case] host: &str,
    #[case] usable: &str,
    #[case] placement: &str,
    #[case] expected: &str,
) {
    assert_eq!(described(&fixture::topology_of(host, &usable.parse().unwrap()), placement), expected);
}

#[test]
fn an_unpinned_attacker_may_run_anywhere() {
    let assignment = assign(&fixture::topology("vm-2x1"), Placement::Unpinned).unwrap();
    assert_eq!(assignment.attackers, [CpuSet::default()]);
}

#[test]
fn a_refusal_names_the_placement_and_the_reason() {
    let refusal = assign(&fixture::topology("vm-2x1"), Placement::OtherSocket).unwrap_err();
    assert_eq!(refusal.to_string(), "other-socket is not possible here: this host has one socket");
}

/// Any described host with any of its CPUs usable.
fn any_host() -> impl Strategy<Value = Topology> {
    (0..fixture::HOSTS.len(), prop::collection::vec(any::<bool>(), 104)).prop_map(|(host, mask)| {
        let mut topology = fixture::topology(fixture::HOSTS[host]);
        topology.usable = topology.online().iter().filter(|&cpu| mask[cpu as usize]).collect();
        topology
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_assignment_keeps_its_invariants(topology in any_host(), placement in prop::sample::select(Placement::ALL)) {
        let Ok(a) = assign(&topology, placement) else { return Ok(()) };
        let everyone = a.attackers.iter().fold(a.victim.union(&a.harness).union(&a.client), |all, set| all.union(set));
        prop_assert!(everyone.is_subset(&topology.usable));
        let on_the_victim = a.attackers.iter().any(|set| set.iter().any(|cpu| a.victim.contains(cpu)));
        prop_assert_eq!(on_the_victim, placement == Placement::SameThread);
        prop_assert_eq!(a.victim.len(), usize::from(placement != Placement::Unpinned));
        if topology.usable.len() > 1 {
            prop_assert!(!a.harness.iter().any(|cpu| a.victim.contains(cpu)));
            prop_assert!(!a.client.iter().any(|cpu| a.victim.contains(cpu)));
        }
    }

    #[test]
    fn servers_and_client_share_nothing_but_an_only_cpu(topology in any_host()) {
        let a = apart(&topology);
        prop_assert_eq!(a.client.union(&a.victims), topology.usable.clone());
        let shared = a.client.iter().any(|cpu| a.victims.contains(cpu));
        prop_assert_eq!(shared, topology.usable.len() == 1);
    }

    #[test]
    fn the_victim_is_the_same_under_every_pinned_placement(topology in any_host()) {
        let pinned = Placement::ALL.iter().filter(|&&p| p != Placement::Unpinned);
        let victims: Vec<CpuSet> = pinned.filter_map(|&p| assign(&topology, p).ok()).map(|a| a.victim).collect();
        prop_assert!(victims.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn every_attacker_matches_its_placement(topology in any_host(), placement in prop::sample::select(Placement::ALL)) {
        let Ok(a) = assign(&topology, placement) else { return Ok(()) };
        let Some(victim) = a.victim.first() else { return Ok(()) };
        for attacker in a.attackers.iter().filter_map(CpuSet::first) {
            let is_same_core = topology.core_of(attacker) == topology.core_of(victim);
            let is_same_socket = topology.socket_of(attacker) == topology.socket_of(victim);
            let expected = match placement {
                Placement::SameThread | Placement::SameCore => (true, true),
                Placement::OtherSocket => (false, false),
                _ => (false, true),
            };
            prop_assert_eq!((is_same_core, is_same_socket), expected);
        }
    }
}

//! An instance with a network is reachable at its endpoint, one without is not, and no network leaves anything behind.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use featherweight::guest::Image;
use featherweight::host::folders::Folders;
use featherweight::host::ledger;
use featherweight::host::network::inside;
use featherweight::model::platform::Networking;
use featherweight::model::program::Program;
use featherweight::platform::{Endpoint, Instance, LaunchSpec, Milestone};

use crate::cleanliness::assert_clean;
use crate::crashes::Victim;
use crate::fixture::{BRIDGE_PORTS, Fixture, HANG, contracts};
use crate::host;

contracts! {
    Network an_instance_is_reached_at_its_endpoint,
    Network instances_have_different_addresses,
    Network more_instances_than_a_bridge_holds_are_all_reached,
    Network connecting_is_a_part_of_the_boot,
    Network nothing_of_a_network_is_left_of_a_stopped_instance,
    Network nothing_of_a_network_is_left_of_a_failed_launch,
    Network nothing_of_a_network_is_left_of_a_crash,
    Host without_a_network_there_is_nothing_but_a_loopback,
    Network the_hosts_own_network_stays_as_it_is,
}

fn serving(fixture: &Fixture) -> LaunchSpec {
    LaunchSpec { network: Networking::Bridge, ..fixture.spec(Program::Probe, &["do=serve"]) }
}

fn serve(fixture: &Fixture) -> Box<dyn Instance> {
    let mut instance = fixture.launch(&serving(fixture));
    fixture.wait(&mut instance, Milestone::Ready).expect("it serves");
    instance
}

fn endpoint(instance: &dyn Instance) -> Endpoint {
    instance.endpoint().expect("a server with a network has an endpoint")
}

fn answer(endpoint: &Endpoint) -> io::Result<String> {
    let ask = || {
        let mut text = String::new();
        let mut server = TcpStream::connect_timeout(&endpoint.address, HANG)?;
        server.set_read_timeout(Some(HANG))?;
        server.read_to_string(&mut text).map(|_| text)
    };
    match &endpoint.netns {
        None => ask(),
        Some(netns) => inside(netns, ask)?,
    }
}

#[track_caller]
fn assert_reached(instance: &dyn Instance) {
    let at = endpoint(instance);
    let text = answer(&at).unwrap_or_else(|e| panic!("{at:?}: {e}"));
    assert!(text.starts_with("probe on "), "{text}");
}

fn addresses(instances: &[Box<dyn Instance>]) -> BTreeSet<SocketAddr> {
    instances.iter().map(|instance| endpoint(&**instance).address).collect()
}

fn an_instance_is_reached_at_its_endpoint(fixture: &Fixture) {
    let instance = serve(fixture);
    for _ in 0..3 {
        assert_reached(&*instance);
    }
    let at = endpoint(&*instance);
    assert_eq!(instance.endpoint(), Some(at.clone()), "it stays there");
    let reply = answer(&at).expect("an answer");
    instance.stop().expect("stopped");
    // An engine reuses addresses, so an instance of another test may answer.
    assert_ne!(answer(&at).ok(), Some(reply), "it does not answer any more");
}

fn instances_have_different_addresses(fixture: &Fixture) {
    let both = [serve(fixture), serve(fixture)];
    assert_eq!(addresses(&both).len(), 2);
    both.iter().for_each(|instance| assert_reached(&**instance));
    let [first, second] = both;
    first.stop().expect("stopped");
    assert_reached(&*second);
    second.stop().expect("stopped");
}

fn more_instances_than_a_bridge_holds_are_all_reached(fixture: &Fixture) {
    let count = 2 * BRIDGE_PORTS as usize + 1;
    let all: Vec<_> = thread::scope(|scope| {
        let launches: Vec<_> = (0..count).map(|_| scope.spawn(|| serve(fixture))).collect();
        launches.into_iter().map(|launch| launch.join().expect("launched")).collect()
    });
    assert_eq!(addresses(&all).len(), count);
    all.iter().for_each(|instance| assert_reached(&**instance));
    for instance in all {
        instance.stop().expect("stopped");
    }
}

fn connecting_is_a_part_of_the_boot(fixture: &Fixture) {
    use featherweight::model::event::Event::{Gone, Main, Ready, Spawn};
    let stopped = serve(fixture).stop().expect("stopped");
    let at = |event| stopped.events[&event];
    assert!(at(Spawn) < at(Main) && at(Main) <= at(Ready) && at(Ready) < at(Gone), "{:?}", stopped.events);
}

fn nothing_of_a_network_is_left_of_a_stopped_instance(fixture: &Fixture) {
    let spec = serving(fixture);
    let mut instance = fixture.launch(&spec);
    fixture.wait(&mut instance, Milestone::Ready).expect("it serves");
    let run = endpoint(&*instance).netns;
    let others = serve(fixture);
    let before = run.as_deref().map(links);
    instance.stop().expect("stopped");
    let after = run.as_deref().map(links);
    assert_eq!(before.map(|links| links.len()), after.map(|links| links.len() + 1));
    assert_reached(&*others);
    others.stop().expect("stopped");
    assert_clean(fixture, &spec);
}

fn nothing_of_a_network_is_left_of_a_failed_launch(fixture: &Fixture) {
    let other = serve(fixture);
    let run = endpoint(&*other).netns;
    let before = run.as_deref().map(links);
    let spec = serving(fixture);
    let nowhere = LaunchSpec {
        image: Image { rootfs: "/no/such/rootfs".into(), digest: "0".repeat(64), ..spec.image.clone() },
        ..spec
    };
    fixture.platform().launch(&nowhere).expect_err("there is no program");
    assert_eq!(run.as_deref().map(links), before);
    other.stop().expect("stopped");
    assert_clean(fixture, &nowhere);
}

fn nothing_of_a_network_is_left_of_a_crash(fixture: &Fixture) {
    let victim = Victim::start(fixture.subject);
    // An open file keeps an instance's namespace alive after its end; the other end of its link is gone.
    let netns = host::marked(&victim.run).into_iter().map(|pid| format!("/proc/{pid}/ns/net"));
    let held: Vec<_> = netns.map(|path| File::open(path).expect("it lives")).collect();
    let paths = held.iter().map(|file| PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())));
    let connected: Vec<_> = paths.filter(|path| !is_own(path) && links(path) != ["lo"]).collect();
    // The run's own namespace ends with the harness. It is kept open for machines only: a tap must be gone even so, but a
    // pair stays if both namespaces are open.
    let of_machines = fixture.platform().capabilities().own_memory;
    let own = if of_machines { namespaces_open_in(victim.pid()) } else { Vec::new() };
    let ports = || -> Vec<String> {
        let all = own.iter().flat_map(|file| links(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd()))));
        all.filter(|name| name.starts_with("fw") && name.contains('p')).collect()
    };
    assert_eq!(ports().is_empty(), !of_machines, "the taps of its machines");
    let run = victim.crash();
    ledger::reap(&Folders::from_env().state, &run, featherweight::platform::reap_engines).expect("reaped");
    let give_up = fixture.within(HANG);
    for netns in connected {
        // The kernel removes a namespace and its content in the background.
        while links(&netns) != ["lo"] {
            assert!(fixture.platform().clock().now() < give_up, "{:?}", links(&netns));
            thread::yield_now();
        }
    }
    while ports() != [""; 0] {
        assert!(fixture.platform().clock().now() < give_up, "{:?}", ports());
        thread::yield_now();
    }
}

/// The network namespaces that a process has open.
fn namespaces_open_in(process: u32) -> Vec<File> {
    let files = fs::read_dir(format!("/proc/{process}/fd")).expect("its files").flatten().map(|file| file.path());
    let is_netns = |path: &PathBuf| fs::read_link(path).is_ok_and(|to| to.to_string_lossy().starts_with("net:["));
    files.filter(is_netns).filter_map(|path| File::open(path).ok()).collect()
}

fn without_a_network_there_is_nothing_but_a_loopback(fixture: &Fixture) {
    let mut instance = fixture.probe(&["do=hang"]);
    fixture.wait(&mut instance, Milestone::Ready).expect("it hangs");
    assert_eq!(instance.endpoint(), None);
    let pid = instance.threads().first().expect("it lives").pid;
    let netns = format!("/proc/{pid}/ns/net");
    // A plain process is always in the host's own namespace.
    if !is_own(Path::new(&netns)) {
        assert_eq!(links(Path::new(&netns)), ["lo"]);
    }
    instance.stop().expect("stopped");
}

fn the_hosts_own_network_stays_as_it_is(fixture: &Fixture) {
    let before = own_network();
    let instance = serve(fixture);
    assert_reached(&*instance);
    assert_eq!(own_network(), before, "while it serves");
    instance.stop().expect("stopped");
    assert_eq!(own_network(), before, "after its end");
}

/// The part of the host's own network that the run could have changed; others may change the rest meanwhile.
fn own_network() -> Vec<String> {
    let read = |file: &str| fs::read_to_string(format!("/proc/self/net/{file}")).unwrap_or_default();
    let names = names(&read("dev")).into_iter().filter(|name| name.starts_with("fw"));
    let addresses = read("fib_trie");
    let addresses = addresses.lines().filter(|line| line.contains(" 198.18.") || line.contains(" 198.19."));
    let tables = read("ip_tables_names");
    names.chain(addresses.chain(tables.lines()).map(str::to_owned)).collect()
}

/// Whether that is our own network namespace.
fn is_own(netns: &Path) -> bool {
    let id = |path: &Path| fs::metadata(path).map(|file| file.ino()).ok();
    id(netns) == id(Path::new("/proc/self/ns/net"))
}

/// The names of the links in a network namespace.
fn links(netns: &Path) -> Vec<String> {
    let text = inside(netns, || fs::read_to_string("/proc/thread-self/net/dev"));
    names(&text.expect("entered").expect("readable"))
}

/// The names of the links in a `/proc/net/dev`.
fn names(text: &str) -> Vec<String> {
    let mut names: Vec<_> = text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect();
    names.sort();
    names
}

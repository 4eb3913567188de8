//! The network as the kernel sees it. The pure parts have tests of their own.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;

/// Every step takes less, unless it hangs.
const HANG: Duration = Duration::from_secs(20);

/// Whether this user may create network namespaces; prints the reason if not.
fn may_create_namespaces() -> bool {
    let namespace = Namespace::create();
    if let Err(e) = &namespace {
        eprintln!("skipped: {e}; run as root");
    }
    namespace.is_ok()
}

fn network(ports: u32) -> Arc<RunNetwork> {
    Arc::new(RunNetwork::with_ports(ports))
}

/// The lines of a file of `/proc/net` in a namespace. `thread-self` is the calling thread.
fn lines(netns: &Path, file: &str) -> Vec<String> {
    let text = inside(netns, || fs::read_to_string(format!("/proc/thread-self/net/{file}"))).expect("entered");
    text.expect("readable").lines().map(str::to_owned).collect()
}

fn links(netns: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        lines(netns, "dev").iter().filter_map(|l| Some(l.split_once(':')?.0.trim().to_owned())).collect();
    names.sort();
    names
}

/// Connects a client in the run's namespace to a server in the instance's. Returns the client's address as the server
/// sees it.
fn client_address(network: &RunNetwork, instance: &Attachment) -> String {
    let at = SocketAddr::from((instance.address(), 80));
    let server = inside(&instance.netns(), || TcpListener::bind(at)).expect("entered").expect("it listens");
    let run = network.netns().expect("it exists");
    let mut client = inside(&run, || TcpStream::connect_timeout(&at, HANG)).expect("entered").expect("connected");
    let (mut accepted, peer) = server.accept().expect("accepted");
    write!(accepted, "{peer}").expect("sent");
    drop(accepted);
    let mut text = String::new();
    client.read_to_string(&mut text).expect("received");
    text
}

#[test]
fn nothing_is_created_before_it_is_needed() {
    assert_eq!(network(3).netns(), None);
}

#[test]
fn one_client_reaches_the_instances_of_every_bridge() {
    if !may_create_namespaces() {
        return;
    }
    let network = network(2);
    let all: Vec<_> = (0..5).map(|_| network.attach().expect("attached")).collect();
    let run = network.netns().expect("it exists");
    assert_eq!(links(&run), ["fw0", "fw0p0", "fw0p1", "fw1", "fw1p0", "fw1p1", "fw2", "fw2p0", "lo"]);
    for instance in &all {
        assert_eq!(links(&instance.netns()), ["eth0", "lo"]);
        // The client uses the address of the instance's bridge, so no further route is needed.
        assert!(client_address(&network, instance).starts_with(&address::gateway(instance.slot.bridge).to_string()));
    }
}

#[test]
fn neighbors_are_set_and_never_learned() {
    if !may_create_namespaces() {
        return;
    }
    let network = network(2);
    let instance = network.attach().expect("attached");
    client_address(&network, &instance);
    // The flags 0x6 mark a complete and permanent entry (`ATF_COM`, `ATF_PERM`, `linux/if_arp.h`).
    for netns in [network.netns().expect("it exists"), instance.netns()] {
        let known = lines(&netns, "arp").split_off(1);
        assert!(known.len() == 1 && known[0].contains(" 0x6 "), "{known:?}");
    }
}

#[test]
fn there_is_no_ipv6() {
    if !may_create_namespaces() {
        return;
    }
    let network = network(2);
    let instance = network.attach().expect("attached");
    for netns in [network.netns().expect("it exists"), instance.netns()] {
        assert_eq!(lines(&netns, "if_inet6"), [""; 0]);
    }
}

#[test]
fn a_detached_instance_is_gone_and_its_slot_is_reused_last() {
    if !may_create_namespaces() {
        return;
    }
    let network = network(3);
    let first = network.attach().expect("attached");
    let (slot, netns) = (first.slot, first.netns());
    let namespace = |path: &Path| fs::metadata(path).map(|file| file.ino()).ok();
    let before = namespace(&netns);
    first.detach().expect("detached");
    // Another test may have reused the descriptor's number.
    assert_ne!(namespace(&netns), before, "the harness has closed the namespace");
    let run = network.netns().expect("it exists");
    assert_eq!(links(&run), ["fw0", "lo"]);
    assert_eq!(lines(&run, "arp").len(), 1, "only the header");
    let next: Vec<_> = (0..3).map(|_| network.attach().expect("attached")).collect();
    assert_eq!(next.iter().map(|a| a.slot.port).collect::<Vec<_>>(), [1, 2, 0]);
    assert_eq!(next[2].slot, slot);
    assert!(!client_address(&network, &next[2]).is_empty());
    drop(next);
    assert_eq!(links(&run), ["fw0", "lo"]);
}

#[test]
fn the_end_of_the_network_takes_everything_with_it() {
    if !may_create_namespaces() {
        return;
    }
    let network = network(3);
    let mut instance = network.attach().expect("attached");
    // As after a crash, the instance is not detached, and only its own namespace is still open.
    instance.network = None;
    drop(network);
    let deadline = Instant::now() + HANG;
    while links(&instance.netns()) != ["lo"] {
        assert!(Instant::now() < deadline, "{:?}", links(&instance.netns()));
        std::thread::yield_now();
    }
}

#[test]
fn neither_the_callers_nor_the_hosts_namespace_changes() {
    if !may_create_namespaces() {
        return;
    }
    let own = || fs::read_link("/proc/thread-self/ns/net").expect("a namespace");
    // Replaces the host's own namespace, which other processes may change during the test.
    let (host, _socket) = Namespace::create().expect("created");
    let dump = || ["dev", "route", "arp", "fib_trie"].map(|file| lines(&host.path(), file));
    let before = dump();
    let (callers, instances) = inside(&host.path(), || {
        let callers = own();
        let network = network(1);
        let attached = [network.attach().expect("attached"), network.attach().expect("attached")];
        assert_eq!(dump(), before);
        let instances = inside(&attached[1].netns(), own).expect("entered");
        assert_eq!(own(), callers, "the thread stays in its namespace");
        (callers, instances)
    })
    .expect("entered");
    assert_ne!(callers, instances);
    assert_eq!(dump(), before);
    assert!(inside(Path::new("/no/such/namespace"), own).is_err());
}

#[test]
fn a_program_starts_in_the_namespace() {
    if !may_create_namespaces() {
        return;
    }
    let network = network(1);
    let instance = network.attach().expect("attached");
    let mut command = Command::new("cat");
    command.arg("/proc/self/net/dev");
    enter(&mut command, &instance.netns()).expect("it exists");
    let output = command.output().expect("cat runs");
    assert!(String::from_utf8_lossy(&output.stdout).contains("eth0:"), "{output:?}");
}

#[test]
fn a_tap_exists_as_long_as_a_process_has_it_open() {
    if !may_create_namespaces() {
        return;
    }
    let network = network(3);
    let mut tap = match network.attach_tap(Offload::Header) {
        Err(e) if e.to_string().contains("/dev/net/tun") => return eprintln!("skipped: {e}"),
        attached => attached.expect("a tap"),
    };
    let netns = network.netns().expect("it exists");
    let name = "fw0p0".to_owned();
    assert!(links(&netns).contains(&name));
    assert_eq!(tap.address(), Ipv4Addr::new(198, 18, 0, 2));
    assert!(lines(&netns, "arp").iter().any(|line| line.contains("198.18.0.2") && line.contains("02:46:57:12:00:02")));

    let monitors = tap.fd().expect("open").try_clone_to_owned().expect("a copy");
    tap.hand_over();
    assert!(links(&netns).contains(&name), "the monitor has it");
    drop(monitors);
    assert!(!links(&netns).contains(&name), "no process has it");
    tap.detach().expect("detached");
    assert!(lines(&netns, "arp").iter().all(|line| !line.contains("198.18.0.2")));
    let others: Vec<_> = (0..3).map(|_| network.attach_tap(Offload::Plain).expect("a tap")).collect();
    assert_eq!(others[2].address(), Ipv4Addr::new(198, 18, 0, 2), "its slot is reused last");
}

/// Whether a frame with `payload` comes out of the tap of `slot`, opened in `netns` as by a monitor. `send` is repeated,
/// because frames are lost until the bridge notices the port's carrier, which takes up to a second.
fn frame_arrives(netns: &Path, slot: Slot, payload: &[u8], send: impl Fn() + Send) -> bool {
    let opened = inside(netns, || {
        let device = fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
        let request = tap::interface(slot, Offload::Header);
        // SAFETY: the request lives, and the descriptor is one of the tun driver.
        match unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw const request) } {
            0 => Ok(device),
            _ => Err(io::Error::last_os_error()),
        }
    });
    let mut device = opened.expect("entered").expect("opened by name");
    let again = Timespec::try_from(Duration::from_millis(100)).expect("a span");
    let mut frame = [0; 2048];
    let began = Instant::now();
    while began.elapsed() < HANG {
        send();
        while poll(&mut [PollFd::new(&device, PollFlags::IN)], Some(&again)).expect("polled") > 0 {
            let n = device.read(&mut frame).expect("readable");
            if frame[..n].windows(payload.len()).any(|part| part == payload) {
                return true;
            }
        }
    }
    false
}

#[test]
fn a_persistent_tap_is_opened_by_name_and_remains_until_it_is_detached() {
    if !may_create_namespaces() {
        return;
    }
    let network = network(3);
    let tap = match network.attach_persistent_tap() {
        Err(e) if e.to_string().contains("/dev/net/tun") => return eprintln!("skipped: {e}"),
        attached => attached.expect("a tap"),
    };
    let (netns, name) = (network.netns().expect("it exists"), tap.name());
    assert!(tap.fd().is_none() && links(&netns).contains(&name), "no process has it open");
    let to = SocketAddr::from((tap.address(), 80));
    for payload in [b"first", b"again"] {
        let send = || {
            let sent = inside(&netns, || UdpSocket::bind("0.0.0.0:0")?.send_to(payload, to));
            sent.expect("entered").expect("sent");
        };
        assert!(frame_arrives(&netns, Slot { bridge: 0, port: 0 }, payload, send), "the payload arrives");
        assert!(links(&netns).contains(&name), "it outlives the process that had it open");
    }
    tap.detach().expect("removed");
    assert!(!links(&netns).contains(&name));
    assert!(lines(&netns, "arp").iter().all(|line| !line.contains("198.18.0.2")));
    drop(network.attach_persistent_tap().expect("another"));
    assert_eq!(links(&netns), ["fw0", "lo"], "dropping removes it, too");
}

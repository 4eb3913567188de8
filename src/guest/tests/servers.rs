//! Tests of the server images: the host's servers, started by the image's own loader.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rstest::rstest;
use tempfile::TempDir;

use super::launch::{Guest, dir, names, server};
use super::pid_one::First;
use crate::guest::{GuestLine, Image, load_manifest};
use crate::host::folders::Folders;
use crate::model::program::Program;

/// A server image, a folder for its files and an unused address.
struct ServerRoot {
    image: Image,
    folder: TempDir,
    address: SocketAddr,
}

impl ServerRoot {
    /// Returns `None` if the server is not installed.
    fn new(program: Program) -> Option<Self> {
        let image = server(program)?;
        Some(Self { image, folder: tempfile::tempdir().unwrap(), address: free_address() })
    }

    fn arguments(&self) -> Vec<String> {
        let address = self.address;
        vec![format!("listen={}", address.ip()), format!("port={}", address.port()), dir(self.folder.path())]
    }

    fn launch(&self, more: &[&str]) -> Guest {
        let mut command = Command::new(self.image.binary());
        command.args(self.arguments()).args(more);
        Guest::start(command)
    }

    /// Sends a request after which the server closes the connection, and returns the response.
    fn request(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    }

    fn is_gone(&self) -> bool {
        TcpStream::connect(self.address).is_err()
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// A request for each server, and the beginning and end of the response.
const NGINX: (&str, &str, &str) =
    ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK", "</html>\n");
const REDIS: (&str, &str, &str) = ("SET a b\r\nGET a\r\nQUIT\r\n", "+OK\r\n$1\r\nb", "+OK\r\n");

/// Reads lines up to `FW ready`, among them the server's own.
fn wait_ready(mut line: impl FnMut() -> Option<GuestLine>) {
    assert_eq!(line(), Some(GuestLine::Main));
    loop {
        match line() {
            Some(GuestLine::Ready) => return,
            Some(GuestLine::Other(_)) => {}
            other => panic!("not ready but {other:?}"),
        }
    }
}

fn error_in(lines: &[GuestLine]) -> &str {
    let text = lines.iter().find_map(|line| match line {
        GuestLine::Error(text) => Some(text.as_str()),
        _ => None,
    });
    text.unwrap_or_else(|| panic!("no error in {lines:?}"))
}

/// Returns all descendants of the process `pid`.
fn descendants(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children: Vec<u32> = children.split_whitespace().map(|text| text.parse().unwrap()).collect();
    children.iter().flat_map(|&child| std::iter::once(child).chain(descendants(child))).collect()
}

#[rstest]
#[case(Program::Nginx, NGINX)]
#[case(Program::Redis, REDIS)]
fn a_server_is_ready_when_it_answers_and_leaves_nothing_behind(
    #[case] program: Program,
    #[case] (request, begins, ends): (&str, &str, &str),
) {
    let Some(root) = ServerRoot::new(program) else { return };
    let mut guest = root.launch(&["deadline=30"]);
    wait_ready(|| guest.line());
    let response = root.request(request);
    assert!(response.starts_with(begins) && response.ends_with(ends), "{response}");
    guest.terminate();
    let (lines, status) = guest.finish();
    assert_eq!(status.code(), Some(143), "{lines:?}");
    assert!(root.is_gone());
    assert_eq!(names(root.folder.path()), Vec::<String>::new());
}

#[rstest]
#[case(Program::Nginx)]
#[case(Program::Redis)]
fn no_library_that_the_image_has_is_loaded_from_elsewhere(#[case] program: Program) {
    let Some(root) = ServerRoot::new(program) else { return };
    let mut guest = root.launch(&["deadline=30"]);
    wait_ready(|| guest.line());
    let pids = descendants(guest.pid());
    assert!(!pids.is_empty());
    for pid in pids {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let files = maps.lines().filter_map(|line| line.find(" /").map(|at| Path::new(&line[at + 1..])));
        let (own, others): (Vec<_>, Vec<_>) = files.partition(|path| path.starts_with(&root.image.rootfs));
        assert!(own.iter().any(|path| path.ends_with("fw/lib/libc.so.6")), "{own:?}");
        // The host's name service may load its own modules to look up a user.
        let lib = root.image.rootfs.join("fw/lib");
        let foreign: Vec<_> = others.iter().filter(|path| lib.join(path.file_name().unwrap()).exists()).collect();
        assert_eq!(foreign, Vec::<&&Path>::new());
    }
}

#[rstest]
#[case(Program::Nginx)]
#[case(Program::Redis)]
fn as_the_first_process_it_ends_by_a_signal_and_at_its_deadline(#[case] program: Program) {
    let Some(root) = ServerRoot::new(program) else { return };
    for (more, signal, code) in [("deadline=30", Some(Signal::SIGINT), 130), ("deadline=1", None, 124)] {
        let arguments = root.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain([more]).collect();
        let Some(mut first) = First::launch_binary(&root.image.binary(), &arguments) else { return };
        wait_ready(|| first.line());
        signal.map_or(Ok(()), |signal| kill(first.pid, signal)).unwrap();
        assert_eq!(first.finish().1, code);
        assert!(root.is_gone());
    }
}

#[test]
fn a_server_that_dies_is_an_error() {
    let Some(root) = ServerRoot::new(Program::Redis) else { return };
    let mut guest = root.launch(&["deadline=30"]);
    wait_ready(|| guest.line());
    let server = descendants(guest.pid())[0];
    kill(Pid::from_raw(server as i32), Signal::SIGKILL).unwrap();
    let (lines, status) = guest.finish();
    assert_eq!((error_in(&lines), status.code()), ("redis-server was ended by signal 9", Some(1)));
}

#[test]
fn a_server_whose_starter_is_killed_ends_with_all_its_processes() {
    let Some(root) = ServerRoot::new(Program::Nginx) else { return };
    let mut guest = root.launch(&["deadline=30"]);
    wait_ready(|| guest.line());
    // The master listens before its worker exists; a response shows that there is a worker.
    root.request(NGINX.0);
    let pids = descendants(guest.pid());
    assert_eq!(pids.len(), 2, "master and worker");
    kill(Pid::from_raw(guest.pid() as i32), Signal::SIGKILL).unwrap();
    // The output ends when the last process that holds it has ended.
    guest.finish();
    assert!(root.is_gone());
}

#[rstest]
#[case("color=red", "unknown key")]
#[case("port=0", "not a number from 1 to 65535")]
#[case("port=65536", "not a number from 1 to 65535")]
#[case("listen=::1", "not an IPv4 address")]
#[case("dir=", "no value")]
fn an_invalid_argument_is_rejected(#[case] argument: &str, #[case] why: &str) {
    let Some(root) = ServerRoot::new(Program::Nginx) else { return };
    let (lines, status) = root.launch(&[argument]).finish();
    let error = GuestLine::Error(format!("argument `{argument}`: {why}"));
    assert_eq!((lines, status.code()), (vec![GuestLine::Main, error], Some(2)));
}

#[rstest]
#[case(Program::Nginx)]
#[case(Program::Redis)]
fn an_address_that_another_program_uses_is_an_error(#[case] program: Program) {
    let Some(root) = ServerRoot::new(program) else { return };
    let _other = TcpListener::bind(root.address).unwrap();
    let (lines, status) = root.launch(&[]).finish();
    let expected = format!("listen on {}: Address already in use", root.address);
    assert_eq!((error_in(&lines), status.code()), (expected.as_str(), Some(1)));
}

#[rstest]
#[case::missing("dir=/no/such/folder", "/no/such/folder: No such file or directory")]
#[case::special_characters("dir=/a\"; include /b", "/a\"; include /b: Invalid argument")]
fn an_unusable_folder_is_an_error(#[case] argument: &str, #[case] error: &str) {
    let Some(root) = ServerRoot::new(Program::Redis) else { return };
    let (lines, status) = root.launch(&[argument]).finish();
    assert_eq!((error_in(&lines), status.code()), (error, Some(1)));
}

#[test]
fn the_manifest_lists_every_file_of_a_server() {
    let Some(image) = server(Program::Nginx) else { return };
    let manifest = load_manifest(&Folders::from_env()).unwrap().unwrap();
    let built = manifest.find(Program::Nginx).unwrap();
    let entry = built.server.as_ref().unwrap();
    assert_eq!((&built.sha256, built.size), (&image.digest, image.size));
    assert!(entry.version.as_ref().unwrap().starts_with("nginx version"), "{entry:?}");
    let digest = |path: &str| entry.files.iter().find(|file| file.path == path).map(|file| file.sha256.clone());
    assert_eq!(digest("fw/server/nginx"), Some(entry.sha256.clone()));
    for path in ["fw/nginx", "fw/lib/libc.so.6", "fw/server/nginx.conf", "fw/server/html/index.html", "etc/passwd"] {
        assert!(digest(path).is_some() && image.rootfs.join(path).is_file(), "{path}");
    }
    assert_eq!(image.size.0, entry.files.iter().map(|file| file.size.0).sum::<u64>());
}

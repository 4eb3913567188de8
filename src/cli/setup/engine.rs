//! Detects Docker's daemon: whether it answers on its socket, and which runtimes it has.
//!
//! A single request without a body needs no client library. With HTTP/1.0, the server closes the connection at the end.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

use super::plan::Engine;

/// The daemon's default socket.
const SOCKET: &str = "/var/run/docker.sock";

/// The time limit of a request. A working daemon answers within milliseconds.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The daemon's name in `/proc/PID/comm`.
const NAME: &str = "dockerd";

/// Detects the daemon.
pub(super) fn find() -> Engine {
    let socket = match socket(env::var_os("DOCKER_HOST").as_deref()) {
        Ok(path) => path,
        Err(host) => return Engine::Elsewhere { host },
    };
    match (runtimes(&socket), running()) {
        (Ok(runtimes), _) => Engine::Answers { runtimes },
        // If the socket exists and this user may not open it, a daemon uses it.
        (Err(e), _) if e.kind() == io::ErrorKind::PermissionDenied => Engine::Closed,
        (Err(_), Some(pid)) => Engine::Silent { pid },
        (Err(_), None) => Engine::Down,
    }
}

/// Returns the daemon's socket if `DOCKER_HOST` is unset or names it.
///
/// # Errors
/// The value of `DOCKER_HOST` if it names another host or socket.
fn socket(host: Option<&OsStr>) -> Result<PathBuf, String> {
    let host = host.map(|host| host.to_string_lossy().into_owned()).filter(|host| !host.is_empty());
    match host {
        None => Ok(PathBuf::from(SOCKET)),
        Some(host) => host.strip_prefix("unix://").filter(|path| *path == SOCKET).map(PathBuf::from).ok_or(host),
    }
}

/// Requests the runtimes of the daemon at `socket`.
fn runtimes(socket: &Path) -> io::Result<Vec<String>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /info HTTP/1.0\r\nHost: docker\r\n\r\n")?;
    let mut response = Vec::new();
    stream.read_to_end(&mut response)?;
    parse_info(&String::from_utf8_lossy(&response)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Returns the runtimes in a response to `GET /info`.
fn parse_info(response: &str) -> Option<Vec<String>> {
    let (head, body) = response.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?;
    let info: Value = (status == "200").then(|| serde_json::from_str(body).ok())??;
    Some(info["Runtimes"].as_object().into_iter().flat_map(Map::keys).cloned().collect())
}

/// Returns the process of a daemon in this network namespace, which may have no socket. Daemons in other namespaces,
/// such as those in containers, do not matter.
pub(super) fn running() -> Option<i32> {
    let network = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
    let own = network("self");
    let pids = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.into_iter()
        .find(|&pid: &i32| is_dockerd(pid) && network(&pid.to_string()).is_none_or(|other| Some(other) == own))
}

/// Whether the process is a `dockerd`.
pub(super) fn is_dockerd(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == NAME)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::unset(None, Ok(SOCKET))]
    #[case::empty(Some(""), Ok(SOCKET))]
    #[case::the_default(Some("unix:///var/run/docker.sock"), Ok(SOCKET))]
    #[case::another_socket(Some("unix:///run/podman.sock"), Err("unix:///run/podman.sock"))]
    #[case::another_host(Some("tcp://docker:2376"), Err("tcp://docker:2376"))]
    fn docker_host_is_respected(#[case] host: Option<&str>, #[case] expected: Result<&str, &str>) {
        let found = socket(host.map(OsStr::new));
        assert_eq!(found, expected.map(PathBuf::from).map_err(str::to_owned));
    }

    #[rstest]
    #[case::runtimes("HTTP/1.0 200 OK\r\nA: b\r\n\r\n{\"Runtimes\":{\"crun\":{},\"runc\":{}}}", Some(vec!["crun", "runc"]))]
    #[case::none("HTTP/1.0 200 OK\r\n\r\n{}", Some(vec![]))]
    #[case::an_error("HTTP/1.0 500 Oh\r\n\r\n{}", None)]
    #[case::cut_short("HTTP/1.0 200 OK\r\n\r\n{\"Runt", None)]
    #[case::nothing("", None)]
    fn the_response_names_the_runtimes(#[case] response: &str, #[case] expected: Option<Vec<&str>>) {
        let found = parse_info(response);
        assert_eq!(found, expected.map(|names| names.into_iter().map(str::to_owned).collect()));
    }

    #[test]
    fn a_daemon_answers_on_its_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("docker.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 36];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n{\"Runtimes\":{\"runc\":{}}}").unwrap();
            request
        });
        assert_eq!(runtimes(&path).unwrap(), ["runc"]);
        assert!(server.join().unwrap().starts_with(b"GET /info HTTP/1.0\r\n"));
        assert!(runtimes(&dir.path().join("none")).is_err());
    }
}

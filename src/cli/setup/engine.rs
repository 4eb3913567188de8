//! Docker's daemon as it is found: whether it answers on its socket, and which runtimes it knows.
//!
//! Two requests without a body need no client library. HTTP/1.0 makes the server close the connection at the end.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

use super::plan::Engine;

/// Where the daemon listens unless `DOCKER_HOST` says otherwise.
const SOCKET: &str = "/var/run/docker.sock";

/// A daemon that is alive answers within milliseconds; this one is taken for silent.
const ANSWER: Duration = Duration::from_secs(10);

/// How a service of this host appears in `/proc/PID/comm`.
const NAME: &str = "dockerd";

/// Asks for the daemon.
pub(super) fn find() -> Engine {
    let socket = match socket(env::var_os("DOCKER_HOST").as_deref()) {
        Ok(path) => path,
        Err(host) => return Engine::Elsewhere { host },
    };
    match (runtimes(&socket), living()) {
        (Ok(runtimes), _) => Engine::Answers { runtimes },
        // A socket that exists and may not be opened has a daemon behind it.
        (Err(e), _) if e.kind() == io::ErrorKind::PermissionDenied => Engine::Closed,
        (Err(_), Some(pid)) => Engine::Silent { pid },
        (Err(_), None) => Engine::Down,
    }
}

/// The local socket that `DOCKER_HOST` names.
///
/// # Errors
/// The host, where it is no local socket.
fn socket(host: Option<&OsStr>) -> Result<PathBuf, String> {
    let host = host.map(|host| host.to_string_lossy().into_owned()).filter(|host| !host.is_empty());
    match host {
        None => Ok(PathBuf::from(SOCKET)),
        Some(host) => host.strip_prefix("unix://").filter(|path| *path == SOCKET).map(PathBuf::from).ok_or(host),
    }
}

/// The runtimes of the daemon behind `socket`.
fn runtimes(socket: &Path) -> io::Result<Vec<String>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER))?;
    stream.set_write_timeout(Some(ANSWER))?;
    stream.write_all(b"GET /info HTTP/1.0\r\nHost: docker\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse_info(&String::from_utf8_lossy(&answer)).ok_or_else(|| io::Error::other("no answer of Docker's"))
}

/// The runtimes in an answer to `GET /info`.
fn parse_info(answer: &str) -> Option<Vec<String>> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?;
    let info: Value = (status == "200").then(|| serde_json::from_str(body).ok())??;
    Some(info["Runtimes"].as_object().into_iter().flat_map(Map::keys).cloned().collect())
}

/// A daemon in this network namespace: it may live without a socket. Those of other namespaces, in containers of their
/// own, are nobody's business here.
pub(super) fn living() -> Option<i32> {
    let network = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
    let here = network("self");
    let pids = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.into_iter()
        .find(|&pid: &i32| is_dockerd(pid) && network(&pid.to_string()).is_none_or(|there| Some(there) == here))
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
    #[case::the_usual_one(Some("unix:///var/run/docker.sock"), Ok(SOCKET))]
    #[case::another_socket(Some("unix:///run/podman.sock"), Err("unix:///run/podman.sock"))]
    #[case::another_host(Some("tcp://docker:2376"), Err("tcp://docker:2376"))]
    fn docker_host_is_heeded(#[case] host: Option<&str>, #[case] expected: Result<&str, &str>) {
        let found = socket(host.map(OsStr::new));
        assert_eq!(found, expected.map(PathBuf::from).map_err(str::to_owned));
    }

    #[rstest]
    #[case::runtimes("HTTP/1.0 200 OK\r\nA: b\r\n\r\n{\"Runtimes\":{\"crun\":{},\"runc\":{}}}", Some(vec!["crun", "runc"]))]
    #[case::none("HTTP/1.0 200 OK\r\n\r\n{}", Some(vec![]))]
    #[case::an_error("HTTP/1.0 500 Oh\r\n\r\n{}", None)]
    #[case::cut_short("HTTP/1.0 200 OK\r\n\r\n{\"Runt", None)]
    #[case::nothing("", None)]
    fn the_answer_names_the_runtimes(#[case] answer: &str, #[case] expected: Option<Vec<&str>>) {
        let found = parse_info(answer);
        assert_eq!(found, expected.map(|names| names.into_iter().map(str::to_owned).collect()));
    }

    #[test]
    fn a_daemon_is_asked_over_its_socket() {
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

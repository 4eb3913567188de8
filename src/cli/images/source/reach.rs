//! Checks which hosts accept connections, before anything is fetched. So a machine without network gets its error
//! within seconds instead of after the time limits of every tool.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// The time limit of a connection.
const CONNECT: Duration = Duration::from_secs(4);

/// The time limit of the whole check. Name resolution has no limit of its own.
const TOTAL: Duration = Duration::from_secs(6);

/// The environment variables of a proxy. With a proxy, direct connections to hosts do not matter.
const PROXIES: &[&str] = &["https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY"];

/// Returns the hosts of `urls` that accept no connection, as `host:port`, with the reasons.
pub(super) fn unreachable<'a>(urls: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    if PROXIES.iter().any(|name| env::var_os(name).is_some_and(|value| !value.is_empty())) {
        return BTreeMap::new();
    }
    let hosts: BTreeSet<String> = urls.filter_map(host).collect();
    let (sender, answers) = mpsc::channel();
    for host in hosts.clone() {
        let sender = sender.clone();
        // The thread may hang in name resolution; it is not joined.
        thread::spawn(move || sender.send((host.clone(), connect(&host))));
    }
    drop(sender);
    let until = Instant::now() + TOTAL;
    let mut unreachable: BTreeMap<String, String> =
        hosts.into_iter().map(|host| (host, format!("timed out after {} s", TOTAL.as_secs()))).collect();
    while let Ok((host, answer)) = answers.recv_timeout(until.saturating_duration_since(Instant::now())) {
        match answer {
            Ok(()) => drop(unreachable.remove(&host)),
            Err(error) => drop(unreachable.insert(host, error.to_string())),
        }
    }
    unreachable
}

/// Returns `host:port` of an address; `None` if it has no host, as a file's.
pub(super) fn host(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let port = match scheme {
        "https" => "443",
        "http" => "80",
        _ => return None,
    };
    let host = rest.split('/').next().unwrap_or(rest);
    Some(if host.contains(':') { host.to_owned() } else { format!("{host}:{port}") })
}

fn connect(host: &str) -> io::Result<()> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
    for address in host.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(_) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        assert_eq!(host("https://x.org/a/b").as_deref(), Some("x.org:443"));
        assert_eq!(host("http://127.0.0.1:8080/a").as_deref(), Some("127.0.0.1:8080"));
        assert_eq!(host("file:///a/b"), None);
    }

    #[test]
    fn a_host_that_does_not_listen_is_unreachable() {
        if PROXIES.iter().any(|name| env::var_os(name).is_some()) {
            eprintln!("skipped: a proxy is set");
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let listening = format!("http://{}/a", listener.local_addr().unwrap());
        // A port without a listener: it was free a moment ago.
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let found = unreachable([listening.as_str(), &format!("http://{closed}/b")].into_iter());
        assert_eq!(found.keys().cloned().collect::<Vec<_>>(), [closed.to_string()]);
    }
}

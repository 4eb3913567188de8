//! Which hosts answer at all. Asked before anything is fetched, so that a machine without network hears it within
//! seconds and not after the time limits of every tool.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// What a host may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(4);

/// What all of them may take, name resolution included, which has no limit of its own.
const ALL: Duration = Duration::from_secs(6);

/// With one of these the tools ask a proxy, and whether hosts are reached directly says nothing.
const PROXIES: &[&str] = &["https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY"];

/// Why the hosts of these addresses do not answer, by `host:port`.
pub(super) fn silent<'a>(urls: impl Iterator<Item = &'a str>) -> BTreeMap<String, String> {
    if PROXIES.iter().any(|name| env::var_os(name).is_some_and(|value| !value.is_empty())) {
        return BTreeMap::new();
    }
    let hosts: BTreeSet<String> = urls.filter_map(host).collect();
    let (sender, answers) = mpsc::channel();
    for host in hosts.clone() {
        let sender = sender.clone();
        // Nobody waits for one that hangs in name resolution.
        thread::spawn(move || sender.send((host.clone(), connect(&host))));
    }
    drop(sender);
    let until = Instant::now() + ALL;
    let mut open: BTreeMap<String, String> =
        hosts.into_iter().map(|host| (host, format!("no answer within {} s", ALL.as_secs()))).collect();
    while let Ok((host, answer)) = answers.recv_timeout(until.saturating_duration_since(Instant::now())) {
        match answer {
            Ok(()) => drop(open.remove(&host)),
            Err(reason) => drop(open.insert(host, reason)),
        }
    }
    open
}

/// `host:port` of an address; `None` for one without a host, such as a file's.
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

fn connect(host: &str) -> Result<(), String> {
    let addresses = host.to_socket_addrs().map_err(|error| error.to_string())?;
    let mut last = "its name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(_) => return Ok(()),
            Err(error) => last = error.to_string(),
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
    fn who_listens_is_told_from_who_does_not() {
        if PROXIES.iter().any(|name| env::var_os(name).is_some()) {
            eprintln!("skipped: a proxy is set, so hosts are not asked");
            return;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = format!("http://{}/a", listener.local_addr().unwrap());
        // A port that was just free and is not listened on.
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let found = silent([there.as_str(), &format!("http://{gone}/b")].into_iter());
        assert_eq!(found.keys().cloned().collect::<Vec<_>>(), [gone.to_string()]);
    }
}

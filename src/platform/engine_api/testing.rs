//! A fake engine for tests: it serves a little HTTP on its own socket, and misbehaves on demand.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use super::{Address, Engine, Patience};

/// Deadlines short enough for tests and long enough for a working engine on a busy machine.
pub(crate) const HASTY: Patience = Patience {
    greeting: Duration::from_secs(2),
    ordinary: Duration::from_secs(2),
    slow: Duration::from_secs(3),
    image: Duration::from_secs(3),
    ping: Duration::from_millis(200),
    silence: Duration::from_millis(200),
};

/// What it does once it has described itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behavior {
    /// Fulfills every request.
    Works,
    /// Never answers again.
    Hangs,
    /// Closes every connection.
    Closes,
    /// Has no container and no image.
    Refuses,
}

/// A listening engine. Its threads end with the test process.
#[derive(Debug)]
pub(crate) struct FakeEngine {
    dir: TempDir,
}

impl FakeEngine {
    pub(crate) fn start(behavior: Behavior) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let listener = UnixListener::bind(dir.path().join("engine.sock")).expect("a socket");
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                thread::spawn(move || serve(stream, behavior));
            }
        });
        Self { dir }
    }

    pub(crate) fn address(&self) -> Address {
        Address::Unix(self.dir.path().join("engine.sock"))
    }

    pub(crate) fn connect(&self) -> Engine {
        Engine::connect(&self.address(), HASTY).expect("it answers")
    }
}

/// Answers one connection's requests until it is closed.
fn serve(stream: UnixStream, behavior: Behavior) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut stream = stream;
    while let Some((method, path)) = request(&mut reader) {
        let path = path.split('?').next().unwrap_or_default();
        let answered = match path.trim_start_matches("/v1.41") {
            path if path.ends_with("/version") => answer(&mut stream, "200 OK", VERSION),
            "/info" => answer(&mut stream, "200 OK", INFO),
            path => misbehave(&mut stream, behavior, &method, path),
        };
        if answered.is_err() {
            return;
        }
    }
}

const VERSION: &str = r#"{"Version":"20.10.24","ApiVersion":"1.41"}"#;

const INFO: &str = r#"{"ServerVersion":"20.10.24","Driver":"overlay2","CgroupDriver":"cgroupfs","CgroupVersion":"1",
"DefaultRuntime":"runc","Runtimes":{"kata-qemu":{"path":""},"runc":{"path":"runc"},"runsc":{"path":"runsc","runtimeArgs":["--network=none"]}}}"#;

const EVENTS: &str = r#"{"Type":"container","Action":"create","Actor":{"Attributes":{"name":"fw-x"}}}
{"Type":"container","Action":"start","Actor":{"Attributes":{"name":"fw-x"}}}
{"Type":"container","Action":"die","Actor":{"Attributes":{"name":"fw-x","exitCode":"137"}}}
"#;

fn misbehave(stream: &mut UnixStream, behavior: Behavior, method: &str, path: &str) -> std::io::Result<()> {
    match (behavior, method, path) {
        (Behavior::Closes, ..) => Err(std::io::ErrorKind::BrokenPipe.into()),
        (Behavior::Hangs, ..) => loop {
            thread::park();
        },
        (Behavior::Refuses, ..) => answer(stream, "404 Not Found", r#"{"message":"No such container: fw-x"}"#),
        (_, "GET", "/events") => {
            let chunk = format!("{:x}\r\n{EVENTS}\r\n", EVENTS.len());
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
            stream.write_all(format!("{head}{chunk}").as_bytes())
        }
        (_, "GET", "/_ping") => answer(stream, "200 OK", "OK"),
        (_, "POST", "/containers/create") => answer(stream, "201 Created", r#"{"Id":"0","Warnings":[]}"#),
        (_, "GET", _) => answer(stream, "200 OK", "[]"),
        _ => answer(stream, "204 No Content", ""),
    }
}

fn answer(stream: &mut UnixStream, status: &str, body: &str) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes())
}

/// Reads one whole request and returns its method and path.
fn request(reader: &mut BufReader<UnixStream>) -> Option<(String, String)> {
    let line = line(reader)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut length, mut chunked) = (0, false);
    loop {
        let header = self::line(reader)?.to_ascii_lowercase();
        match header.split_once(": ") {
            None => break,
            Some(("content-length", value)) => length = value.parse().ok()?,
            Some(("transfer-encoding", _)) => chunked = true,
            Some(_) => {}
        }
    }
    if chunked {
        while let size @ 1.. = usize::from_str_radix(&self::line(reader)?, 16).ok()? {
            skip(reader, size + 2)?;
        }
        self::line(reader)?;
    }
    skip(reader, length).map(|()| (method, path))
}

fn line(reader: &mut BufReader<UnixStream>) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
    Some(line.trim_end().to_owned())
}

fn skip(reader: &mut BufReader<UnixStream>, count: usize) -> Option<()> {
    reader.read_exact(&mut vec![0; count]).ok()
}

//! As much of GitHub as the gate talks to: comments and issues over HTTP on the loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

/// The token that may write.
pub(crate) const TOKEN: &str = "a-token-that-may-write";

/// What has been written there: objects with `id`, `body` and `user`, comments and issues alike.
pub(crate) type Written = Arc<Mutex<Vec<Value>>>;

/// Serves until the test's process ends; its address, and what it holds.
pub(crate) fn serve(already: Vec<Value>) -> (String, Written) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the loopback");
    let address = format!("http://{}", listener.local_addr().expect("a bound listener has an address"));
    let written: Written = Arc::new(Mutex::new(already));
    let held = Arc::clone(&written);
    thread::spawn(move || listener.incoming().flatten().for_each(|stream| answer(stream, &held)));
    (address, written)
}

fn answer(stream: TcpStream, held: &Written) {
    let request = Request::read(&stream);
    let mut all = held.lock().expect("no test panics while it holds it");
    let (status, body) = request.done_to(&mut all);
    let length = body.len();
    let reply = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    (&stream).write_all(reply.as_bytes()).expect("curl reads its answer");
}

struct Request {
    method: String,
    path: String,
    authorization: String,
    body: Value,
}

impl Request {
    fn read(stream: &TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut line = || {
            let mut line = String::new();
            reader.read_line(&mut line).expect("curl speaks HTTP");
            line.trim_end().to_owned()
        };
        let first = line();
        let headers: Vec<String> = std::iter::from_fn(|| Some(line()).filter(|line| !line.is_empty())).collect();
        let header = |name: &str| {
            let found = headers.iter().filter_map(|line| line.split_once(": "));
            found.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned()).next()
        };
        let length = header("Content-Length").map_or(0, |value| value.parse().expect("a number"));
        let authorization = header("Authorization").unwrap_or_default();
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("as long as it says");
        let mut words = first.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        Self { method, path, authorization, body: serde_json::from_slice(&body).unwrap_or_default() }
    }

    /// As GitHub answers: reading is free, writing takes the token.
    fn done_to(&self, all: &mut Vec<Value>) -> (&'static str, String) {
        if self.method != "GET" && self.authorization != format!("Bearer {TOKEN}") {
            return ("403 Forbidden", json!({"message": "Resource not accessible by integration"}).to_string());
        }
        match self.method.as_str() {
            "GET" => ("200 OK", self.page(all)),
            "POST" => {
                let mut new = self.body.clone();
                let number = json!(all.len() + 1);
                let added = json!({"id": number, "number": number, "state": "open", "user": {"type": "Bot"}});
                new.as_object_mut().expect("an object").extend(added.as_object().expect("an object").clone());
                all.push(new);
                ("201 Created", "{}".to_owned())
            }
            _ => {
                let id = self.path.rsplit('/').next().and_then(|id| id.parse::<usize>().ok());
                let of_id = all.iter_mut().find(|entry| entry["id"].as_u64() == id.map(|id| id as u64));
                of_id.expect("what is edited is there")["body"] = self.body["body"].clone();
                ("200 OK", "{}".to_owned())
            }
        }
    }

    /// A hundred at a time, of the state that is asked for.
    fn page(&self, all: &[Value]) -> String {
        assert!(self.path.contains("per_page=100"), "{}", self.path);
        let is_wanted = |entry: &&Value| match self.path.split_once("state=") {
            Some((_, rest)) => entry["state"].as_str().is_some_and(|state| rest.starts_with(state)),
            None => true,
        };
        let page = self.path.rsplit("page=").next().and_then(|page| page.parse::<usize>().ok());
        let page = page.expect("a page is asked for");
        json!(all.iter().filter(is_wanted).skip((page - 1) * 100).take(100).collect::<Vec<_>>()).to_string()
    }
}

//! A proxy between the harness and the host's engine. It can hang or close connections, like an engine that hangs or stops,
//! while the engine itself continues to serve other users.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// The state of the simulated engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Works,
    Hangs,
    Stopped,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    streams: Vec<UnixStream>,
}

#[derive(Debug)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

/// The proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    path: PathBuf,
    engine: PathBuf,
    gate: Arc<Gate>,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens at `path` and forwards all bytes to `engine` and back.
    pub(crate) fn start(path: PathBuf, engine: PathBuf) -> Self {
        let state = Mutex::new(State { mode: Mode::Works, streams: Vec::new() });
        let gate = Arc::new(Gate { state, changed: Condvar::new() });
        let mut proxy = Self { path, engine, gate, accepting: None };
        proxy.work();
        proxy
    }

    /// The value for `DOCKER_HOST`.
    pub(crate) fn address(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// Stops forwarding bytes. Connections are still accepted.
    pub(crate) fn hang(&self) {
        self.gate.set(Mode::Hangs);
    }

    /// Closes all connections and refuses new ones.
    pub(crate) fn stop(&mut self) {
        self.gate.set(Mode::Stopped);
        let streams = std::mem::take(&mut self.gate.lock().streams);
        for stream in streams {
            // It fails if the other side has closed the connection.
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(accepting) = self.accepting.take() {
            // Another connection wakes the thread, which then ends.
            let _ = UnixStream::connect(&self.path);
            accepting.join().expect("it ends");
        }
    }

    /// Starts or continues to forward.
    pub(crate) fn work(&mut self) {
        self.gate.set(Mode::Works);
        if self.accepting.is_none() {
            let _ = std::fs::remove_file(&self.path);
            let listener = UnixListener::bind(&self.path).expect("a socket");
            let (gate, engine) = (Arc::clone(&self.gate), self.engine.clone());
            self.accepting = Some(thread::spawn(move || accept(&listener, &gate, &engine)));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, mode: Mode) {
        self.lock().mode = mode;
        self.changed.notify_all();
    }

    /// Waits while the daemon hangs.
    fn pass(&self) -> Mode {
        let waited = self.changed.wait_while(self.lock(), |state| state.mode == Mode::Hangs);
        waited.unwrap_or_else(PoisonError::into_inner).mode
    }
}

fn accept(listener: &UnixListener, gate: &Arc<Gate>, engine: &Path) {
    while let Ok((client, _)) = listener.accept() {
        if gate.lock().mode == Mode::Stopped {
            return;
        }
        let Ok(server) = UnixStream::connect(engine) else { continue };
        let copy = |stream: &UnixStream| stream.try_clone().expect("a descriptor");
        gate.lock().streams.extend([copy(&client), copy(&server)]);
        for (from, to) in [(copy(&client), copy(&server)), (server, client)] {
            let gate = Arc::clone(gate);
            thread::spawn(move || forward(from, to, &gate));
        }
    }
}

/// Forwards bytes until one side closes the connection.
fn forward(mut from: UnixStream, mut to: UnixStream, gate: &Gate) {
    let mut buffer = [0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).unwrap_or(0);
        if gate.pass() == Mode::Stopped || read == 0 || to.write_all(&buffer[..read]).is_err() {
            // It fails if the other side has closed the connection.
            let _ = to.shutdown(Shutdown::Write);
            return;
        }
    }
}

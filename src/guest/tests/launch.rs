//! Launches a guest program as a process and reads its lines.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::guest::{BuildError, GuestLine, Image, ensure};
use crate::host::folders::Folders;
use crate::model::program::Program;

/// Returns the binary of a program other than a server, built once for all tests.
pub(super) fn binary(program: Program) -> PathBuf {
    static IMAGES: OnceLock<Vec<Image>> = OnceLock::new();
    let images = IMAGES.get_or_init(|| {
        let is_static = |program: &Program| program.port().is_none();
        let programs: Vec<_> = Program::ALL.iter().copied().filter(is_static).collect();
        ensure(&Folders::from_env(), &programs, &mut |step| eprintln!("{step}")).expect("the guests build")
    });
    images.iter().find(|image| image.program == program).expect("every program was built").binary()
}

/// Returns the image of a server, built once for all tests. Returns `None` and prints the reason if the server is not
/// installed.
pub(crate) fn server(program: Program) -> Option<Image> {
    static IMAGES: Mutex<Vec<Image>> = Mutex::new(Vec::new());
    let mut images = IMAGES.lock().unwrap_or_else(PoisonError::into_inner);
    if !images.iter().any(|image| image.program == program) {
        match ensure(&Folders::from_env(), &[program], &mut |step| eprintln!("{step}")) {
            Ok(built) => images.extend(built),
            Err(missing @ BuildError::NoServer { .. }) => println!("skipped: {missing}"),
            Err(error) => panic!("{program} is not built: {error}"),
        }
    }
    images.iter().find(|image| image.program == program).cloned()
}

/// A running guest, killed on drop.
pub(crate) struct Guest {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Guest {
    /// Launches a program, with a deadline of 30 seconds unless `arguments` contain one.
    pub(super) fn launch(program: Program, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary(program));
        if !arguments.iter().any(|argument| argument.starts_with("deadline=")) {
            command.arg("deadline=30");
        }
        command.args(arguments);
        Self::start(command)
    }

    /// Starts a command as a guest.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        Self { child, lines: BufReader::new(stdout) }
    }

    /// Runs a command on a pipe that separates writes (`O_DIRECT`, `pipe(2)`), and returns the text of each write.
    pub(super) fn separate_writes(mut command: Command) -> Vec<String> {
        let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_DIRECT).unwrap();
        let mut child = command.stdout(writer).spawn().unwrap();
        drop(command); // it owns the writing end
        let mut buffer = [0; 4096];
        let mut file = File::from(reader);
        let sizes = std::iter::from_fn(|| match file.read(&mut buffer).unwrap() {
            0 => None,
            size => Some(String::from_utf8_lossy(&buffer[..size]).into_owned()),
        });
        let writes = sizes.collect();
        child.wait().unwrap();
        writes
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Reads the next line; `None` at the end.
    pub(crate) fn line(&mut self) -> Option<GuestLine> {
        let mut text = String::new();
        let size = self.lines.read_line(&mut text).unwrap();
        (size > 0).then(|| GuestLine::parse(&text))
    }

    /// Reads the lines up to `FW ready`.
    pub(crate) fn wait_ready(&mut self) {
        assert_eq!(self.line(), Some(GuestLine::Main));
        assert_eq!(self.line(), Some(GuestLine::Ready));
    }

    pub(crate) fn terminate(&self) {
        let pid = nix::unistd::Pid::from_raw(self.pid() as i32);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    }

    /// Returns the remaining lines and the exit status.
    pub(crate) fn finish(mut self) -> (Vec<GuestLine>, ExitStatus) {
        let lines = std::iter::from_fn(|| self.line()).collect();
        (lines, self.child.wait().unwrap())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Fails if the guest has ended already, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program and returns its lines and its exit code.
pub(super) fn run(program: Program, arguments: &[&str]) -> (Vec<GuestLine>, Option<i32>) {
    let (lines, status) = Guest::launch(program, arguments).finish();
    assert_eq!(status.signal(), None, "{program} was killed");
    (lines, status.code())
}

/// Returns the argument `dir=PATH`.
pub(crate) fn dir(path: &Path) -> String {
    format!("dir={}", path.display())
}

/// Returns the names in a folder.
pub(super) fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

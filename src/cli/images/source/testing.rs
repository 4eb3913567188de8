//! Local repositories and a local server, from which tests fetch.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;

use super::lock::Repository;

/// Commits `files` to the branch `staging` of the repository `name` in `dir`, and returns it pinned to that commit.
pub(in crate::cli::images) fn repository(dir: &Path, name: &str, files: &[(&str, &str)]) -> Repository {
    let folder = dir.join(name);
    fs::create_dir_all(&folder).unwrap();
    for (path, content) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    git(&folder, &["init", "--quiet", "--initial-branch=staging"]);
    git(&folder, &["add", "--all", "--force"]);
    git(
        &folder,
        &["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "--allow-empty", "-m", "x"],
    );
    let commit = git(&folder, &["rev-parse", "HEAD"]);
    let url = format!("https://no-such-host.invalid/{name}.git");
    Repository { name: name.into(), url, commit: Some(commit), tree: None, follow: Vec::new(), why: None }
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Serves `good` (three bytes), `other` (three different bytes) and `truncated`, which is shorter than its announced
/// length.
pub(in crate::cli::images) struct Server(SocketAddr);

impl Server {
    /// Starts a server that runs as long as the test.
    pub(in crate::cli::images) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || listener.incoming().flatten().for_each(answer));
        Self(address)
    }

    /// Returns the address of a file.
    pub(in crate::cli::images) fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.0)
    }
}

fn answer(mut stream: TcpStream) {
    let mut line = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let _ = reader.read_line(&mut line);
    // Read the whole request: a client that gets an early response may see its connection reset.
    while matches!(reader.read_line(&mut String::new()), Ok(n) if n > 2) {}
    let (status, length, body) = match line.split(' ').nth(1) {
        Some("/good" | "/good.tar.gz") => ("200 OK", 3, "abc"),
        Some("/other") => ("200 OK", 3, "abd"),
        Some("/truncated") => ("200 OK", 30, "abc"),
        _ => ("404 Not Found", 0, ""),
    };
    let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
}

//! GitHub's REST API, through curl: proxies and certificates are the host's.
//!
//! Invariant: the token is never an argument, since every process on the machine can read those. curl reads it from its
//! standard input.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::Value;

use super::runner::GitHub;

/// Entries on a page; GitHub allows no more.
const PAGE: usize = 100;

/// Pages that are searched for a marker.
const MAX_PAGES: usize = 50;

/// The API of one repository.
#[derive(Debug)]
pub(super) struct Api {
    repository: String,
    token: String,
}

/// A method that changes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// Creates.
    Post,
    /// Updates.
    Patch,
}

/// A comment or an issue.
#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    /// The id of a comment.
    pub(super) id: u64,
    /// The number of an issue.
    pub(super) number: Option<u64>,
    body: Option<String>,
    user: Option<User>,
}

#[derive(Debug, Deserialize)]
struct User {
    #[serde(rename = "type")]
    kind: String,
}

impl Api {
    /// The API of the runner's repository.
    ///
    /// # Errors
    /// Outside of a runner, where the repository is unknown.
    pub(super) fn new(github: &GitHub, token: &str) -> anyhow::Result<Self> {
        let api = github.api.as_deref().context("GITHUB_API_URL is not set")?;
        let repository = github.repository.as_deref().context("GITHUB_REPOSITORY is not set")?;
        Ok(Self { repository: format!("{api}/repos/{repository}"), token: token.to_owned() })
    }

    /// Creates or updates something. The path is relative to the repository.
    ///
    /// # Errors
    /// When GitHub cannot be reached or refuses.
    pub(super) fn send(&self, method: Method, path: &str, body: &Value) -> anyhow::Result<()> {
        let method = match method {
            Method::Post => "POST",
            Method::Patch => "PATCH",
        };
        let file = tempfile::NamedTempFile::new().context("failed to create a temporary file")?;
        serde_json::to_writer(&file, body).context("failed to write a temporary file")?;
        self.request(method, path, Some(file.path())).map(drop)
    }

    /// The first entry of a list that has `marker` in its text and that an app wrote. Anybody can write a comment with a
    /// marker in it, and the gate must not edit theirs. The path ends in `?` or `&`.
    ///
    /// # Errors
    /// When GitHub cannot be reached or refuses.
    pub(super) fn find_marked(&self, path: &str, marker: &str) -> anyhow::Result<Option<Entry>> {
        for page in 1..=MAX_PAGES {
            let text = self.request("GET", &format!("{path}per_page={PAGE}&page={page}"), None)?;
            let entries: Vec<Entry> = serde_json::from_str(&text).context("failed to parse GitHub's list")?;
            let is_last = entries.len() < PAGE;
            let found = entries.into_iter().find(|entry| entry.is_marked(marker));
            if found.is_some() || is_last {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn request(&self, method: &str, path: &str, body: Option<&Path>) -> anyhow::Result<String> {
        let arguments = arguments(method, &format!("{}/{path}", self.repository), body);
        let output = curl(&arguments, &configuration(&self.token))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            bail!("{method} {path}: {} {}", error.trim(), text.trim());
        }
        Ok(text)
    }
}

impl Entry {
    fn is_marked(&self, marker: &str) -> bool {
        let is_by_app = self.user.as_ref().is_some_and(|user| user.kind == "Bot");
        is_by_app && self.body.as_ref().is_some_and(|body| body.contains(marker))
    }
}

fn curl(arguments: &[String], configuration: &str) -> anyhow::Result<Output> {
    let mut command = Command::new("curl");
    command.args(arguments).env_remove("GATE_TOKEN");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("failed to start curl")?;
    let mut stdin = child.stdin.take().expect("its standard input is a pipe");
    stdin.write_all(configuration.as_bytes()).context("failed to write to curl")?;
    drop(stdin);
    child.wait_with_output().context("failed to wait for curl")
}

fn arguments(method: &str, url: &str, body: Option<&Path>) -> Vec<String> {
    let mut arguments = vec!["--config", "-", "--silent", "--show-error", "--fail-with-body", "--max-time", "30"];
    arguments.extend(["--request", method]);
    arguments.extend(["--header", "Accept: application/vnd.github+json"]);
    arguments.extend(["--header", "X-GitHub-Api-Version: 2022-11-28"]);
    let mut arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
    if let Some(path) = body {
        arguments.extend(["--data-binary".to_owned(), format!("@{}", path.display())]);
    }
    arguments.push(url.to_owned());
    arguments
}

/// The part of curl's configuration that is secret.
fn configuration(token: &str) -> String {
    let token = token.replace('\\', r"\\").replace('"', "\\\"").replace(['\r', '\n'], "");
    format!("header = \"Authorization: Bearer {token}\"\n")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_token_is_in_the_configuration_and_in_no_argument() {
        assert_eq!(configuration("ab\"c\n"), "header = \"Authorization: Bearer ab\\\"c\"\n");
        let arguments = arguments("POST", "https://api/x", Some(Path::new("/folder/body")));
        assert_eq!(arguments[..2], ["--config", "-"]);
        assert!(!arguments.iter().any(|argument| argument.contains("Authorization")), "{arguments:?}");
        assert_eq!(arguments[arguments.len() - 3..], ["--data-binary", "@/folder/body", "https://api/x"]);
    }

    #[rstest]
    #[case::by_an_app(json!({"id": 1, "body": "<!-- m --> x", "user": {"type": "Bot"}}), true)]
    #[case::by_a_person(json!({"id": 1, "body": "<!-- m --> x", "user": {"type": "User"}}), false)]
    #[case::without_the_marker(json!({"id": 1, "body": "x", "user": {"type": "Bot"}}), false)]
    #[case::without_a_text(json!({"id": 1, "number": 2, "body": null, "user": {"type": "Bot"}}), false)]
    #[case::of_a_deleted_user(json!({"id": 1, "body": "<!-- m -->", "user": null}), false)]
    fn only_marked_entries_of_apps_are_found(#[case] entry: Value, #[case] expected: bool) {
        let entry: Entry = serde_json::from_value(entry).unwrap();
        assert_eq!(entry.is_marked("<!-- m -->"), expected);
    }
}

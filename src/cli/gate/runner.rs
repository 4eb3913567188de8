//! The environment of a GitHub Actions runner, read into one struct.
//!
//! Everything has a value outside of a runner as well, so that the steps can be tried on any machine.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;

/// What the runner provides.
#[derive(Debug, Clone)]
pub(super) struct Runner {
    /// The calling repository.
    pub(super) workspace: PathBuf,
    /// The folder for temporary files.
    pub(super) temporary: PathBuf,
    /// The file that takes the outputs of a step.
    pub(super) output: Option<PathBuf>,
    /// The file that takes the job summary.
    pub(super) step_summary: Option<PathBuf>,
    /// Where this repository is on GitHub.
    pub(super) github: GitHub,
    /// The token that writes comments, issues and the history.
    pub(super) token: Option<String>,
    /// The event that started the workflow, as a JSON file.
    event: Option<PathBuf>,
}

/// The addresses of a repository and of a workflow run.
#[derive(Debug, Clone)]
pub(super) struct GitHub {
    /// Address of the web site.
    pub(super) server: String,
    /// Address of the API.
    pub(super) api: Option<String>,
    /// `OWNER/NAME`.
    pub(super) repository: Option<String>,
    run_id: String,
}

/// The part of an event's JSON that the gate reads.
#[derive(Debug, Deserialize)]
struct Event {
    pull_request: Option<PullRequest>,
}

#[derive(Debug, Deserialize)]
struct PullRequest {
    number: u64,
}

impl Runner {
    /// The runner of this process.
    pub(super) fn from_env() -> Self {
        Self::from_variables(|name| env::var_os(name))
    }

    /// The runner by its variables. An empty variable counts as unset.
    fn from_variables(read: impl Fn(&str) -> Option<OsString>) -> Self {
        let variable = |name| read(name).filter(|value| !value.is_empty());
        let path = |name| variable(name).map(PathBuf::from);
        let text = |name| variable(name).and_then(|value| value.into_string().ok());
        Self {
            workspace: path("GITHUB_WORKSPACE").unwrap_or_else(|| PathBuf::from(".")),
            temporary: path("RUNNER_TEMP").or_else(|| path("TMPDIR")).unwrap_or_else(|| PathBuf::from("/tmp")),
            output: path("GITHUB_OUTPUT"),
            step_summary: path("GITHUB_STEP_SUMMARY"),
            github: GitHub {
                server: text("GITHUB_SERVER_URL").unwrap_or_else(|| "https://github.com".to_owned()),
                api: text("GITHUB_API_URL"),
                repository: text("GITHUB_REPOSITORY"),
                run_id: text("GITHUB_RUN_ID").unwrap_or_default(),
            },
            token: text("GATE_TOKEN"),
            event: path("GITHUB_EVENT_PATH"),
        }
    }

    /// The number of the pull request that started the workflow, if one did.
    ///
    /// # Errors
    /// When the event cannot be read.
    pub(super) fn pull_request(&self) -> anyhow::Result<Option<u64>> {
        let Some(path) = &self.event else { return Ok(None) };
        let event = read_event(path).with_context(|| format!("failed to read the event {}", path.display()))?;
        Ok(event.pull_request.map(|pull_request| pull_request.number))
    }
}

fn read_event(path: &Path) -> anyhow::Result<Event> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

impl GitHub {
    /// The page of the workflow run.
    pub(super) fn run_url(&self) -> String {
        let repository = self.repository.as_deref().unwrap_or_default();
        format!("{}/{repository}/actions/runs/{}", self.server, self.run_id)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn runner(variables: &[(&str, &str)]) -> Runner {
        Runner::from_variables(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let runner = runner(&[("RUNNER_TEMP", ""), ("TMPDIR", "/scratch"), ("GATE_TOKEN", "")]);
        assert_eq!((runner.temporary.to_str(), runner.token), (Some("/scratch"), None));
        assert_eq!(runner.github.run_url(), "https://github.com//actions/runs/");
    }

    #[test]
    fn the_page_of_the_run_is_on_the_same_server() {
        let server = ("GITHUB_SERVER_URL", "https://github.example");
        let runner = runner(&[server, ("GITHUB_REPOSITORY", "a/b"), ("GITHUB_RUN_ID", "17")]);
        assert_eq!(runner.github.run_url(), "https://github.example/a/b/actions/runs/17");
    }

    #[rstest]
    #[case::pull_request(r#"{"action": "opened", "pull_request": {"number": 5, "title": "x"}}"#, Some(5))]
    #[case::schedule(r#"{"schedule": "29 2 * * *"}"#, None)]
    #[case::nothing(r#"{"pull_request": null}"#, None)]
    fn the_event_names_the_pull_request(#[case] event: &str, #[case] expected: Option<u64>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), event).unwrap();
        let runner = runner(&[("GITHUB_EVENT_PATH", file.path().to_str().unwrap())]);
        assert_eq!(runner.pull_request().unwrap(), expected);
    }

    #[test]
    fn an_event_that_cannot_be_read_is_an_error() {
        assert!(runner(&[("GITHUB_EVENT_PATH", "/no/event")]).pull_request().is_err());
        assert_eq!(runner(&[]).pull_request().unwrap(), None);
    }
}

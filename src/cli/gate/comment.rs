//! The step `comment`: the job summary as a comment on the pull request, created once and updated afterwards.
//!
//! Invariant: the comment is a convenience. No failure here fails the job.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;

use super::api::{Api, Method};
use super::inputs::{given, is_true};
use super::measure::SUMMARY_FILE;
use super::runner::Runner;
use super::workflow::{Level, annotate, print};
use super::{TITLE, summary, title};

/// Options of the step `comment`.
#[derive(Debug, clap::Args)]
pub(super) struct CommentOptions {
    /// Folder of the measurement, with its summary
    #[arg(long, value_name = "DIR", env = "GATE_FOLDER", hide_env_values = true)]
    folder: PathBuf,
    /// Title of the gate
    #[arg(long, value_name = "TEXT", env = "GATE_TITLE", hide_env_values = true)]
    title: String,
    /// Whether to comment: true, false [default: true]
    #[arg(long, value_name = "BOOL", env = "GATE_COMMENT", hide_env_values = true)]
    comment: Option<String>,
    /// Number of the pull request [default: the one in GITHUB_EVENT_PATH]
    #[arg(long, value_name = "N", env = "GATE_PULL_REQUEST", hide_env_values = true)]
    pull_request: Option<String>,
}

/// Writes the comment, or prints why there is none.
pub(super) fn comment(options: &CommentOptions, runner: &Runner) {
    match write_comment(options, runner) {
        Ok(message) => print(message),
        Err(error) => {
            print(&format!("failed to write the comment: {error:#}").replace('\n', " "));
            let reason = "No comment on the pull request: the token has no permission to write one, as on pull \
                          requests from forks, or GitHub did not answer. The job summary has the whole result.";
            annotate(Level::Notice, TITLE, reason);
        }
    }
}

fn write_comment(options: &CommentOptions, runner: &Runner) -> anyhow::Result<&'static str> {
    if !is_true(&options.comment) {
        return Ok("no comment: disabled by `comment`");
    }
    let Some(pull_request) = options.pull_request(runner)? else {
        return Ok("no comment: the event is not a pull request");
    };
    let Some(token) = &runner.token else { return Ok("no comment: no token") };
    let api = Api::new(&runner.github, token)?;
    let path = options.folder.join(SUMMARY_FILE);
    create_or_update(&api, pull_request, &title::sanitize(&options.title), &path, &runner.github.run_url())
}

impl CommentOptions {
    fn pull_request(&self, runner: &Runner) -> anyhow::Result<Option<u64>> {
        match given(&self.pull_request) {
            Some(number) => Ok(number.parse().ok()),
            None => runner.pull_request(),
        }
    }
}

fn create_or_update(
    api: &Api,
    pull_request: u64,
    title: &str,
    summary: &Path,
    run_url: &str,
) -> anyhow::Result<&'static str> {
    let text = fs::read_to_string(summary).with_context(|| format!("failed to read {}", summary.display()))?;
    let marker = title::marker(title);
    let body = json!({"body": summary::comment(&marker, &text, run_url)});
    let comments = format!("issues/{pull_request}/comments");
    match api.find_marked(&format!("{comments}?"), &marker)? {
        Some(found) => {
            api.send(Method::Patch, &format!("issues/comments/{}", found.id), &body)?;
            Ok("updated the comment")
        }
        None => {
            api.send(Method::Post, &comments, &body)?;
            Ok("created the comment")
        }
    }
}

//! The branch that keeps the history.
//!
//! Invariant: the token goes to git through the environment, for one command at a time. It is in no argument, in no file
//! and in no address that git prints.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::cli::gate::runner::Runner;

/// The branch, which has no code.
pub(super) const BRANCH: &str = "featherweight-history";

/// Who commits, by name and by address.
const AUTHOR: [&str; 2] = ["user.name=github-actions[bot]", "user.email=github-actions[bot]@users.noreply.github.com"];

/// The repository on GitHub.
#[derive(Debug)]
pub(super) struct Remote {
    url: String,
    token: Option<String>,
}

impl Remote {
    /// The runner's repository.
    ///
    /// # Errors
    /// Outside of a runner, where the repository is unknown.
    pub(super) fn new(runner: &Runner) -> anyhow::Result<Self> {
        let repository = runner.github.repository.as_deref().context("GITHUB_REPOSITORY is not set")?;
        let url = format!("{}/{repository}.git", runner.github.server);
        Ok(Self { url, token: runner.token.clone() })
    }

    /// Checks the branch out into an empty folder. In the first night there is no branch, and the folder becomes a new
    /// one.
    ///
    /// # Errors
    /// When git fails.
    pub(super) fn check_out(&self, folder: &Path) -> anyhow::Result<()> {
        let folder = folder.as_os_str();
        if self.has_branch()? {
            let clone = ["clone", "--quiet", "--depth", "1", "--single-branch", "--branch", BRANCH, &self.url];
            return run(self.git().args(clone).arg(folder));
        }
        run(git().args(["init", "--quiet", "--initial-branch", BRANCH]).arg(folder))?;
        run(git().arg("-C").arg(folder).args(["remote", "add", "origin", &self.url]))
    }

    /// Commits every file of `folder` and pushes the branch. Returns whether anything was new.
    ///
    /// # Errors
    /// When git fails.
    pub(super) fn push(&self, folder: &Path, message: &str) -> anyhow::Result<bool> {
        let folder = folder.as_os_str();
        run(in_folder(git(), folder).args(["add", "--all"]))?;
        if !has_changes(folder)? {
            return Ok(false);
        }
        let [name, email] = AUTHOR;
        run(in_folder(git(), folder).args(["-c", name, "-c", email, "commit", "--quiet", "--message", message]))?;
        run(in_folder(self.git(), folder).args(["push", "--quiet", "origin", &format!("HEAD:refs/heads/{BRANCH}")]))?;
        Ok(true)
    }

    fn has_branch(&self) -> anyhow::Result<bool> {
        let mut command = self.git();
        command.args(["ls-remote", "--heads", &self.url, BRANCH]).stderr(Stdio::inherit());
        let output = command.output().context("failed to start git")?;
        if !output.status.success() {
            bail!("`git ls-remote {}` failed: {}", self.url, output.status);
        }
        Ok(!output.stdout.is_empty())
    }

    /// git with the token, where there is one.
    fn git(&self) -> Command {
        let mut command = git();
        if let Some(token) = &self.token {
            let header = format!("Authorization: basic {}", base64(format!("x-access-token:{token}").as_bytes()));
            command.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_KEY_0", "http.extraheader");
            command.env("GIT_CONFIG_VALUE_0", header);
        }
        command
    }
}

fn git() -> Command {
    let mut command = Command::new("git");
    command.env_remove("GATE_TOKEN");
    command
}

fn in_folder(mut git: Command, folder: &OsStr) -> Command {
    git.arg("-C").arg(folder);
    git
}

fn has_changes(folder: &OsStr) -> anyhow::Result<bool> {
    let status = in_folder(git(), folder).args(["diff", "--cached", "--quiet"]).status();
    match status.context("failed to start git")?.code() {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        _ => bail!("`git diff` failed in {}", folder.display()),
    }
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().context("failed to start git")?;
    if !status.success() {
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        bail!("`git {}` failed: {status}", words.join(" "));
    }
    Ok(())
}

/// Base64 with padding, RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |chunk: &[u8]| {
        let byte = |n: usize| u32::from(chunk.get(n).copied().unwrap_or_default());
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digit = |n: usize| char::from(DIGITS[(bits >> (18 - 6 * n) & 63) as usize]);
        [0, 1, 2, 3].map(|n| if n <= chunk.len() { digit(n) } else { '=' })
    };
    bytes.chunks(3).flat_map(digits).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("", "")]
    #[case("f", "Zg==")]
    #[case("fo", "Zm8=")]
    #[case("foo", "Zm9v")]
    #[case("foobar", "Zm9vYmFy")]
    #[case("x-access-token:ghs_1?>", "eC1hY2Nlc3MtdG9rZW46Z2hzXzE/Pg==")]
    fn base64_is_that_of_the_rfc(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(base64(text.as_bytes()), expected);
    }

    #[test]
    fn the_token_is_only_in_the_environment_of_git() {
        let remote = Remote { url: "https://github.com/a/b.git".to_owned(), token: Some("secret".to_owned()) };
        let command = remote.git();
        let value = command.get_envs().find(|(name, _)| *name == "GIT_CONFIG_VALUE_0").and_then(|(_, value)| value);
        assert_eq!(value.unwrap(), "Authorization: basic eC1hY2Nlc3MtdG9rZW46c2VjcmV0");
        assert!(command.get_envs().any(|(name, value)| name == "GATE_TOKEN" && value.is_none()));
        assert_eq!(command.get_args().count(), 0);
    }
}

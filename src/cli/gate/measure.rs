//! The step `measure`: `cargo xtask ab`, then the job summary, annotations and the action's outputs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::arguments::AbArguments;
use super::arms::Arms;
use super::inputs::Inputs;
use super::programs::Programs;
use super::runner::Runner;
use super::session::{latest_session, verdicts};
use super::summary::Summary;
use super::title::{artifact, title};
use super::verdict::Outcome;
use super::workflow::{Level, annotation, print, write_outputs, write_summary};

/// The file with the job summary, which the step `comment` reads.
pub(super) const SUMMARY_FILE: &str = "summary.md";

/// A measurement that has ended.
#[derive(Debug)]
struct Measurement {
    title: String,
    command: String,
    folder: PathBuf,
    session: Option<PathBuf>,
    outcome: Outcome,
}

/// Measures and writes the result to the outputs of the step. The last step decides whether the job fails.
///
/// # Errors
/// When an input is invalid, a program cannot be started, or a file cannot be written.
pub(super) fn measure(inputs: &Inputs, runner: &Runner) -> anyhow::Result<()> {
    let arms = Arms::from_inputs(inputs, &runner.workspace)?;
    let arguments = AbArguments::new(inputs, &arms)?;
    let folder = new_folder(&runner.temporary)?;
    let programs = Programs::new(inputs.as_root(), Some(&folder))?;
    let code = programs.run_logged(&arguments.with_output_in(&folder), &folder.join("log.txt"))?;
    let session = latest_session(&folder);
    let outcome = Outcome::new(code, &session.as_deref().map(verdicts).unwrap_or_default());
    let measurement = Measurement { title: title(inputs), command: arguments.command(), folder, session, outcome };
    measurement.write_summary(runner)?;
    measurement.annotations(&programs).iter().for_each(|line| print(line));
    measurement.write_outputs(runner)
}

/// A folder that outlives this process: a later step uploads it.
fn new_folder(parent: &Path) -> anyhow::Result<PathBuf> {
    let folder = tempfile::Builder::new().prefix("featherweight-gate.").tempdir_in(parent);
    let folder = folder.with_context(|| format!("failed to create a folder in {}", parent.display()))?;
    Ok(folder.keep())
}

impl Measurement {
    fn write_summary(&self, runner: &Runner) -> anyhow::Result<()> {
        let read = |name: &str| {
            let bytes = fs::read(self.folder.join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let name = self.session.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy());
        let summary = Summary {
            title: &self.title,
            outcome: self.outcome,
            comparison: &read("comparison.md"),
            log: &read("log.txt"),
            command: &self.command,
            session: name.as_deref(),
            run_url: &runner.github.run_url(),
        };
        let markdown = summary.markdown();
        let path = self.folder.join(SUMMARY_FILE);
        fs::write(&path, &markdown).with_context(|| format!("failed to write {}", path.display()))?;
        write_summary(runner.step_summary.as_deref(), &markdown)
    }

    /// The annotations of the stored session, or one that names the reason why there is none.
    fn annotations(&self, programs: &Programs) -> Vec<String> {
        let shown = self.session.as_ref().and_then(|session| {
            programs.read(&["ab", &format!("--show={}", session.display()), "--format=github"]).ok()
        });
        let lines = annotations_in(&shown.map(|(_, text)| text).unwrap_or_default());
        if !lines.is_empty() {
            return lines;
        }
        let title = format!("Featherweight: {}", self.title);
        vec![annotation(Level::Error, &title, self.outcome.verdict.sentence())]
    }

    fn write_outputs(&self, runner: &Runner) -> anyhow::Result<()> {
        let outputs = [
            ("verdict", self.outcome.verdict.name()),
            ("code", &self.outcome.code.to_string()),
            ("folder", &self.folder.display().to_string()),
            ("title", &self.title),
            ("artifact", &artifact(&self.title)),
        ];
        write_outputs(runner.output.as_deref(), &outputs)
    }
}

/// The lines that are annotations, and no other workflow command.
fn annotations_in(text: &str) -> Vec<String> {
    let is_annotation = |line: &&str| ["::error ", "::warning ", "::notice "].iter().any(|kind| line.starts_with(kind));
    text.lines().filter(is_annotation).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_annotations_are_repeated() {
        let text = "boot\n::error title=a::b\n::set-env name=x::y\n ::error title=c::d\n::notice title=e::f\n::errors";
        assert_eq!(annotations_in(text), ["::error title=a::b", "::notice title=e::f"]);
    }
}

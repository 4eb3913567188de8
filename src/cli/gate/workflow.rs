//! What a step prints for the runner: workflow commands, outputs, the job summary.
//! GitHub documents them under "Workflow commands for GitHub Actions".

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::Context;

/// The kind of an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// Red.
    Error,
    /// Yellow.
    Warning,
    /// Blue.
    Notice,
}

/// Prints a line on standard output. A closed pipe does not stop the step.
pub(super) fn print(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// Shows a message with the job.
pub(super) fn annotate(level: Level, title: &str, text: &str) {
    print(&annotation(level, title, text));
}

/// The workflow command of an annotation.
pub(super) fn annotation(level: Level, title: &str, text: &str) -> String {
    let level = match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Notice => "notice",
    };
    format!("::{level} title={}::{}", escape(title).replace(':', "%3A").replace(',', "%2C"), escape(text))
}

/// Escapes text for a workflow command, which is one line.
fn escape(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Workflow commands are off while this value exists: whatever a guest prints, it stays text.
#[derive(Debug)]
pub(super) struct CommandsOff {
    token: String,
}

impl CommandsOff {
    /// Turns workflow commands off. Only a random token that nobody can guess turns them on again.
    ///
    /// # Errors
    /// When the kernel's random numbers cannot be read.
    pub(super) fn new() -> anyhow::Result<Self> {
        let mut bytes = [0; 16];
        let mut random = File::open("/dev/urandom").context("failed to open /dev/urandom")?;
        random.read_exact(&mut bytes).context("failed to read /dev/urandom")?;
        let token = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        print(&format!("::stop-commands::{token}"));
        Ok(Self { token })
    }
}

impl Drop for CommandsOff {
    fn drop(&mut self) {
        print(&format!("::{}::", self.token));
    }
}

/// Appends outputs of the step to the runner's file. Outside of a runner there is none.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write_outputs(file: Option<&Path>, outputs: &[(&str, &str)]) -> anyhow::Result<()> {
    let Some(path) = file else { return Ok(()) };
    let lines: String = outputs.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    append(path, &lines)
}

/// Appends Markdown to the job summary, or prints it outside of a runner.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write_summary(file: Option<&Path>, markdown: &str) -> anyhow::Result<()> {
    match file {
        Some(path) => append(path, markdown),
        None => {
            print(markdown.trim_end());
            Ok(())
        }
    }
}

fn append(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().append(true).create(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("failed to write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_annotation_is_one_line_and_its_title_one_property() {
        let text = annotation(Level::Warning, "boot: 5%, of A", "100 %\r\nof: this, all");
        assert_eq!(text, "::warning title=boot%3A 5%25%2C of A::100 %25%0D%0Aof: this, all");
        assert!(annotation(Level::Error, "a\n::error::", "").starts_with("::error title=a%0A%3A%3Aerror%3A%3A::"));
        assert!(annotation(Level::Notice, "x", "y").starts_with("::notice "));
    }

    #[test]
    fn outputs_and_summaries_are_appended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        write_outputs(Some(&path), &[("verdict", "passed"), ("code", "0")]).unwrap();
        write_summary(Some(&path), "### x\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "verdict=passed\ncode=0\n### x\n");
        write_outputs(None, &[("verdict", "passed")]).unwrap();
    }
}

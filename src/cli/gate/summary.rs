//! The Markdown that readers see: the job summary and the comment on the pull request.

use super::verdict::Outcome;

/// The longest comment, in characters. GitHub accepts 65,536.
const MAX_COMMENT: usize = 60_000;

/// How much of the log replaces a missing comparison, in lines.
const LOG_LINES: usize = 20;

/// What the summary shows.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    /// The gate's title.
    pub(super) title: &'a str,
    /// How the measurement ended.
    pub(super) outcome: Outcome,
    /// The comparison in Markdown; empty when nothing was compared.
    pub(super) comparison: &'a str,
    /// What the measurement printed.
    pub(super) log: &'a str,
    /// The command that repeats the measurement.
    pub(super) command: &'a str,
    /// The id of the stored session.
    pub(super) session: Option<&'a str>,
    /// The page of the workflow run.
    pub(super) run_url: &'a str,
}

impl Summary<'_> {
    /// The job summary.
    pub(super) fn markdown(&self) -> String {
        let Self { title, outcome, command, run_url, .. } = self;
        let session = self.session.map(|id| format!(", session `{id}`")).unwrap_or_default();
        format!(
            "### Featherweight: {title}\n\n\
             **{sentence}**\n\n\
             {result}\n\
             <details><summary>How it was measured</summary>\n\n    \
             {command}\n\n\
             Exit code {code}{session}. The artifact of [this workflow run]({run_url}) contains the trials.\n\n\
             </details>\n",
            sentence = outcome.verdict.sentence(),
            result = self.result(),
            code = outcome.code,
        )
    }

    /// The comparison, or the end of the log, which shows why there is none.
    fn result(&self) -> String {
        if !self.comparison.is_empty() {
            return with_newline(self.comparison);
        }
        let lines: Vec<&str> = self.log.lines().collect();
        code_block(&lines[lines.len().saturating_sub(LOG_LINES)..])
    }
}

/// The comment: the marker, then the summary or, where that is too long, its heading and a link.
pub(super) fn comment(marker: &str, summary: &str, run_url: &str) -> String {
    if summary.chars().count() < MAX_COMMENT {
        return format!("{marker}\n{summary}");
    }
    let heading = summary.split("\n\n").next().unwrap_or_default();
    format!("{marker}\n{heading}\n\nThe result is too long for a comment. See the [job summary]({run_url}).\n")
}

/// Indents the lines, so that Markdown shows them as code whatever they contain.
pub(super) fn code_block(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("    {line}\n")).collect()
}

fn with_newline(text: &str) -> String {
    if text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::gate::verdict::Verdict;

    fn summary<'a>(comparison: &'a str, log: &'a str) -> Summary<'a> {
        Summary {
            title: "boot on youki",
            outcome: Outcome { code: 0, verdict: Verdict::Passed },
            comparison,
            log,
            command: "cargo xtask ab --a=youki --b=youki --bench=boot",
            session: Some("20261101-010000-aaaa"),
            run_url: "https://github.com/a/b/actions/runs/17",
        }
    }

    #[test]
    fn a_comparison_stands_between_the_verdict_and_the_command() {
        let expected = "### Featherweight: boot on youki\n\n\
            **No regression.**\n\n\
            | a | b |\n\n\
            <details><summary>How it was measured</summary>\n\n    \
            cargo xtask ab --a=youki --b=youki --bench=boot\n\n\
            Exit code 0, session `20261101-010000-aaaa`. The artifact of [this workflow run]\
            (https://github.com/a/b/actions/runs/17) contains the trials.\n\n\
            </details>\n";
        assert_eq!(summary("| a | b |\n", "").markdown(), expected);
    }

    #[test]
    fn without_a_comparison_the_end_of_the_log_is_shown_as_code() {
        let log: String = (1..=25).map(|n| format!("line {n}\n")).collect();
        let text = Summary { session: None, ..summary("", &log) }.markdown();
        assert!(text.contains("**No regression.**\n\n    line 6\n    line 7\n"), "{text}");
        assert!(text.contains("    line 25\n\n<details>") && text.contains("Exit code 0. The artifact"), "{text}");
    }

    #[test]
    fn a_long_summary_becomes_a_link() {
        let text = summary("x", "").markdown();
        assert_eq!(comment("<!-- m -->", &text, "https://run"), format!("<!-- m -->\n{text}"));
        let long = summary(&"x".repeat(MAX_COMMENT), "").markdown();
        let expected = "<!-- m -->\n### Featherweight: boot on youki\n\nThe result is too long for a comment. \
            See the [job summary](https://run).\n";
        assert_eq!(comment("<!-- m -->", &long, "https://run"), expected);
    }
}

//! A comparison as annotations: workflow commands of GitHub Actions on standard output
//! (docs.github.com, "Workflow commands for GitHub Actions").

use super::words::{counted, counts, few, headline, quantity, ranked, reasons, whole_change};
use crate::compare::rule::{Comparison, Line, Verdict};

/// The number of annotations that GitHub shows per level and step. The last one counts the rest. The result of the whole
/// comparison is a notice, too.
const MOST: usize = 10;

/// The levels of annotations.
#[derive(Clone, Copy)]
enum AnnotationLevel {
    Error,
    Warning,
    Notice,
}

pub(super) fn github(comparison: &Comparison) -> String {
    let not_comparable = comparison.not_comparable.iter();
    let refused = not_comparable.map(|reason| ("Not comparable".to_owned(), reason.clone())).collect();
    let lines = ranked(comparison);
    let with_verdict = |verdict: Verdict, title: &str| -> Vec<(String, String)> {
        let lines = lines.iter().filter(|line| line.decision.verdict == verdict);
        let title = |line: &Line| format!("{title}: {} {}", line.case, line.metric);
        lines.map(|line| (title(line), message(line, counted(comparison)))).collect()
    };
    let invalid: Vec<&Line> = lines.iter().copied().filter(|l| l.decision.verdict == Verdict::Invalid).collect();
    let invalid = reasons(&invalid).into_iter();
    let invalid = invalid.map(|(_, reason, names)| ("Invalid".to_owned(), format!("{}: {reason}", few(&names))));
    let parts = [
        annotations(AnnotationLevel::Error, refused, MOST),
        annotations(AnnotationLevel::Error, with_verdict(Verdict::Regressed, "Regression"), MOST),
        annotations(AnnotationLevel::Warning, invalid.collect(), MOST),
        annotations(AnnotationLevel::Notice, with_verdict(Verdict::Improved, "Improvement"), MOST - 1),
        command(AnnotationLevel::Notice, "Featherweight", &format!("{} {}", headline(comparison), counts(comparison))),
    ];
    parts.concat()
}

/// `+5.2 % (98 % +4.1 % to +6.3 %): 7.19 ms (…) against 7.56 ms (…), 60 blocks`.
fn message(line: &Line, counted: &str) -> String {
    let change = whole_change(line.decision.shift.as_ref());
    let [a, b] = [&line.a, &line.b].map(|side| {
        let (value, spread) = quantity(side.as_ref(), line.unit);
        if spread.is_empty() { value } else { format!("{value} ({spread})") }
    });
    let reason = line.decision.reason.as_ref().map(|reason| format!("; {reason}")).unwrap_or_default();
    format!("{change}: {a} against {b}, {} {counted}{reason}", line.decision.blocks)
}

fn annotations(level: AnnotationLevel, mut all: Vec<(String, String)>, most: usize) -> String {
    if all.len() > most {
        let rest: Vec<String> = all.split_off(most - 1).into_iter().map(|(title, _)| title).collect();
        all.push((format!("{} more", rest.len()), few(&rest)));
    }
    all.iter().map(|(title, message)| command(level, title, message)).collect()
}

fn command(level: AnnotationLevel, title: &str, message: &str) -> String {
    let level = match level {
        AnnotationLevel::Error => "error",
        AnnotationLevel::Warning => "warning",
        AnnotationLevel::Notice => "notice",
    };
    format!("::{level} title={}::{}\n", property(title), data(message.trim()))
}

/// The message of a command: line ends are percent-encoded, as the runner's toolkit does.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a command, which a colon or a comma would end, too.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

//! Every format with the same comparison, and with texts and numbers that could break it.

use std::collections::BTreeMap;

use super::*;
use crate::compare::rule::{Decision, Line, Side, Verdict};
use crate::model::units::{Direction, Nanos, Unit};
use crate::stats::{Estimate, Interval, Summary};

fn summary(median: f64, count: usize) -> Summary {
    let interval = (count >= 6).then_some(Interval { low: 0.98 * median, high: 1.03 * median, level: 0.95 });
    Summary { count, median, mean: median, sd: None, min: 0.9 * median, max: 1.5 * median, interval }
}

fn line(case: &str, metric: &str, verdict: Verdict, shift: f64) -> Line {
    let interval = Interval { low: shift - 0.01, high: shift + 0.01, level: 0.98 };
    Line {
        case: case.into(),
        metric: metric.into(),
        unit: Unit::Nanos,
        direction: Direction::Lower,
        a: Some(summary(7.19e6, 90)),
        b: Some(summary(7.19e6 * shift.exp(), 90)),
        decision: Decision {
            verdict,
            shift: Some(Estimate { value: shift, interval: Some(interval) }),
            p: Some(0.0004),
            detectable: Some(0.042),
            blocks: 60,
            reason: None,
            failed: false,
        },
    }
}

fn side(name: &str, revision: &str) -> Side {
    let facts = [("revision", revision), ("kernel", "6.12.1")];
    Side { name: name.into(), facts: BTreeMap::from(facts.map(|(k, v)| (k.to_owned(), v.to_owned()))) }
}

/// A comparison with every verdict.
fn every_verdict() -> Comparison {
    let throughput = Line {
        unit: Unit::PerSecond,
        direction: Direction::Higher,
        a: Some(summary(45_800.0, 12)),
        b: Some(summary(48_900.0, 12)),
        ..line("scalability/youki/nginx/0", "throughput", Verdict::Improved, -0.065)
    };
    let noisy = line("boot/docker/hello/10", "boot", Verdict::Regressed, 0.3);
    let noisy = Line { decision: noisy.decision.invalid("CPU 1 after the run: others had 50 % of its time"), ..noisy };
    let skipped = Decision::without_numbers(Verdict::Skipped, "no `podman` in PATH");
    let skipped =
        Line { a: None, b: None, decision: skipped, ..line("boot/podman/hello/0", "boot", Verdict::Skipped, 0.0) };
    let single =
        Line { a: Some(summary(7e6, 1)), ..line("boot/youki/hello/0", "removal", Verdict::Inconclusive, 0.02) };
    Comparison {
        a: side("docker:runc", "5ec9498"),
        b: side("docker:crun", "ff4b0d4"),
        notes: vec!["the arms were measured in turn".into()],
        not_comparable: Vec::new(),
        lines: vec![
            line("boot/hello/0", "boot_whole", Verdict::Equivalent, 0.001),
            skipped,
            single,
            throughput,
            noisy,
            line("boot/hello/0", "boot", Verdict::Regressed, 0.051),
        ],
        took: Some(Nanos(200_000_000_000)),
    }
}

fn refused() -> Comparison {
    let why = "different hosts: kernel: 6.8.0 against 6.12.1".to_owned();
    let notes = Vec::new();
    Comparison { not_comparable: vec![why], lines: Vec::new(), took: None, notes, ..every_verdict() }
}

fn printed(comparison_: &Comparison, format: Format) -> String {
    comparison(comparison_, format, Look::Plain, Some(120))
}

#[test]
fn a_comparison_as_text() {
    insta::assert_snapshot!(printed(&every_verdict(), Format::Text));
}

#[test]
fn a_comparison_as_markdown() {
    insta::assert_snapshot!(printed(&every_verdict(), Format::Markdown));
}

#[test]
fn a_comparison_as_annotations() {
    insta::assert_snapshot!(printed(&every_verdict(), Format::Github));
}

#[test]
fn every_format_has_the_reason_against_a_comparison() {
    for format in Format::ALL {
        let text = printed(&refused(), *format);
        assert!(text.contains("6.8.0 against 6.12.1"), "{format}: {text}");
        assert!(!text.contains("No regression"), "{format}: {text}");
    }
}

#[test]
fn an_invalid_comparison_is_not_free_of_regressions() {
    let invalid = |mut line: Line| {
        line.decision.verdict = Verdict::Invalid;
        line
    };
    let lines = every_verdict().lines.into_iter().map(invalid).collect();
    let text = printed(&Comparison { lines, ..every_verdict() }, Format::Markdown);
    assert!(text.starts_with("### Nothing could be compared."), "{text}");
}

#[test]
fn cases_without_a_number_in_b_are_in_the_headline() {
    let lost = Decision::without_numbers(Verdict::Inconclusive, "B has no successful trials of 12: no main line");
    let lost = Line { b: None, decision: lost, ..line("boot/hello/9", "boot", Verdict::Inconclusive, 0.0) };
    let same = line("boot/hello/0", "boot", Verdict::Equivalent, 0.0);
    let headline = |lines| {
        let text = printed(&Comparison { lines, ..every_verdict() }, Format::Markdown);
        text.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(headline(vec![same, lost.clone()]), "### No regression found. 1 case has no number in B.");
    assert_eq!(headline(vec![lost]), "### Nothing could be compared. 1 case has no number in B.");
}

#[test]
fn stored_runs_are_counted_in_trials() {
    let stored = Comparison { took: None, ..every_verdict() };
    for format in [Format::Text, Format::Markdown, Format::Github] {
        let text = printed(&stored, format);
        assert!(text.contains("trials") && !text.contains("blocks"), "{format}: {text}");
    }
}

#[test]
fn a_comment_is_never_too_long_for_github() {
    let mut long = every_verdict();
    for i in 0..2_000 {
        let verdict = Verdict::ALL[i % Verdict::ALL.len()];
        let mut line = line(&format!("isolation/youki/sqlite/same-thread/{i}"), "insert_time", verdict, 0.1);
        line.decision.reason = Some(format!("reason {i}, which is a sentence of its own & has a cause"));
        long.lines.push(line);
    }
    long.notes = (0..100).map(|i| format!("note {i}")).collect();
    let text = printed(&long, Format::Markdown);
    assert!(text.chars().count() < 65_536, "{}", text.chars().count());
    assert!(text.contains(" more lines are in the JSON.") && text.contains("- note 99\n"), "{}", text.len());
    assert!(text.contains("</details>") && text.contains("its own &amp; has"));
}

#[test]
fn json_reads_back_as_the_comparison_and_has_per_cents() {
    let text = printed(&every_verdict(), Format::Json);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::from_value::<Comparison>(value.clone()).unwrap(), every_verdict());
    assert_eq!((&value["schema"], &value["regressed"]), (&1.into(), &true.into()));
    assert_eq!((&value["verdicts"]["REGRESSED"], &value["verdicts"]["SKIPPED"]), (&1.into(), &1.into()));
    let line = &value["lines"][5];
    assert_eq!((&line["unit"], &line["direction"]), (&"ns".into(), &"lower".into()));
    assert!(line["change"]["percent"].as_f64().is_some_and(|p| (p - 5.2323).abs() < 1e-3), "{line}");
    assert!(value["lines"][1]["change"].is_null());
}

#[test]
fn colors_are_for_terminals_only() {
    let styled = comparison(&every_verdict(), Format::Text, Look::Styled, Some(120));
    assert!(styled.contains("\x1b[1;31mREGRESSED\x1b[0m") && styled.contains("\x1b[1;32mIMPROVED\x1b[0m"));
    for format in Format::ALL {
        assert!(!printed(&every_verdict(), *format).contains('\x1b'), "{format}");
    }
}

#[test]
fn no_name_breaks_the_markup() {
    let mut hostile = every_verdict();
    hostile.lines[5].case = "a|b<script>\n::error::x,y:z%".into();
    hostile.lines[5].decision.reason = Some("1\r\n2".into());
    let annotation = printed(&hostile, Format::Github).lines().next().unwrap_or_default().to_owned();
    assert!(annotation.starts_with("::error title=Regression%3A a|b<script>%0A%3A%3Aerror%3A%3Ax%2Cy%3Az%25 boot::"));
    assert!(annotation.ends_with("; 1%0D%0A2"), "{annotation}");
    let markdown = printed(&hostile, Format::Markdown);
    assert!(markdown.contains(r"| a\|b\<script\> ::error::x,y:z% | boot |"), "{markdown}");
}

#[test]
fn github_shows_ten_annotations_of_a_level_and_the_last_counts_the_rest() {
    let lines = (0..25).map(|i| line(&format!("boot/hello/{i}"), "boot", Verdict::Regressed, 0.1)).collect();
    let text = printed(&Comparison { lines, ..every_verdict() }, Format::Github);
    let errors: Vec<&str> = text.lines().filter(|l| l.starts_with("::error")).collect();
    assert_eq!(errors.len(), 10);
    assert!(errors[9].starts_with("::error title=16 more::Regression: boot/hello/9 boot, "), "{}", errors[9]);
    let lines = (0..25).map(|i| line(&format!("boot/hello/{i}"), "boot", Verdict::Improved, -0.1)).collect();
    let text = printed(&Comparison { lines, ..every_verdict() }, Format::Github);
    let notices: Vec<&str> = text.lines().filter(|l| l.starts_with("::notice")).collect();
    assert_eq!(notices.len(), 10, "with the result of the whole comparison");
    assert!(notices[9].contains("No regression found."), "{}", notices[9]);
}

#[test]
fn values_that_are_not_numbers_are_not_printed() {
    let mut odd = every_verdict();
    odd.lines[5].decision.shift = Some(Estimate { value: f64::MAX, interval: None });
    odd.lines[5].decision.detectable = Some(f64::NAN);
    for format in [Format::Text, Format::Markdown, Format::Github] {
        let text = printed(&odd, format);
        assert!(!text.contains("NaN") && !text.contains("inf"), "{format}: {text}");
    }
}

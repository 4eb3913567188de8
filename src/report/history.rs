//! The page of a history: `history/index.html` in the report's folder, with a small chart per metric.
//!
//! Pure except for writing the page. Invariant: the page needs no network and no script, and every text is escaped.

use std::fs;
use std::path::{Path, PathBuf};

use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};
use serde::Serialize;

use super::figures::{Axis, AxisScale, Figure, Plot, STYLE, Start, Step, StyleSheet, TrackChart, TrackPoint, svg};
use super::write::{WriteError, put};
use crate::compare::history::{Change, Contents, Entry, Question, Track, questions, tracks};
use crate::model::units::{Scale, Unit};

/// The path of the page, relative to the report's page.
pub(super) const PAGE: &str = "history/index.html";

/// A machine's tracks.
#[derive(Debug, Serialize)]
struct Machine {
    key: String,
    name: String,
    charts: Vec<Chart>,
}

/// One metric of one case.
#[derive(Debug, Serialize)]
struct Chart {
    id: String,
    title: String,
    caption: String,
    svg: String,
    changes: Vec<TrackRow>,
}

/// A change in words.
#[derive(Debug, Serialize)]
struct TrackRow {
    text: String,
    before: String,
    after: String,
    differences: Vec<String>,
    is_worse: bool,
}

/// Writes the page of a history into the report's folder `dir` and returns its path.
///
/// # Errors
/// When it cannot be written; an existing page stays intact.
pub fn write_history(contents: &Contents, dir: &Path) -> Result<PathBuf, WriteError> {
    let path = dir.join(PAGE);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|source| WriteError::Io { path: folder.to_owned(), source })?;
    }
    put(&path, &page(contents)?)?;
    Ok(path)
}

fn page(contents: &Contents) -> Result<String, minijinja::Error> {
    let tracks = tracks(&contents.entries);
    let questions: Vec<Question> = questions(&tracks, &contents.entries);
    let mut templates = Environment::new();
    templates.add_template("history.html", include_str!("templates/history.html"))?;
    let page = templates.get_template("history.html")?.render(context! {
        machines => Value::from(Serde(&machines(&tracks))),
        questions => Value::from(Serde(&questions)),
        abouts => questions.iter().map(Question::about).collect::<Vec<_>>(),
        warnings => Value::from(Serde(&contents.warnings)),
        css => include_str!("templates/page.css"),
        figure_css => STYLE,
        version => env!("CARGO_PKG_VERSION"),
    })?;
    // No line break between a number and its sign.
    Ok(page.replace(" %", "\u{a0}%"))
}

fn machines(tracks: &[Track<'_>]) -> Vec<Machine> {
    // Tracks are ordered by machine.
    let machine = |(i, group): (usize, &[Track<'_>])| Machine {
        key: group[0].last().host.to_string(),
        name: group[0].last().machine.clone(),
        charts: group.iter().enumerate().map(|(n, one)| chart(one, &format!("h{i}-{n}"))).collect(),
    };
    tracks.chunk_by(|a, b| a.last().host == b.last().host).enumerate().map(machine).collect()
}

fn chart(track: &Track<'_>, id: &str) -> Chart {
    let last = track.last();
    let figure = figure(track, id);
    Chart {
        id: id.to_owned(),
        title: figure.title.clone(),
        caption: format!(
            "Ratio to {}; above 1 is worse. {}. Last: {}, {}.",
            track.against(),
            sessions(track),
            Scale::of(last.unit, last.median).text(last.median),
            last.day()
        ),
        svg: svg(&figure, StyleSheet::Page),
        changes: track.changes.iter().map(row).collect(),
    }
}

/// `40 sessions, 2 of them not valid and not shown`.
fn sessions(track: &Track<'_>) -> String {
    let all = track.entries.len();
    let not_shown = all - valid(track).count();
    let count = if all == 1 { "1 session".to_owned() } else { format!("{all} sessions") };
    if not_shown == 0 { count } else { format!("{count}, {not_shown} of them not valid and not shown") }
}

fn valid<'s>(track: &'s Track<'_>) -> impl Iterator<Item = (&'s Entry, f64)> {
    track.entries.iter().filter_map(|entry| Some((*entry, entry.sound_ratio()?)))
}

fn figure(track: &Track<'_>, id: &str) -> Figure {
    let title = format!("{}: {}", track.name(), track.last().metric);
    let points: Vec<TrackPoint> = valid(track).map(|(entry, ratio)| point(entry, ratio)).collect();
    let changes: Vec<String> = track.changes.iter().map(|change| row(change).text).collect();
    let alternative = match changes.as_slice() {
        [] => format!("{}, no change of level", sessions(track)),
        changes => format!("{}: {}", sessions(track), changes.join("; ")),
    };
    let ends = track.entries.first().map(|first| (first.day().to_owned(), track.last().day().to_owned()));
    let y = Axis { label: "ratio".to_owned(), unit: Unit::Ratio, scale: AxisScale::Linear, start: Start::Fit };
    let steps = track.changes.iter().map(step).collect();
    let plot = Plot::Track(TrackChart { y, points, steps, days: ends });
    Figure { id: id.to_owned(), title, caption: String::new(), alternative, plot }
}

fn point(entry: &Entry, ratio: f64) -> TrackPoint {
    let interval = entry.ratio.as_ref().and_then(|ratio| ratio.interval);
    let range = interval.map(|i| format!(" ({:.3} to {:.3})", i.low, i.high)).unwrap_or_default();
    let median = Scale::of(entry.unit, entry.median).text(entry.median);
    let verdict = entry.verdict.map(|verdict| format!(", {verdict}")).unwrap_or_default();
    let hover = format!("{ratio:.3}{range}{verdict}\n{median}, median of {}\n{}", entry.trials, identity(entry));
    TrackPoint { y: ratio, spread: interval.map(|i| (i.low, i.high)), hover }
}

/// The session with the versions of everything that was measured.
fn identity(entry: &Entry) -> String {
    let kernel = entry.kernel.as_deref().unwrap_or("unknown");
    let guest = entry.image.as_deref().and_then(|image| image.get(..12)).unwrap_or("unknown");
    let versions = entry.versions.iter().map(|(name, version)| format!("\n{name} {version}"));
    format!(
        "{} {}\ncommit {}, Featherweight {}, kernel {kernel}, guest {guest}{}",
        entry.day(),
        entry.session,
        entry.commit(),
        entry.version,
        versions.collect::<String>()
    )
}

fn step(change: &Change<'_>) -> Step {
    let differences = match change.differences.as_slice() {
        [] => "no recorded difference".to_owned(),
        some => some.join("\n"),
    };
    Step {
        at: change.point.at,
        before: change.point.before,
        after: change.point.after,
        label: format!("{:+.1} %", 100.0 * change.point.shift()).replace('-', "−"),
        hover: format!("{}\n{differences}", row(change).text),
    }
}

fn row(change: &Change<'_>) -> TrackRow {
    let (point, before, after) = (&change.point, change.before, change.after);
    TrackRow {
        text: format!(
            "{} between {} and {} (from {:.3} to {:.3}, p {:.4})",
            change.in_words(),
            before.session,
            after.session,
            point.before,
            point.after,
            point.p
        ),
        before: identity(before),
        after: identity(after),
        differences: change.differences.clone(),
        is_worse: point.shift() > 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::history::testing::{entry, stepped};

    fn page_of(entries: Vec<Entry>) -> String {
        page(&Contents { entries, warnings: vec!["h.jsonl, line 3: <torn>".to_owned()] }).unwrap()
    }

    #[test]
    fn a_change_is_marked_and_has_its_question() {
        let page = page_of(stepped(60, 40, 0.05));
        assert_eq!(page.matches("<svg").count(), 1);
        assert!(page.contains(">+5.0\u{a0}%<") || page.contains(">+4.9\u{a0}%<") || page.contains(">+5.1\u{a0}%<"));
        assert!(page.contains("cargo xtask ab --a youki,guests=aaaa"), "the question has its command");
        assert!(page.contains("commit bbbbbbbbbbbb, Featherweight 0.1.0, kernel 6.8.0, guest bbbbbbbbbbbb"));
        assert_eq!(page.matches("median of 20").count(), 60, "each session has its title");
    }

    #[test]
    fn the_page_needs_no_script_and_no_network_and_escapes_its_texts() {
        let odd = Entry { platform: "<script>alert(1)</script>".to_owned(), ..entry(1) };
        let page = page_of(vec![odd]);
        assert!(!page.contains("<script") && page.contains("&lt;script&gt;"));
        assert!(
            !page.contains("http://")
                || page.matches("http://").count() == page.matches("http://www.w3.org/2000/svg").count()
        );
        assert!(page.contains("line 3: &lt;torn&gt;"));
    }

    #[test]
    fn an_empty_history_has_a_remark() {
        assert!(page_of(Vec::new()).contains("No sessions are stored yet"));
    }

    #[test]
    fn simulated_times_are_marked() {
        assert!(page_of(vec![Entry { simulated: true, ..entry(1) }]).contains("(SIMULATED)"));
    }

    #[test]
    fn the_page_is_written_where_the_report_links_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = write_history(&Contents::default(), dir.path()).unwrap();
        assert_eq!(path, dir.path().join(PAGE));
        assert!(fs::read_to_string(path).unwrap().ends_with("</html>"));
    }
}

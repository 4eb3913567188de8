//! Formats a history as text, Markdown or JSON. Pure.

use crate::compare::history::{Question, Track};
use crate::report::{markdown_code, markdown_text};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::json;

/// The format of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Tables for a terminal
    Text,
    /// Tables for a job summary or an issue
    Markdown,
    /// All data, for programs
    Json,
}

/// The schema version of [`Format::Json`].
const SCHEMA: u32 = 1;

const COLUMNS: [&str; 6] = ["case", "metric", "sessions", "last ratio", "last change", "since"];
/// The maximum width of a table.
const WIDTH: u16 = 120;

/// Formats the tracks of every machine, and a question for each change of level.
///
/// # Errors
/// When a number cannot be written as JSON.
pub(super) fn text(
    tracks: &[Track<'_>],
    questions: &[Question],
    warnings: &[String],
    format: Format,
) -> anyhow::Result<String> {
    if format == Format::Json {
        let alerts: Vec<String> = tracks.iter().filter_map(Track::alert).collect();
        let all = json!({
            "schema": SCHEMA, "series": tracks, "questions": questions, "alerts": alerts, "warnings": warnings,
        });
        return Ok(serde_json::to_string_pretty(&all)? + "\n");
    }
    let machines = tracks.chunk_by(|a, b| a.last().host == b.last().host);
    let tables = machines.map(|machine| {
        let (name, key) = (&machine[0].last().machine, &machine[0].last().host);
        format!("{}\n{}\n", heading(&format!("{name} ({key})"), format), table(machine, format))
    });
    let questions_text: String = questions.iter().map(|question| question_text(question, format)).collect();
    let head = match questions {
        [] => "\nNo level has changed.\n".to_owned(),
        _ => format!("\n{}\n", heading("Changes are questions, not alarms", format)),
    };
    Ok(tables.collect::<Vec<_>>().join("\n") + &head + &questions_text)
}

fn heading(text: &str, format: Format) -> String {
    match format {
        Format::Markdown => format!("### {}\n", markdown_text(text)),
        Format::Text | Format::Json => text.to_owned(),
    }
}

fn table(tracks: &[Track<'_>], format: Format) -> Table {
    let mut table = Table::new();
    match format {
        Format::Markdown => table.load_style(presets::ASCII_MARKDOWN),
        Format::Text | Format::Json => {
            table.load_style(presets::ASCII_BORDERS_ONLY_CONDENSED);
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH)
        }
    };
    table.set_header(COLUMNS);
    table.add_rows(tracks.iter().map(|one| row(one).map(|cell| escaped(&cell, format))));
    for numeric in [2, 3] {
        if let Some(column) = table.column_mut(numeric) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn row(track: &Track<'_>) -> [String; 6] {
    let last = track.last();
    let ratio = match &last.ratio {
        Some(ratio) => {
            let range = ratio.interval.map(|i| format!(" ({:.3} to {:.3})", i.low, i.high)).unwrap_or_default();
            format!("{:.3}{range}", ratio.value)
        }
        None => "none".to_owned(),
    };
    let change = track.changes.last();
    [
        track.name(),
        last.metric.clone(),
        track.entries.len().to_string(),
        ratio,
        change.map_or_else(String::new, |change| change.in_words()),
        change.map_or_else(String::new, |change| format!("{} {}", change.after.day(), change.after.commit())),
    ]
}

/// `text` without markup.
fn escaped(text: &str, format: Format) -> String {
    match format {
        Format::Markdown => markdown_text(text),
        Format::Text | Format::Json => text.to_owned(),
    }
}

fn question_text(question: &Question, format: Format) -> String {
    let plain = |text: &str| escaped(text, format);
    let command = format!("cargo xtask {}", question.command.join(" "));
    let (bullet, command) = match format {
        Format::Markdown => ("- ", markdown_code(&command)),
        Format::Text | Format::Json => ("", command),
    };
    let mut lines = vec![format!("{bullet}{}", plain(&question.about()))];
    lines.push(match question.differences.as_slice() {
        [] => "no recorded difference".to_owned(),
        some => plain(&some.join("; ")),
    });
    if let Some((session, verdict)) = &question.answer {
        lines.push(format!("answered by {session}: {verdict}"));
    }
    lines.push(match (&question.arms, &question.why_not) {
        (Some(arms), _) => format!("possible cause: {}; to confirm: {command}", arms.of),
        (None, why) => format!("not measurable here: {}", plain(why.as_deref().unwrap_or("no arms"))),
    });
    lines.join("\n  ") + "\n"
}

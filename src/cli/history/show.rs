//! A history as text: for a terminal, for a job summary, for programs. Pure.

use crate::compare::history::{Question, Track};
use crate::report::{markdown_code, markdown_text};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::json;

/// How a history is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// A table for a terminal
    Text,
    /// A table for a job summary or an issue
    Markdown,
    /// Everything, for programs
    Json,
}

/// The schema of [`Format::Json`].
const SCHEMA: u32 = 1;

const COLUMNS: [&str; 6] = ["case", "metric", "sessions", "last ratio", "last change", "since"];
/// How wide a table may be.
const WIDTH: u16 = 120;

/// The tracks of every machine, and the questions that their changes are.
///
/// # Errors
/// When a number has no JSON.
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
    let asked: String = questions.iter().map(|question| asked(question, format)).collect();
    let head = match questions {
        [] => "\nNo level has changed.\n".to_owned(),
        _ => format!("\n{}\n", heading("Changes are questions, not alarms", format)),
    };
    Ok(tables.collect::<Vec<_>>().join("\n") + &head + &asked)
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

/// Text in which nothing is markup.
fn escaped(text: &str, format: Format) -> String {
    match format {
        Format::Markdown => markdown_text(text),
        Format::Text | Format::Json => text.to_owned(),
    }
}

fn asked(question: &Question, format: Format) -> String {
    let plain = |text: &str| escaped(text, format);
    let command = format!("cargo xtask {}", question.command.join(" "));
    let (bullet, command) = match format {
        Format::Markdown => ("- ", markdown_code(&command)),
        Format::Text | Format::Json => ("", command),
    };
    let mut lines = vec![format!("{bullet}{}", plain(&question.about()))];
    lines.push(match question.differences.as_slice() {
        [] => "nothing that is recorded differs".to_owned(),
        some => plain(&some.join("; ")),
    });
    if let Some((session, verdict)) = &question.answer {
        lines.push(format!("answered by {session}: {verdict}"));
    }
    lines.push(match (&question.arms, &question.why_not) {
        (Some(arms), _) => format!("is it {}? {command}", arms.of),
        (None, why) => format!("cannot be asked again here: {}", plain(why.as_deref().unwrap_or("no arms"))),
    });
    lines.join("\n  ") + "\n"
}

//! `cargo xtask power`: the error rates of the regression rule and of other projects' rules, simulated and on recordings.

mod docs;
mod files;
mod lab;
mod plots;
pub mod proof;
mod replay;
mod simulate;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use crate::power::proof::Picked;
use anyhow::Context;
use featherweight::host::folders::Folders;
use featherweight::report::figures::{Figure, StyleSheet, svg};
use featherweight::store::replace;

use self::lab::Lab;
use self::replay::areas;
use self::simulate::Host;
use self::table::Table;
use featherweight::cli::stored;

/// Compute the error rates of the regression rule and of other projects' rules
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        cargo xtask power                                    simulate a drifting host\n  \
        cargo xtask power --recordings fixtures/recordings   replay recorded trials, too\n  \
        cargo xtask power --recordings fixtures/recordings --write docs\n  \
        cargo xtask power --pack last --metric boot --output fixtures/recordings/boot-youki.csv.gz\n\n\
        The same seed gives the same tables.")]
pub struct Power {
    /// Replay the recordings of this folder, too
    #[arg(long, value_name = "DIR")]
    recordings: Option<PathBuf>,
    /// Number of sessions per rule and cell
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    sessions: u32,
    /// Seed of all random numbers
    #[arg(long, default_value_t = 20_261_121)]
    seed: u64,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write the tables to regressions-tables.md in this folder, and the figures to its folder regressions/
    #[arg(long, value_name = "DIR", requires = "recordings")]
    write: Option<PathBuf>,
    /// Pack a stored run or an A/B session into a recording instead: an id, a folder, or `last`
    #[arg(long, value_name = "RUN", requires = "metric", requires = "output")]
    pack: Option<String>,
    /// Metric to record
    #[arg(long, requires = "pack")]
    metric: Option<String>,
    /// Part of the name of the case to record, if the run has several cases
    #[arg(long, requires = "pack")]
    case: Option<String>,
    /// Recording to write, NAME.csv.gz
    #[arg(long, requires = "pack")]
    output: Option<PathBuf>,
}

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Tables for a terminal
    Text,
    /// Tables for a document
    Markdown,
    /// Tables for programs
    Json,
}

impl Power {
    /// Prints the tables, or packs a recording.
    ///
    /// # Errors
    /// When a run, a recording or a page cannot be read or written.
    pub fn run(self) -> anyhow::Result<()> {
        if let (Some(run), Some(metric), Some(output)) = (&self.pack, &self.metric, &self.output) {
            let picked = Picked { metric: metric.clone(), case: self.case.clone() };
            let dir = stored::folder(&Folders::from_env(), run).unwrap_or_else(|| run.into());
            println!("{}", files::write(&dir, &picked, output)?);
            return Ok(());
        }
        let lab = Lab { sessions: self.sessions as usize, seed: self.seed };
        let mut tables = vec![simulate::rules(lab, &Host::drifting())];
        let mut coverage = simulate::coverage_table(lab);
        coverage.rows.extend(simulate::coverage(lab, &[Host::drifting()]));
        let mut figures = Vec::new();
        if let Some(dir) = &self.recordings {
            let tapes = files::read(dir)?;
            let hosts = tapes.hosts();
            tables.extend([tapes.table(), simulate::models(&hosts), simulate::fitted(lab, &hosts)]);
            tables.extend([tapes.alarms(lab), tapes.controls(lab), tapes.ours(lab), tapes.found(lab)]);
            if !tapes.injected.is_empty() {
                tables.push(tapes.injected(lab));
            }
            let half = Lab { sessions: lab.sessions.div_ceil(2), ..lab };
            let curves = tapes.curves(half);
            tables.push(areas(half, &curves));
            coverage.rows.extend(simulate::coverage(lab, &hosts));
            coverage.rows.extend(tapes.coverage(lab));
            if self.write.is_some() {
                figures = plots::figures(lab, &tapes, &curves);
            }
        }
        tables.push(coverage);
        match &self.write {
            Some(docs) => write(docs, &tables, &figures),
            None => self.print(&tables),
        }
    }

    fn print(&self, tables: &[Table]) -> anyhow::Result<()> {
        let text = match self.format {
            Format::Text => tables.iter().map(Table::text).collect::<Vec<_>>().join("\n"),
            Format::Markdown => tables.iter().map(Table::markdown).collect::<Vec<_>>().join("\n"),
            Format::Json => serde_json::to_string_pretty(tables)? + "\n",
        };
        print!("{text}");
        Ok(())
    }
}

/// Writes the page of tables and the figures.
fn write(docs: &Path, tables: &[Table], figures: &[Figure]) -> anyhow::Result<()> {
    let dir = docs.join("regressions");
    fs::create_dir_all(&dir).with_context(|| format!("failed to create {}", dir.display()))?;
    for figure in figures {
        replace_file(&dir.join(format!("{}.svg", figure.id)), &svg(figure, StyleSheet::Own))?;
    }
    let path = docs.join("regressions-tables.md");
    replace_file(&path, &docs::page(tables, figures))?;
    println!("{}: {} tables, {} figures", path.display(), tables.len(), figures.len());
    Ok(())
}

fn replace_file(path: &Path, text: &str) -> anyhow::Result<()> {
    replace(path, text.as_bytes()).with_context(|| format!("failed to write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        power: Power,
    }

    #[test]
    fn documents_are_written_from_recordings_only() {
        let is_taken = |words: &[&str]| Line::try_parse_from([&["power"], words].concat()).is_ok();
        assert!(
            is_taken(&[]) && is_taken(&["--recordings", "r"]) && is_taken(&["--recordings", "r", "--write", "docs"])
        );
        assert!(!is_taken(&["--write", "docs"]));
    }
}

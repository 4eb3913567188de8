//! `cargo xtask export`: stored trials in a format that other programs read.

mod options;
mod told;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use featherweight::report::export::{
    Better, Exported, Selection, Simulated, bencher, critcmp, csv, github, hyperfine, openmetrics,
};
use featherweight::run::Folders;
use featherweight::store::{StoredRun, replace};

use self::options::{Direction, Format, Refused};
use crate::exit::{BadInput, Nothing};
use crate::stored;

/// Print or write stored trials in a format that other programs read
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        cargo xtask export > trials.csv                                  the latest run of every experiment\n  \
        cargo xtask export last --format bencher --output bmf.json       bencher run --adapter json --file bmf.json\n  \
        cargo xtask export last --format github --output bench           smaller-is-better.json, bigger-is-better.json\n  \
        cargo xtask export last --format github --direction smaller      one of them, for customSmallerIsBetter\n  \
        cargo xtask export RUN --format critcmp --baseline main --output target\n                                                                   \
        then: critcmp main other\n  \
        cargo xtask export --format openmetrics --output fw.prom         what Prometheus and its kin read\n  \
        cargo xtask export last --format hyperfine --metric boot --output boot.json\n                                                                   \
        then: python3 plot_whisker.py boot.json\n\n\
        The values are medians over good trials with their intervals where the format has room; csv and hyperfine have \
        every trial. What a format cannot hold is told. docs/exports.md has the table.\n\n\
        Exit codes: 0 fine, 2 bad input, 3 nothing to export, 4 something failed.")]
pub(crate) struct Export {
    /// A run's id, its folder, or `last`; without it, the latest run of every experiment
    run: Option<String>,
    /// The format
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// The file to write, without it standard output; for critcmp, and github without --direction, a folder
    #[arg(long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Only metrics that improve that way; github only, which takes a file a direction
    #[arg(long, value_enum)]
    direction: Option<Direction>,
    /// What critcmp shall call these results [default: the newest run's id]
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Only these metrics; all but csv, which has all
    #[arg(long = "metric", value_name = "NAME", value_delimiter = ',')]
    metrics: Vec<String>,
    /// Also platforms that simulate, marked as such; csv has them always
    #[arg(long)]
    simulated: bool,
}

impl Export {
    /// Writes the export.
    ///
    /// # Errors
    /// When options contradict each other, there is no run, or the output cannot be written.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        self.check().map_err(|Refused(message)| BadInput(message))?;
        let runs = self.runs()?;
        if self.format == Format::Csv {
            return self.write(&csv(&runs));
        }
        let selection = self.selection(&runs)?;
        selection.cautions().iter().for_each(|caution| eprintln!("caution: {caution}"));
        let mut left_out = selection.left_out.clone();
        left_out.extend(match self.format {
            Format::Csv => Vec::new(),
            Format::Bencher => self.text(bencher(&selection))?,
            Format::Openmetrics => self.text(openmetrics(&selection))?,
            Format::Hyperfine => self.text(hyperfine(&selection))?,
            Format::Github => self.github(&selection)?,
            Format::Critcmp => self.tree(critcmp(&selection, &self.baseline(&selection)))?,
        });
        told::left_out(&left_out).iter().for_each(|line| eprintln!("left out: {line}"));
        Ok(())
    }

    fn runs(&self) -> anyhow::Result<Vec<StoredRun>> {
        let folder = Folders::from_env().runs();
        match &self.run {
            Some(name) => Ok(vec![stored::named(&folder, name)?]),
            None => Ok(stored::latest(&folder)?.runs),
        }
    }

    fn selection<'a>(&self, runs: &'a [StoredRun]) -> anyhow::Result<Selection<'a>> {
        let simulated = if self.simulated { Simulated::Marked } else { Simulated::LeftOut };
        let mut selection = Selection::of(runs, simulated);
        if selection.cases.is_empty() {
            let why = match selection.left_out.is_empty() {
                true => "no trials".to_owned(),
                false => told::left_out(&selection.left_out).join("; "),
            };
            return Err(Nothing(format!("nothing to export: {why}")).into());
        }
        if !self.metrics.is_empty() {
            let there = told::metrics(&selection);
            if let Some(unknown) = selection.keep_metrics(&self.metrics).first() {
                return Err(BadInput(format!("--metric {unknown}: no case has it; accepted: {there}")).into());
            }
        }
        Ok(selection)
    }

    fn baseline(&self, selection: &Selection<'_>) -> String {
        let newest = || selection.runs().last().map(|run| run.run.to_string());
        self.baseline.clone().or_else(newest).unwrap_or_default()
    }

    fn text(&self, exported: Exported) -> anyhow::Result<Vec<told::LeftOut>> {
        self.write(&exported.content)?;
        Ok(exported.left_out)
    }

    fn github(&self, selection: &Selection<'_>) -> anyhow::Result<Vec<told::LeftOut>> {
        let of = |direction: Direction| github(selection, Better::from(direction));
        if let Some(direction) = self.direction {
            return self.text(of(direction));
        }
        let both = [Direction::Smaller, Direction::Bigger].map(|direction| (direction, of(direction)));
        let left_out = both[0].1.left_out.clone();
        let content = both.into_iter().map(|(d, exported)| (d.file_name().to_owned(), exported.content)).collect();
        self.tree(Exported { content, left_out })
    }

    /// Writes the files below the folder that the output is. Files of other exports there stay.
    fn tree(&self, exported: Exported<Vec<(String, String)>>) -> anyhow::Result<Vec<told::LeftOut>> {
        let folder = self.output.as_deref().unwrap_or(Path::new("."));
        for (path, text) in exported.content {
            let path = folder.join(path);
            let made = path.parent().map_or(Ok(()), fs::create_dir_all);
            made.and_then(|()| replace(&path, text.as_bytes())).map_err(|e| unwritable(folder, &e))?;
        }
        Ok(exported.left_out)
    }

    fn write(&self, text: &str) -> anyhow::Result<()> {
        match &self.output {
            Some(path) => Ok(replace(path, text.as_bytes()).map_err(|e| unwritable(path, &e))?),
            None => io::stdout().write_all(text.as_bytes()).context("write to standard output"),
        }
    }
}

fn unwritable(path: &Path, error: &io::Error) -> BadInput {
    BadInput(format!("--output {}: cannot be written ({error}); name one in a folder that can", path.display()))
}

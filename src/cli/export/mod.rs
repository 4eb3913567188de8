//! `cargo xtask export`: stored trials in a format that other programs read.

mod options;
mod told;

use std::fs;
use std::path::{Path, PathBuf};

use crate::host::folders::Folders;
use crate::report::export::{
    Better, Exported, Selection, Simulated, bencher, critcmp, csv, github, hyperfine, openmetrics,
};
use crate::store::StoredRun;

use self::options::{Direction, Format, Refused};
use crate::cli::exit::{BadInput, Nothing};
use crate::cli::output::{unwritable, write_output};
use crate::cli::stored;

/// Print or write stored trials in a format that other programs read
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        cargo xtask export > trials.csv                                  the latest run of every experiment\n  \
        cargo xtask export last --format bencher --output bmf.json       bencher run --adapter json --file bmf.json\n  \
        cargo xtask export last --format github --output bench           smaller-is-better.json, bigger-is-better.json\n  \
        cargo xtask export last --format github --direction smaller      one of them, for customSmallerIsBetter\n  \
        cargo xtask export RUN --format critcmp --baseline main --output target\n                                                                   \
        then: critcmp main other\n  \
        cargo xtask export --format openmetrics --output fw.txt          what Prometheus and its kin read\n  \
        cargo xtask export last --format hyperfine --metric boot --output boot.json\n                                                                   \
        then: python3 plot_whisker.py boot.json\n\n\
        The values are medians over good trials with their intervals where the format has room; csv and hyperfine have \
        every trial. What a format cannot hold is told. docs/exports.md has the table.\n\n\
        Exit codes: 0 fine, 2 bad input, 3 nothing to export, 4 something failed.")]
pub struct Export {
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
    /// Runs the command.
    ///
    /// # Errors
    /// Fails with a message for the user; [`crate::cli::exit::of`] gives its exit code.
    pub fn run(self) -> anyhow::Result<()> {
        self.check().map_err(|Refused(message)| BadInput(message))?;
        let runs = self.runs()?;
        if self.format == Format::Csv {
            return match runs.iter().all(|run| run.trials.is_empty()) {
                true => Err(Nothing("nothing to export: no trials".to_owned()).into()),
                false => write_output(self.output.as_deref(), &csv(&runs)),
            };
        }
        let selection = self.selection(&runs)?;
        selection.cautions().iter().for_each(|caution| eprintln!("caution: {caution}"));
        let mut left_out = selection.left_out.clone();
        let files = match self.format {
            Format::Csv => Vec::new(),
            Format::Bencher => vec![self.file(bencher(&selection), &mut left_out)],
            Format::Openmetrics => vec![self.file(openmetrics(&selection), &mut left_out)],
            Format::Hyperfine => vec![self.file(hyperfine(&selection), &mut left_out)],
            Format::Github => self.github(&selection, &mut left_out),
            Format::Critcmp => self.tree(critcmp(&selection, &self.baseline(&selection)), &mut left_out),
        };
        told::left_out(&left_out).iter().for_each(|line| eprintln!("left out: {line}"));
        self.write(files)
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

    /// The one file of a format.
    fn file(&self, exported: Exported, left_out: &mut Vec<told::LeftOut>) -> Written {
        left_out.extend(exported.left_out);
        Written { path: self.output.clone(), text: exported.content, is_empty: exported.metrics == 0 }
    }

    /// The file of the direction that is asked for, or those of both below a folder.
    fn github(&self, selection: &Selection<'_>, left_out: &mut Vec<told::LeftOut>) -> Vec<Written> {
        let of = |direction: Direction| github(selection, Better::from(direction));
        if let Some(direction) = self.direction {
            return vec![self.file(of(direction), left_out)];
        }
        let both = [Direction::Smaller, Direction::Bigger].map(|direction| {
            let exported = of(direction);
            let path = Some(self.folder().join(direction.file_name()));
            (Written { path, text: exported.content, is_empty: exported.metrics == 0 }, exported.left_out)
        });
        // What is of neither direction is left out of both.
        left_out.extend(both[0].1.clone());
        both.map(|(written, _)| written).into()
    }

    /// The files below the folder that the output is. Files of other exports there stay.
    fn tree(&self, exported: Exported<Vec<(String, String)>>, left_out: &mut Vec<told::LeftOut>) -> Vec<Written> {
        left_out.extend(exported.left_out);
        let written =
            |(path, text): (String, String)| Written { path: Some(self.folder().join(path)), text, is_empty: false };
        exported.content.into_iter().map(written).collect()
    }

    fn folder(&self) -> &Path {
        self.output.as_deref().unwrap_or(Path::new("."))
    }

    /// Writes what is there for a reader, and tells what is not.
    fn write(&self, files: Vec<Written>) -> anyhow::Result<()> {
        let (empty, full): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.is_empty);
        if full.is_empty() {
            return Err(Nothing("nothing to export: the format has no place for any of it".to_owned()).into());
        }
        for path in empty.iter().filter_map(|file| file.path.as_ref()) {
            // That of an earlier export would be taken for this one's.
            let removed = if fs::remove_file(path).is_ok() { "; the one that was there is removed" } else { "" };
            eprintln!("not written: {}: nothing would be in it{removed}", path.display());
        }
        for Written { path, text, .. } in full {
            let parent = path.as_deref().filter(|_| self.output != path).and_then(Path::parent);
            parent.map_or(Ok(()), fs::create_dir_all).map_err(|e| unwritable(self.folder(), &e))?;
            write_output(path.as_deref(), &text)?;
        }
        Ok(())
    }
}

/// A file as it is to be written.
struct Written {
    /// Where; `None` for standard output.
    path: Option<PathBuf>,
    text: String,
    /// It has nothing in it that its reader could use, who may refuse it.
    is_empty: bool,
}

//! `cargo xtask export`: exports stored trials in the formats of other programs.

mod notes;
mod options;

use std::fs;
use std::path::{Path, PathBuf};

use crate::host::folders::Folders;
use crate::host::output;
use crate::report::export::{
    Better, Exported, Selection, Simulated, bencher, critcmp, csv, github, hyperfine, openmetrics,
};
use crate::store::StoredRun;

use self::options::{Direction, Format};
use crate::cli::exit::{BadInput, Nothing};
use crate::cli::output::{unwritable, write_output};
use crate::cli::stored;

/// Export stored trials in the format of another program
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
        cargo xtask export > trials.csv\n  \
        cargo xtask export last --format bencher --output bmf.json\n  \
        bencher run --adapter json --file bmf.json\n\n  \
        cargo xtask export last --format github --output bench  Write a file per direction\n  \
        cargo xtask export last --format github --direction smaller\n\n  \
        cargo xtask export RUN --format critcmp --baseline main --output target\n  \
        critcmp main other\n\n  \
        cargo xtask export --format openmetrics --output fw.txt\n\n  \
        cargo xtask export last --format hyperfine --metric boot --output boot.json\n  \
        python3 plot_whisker.py boot.json\n\n\
        Values are medians of the successful trials, with intervals if the format has them; csv and hyperfine contain \
        every trial. Standard error lists what a format cannot hold. See docs/exports.md.\n\n\
        Exit codes:\n  \
        0  success\n  \
        2  invalid input\n  \
        3  nothing to export\n  \
        4  failure")]
pub struct Export {
    /// Run to export: its id, its folder, or `last` [default: the latest run of every experiment]
    run: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// File to write; a folder for critcmp, and for github without --direction [default: standard output]
    #[arg(long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Export only metrics of this direction (github)
    #[arg(long, value_enum)]
    direction: Option<Direction>,
    /// Name of the results in critcmp [default: the newest run's id]
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Export only these metrics, comma-separated (all but csv)
    #[arg(long = "metric", value_name = "NAME", value_delimiter = ',')]
    metrics: Vec<String>,
    /// Include simulated platforms, marked as such (csv always includes them)
    #[arg(long)]
    simulated: bool,
}

impl Export {
    /// Writes the export.
    ///
    /// # Errors
    /// When the format does not support an option, there is no run, or the output cannot be written.
    pub fn run(self) -> anyhow::Result<()> {
        self.check()?;
        let runs = self.runs()?;
        if self.format == Format::Csv {
            return match runs.iter().all(|run| run.trials.is_empty()) {
                true => Err(Nothing("nothing to export: no trials".to_owned()).into()),
                false => write_output(self.output.as_deref(), &csv(&runs)),
            };
        }
        let selection = self.selection(&runs)?;
        selection.cautions().iter().for_each(|caution| output::err!("warning: {caution}"));
        let mut left_out = selection.left_out.clone();
        let files = match self.format {
            Format::Csv => Vec::new(),
            Format::Bencher => vec![self.file(bencher(&selection), &mut left_out)],
            Format::Openmetrics => vec![self.file(openmetrics(&selection), &mut left_out)],
            Format::Hyperfine => vec![self.file(hyperfine(&selection), &mut left_out)],
            Format::Github => self.github(&selection, &mut left_out),
            Format::Critcmp => self.tree(critcmp(&selection, &self.baseline(&selection)), &mut left_out),
        };
        notes::by_reason(&left_out).iter().for_each(|line| output::err!("left out: {line}"));
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
                false => notes::by_reason(&selection.left_out).join("; "),
            };
            return Err(Nothing(format!("nothing to export: {why}")).into());
        }
        if !self.metrics.is_empty() {
            let known = notes::metric_names(&selection);
            if let Some(unknown) = selection.keep_metrics(&self.metrics).first() {
                let problem = format!("no case has this metric (known: {known})");
                return Err(BadInput::new(format!("--metric {unknown}"), problem).into());
            }
        }
        Ok(selection)
    }

    fn baseline(&self, selection: &Selection<'_>) -> String {
        let newest = || selection.runs().last().map(|run| run.run.to_string());
        self.baseline.clone().or_else(newest).unwrap_or_default()
    }

    /// The one file of a format.
    fn file(&self, exported: Exported, left_out: &mut Vec<notes::LeftOut>) -> OutputFile {
        left_out.extend(exported.left_out);
        OutputFile { path: self.output.clone(), text: exported.content, is_empty: exported.metrics == 0 }
    }

    /// The file of the requested direction, or those of both directions in a folder.
    fn github(&self, selection: &Selection<'_>, left_out: &mut Vec<notes::LeftOut>) -> Vec<OutputFile> {
        if let Some(direction) = self.direction {
            return vec![self.file(github(selection, Better::from(direction)), left_out)];
        }
        let both = [Direction::Smaller, Direction::Bigger].map(|direction| {
            let exported = github(selection, Better::from(direction));
            let path = Some(self.folder().join(direction.file_name()));
            (OutputFile { path, text: exported.content, is_empty: exported.metrics == 0 }, exported.left_out)
        });
        // Both leave out the same metrics: those without a direction.
        left_out.extend(both[0].1.clone());
        both.map(|(file, _)| file).into()
    }

    /// The files of a format that writes a folder. Files of other exports in that folder stay.
    fn tree(&self, exported: Exported<Vec<(String, String)>>, left_out: &mut Vec<notes::LeftOut>) -> Vec<OutputFile> {
        left_out.extend(exported.left_out);
        let file =
            |(path, text): (String, String)| OutputFile { path: Some(self.folder().join(path)), text, is_empty: false };
        exported.content.into_iter().map(file).collect()
    }

    fn folder(&self) -> &Path {
        self.output.as_deref().unwrap_or(Path::new("."))
    }

    /// Writes the files that have content, and reports the others.
    fn write(&self, files: Vec<OutputFile>) -> anyhow::Result<()> {
        let (empty, full): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.is_empty);
        if full.is_empty() {
            return Err(Nothing("nothing to export: the format can hold none of the metrics".to_owned()).into());
        }
        for path in empty.iter().filter_map(|file| file.path.as_ref()) {
            // The file of an earlier export would be mistaken for one of this export.
            let removed = if fs::remove_file(path).is_ok() { "; removed the previous file" } else { "" };
            output::err!("not written: {}: it would be empty{removed}", path.display());
        }
        for OutputFile { path, text, .. } in full {
            let parent = path.as_deref().filter(|_| self.output != path).and_then(Path::parent);
            parent.map_or(Ok(()), fs::create_dir_all).map_err(|e| unwritable(self.folder(), &e))?;
            write_output(path.as_deref(), &text)?;
        }
        Ok(())
    }
}

/// A file to write.
struct OutputFile {
    /// `None` for standard output.
    path: Option<PathBuf>,
    text: String,
    /// Without content for its reader, which may reject such a file.
    is_empty: bool,
}

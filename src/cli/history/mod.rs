//! `cargo xtask history`: how stored sessions developed over time, and where their level changed.

mod confirm;
mod show;

use std::path::{Path, PathBuf};

use crate::compare::history::{self, Added, Contents, Error, Keep, questions, tracks};
use crate::compare::live::read_session_file;
use crate::host::folders::Folders;
use crate::model::exit::Exit;
use crate::report::{latest, write_history, write_with};
use crate::store::{ReadError, read_values};
use anyhow::Context;

use self::show::Format;
use crate::cli::exit::{BadInput, Nothing};
use crate::cli::stored::{self, everything};

/// Show how stored sessions developed over time, and where their level changed
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
        cargo xtask history add last          the latest run or ab session; the same one twice is there once\n  \
        cargo xtask history                   each metric's last ratio and where its level changed\n  \
        cargo xtask history --confirm         hold before against after where both can be had here\n  \
        cargo xtask history merge THEIRS.jsonl\n  \
        cargo xtask history prune --keep 200\n\n\
        Exit codes: 0 fine, 1 --confirm confirmed a regression, 2 bad input, 3 nothing is stored, 4 trouble, 130 interrupted."
)]
pub struct History {
    #[command(subcommand)]
    chore: Option<Chore>,
    #[command(flatten)]
    place: Place,
    /// How it is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Have every change point that can be answered here answered by `cargo xtask ab`
    #[arg(long)]
    confirm: bool,
    /// Write the page, and the report's link to it, and print its path
    #[arg(long)]
    report: bool,
}

/// Where a history is.
#[derive(Debug, clap::Args)]
struct Place {
    /// The history's folder; without it, the one in the project's output
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl Place {
    fn history(&self) -> history::History {
        history::History::at(self.dir.clone().unwrap_or_else(|| Folders::from_env().history()))
    }
}

/// What changes a history.
#[derive(Debug, clap::Subcommand)]
enum Chore {
    /// Add runs and ab sessions
    Add {
        /// Ids, folders, or `last`
        #[arg(required_unless_present = "all")]
        names: Vec<String>,
        /// Everything that is stored
        #[arg(long, conflicts_with = "names")]
        all: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Add the sessions of other machines' histories
    Merge {
        /// Their files or folders
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// Thin the history out; what others are held against stays
    #[command(group = clap::ArgGroup::new("what stays").required(true))]
    Prune {
        /// The latest so many sessions of every track stay
        #[arg(long, group = "what stays")]
        keep: Option<usize>,
        /// What is no older than so many days stays
        #[arg(long, group = "what stays")]
        keep_days: Option<u32>,
        #[command(flatten)]
        place: Place,
    },
}

impl History {
    /// Shows or changes the history.
    ///
    /// # Errors
    /// When nothing is stored, what is named cannot be used, or a file cannot be read or written.
    /// Runs the command.
    ///
    /// # Errors
    /// Fails with a message for the user; [`crate::cli::exit::of`] gives its exit code.
    pub fn run(self) -> anyhow::Result<Exit> {
        match &self.chore {
            Some(Chore::Add { names, all, place }) => {
                let every = || everything(&Folders::from_env()).iter().map(|dir| dir.display().to_string()).collect();
                add(&place.history(), &if *all { every() } else { names.clone() }, *all)
            }
            Some(Chore::Merge { files, place }) => merge(&place.history(), files),
            Some(Chore::Prune { keep, keep_days, place }) => {
                let days = keep_days.map(Keep::Days);
                let keep = keep.map(Keep::Sessions).or(days).context("clap asks for one of them")?;
                let history = place.history();
                if history.files().is_empty() {
                    return Err(Nothing(format!("no history to thin out in {}", history.dir().display())).into());
                }
                let done = history.prune(keep).map_err(told)?;
                println!("{} lines removed, {} left", done.removed, done.left);
                Ok(Exit::Fine)
            }
            None => self.show(),
        }
    }

    fn show(&self) -> anyhow::Result<Exit> {
        let history = self.place.history();
        let contents = read(&history)?;
        let tracks = tracks(&contents.entries);
        let questions = questions(&tracks, &contents.entries);
        print!("{}", show::text(&tracks, &questions, &contents.warnings, self.format)?);
        let exit = match self.confirm {
            true => confirm::confirm(&history, &questions)?,
            false => Exit::Fine,
        };
        if self.report {
            // What was confirmed is in the history by now.
            eprintln!("{}", page(&history.read())?.display());
        }
        Ok(exit)
    }
}

/// What is stored, with what could not be read told.
fn read(history: &history::History) -> anyhow::Result<Contents> {
    let contents = history.read();
    contents.warnings.iter().for_each(|warning| eprintln!("not read: {warning}"));
    match (contents.entries.is_empty(), contents.warnings.first()) {
        (true, Some(warning)) => Err(anyhow::anyhow!("{warning}")),
        (true, None) => Err(stored::nothing_in(history.dir())
            .context("nothing to show yet: `cargo xtask history add` takes runs and ab sessions")),
        (false, _) => Ok(contents),
    }
}

/// Writes the page, and the report again, which then links to it.
fn page(contents: &Contents) -> anyhow::Result<PathBuf> {
    let folders = Folders::from_env();
    let page = write_history(contents, &folders.report())?;
    let runs = latest(&folders.runs());
    if !runs.runs.is_empty() {
        write_with(&runs, &folders.report())?;
    }
    Ok(page)
}

/// Writes the page of the history, where there is one, before the report that links to it.
///
/// # Errors
/// When it cannot be written.
pub(in crate::cli) fn page_if_any() -> anyhow::Result<()> {
    let folders = Folders::from_env();
    let contents = history::History::at(folders.history()).read();
    if !contents.entries.is_empty() {
        write_history(&contents, &folders.report())?;
    }
    Ok(())
}

fn add(history: &history::History, names: &[String], is_lenient: bool) -> anyhow::Result<Exit> {
    let folders = Folders::from_env();
    if names.is_empty() {
        return Err(nothing_to_add(&folders));
    }
    for name in names {
        match add_one(history, &folders, name) {
            Ok(added) => println!("{name}: {} lines added, {} known already", added.new, added.known),
            Err(e) if is_lenient => eprintln!("not added: {e:#}"),
            Err(e) => return Err(e),
        }
    }
    Ok(Exit::Fine)
}

fn add_one(history: &history::History, folders: &Folders, name: &str) -> anyhow::Result<Added> {
    let dir = stored::folder(folders, name).ok_or_else(|| nothing_to_add(folders))?;
    let added = match read_session_file(&dir) {
        Ok(session) => history.add_session(&session),
        Err(ReadError::NoRun { .. }) => {
            let accepted = "the id of a run or an ab session, its folder, or `last`";
            let run = read_values(&dir).map_err(|e| BadInput(format!("RUN {name}: {e}; accepted: {accepted}")))?;
            history.add_run(&run)
        }
        Err(e) => return Err(BadInput(format!("SESSION {name}: {e}")).into()),
    };
    added.map_err(told)
}

fn nothing_to_add(folders: &Folders) -> anyhow::Error {
    stored::nothing_in(&folders.output).context("nothing to add yet: `cargo bench` makes runs")
}

/// What a refused session is for the user: bad input.
fn told(error: Error) -> anyhow::Error {
    match error {
        Error::Refused(refused) => BadInput(refused.to_string()).into(),
        other => other.into(),
    }
}

fn merge(history: &history::History, files: &[PathBuf]) -> anyhow::Result<Exit> {
    for file in files {
        let added = history.merge(&entries(history, file)?).map_err(told)?;
        println!("{}: {} lines added, {} known already", file.display(), added.new, added.known);
    }
    Ok(Exit::Fine)
}

/// The entries of a file, or of all files of a folder. A torn last line is told and passed over.
fn entries(history: &history::History, given: &Path) -> anyhow::Result<Vec<history::Entry>> {
    let files = if given.is_dir() { history::History::at(given).files() } else { vec![given.to_owned()] };
    if files.is_empty() {
        return Err(BadInput(format!("FILE {}: is a folder without a history, *.jsonl", given.display())).into());
    }
    let mut all = Vec::new();
    for file in files {
        let refused = |e| BadInput(format!("FILE {}: {e}", given.display()));
        let (entries, torn) = history.read_file(&file).map_err(refused)?;
        torn.iter().for_each(|warning| eprintln!("not read: {warning}"));
        all.extend(entries);
    }
    Ok(all)
}

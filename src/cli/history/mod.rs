//! `cargo xtask history`: shows how the results of sessions developed over time, and where their level changed.

mod confirm;
mod show;

use std::path::{Path, PathBuf};

use crate::compare::history::{self, Added, Contents, Error, Keep, questions, tracks};
use crate::compare::live::read_session_file;
use crate::host::folders::Folders;
use crate::host::output;
use crate::model::exit::Exit;
use crate::report::{latest, write_history, write_with};
use crate::store::{ReadError, read_values};
use anyhow::Context;

use self::show::Format;
use crate::cli::exit::{BadInput, Nothing};
use crate::cli::stored::{self, everything};

/// Show how results developed over time, and where their level changed
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  \
        cargo xtask history add last          Add the latest run or ab session\n  \
        cargo xtask history                   Show each metric's last ratio and last change\n  \
        cargo xtask history --confirm         Compare before and after each change\n  \
        cargo xtask history merge THEIRS.jsonl\n  \
        cargo xtask history prune --keep 200\n\n\
        Exit codes:\n  \
        0    success\n  \
        1    --confirm confirmed a regression\n  \
        2    invalid input\n  \
        3    nothing is stored\n  \
        4    failure\n  \
        130  interrupted"
)]
pub struct History {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    place: Place,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Compare before and after each change point with `cargo xtask ab`, where both are available
    #[arg(long)]
    confirm: bool,
    /// Write the page of the history and link the report to it
    #[arg(long)]
    report: bool,
}

/// The location of a history.
#[derive(Debug, clap::Args)]
struct Place {
    /// Folder of the history [default: target/featherweight/history]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Place {
    fn history(&self) -> history::History {
        history::History::at(self.dir.clone().unwrap_or_else(|| Folders::from_env().history()))
    }
}

/// The commands that change a history.
#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Add runs and ab sessions; adding one again has no effect
    Add {
        /// Runs and sessions: ids, folders, or `last`
        #[arg(required_unless_present = "all")]
        names: Vec<String>,
        /// Add every stored run and session
        #[arg(long, conflicts_with = "names")]
        all: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Add the sessions of other histories
    Merge {
        /// Files or folders of the other histories
        #[arg(required = true)]
        files: Vec<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
    /// Remove old sessions; those to which others are compared stay
    #[command(group = clap::ArgGroup::new("kept").required(true))]
    Prune {
        /// Keep the latest N sessions of every track
        #[arg(long, value_name = "N", group = "kept")]
        keep: Option<usize>,
        /// Keep the sessions of the last N days
        #[arg(long, value_name = "N", group = "kept")]
        keep_days: Option<u32>,
        #[command(flatten)]
        place: Place,
    },
}

impl History {
    /// Shows or changes the history.
    ///
    /// # Errors
    /// When nothing is stored, the input is invalid, or a file cannot be read or written.
    pub fn run(self) -> anyhow::Result<Exit> {
        match &self.command {
            Some(Command::Add { all: true, place, .. }) => add_all(&place.history()),
            Some(Command::Add { names, place, .. }) => add(&place.history(), names),
            Some(Command::Merge { files, place }) => merge(&place.history(), files),
            Some(Command::Prune { keep, keep_days, place }) => {
                let days = keep_days.map(Keep::Days);
                let keep = keep.map(Keep::Sessions).or(days).context("clap requires one of the two options")?;
                prune(&place.history(), keep)
            }
            None => self.show(),
        }
    }

    fn show(&self) -> anyhow::Result<Exit> {
        let history = self.place.history();
        let contents = read(&history)?;
        let tracks = tracks(&contents.entries);
        let questions = questions(&tracks, &contents.entries);
        let text = show::text(&tracks, &questions, &contents.warnings, self.format)?;
        output::out!("{}", text.trim_end_matches('\n'));
        let exit = match self.confirm {
            true => confirm::confirm(&history, &questions)?,
            false => Exit::Fine,
        };
        if self.report {
            // Read again, because the sessions of --confirm were added.
            output::err!("{}", write_page(&history.read())?.display());
        }
        Ok(exit)
    }
}

/// The stored entries. Prints a warning for each unreadable file.
fn read(history: &history::History) -> anyhow::Result<Contents> {
    let contents = history.read();
    contents.warnings.iter().for_each(|warning| output::err!("warning: {warning}"));
    match (contents.entries.is_empty(), contents.warnings.first()) {
        (true, Some(warning)) => Err(anyhow::anyhow!("{warning}")),
        (true, None) => {
            let problem = format!("no history in {}", history.dir().display());
            Err(Nothing(format!("{problem}\nhelp: add runs and ab sessions with `cargo xtask history add`")).into())
        }
        (false, _) => Ok(contents),
    }
}

/// Writes the page, and the report again, which then links to the page.
fn write_page(contents: &Contents) -> anyhow::Result<PathBuf> {
    let folders = Folders::from_env();
    let page = write_history(contents, &folders.report())?;
    let runs = latest(&folders.runs());
    if !runs.runs.is_empty() {
        write_with(&runs, &folders.report())?;
    }
    Ok(page)
}

/// Writes the page of the history, if any, before the report that links to it.
///
/// # Errors
/// When the page cannot be written.
pub(in crate::cli) fn write_page_if_any() -> anyhow::Result<()> {
    let folders = Folders::from_env();
    let contents = history::History::at(folders.history()).read();
    if !contents.entries.is_empty() {
        write_history(&contents, &folders.report())?;
    }
    Ok(())
}

fn add(history: &history::History, names: &[String]) -> anyhow::Result<Exit> {
    let folders = Folders::from_env();
    for name in names {
        print_added(name, &add_one(history, &folders, name)?);
    }
    Ok(Exit::Fine)
}

/// Adds every stored run and session; what cannot be added is skipped with a warning.
fn add_all(history: &history::History) -> anyhow::Result<Exit> {
    let folders = Folders::from_env();
    let stored = everything(&folders);
    if stored.is_empty() {
        return Err(nothing_to_add(&folders));
    }
    for name in stored.iter().map(|dir| dir.display().to_string()) {
        match add_one(history, &folders, &name) {
            Ok(added) => print_added(&name, &added),
            Err(e) => output::err!("warning: not added: {e:#}"),
        }
    }
    Ok(Exit::Fine)
}

fn print_added(name: &str, added: &Added) {
    output::out!("{name}: {} added, {} already known", added.new, added.known);
}

fn add_one(history: &history::History, folders: &Folders, name: &str) -> anyhow::Result<Added> {
    let dir = stored::folder(folders, name).ok_or_else(|| nothing_to_add(folders))?;
    let added = match read_session_file(&dir) {
        Ok(session) => history.add_session(&session),
        Err(ReadError::NoRun { .. }) => {
            let expected = "expected the id of a run or an ab session, its folder, or `last`";
            let run = read_values(&dir);
            history.add_run(&run.map_err(|e| BadInput::new(format!("run {name}"), format!("{e}; {expected}")))?)
        }
        Err(e) => return Err(BadInput::new(format!("session {name}"), e).into()),
    };
    added.map_err(as_bad_input)
}

fn nothing_to_add(folders: &Folders) -> anyhow::Error {
    let problem = format!("no runs or ab sessions in {}", folders.output.display());
    Nothing(format!("{problem}\nhelp: run `cargo bench` first")).into()
}

/// A refused session is invalid input.
fn as_bad_input(error: Error) -> anyhow::Error {
    match error {
        Error::Refused(refused) => BadInput(refused.to_string()).into(),
        other => other.into(),
    }
}

fn merge(history: &history::History, files: &[PathBuf]) -> anyhow::Result<Exit> {
    for file in files {
        let added = history.merge(&entries(history, file)?).map_err(as_bad_input)?;
        print_added(&file.display().to_string(), &added);
    }
    Ok(Exit::Fine)
}

/// The entries of a file, or of all files of a folder. A torn last line is skipped with a warning.
fn entries(history: &history::History, given: &Path) -> Result<Vec<history::Entry>, BadInput> {
    let argument = format!("file {}", given.display());
    let files = if given.is_dir() { history::History::at(given).files() } else { vec![given.to_owned()] };
    if files.is_empty() {
        return Err(BadInput::new(argument, "a folder without a history; expected *.jsonl in it"));
    }
    let mut all = Vec::new();
    for file in files {
        let (entries, torn) = history.read_file(&file).map_err(|e| BadInput::new(&argument, e))?;
        torn.iter().for_each(|warning| output::err!("warning: {warning}"));
        all.extend(entries);
    }
    Ok(all)
}

/// Removes the sessions that `keep` does not keep.
fn prune(history: &history::History, keep: Keep) -> anyhow::Result<Exit> {
    if history.files().is_empty() {
        return Err(Nothing(format!("no history in {}", history.dir().display())).into());
    }
    let pruned = history.prune(keep).map_err(as_bad_input)?;
    output::out!("{} removed, {} left", pruned.removed, pruned.left);
    Ok(Exit::Fine)
}

//! The guests of an arm: those that are built here, those of another revision of this project, or a folder of them.

use crate::guest::{self, BuildError, Image, RevisionError};
use crate::host::folders::Folders;
use crate::model::program::Program;
use crate::platform::Settings;

/// Why an arm has no guests.
#[derive(Debug, thiserror::Error)]
pub enum GuestsError {
    /// They cannot be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Their revision cannot be had.
    #[error(transparent)]
    Revision(#[from] RevisionError),
}

/// The settings with their revision as the commit that it names now, so that a branch that moves on changes nothing.
///
/// # Errors
/// When git knows no such revision.
pub fn pinned(settings: &Settings, folders: &Folders) -> Result<Settings, RevisionError> {
    let commit = settings.guests.as_deref().map(|name| guest::revision::commit(&folders.project, name)).transpose()?;
    Ok(Settings { guests: commit, ..settings.clone() })
}

/// The images of `programs` as `settings`, which are pinned, want them: built where that is missing or changed, the sources
/// of another revision checked out first; of a folder that is set, as they are. `progress` hears what is being done.
///
/// # Errors
/// When the revision cannot be checked out, when a guest cannot be built, and when it is not in the folder that is set.
pub fn guests(
    settings: &Settings,
    folders: &Folders,
    programs: &[Program],
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<Image>, GuestsError> {
    let own = settings.folders(folders);
    if settings.images.is_some() {
        return Ok(guest::stored(&own, programs)?);
    }
    if let Some(commit) = &settings.guests {
        guest::revision::check_out(folders, commit, progress)?;
    }
    Ok(guest::ensure(&own, programs, progress)?)
}

//! The guests of an arm: built here, built from another revision of this project, or taken from a folder.

use crate::guest::{self, BuildError, Image, RevisionError};
use crate::host::folders::Folders;
use crate::model::program::Program;
use crate::platform::Settings;

/// Why an arm has no guests.
#[derive(Debug, thiserror::Error)]
pub enum GuestsError {
    /// They cannot be built, or the folder does not have them.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Their revision cannot be checked out.
    #[error(transparent)]
    Revision(#[from] RevisionError),
}

/// The settings with their revision replaced by its commit, so that new commits on a branch change nothing.
///
/// # Errors
/// Fails if Git does not know the revision.
pub fn pinned(settings: &Settings, folders: &Folders) -> Result<Settings, RevisionError> {
    let commit = settings.guests.as_deref().map(|name| guest::revision::commit(&folders.project, name)).transpose()?;
    Ok(Settings { guests: commit, ..settings.clone() })
}

/// The images of `programs` for `settings`, which must be [`pinned`]. Images of a folder are used as they are. Others are
/// built if they are missing or outdated, after the revision is checked out. `progress` gets a text for each step.
///
/// # Errors
/// Fails if the revision cannot be checked out, a guest cannot be built, or the folder does not have it.
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

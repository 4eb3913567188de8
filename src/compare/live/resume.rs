//! Continues a session that did not finish.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::store::{ArmFile, SessionFile};
use super::{ResumeError, StoredSession, latest_unfinished, read_session, session_folder};
use crate::host::{self, HostFacts};
use crate::store::RunOutcome;

/// Finds and reads the session that `--resume` names: its id, its folder, or `last` for the latest unfinished one.
///
/// # Errors
/// When there is no such session, it cannot be read, or it is complete.
pub(super) fn find(name: &str, sessions: &Path) -> Result<StoredSession, ResumeError> {
    let none = || ResumeError::NoneUnfinished(sessions.to_owned());
    let dir = match name {
        "last" => latest_unfinished(sessions).ok_or_else(none)?,
        name => session_folder(sessions, name),
    };
    let session = read_session(&dir)?;
    match session.file.outcome {
        RunOutcome::Complete => Err(ResumeError::Complete(dir)),
        _ => Ok(session),
    }
}

/// Rejects a platform whose version or capabilities have changed. A session that measured nothing accepts any platform.
///
/// # Errors
/// The differences.
pub(super) fn same_platforms(before: &SessionFile, now: &SessionFile) -> Result<(), ResumeError> {
    let differs = |before: &ArmFile, now: &ArmFile| -> Option<String> {
        let (old, new) = (before.entry.as_ref()?, now.entry.as_ref());
        match new {
            None => Some(format!("{} cannot run here now", before.name)),
            Some(new) if new == old => None,
            Some(new) => {
                let gone = old.facts.notes.iter().filter(|note| !new.facts.notes.contains(note));
                let gone: String = gone.map(|note| format!("; no longer: {note}")).collect();
                let (old, new) = (&old.facts.version, &new.facts.version);
                Some(format!("{} was {old} and is {new}, or its capabilities changed{gone}", before.name))
            }
        }
    };
    let differences = [(&before.arms.a, &now.arms.a), (&before.arms.b, &now.arms.b)];
    refuse(differences.into_iter().filter_map(|(before, now)| differs(before, now)).collect())
}

/// Rejects other guests or programs, and another host or kernel, also from one stage to the next.
///
/// # Errors
/// The differences.
pub(super) fn same_environment(before: &SessionFile, now: &SessionFile) -> Result<(), ResumeError> {
    let guests = |before: &ArmFile, now: &ArmFile| -> Vec<String> {
        let image = before.images.iter().filter(|image| {
            let new = now.images.iter().find(|new| new.program == image.program);
            new.is_none_or(|new| new.digest != image.digest)
        });
        let made = before.made.iter().filter(|(what, digest)| now.made.get(*what).is_some_and(|new| new != *digest));
        let image = image.map(|image| format!("{}: guest {} has changed", before.name, image.program));
        let made = made.map(|(what, _)| format!("what {what} boots has changed"));
        image.chain(made).chain(other_program(before, now)).collect()
    };
    let mut differences = guests(&before.arms.a, &now.arms.a);
    differences.extend(guests(&before.arms.b, &now.arms.b));
    let hosts = facts(&before.host).zip(facts(&now.host)).map(|(old, new)| host::differences(&old, &new));
    differences.extend(hosts.unwrap_or_default());
    refuse(differences)
}

/// How an arm's program has changed: its version, or a program that the user set, which may change at the same path.
fn other_program(before: &ArmFile, now: &ArmFile) -> Option<String> {
    let known = |arm: &ArmFile| {
        let facts = &arm.entry.as_ref()?.facts;
        Some([facts.version.as_str()].into_iter().chain(facts.set()).collect::<Vec<_>>().join(", "))
    };
    let (old, new) = (known(before)?, known(now)?);
    (old != new).then(|| format!("{} was {old} and is {new}", before.name))
}

fn refuse(differences: Vec<String>) -> Result<(), ResumeError> {
    match differences.is_empty() {
        true => Ok(()),
        false => Err(ResumeError::Changed(differences)),
    }
}

fn facts(stored: &BTreeMap<String, Value>) -> Option<HostFacts> {
    // A session that was stopped before the host was read has no facts.
    let stored = Some(stored).filter(|stored| !stored.is_empty())?;
    Some(HostFacts::stored(stored))
}

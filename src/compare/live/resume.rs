//! Going on with a session that did not finish.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::store::{ArmFile, SessionFile};
use super::{AbError, StoredSession, latest_unfinished, read_session, session_folder};
use crate::host::{self, HostFacts};
use crate::store::RunOutcome;

/// Finds and reads the session that `--resume` names: its id, its folder, or `last` for the latest unfinished one.
///
/// # Errors
/// When there is none, it cannot be read, or it is complete.
pub(super) fn find(name: &str, sessions: &Path) -> Result<StoredSession, AbError> {
    let none = || AbError::Resume(format!("no unfinished session under {}", sessions.display()));
    let dir = match name {
        "last" => latest_unfinished(sessions).ok_or_else(none)?,
        name => session_folder(sessions, name),
    };
    let session = read_session(&dir)?;
    match session.file.outcome {
        RunOutcome::Complete => {
            Err(AbError::Resume(format!("{} is complete: there is nothing to go on with", dir.display())))
        }
        _ => Ok(session),
    }
}

/// Refuses to go on with a platform of another version, or that can do other things. Before anything was measured there
/// is nothing to keep to.
///
/// # Errors
/// Names what differs.
pub(super) fn same_platforms(before: &SessionFile, now: &SessionFile) -> Result<(), AbError> {
    let differs = |before: &ArmFile, now: &ArmFile| -> Option<String> {
        let (then, here) = (before.entry.as_ref()?, now.entry.as_ref());
        match here {
            None => Some(format!("{} cannot run here now", before.name)),
            Some(here) if here == then => None,
            Some(here) => {
                let gone = then.facts.notes.iter().filter(|note| !here.facts.notes.contains(note));
                let gone: String = gone.map(|note| format!("; no longer: {note}")).collect();
                let (then, here) = (&then.facts.version, &here.facts.version);
                Some(format!("{} was {then} and is {here}, or can do other things than then{gone}", before.name))
            }
        }
    };
    let differences = [(&before.arms.a, &now.arms.a), (&before.arms.b, &now.arms.b)];
    refuse(differences.into_iter().filter_map(|(before, now)| differs(before, now)).collect())
}

/// Refuses to go on with other guests or programs, or on another host or kernel, also from one stage to the next.
///
/// # Errors
/// Names what differs.
pub(super) fn same_environment(before: &SessionFile, now: &SessionFile) -> Result<(), AbError> {
    let guests = |before: &ArmFile, now: &ArmFile| -> Vec<String> {
        let image = before.images.iter().filter(|image| {
            let here = now.images.iter().find(|here| here.program == image.program);
            here.is_none_or(|here| here.digest != image.digest)
        });
        let made = before.made.iter().filter(|(what, digest)| now.made.get(*what).is_some_and(|here| here != *digest));
        let image = image.map(|image| format!("{}: the guest {} is another than then", before.name, image.program));
        let made = made.map(|(what, _)| format!("what is booted as {what} is another than then"));
        image.chain(made).chain(other_program(before, now)).collect()
    };
    let mut differences = guests(&before.arms.a, &now.arms.a);
    differences.extend(guests(&before.arms.b, &now.arms.b));
    let hosts = facts(&before.host).zip(facts(&now.host)).map(|(then, here)| host::differences(&then, &here));
    differences.extend(hosts.unwrap_or_default());
    refuse(differences)
}

/// How an arm's program is another than before: its version, or what is set, which may be another at the same path.
fn other_program(before: &ArmFile, now: &ArmFile) -> Option<String> {
    let known = |arm: &ArmFile| {
        let facts = &arm.entry.as_ref()?.facts;
        Some([facts.version.as_str()].into_iter().chain(facts.set()).collect::<Vec<_>>().join(", "))
    };
    let (then, here) = (known(before)?, known(now)?);
    (then != here).then(|| format!("{} was {then} and is {here}", before.name))
}

fn refuse(differences: Vec<String>) -> Result<(), AbError> {
    match differences.is_empty() {
        true => Ok(()),
        false => Err(AbError::Resume(format!("{}; begin a new session instead", differences.join("; ")))),
    }
}

fn facts(stored: &BTreeMap<String, Value>) -> Option<HostFacts> {
    // Nothing was written down before the host was read.
    let stored = Some(stored).filter(|stored| !stored.is_empty())?;
    Some(HostFacts::stored(stored))
}

//! A stored ab session, as far as a history needs it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::intake::facts;
use super::{AbSession, ReadError, Subject};
use crate::guest::Image;
use crate::plan::Configuration;
use crate::store::PlatformEntry;
use crate::regression::Comparison;
use crate::run::RunId;

/// The name of a session's description.
const SESSION_FILE: &str = "session.json";
/// The latest schema of it that is understood.
const SESSION_SCHEMA: u64 = 1;

/// The fields that matter here; others may come and go.
#[derive(Deserialize)]
struct SessionFile {
    run: RunId,
    version: String,
    arms: Arms,
    configuration: Configuration,
    host: BTreeMap<String, Value>,
    started: String,
    comparison: Option<Comparison>,
}

#[derive(Deserialize)]
struct Arms {
    b: Arm,
}

#[derive(Deserialize)]
struct Arm {
    entry: Option<PlatformEntry>,
    #[serde(default)]
    images: Vec<Image>,
    #[serde(default)]
    made: BTreeMap<String, String>,
}

/// Reads the ab session in the folder `dir`; `None` where it is no session.
///
/// # Errors
/// When it cannot be understood, was written by a newer version, or has not been judged.
pub fn read_session(dir: &Path) -> Option<Result<AbSession, ReadError>> {
    let path = dir.join(SESSION_FILE);
    let text = fs::read(&path).ok()?;
    let damaged = |reason: String| ReadError::Damaged { path: path.clone(), line: 1, reason };
    Some(match schema(&text) {
        Some(found) if found > SESSION_SCHEMA => Err(ReadError::Newer { path: path.clone(), line: 1, found }),
        _ => serde_json::from_slice::<SessionFile>(&text)
            .map_err(|e| damaged(e.to_string()))
            .and_then(|file| file.judged().ok_or_else(|| damaged("it has no verdict; go on with --resume".to_owned()))),
    })
}

fn schema(text: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Value>(text).ok()?.get("schema")?.as_u64()
}

impl SessionFile {
    fn judged(self) -> Option<AbSession> {
        Some(AbSession {
            session: self.run,
            time: self.started,
            version: self.version,
            host: facts(&self.host),
            experiment: self.configuration.experiment,
            comparison: self.comparison?,
            subject: self.arms.b.subject(),
        })
    }
}

impl Arm {
    fn subject(self) -> Subject {
        let entry = self.entry.as_ref();
        let made = |image: &Image| {
            let whole = entry.and_then(|entry| self.made.get(&format!("{}/{}", entry.id, image.program)));
            (image.program.to_string(), whole.unwrap_or(&image.digest).clone())
        };
        Subject {
            accelerator: entry.map(|entry| entry.capabilities.accelerator),
            images: self.images.iter().map(made).collect(),
            simulated: entry.is_some_and(|entry| entry.capabilities.simulated),
        }
    }
}

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
use crate::regression::Comparison;
use crate::run::RunId;
use crate::store::PlatformEntry;

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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::testing::run_file;

    fn stored(change: impl FnOnce(&mut Value)) -> (tempfile::TempDir, Option<Result<AbSession, ReadError>>) {
        let side = json!({ "name": "youki", "facts": {} });
        let comparison = json!({ "a": side, "b": side, "notes": [], "not_comparable": [], "lines": [], "took": 5 });
        let image = json!({ "program": "hello", "rootfs": "/r", "digest": "ff", "size": 1 });
        let arm = json!({ "name": "youki", "platform": "youki", "settings": {}, "entry": null, "images": [image] });
        let mut file = json!({
            "schema": 1, "run": "20261121-084514-00ab", "version": "0.1.0", "arms": { "a": arm, "b": arm },
            "configuration": run_file().configuration, "host": { "cpu_model": "EPYC" }, "started": "2026-11-21T08:45:14Z",
            "comparison": comparison, "and": "more",
        });
        change(&mut file);
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(SESSION_FILE), file.to_string()).unwrap();
        let read = read_session(dir.path());
        (dir, read)
    }

    #[test]
    fn a_session_is_read_with_what_ran_in_its_second_arm() {
        let (_dir, session) = stored(|_| {});
        let session = session.unwrap().unwrap();
        assert_eq!(session.host.cpu_model.as_deref(), Some("EPYC"));
        assert_eq!(session.subject.images, BTreeMap::from([("hello".to_owned(), "ff".to_owned())]));
    }

    #[test]
    fn what_is_not_judged_not_understood_or_newer_is_refused() {
        let message = |change: fn(&mut Value)| stored(change).1.unwrap().unwrap_err().to_string();
        assert!(message(|file| file["comparison"] = Value::Null).contains("it has no verdict"));
        assert!(message(|file| file["run"] = json!("x")).contains("line 1: "));
        assert!(message(|file| file["schema"] = json!(9)).contains("has schema 9"));
        assert!(read_session(Path::new("/nowhere")).is_none());
    }
}

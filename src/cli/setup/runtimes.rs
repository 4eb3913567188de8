//! Docker's additional runtimes in its `daemon.json`. Pure.
//!
//! Invariant: the user's content of the file stays; only missing runtimes are added.

use serde_json::{Map, Value, json};

/// Docker's configuration file.
pub(super) const FILE: &str = "/etc/docker/daemon.json";

/// The backup of the original file.
pub(super) const BACKUP: &str = "/etc/docker/daemon.json.before-featherweight";

/// The tools to configure as Docker's runtimes. Docker includes runc.
pub(super) const RUNTIMES: &[&str] = &["crun", "runsc"];

/// A runtime in Docker's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Runtime {
    /// The name after `docker run --runtime`.
    pub(super) name: &'static str,
    /// The program.
    pub(super) path: String,
    /// The arguments before Docker's own ones.
    pub(super) arguments: Vec<String>,
}

/// Returns the names of the runtimes in the file.
///
/// # Errors
/// The reason why the file is invalid.
pub(super) fn configured(text: Option<&str>) -> Result<Vec<String>, String> {
    let root = parse(text)?;
    Ok(root.get("runtimes").and_then(Value::as_object).into_iter().flat_map(Map::keys).cloned().collect())
}

/// Returns the file's text with the missing `runtimes` added.
///
/// # Errors
/// The reason why the file is invalid.
pub(super) fn merged(text: Option<&str>, runtimes: &[Runtime]) -> Result<String, String> {
    let mut root = parse(text)?;
    let entry = root.entry("runtimes").or_insert_with(|| json!({}));
    let named = entry.as_object_mut().expect("parse accepts only an object");
    for runtime in runtimes {
        named.entry(runtime.name).or_insert_with(|| runtime.as_json());
    }
    Ok(format!("{:#}\n", Value::Object(root)))
}

impl Runtime {
    fn as_json(&self) -> Value {
        match self.arguments.is_empty() {
            true => json!({ "path": self.path }),
            false => json!({ "path": self.path, "runtimeArgs": self.arguments }),
        }
    }
}

/// Parses the file. As for Docker, a missing or empty file is an empty configuration.
fn parse(text: Option<&str>) -> Result<Map<String, Value>, String> {
    let text = text.map(str::trim).filter(|text| !text.is_empty()).unwrap_or("{}");
    let root: Value = serde_json::from_str(text).map_err(|e| format!("{FILE}: invalid JSON: {e}"))?;
    let Value::Object(root) = root else { return Err(format!("{FILE}: expected a JSON object")) };
    match root.get("runtimes") {
        None | Some(Value::Object(_)) => Ok(root),
        Some(_) => Err(format!("{FILE}: invalid `runtimes`; expected an object")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn runtimes() -> Vec<Runtime> {
        let runsc = Runtime { name: "runsc", path: "/usr/bin/runsc".into(), arguments: vec!["--network=none".into()] };
        vec![Runtime { name: "crun", path: "/usr/bin/crun".into(), arguments: Vec::new() }, runsc]
    }

    #[test]
    fn runtimes_are_added_to_the_users_content() {
        let old = r#"{"log-level": "warn", "runtimes": {"crun": {"path": "/opt/crun"}, "mine": {"path": "/x"}}}"#;
        let new: Value = serde_json::from_str(&merged(Some(old), &runtimes()).unwrap()).unwrap();
        let runsc = json!({ "path": "/usr/bin/runsc", "runtimeArgs": ["--network=none"] });
        let all = json!({ "crun": { "path": "/opt/crun" }, "mine": { "path": "/x" }, "runsc": runsc });
        assert_eq!(new, json!({ "log-level": "warn", "runtimes": all }));
    }

    #[rstest]
    #[case::no_file(None)]
    #[case::an_empty_one(Some("\n"))]
    #[case::one_without_runtimes(Some("{}"))]
    fn a_file_without_runtimes_gets_all(#[case] old: Option<&str>) {
        let new = merged(old, &runtimes()).unwrap();
        assert_eq!(configured(Some(&new)).unwrap(), ["crun", "runsc"]);
        assert_eq!(merged(Some(&new), &runtimes()).unwrap(), new, "a second time changes nothing");
    }

    #[rstest]
    #[case::no_json("{,}", "invalid JSON: ")]
    #[case::no_object("[]", "expected a JSON object")]
    #[case::other_runtimes(r#"{"runtimes": 1}"#, "invalid `runtimes`")]
    fn an_invalid_file_is_rejected(#[case] old: &str, #[case] reason: &str) {
        assert!(configured(Some(old)).unwrap_err().contains(reason));
        assert_eq!(merged(Some(old), &runtimes()).unwrap_err(), configured(Some(old)).unwrap_err());
    }
}

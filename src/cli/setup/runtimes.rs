//! Docker's further runtimes in its `daemon.json`. It takes and returns data only.
//!
//! Invariant: what the user wrote into the file stays; only runtimes that it does not name are added.

use serde_json::{Map, Value, json};

/// Where Docker reads its configuration.
pub(super) const FILE: &str = "/etc/docker/daemon.json";

/// Where the file that was there first is kept.
pub(super) const BACKUP: &str = "/etc/docker/daemon.json.before-featherweight";

/// The tools that become runtimes of Docker's. It brings runc along.
pub(super) const RUNTIMES: &[&str] = &["crun", "runsc"];

/// How Docker starts a runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Runtime {
    /// The name after `docker run --runtime`.
    pub(super) name: &'static str,
    /// The program.
    pub(super) path: String,
    /// What it is given before Docker's own arguments.
    pub(super) arguments: Vec<String>,
}

/// The names of the runtimes in the file.
///
/// # Errors
/// Why setup cannot add to it.
pub(super) fn configured(text: Option<&str>) -> Result<Vec<String>, String> {
    let root = parse(text)?;
    Ok(root.get("runtimes").and_then(Value::as_object).into_iter().flat_map(Map::keys).cloned().collect())
}

/// The file with those of `runtimes` added that it does not name.
///
/// # Errors
/// Why setup cannot add to it.
pub(super) fn merged(text: Option<&str>, runtimes: &[Runtime]) -> Result<String, String> {
    let mut root = parse(text)?;
    let entry = root.entry("runtimes").or_insert_with(|| json!({}));
    let named = entry.as_object_mut().expect("parse has checked it");
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

/// An absent file and an empty one say nothing, which Docker accepts, too.
fn parse(text: Option<&str>) -> Result<Map<String, Value>, String> {
    let text = text.map(str::trim).filter(|text| !text.is_empty()).unwrap_or("{}");
    let root: Value = serde_json::from_str(text).map_err(|e| format!("{FILE} is no JSON: {e}"))?;
    let Value::Object(root) = root else { return Err(format!("{FILE} is no JSON object")) };
    match root.get("runtimes") {
        None | Some(Value::Object(_)) => Ok(root),
        Some(_) => Err(format!("`runtimes` in {FILE} is no object")),
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
    fn runtimes_are_added_to_what_the_user_wrote() {
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
    fn a_file_that_says_nothing_gets_them_all(#[case] old: Option<&str>) {
        let new = merged(old, &runtimes()).unwrap();
        assert_eq!(configured(Some(&new)).unwrap(), ["crun", "runsc"]);
        assert_eq!(merged(Some(&new), &runtimes()).unwrap(), new, "a second time changes nothing");
    }

    #[rstest]
    #[case::no_json("{,}", "is no JSON: ")]
    #[case::no_object("[]", "is no JSON object")]
    #[case::other_runtimes(r#"{"runtimes": 1}"#, "`runtimes` in ")]
    fn a_file_that_cannot_be_read_is_left_alone_with_the_reason(#[case] old: &str, #[case] reason: &str) {
        assert!(configured(Some(old)).unwrap_err().contains(reason));
        assert_eq!(merged(Some(old), &runtimes()).unwrap_err(), configured(Some(old)).unwrap_err());
    }
}

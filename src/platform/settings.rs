//! What an arm of a comparison sets differently on its platform.
//!
//! A platform supports a setting or rejects it in its check, with the reason and the remedy; it ignores none.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

pub(super) use support::Refusal;
pub use support::{SettingKind, UnsupportedSetting};

use super::inject::{Inject, ParseInjectError};
use super::{Context, LaunchSpec, Purpose};
use crate::host::cgroup::{Controller, Quota};
use crate::host::folders::{Folders, Images};
use crate::host::tools;
use crate::model::names::{UnknownName, named_enum};
use crate::model::platform::Unavailable;
use crate::model::units::Nanos;

named_enum! {
    /// A setting's key.
    pub enum Key ("setting") {
        /// The OCI runtime's program.
        Runtime = "runtime",
        /// QEMU's program.
        Qemu = "qemu",
        /// A folder of built guest images.
        Images = "images",
        /// A git revision of this project whose guests are built.
        Guests = "guests",
        /// More words on the guest kernel's command line.
        Append = "append",
        /// A deliberate slowdown.
        Inject = "inject",
    }
}

/// A platform's settings. The default is a platform without any, as in every run without arms.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The OCI runtime's program, instead of the one in `PATH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<PathBuf>,
    /// QEMU's program, instead of the one in `PATH`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qemu: Option<PathBuf>,
    /// A folder of guest images, used as they are, instead of those that are built here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// A Git revision of this project whose guests are built and measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guests: Option<String>,
    /// More words on the guest kernel's command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub append: Option<String>,
    /// A deliberate slowdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inject: Option<Inject>,
}

/// An invalid setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key}={value}: {why}")]
pub struct SettingError {
    key: String,
    value: String,
    why: String,
}

impl SettingError {
    fn new(key: impl ToString, value: &str, why: impl ToString) -> Self {
        Self { key: key.to_string(), value: value.to_owned(), why: why.to_string() }
    }

    /// Parses a key; `value` is for the error message.
    pub(crate) fn key(name: &str, value: &str) -> Result<Key, Self> {
        let unknown = |e: UnknownName| Self::new(name, value, UnknownName { accepted: accepted(), ..e });
        name.parse().map_err(unknown)
    }
}

/// The settings as the user writes them.
pub fn accepted() -> String {
    Key::ALL.iter().map(|key| format!("{key}={}", key.form())).collect::<Vec<_>>().join(", ")
}

impl Key {
    /// The form of its value.
    pub const fn form(self) -> &'static str {
        match self {
            Key::Runtime | Key::Qemu => "PATH",
            Key::Images => "DIR",
            Key::Guests => "REVISION",
            Key::Append => "WORDS",
            Key::Inject => "busy:5%|busy:400us|quota:95%|delay:100us",
        }
    }

    /// What applies if it is not set, in words.
    pub const fn default_text(self) -> &'static str {
        match self {
            Key::Runtime | Key::Qemu => "the default",
            Key::Images | Key::Guests => "those built here",
            Key::Append => "no words",
            Key::Inject => "nothing",
        }
    }
}

impl Settings {
    /// Sets `key`, replacing what was set before. A relative path starts at this process's folder.
    ///
    /// # Errors
    /// Names the key, the value and what is expected.
    pub fn set(&mut self, key: Key, value: &str) -> Result<(), SettingError> {
        let invalid = |why: String| SettingError::new(key, value, why);
        if value.is_empty() {
            return Err(invalid(format!("no value; expected {key}={}", key.form())));
        }
        if value.contains(['\0', '\n']) {
            return Err(invalid("expected a single line".to_owned()));
        }
        let path = || std::path::absolute(value).map_err(|e| invalid(e.to_string()));
        match key {
            Key::Runtime => self.runtime = Some(path()?),
            Key::Qemu => self.qemu = Some(path()?),
            Key::Images => self.images = Some(path()?),
            Key::Guests => self.guests = Some(value.to_owned()),
            Key::Append => match value.split_whitespace().find(|word| is_reserved(word)) {
                Some(word) => return Err(invalid(format!("`{word}` is reserved for the harness"))),
                None => self.append = Some(value.to_owned()),
            },
            Key::Inject => self.inject = Some(value.parse().map_err(|e: ParseInjectError| invalid(e.to_string()))?),
        }
        Ok(())
    }

    /// The value of `key` as text; `None` if it is not set.
    pub fn get(&self, key: Key) -> Option<String> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        match key {
            Key::Runtime => path(&self.runtime),
            Key::Qemu => path(&self.qemu),
            Key::Images => path(&self.images),
            Key::Guests => self.guests.clone(),
            Key::Append => self.append.clone(),
            Key::Inject => self.inject.map(|inject| inject.to_string()),
        }
    }

    /// Every key that is set, with its value.
    pub fn given(&self) -> impl Iterator<Item = (Key, String)> {
        Key::ALL.iter().filter_map(|&key| Some((key, self.get(key)?)))
    }

    /// Whether nothing is set.
    pub fn is_plain(&self) -> bool {
        self.given().next().is_none()
    }

    /// Turns busy work that is a share of the measured median into a time. Everything else stays as it is.
    pub fn resolve_busy(&mut self, median: Nanos) {
        self.inject = self.inject.map(|inject| inject.resolved(median));
    }

    /// Whether [`Settings::resolve_busy`] still has to be called.
    pub fn is_unresolved(&self) -> bool {
        self.inject.is_some_and(Inject::is_unresolved)
    }

    /// The folders of an arm: those of `default`, except for the images if they are set.
    pub fn folders(&self, default: &Folders) -> Folders {
        match (&self.images, &self.guests) {
            (Some(images), _) => Folders { images: Images::Fixed(images.clone()), ..default.clone() },
            (None, Some(commit)) => default.of_revision(commit),
            (None, None) => default.clone(),
        }
    }

    /// The quota of CPU time for the instance of `spec`.
    pub(super) fn quota(&self, spec: &LaunchSpec) -> Option<Quota> {
        match self.inject {
            Some(Inject::Quota(percent)) if spec.purpose == Purpose::Measured => Some(Quota::of_percent(percent)),
            _ => None,
        }
    }

    /// The delay of packets to the instance of `spec`.
    pub(super) fn delay(&self, spec: &LaunchSpec) -> Option<Nanos> {
        match self.inject {
            Some(Inject::Delay(span)) if spec.purpose == Purpose::Measured => Some(span),
            _ => None,
        }
    }

    /// The controllers in `default`, and the one for quotas if a quota is set.
    pub(super) fn controllers(&self, default: &[Controller]) -> Vec<Controller> {
        let more = matches!(self.inject, Some(Inject::Quota(_))).then_some(Controller::Cpu);
        default.iter().copied().chain(more).collect()
    }

    /// The additional words on the guest kernel's command line.
    pub(super) fn words(&self) -> impl Iterator<Item = String> {
        self.append.iter().flat_map(|words| words.split_whitespace()).map(str::to_owned)
    }
}

/// The program that is `set`, or the one that `find` finds.
///
/// # Errors
/// Fails if the path is not a program, or if `find` fails.
pub(super) fn program(
    set: Option<&Path>,
    find: impl FnOnce() -> Result<PathBuf, Unavailable>,
) -> Result<PathBuf, Unavailable> {
    let Some(path) = set else { return find() };
    if tools::is_program(path) {
        return Ok(path.to_owned());
    }
    Err(Unavailable::new(
        format!("{} is not a program", path.display()),
        "give the path of a file that can be executed",
    ))
}

/// Whether the guest system's first process reads this word of a kernel's command line, or it ends the kernel's own words.
fn is_reserved(word: &str) -> bool {
    word == "--" || word.starts_with("fw.")
}

impl Context {
    /// The same run with `settings` for its platforms: one arm, even if nothing is set.
    pub fn with_settings(&self, settings: &Settings) -> Self {
        static ARMS: AtomicU32 = AtomicU32::new(0);
        let arm = Some(ARMS.fetch_add(1, Ordering::Relaxed));
        Self { settings: Arc::new(settings.clone()), arm, ..self.clone() }
    }
}

#[cfg(test)]
mod tests;

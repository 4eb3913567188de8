//! What an arm of a comparison sets differently on its platform.
//!
//! A platform honours a setting or refuses it in its check, with the reason and the cure: none is ignored.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

use super::inject::{Inject, ParseInjectError};
use super::{Context, LaunchSpec, Purpose};
use crate::host::cgroup::{Controller, Quota};
use crate::host::folders::{Folders, Images};
use crate::host::tools;
use crate::model::names::{UnknownName, named_enum};
use crate::model::platform::Unavailable;
use crate::model::units::Nanos;

named_enum! {
    /// What can be set.
    pub enum Key ("setting") {
        /// The OCI runtime's program.
        Runtime = "runtime",
        /// QEMU's program.
        Qemu = "qemu",
        /// A folder of built guest images.
        Images = "images",
        /// A git revision of this project whose guests are built.
        Guests = "guests",
        /// Words for the guest kernel's command line.
        Append = "append",
        /// A fire drill.
        Inject = "inject",
    }
}

/// Settings of a platform beyond its name. The default is what every run without an arm has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The OCI runtime's program, instead of the one in PATH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<PathBuf>,
    /// QEMU's program, instead of the one in PATH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qemu: Option<PathBuf>,
    /// A folder of guest images that are taken as they are, instead of those that are built here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// A git revision of this project, whose guests are built and measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guests: Option<String>,
    /// Words that are added to the guest kernel's command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub append: Option<String>,
    /// What makes it slower on purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inject: Option<Inject>,
}

/// A setting that cannot be.
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

    /// The key of that name; `value` is for the error.
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
    /// What its value is.
    pub const fn form(self) -> &'static str {
        match self {
            Key::Runtime | Key::Qemu => "PATH",
            Key::Images => "DIR",
            Key::Guests => "REVISION",
            Key::Append => "WORDS",
            Key::Inject => "busy:5%|busy:400us|quota:95%|delay:100us",
        }
    }

    /// What holds when it is not set, in words.
    pub const fn usual(self) -> &'static str {
        match self {
            Key::Runtime | Key::Qemu => "the usual one",
            Key::Images | Key::Guests => "those built here",
            Key::Append => "no words",
            Key::Inject => "nothing",
        }
    }
}

impl Settings {
    /// Sets `key` in place of what was set before. A relative path is one from the folder that this process is in.
    ///
    /// # Errors
    /// Names the key, the value and what is accepted.
    pub fn set(&mut self, key: Key, value: &str) -> Result<(), SettingError> {
        let wrong = |why: String| SettingError::new(key, value, why);
        if value.is_empty() {
            return Err(wrong(format!("no value; {key}={} is accepted", key.form())));
        }
        if value.contains(['\0', '\n']) {
            return Err(wrong("a value has one line".to_owned()));
        }
        let path = || std::path::absolute(value).map_err(|e| wrong(e.to_string()));
        match key {
            Key::Runtime => self.runtime = Some(path()?),
            Key::Qemu => self.qemu = Some(path()?),
            Key::Images => self.images = Some(path()?),
            Key::Guests => self.guests = Some(value.to_owned()),
            Key::Append => match value.split_whitespace().find(|word| is_ours(word)) {
                Some(word) => return Err(wrong(format!("`{word}` is the harness's own to say"))),
                None => self.append = Some(value.to_owned()),
            },
            Key::Inject => self.inject = Some(value.parse().map_err(|e: ParseInjectError| wrong(e.to_string()))?),
        }
        Ok(())
    }

    /// The value of `key` as text; `None` when it is not set.
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

    /// What is set, in the order of the keys.
    pub fn given(&self) -> impl Iterator<Item = (Key, String)> {
        Key::ALL.iter().filter_map(|&key| Some((key, self.get(key)?)))
    }

    /// Whether nothing is set.
    pub fn is_plain(&self) -> bool {
        self.given().next().is_none()
    }

    /// Busy work that was asked for as a share of what is measured, as a time, now that its median is known. Everything
    /// else stays as it is.
    pub fn resolve_busy(&mut self, median: Nanos) {
        self.inject = self.inject.map(|inject| inject.resolved(median));
    }

    /// Whether it still takes a median to know how much busy work there is to be: see [`Settings::resolve_busy`].
    pub fn is_unresolved(&self) -> bool {
        self.inject.is_some_and(Inject::is_unresolved)
    }

    /// The folders of an arm: `usual`, with the images where they are set to be.
    pub fn folders(&self, usual: &Folders) -> Folders {
        match (&self.images, &self.guests) {
            (Some(images), _) => Folders { images: Images::Fixed(images.clone()), ..usual.clone() },
            (None, Some(commit)) => usual.of_revision(commit),
            (None, None) => usual.clone(),
        }
    }

    /// The share of a CPU's time that the instance of `spec` gets.
    pub(super) fn quota(&self, spec: &LaunchSpec) -> Option<Quota> {
        match self.inject {
            Some(Inject::Quota(percent)) if spec.purpose == Purpose::Measured => Some(Quota::of_percent(percent)),
            _ => None,
        }
    }

    /// How long packets to the instance of `spec` are delayed.
    pub(super) fn delay(&self, spec: &LaunchSpec) -> Option<Nanos> {
        match self.inject {
            Some(Inject::Delay(span)) if spec.purpose == Purpose::Measured => Some(span),
            _ => None,
        }
    }

    /// `usual`, and the controller of quotas where there is to be one.
    pub(super) fn controllers(&self, usual: &[Controller]) -> Vec<Controller> {
        let more = matches!(self.inject, Some(Inject::Quota(_))).then_some(Controller::Cpu);
        usual.iter().copied().chain(more).collect()
    }

    /// The words for the guest kernel's command line.
    pub(super) fn words(&self) -> impl Iterator<Item = String> {
        self.append.iter().flat_map(|words| words.split_whitespace()).map(str::to_owned)
    }
}

/// The program that is `set`, or else the usual one.
///
/// # Errors
/// When it is none, or the usual one's.
pub(super) fn program(
    set: Option<&Path>,
    usual: impl FnOnce() -> Result<PathBuf, Unavailable>,
) -> Result<PathBuf, Unavailable> {
    let Some(path) = set else { return usual() };
    tools::is_program(path).then(|| path.to_owned()).ok_or_else(|| Unavailable {
        reason: format!("{} is no program", path.display()),
        cure: "give the path of a file that can be executed".to_owned(),
    })
}

/// Whether a kernel's command line has that word for the guest system's first process, or as what ends the kernel's own.
fn is_ours(word: &str) -> bool {
    word == "--" || word.starts_with("fw.")
}

impl Context {
    /// The same run with `settings` on the platforms that are made with it: one arm, even where nothing is set.
    pub fn with_settings(&self, settings: &Settings) -> Self {
        static ARMS: AtomicU32 = AtomicU32::new(0);
        let arm = Some(ARMS.fetch_add(1, Ordering::Relaxed));
        Self { settings: Arc::new(settings.clone()), arm, ..self.clone() }
    }
}

#[cfg(test)]
mod tests;

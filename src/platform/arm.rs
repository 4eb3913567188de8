//! An arm of a comparison: a platform and what is set differently on it.
//!
//! Its text is `PLATFORM[,KEY=VALUE]...`; a comma in a value is written twice. The text reads back as the same arm, but
//! that a relative path becomes absolute when it is read.

mod guests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use guests::{GuestsError, guests, pinned};

use crate::model::names::UnknownName;
use crate::model::platform::PlatformId;
use crate::platform::{Key, SettingError, Settings};

/// What one side of `cargo xtask ab` measures: `docker:runc`, `oci:crun,runtime=/opt/crun-2/bin/crun`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// Where.
    pub platform: PlatformId,
    /// With what.
    pub settings: Settings,
}

/// A text that is no arm.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ArmError {
    /// It begins with no platform's name.
    #[error(transparent)]
    Platform(#[from] UnknownName),
    /// One of its settings cannot be.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A setting is there twice.
    #[error("`{0}` is set twice in one arm")]
    Twice(Key),
}

impl Arm {
    /// The platform as every run without an arm has it.
    pub fn plain(platform: PlatformId) -> Self {
        Self { platform, settings: Settings::default() }
    }

    /// Sets `key` to `value`, in place of what was set before, as `--set KEY=VALUE` does.
    ///
    /// # Errors
    /// Names the key, the value and what is accepted.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ArmError> {
        Ok(self.settings.set(SettingError::key(key, value)?, value)?)
    }

    /// As [`Arm::set`], of one text `KEY=VALUE`.
    ///
    /// # Errors
    /// As [`Arm::set`], and when there is no `=`.
    pub fn set_text(&mut self, text: &str) -> Result<(), ArmError> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        self.set(key, value)
    }

    /// In words, how it differs from `other`, one text a difference: `runtime: /a against the usual one`. None when both
    /// are the same.
    pub fn differences(&self, other: &Arm) -> Vec<String> {
        let word = |arm: &Arm, key: Key| arm.settings.get(key).unwrap_or_else(|| key.usual().to_owned());
        let of_key = |&key: &Key| {
            let (a, b) = (self.settings.get(key), other.settings.get(key));
            (a != b).then(|| format!("{key}: {} against {}", word(self, key), word(other, key)))
        };
        let platform = (self.platform != other.platform)
            .then(|| format!("platform: {} against {}", self.platform, other.platform));
        platform.into_iter().chain(Key::ALL.iter().filter_map(of_key)).collect()
    }
}

/// How `a` and `b` differ, in one line for reports.
pub fn difference(a: &Arm, b: &Arm) -> String {
    match a.differences(b) {
        none if none.is_empty() => "the same arm twice".to_owned(),
        some => some.join("; "),
    }
}

impl FromStr for Arm {
    type Err = ArmError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut pieces = pieces(text).into_iter();
        let mut arm = Self::plain(pieces.next().unwrap_or_default().parse()?);
        for piece in pieces {
            let (key, value) = piece.split_once('=').unwrap_or((piece.as_str(), ""));
            let key = SettingError::key(key, value)?;
            if arm.settings.get(key).is_some() {
                return Err(ArmError::Twice(key));
            }
            arm.settings.set(key, value)?;
        }
        Ok(arm)
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let given = self.settings.given().map(|(key, value)| format!(",{key}={}", value.replace(',', ",,")));
        f.pad(&format!("{}{}", self.platform, given.collect::<String>()))
    }
}

/// `text` apart at its commas, with two of them as one that is meant.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let is_end = letter == ',' && letters.next_if_eq(&',').is_none();
        match pieces.last_mut() {
            Some(piece) if !is_end => piece.push(letter),
            _ => pieces.push(String::new()),
        }
    }
    pieces
}

#[cfg(test)]
mod tests;

//! An arm of a comparison: a platform and what is set differently on it.
//!
//! Its text is `PLATFORM[,KEY=VALUE]...`; a comma in a value is written twice. Parsing the text gives the same arm, except
//! that a relative path becomes absolute.

mod guests;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use guests::{GuestsError, guests, pinned};

use crate::model::names::UnknownName;
use crate::model::platform::PlatformId;
use crate::platform::{Key, SettingError, Settings};

/// One side of `cargo xtask ab`: `docker:runc`, `oci:crun,runtime=/opt/crun-2/bin/crun`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// The platform.
    pub platform: PlatformId,
    /// Its settings.
    pub settings: Settings,
}

/// An invalid arm.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ArmError {
    /// The platform is unknown.
    #[error(transparent)]
    Platform(#[from] UnknownName),
    /// A setting is invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// A setting occurs twice.
    #[error("`{0}` is set twice in one arm")]
    Twice(Key),
}

impl Arm {
    /// A platform without settings.
    pub fn plain(platform: PlatformId) -> Self {
        Self { platform, settings: Settings::default() }
    }

    /// Sets `key` to `value`, replacing what was set before, as `--set KEY=VALUE` does.
    ///
    /// # Errors
    /// Names the key, the value and what is expected.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ArmError> {
        Ok(self.settings.set(SettingError::key(key, value)?, value)?)
    }

    /// [`Arm::set`] for one text `KEY=VALUE`.
    ///
    /// # Errors
    /// Those of [`Arm::set`], also if there is no `=`.
    pub fn set_text(&mut self, text: &str) -> Result<(), ArmError> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        self.set(key, value)
    }

    /// The differences from `other`, one text each: `runtime: /a against the default`.
    pub fn differences(&self, other: &Arm) -> Vec<String> {
        let mut differences = Vec::new();
        if self.platform != other.platform {
            differences.push(format!("platform: {} against {}", self.platform, other.platform));
        }
        for &key in Key::ALL {
            if self.settings.get(key) != other.settings.get(key) {
                differences.push(format!("{key}: {} against {}", self.value_text(key), other.value_text(key)));
            }
        }
        differences
    }

    fn value_text(&self, key: Key) -> String {
        self.settings.get(key).unwrap_or_else(|| key.default_text().to_owned())
    }
}

/// The differences between `a` and `b`, in one line for reports.
pub fn difference(a: &Arm, b: &Arm) -> String {
    let differences = a.differences(b);
    if differences.is_empty() { "the same arm twice".to_owned() } else { differences.join("; ") }
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

/// Splits `text` at its commas; two commas in a row are one comma of a value.
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

//! The comparison of a session.

use std::collections::BTreeMap;

use super::evaluator::Evaluator;
use super::store::{ArmFile, SessionFile};
use crate::compare::rule::{Comparison, Side};
use crate::model::platform::Accelerator;
use crate::platform::arm;

/// The digits of a digest that are enough to distinguish images.
const DIGEST: usize = 12;

/// The comparison of a session that has ended.
pub(super) fn comparison(file: &SessionFile, evaluator: &Evaluator) -> Comparison {
    let noise: Vec<&str> = file.noise.iter().flat_map(|noise| noise.invalid.iter()).map(String::as_str).collect();
    let noise = (!noise.is_empty()).then(|| format!("the host was too noisy: {}", noise.join("; ")));
    Comparison {
        a: side(&file.arms.a),
        b: side(&file.arms.b),
        notes: notes(file),
        not_comparable: Vec::new(),
        lines: evaluator.lines(noise.as_deref(), file.reason.as_deref()),
        took: Some(file.took),
    }
}

fn side(arm: &ArmFile) -> Side {
    let mut facts = BTreeMap::new();
    if let Some(entry) = &arm.entry {
        facts.insert("version".to_owned(), entry.facts.version.clone());
        if entry.capabilities.accelerator != Accelerator::None {
            facts.insert("accelerator".to_owned(), entry.capabilities.accelerator.to_string());
        }
    }
    let short = |digest: &str| digest.get(..DIGEST).unwrap_or(digest).to_owned();
    facts.extend(arm.images.iter().map(|image| (format!("image {}", image.program), short(&image.digest))));
    facts.extend(arm.made.iter().map(|(what, digest)| (format!("made {what}"), short(digest))));
    facts.extend(arm.arm.settings.given().map(|(key, value)| (key.to_string(), value)));
    Side { name: arm.name.clone(), facts }
}

fn notes(file: &SessionFile) -> Vec<String> {
    let is_simulated = |arm: &ArmFile| arm.entry.as_ref().is_some_and(|entry| entry.capabilities.simulated);
    let mut notes = Vec::new();
    if is_simulated(&file.arms.a) || is_simulated(&file.arms.b) {
        notes.push("SIMULATED: these times are not measurements".to_owned());
    }
    notes.push(format!(
        "{}; measured together in shuffled blocks, seed {}",
        arm::difference(&file.arms.a.arm, &file.arms.b.arm),
        file.seed
    ));
    if !file.null_control {
        notes.push(
            "without a null control: a difference between the arms may come from how they were set up".to_owned(),
        );
    }
    match &file.noise {
        None => notes.push("without the noise guard".to_owned()),
        Some(noise) => notes.extend(noise.unjudged.iter().map(|why| format!("the noise guard could not judge: {why}"))),
    }
    notes.extend(file.notes.iter().cloned());
    notes
}

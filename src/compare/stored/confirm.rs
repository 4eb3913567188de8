//! Confirms a regression: flagged cases are measured again and must be flagged again.

use super::{Compared, Key};
use crate::compare::rule::{Line, Verdict};
use crate::model::attacker::Attacker;
use crate::model::configuration::{Configuration, Design};

/// The configuration with only what the flagged cases need, and a new seed; `None` if no case is flagged. Other cases that
/// this includes are measured but not judged.
pub fn flagged_alone(configuration: &Configuration, compared: &Compared, seed: u64) -> Option<Configuration> {
    let lines = compared.comparison.lines.iter().zip(&compared.keys);
    let flagged: Vec<&Key> =
        lines.filter(|(line, _)| line.decision.verdict == Verdict::Regressed).map(|(_, key)| key).collect();
    if flagged.is_empty() {
        return None;
    }
    let mut less = Configuration { seed, ..configuration.clone() };
    less.platforms.retain(|id| flagged.iter().any(|key| key.platform.as_ref().is_none_or(|platform| platform == id)));
    less.workloads.retain(|workload| flagged.iter().any(|key| key.workload == workload.name()));
    keep_flagged(&mut less.design, &flagged);
    Some(less)
}

/// Removes from `design` what no flagged case needs.
fn keep_flagged(design: &mut Design, flagged: &[&Key]) {
    if let Some(ladder) = design.ladder_mut() {
        ladder.levels.retain(|level| flagged.iter().any(|key| key.victims == 1 && key.background == *level));
    }
    match design {
        Design::Scalability { victims, .. } => victims.retain(|count| flagged.iter().any(|key| key.victims == *count)),
        Design::Isolation { placements, attackers, server_attackers, .. } => {
            placements.retain(|placement| flagged.iter().any(|key| key.placement == *placement));
            // A flagged reference needs any attacker next to it.
            if flagged.iter().all(|key| key.attacker.is_some()) {
                let is_flagged = |attacker: &Attacker| flagged.iter().any(|key| key.attacker == Some(*attacker));
                attackers.retain(is_flagged);
                server_attackers.retain(is_flagged);
            }
        }
        Design::Boot { .. } | Design::Footprint { .. } | Design::MinimumMemory => {}
    }
}

/// The first comparison, with only those regressions that the second one, of the run `run`, shows again.
pub fn confirmed(mut first: Compared, second: &Compared, run: &str) -> Compared {
    for (line, key) in first.comparison.lines.iter_mut().zip(&first.keys) {
        if line.decision.verdict != Verdict::Regressed {
            continue;
        }
        let mut again = second.comparison.lines.iter().zip(&second.keys);
        let again = again.find(|(other, k)| *k == key && other.metric == line.metric).map(|(other, _)| other);
        let again_flagged = again.is_some_and(|other| other.decision.verdict == Verdict::Regressed);
        line.decision.reason = Some(reason(again, second, run));
        if !again_flagged {
            line.decision.verdict = Verdict::Inconclusive;
        }
    }
    first
}

fn reason(again: Option<&Line>, second: &Compared, run: &str) -> String {
    let percent = |line: &Line| line.decision.shift.map(|shift| format!("{:+.1} %", 100.0 * shift.value.exp_m1()));
    match again {
        Some(line) if line.decision.verdict == Verdict::Regressed => {
            format!("confirmed after re-provisioning: {} in run {run}", percent(line).unwrap_or_default())
        }
        Some(line) => {
            let change = percent(line).map(|change| format!(", {change}")).unwrap_or_default();
            let why = line.decision.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
            format!("not confirmed: {}{change} in run {run}{why}", line.decision.verdict)
        }
        None => {
            let why = second.comparison.not_comparable.first().map(|why| format!(": {why}")).unwrap_or_default();
            format!("not confirmed: not measured in run {run}{why}")
        }
    }
}

//! Tracks: sessions of the same metric over time, and where their level changes.

use std::collections::BTreeMap;

use serde::Serialize;

use super::entry::short;
use super::intake::digest_in_short;
use super::{Entry, HostKey, SessionKind};
use crate::model::platform::Accelerator;
use crate::model::record::Experiment;
use crate::stats::{ChangePoint, change_points};

/// One metric of one case on one machine against one anchor, over time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Track<'a> {
    /// The sessions, oldest first.
    pub entries: Vec<&'a Entry>,
    /// The changes of level, oldest first.
    pub changes: Vec<Change<'a>>,
}

/// A change of level.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change<'a> {
    /// The last session of the old level.
    pub before: &'a Entry,
    /// The first session of the new level.
    pub after: &'a Entry,
    /// The levels, as ratios to the anchor. Its index counts sound sessions only.
    pub point: ChangePoint,
    /// The known differences between the two sessions, one text each.
    pub differences: Vec<String>,
}

/// What all entries of a track have in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    host: &'a HostKey,
    experiment: Experiment,
    platform: &'a str,
    case: &'a str,
    parameters: &'a BTreeMap<String, String>,
    metric: &'a str,
    is_run: bool,
    accelerator: Option<Accelerator>,
    anchor: &'a str,
}

/// Groups `entries` into tracks, in a stable order.
pub fn tracks(entries: &[Entry]) -> Vec<Track<'_>> {
    grouped(entries).into_iter().map(Track::new).collect()
}

/// The entries of each track, oldest first.
pub(super) fn grouped(entries: &[Entry]) -> Vec<Vec<&Entry>> {
    let mut grouped: BTreeMap<Key<'_>, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        grouped.entry(key(entry)).or_default().push(entry);
    }
    let mut grouped: Vec<Vec<&Entry>> = grouped.into_values().collect();
    // An id begins with the second of its session.
    grouped.iter_mut().for_each(|entries| entries.sort_by(|a, b| a.session.cmp(&b.session)));
    grouped
}

fn key(entry: &Entry) -> Key<'_> {
    Key {
        host: &entry.host,
        experiment: entry.experiment,
        platform: &entry.platform,
        case: &entry.case,
        parameters: &entry.parameters,
        metric: &entry.metric,
        is_run: entry.kind == SessionKind::Run,
        accelerator: entry.accelerator,
        anchor: &entry.anchor.id,
    }
}

impl<'a> Track<'a> {
    fn new(entries: Vec<&'a Entry>) -> Self {
        let sound: Vec<(&Entry, f64)> =
            entries.iter().filter_map(|entry| Some((*entry, entry.sound_ratio()?))).collect();
        let ratios: Vec<f64> = sound.iter().map(|(_, ratio)| *ratio).collect();
        // The reader accepts only ratios above zero.
        let points = change_points(&ratios).unwrap_or_default();
        let change = |point: ChangePoint| Change::new(sound[point.at - 1].0, sound[point.at].0, point);
        let changes = points.into_iter().map(change).collect();
        Self { entries, changes }
    }

    /// The latest session.
    pub fn last(&self) -> &'a Entry {
        self.entries[self.entries.len() - 1]
    }

    /// The platform and the case in one line: `youki boot/hello/0`.
    pub fn name(&self) -> String {
        let entry = self.last();
        let accelerator = match entry.accelerator {
            None | Some(Accelerator::None) => String::new(),
            Some(accelerator) => format!(" ({accelerator})"),
        };
        let simulated = if entry.simulated { " (SIMULATED)" } else { "" };
        format!("{}{accelerator}{simulated} {}{}", entry.platform, entry.case, entry.parameters_in_words())
    }

    /// The name of the latest change, which stays the same until the next one. It has the month only, since the change may
    /// move by a session or two as more sessions are added.
    pub fn alert(&self) -> Option<String> {
        let (last, entry) = (self.changes.last()?, self.last());
        let way = if last.point.shift() > 0.0 { "worse" } else { "better" };
        let (host, anchor, nth) = (&entry.host, &entry.anchor.id, self.changes.len());
        let month = last.after.time.get(..7).unwrap_or_default();
        Some(format!("{host} {} {} against {anchor}: change {nth}, {way}, {month}", self.name(), entry.metric))
    }

    /// The anchor of its ratios, in words.
    pub fn against(&self) -> String {
        match self.last().kind {
            SessionKind::Ab => format!("{}, measured in turn", self.last().anchor.name),
            SessionKind::Run => format!("{}, the first of its kind here", self.last().anchor.name),
        }
    }
}

impl<'a> Change<'a> {
    fn new(before: &'a Entry, after: &'a Entry, point: ChangePoint) -> Self {
        Self { before, after, point, differences: differences(before, after) }
    }

    /// `5.1 % worse`.
    pub fn in_words(&self) -> String {
        let shift = 100.0 * self.point.shift();
        format!("{:.1} % {}", shift.abs(), if shift > 0.0 { "worse" } else { "better" })
    }
}

fn differences(before: &Entry, after: &Entry) -> Vec<String> {
    let known = |value: &Option<String>| value.as_deref().unwrap_or("unknown").to_owned();
    let fixed = [
        ("revision", before.revision.as_deref().map(short), after.revision.as_deref().map(short)),
        ("Featherweight", Some(before.version.as_str()), Some(after.version.as_str())),
    ];
    let mut all: Vec<String> = fixed
        .into_iter()
        .filter(|(_, a, b)| a != b)
        .map(|(name, a, b)| format!("{name}: {} to {}", a.unwrap_or("unknown"), b.unwrap_or("unknown")))
        .collect();
    if before.kernel != after.kernel {
        all.push(format!("kernel: {} to {}", known(&before.kernel), known(&after.kernel)));
    } else if before.facts_differ(after) {
        all.push("the host's microcode or settings, with the same kernel".to_owned());
    }
    if before.image != after.image {
        let (a, b) = (digest_in_short(before.image.as_ref()), digest_in_short(after.image.as_ref()));
        all.push(format!("guest: {a} to {b}"));
    }
    let names: std::collections::BTreeSet<&String> = before.versions.keys().chain(after.versions.keys()).collect();
    let version = |entry: &Entry, name: &String| known(&entry.versions.get(name).cloned());
    let other = names.into_iter().filter(|name| before.versions.get(*name) != after.versions.get(*name));
    all.extend(other.map(|name| format!("{name}: {} to {}", version(before, name), version(after, name))));
    all
}

#[cfg(test)]
mod tests {
    use super::super::testing::{entry, stepped};
    use super::*;

    #[test]
    fn a_step_is_found_between_its_sessions_with_what_differs() {
        let entries = stepped(40, 25, 0.05);
        let tracks = tracks(&entries);
        assert_eq!(tracks.len(), 1);
        let change = &tracks[0].changes[0];
        assert_eq!((&change.before.session, &change.after.session), (&entries[24].session, &entries[25].session));
        assert!(change.in_words().ends_with("% worse"), "{}", change.in_words());
        assert!(change.differences[0].starts_with("revision: "), "{:?}", change.differences);
    }

    #[test]
    fn the_order_of_the_lines_does_not_matter() {
        let entries = stepped(40, 25, 0.05);
        let mut backwards = entries.clone();
        backwards.reverse();
        assert_eq!(tracks(&backwards), tracks(&entries));
    }

    #[test]
    fn other_hosts_cases_and_anchors_are_separate_tracks() {
        let other = Entry { case: "boot/hello/10".to_owned(), ..entry(1) };
        let anchor = super::super::Anchor { id: "other".to_owned(), name: "other".to_owned() };
        let moved = Entry { anchor, ..entry(2) };
        let rows = Entry { parameters: [("rows".to_owned(), "5000".to_owned())].into(), ..entry(4) };
        let all = [entry(0), other, moved, entry(3), rows];
        let tracks = tracks(&all);
        assert_eq!(tracks.len(), 4);
        assert!(tracks.iter().any(|track| track.name() == "youki boot/hello/0 (rows 5000)"));
    }

    #[test]
    fn an_alert_stays_while_the_place_of_the_change_moves() {
        let alert = |at: usize, step: f64| tracks(&stepped(40, at, step))[0].alert();
        assert_eq!(alert(25, 0.05), alert(26, 0.06));
        assert!(alert(25, 0.05).is_some() && alert(25, 0.05) != alert(25, -0.05));
        assert_eq!(alert(25, 0.0), None);
    }

    #[test]
    fn an_invalid_session_is_listed_and_does_not_count() {
        let mut entries = stepped(40, 25, 0.05);
        entries[30].verdict = Some(crate::compare::rule::Verdict::Invalid);
        entries[30].ratio = Some(crate::stats::Estimate { value: 9.0, interval: None });
        let tracks = tracks(&entries);
        assert_eq!(tracks[0].entries.len(), 40);
        assert_eq!(tracks[0].changes[0].after.session, entries[25].session);
        assert!(tracks[0].changes[0].point.after < 1.1);
    }
}

//! Histories on disk.

use super::super::testing::{entry, host, line, stepped};
use super::*;

fn history() -> (tempfile::TempDir, History) {
    let dir = tempfile::tempdir().unwrap();
    let history = History::at(dir.path().join("history"));
    (dir, history)
}

fn file(history: &History) -> PathBuf {
    history.dir().join(format!("{}.jsonl", host()))
}

#[test]
fn what_is_added_twice_is_there_once() {
    let (_dir, history) = history();
    let entries = stepped(5, 3, 0.05);
    assert_eq!(history.merge(&entries).unwrap(), Added { new: 5, known: 0 });
    assert_eq!(history.merge(&entries[3..]).unwrap(), Added { new: 0, known: 2 });
    assert_eq!(history.read().entries, entries);
}

#[test]
fn a_history_that_is_not_there_is_empty() {
    let (_dir, history) = history();
    let contents = history.read();
    assert!(contents.entries.is_empty() && contents.warnings.is_empty());
    assert_eq!(history.prune(Keep::Sessions(1)).unwrap(), Pruned::default());
    assert!(!history.dir().exists(), "pruning creates no folder");
}

#[test]
fn every_machine_has_its_file() {
    let (_dir, history) = history();
    let other = Entry { host: "ffffffffffffffff".to_owned().try_into().unwrap(), ..entry(1) };
    history.merge(&[entry(0), other]).unwrap();
    let names: Vec<_> = history.files().iter().filter_map(|f| f.file_stem()?.to_str().map(str::to_owned)).collect();
    assert_eq!(names, ["00112233445566aa", "ffffffffffffffff"]);
}

#[test]
fn what_a_crash_tore_is_reported_cut_off_and_completed() {
    let (_dir, history) = history();
    history.merge(&[entry(0), entry(1)]).unwrap();
    let text = fs::read_to_string(file(&history)).unwrap();
    fs::write(file(&history), &text[..text.len() - 20]).unwrap();
    let contents = history.read();
    assert_eq!(contents.entries, [entry(0)]);
    assert!(contents.warnings[0].ends_with("its last line is torn; skipped it"), "{:?}", contents.warnings);
    assert_eq!(history.merge(&[entry(0), entry(1)]).unwrap(), Added { new: 1, known: 1 });
    assert_eq!(fs::read_to_string(file(&history)).unwrap(), text);
}

#[test]
fn a_last_line_without_its_end_is_kept() {
    let (_dir, history) = history();
    fs::create_dir_all(history.dir()).unwrap();
    fs::write(file(&history), line(&entry(0)).trim_end()).unwrap();
    history.merge(&[entry(1)]).unwrap();
    assert_eq!(fs::read_to_string(file(&history)).unwrap(), line(&entry(0)) + &line(&entry(1)));
}

#[test]
fn a_damaged_file_is_named_and_not_touched() {
    let (_dir, history) = history();
    history.merge(&[entry(0), entry(1)]).unwrap();
    let damaged = fs::read_to_string(file(&history)).unwrap().replacen("\"schema\":1", "\"schema\":x", 1);
    fs::write(file(&history), &damaged).unwrap();
    assert!(history.read().warnings[0].contains("line 1: "));
    for refused in [history.merge(&[entry(2)]).map(|_| ()), history.prune(Keep::Sessions(1)).map(|_| ())] {
        assert!(
            matches!(refused, Err(Error::Read(ReadError::Line(crate::store::ReadError::Damaged { line: 1, .. })))),
            "{refused:?}"
        );
    }
    assert_eq!(fs::read_to_string(file(&history)).unwrap(), damaged);
}

#[test]
fn pruning_keeps_the_latest_of_every_track_and_the_anchor() {
    let (_dir, history) = history();
    let mut entries = stepped(30, 15, 0.05);
    let rare = Entry { case: "boot/hello/100".to_owned(), ..entry(3) };
    entries.push(rare.clone());
    history.merge(&entries).unwrap();
    assert_eq!(history.prune(Keep::Sessions(10)).unwrap(), Pruned { removed: 19, left: 12 });
    let left = history.read().entries;
    assert!(left[0].is_anchor() && left.contains(&rare) && left.contains(&entries[29]) && !left.contains(&entries[10]));
}

#[test]
fn pruning_by_days_keeps_what_is_young_and_the_anchor() {
    let (_dir, history) = history();
    let old = Entry { session: "20200101-000000-0001".parse().unwrap(), ..entry(1) };
    let anchor = Entry { session: "20190101-000000-0000".parse().unwrap(), ..entry(0) };
    let now = Entry { session: crate::model::run::RunId::generate(), ..entry(2) };
    history.merge(&[anchor.clone(), old, now.clone()]).unwrap();
    assert_eq!(history.prune(Keep::Days(30)).unwrap(), Pruned { removed: 1, left: 2 });
    assert_eq!(history.read().entries, [anchor, now]);
}

#[test]
fn adding_at_once_from_several_processes_loses_nothing() {
    let (_dir, history) = history();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let history = history.clone();
            scope.spawn(move || history.merge(&[entry(n), entry(n + 1)]).unwrap());
        }
    });
    assert_eq!(history.read().entries.len(), 9);
}

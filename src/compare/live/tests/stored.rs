//! What is read of sessions that are not as they were written.

use std::fs;

use rstest::rstest;

use super::*;
use crate::store::{ReadError, TRIALS_FILE};

/// A session with a few trials.
fn stored() -> (Fixture, Ran) {
    let fixture = Fixture::new();
    let ran = fixture.run(Question { record: Some(2), ..question("fake", "fake") });
    (fixture, ran)
}

#[rstest]
#[case::newer(SESSION_FILE, "\"schema\": 1", "\"schema\": 7", "has schema 7")]
#[case::newer_trial(TRIALS_FILE, "\"schema\":1", "\"schema\":7", "has schema 7")]
#[case::much_newer(TRIALS_FILE, "\"schema\":1", "\"schema\":5000000000", "has schema 5000000000")]
#[case::damaged(TRIALS_FILE, "\"arm\":\"a\"", "\"arm\":\"c\"", "line ")]
#[case::mixed(TRIALS_FILE, "\"run\":\"2", "\"run\":\"1", "belongs to run 1")]
#[case::no_object(SESSION_FILE, "{", "[", "line 1")]
fn what_does_not_fit_is_named(#[case] file: &str, #[case] from: &str, #[case] to: &str, #[case] reason: &str) {
    let (_fixture, ran) = stored();
    let path = ran.summary.dir.join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    let error = read_session(&ran.summary.dir).unwrap_err().to_string();
    assert!(error.contains(file) && error.contains(reason), "{error}");
}

#[test]
fn every_cut_of_a_session_reads_or_is_refused() {
    let (_fixture, ran) = stored();
    let path = ran.summary.dir.join(TRIALS_FILE);
    let whole = fs::read(&path).unwrap();
    for length in (0..whole.len()).step_by(97) {
        fs::write(&path, &whole[..length]).unwrap();
        let session = read_session(&ran.summary.dir).unwrap();
        let is_torn = length > 0 && whole[length - 1] != b'\n';
        assert_eq!(session.warnings.len(), usize::from(is_torn));
        assert!(session.blocks().values().all(|trials| trials.len() == 3), "torn blocks are none");
    }
    fs::write(&path, &whole).unwrap();
    let path = ran.summary.dir.join(SESSION_FILE);
    let whole = fs::read(&path).unwrap();
    for length in (0..whole.len() - 2).step_by(331) {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(matches!(read_session(&ran.summary.dir), Err(ReadError::Damaged { .. })));
    }
}

#[test]
fn a_foreign_folder_is_no_session_and_an_id_finds_its_folder() {
    let (fixture, ran) = stored();
    let sessions = fixture.folders().comparisons();
    assert!(matches!(read_session(&sessions), Err(ReadError::NoRun { .. })));
    assert_eq!(session_folder(&sessions, ran.stored.file.run.as_str()), ran.summary.dir);
    assert_eq!(session_folder(&sessions, "some/where"), PathBuf::from("some/where"));
    assert_eq!((list_sessions(&sessions), latest_unfinished(&sessions)), (vec![ran.summary.dir], None));
}

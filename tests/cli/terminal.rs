//! The output on a terminal, tested on a pseudo-terminal.

use std::fs::File;
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::Stdio;
use std::thread;

use featherweight::model::record::Experiment;
use rstest::rstest;

use super::TINY;
use crate::bench::Desk;

#[rstest]
#[case::as_it_is(None, true)]
#[case::empty_means_unset(Some(""), true)]
#[case::no_color(Some("1"), false)]
fn a_terminal_gets_a_styled_table_unless_no_color_is_set(#[case] no_color: Option<&str>, #[case] styled: bool) {
    let desk = Desk::new();
    let mut command = desk.command(Experiment::Boot, TINY);
    no_color.map(|value| command.env("NO_COLOR", value));
    let (ours, theirs) = pseudo_terminal(100);
    let mut child = command.stdout(theirs).stderr(Stdio::null()).spawn().expect("the target starts");
    drop(command);
    let text = thread::spawn(move || read_all(ours)).join().expect("no panic");
    assert!(child.wait().expect("it ends").success());
    assert!(text.contains("Boot time"), "{text}");
    assert_eq!(text.contains('\u{1b}'), styled, "{text:?}");
}

#[rstest]
fn a_table_fits_the_terminal(#[values(80, 120, 200)] columns: u16) {
    let desk = Desk::new();
    let (ours, theirs) = pseudo_terminal(columns);
    let mut command = desk.command(Experiment::Boot, TINY);
    let mut child =
        command.env("NO_COLOR", "1").stdout(theirs).stderr(Stdio::null()).spawn().expect("the target starts");
    drop(command);
    let text = read_all(ours);
    assert!(child.wait().expect("it ends").success());
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with(['|', '+', '│', '┌', '└', '├', '╞'])).collect();
    assert!(rows.len() > 4, "{text}");
    let widest = rows.iter().map(|row| row.trim_end().chars().count()).max();
    assert!(widest <= Some(columns.into()), "{widest:?} columns in {columns}: {text}");
}

/// The two ends of a pseudo-terminal with so many columns.
fn pseudo_terminal(columns: u16) -> (File, OwnedFd) {
    let (mut ours, mut theirs) = (-1, -1);
    let size = libc::winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: both numbers are written before they are read, the name and the settings may be null (`openpty(3)`).
    let status = unsafe { libc::openpty(&mut ours, &mut theirs, std::ptr::null_mut(), std::ptr::null(), &size) };
    assert_eq!(status, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the call has succeeded, so both are open and have no other owner.
    unsafe { (File::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) }
}

/// Reads until the other end is closed, which a pseudo-terminal reports as an error.
fn read_all(mut terminal: File) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = terminal.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

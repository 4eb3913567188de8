//! How waits end.

use super::*;

#[test]
fn a_raised_interrupt_ends_a_wait_that_nothing_else_would() {
    let (read, _write) = pipe().expect("a pipe");
    let interrupt = Interrupt::new().expect("an eventfd");
    let mut watch = Watch::new("fw-test", read, &interrupt);
    let far = HostClock.now() + Duration::from_secs(600).into();
    let waker = std::thread::spawn({
        let interrupt = interrupt.clone();
        move || interrupt.raise()
    });
    assert!(matches!(watch.wait_for(Milestone::Main, far), Err(Error::Interrupted)));
    waker.join().expect("raised");
}

#[test]
fn what_was_printed_before_a_late_wait_counts() {
    let (read, write) = pipe().expect("a pipe");
    rustix::io::write(&write, b"FW main\n").expect("written");
    let mut watch = Watch::new("fw-test", read, &Interrupt::new().expect("an eventfd"));
    watch.wait_for(Milestone::Main, Nanos(0)).expect("it is there");
}

#[test]
fn a_deadline_tells_what_was_awaited_and_what_was_seen() {
    let (read, write) = pipe().expect("a pipe");
    rustix::io::write(&write, b"half a word\n").expect("written");
    let mut watch = Watch::new("fw-test", read, &Interrupt::new().expect("an eventfd"));
    let soon = HostClock.now() + Duration::from_millis(5).into();
    let error = watch.wait_for(Milestone::Ready, soon).expect_err("too late").to_string();
    assert!(error.contains("`FW ready`") && error.contains("half a word") && error.contains("fw-test"), "{error}");
}

//! Many instances, many threads, and a user who interrupts them.

use std::thread;

use featherweight::model::program::Program;
use featherweight::platform::{Error, Exit, Milestone};

use crate::fixture::{Fixture, contracts};

/// Enough that a platform cannot hold them in a fixed table.
const MANY: usize = 50;

contracts! {
    Nothing many_run_at_once,
    Nothing threads_launch_at_once,
    Real an_interrupt_wakes_a_wait,
    Nothing an_interrupted_run_can_still_be_cleaned_up,
}

fn many_run_at_once(fixture: &Fixture) {
    let mut all: Vec<_> = (0..fixture.many(MANY)).map(|_| fixture.launch(&fixture.spec(Program::Sleep, &[]))).collect();
    for instance in &mut all {
        fixture.wait(instance, Milestone::Ready).expect("it is ready");
    }
    let mut names: Vec<_> = all.iter().map(|instance| instance.name().to_owned()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), fixture.many(MANY));
    all.iter_mut().for_each(|instance| instance.kill());
    for instance in all {
        assert_eq!(instance.stop().expect("stopped").exit, Exit::Signal(9));
    }
}

fn threads_launch_at_once(fixture: &Fixture) {
    let one = |code: usize| {
        let mut instance = fixture.probe(&["do=exit", &format!("code={code}")]);
        fixture.wait(&mut instance, Milestone::Exit).expect("it ends");
        assert_eq!(instance.stop().expect("stopped").exit, Exit::Code(code as i32));
    };
    thread::scope(|scope| {
        let workers = fixture.many(6);
        let each = fixture.many(30) / workers;
        for worker in 0..workers {
            scope.spawn(move || (0..each).for_each(|trial| one(worker * each + trial)));
        }
    });
}

fn an_interrupt_wakes_a_wait(fixture: &Fixture) {
    let mut instance = fixture.launch(&fixture.spec(Program::Sleep, &[]));
    fixture.wait(&mut instance, Milestone::Ready).expect("it is ready");
    let outcome = thread::scope(|scope| {
        let waiter = scope.spawn(|| fixture.wait(&mut instance, Milestone::Result));
        fixture.interrupt.raise();
        waiter.join().expect("the wait returns")
    });
    assert!(matches!(outcome, Err(Error::Interrupted)), "{outcome:?}");
    instance.stop().expect("stopped");
}

fn an_interrupted_run_can_still_be_cleaned_up(fixture: &Fixture) {
    let mut instance = fixture.launch(&fixture.spec(Program::Sleep, &[]));
    fixture.wait(&mut instance, Milestone::Ready).expect("it is ready");
    fixture.interrupt.raise();
    assert!(matches!(fixture.wait(&mut instance, Milestone::Result), Err(Error::Interrupted)));
    assert_eq!(instance.stop().expect("stopped").exit, Exit::Signal(9));
}

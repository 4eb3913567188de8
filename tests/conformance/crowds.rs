//! Many instances, many threads, and a user who has had enough.

use std::thread;

use featherweight::model::program::Program;
use featherweight::platform::{Error, Exit, Milestone};

use crate::stand::{Stand, contracts};

/// Enough that a platform cannot hold them in a fixed table.
const MANY: usize = 50;

contracts! {
    Nothing many_run_at_once,
    Nothing threads_launch_at_once,
    Real an_interrupt_wakes_a_wait,
    Nothing an_interrupted_run_can_still_be_cleaned_up,
}

fn many_run_at_once(stand: &Stand) {
    let mut all: Vec<_> = (0..stand.many(MANY)).map(|_| stand.launch(&stand.spec(Program::Sleep, &[]))).collect();
    for instance in &mut all {
        stand.wait(instance, Milestone::Ready).expect("it is ready");
    }
    let mut names: Vec<_> = all.iter().map(|instance| instance.name().to_owned()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), stand.many(MANY));
    all.iter_mut().for_each(|instance| instance.kill());
    for instance in all {
        assert_eq!(instance.stop().expect("stopped").exit, Exit::Signal(9));
    }
}

fn threads_launch_at_once(stand: &Stand) {
    let one = |code: usize| {
        let mut instance = stand.probe(&["do=exit", &format!("code={code}")]);
        stand.wait(&mut instance, Milestone::Exit).expect("it ends");
        assert_eq!(instance.stop().expect("stopped").exit, Exit::Code(code as i32));
    };
    thread::scope(|scope| {
        let workers = stand.many(6);
        let each = stand.many(30) / workers;
        for worker in 0..workers {
            scope.spawn(move || (0..each).for_each(|trial| one(worker * each + trial)));
        }
    });
}

fn an_interrupt_wakes_a_wait(stand: &Stand) {
    let mut instance = stand.launch(&stand.spec(Program::Sleep, &[]));
    stand.wait(&mut instance, Milestone::Ready).expect("it is ready");
    let outcome = thread::scope(|scope| {
        let waiter = scope.spawn(|| stand.wait(&mut instance, Milestone::Result));
        stand.interrupt.raise();
        waiter.join().expect("the wait returns")
    });
    assert!(matches!(outcome, Err(Error::Interrupted)), "{outcome:?}");
    instance.stop().expect("stopped");
}

fn an_interrupted_run_can_still_be_cleaned_up(stand: &Stand) {
    let mut instance = stand.launch(&stand.spec(Program::Sleep, &[]));
    stand.wait(&mut instance, Milestone::Ready).expect("it is ready");
    stand.interrupt.raise();
    assert!(matches!(stand.wait(&mut instance, Milestone::Result), Err(Error::Interrupted)));
    assert_eq!(instance.stop().expect("stopped").exit, Exit::Signal(9));
}

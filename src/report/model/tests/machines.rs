//! Virtual machines in the report: their accelerator, the parts of their boot, their memory.

use rstest::rstest;

use super::*;

/// One platform under KVM and one emulated, in a run of `experiment` with several levels.
fn accelerated(experiment: Experiment) -> Vec<TrialRecord> {
    let trials = match experiment {
        Experiment::Isolation => blocks(Some(2.0)),
        Experiment::Scalability => (0..2).map(|t| served("fake", 1 + t, t, 5e4)).collect(),
        Experiment::Boot | Experiment::Footprint => [0, 10].map(|level| boot(level, 0, 7e6)).to_vec(),
    };
    let under = |accelerator: Accelerator| {
        let mut trials = trials.clone();
        for trial in &mut trials {
            (trial.case.experiment, trial.case.accelerator) = (experiment, accelerator);
            trial.case.platform = PlatformId::new(format!("qemu:{accelerator}"));
            if experiment == Experiment::Footprint {
                trial.metrics[0].name = "mem_used".into();
            }
        }
        trials
    };
    [under(Accelerator::Kvm), under(Accelerator::Tcg)].concat()
}

#[rstest]
fn accelerators_are_never_mixed_and_stand_in_every_figure_and_table(
    #[values(Experiment::Boot, Experiment::Footprint, Experiment::Scalability, Experiment::Isolation)]
    experiment: Experiment,
) {
    let report = report(accelerated(experiment));
    assert_eq!(report.sections.len(), 2);
    assert!(report.figures().count() >= 2);
    for (section, [own, other]) in report.sections.iter().zip([["kvm", "tcg"], ["tcg", "kvm"]]) {
        let text = serde_json::to_string(section).unwrap().to_lowercase();
        assert!(text.contains(&format!("qemu:{own}")) && !text.contains(other), "{text}");
        for block in &section.blocks {
            let (title, words) = match block {
                Block::Figure(f) | Block::Context(f) => (&f.title, &f.caption),
                Block::Table(t) if t.id.ends_with("published") => continue,
                Block::Table(t) => (&t.title, &t.note),
                Block::Remark { .. } => continue,
            };
            assert!(title.ends_with(&format!("({own})")), "{title}");
            assert!(words.contains("Accelerator: ") && words.contains("hardware") == (own == "tcg"), "{words}");
        }
    }
    let emulated = |f: &&Finding| f.text.contains("qemu:tcg");
    assert!(report.findings.iter().filter(emulated).all(|f| f.text.ends_with("Emulated (TCG).")));
    assert_eq!(heads(&report), ["Emulated"]);
}

#[test]
fn what_was_measured_on_hardware_stands_beside_no_emulation() {
    let mut trials = blocks(Some(2.0));
    trials.iter_mut().for_each(|t| t.case.accelerator = Accelerator::Tcg);
    let report = report(trials);
    let text = serde_json::to_string(&report.sections).unwrap().to_lowercase();
    assert!(!text.contains("published"), "{text}");
}

/// A virtual machine's boot with these events, in milliseconds.
fn machine(stamps: &[(Event, u64)]) -> Report {
    let mut record = record(0);
    record.case.accelerator = Accelerator::Tcg;
    record.events = stamps.iter().map(|&(event, at)| (event, Nanos(at * 1_000_000))).collect();
    report(vec![record])
}

/// The parts in the figure, in milliseconds.
fn parts(report: &Report) -> Vec<(&str, f64)> {
    let Plot::Bars(chart) = &report.figures().find(|f| f.id == "boot-phases").unwrap().plot else { panic!("bars") };
    let of = |bar: &Bar| if let Bar::Value { value, .. } = bar { *value } else { panic!("{bar:?}") };
    chart.series.iter().map(|s| (s.name.as_str(), of(&s.bars[0]) / 1e6)).collect()
}

#[test]
fn a_virtual_machines_boot_is_split_into_monitor_kernel_and_program() {
    let stamps = [(Event::Spawn, 0), (Event::Vmm, 60), (Event::Guest, 900), (Event::Main, 1000), (Event::Exit, 1050)];
    let report = machine(&[&stamps[..], &[(Event::Gone, 1100)]].concat());
    let parts = parts(&report);
    let expected = [
        ("monitor", 60.0),
        ("guest kernel", 840.0),
        ("program, to main", 100.0),
        ("run, to exit", 50.0),
        ("removal", 50.0),
    ];
    assert_eq!(parts, expected);
    assert_eq!(parts.iter().map(|(_, ms)| ms).sum::<f64>(), 1100.0, "all of it");
}

#[test]
fn a_guest_without_a_kernel_has_no_such_part() {
    let stamps = [(Event::Spawn, 0), (Event::Vmm, 60), (Event::Guest, 90), (Event::Main, 90), (Event::Exit, 95)];
    assert_eq!(parts(&machine(&stamps)), [("monitor", 60.0), ("program, to main", 30.0), ("run, to exit", 5.0)]);
}

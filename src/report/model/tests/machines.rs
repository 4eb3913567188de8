//! Virtual machines in the report: their accelerator, the parts of their boot, their memory.

use std::collections::BTreeMap;

use rstest::rstest;

use super::*;
use crate::model::metric::{
    GUEST_MEMORY, INSUFFICIENT_MEMORY, MEM_USED, MINIMUM_MEMORY, MetricInfo, PSS_GUEST, PSS_MONITOR, PSS_OVERHEAD,
    PSS_PER_INSTANCE, PSS_PROGRAM, PSS_TRANSLATION,
};

/// One platform under KVM and one emulated, in a run of `experiment` with several levels.
fn accelerated(experiment: Experiment) -> Vec<TrialRecord> {
    let trials = match experiment {
        Experiment::Isolation => rounds(Some(2.0)),
        Experiment::Scalability => (0..2).map(|t| served("fake", 1 + t, t, 5e4)).collect(),
        Experiment::Boot | Experiment::Footprint => [0, 10].map(|level| boot(level, 0, 7e6)).to_vec(),
    };
    let under = |accelerator: Accelerator| {
        let mut trials = trials.clone();
        for trial in &mut trials {
            (trial.case.experiment, trial.case.accelerator) = (experiment, accelerator);
            trial.case.platform = PlatformId::new(format!("qemu:{accelerator}"));
            if experiment == Experiment::Footprint {
                trial.metrics[0].name = MEM_USED.name.into();
            }
        }
        trials
    };
    [under(Accelerator::Kvm), under(Accelerator::Tcg)].concat()
}

#[rstest]
fn accelerators_are_never_mixed_and_named_in_every_figure_and_table(
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
fn emulated_guests_have_no_published_numbers() {
    let mut trials = rounds(Some(2.0));
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
    let expected = [("monitor", 60.0), ("kernel", 840.0), ("program", 100.0), ("run", 50.0), ("removal", 50.0)];
    assert_eq!(parts, expected);
    assert_eq!(parts.iter().map(|(_, ms)| ms).sum::<f64>(), 1100.0, "all of it");
}

#[test]
fn a_guest_without_a_kernel_has_no_such_part() {
    let stamps = [(Event::Spawn, 0), (Event::Vmm, 60), (Event::Guest, 90), (Event::Main, 90), (Event::Exit, 95)];
    assert_eq!(parts(&machine(&stamps)), [("monitor", 60.0), ("start", 30.0), ("run", 5.0)]);
}

#[test]
fn a_silent_monitor_is_one_part_with_the_kernel() {
    let stamps = [(Event::Spawn, 0), (Event::Guest, 70), (Event::Main, 90), (Event::Exit, 95)];
    let expected = [("monitor + kernel", 70.0), ("program", 20.0), ("run", 5.0)];
    assert_eq!(parts(&machine(&stamps)), expected);
    let silent = [(Event::Spawn, 0), (Event::Main, 90), (Event::Exit, 95)];
    assert_eq!(parts(&machine(&silent)), [("boot", 90.0), ("run", 5.0)]);
}

#[test]
fn machines_with_different_parts_share_a_figure_but_no_part() {
    let of = |platform: &str, stamps: &[(Event, u64)]| {
        let mut record = record(0);
        (record.case.platform, record.case.accelerator) = (PlatformId::new(platform), Accelerator::Tcg);
        record.events = stamps.iter().map(|&(event, at)| (event, Nanos(at * 1_000_000))).collect();
        record
    };
    let report = report(vec![
        of("qemu", &[(Event::Spawn, 0), (Event::Vmm, 60), (Event::Guest, 70), (Event::Main, 90)]),
        of("firecracker", &[(Event::Spawn, 0), (Event::Guest, 30), (Event::Main, 40)]),
        of("null", &[(Event::Spawn, 0), (Event::Vmm, 60), (Event::Guest, 65), (Event::Main, 65)]),
    ]);
    let Plot::Bars(chart) = &report.figures().find(|f| f.id == "boot-phases").unwrap().plot else { panic!("bars") };
    let of = |bar: &Bar| if let Bar::Value { value, .. } = bar { (value / 1e6) as u64 } else { 0 };
    let series: BTreeMap<&str, Vec<u64>> =
        chart.series.iter().map(|s| (s.name.as_str(), s.bars.iter().map(of).collect())).collect();
    assert_eq!(chart.groups, ["firecracker", "null", "qemu"]);
    let expected = [
        ("monitor", [0, 60, 60]),
        ("kernel", [0, 0, 10]),
        ("monitor + kernel", [30, 0, 0]),
        ("start", [0, 5, 0]),
        ("program", [10, 0, 20]),
    ];
    assert_eq!(series, expected.map(|(name, ms)| (name, ms.to_vec())).into());
    let mut slots: Vec<usize> = chart.series.iter().map(|s| s.slot).collect();
    slots.sort_unstable();
    slots.dedup();
    assert_eq!(slots.len(), chart.series.len(), "a color each");
}

/// Two trials of a virtual machine's footprint, with these sizes in MiB.
fn weighed(sizes: &[(&MetricInfo, f64)]) -> Vec<TrialRecord> {
    let of = |trial: u32| {
        let mut record = boot(10, trial, 0.0);
        (record.case.experiment, record.case.accelerator) = (Experiment::Footprint, Accelerator::Tcg);
        record.case.workload = crate::model::program::Program::Sleep;
        record.metrics = sizes.iter().map(|(metric, mib)| metric.of(mib * 1_048_576.0)).collect();
        record
    };
    (0..2).map(of).collect()
}

fn stack<'r>(report: &'r Report, id: &str) -> Vec<(&'r str, f64)> {
    let Plot::Bars(chart) = &report.figures().find(|f| f.id == id).unwrap().plot else { panic!("bars") };
    let of = |bar: &Bar| if let Bar::Value { value, .. } = bar { *value / 1_048_576.0 } else { panic!("{bar:?}") };
    chart.series.iter().map(|s| (s.name.as_str(), of(&s.bars[0]))).collect()
}

#[test]
fn a_virtual_machines_memory_is_shown_with_its_guests_memory() {
    let sizes = [
        (&PSS_PER_INSTANCE, 90.0),
        (&PSS_OVERHEAD, 50.0),
        (&PSS_MONITOR, 12.0),
        (&PSS_PROGRAM, 8.0),
        (&PSS_TRANSLATION, 30.0),
        (&PSS_GUEST, 40.0),
        (&GUEST_MEMORY, 64.0),
    ];
    let report = report(weighed(&sizes));
    let expected = [
        ("monitor data", 12.0),
        ("program and libraries", 8.0),
        ("translated code", 30.0),
        ("guest memory, touched", 40.0),
        ("guest memory, untouched", 24.0),
    ];
    let stack = stack(&report, "footprint-machine");
    assert_eq!(stack, expected);
    assert_eq!(stack[..4].iter().map(|(_, mib)| mib).sum::<f64>(), 90.0, "the PSS");
    let text = &report.findings[0].text;
    assert!(
        text.contains("the monitor takes 50.0 MiB") && text.contains("for a guest with 64.0 MiB of memory"),
        "{text}"
    );
    let table = report.sections[0].blocks.iter().find_map(|b| match b {
        Block::Table(table) if table.id == "footprint-machine-table" => Some(table),
        _ => None,
    });
    assert_eq!(table.unwrap().rows[0].len(), 10);
}

#[test]
fn without_translation_there_is_no_part_and_without_guest_memory_no_figure() {
    let sizes = [(&PSS_MONITOR, 12.0), (&PSS_PROGRAM, 8.0), (&PSS_GUEST, 40.0), (&GUEST_MEMORY, 64.0)];
    let machine = report(weighed(&sizes));
    assert!(stack(&machine, "footprint-machine").iter().all(|(name, _)| *name != "translated code"));
    let container = report(weighed(&[(&PSS_PER_INSTANCE, 1.0)]));
    assert!(container.figures().all(|f| f.id != "footprint-machine"));
}

#[test]
fn the_smallest_memory_has_a_section_of_its_own() {
    let mut run = run_of(weighed(&[(&MINIMUM_MEMORY, 23.0), (&GUEST_MEMORY, 64.0), (&INSUFFICIENT_MEMORY, 22.0)]));
    run.file.configuration = run.file.configuration.changed(|c| c.minimum = true);
    let usual = run_of(weighed(&[(&PSS_PER_INSTANCE, 1.0)]));
    run.trials.iter_mut().for_each(|t| t.case.background = 0);
    let report = Report::of(&[usual, run], &[]);
    let titles: Vec<&str> = report.sections.iter().map(|s| s.title.as_str()).collect();
    assert_eq!(titles, ["Footprint (tcg)", "Smallest memory (tcg)"], "neither hides the other");
    let sizes = stack(&report, "footprint-2-minimum-sizes");
    assert_eq!(sizes, [("guest memory", 64.0), ("minimum memory", 23.0)]);
    let text = &report.findings.last().unwrap().text;
    assert!(text.starts_with("fake boots sleep with 23.0 MiB (median of 2"), "{text}");
    assert!(text.ends_with("; its image requests 64.0 MiB. Emulated (TCG)."), "{text}");
}

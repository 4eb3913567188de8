//! What stands beside the results of every section: the host's state, and what others published.

use super::ladder::{Along, Drawing, Share};
use super::{Block, Cell, Table, Tone, View};
use crate::model::record::Experiment;
use crate::report::figures::Start;
use crate::report::published::Published;

/// The host's state over the ladder: CPU, memory, swap. Swap is shown only where it was used.
pub(super) fn context(view: &View<'_>) -> Vec<Block> {
    let along = match view.run.file.experiment() {
        Experiment::Footprint => Along::Instances,
        _ => Along::Background,
    };
    let drawing = |part, title, metric, label| Drawing {
        part,
        title,
        metric,
        label,
        along,
        share: Share::All,
        start: Start::Zero,
    };
    let titles = ["CPU available on the host", "Memory available on the host", "Swap used on the host"];
    let titles = titles.map(|title| view.title(title));
    let cpu = drawing("host-cpu", &titles[0], "host_cpu_available", "share of the host's CPU");
    let memory = drawing("host-memory", &titles[1], "host_mem_available", "memory available");
    let swap = drawing("host-swap", &titles[2], "host_swap_used", "swap used");
    let summaries = |metric| view.cases.iter().filter_map(move |c| c.summary(metric));
    let swapped = summaries("host_swap_used").any(|s| s.max > 0.0);
    let quiet = !swapped && summaries("host_swap_used").next().is_some();
    let ladder = view.cases.iter().any(|c| c.case.background > 0);
    if !ladder {
        return Vec::new();
    }
    let mut blocks: Vec<Block> =
        [cpu.absolute(view), memory.absolute(view), if swapped { swap.absolute(view) } else { None }]
            .into_iter()
            .flatten()
            .map(Block::Context)
            .collect();
    if quiet {
        blocks.push(Block::Remark { text: "The host used no swap in any trial.".into() });
    }
    blocks
}

/// What others published about this experiment.
pub(super) fn statements(view: &View<'_>, published: &Published) -> Option<Block> {
    let experiment = view.run.file.experiment();
    let mut table =
        Table::new(view.id("published"), "Published elsewhere", &["platform", "what", "published result", "place"]);
    let cell = |text: &str| Cell::new(text).tone(Tone::Published);
    for s in published.statements.iter().filter(|s| s.experiment == experiment && s.workload == view.workload) {
        table.rows.push(vec![cell(&s.platform), cell(&s.what), cell(&s.result), cell(&s.place)]);
    }
    table.note = format!("Published: {}. Another machine: compare shapes, not sizes.", published.source.cite());
    (!table.rows.is_empty()).then_some(Block::Table(table))
}

//! The host's state during a run: idle CPU, available memory and used swap, below the results of every section.

use super::ladder::{Along, Drawing};
use super::text::capitalized;
use super::{Block, View};
use crate::model::metric::{HOST_CPU_AVAILABLE, HOST_MEM_AVAILABLE, HOST_SWAP_USED, MetricInfo};
use crate::model::record::Experiment;

/// The host's state over the ladder; nothing without a ladder. Swap has a figure only if some was used.
pub(super) fn context(view: &View<'_>) -> Vec<Block> {
    if !view.cases.iter().any(|c| c.case.background > 0) {
        return Vec::new();
    }
    let mut metrics = vec![("host-cpu", &HOST_CPU_AVAILABLE), ("host-memory", &HOST_MEM_AVAILABLE)];
    let swap: Vec<f64> = view.cases.iter().filter_map(|c| c.summary(&HOST_SWAP_USED)).map(|s| s.max).collect();
    let swapped = swap.iter().any(|max| *max > 0.0);
    if swapped {
        metrics.push(("host-swap", &HOST_SWAP_USED));
    }
    let mut blocks: Vec<Block> = metrics.into_iter().filter_map(|(part, metric)| figure(view, part, metric)).collect();
    if !swapped && !swap.is_empty() {
        blocks.push(Block::Remark { text: "The host used no swap in any trial.".into() });
    }
    blocks
}

fn figure(view: &View<'_>, part: &str, metric: &'static MetricInfo) -> Option<Block> {
    let along = match view.run.file.experiment() {
        Experiment::Footprint => Along::Instances,
        _ => Along::Background,
    };
    let title = view.title(&capitalized(metric.label));
    Drawing::new(part, &title, metric, along).absolute(view).map(Block::Context)
}

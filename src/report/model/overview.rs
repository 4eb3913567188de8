//! One sentence over many platforms: where a metric is best and where it is worst.

use super::text::quantity;
use super::{CaseResult, Finding, View};
use crate::model::metric::MetricInfo;
use crate::model::platform::PlatformId;
use crate::model::units::Direction;
use crate::stats::Summary;

/// Up to this many platforms, the sentence about each one is overview enough.
pub(super) const FEW: usize = 3;

/// The subject of the sentence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    /// The finding's topic.
    pub(super) topic: &'a str,
    /// The start of the sentence: `Boot time of Nginx`.
    pub(super) start: &'a str,
    /// The metric.
    pub(super) metric: &'static MetricInfo,
}

/// The sentence over one case of each platform; `None` for few platforms.
pub(super) fn overview<'v>(
    view: &'v View<'_>,
    subject: &Subject<'_>,
    case: impl Fn(&PlatformId) -> Option<&'v CaseResult>,
) -> Option<Finding> {
    let number = |p: PlatformId| Some((*case(&p)?.summary(subject.metric)?, p));
    let mut numbers: Vec<(Summary, PlatformId)> = view.platforms().into_iter().filter_map(number).collect();
    if numbers.len() <= FEW {
        return None;
    }
    numbers.sort_by(|a, b| a.0.median.total_cmp(&b.0.median));
    if subject.metric.direction == Direction::Higher {
        numbers.reverse();
    }
    let [best, .., worst] = numbers.as_slice() else { return None };
    let words =
        |(summary, platform): &(Summary, PlatformId)| format!("{platform}, {}", quantity(summary, subject.metric.unit));
    Some(Finding {
        section: view.id(""),
        topic: view.title(subject.topic),
        text: format!(
            "{} on {} platforms: best on {}; worst on {}.",
            subject.start,
            numbers.len(),
            words(best),
            words(worst)
        ),
        simulated: numbers.iter().any(|(_, p)| view.simulated(p)),
    })
}

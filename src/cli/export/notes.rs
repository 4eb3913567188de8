//! What an export prints to standard error.

use std::collections::{BTreeMap, BTreeSet};

use crate::report::export::Selection;

pub(super) use crate::report::export::LeftOut;

/// How many items with the same reason are named.
const NAMED: usize = 3;

/// One line per reason: `boot/youki/hello/0: no good trial`.
pub(super) fn by_reason(left_out: &[LeftOut]) -> Vec<String> {
    let mut reasons = BTreeMap::<&str, Vec<&str>>::new();
    left_out.iter().for_each(|one| reasons.entry(&one.why).or_default().push(&one.what));
    reasons.into_iter().map(|(why, what)| format!("{}: {why}", abbreviated(&what))).collect()
}

/// The names of all metrics, comma-separated.
pub(super) fn metric_names(selection: &Selection<'_>) -> String {
    let names: BTreeSet<&str> = selection.cases.iter().flat_map(|case| &case.metrics).map(|m| m.name).collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

fn abbreviated(names: &[&str]) -> String {
    let first = names[..names.len().min(NAMED)].join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_with_one_reason_are_one_line() {
        let one = |what: &str, why: &str| LeftOut { what: what.into(), why: why.into() };
        let all = ["a", "b", "c", "d", "e"].map(|what| one(what, "no time"));
        assert_eq!(by_reason(&[&all[..], &[one("f", "empty")]].concat()), ["f: empty", "a, b, c and 2 more: no time"]);
    }
}

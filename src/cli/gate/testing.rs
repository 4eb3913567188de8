//! What the tests of several files here need.

use super::inputs::Inputs;

/// Inputs by the names of the action.
pub(super) fn inputs(values: &[(&str, &str)]) -> Inputs {
    let mut inputs = Inputs::default();
    for (name, value) in values {
        *field(&mut inputs, name) = Some((*value).to_owned());
    }
    inputs
}

fn field<'a>(inputs: &'a mut Inputs, name: &str) -> &'a mut Option<String> {
    match name {
        "base-runtime" => &mut inputs.base_runtime,
        "head-runtime" => &mut inputs.head_runtime,
        "platform" => &mut inputs.platform,
        "base" => &mut inputs.base,
        "head" => &mut inputs.head,
        "a" => &mut inputs.a,
        "b" => &mut inputs.b,
        "bench" => &mut inputs.bench,
        "workload" => &mut inputs.workload,
        "filter" => &mut inputs.filter,
        "metrics" => &mut inputs.metrics,
        "tolerance" => &mut inputs.tolerance,
        "blocks" => &mut inputs.blocks,
        "time-limit" => &mut inputs.time_limit,
        "options" => &mut inputs.options,
        "tools" => &mut inputs.tools,
        "root" => &mut inputs.root,
        "title" => &mut inputs.title,
        name => panic!("unknown input `{name}`"),
    }
}

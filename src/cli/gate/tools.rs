//! The tools that the arms need besides Rust, by the names of `cargo xtask setup`.

use std::collections::BTreeSet;

use super::arms::Arms;
use super::inputs::{Inputs, given};
use crate::model::platform::PlatformId;
use crate::platform::registry;
use crate::platform::tools::{Tool, ToolSelection};

/// The value of `setup --only`: the input, or what the arms and the workload need.
pub(super) fn tools(inputs: &Inputs, arms: &Arms) -> String {
    if let Some(tools) = given(&inputs.tools) {
        return tools.to_owned();
    }
    let mut found = BTreeSet::from(["cc"]);
    found.extend(tools_of_arm(&arms.a));
    found.extend(tools_of_arm(&arms.b));
    found.extend(tools_of_workload(inputs));
    Vec::from_iter(found).join(",")
}

fn tools_of_arm(arm: &str) -> Vec<&'static str> {
    let platform = arm.split(',').next().unwrap_or_default();
    let Ok(id) = platform.parse::<PlatformId>() else { return Vec::new() };
    let mut tools: Vec<&Tool> = registry::entry(&id).map_or(Vec::new(), |entry| entry.tools.iter().collect());
    // The arm may bring its own runtime; then none is installed.
    if !arm.contains(",runtime=") {
        tools.extend(registry::flavor_tools(&id));
    }
    tools.iter().filter(|tool| tool.wanted == ToolSelection::Always).map(|tool| tool.name).collect()
}

fn tools_of_workload(inputs: &Inputs) -> Vec<&'static str> {
    // Scalability and isolation measure both servers unless the workload is given.
    let by_default = if ["boot", "footprint"].contains(&inputs.bench()) { "" } else { "nginx,redis" };
    let workload = given(&inputs.workload).unwrap_or(by_default);
    let mut tools = Vec::new();
    if workload.contains("nginx") {
        tools.extend(["nginx", "wrk"]);
    }
    if workload.contains("redis") {
        tools.push("redis");
    }
    tools
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::cli::gate::testing::inputs;

    #[rstest]
    #[case("native", "youki", "cc")]
    #[case("docker:runc", "oci:crun", "cc,crun,docker,runc")]
    #[case("docker-cli:runsc", "podman:crun", "cc,crun,docker,podman,runsc")]
    #[case("docker", "podman", "cc,docker,podman")]
    #[case("oci:crun,runtime=/a/crun", "oci:crun,append=x,runtime=/b/crun", "cc")]
    #[case("oci:kata", "firecracker", "cc")]
    #[case("qemu:linux", "qemu:debian-pc", "cc,e2fsprogs,mmdebstrap,qemu")]
    #[case("qemu", "solo5", "cc")]
    fn an_arm_needs_its_engine_and_its_runtime(#[case] a: &str, #[case] b: &str, #[case] expected: &str) {
        assert_eq!(tools(&inputs(&[]), &Arms { a: a.to_owned(), b: b.to_owned() }), expected);
    }

    #[rstest]
    #[case(&[("bench", "boot")], "cc")]
    #[case(&[("bench", "footprint")], "cc")]
    #[case(&[("bench", "isolation")], "cc,nginx,redis,wrk")]
    #[case(&[("bench", "isolation"), ("workload", "sqlite")], "cc")]
    #[case(&[("workload", "hello,nginx")], "cc,nginx,wrk")]
    #[case(&[("bench", "scalability"), ("workload", "redis-set")], "cc,redis")]
    #[case(&[("bench", "isolation"), ("tools", "none")], "none")]
    fn a_workload_needs_its_server_and_its_load_generator(#[case] values: &[(&str, &str)], #[case] expected: &str) {
        let arms = Arms { a: "native".to_owned(), b: "native".to_owned() };
        assert_eq!(tools(&inputs(values), &arms), expected);
    }
}

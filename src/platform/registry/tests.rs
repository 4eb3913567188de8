//! Names of platforms, and the table in the README.

use super::entries::is_runtime;
use super::*;

#[test]
fn an_unknown_platform_is_rejected_with_the_accepted_ones() {
    let error = "xen".parse::<PlatformId>().unwrap_err().to_string();
    assert!(error.contains("`xen`") && error.contains(&accepted()), "{error}");
}

#[test]
fn every_variant_has_an_accepted_name_of_its_entry() {
    for entry in ENTRIES {
        assert!(!entry.variants.is_empty(), "{}", entry.family);
        for variant in entry.variants {
            let (found, _) = find(variant.name).expect("an accepted name");
            assert_eq!(found.family, entry.family);
        }
    }
}

#[test]
fn a_flavor_is_accepted_only_by_families_that_have_it() {
    let accepts = |name: &str| name.parse::<PlatformId>().is_ok();
    assert!(!accepts("native:crun"));
    assert!(!accepts("qemu:windows") && !accepts("qemu") && accepts("qemu:linux-q35-smp2"));
    assert!(!accepts("firecracker:linux-q35") && !accepts("firecracker") && accepts("firecracker:linux-smp2"));
    assert!(accepts("solo5:mirage-spt") && !accepts("solo5"));
    assert!(!is_runtime("../x") && !is_runtime("") && is_runtime("io.containerd.runc.v2"));
}

#[test]
fn a_platform_of_another_version_has_no_entry() {
    assert!(entry(&PlatformId::new("xen:hvm")).is_none());
    assert_eq!(entry(&PlatformId::new("docker:anything")).map(|entry| entry.family), Some("docker"));
}

#[test]
fn a_tool_of_two_platforms_is_listed_once() {
    let names: Vec<_> = tools().iter().map(|tool| tool.name).collect();
    assert_eq!(names.iter().filter(|name| **name == "crun").count(), 1, "{names:?}");
}

/// The README has this table between two markers. If this fails, copy the printed table there.
#[test]
fn the_readme_has_the_table_of_platforms() {
    let readme = include_str!("../../../README.md");
    let (_, rest) = readme.split_once("<!-- generated: platforms -->").expect("the first marker");
    let (table, _) = rest.split_once("<!-- /generated -->").expect("the second marker");
    let expected = markdown();
    assert!(
        table.trim() == expected.trim(),
        "the table of platforms in README.md is out of date\nhelp: replace it with:\n\n{expected}"
    );
}

//! Names that the code no longer uses, each with the name that replaced it.

use super::code::words;
use super::file::{File, FileRule, Finding};

/// Every rule; they apply to Rust files.
pub(super) const RULES: &[FileRule] = &[uses_current_names];

/// Old identifiers with their replacements.
const OLD_NAMES: &[(&str, &str)] = &[
    ("AfterWord", "ExitBehavior"),
    ("Asked", "RuleOverrides"),
    ("Burden", "ResourceCost"),
    ("Crew", "InstanceGroup"),
    ("Dress", "TestHook"),
    ("Found", "CaseSamples"),
    ("Judging", "Evaluator"),
    ("Keeper", "EngineOwner"),
    ("Lane", "ArmRunner"),
    ("Lanes", "ArmRunners"),
    ("Made", "BootArtifact"),
    ("Offer", "HostSupport"),
    ("Outfit", "ConfiguredPlatform"),
    ("Outfitted", "ConfiguredPlatform"),
    ("Ruling", "Decision"),
    ("Sheet", "BlockLog"),
    ("Slim", "SummaryReader"),
    ("Stand", "Fixture (in conformance) or Target (in plans)"),
    ("Surroundings", "a name for the one thing it holds"),
    ("Told", "ExitNotice"),
    ("Trouble", "Failure"),
    ("USUAL", "DEFAULT"),
    ("Wanted", "MetricSelection"),
    ("Which", "ArmId"),
    ("Word", "Notification"),
    ("barren", "without_successful_trials"),
    ("burden", "resource_cost"),
    ("doors", "cgroup_fds"),
    ("fresh_seed", "random_seed"),
    ("honour", "supports"),
    ("honours", "supports"),
    ("knock", "port_probe"),
    ("lacking", "missing"),
    ("lacks", "missing"),
    ("made_of", "boot_artifact"),
    ("offer", "host_support"),
    ("outfit", "configure"),
    ("room", "monitor_context"),
    ("said", "summary"),
    ("say", "output"),
    ("slim", "summary_reader"),
    ("trouble", "failure"),
];

fn uses_current_names(file: &File) -> Vec<Finding> {
    let old = words(&file.code).filter_map(|(at, word)| Some((at, OLD_NAMES.iter().find(|(old, _)| *old == word)?)));
    old.map(|(at, (old, new))| file.finding(at, format!("old name `{old}`; expected {new}"))).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn messages(code: &str) -> Vec<String> {
        uses_current_names(&File::new("src/x.rs", code)).into_iter().map(|finding| finding.to_string()).collect()
    }

    #[test]
    fn a_finding_states_the_new_name() {
        assert_eq!(messages("//! X.\nenum Told {}\n"), ["src/x.rs:2: old name `Told`; expected ExitNotice"]);
    }

    #[rstest]
    #[case::function("fn lacks() {}")]
    #[case::variable("let said = 1;")]
    #[case::module("mod knock;")]
    #[case::constant("let rule = Rule::USUAL;")]
    #[case::field("self.room.path()")]
    #[case::variant("Event::Found(x)")]
    #[case::lifetime_and_type("fn f<'a>(x: &'a Which) {}")]
    #[case::macro_call("say::err!(x)")]
    fn old_names_are_found_wherever_code_uses_them(#[case] code: &str) {
        assert_eq!(messages(code).len(), 1, "{code}");
    }

    #[rstest]
    #[case::part_of_a_name("let classroom = NotFound; fn offers() {} struct Keyword;")]
    #[case::comment("// said, lacks\n/// A room.\n/* knock */")]
    #[case::string("let trouble_text = \"trouble\"; let c = r\"said\";")]
    fn other_text_is_not_an_old_name(#[case] code: &str) {
        assert_eq!(messages(code), Vec::<String>::new(), "{code}");
    }

    #[test]
    fn the_table_is_sorted_and_replaces_no_name_with_an_old_one() {
        let old: Vec<&str> = OLD_NAMES.iter().map(|(old, _)| *old).collect();
        assert!(old.is_sorted(), "{old:?}");
        for (_, new) in OLD_NAMES {
            assert!(!old.contains(new), "{new}");
        }
    }
}

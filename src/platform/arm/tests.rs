//! Arms as users write them, and the differences between two.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn arm(text: &str) -> Arm {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[rstest]
#[case("native", &[])]
#[case("docker:crun,inject=busy:5%", &[("inject", "busy:5%")])]
#[case("oci:runc,runtime=/opt/my runc/runc", &[("runtime", "/opt/my runc/runc")])]
#[case("qemu:linux-q35-tcg,append=isolcpus=0,,1 quiet,qemu=/q", &[("qemu", "/q"), ("append", "isolcpus=0,1 quiet")])]
#[case("youki,guests=v0.1.0^{commit},inject=delay:1500ns", &[("guests", "v0.1.0^{commit}"), ("inject", "delay:1500ns")])]
#[case("podman,append=,,,,", &[("append", ",,")])]
#[case("native,images=/a,,b,guests=main", &[("images", "/a,b"), ("guests", "main")])]
fn an_arm_is_a_platform_with_options(#[case] text: &str, #[case] expected: &[(&str, &str)]) {
    let arm = arm(text);
    assert_eq!(arm.platform.as_str(), text.split(',').next().unwrap_or_default());
    let given: Vec<_> = arm.settings.given().map(|(key, value)| (key.name(), value)).collect();
    assert_eq!(given, expected.iter().map(|&(key, value)| (key, value.to_owned())).collect::<Vec<_>>());
    assert_eq!(arm.to_string().parse(), Ok(arm));
}

#[rstest]
#[case::nothing("", "unknown platform `` (known: native, youki,")]
#[case::no_platform("xen,runtime=/x", "unknown platform `xen`")]
#[case::no_key("native,color=red", "color=red: unknown setting `color` (known: runtime=PATH, qemu=PATH, images=DIR,")]
#[case::no_equals("native,runtime", "runtime=: no value; expected runtime=PATH")]
#[case::empty("native,guests=", "guests=: no value; expected guests=REVISION")]
#[case::empty_piece("native,", "=: unknown setting `` (known: runtime=PATH")]
#[case::twice("native,guests=a,guests=b", "`guests` is set twice in one arm")]
#[case::odd_kind("native,inject=sleep:5%", "inject=sleep:5%: unknown slowdown `sleep`; expected busy:5%,")]
#[case::no_amount("native,inject=busy", "inject=busy: `busy` has no `:`; expected busy:5%")]
#[case::the_harness_own("qemu:linux,append=quiet fw.run=/x", "`fw.run=/x` is reserved for the harness")]
#[case::the_kernels_end("qemu:linux,append=quiet --", "`--` is reserved for the harness")]
#[case::two_lines("qemu:linux,append=a\nb", "expected a single line")]
fn an_error_names_what_is_wrong_and_what_is_expected(#[case] text: &str, #[case] expected: &str) {
    let error = text.parse::<Arm>().expect_err("not an arm").to_string();
    assert!(error.starts_with(expected) || error.contains(expected), "{error}");
}

#[test]
fn a_relative_path_starts_at_the_current_folder() {
    let here = std::env::current_dir().expect("a folder");
    assert_eq!(arm("oci:runc,runtime=target/runc").settings.runtime, Some(here.join("target/runc")));
}

#[test]
fn a_later_setting_replaces_that_of_the_arm() {
    let mut arm = arm("oci:crun,runtime=/a");
    arm.set_text("runtime=/b").expect("a setting");
    arm.set("inject", "quota:50%").expect("a setting");
    assert_eq!(arm.to_string(), "oci:crun,runtime=/b,inject=quota:50%");
    let error = arm.set_text("color=red").expect_err("not a key").to_string();
    assert!(error.starts_with("color=red: unknown setting `color`"), "{error}");
    assert_eq!(arm.to_string(), "oci:crun,runtime=/b,inject=quota:50%", "as before");
}

#[rstest]
#[case("native", "native", "the same arm twice")]
#[case("docker:runc", "oci:crun", "platform: docker:runc against oci:crun")]
#[case(
    "oci:crun,runtime=/a",
    "oci:crun,inject=busy:1ms",
    "runtime: /a against the default; inject: nothing against busy:1ms"
)]
#[case("qemu:linux,append=quiet", "qemu:linux", "append: quiet against no words")]
fn the_differences_of_two_arms_are_listed(#[case] a: &str, #[case] b: &str, #[case] expected: &str) {
    assert_eq!(difference(&arm(a), &arm(b)), expected);
}

#[test]
fn only_what_is_set_is_stored() {
    let arm = arm("oci:crun,inject=busy:400us");
    let text = serde_json::to_string(&arm).expect("written");
    assert_eq!(text, r#"{"platform":"oci:crun","settings":{"inject":"busy:400us"}}"#);
    assert_eq!(serde_json::from_str::<Arm>(&text).expect("read"), arm);
    assert!(serde_json::from_str::<Arm>(&text.replace("busy", "idle")).is_err());
}

/// Texts of settings, as users write them.
fn values() -> impl Strategy<Value = Vec<(Key, String)>> {
    let text = || {
        "[ -~]{1,12}".prop_filter("it is not reserved for the harness", |text| {
            !text.split_whitespace().any(|word| word == "--" || word.starts_with("fw."))
        })
    };
    let time = (1u64..3_000_000).prop_map(|it| format!("{it}us"));
    let percent = (1u32..100_000).prop_map(|it| format!("{}%", f64::from(it) / 1000.0));
    let inject = prop_oneof![
        time.clone().prop_map(|it| format!("busy:{it}")),
        percent.clone().prop_map(|it| format!("busy:{it}")),
        (100u32..100_000).prop_map(|it| format!("quota:{}%", f64::from(it) / 1000.0)),
        time.prop_map(|it| format!("delay:{it}")),
    ];
    let value = (0..Key::ALL.len(), text(), inject).prop_map(|(at, text, inject)| match Key::ALL[at] {
        key @ (Key::Runtime | Key::Qemu | Key::Images) => (key, format!("/{text}")),
        Key::Inject => (Key::Inject, inject),
        key => (key, text),
    });
    prop::collection::vec(value, 0..5)
}

proptest! {
    #[test]
    fn an_arm_reads_back_from_its_text_and_its_json(values in values()) {
        let mut arm = arm("docker:crun");
        for (key, value) in &values {
            arm.settings.set(*key, value).expect("a setting");
        }
        prop_assert_eq!(arm.to_string().parse::<Arm>().expect("it reads back"), arm.clone());
        let text = serde_json::to_string(&arm).expect("written");
        prop_assert_eq!(serde_json::from_str::<Arm>(&text).expect("read"), arm);
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,60}") {
        let _ = text.parse::<Arm>();
        let _ = format!("native,{text}").parse::<Arm>();
        let _ = format!("native,inject={text}").parse::<Arm>();
    }
}

//! Arms as users write them, and how two differ.

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
#[case::no_key(
    "native,colour=red",
    "colour=red: unknown setting `colour` (known: runtime=PATH, qemu=PATH, images=DIR,"
)]
#[case::no_equals("native,runtime", "runtime=: no value; runtime=PATH is accepted")]
#[case::empty("native,guests=", "guests=: no value; guests=REVISION is accepted")]
#[case::empty_piece("native,", "=: unknown setting `` (known: runtime=PATH")]
#[case::twice("native,guests=a,guests=b", "`guests` is set twice in one arm")]
#[case::odd_kind(
    "native,inject=sleep:5%",
    "inject=sleep:5%: `sleep` is nothing that can be injected; accepted: busy:5%,"
)]
#[case::no_amount("native,inject=busy", "inject=busy: `busy` has no `:`; accepted: busy:5%")]
#[case::the_harness_own("qemu:linux,append=quiet fw.run=/x", "`fw.run=/x` is the harness's own to say")]
#[case::the_kernels_end("qemu:linux,append=quiet --", "`--` is the harness's own to say")]
#[case::two_lines("qemu:linux,append=a\nb", "a value has one line")]
fn what_is_wrong_is_named_with_what_is_accepted(#[case] text: &str, #[case] expected: &str) {
    let error = text.parse::<Arm>().expect_err("no arm").to_string();
    assert!(error.starts_with(expected) || error.contains(&format!(": {expected}")), "{error}");
}

#[test]
fn a_relative_path_is_one_from_here() {
    let here = std::env::current_dir().expect("a folder");
    assert_eq!(arm("oci:runc,runtime=target/runc").settings.runtime, Some(here.join("target/runc")));
}

#[test]
fn what_is_set_later_replaces_what_the_arm_says() {
    let mut arm = arm("oci:crun,runtime=/a");
    arm.set_text("runtime=/b").expect("a setting");
    arm.set("inject", "quota:50%").expect("a setting");
    assert_eq!(arm.to_string(), "oci:crun,runtime=/b,inject=quota:50%");
    let error = arm.set_text("colour=red").expect_err("no key").to_string();
    assert!(error.starts_with("colour=red: unknown setting `colour`"), "{error}");
    assert_eq!(arm.to_string(), "oci:crun,runtime=/b,inject=quota:50%", "as before");
}

#[rstest]
#[case("native", "native", "the same arm twice")]
#[case("docker:runc", "oci:crun", "platform: docker:runc against oci:crun")]
#[case(
    "oci:crun,runtime=/a",
    "oci:crun,inject=busy:1ms",
    "runtime: /a against the usual one; inject: nothing against busy:1ms"
)]
#[case("qemu:linux,append=quiet", "qemu:linux", "append: quiet against no words")]
fn how_two_arms_differ_is_said(#[case] a: &str, #[case] b: &str, #[case] expected: &str) {
    assert_eq!(difference(&arm(a), &arm(b)), expected);
}

#[test]
fn an_arm_is_stored_with_what_is_set_alone() {
    let arm = arm("oci:crun,inject=busy:400us");
    let text = serde_json::to_string(&arm).expect("written");
    assert_eq!(text, r#"{"platform":"oci:crun","settings":{"inject":"busy:400us"}}"#);
    assert_eq!(serde_json::from_str::<Arm>(&text).expect("read"), arm);
    assert!(serde_json::from_str::<Arm>(&text.replace("busy", "idle")).is_err());
}

/// Texts of settings, as users write them.
fn values() -> impl Strategy<Value = Vec<(Key, String)>> {
    let text = || {
        "[ -~]{1,12}".prop_filter("it is no word of the harness's own", |text| {
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

//! Enums whose variants have one name each, the same on the command line, in records and in reports.

/// A text that names none of an enum's variants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} `{given}`{} (known: {accepted})", suggestion(.given, .accepted))]
pub struct UnknownName {
    /// What the user wrote.
    pub given: String,
    /// The noun for what was expected: `placement`, `attacker`.
    pub what: &'static str,
    /// The known names, comma-separated. A name may contain a variable part: `docker[:RUNTIME]`, `oci:RUNTIME`.
    pub accepted: String,
}

/// The known name that `given` is a likely typo of, as a question; empty without one.
fn suggestion(given: &str, accepted: &str) -> String {
    let (name, rest) = given.split_at(given.find(':').unwrap_or(given.len()));
    let names = accepted.split(", ").map(fixed_part).filter(|known| *known != name);
    let closest = names.map(|known| (edit_distance(name, known), known)).min();
    match closest.filter(|(distance, _)| *distance <= most_typos(name)) {
        Some((_, known)) => format!("; did you mean `{known}{rest}`?"),
        None => String::new(),
    }
}

/// The part of a known name before its variable one.
fn fixed_part(form: &str) -> &str {
    form.split(['[', ':', '=']).next().unwrap_or_default()
}

/// How many typos a name may have and still be recognized: one in three letters, as in rustc.
fn most_typos(name: &str) -> usize {
    name.chars().count().max(3) / 3
}

/// The number of insertions, deletions, replacements and swaps of neighboring characters between `a` and `b`
/// (optimal string alignment).
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// Declares an enum with one name per variant, and derives its list, `Display`, `FromStr` and serde from the names.
macro_rules! named_enum {
    ($(#[$meta:meta])* pub enum $name:ident ($what:literal) { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant,)+ }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The name of this variant.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::model::names::UnknownName;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|v| v.name() == text).ok_or_else(|| $crate::model::names::UnknownName {
                    given: text.to_owned(),
                    what: $what,
                    accepted: Self::ALL.iter().map(|v| v.name()).collect::<Vec<_>>().join(", "),
                })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.name())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use named_enum;

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const PLATFORMS: &str = "native, youki, oci:RUNTIME, docker[:RUNTIME], docker-cli[:RUNTIME], qemu:null|linux";

    #[rstest]
    #[case::swapped_letters("dokcer", "`dokcer`; did you mean `docker`? (known: native, youki, ")]
    #[case::with_a_runtime("dokcer:crun", "`dokcer:crun`; did you mean `docker:crun`? (known: ")]
    #[case::a_letter_too_many("yoouki", "`yoouki`; did you mean `youki`? (known: ")]
    #[case::another_case("Native", "`Native`; did you mean `native`? (known: ")]
    #[case::another_name("xen", "`xen` (known: ")]
    #[case::a_known_name_with_an_unknown_rest("qemu:windows", "`qemu:windows` (known: ")]
    #[case::nothing("", "`` (known: ")]
    fn an_unknown_name_is_reported_with_a_similar_one_and_all_known_ones(#[case] given: &str, #[case] message: &str) {
        let error = UnknownName { given: given.to_owned(), what: "platform", accepted: PLATFORMS.to_owned() };
        let text = error.to_string();
        assert!(text.starts_with(&format!("unknown platform {message}")), "{text}");
        assert!(text.ends_with(&format!("{PLATFORMS})")), "{text}");
    }

    #[rstest]
    #[case("", "", 0)]
    #[case("open", "open", 0)]
    #[case("open", "opn", 1)]
    #[case("open", "poen", 1)]
    #[case("", "stat", 4)]
    #[case("kitten", "sitting", 3)]
    #[case("größe", "große", 1)]
    fn a_distance_counts_single_changes(#[case] a: &str, #[case] b: &str, #[case] distance: usize) {
        assert_eq!((edit_distance(a, b), edit_distance(b, a)), (distance, distance));
    }
}

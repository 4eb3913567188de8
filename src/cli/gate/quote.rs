//! Quoting of a command line for readers, who may paste it into a shell.

use std::fmt::Write;

/// The arguments as one line of shell.
pub(super) fn quoted(arguments: &[String]) -> String {
    arguments.iter().map(|argument| quote(argument)).collect::<Vec<_>>().join(" ")
}

/// One word of shell. Control characters are escaped, so that a word never spans several lines.
fn quote(word: &str) -> String {
    if word.chars().any(char::is_control) {
        return format!("$'{}'", escape(word));
    }
    let is_plain = |c: char| c.is_alphanumeric() || "-_=./,:+%@^".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The inside of `$'…'`, which bash and zsh know.
fn escape(word: &str) -> String {
    let mut text = String::new();
    for c in word.chars() {
        match c {
            '\n' => text.push_str(r"\n"),
            '\\' | '\'' => text.extend(['\\', c]),
            c if c.is_control() => {
                let mut bytes = [0; 4];
                c.encode_utf8(&mut bytes).bytes().for_each(|byte| {
                    write!(text, "\\x{byte:02x}").expect("a string takes all text");
                });
            }
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("--a=oci:crun,runtime=/opt/crun", "--a=oci:crun,runtime=/opt/crun")]
    #[case("--tolerance=1%", "--tolerance=1%")]
    #[case("", "''")]
    #[case("a b", "'a b'")]
    #[case("$(x)`y`", "'$(x)`y`'")]
    #[case("it's", r"'it'\''s'")]
    #[case("a\n::error::'\u{1b}\\", r"$'a\n::error::\'\x1b\\'")]
    fn a_word_stays_one_word_on_one_line(#[case] word: &str, #[case] expected: &str) {
        assert_eq!(quote(word), expected);
    }

    #[test]
    fn words_are_separated_by_spaces() {
        assert_eq!(quoted(&["ab".to_owned(), "--".to_owned(), "x y".to_owned()]), "ab -- 'x y'");
    }
}

//! What programs printed, shortened for messages.

use std::fs::File;
use std::io::{Read, Seek};

/// How many lines of a failed command's output an error contains.
const SHOWN_LINES: usize = 15;

/// Reads a whole file that was written through another handle.
pub(in crate::cli) fn text_of(output: &mut File) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    output.rewind()?;
    output.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the last lines of a text, indented.
pub(in crate::cli) fn end_of(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].iter().map(|line| format!("     {line}\n")).collect()
}

/// Returns the last nonempty line, where most programs print why they failed.
pub(in crate::cli) fn last_line(text: &str) -> String {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_long_output_is_shown() {
        let long: String = (0..100).map(|n| format!("line {n}\n")).collect();
        assert_eq!(end_of(&long).lines().count(), SHOWN_LINES);
        assert!(end_of(&long).ends_with("line 99\n") && end_of("").is_empty());
        assert_eq!(last_line("a\n b \n\n"), "b");
    }
}

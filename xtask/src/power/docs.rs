//! Tables between the markers of a document: `<!-- power:NAME -->` up to `<!-- power:end -->`.

const END: &str = "<!-- power:end -->";

/// The document with `body` between the markers of that name; `None` where it has no such markers.
pub(super) fn replaced(document: &str, name: &str, body: &str) -> Option<String> {
    let begin = format!("<!-- power:{name} -->");
    let from = document.find(&begin)? + begin.len();
    let to = from + document[from..].find(END)?;
    Some(format!("{}\n\n{}\n\n{}", &document[..from], body.trim(), &document[to..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let document = "a\n<!-- power:x -->\nold\n<!-- power:end -->\nb\n<!-- power:y -->\n<!-- power:end -->\n";
        let new = replaced(document, "y", "| t |\n").unwrap();
        assert_eq!(
            new,
            "a\n<!-- power:x -->\nold\n<!-- power:end -->\nb\n<!-- power:y -->\n\n| t |\n\n<!-- power:end -->\n"
        );
        assert_eq!(replaced(&new, "y", "| t |"), Some(new.clone()));
        assert_eq!(replaced(document, "z", ""), None);
        assert_eq!(replaced("<!-- power:x -->", "x", ""), None);
    }
}

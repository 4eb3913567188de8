//! A minimal Rust scanner that separates code from comments, literals and tests.
//!
//! Invariant: blanked text becomes spaces, so offsets and lines stay those of the source.

use std::ops::Range;

/// The kind of a span that is not code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpanKind {
    /// A line or block comment, including documentation.
    Comment,
    /// A string or character, including its quotes.
    Literal,
}

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Function<'a> {
    pub(super) name: &'a str,
    /// The offset of the `fn` keyword.
    pub(super) offset: usize,
    /// The number of lines from `fn` to the closing brace.
    pub(super) lines: usize,
}

/// The comments and literals of `text`, in order.
pub(super) fn spans(text: &str) -> Vec<(Range<usize>, SpanKind)> {
    let bytes = text.as_bytes();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let rest = &text[at..];
        let starts_word = at == 0 || !is_word(bytes[at - 1]);
        let comment = comment(rest).map(|length| (length, SpanKind::Comment));
        let span = comment.or_else(|| literal(rest, starts_word).map(|length| (length, SpanKind::Literal)));
        match span {
            Some((length, kind)) => {
                found.push((at..at + length, kind));
                at += length;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    found
}

/// Returns `text` with `ranges` replaced by spaces.
pub(super) fn blank(text: &str, ranges: impl IntoIterator<Item = Range<usize>>) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in ranges {
        bytes[range].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
    }
    String::from_utf8(bytes).expect("ranges end at character boundaries")
}

/// The items under `#[cfg(test)]`. Expects `code` without comments and literals.
pub(super) fn test_items(code: &str) -> Vec<Range<usize>> {
    let item = |(start, attribute): (usize, &str)| {
        let head = start + attribute.len();
        let end = match code[head..].find(['{', ';']).map(|n| head + n)? {
            brace if code.as_bytes()[brace] == b'{' => closing(code, brace)?,
            semicolon => semicolon,
        };
        Some(start..end + 1)
    };
    code.match_indices("#[cfg(test)]").filter_map(item).collect()
}

/// The functions of `code`, which has no comments and literals.
pub(super) fn functions(code: &str) -> Vec<Function<'_>> {
    words(code).filter(|(_, word)| *word == "fn").filter_map(|(offset, _)| function(code, offset)).collect()
}

fn function(code: &str, offset: usize) -> Option<Function<'_>> {
    let (at, name) = words(&code[offset + 2..]).next()?;
    let is_pointer = !code[offset + 2..offset + 2 + at].trim().is_empty();
    let body = if is_pointer { None } else { body(code, offset) }?;
    let end = closing(code, body)?;
    Some(Function { name, offset, lines: code[offset..end].matches('\n').count() + 1 })
}

/// The opening brace of the function at `offset`; `None` for a declaration.
fn body(code: &str, offset: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, byte) in code.bytes().enumerate().skip(offset) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(at),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The brace that closes the one at `open`.
pub(super) fn closing(code: &str, open: usize) -> Option<usize> {
    let mut depth = 0_i32;
    code.bytes().enumerate().skip(open).find_map(|(at, byte)| {
        depth += i32::from(byte == b'{') - i32::from(byte == b'}');
        (depth == 0).then_some(at)
    })
}

/// The identifiers and keywords of `code` with their offsets.
pub(super) fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + code[at..].find(|c: char| c.is_alphanumeric() || c == '_')?;
        let length = code[start..].find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(code.len() - start);
        at = start + length;
        Some((start, &code[start..at]))
    })
}

fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    rest.starts_with("/*").then(|| block_comment(rest))
}

/// The length of the block comment at the start of `rest`. Block comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let (step, change) = match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        (at, depth) = (at + step, depth + change);
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The length of the literal at the start of `rest`. A prefix such as `r` counts only where a word starts.
fn literal(rest: &str, starts_word: bool) -> Option<usize> {
    match rest.as_bytes() {
        [b'"', ..] => Some(quoted(rest, 1, '"')),
        [b'\'', b'\\', ..] => Some(quoted(rest, 1, '\'')),
        [b'\'', ..] => character(rest),
        [b'r', b'"' | b'#', ..] if starts_word => raw(rest, 1),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if starts_word => raw(rest, 2),
        _ => None,
    }
}

/// The length of a literal that ends at the first unescaped `quote` after its first `from` bytes.
fn quoted(rest: &str, from: usize, quote: char) -> usize {
    let mut escaped = false;
    let end = rest[from..].char_indices().find(|&(_, c)| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.map_or(rest.len(), |(at, _)| from + at + 1)
}

/// The length of a character such as `'x'`; `None` for a lifetime.
fn character(rest: &str) -> Option<usize> {
    let end = 1 + rest[1..].chars().next()?.len_utf8();
    rest[end..].starts_with('\'').then_some(end + 1)
}

/// The length of a raw string with `prefix` letters before its hashes; `None` for a raw identifier.
fn raw(rest: &str, prefix: usize) -> Option<usize> {
    let hashes = rest[prefix..].bytes().take_while(|b| *b == b'#').count();
    let open = prefix + hashes;
    let end = format!("\"{}", "#".repeat(hashes));
    rest[open..].starts_with('"').then(|| rest[open + 1..].find(&end).map_or(rest.len(), |n| open + 1 + n + end.len()))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        blank(text, spans(text).into_iter().map(|(range, _)| range))
    }

    #[test]
    fn comments_and_literals_are_separated_from_code() {
        let text = "a // b\nc /* d /* e */ f */ g \"h \\\" // i\" 'j' '\\'' br#\"k\"l\"# m";
        assert_eq!(code(text).split_whitespace().collect::<String>(), "acgm");
        assert_eq!(code(text).len(), text.len());
    }

    #[test]
    fn lifetimes_and_raw_identifiers_are_code() {
        let text = "fn r#match<'a>(x: &'a str, s: &'static str) {}";
        assert_eq!(code(text), text);
    }

    #[test]
    fn test_items_are_found_whole() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() { {} } }\n#[cfg(test)]\nmod more;\nfn c() {}\n";
        assert_eq!(blank(text, test_items(text)).split_whitespace().collect::<String>(), "fna(){}fnc(){}");
    }

    #[test]
    fn functions_with_bodies_have_names_and_lengths() {
        let text =
            "trait T { fn declared(&self); }\nfn long(\n  a: [u8; 4],\n) {\n  let f: fn(u8) = g;\n}\nfn short() {}\n";
        let found: Vec<_> = functions(text).into_iter().map(|f| (f.name, f.lines)).collect();
        assert_eq!(found, [("long", 5), ("short", 1)]);
    }
}

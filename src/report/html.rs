//! The page: one self-contained HTML file with its styles and figures inside.
//!
//! Invariant: the page refers only to its own folder and to the folders of the runs; every text is escaped.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};

use super::figures::{STYLE, StyleSheet, svg};
use super::model::{Finding, Report};

/// Tables with more rows are collapsed at first.
const FOLD: usize = 40;
/// Topics with more sentences are collapsed at first.
const MANY: usize = 4;
/// Tables with more columns have a smaller font, and lines may break before parentheses and intervals.
const WIDE: usize = 9;

/// The page of `report`. `links` has each run's folder, relative to the page, and `history` is the page of the history.
///
/// # Errors
/// When the built-in template does not fit the report.
pub(super) fn page(
    report: &Report,
    links: &BTreeMap<String, String>,
    history: Option<&str>,
) -> Result<String, minijinja::Error> {
    let svgs: BTreeMap<&str, String> = report.figures().map(|f| (f.id.as_str(), svg(f, StyleSheet::Page))).collect();
    let mut templates = Environment::new();
    templates.add_template("page.html", include_str!("templates/page.html"))?;
    let page = templates.get_template("page.html")?.render(context! {
        report => Value::from(Serde(report)),
        svgs => Value::from(Serde(&svgs)),
        links => Value::from(Serde(links)),
        history,
        heading => heading(report),
        topics => Value::from(Serde(&topics(&report.findings))),
        fold => FOLD,
        many => MANY,
        wide => WIDE,
        css => include_str!("templates/page.css"),
        figure_css => STYLE,
        version => env!("CARGO_PKG_VERSION"),
    })?;
    // No line break between a number and its sign.
    Ok(page.replace(" %", "\u{a0}%").replace(" ×", "\u{a0}×"))
}

/// The sentences about one topic.
#[derive(Debug, serde::Serialize)]
struct Topic<'a> {
    name: &'a str,
    findings: &'a [Finding],
}

fn topics(findings: &[Finding]) -> Vec<Topic<'_>> {
    let same_topic = |a: &Finding, b: &Finding| (&a.section, &a.topic) == (&b.section, &b.topic);
    findings.chunk_by(same_topic).map(|findings| Topic { name: &findings[0].topic, findings }).collect()
}

fn heading(report: &Report) -> String {
    let mut platforms: Vec<&str> = report.runs.iter().flat_map(|r| &r.platforms).map(|p| p.0.as_str()).collect();
    platforms.sort_unstable();
    platforms.dedup();
    let names: Vec<String> = platforms.into_iter().map(str::to_owned).collect();
    match names.as_slice() {
        [] => "Benchmark report".into(),
        names => format!("How light, scalable and isolated: {}", super::model::text::list(names)),
    }
}

/// The relative URL from the folder `from` to `to`; `None` unless both paths are absolute.
pub(super) fn relative(from: &Path, to: &Path) -> Option<String> {
    if !from.is_absolute() || !to.is_absolute() {
        return None;
    }
    let common = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(common).map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(to.components().skip(common)).collect();
    Some(encode(way.to_str()?))
}

/// Percent-encodes characters that would end a path in a link (RFC 3986, 2.1).
fn encode(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    path.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_from_the_page_to_a_run() {
        let way = |from: &str, to: &str| relative(Path::new(from), Path::new(to));
        assert_eq!(way("/t/fw/report", "/t/fw/runs/2026").as_deref(), Some("../runs/2026"));
        assert_eq!(way("/t/r", "/t/a b?#%/x").as_deref(), Some("../a%20b%3F%23%25/x"));
        assert_eq!(way("t", "/t"), None);
    }
}

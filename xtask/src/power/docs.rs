//! The page of tables in the documentation: `docs/regressions-tables.md`.

use featherweight::report::figures::Figure;

use super::table::Table;

/// The start of the page.
const HEAD: &str = "<!-- generated page -->

# Tables of the regression rule

This page has the measured error rates of the regression rule and of other projects' rules.
[When a difference is a regression](regressions.md) explains the rules, the recordings and the results.
One command writes this page and its figures; the same seed gives the same numbers:

```console
cargo xtask power --recordings fixtures/recordings --write docs
```
";

/// The headings of the tables by their names.
const HEADINGS: [(&str, &str); 11] = [
    ("simulated", "Simulated host"),
    ("recordings", "Recordings"),
    ("noise", "Noise of the recordings"),
    ("fitted", "Simulated with the noise of the recordings"),
    ("aa", "False alarms"),
    ("null", "Null control"),
    ("ours", "Detection and cost"),
    ("found", "Detection by every rule"),
    ("injected", "Injected slowdowns"),
    ("roc", "ROC curves"),
    ("coverage", "Coverage of the interval"),
];

/// The page with all tables, and the curves after the table of their areas.
pub(super) fn page(tables: &[Table], figures: &[Figure]) -> String {
    let mut page = HEAD.to_owned();
    for table in tables {
        page += &format!("\n## {}\n\n{}", heading(table.name), table.markdown());
        // Which curves there are depends on the recordings.
        for curve in figures.iter().filter(|figure| table.name == "roc" && figure.id.starts_with("roc")) {
            page += &format!("\n![{}](regressions/{}.svg)\n", curve.title, curve.id);
        }
    }
    page
}

fn heading(name: &str) -> &str {
    HEADINGS.iter().find(|(table, _)| *table == name).map_or(name, |(_, heading)| heading)
}

#[cfg(test)]
mod tests {
    use featherweight::model::units::Unit;
    use featherweight::report::figures::{Axis, AxisScale, LineChart, Plot, Start};

    use super::*;

    fn curve(id: &str) -> Figure {
        let axis = Axis { label: String::new(), unit: Unit::Count, scale: AxisScale::Linear, start: Start::Zero };
        let plot = Plot::Lines(LineChart { x: axis.clone(), y: axis, series: Vec::new(), references: Vec::new() });
        Figure { id: id.into(), title: "T".into(), caption: String::new(), alternative: String::new(), plot }
    }

    #[test]
    fn every_table_has_its_heading_and_curves_follow_their_areas() {
        let tables = ["aa", "roc"].map(|name| Table::new(name, "Title.", &["rule", "x"]));
        let page = page(&tables, &[curve("roc-injected"), curve("power")]);
        assert!(page.starts_with("<!-- generated page -->\n"), "{page}");
        let table = "Title.\n\n| rule | x |\n| --- | ---: |\n";
        let tables = format!(
            "```\n\n## False alarms\n\n{table}\n## ROC curves\n\n{table}\n![T](regressions/roc-injected.svg)\n"
        );
        assert!(page.ends_with(&tables), "{page}");
    }

    #[test]
    fn the_stored_page_has_this_form() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/regressions-tables.md");
        let page = std::fs::read_to_string(path).unwrap();
        assert!(page.starts_with(HEAD), "run `cargo xtask power --recordings fixtures/recordings --write docs`");
        let headings: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, HEADINGS.map(|(_, heading)| heading));
    }
}

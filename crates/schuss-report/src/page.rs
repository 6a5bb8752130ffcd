//! The report as one file of HTML.

use crate::schema::Report;

/// The page with its script and styles, made from `web/`.
const PAGE: &str = include_str!("../web/dist/report.html");
/// Where its data go.
const MARKER: &str = r#"<script type="application/json" id="report">null</script>"#;

/// One self-contained file, which asks nothing of any other.
///
/// # Panics
/// The page that was built has no place for data: it was not built from `web/`.
pub fn html(report: &Report) -> String {
    let (before, after) = PAGE.split_once(MARKER).expect("the page has a place for its data");
    // No text in the data can end the element that they are in.
    let data = serde_json::to_string(report).expect("plain data").replace('<', "\\u003c");
    let [begin, end] = MARKER.split("null").collect::<Vec<_>>()[..] else { unreachable!("the marker holds one null") };
    [before, begin, &data, end, after].concat()
}

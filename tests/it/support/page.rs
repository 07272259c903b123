//! What is wrong with a report's page.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::browser;

const WIDTHS: [u32; 2] = [1280, 640];

/// Notes of each plot how large it is, and of the page whether it is wider than the window.
const MEASURE: &str = "<script>
for (const svg of document.querySelectorAll('figure svg')) {
    const { width, height } = svg.getBoundingClientRect();
    svg.setAttribute('data-drawn', width > 200 && height > 100);
}
const { scrollWidth, clientWidth } = document.documentElement;
document.body.setAttribute('data-fits', scrollWidth <= clientWidth);
</script>";

/// What a page must have.
pub(crate) struct Parts {
    /// The plots, each with how many marks it has at least: curves, bars, cells, spans.
    pub(crate) plots: &'static [(&'static str, usize)],
    pub(crate) tables: &'static [&'static str],
}

/// The part of the document from the element with this identity to its end.
fn element<'a>(dom: &'a str, name: &str, id: &str) -> Option<&'a str> {
    let (_, rest) = dom.split_once(&format!("<{name} id=\"{id}\""))?;
    rest.split(&format!("</{name}>")).next()
}

/// What is wrong with a page.
pub(crate) fn faults(page: &str, parts: &Parts, folder: &Path) -> Vec<String> {
    let opened = browser::open(&saved(page, folder), WIDTHS[0]);
    let mut faults = opened.console;
    let dom = &opened.dom;
    for (id, marks_min) in parts.plots {
        let plot = element(dom, "figure", id).unwrap_or_default();
        let marks = plot.matches("class=\"mark").count();
        if marks < *marks_min || plot.contains("NaN") || !plot.contains("<title>") {
            faults.push(format!("{id} has {marks} marks, or holds what is no number, or says nothing"));
        }
    }
    for id in parts.tables {
        let rows = element(dom, "section", id).unwrap_or_default().matches("<tr>").count();
        if rows < 3 {
            faults.push(format!("{id} has {rows} rows"));
        }
    }
    let loading = ["src=", "href=", "url(", "@import", "<script", "<link", "<iframe"];
    faults.extend(loading.iter().filter(|what| dom.contains(**what)).map(|what| format!("it has {what}")));
    if !dom.contains("content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\"") {
        faults.push("it does not forbid the browser to load anything".to_owned());
    }
    faults
}

/// What does not come out right in windows of several widths. The page's own policy forbids the script that looks.
pub(crate) fn misdrawn(page: &str, parts: &Parts, folder: &Path) -> Vec<String> {
    let page = page.replace("default-src 'none'", "script-src 'unsafe-inline'").replace("</body>", MEASURE);
    let page = saved(&page, folder);
    let mut misdrawn = Vec::new();
    for width in WIDTHS {
        let dom = browser::open(&page, width).dom;
        let drawn = dom.matches("data-drawn=\"true\"").count();
        if drawn != parts.plots.len() || !dom.contains("data-fits=\"true\"") {
            misdrawn.push(format!("in {width} pixels {drawn} plots are drawn, or the page is too wide"));
        }
    }
    misdrawn
}

fn saved(page: &str, folder: &Path) -> PathBuf {
    let path = folder.join("opened.html");
    fs::write(&path, page).unwrap();
    path
}

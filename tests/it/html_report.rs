//! The report as a page, in a real browser: it asks for nothing, nothing is wrong with it, and everything is drawn.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Parser;
use hopline_loadtest::{cli::Cli, commands};
use tempfile::TempDir;

use crate::support::browser;

/// The plots, each with how many marks it has at least: curves, bars, cells, spans.
const PLOTS: &[(&str, usize)] = &[
    ("percentiles", 6),
    ("shares", 12),
    ("total-over-time", 2),
    ("heat-map", 10),
    ("accept-over-time", 2),
    ("persist-over-time", 2),
    ("broadcast-over-time", 2),
    ("receive-over-time", 2),
    ("trace-1", 12),
    ("trace-2", 12),
    ("trace-3", 12),
];
const TABLES: &[&str] = &["verdicts", "latencies", "audit", "cpu", "setup"];
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

/// The page of a short run of `adr`.
async fn page(folder: &TempDir) -> String {
    let file = |name: &str| folder.path().join(name).display().to_string();
    let [html, json, traces] = ["report.html", "report.json", "traces.json"].map(file);
    let server = env!("CARGO_BIN_EXE_hopline");
    let workload = "--rate 100 --duration 4 --warm-up 1 --channels 4 --publishers 3 --subscribers 12";
    let args = ["hopline-loadtest", "adr", "--trace-sample", "1", "--server-binary", server];
    let files = ["--html", &html, "--json", &json, "--traces", &traces];
    let cli = Cli::try_parse_from(args.into_iter().chain(workload.split(' ')).chain(files)).unwrap();
    commands::execute(cli.command).await.unwrap();
    fs::read_to_string(html).unwrap()
}

/// The part of the document from the element with this identity to its end.
fn element<'a>(dom: &'a str, name: &str, id: &str) -> Option<&'a str> {
    let (_, rest) = dom.split_once(&format!("<{name} id=\"{id}\""))?;
    rest.split(&format!("</{name}>")).next()
}

/// What is wrong with a page.
fn faults(page: &str, folder: &Path) -> Vec<String> {
    let opened = browser::open(&saved(page, folder), WIDTHS[0]);
    let mut faults = opened.console;
    let dom = &opened.dom;
    for (id, marks_min) in PLOTS {
        let plot = element(dom, "figure", id).unwrap_or_default();
        let marks = plot.matches("class=\"mark").count();
        if marks < *marks_min || plot.contains("NaN") || !plot.contains("<title>") {
            faults.push(format!("{id} has {marks} marks, or holds what is no number, or says nothing"));
        }
    }
    for id in TABLES {
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
fn misdrawn(page: &str, folder: &Path) -> Vec<String> {
    let page = page.replace("default-src 'none'", "script-src 'unsafe-inline'").replace("</body>", MEASURE);
    let page = saved(&page, folder);
    let mut misdrawn = Vec::new();
    for width in WIDTHS {
        let dom = browser::open(&page, width).dom;
        let drawn = dom.matches("data-drawn=\"true\"").count();
        if drawn != PLOTS.len() || !dom.contains("data-fits=\"true\"") {
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

#[tokio::test]
async fn the_page_of_a_run_is_whole_and_asks_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let page = page(&folder).await;
    let none = [""; 0];
    assert_eq!(faults(&page, folder.path()), none);
    assert_eq!(misdrawn(&page, folder.path()), none);

    // The same page with something wrong.
    let wrong = |from: &str, to: &str| {
        assert!(page.contains(from), "{from}");
        faults(&page.replace(from, to), folder.path())
    };
    let image = wrong("</main>", "<img src=\"http://example.org/pixel.png\"></main>");
    assert!(image.iter().any(|fault| fault.contains("example.org/pixel.png")), "{image:?}");
    let script = wrong("</main>", "<script>1</script></main>");
    assert!(script.iter().any(|fault| fault.contains("inline script")), "{script:?}");
    let lost = wrong("<figure id=\"heat-map\">", "<figure>");
    assert!(lost[0].starts_with("heat-map has 0 marks"), "{lost:?}");
    let unruled = wrong("default-src 'none'", "default-src *");
    assert!(unruled[0].starts_with("it does not forbid"), "{unruled:?}");
    let hidden = page.replace("<figure id=\"heat-map\">", "<figure hidden>");
    assert!(!misdrawn(&hidden, folder.path()).is_empty());
    let wide = page.replace("</main>", "<p style=\"width:5000px\">wide</p></main>");
    assert!(!misdrawn(&wide, folder.path()).is_empty());
}

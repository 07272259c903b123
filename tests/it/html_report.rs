//! Reports as pages, in a real browser: they ask for nothing, nothing is wrong with them, and everything is drawn.

use std::fs;

use clap::Parser;
use hopline_loadtest::{cli::Cli, commands};
use tempfile::TempDir;

use crate::support::page::{Parts, faults, misdrawn};

const RUN: Parts = Parts {
    plots: &[
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
    ],
    tables: &["verdicts", "latencies", "audit", "cpu", "setup"],
};
const OPTIONS: Parts =
    Parts { plots: &[("totals", 2), ("broadcasts", 2)], tables: &["comparison", "options", "verdicts"] };
const BANDWIDTH: Parts = Parts { plots: &[("channels", 2), ("partitions", 2)], tables: &["bytes"] };

/// The page that a command writes.
async fn page_of(command: &str, folder: &TempDir) -> String {
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (html, json) = (file("report.html"), file("report.json"));
    let files = ["--html", &html, "--json", &json, "--server-binary", env!("CARGO_BIN_EXE_hopline")];
    let args = ["hopline-loadtest"].into_iter().chain(command.split(' ')).chain(files);
    commands::execute(Cli::try_parse_from(args).unwrap().command).await.unwrap();
    fs::read_to_string(html).unwrap()
}

#[tokio::test]
async fn the_page_of_a_run_is_whole_and_asks_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let traces = folder.path().join("traces.json");
    let load = "--rate 100 --duration 4 --warm-up 1 --channels 4 --publishers 3 --subscribers 12";
    let command = format!("adr --trace-sample 1 --traces {} {load}", traces.display());
    let page = page_of(&command, &folder).await;
    let none = [""; 0];
    assert_eq!(faults(&page, &RUN, folder.path()), none);
    assert_eq!(misdrawn(&page, &RUN, folder.path()), none);

    // The same page with something wrong.
    let wrong = |from: &str, to: &str| {
        assert!(page.contains(from), "{from}");
        faults(&page.replace(from, to), &RUN, folder.path())
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
    assert!(!misdrawn(&hidden, &RUN, folder.path()).is_empty());
    let wide = page.replace("</main>", "<p style=\"width:5000px\">wide</p></main>");
    assert!(!misdrawn(&wide, &RUN, folder.path()).is_empty());
}

#[tokio::test]
async fn the_pages_of_the_options_and_of_their_bandwidth_are_whole_and_ask_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // There is no such database: each option has its own, whatever the environment names.
    let options = "adr --all --options local,redis --rounds 1 --seconds 2 --rate 100 --database-url postgres://127.0.0.1:1/";
    for (command, parts) in
        [(options, &OPTIONS), ("bandwidth --servers 2 --subscribers 1,2 --duration 2", &BANDWIDTH)]
    {
        let page = page_of(command, &folder).await;
        let none = [""; 0];
        assert_eq!(faults(&page, parts, folder.path()), none, "{command}");
        assert_eq!(misdrawn(&page, parts, folder.path()), none, "{command}");
    }
}

//! Servers whose clocks disagree: what one clock measured stands, and what two measured is said to be worth nothing.

use hopline_loadtest::exit::Exit;
use serde_json::{Value, json};

use crate::support::{
    lab_with,
    load::{load, row},
};

const SHIFT_MS: f64 = 50.0;
/// Far above a broadcast on this machine, far below the shift.
const SELF: &str = "broadcast.self.p50 < 25ms";
const PEER: &str = "broadcast.peer.p50 < 25ms";

/// A load over two servers; the second one's clock is ahead by so much. Returns the report.
async fn report(ahead_ms: &str) -> (Exit, Value) {
    let lab = lab_with(1, &["--fault-switches"]).await;
    lab.start_server("b", &[&format!("--clock-shift-ms={ahead_ms}")]).await.unwrap();
    let require = [format!("--require={SELF}"), format!("--require={PEER}")];
    let flags = ["--warm-up=0", "--duration=5", "--rate=50", "--channels=5", "--subscribers=20"];
    let flags: Vec<&str> = flags.into_iter().chain(require.iter().map(String::as_str)).collect();
    load(&lab.addrs(), &flags).await
}

fn verdicts(report: &Value) -> [&Value; 2] {
    [0, 1].map(|number| &report["requirements"][number]["verdict"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_shifted_leaves_the_verdict_on_broadcast_and_takes_that_on_other_servers_figures() {
    for shift in ["50", "-50"] {
        let (exit, report) = report(shift).await;
        assert_eq!(exit, Exit::Invalid, "no verdict on what was required of two clocks");
        assert_eq!(
            verdicts(&report),
            [&json!("holds"), &json!("not_measured")],
            "{}",
            report["requirements"]
        );
        let clocks = report["clocks"].as_array().unwrap();
        let ahead = |number: usize| clocks[number]["ahead_ms"].as_f64().unwrap();
        let uncertainty = clocks[1]["uncertainty_ms"].as_f64().unwrap();
        assert!(ahead(0).abs() < SHIFT_MS / 2.0, "{clocks:?}");
        assert!((ahead(1) - shift.parse::<f64>().unwrap()).abs() <= uncertainty + 1.0, "{clocks:?}");
        let notes = report["notes"].to_string();
        assert!(notes.contains("can't be trusted"), "{notes}");
        assert!(row(&report, "total")["p50_ms"].as_f64().unwrap() < SHIFT_MS / 2.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_agree_are_trusted() {
    let (_, report) = report("0").await;
    assert_eq!(verdicts(&report), [&json!("holds"), &json!("holds")], "{}", report["requirements"]);
    assert!(!report["notes"].to_string().contains("clock"), "{}", report["notes"]);
}

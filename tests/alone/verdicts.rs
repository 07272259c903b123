//! A run on a machine that can do it passes, and its hops add up.

use hopline_loadtest::exit::Exit;
use serde_json::json;

use crate::{lab, load::load};

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_keeps_what_is_required_passes() {
    let (_alone, lab) = lab(2, &[]).await;
    let flags = [
        "--rate=100",
        "--duration=11",
        "--warm-up=1",
        "--channels=10",
        "--subscribers=40",
        "--require=total.p99 < 1s",
        "--require=total.last.p90 <= 1s",
        "--require=broadcast.self.p50 < 100ms",
        "--require=ack.mean < 1s",
        "--require=send_lag.max < 1s",
        "--require=audit.findings = 0",
        "--require=acknowledged.rate > 90/s",
        "--require=acknowledged.share >= 100%",
        "--require=delivered.share >= 100%",
        "--require=reconciliation.p50 <= 5%",
    ];
    let (exit, report) = load(&lab.addrs(), &flags).await;
    let required = report["requirements"].as_array().unwrap();
    assert!(required.iter().all(|it| it["verdict"] == "holds"), "{required:#?}\n{}", report["invalid"]);
    assert_eq!((exit, required.len()), (Exit::Pass, 10));
    assert_eq!(report["result"], json!("pass"));
}

//! A run on a machine that can do it passes, and its hops add up.

use clap::Parser;
use hopline_loadtest::{cli::Cli, commands, exit::Exit, lab::LabOptions};
use serde_json::json;

use crate::{lab, load::load, options, start};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_run_brings_tokens_to_servers_that_want_them_its_own_or_one_that_it_is_given() {
    let (_alone, lab) = start(LabOptions { auth: true, ..options(2, &[]) }).await;
    let fixed = ["--warm-up=0", "--duration=2", "--rate=50", "--subscribers=20", "--reconnect=0.5:1"];
    let address = lab.addrs()[0].to_string();
    let without = ["hopline-loadtest", "run", "--trace-sample=0", "--target", &address];
    let refused = commands::execute(Cli::parse_from(without).command).await.unwrap_err();
    assert!(format!("{refused:#}").contains("from a token"), "{refused:#}");
    let secret = lab.folder().join("jwt-secret");
    let secret = secret.to_str().unwrap();
    let mint = ["--jwt-secret-file", secret, "--jwt-issuer=hopline-lab", "--jwt-audience=hopline"];
    let (exit, report) = load(&lab.addrs(), &[&fixed[..], &mint].concat()).await;
    assert_eq!(
        (exit, &report["clients"]["subscribers"]),
        (Exit::Pass, &json!(20)),
        "{:?}",
        report["invalid"]
    );
    let token = std::process::Command::new(env!("CARGO_BIN_EXE_hopline"))
        .args(["token", "--secret-file", secret, "--issuer=hopline-lab", "--audience=hopline"])
        .args(["--sub=one-for-all", "--read=load-*", "--write=load-*", "--expires-in=10m"])
        .output()
        .unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, token.stdout).unwrap();
    let given = ["--token-file", file.path().to_str().unwrap()];
    let (exit, report) = load(&lab.addrs(), &[&fixed[..], &given].concat()).await;
    assert_eq!(exit, Exit::Pass, "{:?}", report["invalid"]);
}

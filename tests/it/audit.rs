//! The load generator's audit finds what a server must never do, and names the message.

use hopline_loadtest::exit::Exit;
use serde_json::{Value, json};

use crate::support::{Tampering, Wire, lab_with, load::load};

/// Runs a load over a wire that tampers with one message; returns what was found, kind by kind, the example of this
/// kind, and the message.
async fn found(tampering: Tampering, kind: &str) -> (Value, Value, (String, u64)) {
    let lab = lab_with(1, &[]).await;
    let wire = Wire::to(lab.addrs()[0], tampering).await;
    let flags = ["--warm-up=0", "--duration=3", "--rate=50", "--channels=3", "--subscribers=6"];
    let (exit, report) = load(&[wire.addr()], &flags).await;
    assert_eq!(exit, Exit::Fail);
    let audit = &report["audit"];
    let examples = audit["examples"].as_array().unwrap();
    let example =
        examples.iter().find(|example| example["kind"] == kind).unwrap_or_else(|| panic!("{audit}"));
    (audit["findings"].clone(), example.clone(), wire.victim())
}

/// Exactly one finding of this kind, at a subscriber.
async fn is_the_only_finding(tampering: Tampering, kind: &str) {
    let (findings, example, (channel, seq)) = found(tampering, kind).await;
    let counts = findings.as_object().unwrap();
    assert!(counts.iter().all(|(name, count)| *count == u64::from(name == kind)), "{findings}");
    assert_eq!((&example["channel"], &example["seq"]), (&json!(channel), &json!(seq)));
    assert!(example["place"]["subscriber"].is_u64(), "{example}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_twice_is_found() {
    is_the_only_finding(Tampering::Repeat, "duplicated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_after_its_successor_is_found() {
    is_the_only_finding(Tampering::Swap, "reordered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_does_not_come_is_found() {
    is_the_only_finding(Tampering::Drop, "lost").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_with_another_text_is_found() {
    is_the_only_finding(Tampering::Change, "corrupted").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_message_that_is_not_stored_is_found() {
    let (findings, example, (channel, seq)) = found(Tampering::Forge, "unstored").await;
    assert_eq!(findings["unstored"], 1);
    assert_eq!((&example["channel"], &example["seq"]), (&json!(channel), &json!(seq)));
    assert!(example["place"]["publisher"].is_u64(), "{example}");
}

//! Who is not let in, and what those who are may not do. Every bad attempt is refused and counted, is told nothing
//! beyond a code, and leaves neither its token nor its body in the log.

mod channels;
mod forge;
mod house;
mod operators;
mod requests;
mod sockets;
mod tokens;

use std::process::Command;

use hopline::token::{Issuer, Secret};
use serde_json::json;

use crate::support::options;
use forge::{Pair, claims, hs256};
use house::House;

/// Kinds of bad attempts that there have to be at least.
const KINDS_MIN: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_do_not_hold_open_no_door_and_no_one_learns_why() {
    let mut house = House::start(&[]).await;
    let issuer = house.issuer().clone();
    let bad = [tokens::forms(&issuer), tokens::signatures(&issuer), tokens::claims_of(&issuer)].concat();
    assert!(bad.len() >= KINDS_MIN, "only {} kinds", bad.len());
    for (what, token, reason) in &bad {
        house.token_is_refused(what, token, reason).await;
    }
    assert_eq!(house.attempts, bad.len() * house::Door::ALL.len());
    let good = house.good_token();
    house.serves(&good).await;
    let tokens = bad.iter().map(|(_, token, _)| token.as_str());
    house.logs_none_of(tokens.chain([good.as_str(), "body-of-a-bad-attempt", "a-good-body"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_key_is_no_secret_of_tokens() {
    let (pair, folder) = (Pair::of(42), tempfile::tempdir().unwrap());
    let (pem, der) = pair.pem();
    let file = folder.path().join("key.pem");
    std::fs::write(&file, &pem).unwrap();
    let key = format!("--jwt-public-key-file={}", file.display());
    let args = ["--auth=jwt", &key, "--jwt-issuer=hopline-lab", "--jwt-audience=hopline"];
    let mut house = House::start_as(options(1, &args)).await;
    let issuer = Issuer {
        secret: Secret::new(&[1; 32]).unwrap(),
        name: "hopline-lab".into(),
        audience: "hopline".into(),
    };
    let good = claims(&issuer);
    for (what, secret) in [
        ("PEM", pem.as_bytes()),
        ("PEM, trimmed", pem.trim().as_bytes()),
        ("DER", &der),
        ("raw", &pair.public()),
    ] {
        let token = hs256(&json!({ "alg": "HS256" }), &good, secret);
        house.token_is_refused(&format!("HS256 with the public key as {what}"), &token, "algorithm").await;
        let token = hs256(&json!({ "alg": "EdDSA" }), &good, secret);
        house.token_is_refused(&format!("the same, called EdDSA, as {what}"), &token, "signature").await;
    }
    let other = Pair::of(43).sign(&json!({ "alg": "EdDSA" }), &good);
    house.token_is_refused("another key", &other, "signature").await;
    let expired =
        pair.sign(&json!({ "alg": "EdDSA" }), &forge::changed(&issuer, json!({ "exp": forge::in_s(-60) })));
    house.token_is_refused("an expired one", &expired, "expired").await;
    house.serves(&pair.sign(&json!({ "alg": "EdDSA" }), &good)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_of_requests_that_no_one_should_send_are_refused() {
    let origins = ["--allow-origin=https://chat.example,http://127.0.0.1:3000", "--request-timeout-ms=500"];
    let mut house = House::start(&origins).await;
    let good = house.good_token();
    requests::tokens_in_the_wrong_place(&mut house, &good).await;
    requests::names_and_tokens_in_urls(&mut house, &good).await;
    requests::other_origins(&mut house, &good).await;
    requests::broken_heads(&mut house).await;
    house.serves(&good).await;
    house.logs_none_of([good.as_str(), "body-of-a-bad-attempt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_that_a_token_does_not_name_are_closed_to_it() {
    let mut house = House::start(&[]).await;
    let good = house.good_token();
    channels::others(&mut house, &good).await;
    channels::names_that_are_patterns(&mut house, &good).await;
    channels::one_way_only(&mut house).await;
    house.serves(&good).await;
    house.logs_none_of([good.as_str(), "body-of-a-bad-attempt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_say_who_it_is_hears_nothing_and_does_nothing() {
    let mut house = House::start(&["--auth-timeout-ms=400"]).await;
    let good = house.good_token();
    sockets::other_first_frames(&mut house).await;
    sockets::no_first_frame(&mut house).await;
    sockets::renewals_that_do_not_hold(&mut house, &good).await;
    house.serves(&good).await;
    house.logs_none_of([good.as_str(), "body-of-a-bad-attempt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_with_its_token_and_a_renewed_one_goes_on() {
    let mut house = House::start(&[]).await;
    sockets::the_end_of_a_token(&mut house).await;
    sockets::a_renewed_token(&mut house).await;
    sockets::a_renewal_that_allows_less(&mut house).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_switched_from_here_or_with_the_token_of_operators() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("admin-token");
    std::fs::write(&file, format!("{}\n", operators::TOKEN)).unwrap();
    let flag = format!("--admin-token-file={}", file.display());
    let mut house = House::start(&["--fault-switches", &flag]).await;
    operators::others(&mut house).await;
    operators::the_command(&house, &file);
    house.logs_none_of([operators::TOKEN]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_a_token_that_a_server_takes_and_nothing_else() {
    let house = House::start(&[]).await;
    let secret = house.lab.folder().join("jwt-secret");
    let token = |flags: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hopline"));
        command.args(["token", "--issuer=hopline-lab", "--audience=hopline", "--secret-file"]).arg(&secret);
        command.args(flags).output().unwrap()
    };
    let alice = token(&["--sub=alice", "--read=general,team-*", "--write=team-*", "--expires-in=90s"]);
    assert!(alice.status.success() && alice.stderr.is_empty(), "{alice:?}");
    let printed = String::from_utf8(alice.stdout).unwrap();
    let alice = printed.strip_suffix('\n').unwrap();
    house.serves(alice).await;
    assert_eq!(house.post("general").bearer_auth(alice).send().await.unwrap().status(), 403);
    let many = vec!["x"; 101].join(",");
    for wrong in [
        &["--sub=al ice"][..],
        &["--sub=alice", "--read=a*b"],
        &["--sub=alice", "--read", &many],
        &["--sub=alice", "--expires-in=1"],
        &["--sub=alice", "--expires-in=721h"],
        &["--sub=alice", "--secret-file=/nowhere"],
    ] {
        let refused = token(wrong);
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_are_no_tokens_anyone_comes_in_and_pages_still_do_not() {
    let mut house = House::start_as(options(1, &[])).await;
    requests::pages_of_any_origin(&mut house).await;
    sockets::a_token_that_no_one_asked_for(&house).await;
}

//! Who may switch faults.

use std::{path::Path, process::Command};

use serde_json::json;

use super::house::{Counted, House};

pub(super) const TOKEN: &str = "0123456789abcdef0123456789abcdef-operators";

pub(super) async fn others(house: &mut House) {
    let admin = house.server().admin_addr();
    let url = format!("http://{admin}/faults");
    let counted = Counted::Reason("admin");
    let get = || reqwest::Client::builder().no_proxy().build().unwrap().get(&url);
    let jwt = house.good_token();
    let rows = [
        ("a forwarded request", get().header("x-forwarded-for", "192.0.2.1")),
        ("the same, by the standard", get().header("forwarded", "for=192.0.2.1")),
        ("another name of this host", get().header("host", "evil.example")),
        ("a wrong token", get().bearer_auth("0123456789abcdef0123456789abcdef-operatorX")),
        ("a part of the token", get().bearer_auth(&TOKEN[..32])),
        ("more than the token", get().bearer_auth(format!("{TOKEN}x"))),
        ("an empty token", get().bearer_auth("")),
        ("a token of clients", get().bearer_auth(jwt)),
        ("Basic", get().basic_auth("admin", Some(TOKEN))),
        ("a forwarded wrong token", get().header("x-forwarded-for", "192.0.2.1").bearer_auth("wrong")),
    ];
    for (what, request) in rows {
        house.refused(what, request, 404, counted).await;
    }
    let switch =
        house.http.put(&url).json(&json!({ "lost_share": 1.0 })).header("forwarded", "for=192.0.2.1");
    house.refused("switching from elsewhere", switch, 404, counted).await;
    let from_elsewhere =
        get().header("x-forwarded-for", "192.0.2.1").bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(from_elsewhere.status(), 200);
    assert_eq!(from_elsewhere.json::<serde_json::Value>().await.unwrap()["lost_share"], 0.0);
    assert_eq!(get().send().await.unwrap().status(), 200, "from this machine no token is needed");
}

pub(super) fn the_command(house: &House, file: &Path) {
    let admin = house.server().admin_addr().to_string();
    let fault = |file: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hopline"));
        command
            .args(["fault", "--admin", &admin, "--admin-token-file"])
            .arg(file)
            .arg("show")
            .output()
            .unwrap()
    };
    assert!(fault(file).status.success());
    let other = file.with_file_name("other");
    std::fs::write(&other, TOKEN.replace('0', "1")).unwrap();
    assert_eq!(fault(&other).status.code(), Some(1));
    std::fs::write(&other, "short").unwrap();
    let refused = fault(&other);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("at least 32"), "{refused:?}");
}

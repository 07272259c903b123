//! Start-up says everything that is wrong at once, and keeps secrets.

use std::process::{Command, Output};

fn hopline(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hopline"));
    command.args(args).env_remove("DATABASE_URL").env_remove("REDIS_URL");
    command.output().expect("the server's binary runs")
}

#[test]
fn all_configuration_errors_are_reported_at_once_with_exit_code_64() {
    let output = hopline(&[
        "serve",
        "--node=not a name",
        "--persist-writers=0",
        "--redis-url=ftp://:secret@somewhere/",
        "--idle-timeout-ms=soon",
    ]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{stderr}");
    for flag in ["--node", "--database-url", "--persist-writers", "--redis-url", "--idle-timeout-ms"] {
        assert!(stderr.contains(flag), "{flag} is missing from: {stderr}");
    }
    assert!(!stderr.contains("secret"), "{stderr}");
}

#[test]
fn an_unknown_flag_is_a_usage_error() {
    assert_eq!(hopline(&["serve", "--no-such-flag"]).status.code(), Some(2));
}

#[test]
fn too_few_open_files_for_all_clients_are_told_and_a_soft_limit_is_raised() {
    // A server that can't listen ends by itself.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let told = |limit: &str| {
        let program = env!("CARGO_BIN_EXE_hopline");
        let address = taken.local_addr().unwrap();
        let services = "--database-url=postgres://127.0.0.1:1/d --redis-url=redis://127.0.0.1:1/";
        let limits = "--connections-max=300 --http-connections-max=100";
        let limited =
            format!("ulimit {limit} && exec {program} serve --listen={address} {services} {limits}");
        let output = Command::new("sh").args(["-c", &limited]).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let too_few = told("-n 627");
    assert!(too_few.contains("limit=627 needed=628"), "{too_few}");
    for enough in ["-n 628", "-Sn 100"] {
        assert!(!told(enough).contains("needed="), "{}", told(enough));
    }
}

#[test]
fn a_taken_address_is_an_error_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = hopline(&[
        "serve",
        "--listen",
        &address,
        "--database-url=postgres://u:secret@127.0.0.1:1/d",
        "--redis-url=redis://127.0.0.1:1/",
    ]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(&address) && !stderr.contains("secret"), "{stderr}");
}

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
};

use super::*;
use crate::procfs;

async fn services_only() -> Lab {
    Lab::start(LabOptions { servers: 0, ..LabOptions::default() }).await.unwrap()
}

#[tokio::test]
async fn the_lab_leaves_neither_processes_nor_its_folder() {
    let lab = services_only().await;
    let folder = lab.folder().to_owned();
    let pids = [lab.postgres().pid().unwrap(), lab.redis().pid().unwrap()];
    let children = procfs::children(pids[0]);
    assert!(!children.is_empty());
    drop(lab);
    assert!(!folder.exists());
    assert!(pids.iter().chain(&children).all(|pid| !procfs::exists(*pid)));
}

#[tokio::test]
async fn killed_services_come_back_on_the_same_port() {
    let lab = services_only().await;
    lab.postgres().kill().await;
    assert_eq!(lab.postgres().pid(), None);
    lab.postgres().start().await.unwrap();
    lab.redis().kill();
    lab.redis().start().await.unwrap();
    assert!(lab.redis().pid().is_some());
}

#[tokio::test]
async fn a_killed_kafka_comes_back_on_the_same_port() {
    let options = LabOptions { servers: 0, broker: Broker::Kafka, ..LabOptions::default() };
    let lab = Lab::start(options).await.unwrap();
    let address = lab.broker_env().next().unwrap();
    let old = lab.backend().pids();
    lab.backend().kill();
    assert!(lab.backend().pids().is_empty());
    lab.backend().start().await.unwrap();
    assert_ne!(lab.backend().pids(), old);
    assert_eq!(lab.broker_env().next().unwrap(), address);
}

#[tokio::test]
async fn a_frozen_lab_can_be_taken_down() {
    let lab = services_only().await;
    let pids = [lab.postgres().pid().unwrap(), lab.redis().pid().unwrap()];
    lab.postgres().freeze();
    lab.redis().freeze();
    drop(lab);
    assert!(pids.iter().all(|pid| !procfs::exists(*pid)));
}

#[tokio::test]
async fn a_server_that_fails_to_start_is_reported_with_its_log() {
    let options =
        LabOptions { servers: 1, server_binary: Some("/bin/false".into()), ..LabOptions::default() };
    let error = Lab::start(options).await.unwrap_err().to_string();
    assert!(error.contains("server a ended with exit status: 1"), "{error}");
}

/// The `OTEL_` variables that a server of the lab gets.
async fn tracing_variables_of_a_server(otlp_endpoint: Option<String>) -> String {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("server");
    fs::write(&binary, "#!/bin/sh\nenv | grep '^OTEL_' | sort >&2\nexit 1\n").unwrap();
    fs::set_permissions(&binary, Permissions::from_mode(0o755)).unwrap();
    let options =
        LabOptions { servers: 1, server_binary: Some(binary), otlp_endpoint, ..LabOptions::default() };
    Lab::start(options).await.unwrap_err().to_string()
}

#[tokio::test]
async fn servers_are_traced_only_if_the_lab_says_so() {
    let on = tracing_variables_of_a_server(Some("http://127.0.0.1:4317".to_owned())).await;
    assert!(on.contains("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317"), "{on}");
    let off = tracing_variables_of_a_server(None).await;
    assert!(!off.contains("OTEL_"), "{off}");
}

#[test]
fn nodes_have_distinct_names_however_many_there_are() {
    assert_eq!(node_names(3), ["a", "b", "c"]);
    assert_eq!(node_names(28)[25..], ["z", "a1", "b1"]);
}

#[tokio::test]
async fn a_cluster_fails_over_to_a_replica_and_comes_back_whole() {
    let options = LabOptions { servers: 0, broker: Broker::RedisSharded, ..LabOptions::default() };
    let lab = Lab::start(options).await.unwrap();
    let cluster = lab.cluster();
    let first = cluster.master_of("{topic}").await.unwrap();
    first.kill();
    let limit = Duration::from_secs(30);
    let replaced = async { while std::ptr::eq(cluster.master_of("{topic}").await.unwrap(), first) {} };
    tokio::time::timeout(limit, replaced).await.unwrap();
    cluster.start().await.unwrap();
    assert_eq!(lab.broker_pids().len(), 6);
    let second = cluster.master_of("{topic}").await.unwrap();
    cluster.move_slot_of("{topic}").await.unwrap();
    assert!(!std::ptr::eq(cluster.master_of("{topic}").await.unwrap(), second));
}

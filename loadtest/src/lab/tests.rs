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

#[test]
fn nodes_have_distinct_names_however_many_there_are() {
    assert_eq!(node_names(3), ["a", "b", "c"]);
    assert_eq!(node_names(28)[25..], ["z", "a1", "b1"]);
}

//! Every input in `corpus/`, among them all that ever failed, on every target.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails where it stands")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use hopline_fuzz::TARGETS;

fn corpus() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))
}

#[test]
fn each_input_of_the_corpus_holds() {
    for target in TARGETS {
        let files = fs::read_dir(corpus().join(target.name)).unwrap();
        let files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        assert!(files.len() >= 2, "{} has too small a corpus", target.name);
        for file in files {
            // Shown if it is the one that fails.
            println!("{}", file.display());
            (target.run)(&fs::read(file).unwrap());
        }
    }
}

#[test]
fn each_folder_of_the_corpus_is_a_targets() {
    let folders = fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().file_name());
    let folders: BTreeSet<String> = folders.map(|name| name.into_string().unwrap()).collect();
    assert_eq!(folders, TARGETS.map(|target| target.name.to_owned()).into());
}

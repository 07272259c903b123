//! Every input in `corpus/`, among them all that ever failed, on every target.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails where it stands")]

use std::{collections::BTreeSet, fs, path::Path};

use hopline_fuzz::TARGETS;

fn corpus() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))
}

#[test]
fn each_input_of_the_corpus_holds() {
    for target in TARGETS {
        let files = fs::read_dir(corpus().join(target.name)).unwrap();
        let inputs: Vec<Vec<u8>> = files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
        assert!(inputs.len() >= 2, "{} has too small a corpus", target.name);
        for input in inputs {
            println!("{}: {}", target.name, String::from_utf8_lossy(&input));
            (target.run)(&input);
        }
    }
}

#[test]
fn each_folder_of_the_corpus_is_a_targets() {
    let folders = fs::read_dir(corpus()).unwrap().map(|entry| entry.unwrap().file_name());
    let folders: BTreeSet<String> = folders.map(|name| name.into_string().unwrap()).collect();
    assert_eq!(folders, TARGETS.map(|target| target.name.to_owned()).into());
}

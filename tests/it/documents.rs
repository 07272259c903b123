//! What the documents point to is there: linked pages, named files, named tests.

use std::{fs, path::Path};

/// The documents, by their paths in the repository.
fn documents() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = ["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(str::to_owned).to_vec();
    for folder in ["docs", "docs/adr"] {
        let files = fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
        let files = files.map(|name| format!("{folder}/{}", name.to_str().unwrap()));
        names.extend(
            files.filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "md")),
        );
    }
    names.into_iter().map(|name| (name.clone(), fs::read_to_string(root.join(&name)).unwrap())).collect()
}

/// What a document points to and is not there.
fn dangling(document: &str, text: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join(document).parent().unwrap().to_owned();
    let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let links = links.filter(|link| !link.is_empty() && !link.starts_with("http"));
    let links = links.filter(|link| !folder.join(link).exists()).map(|link| format!("{document}: {link}"));
    let spans = || text.split('`').skip(1).step_by(2);
    let folders = ["src/", "tests/", "migrations/", "loadtest/", "observability/"];
    let paths = spans().filter(|span| folders.iter().any(|folder| span.starts_with(folder)));
    let paths = paths.filter(|path| !root.join(path).exists()).map(|path| format!("{document}: {path}"));
    let tests = spans().filter_map(|span| Some((span, span.split_once("::")?)));
    let tests = tests.filter(|(_, (module, name))| {
        let source = fs::read_to_string(root.join(format!("tests/it/{module}.rs")));
        source.is_ok_and(|source| !source.contains(&format!("fn {name}()")))
    });
    links.chain(paths).chain(tests.map(|(span, _)| format!("{document}: {span}"))).collect()
}

#[test]
fn nothing_that_the_documents_point_to_is_missing() {
    let found = documents().into_iter().flat_map(|(document, text)| dangling(&document, &text));
    assert_eq!(found.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn what_is_missing_is_found() {
    let text = "[a](nowhere.md) [b](adr/README.md#x) [c](#here) `src/nowhere.rs` `src/clock.rs` `persist::nothing` `a::b`";
    let found = ["nowhere.md", "src/nowhere.rs", "persist::nothing"].map(|what| format!("docs/x.md: {what}"));
    assert_eq!(dangling("docs/x.md", text), found);
}

//! What is generated from the budget and committed.

mod dashboards;

/// A generated file.
#[derive(Debug)]
pub(crate) struct File {
    /// Where it belongs, from the root of the repository.
    pub(crate) path: &'static str,
    /// What stands in it.
    pub(crate) text: String,
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::dashboards;
    use crate::budget::Budget;

    #[test]
    fn the_committed_files_are_what_the_budget_gives() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let write = std::env::var_os("HOPLINE_RENDER").is_some();
        for file in dashboards::files(&Budget::load(None).unwrap()) {
            let path = root.join(file.path);
            if write {
                fs::write(&path, &file.text).unwrap();
            }
            assert!(fs::read_to_string(&path).unwrap() == file.text, "{} is stale", file.path);
        }
    }
}

//! Reads the documents in `docs/`, so that tests can compare what they say with the code.

use std::{fs, path::Path};

/// A fenced block.
pub(crate) struct Block {
    /// What stands behind the opening fence.
    pub(crate) mark: String,
    /// What stands between the fences.
    pub(crate) text: String,
}

/// A document of `docs/`.
pub(crate) fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All fenced blocks, in order.
pub(crate) fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if let Some(mark) = line.strip_prefix("```") {
            let text = lines.by_ref().take_while(|line| *line != "```").collect::<Vec<_>>().join("\n");
            blocks.push(Block { mark: mark.into(), text });
        }
    }
    blocks
}

/// The rows of all tables whose first column has this heading, as [`table`] has them.
pub(crate) fn tables(document: &str, first_heading: &str) -> Vec<Vec<String>> {
    let heading = format!("| {first_heading} |");
    let starts = document.match_indices(&heading).map(|(start, _)| start);
    starts.flat_map(|start| table(&document[start..], first_heading)).collect()
}

/// The rows of the first table whose first column has this heading: trimmed cells, without backticks.
pub(crate) fn table(document: &str, first_heading: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| {
        let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
        Some(inner.split(" | ").map(|cell| cell.trim().replace('`', "")).collect::<Vec<_>>())
    };
    let mut rows = document
        .lines()
        .map(cells)
        .skip_while(|row| row.as_ref().is_none_or(|cells| cells[0] != first_heading));
    rows.next();
    // The line between the heading and the body has no spaces in it.
    rows.skip(1).map_while(|row| row).collect()
}

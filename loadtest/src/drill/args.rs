//! The command line of `drill`.

use std::path::PathBuf;

use clap::{Args, builder::PossibleValuesParser};

use super::{DRILLS, Drill};

/// What stands for every drill.
const ALL: &str = "all";

/// `drill`.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[derive(Clone, Debug, Args)]
pub struct DrillArgs {
    /// The drill, or all of them, one after the other.
    #[arg(value_name = "DRILL|all", value_parser = names(), required_unless_present = "list", hide_possible_values = true)]
    name: Option<String>,
    /// Say what each drill breaks, and what must hold.
    #[arg(long)]
    pub list: bool,
    /// Break what the drill checks as well, so that it must fail: it shows that the check can.
    #[arg(long)]
    pub sabotage: bool,
    /// About a quarter of the load, and a tenth of the messages that it takes to be valid.
    #[arg(long)]
    pub quick: bool,
    /// Write the report as JSON, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as a page, too: one file that needs no network.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// The server's binary [default: built by Cargo if this runs under it, else the one beside this program].
    #[arg(long, env = "HOPLINE_BIN", value_name = "FILE", help_heading = "Lab")]
    pub server_binary: Option<PathBuf>,
    /// Leave each lab's folder with its logs, until the next lab starts.
    #[arg(long, help_heading = "Lab")]
    pub keep: bool,
}

impl DrillArgs {
    /// The drills that were asked for.
    pub(crate) fn drills(&self) -> impl Iterator<Item = &'static Drill> {
        let name = self.name.as_deref().unwrap_or(ALL);
        DRILLS.iter().filter(move |drill| name == ALL || name == drill.name)
    }

    /// Whether that are all there are.
    pub(crate) fn is_all(&self) -> bool {
        self.name.as_deref() == Some(ALL)
    }
}

fn names() -> PossibleValuesParser {
    DRILLS.iter().map(|drill| drill.name).chain([ALL]).collect::<Vec<_>>().into()
}

/// Each drill in a sentence, for people.
pub(crate) fn drills() -> String {
    let line = |drill: &Drill| format!("  {:<24}{}", drill.name, drill.breaks);
    let lines: Vec<String> = DRILLS.iter().map(line).collect();
    format!("Drills:\n{}", lines.join("\n"))
}

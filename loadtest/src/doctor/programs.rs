//! The programs of this machine.

use std::{path::PathBuf, process::Command};

use super::{Finding, Health};
use crate::lab;

/// A program that something here needs.
struct Program {
    name: &'static str,
    flag: &'static str,
    needed_for: &'static str,
    advice: &'static str,
}

const PROGRAMS: [Program; 4] = [
    Program {
        name: "prometheus",
        flag: "--version",
        needed_for: "the lab's metrics, `views`, `calibrate`, tests",
        advice: "Debian, Ubuntu: apt-get install prometheus",
    },
    Program {
        name: "promtool",
        flag: "--version",
        needed_for: "the tests of rules and dashboards",
        advice: "Debian, Ubuntu: apt-get install prometheus",
    },
    Program {
        name: "jaeger",
        flag: "version",
        needed_for: "traces in the lab's browser pages",
        advice: "`scripts/install-jaeger FOLDER` builds it; FOLDER must be on PATH",
    },
    Program {
        name: "docker",
        flag: "--version",
        needed_for: "the stack in containers, with Grafana",
        advice: "docs.docker.com/engine/install; without it the lab is all there is",
    },
];

/// What the lab needs, then what else there may be.
pub(crate) fn programs() -> Vec<Finding> {
    let services = [
        ("PostgreSQL", lab::postgres::version(), "Debian, Ubuntu: apt-get install postgresql"),
        ("Redis", lab::redis::version(), "Debian, Ubuntu: apt-get install redis-server"),
    ];
    let services = services.map(|(name, version, advice)| {
        let what = format!("{name}, for the lab");
        match version {
            Some(version) => Finding::good(&what, version),
            None => Finding::bad(&what, "not installed", advice),
        }
    });
    services.into_iter().chain([kafka()]).chain(PROGRAMS.iter().map(Program::finding)).collect()
}

fn kafka() -> Finding {
    let what = "Kafka, for labs with --broker kafka".to_owned();
    match lab::kafka::version() {
        Some(version) => Finding::good(&what, version),
        None => Finding {
            what,
            health: Health::Missing,
            found: "not installed".into(),
            advice: "`make kafka` brings it into the build folder".into(),
        },
    }
}

impl Program {
    fn finding(&self) -> Finding {
        let what = format!("{}, for {}", self.name, self.needed_for);
        match find(self.name) {
            Some(path) => Finding::good(&what, self.version(path)),
            None => Finding {
                what,
                health: Health::Missing,
                found: "not installed".into(),
                advice: self.advice.into(),
            },
        }
    }

    /// The first word of what it says of itself that looks like a version.
    fn version(&self, path: PathBuf) -> String {
        let output = Command::new(path).arg(self.flag).output();
        let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut words = text.split([' ', ',', '"', '\n']).map(|word| word.trim_start_matches('v'));
        let version = words.find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'));
        version.unwrap_or("installed").to_owned()
    }
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}

//! Which module may use which, and what stands in one place only. The tables are the rules.

mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use source::Source;

/// What every stage may use: the vocabulary.
const VOCABULARY: &[&str] = &["clock", "fault", "hop", "protocol", "telemetry"];

/// The stages, in the order of a message's path, and what else each may use: of one another only this, and
/// only its own slice of the configuration.
const STAGES: &[(&str, &[&str])] = &[
    ("http", &["accept", "auth", "connection", "history", "limit"]),
    ("connection", &["accept", "auth", "history", "limit", "send", "config::Client"]),
    ("auth", &["token", "config::Auth"]),
    ("accept", &["auth", "persist"]),
    ("persist", &["config::Persist"]),
    ("publish", &["broker", "persist::Committed"]),
    ("outbox", &["broker", "history", "config::Outbox"]),
    ("broker", &["config::Broker", "config::Kafka", "config::KafkaTopic", "config::Redis", "config::Topics"]),
    ("receive", &["broker", "history", "send", "config::Receive"]),
    ("send", &[]),
    ("history", &["config::Database"]),
    ("health", &["broker", "history"]),
];

/// All other modules, and all that each may use.
const OTHERS: &[(&str, &[&str])] = &[
    ("admin", &["fault", "history", "telemetry", "token"]),
    ("clock", &[]),
    ("fault", &["clock", "hop"]),
    ("files", &[]),
    ("hop", &[]),
    ("limit", &["protocol"]),
    ("mint", &["protocol", "token"]),
    ("operate", &["fault", "hop", "token"]),
    ("replay", &["broker", "protocol", "config::KafkaArgs", "config::KafkaTopic"]),
    ("protocol", &["hop"]),
    ("telemetry", &["hop", "protocol"]),
    ("token", &["protocol"]),
    ("config", &["listener", "protocol", "tls", "token"]),
    ("listener", &["telemetry", "tls"]),
    ("schema", &["config::Database", "history"]),
    ("shutdown", &[]),
    ("tls", &["telemetry"]),
    ("server", &[ANYTHING]),
    (
        "main",
        &[
            "clock",
            "config",
            "fault",
            "files",
            "mint",
            "operate",
            "replay",
            "schema",
            "server",
            "shutdown",
            "telemetry",
        ],
    ),
    ("lib", &[]),
];

const ANYTHING: &str = "anything";

/// What the load generator may use of the server: it measures from outside. Its clients' tokens it mints as any issuer
/// does, with a secret that it is given; nothing of that is a server's.
const LOADTEST: &[&str] = &["hop", "protocol", "token"];

/// What of other crates the server uses in these modules only. A star stands for the rest of a name.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("sqlx::query*", &["history", "outbox", "persist"]),
    ("sqlx::raw_sql", &["history", "outbox", "persist"]),
    // Statements are fixed texts: nothing that a client sends is ever a part of one.
    ("sqlx::AssertSqlSafe", &["nowhere"]),
    ("redis", &["broker", "config"]),
    ("rdkafka", &["broker"]),
    ("jsonwebtoken", &["token"]),
    ("metrics", &["telemetry"]),
    ("opentelemetry*", &["telemetry"]),
];

/// The beginning of every metric's name. Such literals stand in `telemetry` only.
const METRIC: &str = "hopline_";

/// What breaks the rules in one file of the server, given by its path below `src/`.
fn violations(file: &str, source: &str) -> Vec<String> {
    let module = module_of(file);
    let Some(allowed) = allowed(module) else {
        return vec![format!("{file}: the tables don't know the module {module}")];
    };
    let source = Source::read(source);
    let mut violations = Vec::new();
    for used in uses_of_crate(file, &source).iter().filter(|used| !is_allowed(used, module, &allowed)) {
        violations.push(format!("{file}: {module} may not use {used}"));
    }
    for path in &source.paths {
        let path = path.join("::");
        for (rule, modules) in ONLY_IN {
            if matches(rule, &path) && !modules.contains(&module) {
                violations.push(format!("{file}: {path} stands only in {}", modules.join(" and ")));
            }
        }
    }
    if module != "telemetry" {
        let names = source.strings.iter().filter(|text| text.starts_with(METRIC));
        violations.extend(names.map(|name| format!("{file}: {name} is the name of a metric")));
    }
    violations
}

/// What breaks the rules in one file of the load generator.
fn loadtest_violations(file: &str, source: &str) -> Vec<String> {
    let uses = Source::read(source).uses_of("hopline");
    let wrong = uses.into_iter().filter(|used| !is_allowed(used, "loadtest", LOADTEST));
    wrong.map(|used| format!("loadtest {file}: the load generator may not use {used}")).collect()
}

/// `connection/mod.rs`, `connection/requests.rs` and `connection.rs` are the module `connection`.
fn module_of(file: &str) -> &str {
    file.split(['/', '.']).next().expect("a split text has a first part")
}

fn allowed(module: &str) -> Option<Vec<&'static str>> {
    let row = |table: &[(&str, &'static [&'static str])]| {
        table.iter().find(|(name, _)| *name == module).map(|(_, allowed)| *allowed)
    };
    let stage = row(STAGES).map(|allowed| [VOCABULARY, allowed].concat());
    stage.or_else(|| row(OTHERS).map(<[_]>::to_vec))
}

fn is_allowed(used: &str, module: &str, allowed: &[&str]) -> bool {
    let is_part = |of: &str| matches(of, used);
    // The configuration's module may be imported by whoever has a slice of it.
    let imports = |slice: &str| used == "config" && slice.starts_with("config::");
    is_part(module) || allowed.iter().any(|rule| *rule == ANYTHING || is_part(rule) || imports(rule))
}

fn matches(rule: &str, path: &str) -> bool {
    match rule.strip_suffix('*') {
        Some(beginning) => path.starts_with(beginning),
        None => path.strip_prefix(rule).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")),
    }
}

/// What a file of the server uses of its own crate, as paths from the crate's root.
fn uses_of_crate(file: &str, source: &Source) -> BTreeSet<String> {
    let depth = file.trim_end_matches(".rs").trim_end_matches("/mod").split('/').count();
    let mut uses = source.uses_of("crate");
    uses.extend(source.uses_of("hopline"));
    for path in &source.paths {
        let ups = path.iter().take_while(|part| *part == "super").count();
        // In a nested module `super` leads less far: only what is a module's name at the root counts.
        if ups >= depth && path.get(ups).is_some_and(|part| allowed(part).is_some()) {
            uses.insert(path[ups..].join("::"));
        }
    }
    uses
}

/// All sources below a folder of the repository, by their paths below it.
fn sources(folder: &str) -> Vec<(String, String)> {
    fn collect(root: &Path, folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(root, &path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(!found.is_empty(), "there are no sources in {}", root.display());
    found
}

#[test]
fn each_module_uses_only_what_the_tables_allow() {
    let sources = sources("src");
    let found = sources.iter().flat_map(|(file, source)| violations(file, source));
    assert_eq!(found.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn the_load_generator_knows_the_protocol_and_the_hops_only() {
    let sources = sources("loadtest/src");
    let found = sources.iter().flat_map(|(file, source)| loadtest_violations(file, source));
    assert_eq!(found.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn the_tables_allow_nothing_that_no_one_uses() {
    let mut by_module: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, source) in sources("src") {
        by_module
            .entry(module_of(&file).to_owned())
            .or_default()
            .extend(uses_of_crate(&file, &Source::read(&source)));
    }
    for (module, allowed) in STAGES.iter().chain(OTHERS) {
        let uses = by_module.get(*module).unwrap_or_else(|| panic!("there is no module {module} any more"));
        for rule in allowed.iter().filter(|rule| **rule != ANYTHING) {
            assert!(uses.iter().any(|path| matches(rule, path)), "{module} does not use {rule} any more");
        }
    }
}

#[test]
fn what_breaks_a_rule_is_found_however_it_is_written() {
    let bad = [
        ("persist/writer.rs", "use crate::publish::Publish;"),
        ("persist/writer.rs", "use crate::{clock, publish::{self, Publish}};"),
        ("persist/mod.rs", "use super::publish;"),
        ("persist/writer.rs", "fn f() { select! { _ = super::super::receive::run() => {} } }"),
        ("send/mod.rs", "fn f() -> crate::history::History { g() }"),
        ("publish.rs", "use crate::persist::Persist;"),
        ("accept.rs", "use crate::config;"),
        ("persist/mod.rs", "use crate::config; fn f(_: config::Broker) {}"),
        ("hop.rs", "use crate::telemetry::metrics::metrics;"),
        ("server.rs", "fn f() { sqlx::query_as::<_, Row>(\"SELECT 1\"); }"),
        ("http.rs", "use sqlx::{PgPool, query as ask};"),
        ("history.rs", "use sqlx::AssertSqlSafe; fn f(s: String) { query(AssertSqlSafe(s)); }"),
        ("receive/mod.rs", "use redis as r; fn f() { r::pipe(); }"),
        ("send/times.rs", "fn f() { metrics::counter!(\"x\").increment(1); }"),
        ("http.rs", "const NAME: &str = r\"hopline_requests_total\";"),
        ("surprise.rs", ""),
    ];
    for (file, source) in bad {
        assert_ne!(violations(file, source), [""; 0], "{file}: {source}");
    }
    let good = [
        ("persist/mod.rs", "use crate::config; fn f(_: config::Persist) {}"),
        ("publish.rs", "use crate::{broker, persist::Committed};"),
        ("http.rs", "// crate::receive, sqlx::query\n/* use redis::Client; */ /// \"hopline_x\"\nstruct S;"),
        ("accept.rs", "fn f() -> impl Fn() + use<> {} mod tests { use super::channel_name; }"),
        ("main.rs", "use hopline::telemetry::metrics; fn f() { metrics::install(); }"),
    ];
    for (file, source) in good {
        assert_eq!(violations(file, source), [""; 0], "{file}: {source}");
    }
    assert_ne!(loadtest_violations("run.rs", "use hopline::{hop::Hop, server};"), [""; 0]);
    assert_eq!(loadtest_violations("run.rs", "use hopline::{hop::Hop, protocol};"), [""; 0]);
}

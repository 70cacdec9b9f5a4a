//! Which crate may stand on which. A breach here is a decision to be taken, not a line to be added.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

/// What each crate may depend on, of ours. `tests` may depend on anything and is not listed.
const TABLE: &[(&str, &[&str])] = &[
    ("consult", &[]),
    ("signal", &[]),
    ("outbox", &[]),
    ("call", &["media"]),
    ("ui", &[]),
    ("sim", &[]),
    ("link", &[]),
    ("config", &[]),
    ("media", &[]),
    ("exam", &["consult", "media"]),
    ("drivers", &["consult"]),
    ("waveforms", &["consult"]),
    ("wiring", &["config", "drivers"]),
    ("fhir", &["consult", "waveforms"]),
    ("desk", &["signal"]),
    ("emergency", &["config"]),
    ("cabinctl", &["config", "consult", "drivers", "exam", "outbox", "signal", "wiring"]),
    ("cabin", &["call", "config", "consult", "drivers", "exam", "fhir", "media", "outbox", "signal", "ui", "wiring"]),
];

/// What the tests of a crate may depend on beside the table: the simulators and the bad line, which are outside the
/// cabin.
const IN_TESTS: &[&str] = &["sim", "link"];

/// What the pure crates may take from others: nothing that has a clock, a file, a socket or chance of its own
/// switched on. `purity.rs` looks at what they do with it.
const PURE: &[(&str, &[&str])] = &[
    ("consult", &[]),
    ("signal", &["base64", "ed25519-dalek", "serde", "serde_json", "sha2", "thiserror"]),
    ("waveforms", &["time", "uuid"]),
    ("fhir", &["base64", "serde", "serde_json", "sha1", "sha2", "thiserror", "time", "uuid"]),
];

/// What `config` may take: it reads one file's text and nothing else.
const CONFIG: &[&str] = &["serde", "thiserror", "toml"];

const TESTS: &str = "whole-cabin";

#[derive(Debug, Clone, PartialEq, Eq)]
struct Dependency {
    name: String,
    ours: bool,
    only_in_tests: bool,
}

type Crates = BTreeMap<String, Vec<Dependency>>;

fn crates_of(metadata: &Value) -> Result<Crates> {
    let packages = metadata["packages"].as_array().context("packages")?;
    packages
        .iter()
        .map(|package| {
            let name = package["name"].as_str().context("a package's name")?.to_owned();
            let dependencies = package["dependencies"].as_array().context("dependencies")?;
            let dependencies = dependencies
                .iter()
                .map(|dependency| {
                    Ok(Dependency {
                        name: dependency["name"].as_str().context("a dependency's name")?.to_owned(),
                        ours: dependency["path"].is_string(),
                        only_in_tests: dependency["kind"] == "dev",
                    })
                })
                .collect::<Result<_>>()?;
            Ok((name, dependencies))
        })
        .collect()
}

/// Every breach, in words.
fn breaches(crates: &Crates) -> Vec<String> {
    let mut breaches = Vec::new();
    let table: BTreeMap<_, _> = TABLE.iter().copied().collect();
    for name in table.keys().filter(|name| !crates.contains_key(**name)) {
        breaches.push(format!("{name} is in the table but not in the workspace"));
    }
    for (name, dependencies) in crates.iter().filter(|(name, _)| *name != TESTS) {
        let Some(allowed) = table.get(name.as_str()) else {
            breaches.push(format!("{name} is in the workspace but not in the table"));
            continue;
        };
        for dependency in dependencies.iter().filter(|dependency| dependency.ours) {
            let on = dependency.name.as_str();
            let in_tests = dependency.only_in_tests && IN_TESTS.contains(&on);
            if !allowed.contains(&on) && !in_tests {
                breaches.push(format!("{name} depends on {on}"));
            }
        }
        let pure = PURE.iter().find(|(pure, _)| pure == name).map(|(_, allowed)| *allowed);
        let allowed = pure.or((name == "config").then_some(CONFIG));
        let others = dependencies.iter().filter(|dependency| !dependency.ours && !dependency.only_in_tests);
        for other in others.filter(|other| allowed.is_some_and(|allowed| !allowed.contains(&other.name.as_str()))) {
            breaches.push(format!("{name}, which is to stay pure, depends on {}", other.name));
        }
    }
    breaches
}

fn metadata() -> Result<Value> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let arguments = ["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path", manifest];
    let output = Command::new(cargo).args(arguments).output()?;
    anyhow::ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[test]
fn every_crate_depends_only_on_what_the_table_allows() -> Result<()> {
    let crates = crates_of(&metadata()?)?;
    let breaches = breaches(&crates);
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
    Ok(())
}

#[test]
fn a_breach_of_the_table_is_noticed() -> Result<()> {
    let mut crates = crates_of(&metadata()?)?;
    let before: BTreeSet<String> = breaches(&crates).into_iter().collect();
    let ours = |name: &str, only_in_tests| Dependency { name: name.to_owned(), ours: true, only_in_tests };
    let others = |name: &str| Dependency { name: name.to_owned(), ours: false, only_in_tests: false };
    crates.entry("desk".to_owned()).or_default().extend([ours("consult", false), ours("sim", true)]);
    crates.entry("consult".to_owned()).or_default().push(others("rand"));
    crates.insert("helpers".to_owned(), Vec::new());
    let after: BTreeSet<String> = breaches(&crates).into_iter().collect();
    let new: Vec<&String> = after.difference(&before).collect();
    let expected = [
        "consult, which is to stay pure, depends on rand",
        "desk depends on consult",
        "helpers is in the workspace but not in the table",
    ];
    assert_eq!(new, expected);
    Ok(())
}

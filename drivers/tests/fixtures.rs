//! A fixture is one codec, one line in `FIXTURES`, one simulator, one fuzz target and one row in the README.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use drivers::fixtures::FIXTURES;

/// Random and damaged bytes a fixture in this run; `make fuzz` takes more.
const BYTES: usize = 500_000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn every_fixture_has_its_codec_simulator_fuzz_target_and_row() {
    let manifest = std::fs::read_to_string(root().join("tests/fuzz/Cargo.toml")).unwrap();
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for fixture in FIXTURES {
        let key = fixture.key;
        let files = [
            format!("drivers/fixtures/{key}.rs"),
            format!("drivers/sim/{key}.rs"),
            format!("tests/fuzz/fuzz_targets/{key}.rs"),
        ];
        for file in files {
            assert!(root().join(&file).is_file(), "{key}: {file} is missing");
        }
        assert!(manifest.contains(&format!("name = \"{key}\"")), "{key} is no target of tests/fuzz/Cargo.toml");
        let row = readme.lines().find(|line| line.starts_with('|') && line.contains(&format!("`{key}`")));
        let row = row.unwrap_or_else(|| panic!("{key} has no row in the README's table of fixtures"));
        assert!(row.contains(&format!("({:?})", fixture.confidence)), "{key}: {row}");
    }
}

#[test]
fn every_file_of_fixtures_is_in_the_table() {
    for entry in std::fs::read_dir(root().join("drivers/fixtures")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(stem) = name.strip_suffix(".rs").filter(|stem| *stem != "mod") else { continue };
        assert!(FIXTURES.iter().any(|fixture| fixture.key == stem), "{name} is not in FIXTURES");
    }
}

#[test]
fn no_byte_string_crashes_or_grows_a_fixture() {
    let seed = std::env::var("SEED").map_or_else(
        |_| u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() & 0xFFFF_FFFF).unwrap(),
        |seed| seed.parse().expect("a number"),
    );
    for fixture in FIXTURES {
        eprintln!("{}: SEED={seed}", fixture.key);
        let common = drivers::fuzz::words(fixture.key);
        let mut noise = seed | 1;
        let mut left = BYTES;
        while left > 0 {
            // xorshift64; half of it from few values, so that marks and lengths come by.
            let mut next = || {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                noise
            };
            let length = 16 + usize::try_from(next() % 2000).unwrap();
            let mut data = Vec::with_capacity(length);
            while data.len() < length {
                match next() % 4 {
                    0 if !common.is_empty() => {
                        data.extend(common[usize::try_from(next()).unwrap_or(0) % common.len()]);
                    }
                    1 => data.push((next() % 16) as u8),
                    _ => data.push((next() >> 24) as u8),
                }
            }
            left = left.saturating_sub(length);
            drivers::fuzz::fixture(fixture.key, &data);
        }
    }
}

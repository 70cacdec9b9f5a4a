//! The units of `systemd/` are as closed as they are said to be, and the packet filter is one that the kernel takes.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Each service that goes on running, and the worst exposure that it may have, in tenths: `systemd-analyze security` calls
/// 0 the best and 100 the worst. The outbox holds what patients said and opens no device.
const EXPOSURE_MAX: &[(&str, u32)] = &[
    ("cabin.service", 17),
    ("cabin-check.service", 17),
    ("cabin-emergency.service", 12),
    ("cabin-outbox.service", 12),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd")
}

fn units() -> Result<Vec<(String, String)>> {
    let mut units = Vec::new();
    for entry in std::fs::read_dir(folder())? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "service") {
            let name = path.file_name().context("a name")?.to_string_lossy().into_owned();
            units.push((name, std::fs::read_to_string(&path)?));
        }
    }
    Ok(units)
}

/// The values of `key`, in the order of the file.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

#[test]
fn no_service_that_runs_on_is_more_exposed_than_it_may_be() -> Result<()> {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("SKIPPED, there is no systemd-analyze: tests/tools/install test installs it");
        return Ok(());
    }
    for (unit, tenths) in EXPOSURE_MAX {
        let output = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager", &format!("--threshold={tenths}")])
            .arg(folder().join(unit))
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success(),
            "{unit}: over {tenths} tenths\n{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        ensure!(said.contains(&format!("Overall exposure level for {unit}")), "{unit} was not looked at:\n{said}");
    }
    Ok(())
}

#[test]
fn every_service_leaves_no_core_file_and_what_runs_on_has_limits_and_comes_back() -> Result<()> {
    let units = units()?;
    for (name, text) in &units {
        // A mount, which holds no process.
        if !["cabin-recorder@.service", "cabin-stick@.service"].contains(&name.as_str()) {
            ensure!(values(text, "LimitCORE") == ["0"], "{name}: LimitCORE=0 is missing");
        }
    }
    for name in ["cabin.service", "cabin-outbox.service"] {
        let text = &units.iter().find(|(unit, _)| unit == name).with_context(|| name.to_owned())?.1;
        for (key, value) in [
            ("Type", "notify"),
            ("Restart", "always"),
            ("StartLimitIntervalSec", "0"),
            ("MemorySwapMax", "0"),
            ("NoNewPrivileges", "yes"),
            ("CapabilityBoundingSet", ""),
        ] {
            ensure!(values(text, key) == [value], "{name}: {key}={value} is missing");
        }
        for key in ["WatchdogSec", "MemoryMax", "TasksMax", "LimitNOFILE"] {
            ensure!(values(text, key).len() == 1, "{name}: {key}= is missing");
        }
        // Of a touch screen or device that is plugged in, the kernel tells by netlink, in its first network only.
        ensure!(values(text, "PrivateNetwork").is_empty(), "{name}: PrivateNetwork= cuts hot-plug off");
    }
    Ok(())
}

/// The numbers of accounts stand in four places, in four languages.
#[test]
fn the_accounts_of_the_units_have_the_numbers_that_the_outbox_and_the_filter_know() -> Result<()> {
    let read = |path: &str| std::fs::read_to_string(folder().join(path)).with_context(|| path.to_owned());
    let accounts = read("telecabine-sysusers.conf")?;
    let number = |account: &str| -> Result<String> {
        let mut lines = accounts.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let line = lines.find(|words| words.first() == Some(&"u") && words.get(1) == Some(&account));
        Ok(line.with_context(|| account.to_owned())?[2].to_owned())
    };
    let filter = read("telecabine.nft")?;
    ensure!(filter.contains(&format!("define screen = {} ", number("cabin")?)), "the filter's screen");
    ensure!(filter.contains(&format!("define outbox = {} ", number("cabin-outbox")?)), "the filter's outbox");
    let outbox = read("../image/site/outbox.toml")?;
    ensure!(outbox.contains(&format!("allow_uids = [{}]\n", number("cabin")?)), "allow_uids");
    for (unit, text) in units()? {
        for account in values(&text, "User") {
            number(account).with_context(|| unit.clone())?;
        }
    }
    Ok(())
}

/// In a network of its own, with two ends: what the filter lets through is tried and not read.
#[test]
fn the_packet_filter_lets_out_what_a_cabin_needs_and_nothing_in() -> Result<()> {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/packet_filter");
    let output = Command::new(tool).arg(folder().join("telecabine.nft")).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.code() == Some(77) {
        eprintln!("SKIPPED, {}", String::from_utf8_lossy(&output.stderr).trim());
        return Ok(());
    }
    ensure!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(said.trim_end().ends_with("as it should be"), "{said}");
    Ok(())
}

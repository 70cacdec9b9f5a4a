//! `cabinctl doctor --config FILE`: every part of the machine, what is wrong, and what to do. Starts nothing, changes
//! nothing; devices are `cabinctl device check`'s, which needs their ports.

use std::fs;
use std::io::Write;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use wiring::joining::Joining;

use crate::arguments::Arguments;
use crate::config_file;
use crate::device_check::{Line, State};
use crate::release;

/// A mini PC throttles itself from about here, milli degrees Celsius.
const HOT_MILLI_C: i64 = 90_000;
/// Free on the data disk, percent: below it something fills it up that should not.
const FREE_PERCENT_MIN: u64 = 10;
/// Of what the maker promised of an eMMC, tenths that are used up (JEDEC eMMC 5.1, DEVICE_LIFE_TIME_EST).
const WORN_TENTHS: i64 = 9;
/// Longest wait for the desk to take a connection.
const DESK_MAX: Duration = Duration::from_secs(5);

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let root = PathBuf::from(arguments.option("root").unwrap_or("/".into()));
    let config = PathBuf::from(arguments.need_option("config")?);
    arguments.end()?;
    let mut lines = vec![
        releases(&root),
        secured(&root),
        touch(&root),
        display(&root),
        heat(&root),
        memory(&root),
        disk(&root.join("var/lib")),
        wear(&root),
        clock(&root),
        units(),
    ];
    match config_file::load(&config) {
        Ok(config) => {
            lines.push(good("settings", config.site.name.clone()));
            lines.push(outbox(&config));
            lines.push(desk(&config.desk.url));
            lines.extend(joining(&config));
        }
        Err(mistake) => lines.push(wrong("settings", format!("{mistake:#}"))),
    }
    let mut bad = 0;
    for Line { name, state, .. } in &lines {
        let (mark, words) = match state {
            State::Good(words) => ("good ", words.as_str()),
            State::Wrong(words) => ("WRONG", words.as_str()),
            State::Unseen | State::Open => ("?    ", "this machine does not tell"),
        };
        bad += usize::from(mark == "WRONG");
        writeln!(out, "{mark}  {name:<12} {words}")?;
    }
    writeln!(out, "       devices      cabinctl device check asks them, while the cabin is stopped")?;
    match bad {
        0 => Ok(()),
        _ => bail!("{bad} of {} parts must be looked after", lines.len()),
    }
}

fn line(name: &str, state: State) -> Line {
    Line { name: name.to_owned(), what: String::new(), state }
}

fn good(name: &str, words: impl Into<String>) -> Line {
    line(name, State::Good(words.into()))
}

fn wrong(name: &str, words: impl Into<String>) -> Line {
    line(name, State::Wrong(words.into()))
}

fn number(path: &Path) -> Option<i64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The folders of a class of the kernel whose names begin so.
fn class(root: &Path, class: &str, begins: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join("sys/class").join(class)).map(|entries| entries.flatten().collect::<Vec<_>>());
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begins));
    entries.unwrap_or_default().iter().map(fs::DirEntry::path).filter(named).collect()
}

fn releases(root: &Path) -> Line {
    let Some(this) = release::this(root) else { return line("release", State::Unseen) };
    let trial = release::installed(root).iter().any(|found| found.release == this && found.tries.is_some());
    match release::left(root, &this).pop() {
        Some(left) => wrong("release", format!("{this} runs again, for {} was left: {}", left.release, left.why)),
        None if trial => good("release", format!("{this}, on trial until its health check passed")),
        None => good("release", this),
    }
}

fn secured(root: &Path) -> Line {
    let variable = root.join("sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c");
    // Four bytes of attributes, then the value.
    let secure_boot = fs::read(variable).is_ok_and(|bytes| bytes.get(4) == Some(&1));
    let tpm = !class(root, "tpm", "tpm").is_empty();
    match (secure_boot, tpm) {
        (true, true) => good("trust", "Secure Boot is on, there is a TPM"),
        (false, _) => {
            wrong("trust", "Secure Boot is off: switch it on in the firmware's settings (F2 or Del at the start)")
        }
        (true, false) => wrong("trust", "there is no TPM: switch it on in the firmware's settings, as fTPM or PTT"),
    }
}

/// udev marks a touch screen; its files are named by the device's number.
fn touch(root: &Path) -> Line {
    let screens = class(root, "input", "event").iter().any(|event| {
        let Ok(dev) = fs::read_to_string(event.join("dev")) else { return false };
        let known = fs::read_to_string(root.join("run/udev/data").join(format!("c{}", dev.trim())));
        known.is_ok_and(|known| known.contains("E:ID_INPUT_TOUCHSCREEN=1"))
    });
    match screens {
        true => good("touch", "a touch screen is there"),
        false => wrong("touch", "no touch screen is there: check its USB cable at both ends"),
    }
}

fn display(root: &Path) -> Line {
    let outputs = class(root, "drm", "card");
    let is =
        |output: &PathBuf| fs::read_to_string(output.join("status")).is_ok_and(|status| status.trim() == "connected");
    match outputs.iter().find(|output| is(output)) {
        Some(output) => good("display", output.file_name().unwrap_or_default().to_string_lossy()),
        None => wrong("display", "no display is connected: check its cable and its power"),
    }
}

fn heat(root: &Path) -> Line {
    let zones = class(root, "thermal", "thermal_zone");
    match zones.iter().filter_map(|zone| number(&zone.join("temp"))).max() {
        None => line("heat", State::Unseen),
        Some(hot) if hot >= HOT_MILLI_C => {
            wrong("heat", format!("{} °C: free its air vents, replace its fan", hot / 1000))
        }
        Some(most) => good("heat", format!("{} °C at most", most / 1000)),
    }
}

fn memory(root: &Path) -> Line {
    let text = fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
    let of = |name: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        rest.split_whitespace().next()?.parse::<u64>().ok()
    };
    match (of("MemAvailable"), of("MemTotal")) {
        (Some(free), Some(all)) if free * 100 < all * 10 => wrong(
            "memory",
            format!("{} of {} MiB are left: restart this machine, and send its logs", free >> 10, all >> 10),
        ),
        (Some(free), Some(all)) => good("memory", format!("{} of {} MiB are left", free >> 10, all >> 10)),
        _ => line("memory", State::Unseen),
    }
}

fn disk(folder: &Path) -> Line {
    let Ok(about) = rustix::fs::statvfs(folder) else { return line("disk", State::Unseen) };
    let percent = about.f_bavail * 100 / about.f_blocks.max(1);
    let words = format!("{percent} % of {} MiB are free", (about.f_blocks * about.f_frsize) >> 20);
    if percent < FREE_PERCENT_MIN {
        return wrong(
            "disk",
            format!("{words}: is the outbox's queue stuck (cabinctl outbox status)? Else a larger disk"),
        );
    }
    good("disk", words)
}

fn wear(root: &Path) -> Line {
    let cards = class(root, "mmc_host", "mmc");
    let worn = cards.iter().filter_map(|host| fs::read_dir(host).ok()).flatten().flatten().filter_map(|card| {
        // Two kinds of cells, in hexadecimal: 0x01 is up to 10 % used, 0x0b is past its life.
        let text = fs::read_to_string(card.path().join("life_time")).ok()?;
        text.split_whitespace().filter_map(|word| i64::from_str_radix(word.trim_start_matches("0x"), 16).ok()).max()
    });
    match worn.max() {
        None => line("disk wear", State::Unseen),
        Some(tenths) if tenths > WORN_TENTHS => {
            wrong("disk wear", format!("{} % of its life are used up: plan another disk", (tenths * 10).min(100)))
        }
        Some(tenths) => good("disk wear", format!("at most {} % of its life are used up", tenths * 10)),
    }
}

fn clock(root: &Path) -> Line {
    match root.join("run/systemd/timesync/synchronized").exists() {
        true => good("clock", format!("{}, set by the network", time::OffsetDateTime::now_utc())),
        false => {
            wrong("clock", "not set by the network since the start: is there a network, and does it let UDP 123 out?")
        }
    }
}

fn units() -> Line {
    let failed = Command::new("systemctl").args(["--failed", "--no-legend", "--plain", "--quiet"]).output();
    let Ok(failed) = failed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()) else {
        return line("units", State::Unseen);
    };
    let names: Vec<&str> = failed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    match names.is_empty() {
        true => good("units", "none has failed"),
        false => wrong("units", format!("failed: {}; `systemctl status` of each says why", names.join(", "))),
    }
}

fn outbox(config: &config::Config) -> Line {
    let status = outbox::Client::new(&config.outbox_socket).status().map(|mut status| {
        outbox::known::look(&config.data_dir, &mut status);
        status
    });
    match status {
        Err(error) => wrong("outbox", format!("it does not answer ({error}): systemctl status cabin-outbox")),
        Ok(status) if !status.faults.is_empty() => {
            let faults: Vec<String> = status.faults.iter().map(|fault| fault.detail.clone()).collect();
            wrong("outbox", faults.join("; "))
        }
        Ok(status) if status.set_aside > 0 => wrong(
            "outbox",
            format!("{} records are set aside: mend their cause, cabinctl outbox retry", status.set_aside),
        ),
        Ok(status) => good("outbox", format!("{} records wait for their proof", status.waiting)),
    }
}

/// After a hand-over, until the new desk has taken this cabin.
fn joining(config: &config::Config) -> Option<Line> {
    let desk = &config.desk.url;
    let waits = Joining::read(&config.data_dir).ok()?.is_some_and(|joining| joining.desk_url == *desk);
    let what = "this cabin has not joined it yet; it does so by itself when that desk answers, unless the technician's \
                screen says that the code was refused";
    waits.then(|| wrong("joined", format!("{desk}: {what}")))
}

/// A connection and nothing more: whether a server is there at all.
fn desk(url: &str) -> Line {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let host = rest.split('/').next().unwrap_or(rest);
    let port = if scheme == "http" { ":80" } else { ":443" };
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let address = if has_port { host.to_owned() } else { format!("{host}{port}") };
    let reached = address.to_socket_addrs().map_err(|error| format!("no address ({error})")).and_then(|mut found| {
        let first = found.next().ok_or("no address")?;
        TcpStream::connect_timeout(&first, DESK_MAX).map_err(|error| error.to_string())
    });
    match reached {
        Ok(_) => good("desk", address),
        Err(why) => wrong("desk", format!("{address}: {why}. Check the network cable, then the address in [desk]")),
    }
}

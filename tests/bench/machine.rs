//! The machine and the programs that were measured: a figure without them says nothing.

use std::process::Command;

use anyhow::{Context, Result};

/// Lines of "what: which", as printed over the table.
pub fn facts() -> Result<Vec<(&'static str, String)>> {
    let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
    let model = value_of(&cpu, "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let megahertz = value_of(&cpu, "cpu MHz").map(|mhz| format!(", {mhz} MHz")).unwrap_or_default();
    let cores = std::thread::available_parallelism()?;
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    let kib: u64 = value_of(&memory, "MemTotal")
        .and_then(|total| total.split(' ').next().and_then(|kib| kib.parse().ok()))
        .context("MemTotal of /proc/meminfo")?;
    let release = std::fs::read_to_string("/etc/os-release")?;
    let system = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("unknown system");
    let programs = whole_cabin::process::programs_folder()?;
    Ok(vec![
        ("processor", format!("{model}{megahertz}, {cores} cores used")),
        ("memory", format!("{} MiB", kib / 1024)),
        ("system", format!("{}, Linux {}", system.trim_matches('"'), first_line("uname", &["-r"]))),
        ("browser", first_line("chromium", &["--version"])),
        ("sources", first_line("git", &["describe", "--always", "--dirty"])),
        ("programs", programs.display().to_string()),
        ("load", load()?),
    ])
}

/// Load of the last minute: above the number of cores, others worked beside the bench.
pub fn load() -> Result<String> {
    let load = std::fs::read_to_string("/proc/loadavg")?;
    Ok(load.split(' ').next().unwrap_or_default().to_owned())
}

fn value_of(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// What a program says of itself; a fact that is missing does not stop the bench.
fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().map_or_else(|| format!("({program} does not say)"), |line| line.trim().to_owned())
}

//! Processor time and memory of a program with all that it starts.

use std::collections::HashMap;
use std::fs;

use anyhow::{Context, Result};
use whole_cabin::memory::used_by;

/// A process and all its descendants.
pub fn family(root: u32) -> Result<Vec<u32>> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(id) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        if let Ok(fields) = stat(id)
            && let Ok(parent) = fields[1].parse()
        {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut found = vec![root];
    let mut at = 0;
    while let Some(id) = found.get(at).copied() {
        found.extend(children.remove(&id).unwrap_or_default());
        at += 1;
    }
    Ok(found)
}

/// Processor seconds of these roots with all that they started, also of what has ended and was waited for.
pub fn spent(roots: &[u32]) -> Result<f64> {
    let mut ticks = 0.0;
    for root in roots {
        for id in family(*root)? {
            // One that ends in this moment is counted by its parent from now on.
            let Ok(fields) = stat(id) else { continue };
            // proc(5): utime, stime, cutime, cstime.
            for field in &fields[11..15] {
                ticks += field.parse::<f64>()?;
            }
        }
    }
    Ok(ticks / rustix::param::clock_ticks_per_second() as f64)
}

/// Proportional share of memory of these roots with all that they started, in MiB.
pub fn memory(roots: &[u32]) -> Result<f64> {
    let mut bytes = 0;
    for root in roots {
        bytes += family(*root)?.into_iter().filter_map(|id| used_by(id).ok()).sum::<u64>();
    }
    Ok(bytes as f64 / 1_048_576.0)
}

/// The fields of `stat` from the state on (proc(5)).
fn stat(id: u32) -> Result<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name may hold blanks; it ends at the last bracket.
    let fields = text.rsplit_once(')').context("stat")?.1;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}

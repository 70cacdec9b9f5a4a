//! Which microphones are there: the kernel's list of sound cards that can capture. A sound server, which mixes,
//! resamples and cleans, is not asked.

use std::path::{Path, PathBuf};

use crate::device::{self, Address, Device};

const CLASS: &str = "/sys/class/sound";
const PROC: &str = "/proc/asound";

/// A microphone that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its ALSA name, without any conversion: `hw:1,0`.
    pub name: String,
    /// What it is.
    pub device: Device,
}

/// The microphones of this machine, in the kernel's order.
pub fn list() -> Vec<Found> {
    let mut found = Vec::new();
    for (card, class) in device::numbered(CLASS, "card") {
        let named = device::text(&class.join("id")).unwrap_or_else(|| format!("card {card}"));
        let folder = Path::new(PROC).join(format!("card{card}"));
        let device = device::behind(&class, &named);
        for number in captures(&folder) {
            found.push(Found { name: format!("hw:{card},{number}"), device: device.clone() });
        }
    }
    found
}

/// Whether the microphone that an address means is plugged, by the kernel's files: nothing is opened.
pub fn is_plugged(address: &Address) -> bool {
    resolve(address).is_some()
}

/// The microphone that an address means: of several alike, none.
pub(crate) fn resolve(address: &Address) -> Option<Found> {
    let mut fitting = list().into_iter().filter(|found| match address {
        Address::Named(name) => is_named(name, &found.name),
        Address::Usb { .. } => address.fits(&found.device),
    });
    let first = fitting.next()?;
    // A card with two inputs is one device: the first of them is its microphone.
    fitting.all(|other| other.device == first.device).then_some(first)
}

/// Whether an address's name is that of this input: `hw:1,0`, or with the card's name in place of its number.
pub(crate) fn is_named(name: &str, input: &str) -> bool {
    name == input || name == by_id(input)
}

/// The same with the card's name in place of its number, which depends on the order of plugging.
fn by_id(input: &str) -> String {
    let number = input.trim_start_matches("hw:").split(',').next().unwrap_or_default();
    let id = device::text(&PathBuf::from(CLASS).join(format!("card{number}")).join("id")).unwrap_or_default();
    input.replacen(&format!("hw:{number},"), &format!("hw:{id},"), 1)
}

/// `pcm0c` is what captures; `pcm0p` plays.
fn captures(card: &Path) -> Vec<u32> {
    let folder = card.to_str().unwrap_or_default();
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut numbers: Vec<u32> = entries
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("pcm")?.strip_suffix('c')?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

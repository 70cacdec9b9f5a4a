//! Searches what a program has written and what it holds, byte by byte: the proof that a patient is forgotten.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use memchr::memmem::Finder;

/// Shorter words are found everywhere by chance.
const LETTERS_MIN: usize = 4;

/// Bytes looked at in one go. A word across the border of two pieces is found, because pieces overlap.
const PIECE: usize = 4 << 20;

/// One word of a patient, in every form in which a program may hold it.
pub struct Trace {
    word: String,
    forms: Vec<(&'static str, Finder<'static>)>,
    longest: usize,
}

impl Trace {
    /// A word to search: its UTF-8, UTF-16 (little endian) and Latin-1 bytes.
    ///
    /// # Errors
    /// When the word is too short to mean anything where it is found.
    pub fn of(word: &str) -> Result<Self> {
        if word.chars().count() < LETTERS_MIN {
            bail!("{word:?} is too short to search: {LETTERS_MIN} letters at least");
        }
        let utf8 = word.as_bytes().to_vec();
        let utf16: Vec<u8> = word.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let latin1: Option<Vec<u8>> = word.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect();
        let mut forms = vec![("UTF-8", utf8.clone()), ("UTF-16", utf16)];
        forms.extend(latin1.filter(|bytes| *bytes != utf8).map(|bytes| ("Latin-1", bytes)));
        let longest = forms.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or_default();
        let forms = forms.into_iter().map(|(form, bytes)| (form, Finder::new(&bytes).into_owned())).collect();
        Ok(Self { word: word.to_owned(), forms, longest })
    }

    /// A secret that is no word, under a name to tell it by.
    #[must_use]
    pub fn of_bytes(name: &str, bytes: &[u8]) -> Self {
        let forms = vec![("bytes", Finder::new(bytes).into_owned())];
        Self { word: name.to_owned(), forms, longest: bytes.len() }
    }
}

/// A trace that was found, and where.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The word.
    pub word: String,
    /// In which form.
    pub form: &'static str,
    /// The file, or the process and its mapping.
    pub place: String,
    /// Byte of the file, or address.
    pub at: u64,
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({}) in {} at {:#x}", self.word, self.form, self.place, self.at)
    }
}

/// Searches every file under the folders, and the names of the files themselves. Folders that are not there hold
/// nothing.
///
/// # Errors
/// When a file that is there cannot be read: what was not read was not searched.
pub fn search_files(folders: &[&Path], traces: &[Trace]) -> Result<Vec<Found>> {
    let mut found = BTreeSet::new();
    let mut waiting: Vec<PathBuf> =
        folders.iter().filter(|path| path.exists()).map(|path| path.to_path_buf()).collect();
    while let Some(path) = waiting.pop() {
        let kind = fs::symlink_metadata(&path)?.file_type();
        let place = path.display().to_string();
        search(place.as_bytes(), 0, &format!("the name of {place}"), traces, &mut found);
        if kind.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        } else if kind.is_file() {
            let file = File::open(&path).with_context(|| place.clone())?;
            let size = file.metadata()?.len();
            search_range(&file, 0..size, &place, traces, &mut found).with_context(|| place.clone())?;
        }
    }
    Ok(found.into_iter().collect())
}

/// Searches all that a running process can read of its own memory, its command line and its environment.
///
/// # Errors
/// When the process is gone or is not ours to read.
pub fn search_process(id: u32, traces: &[Trace]) -> Result<Vec<Found>> {
    let mut found = BTreeSet::new();
    for part in ["cmdline", "environ"] {
        let bytes = fs::read(format!("/proc/{id}/{part}")).with_context(|| format!("process {id}"))?;
        search(&bytes, 0, &format!("process {id} {part}"), traces, &mut found);
    }
    let maps = fs::read_to_string(format!("/proc/{id}/maps"))?;
    let memory = File::open(format!("/proc/{id}/mem"))?;
    let mut searched = 0_u64;
    for line in maps.lines() {
        // "55e0-55f0 r--p 00000000 08:02 1234  /usr/bin/cabin", proc_pid_maps(5).
        let mut parts = line.split_whitespace();
        let (Some(range), Some(rights)) = (parts.next(), parts.next()) else { continue };
        let title = parts.nth(3).unwrap_or("(anonymous)");
        let (start, end) = range.split_once('-').context("a line of maps")?;
        let range = u64::from_str_radix(start, 16)?..u64::from_str_radix(end, 16)?;
        // The kernel's own pages are not readable this way and hold no patient.
        if !rights.starts_with('r') || title.starts_with("[v") {
            continue;
        }
        let place = format!("process {id} {title}");
        // A mapping of a device, or past the end of its file, refuses: the rest is searched all the same.
        if search_range(&memory, range.clone(), &place, traces, &mut found).is_ok() {
            searched += range.end - range.start;
        }
    }
    if searched == 0 {
        bail!("no memory of process {id} could be read");
    }
    Ok(found.into_iter().collect())
}

fn search_range(
    file: &File,
    range: std::ops::Range<u64>,
    place: &str,
    traces: &[Trace],
    found: &mut BTreeSet<Found>,
) -> Result<()> {
    let overlap = traces.iter().map(|trace| trace.longest).max().unwrap_or_default() as u64;
    let mut piece = vec![0; PIECE];
    let mut at = range.start;
    while at < range.end {
        let wanted = usize::try_from((range.end - at).min(PIECE as u64))?;
        let read = file.read_at(&mut piece[..wanted], at)?;
        if read == 0 {
            break;
        }
        search(&piece[..read], at, place, traces, found);
        let next = at + read as u64;
        at = if next < range.end && read as u64 > overlap { next - overlap } else { next };
    }
    Ok(())
}

fn search(bytes: &[u8], start: u64, place: &str, traces: &[Trace], found: &mut BTreeSet<Found>) {
    for trace in traces {
        for (form, finder) in &trace.forms {
            for at in finder.find_iter(bytes) {
                let (word, place) = (trace.word.clone(), place.to_owned());
                found.insert(Found { word, form, place, at: start + at as u64 });
            }
        }
    }
}

/// Reads what a process uses now, in bytes: its proportional share of what it maps.
///
/// # Errors
/// When the process is gone.
pub fn used_by(id: u32) -> Result<u64> {
    let mut text = String::new();
    File::open(format!("/proc/{id}/smaps_rollup"))?.read_to_string(&mut text)?;
    let line = text.lines().find(|line| line.starts_with("Pss:")).context("Pss of a process")?;
    let kib: u64 = line.split_whitespace().nth(1).context("Pss of a process")?.parse()?;
    Ok(kib * 1024)
}

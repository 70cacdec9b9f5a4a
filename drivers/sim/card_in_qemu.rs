//! A simulated card in the smart card reader of QEMU: `usb-ccid`, with a `ccid-card-passthru` in it. To the system in
//! that machine it is a reader on USB; the card is whoever speaks at the other end of its chardev.
//!
//! Protocol, from libcacard's `vscard_common.h`: three numbers of 32 bits, most significant byte first (what it is, of
//! which reader, how many bytes follow), and the bytes. The reader answers to its power itself, and tells the card
//! nothing of it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::fd::OwnedFd;

use crate::card_vitale::{Chip, Kind};

/// What a message is.
const INIT: u32 = 1;
const READER_ADD: u32 = 3;
const ATR: u32 = 5;
const CARD_REMOVE: u32 = 6;
const APDU: u32 = 7;

/// "VSCD" as it stands on the line, the protocol's version 0.0.2, and no capabilities.
const INIT_BODY: [u8; 12] = *b"VSCD\x00\x00\x00\x02\x00\x00\x00\x00";
/// QEMU's reader has one number, whoever asks.
const READER: u32 = 0;
/// No command is longer, not even the longest of ISO/IEC 7816-4.
const MESSAGE_BYTES_MAX: usize = 0x1_0010;

/// The slot of that reader, as the card sees it. Dropped, a card in it is pulled out.
pub struct Slot {
    line: Arc<Mutex<Line>>,
    end: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

struct Line {
    port: File,
    card: Option<Inserted>,
    commands: Vec<Vec<u8>>,
}

struct Inserted {
    chip: Chip,
    commands_left: usize,
}

impl Slot {
    /// Opens the port that leads to the reader's chardev.
    ///
    /// # Errors
    /// There is no such port, or another has it open.
    pub fn open(port: &Path) -> io::Result<Slot> {
        let port = OpenOptions::new().read(true).write(true).open(port)?;
        let heard = port.try_clone()?;
        let end = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
        let line = Arc::new(Mutex::new(Line { port, card: None, commands: Vec::new() }));
        let (inside, until) = (line.clone(), end.clone());
        let thread = std::thread::Builder::new().name("sim card".into()).spawn(move || {
            while let Ok(Some((what, bytes))) = hear(&heard, &until) {
                // Else it answers to what it was told: it has nothing to refuse.
                if what == APDU && lock(&inside).obey(bytes).is_err() {
                    return;
                }
            }
        })?;
        Ok(Slot { line, end, thread: Some(thread) })
    }

    /// Puts a card in.
    ///
    /// # Errors
    /// The port is gone.
    pub fn insert(&self, kind: Kind) -> io::Result<()> {
        self.insert_for(kind, usize::MAX)
    }

    /// Puts a card in that leaves that command unanswered, and all after it.
    ///
    /// # Errors
    /// The port is gone.
    pub fn insert_for(&self, kind: Kind, silent_from: usize) -> io::Result<()> {
        let chip = Chip::new(kind);
        let atr = chip.answer_to_reset();
        let mut line = lock(&self.line);
        line.card = Some(Inserted { chip, commands_left: silent_from });
        line.commands.clear();
        // The reader may be another than that of the last card.
        line.say(INIT, &INIT_BODY)?;
        line.say(READER_ADD, &[])?;
        line.say(ATR, &atr)
    }

    /// Pulls the card out.
    ///
    /// # Errors
    /// The port is gone.
    pub fn pull(&self) -> io::Result<()> {
        lock(&self.line).pull()
    }

    /// What the card was asked so far, pulled out or not.
    pub fn commands(&self) -> Vec<Vec<u8>> {
        lock(&self.line).commands.clone()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let _ = self.pull();
        let _ = rustix::io::write(&*self.end, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Line {
    fn say(&mut self, what: u32, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let head = [what, READER, length].map(u32::to_be_bytes).concat();
        self.port.write_all(&[&head, bytes].concat())
    }

    fn pull(&mut self) -> io::Result<()> {
        if self.card.take().is_some() { self.say(CARD_REMOVE, &[]) } else { Ok(()) }
    }

    fn obey(&mut self, command: Vec<u8>) -> io::Result<()> {
        let Some(card) = &mut self.card else { return Ok(()) };
        card.commands_left = card.commands_left.saturating_sub(1);
        let answer = (card.commands_left > 0).then(|| card.chip.obey(&command));
        self.commands.push(command);
        answer.map_or(Ok(()), |answer| self.say(APDU, &answer))
    }
}

fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The next message: what it is, and its bytes. `None` at the end.
fn hear(mut port: &File, end: &OwnedFd) -> io::Result<Option<(u32, Vec<u8>)>> {
    let mut polled = [PollFd::new(port, PollFlags::IN), PollFd::new(end, PollFlags::IN)];
    poll(&mut polled, None)?;
    if !polled[1].revents().is_empty() {
        return Ok(None);
    }
    let mut head = [[0; 4]; 3];
    port.read_exact(head.as_flattened_mut())?;
    let [what, _, length] = head.map(u32::from_be_bytes);
    let length = usize::try_from(length).ok().filter(|length| *length <= MESSAGE_BYTES_MAX);
    let mut bytes = vec![0; length.ok_or_else(|| io::Error::other("no message is so long"))?];
    port.read_exact(&mut bytes)?;
    Ok(Some((what, bytes)))
}

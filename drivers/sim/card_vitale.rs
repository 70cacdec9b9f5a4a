//! A card in the virtual reader of `pcscd` (Debian: vsmartcard-vpcd). The reader listens on a TCP port; a card that
//! connects is put in, one that hangs up is pulled out.
//!
//! Protocol of the reader, from its documentation (frankmorgner/vsmartcard, virtualsmartcard/doc): messages of two
//! bytes of length, most significant first, and as many bytes. One byte: 0 power off, 1 power on, 2 reset, 4 "what is
//! your answer to reset?". More: a command, to be answered.
//!
//! The people on the cards are made up.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Port on which the virtual reader of Debian's configuration listens (/etc/reader.conf.d/vpcd).
pub const READER_PORT: u16 = 35963;

/// What lies in the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A carte Vitale of one person.
    Vitale,
    /// One of a family of nine, whose files are longer than one answer.
    Family,
    /// A carte Vitale that answers as cards with T=0 do: the length first, the data when it is fetched.
    VitaleByPieces,
    /// A carte Vitale whose files hold bytes that mean nothing.
    Garbage,
    /// One of the first cartes Vitale.
    FirstVitale,
    /// A health professional's card.
    Professional,
    /// Another card: it has none of the files.
    Bank,
}

/// A card in the reader. Dropped, it is pulled out.
pub struct Card {
    reader: TcpStream,
    thread: Option<JoinHandle<()>>,
    commands: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Card {
    /// Puts a card in the reader at that port of this machine.
    ///
    /// # Errors
    /// No reader listens there.
    pub fn insert(kind: Kind, port: u16) -> io::Result<Card> {
        Self::insert_for(kind, port, usize::MAX)
    }

    /// Puts a card in, and pulls it out when it has got that many commands, before it answers the last.
    ///
    /// # Errors
    /// No reader listens there.
    pub fn insert_for(kind: Kind, port: u16, commands_max: usize) -> io::Result<Card> {
        let reader = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        let commands = Arc::new(Mutex::new(Vec::new()));
        let (mut chip, inside) = (Chip::new(kind), commands.clone());
        let (left, mut line) = (AtomicUsize::new(commands_max), reader.try_clone()?);
        let thread = std::thread::Builder::new().name("sim card".into()).spawn(move || {
            while let Ok(message) = hear(&mut line) {
                let answer = match message[..] {
                    [4] => chip.answer_to_reset(),
                    [0..=2] => {
                        chip.reset();
                        continue;
                    }
                    _ => {
                        if let Ok(mut commands) = inside.lock() {
                            commands.push(message.clone());
                        }
                        if left.fetch_sub(1, Ordering::SeqCst) <= 1 {
                            break;
                        }
                        chip.obey(&message)
                    }
                };
                if say(&mut line, &answer).is_err() {
                    break;
                }
            }
            // Out, whoever ended it.
            let _ = line.shutdown(Shutdown::Both);
        })?;
        Ok(Card { reader, thread: Some(thread), commands })
    }

    /// What was asked of it so far.
    pub fn commands(&self) -> Vec<Vec<u8>> {
        self.commands.lock().map(|commands| commands.clone()).unwrap_or_default()
    }
}

impl Drop for Card {
    fn drop(&mut self) {
        let _ = self.reader.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn hear(line: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    line.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    line.read_exact(&mut message)?;
    Ok(message)
}

fn say(line: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
    line.write_all(&[&length.to_be_bytes(), message].concat())
}

/// Which folder of the card is selected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Folder {
    Master,
    Vitale,
}

pub(crate) struct Chip {
    kind: Kind,
    folder: Folder,
    /// The current file: short file 2 of a folder, once it was read.
    file: Option<Folder>,
    /// An answer that waits to be fetched.
    waiting: Vec<u8>,
}

impl Chip {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, folder: Folder::Master, file: None, waiting: Vec::new() }
    }

    fn reset(&mut self) {
        *self = Self::new(self.kind);
    }

    pub(crate) fn answer_to_reset(&self) -> Vec<u8> {
        match self.kind {
            Kind::Vitale | Kind::Garbage => vec![0x3B, 0x75, 0x13, 0, 0, 0x43, 0x09, 0xEA, 0x90, 0],
            Kind::Family | Kind::VitaleByPieces => vec![0x3B, 0x75, 0x13, 0, 0, 0x46, 0x09, 0xEA, 0x90, 0],
            Kind::FirstVitale => vec![0x3F, 0x65, 0x25, 0, 0x2C, 0x09, 0x69, 0x90, 0],
            Kind::Professional => {
                vec![0x3B, 0xAC, 0, 0x40, 0x2A, 0, 0x12, 0x25, 0, 0x64, 0x80, 0, 0x03, 0x10, 0, 0x90, 0]
            }
            // ISO/IEC 7816-3 with the historical bytes "CARTE".
            Kind::Bank => b"\x3B\x65\x00\x00CARTE".to_vec(),
        }
    }

    pub(crate) fn obey(&mut self, command: &[u8]) -> Vec<u8> {
        if matches!(self.kind, Kind::Bank | Kind::Professional | Kind::FirstVitale) {
            return vec![0x6A, 0x82];
        }
        match command {
            [0, 0xA4, 0, 0, 2, 0x3F, 0x00, ..] => {
                self.folder = Folder::Master;
                vec![0x90, 0]
            }
            [0, 0xA4, 4, 0, 0x0B, name @ ..] if name.starts_with(b"\xD2\x50\0\0\x02VITALE") => {
                self.folder = Folder::Vitale;
                self.answer(b"\x6F\x04\x84\x02VI", 0)
            }
            [0, 0xB0, 0x82, from, length] => {
                self.file = Some(self.folder);
                let file = self.content(self.folder);
                self.read(&file, usize::from(*from), *length)
            }
            [0, 0xB0, high @ 0..=0x7F, low, length] => match self.file {
                Some(folder) => {
                    let file = self.content(folder);
                    self.read(&file, usize::from(u16::from_be_bytes([*high, *low])), *length)
                }
                None => vec![0x69, 0x86],
            },
            [0, 0xC0, 0, 0, length] => {
                let most = if *length == 0 { 256 } else { usize::from(*length) };
                let part: Vec<u8> = self.waiting.drain(..self.waiting.len().min(most)).collect();
                [&part[..], &[0x90, 0]].concat()
            }
            _ => vec![0x6D, 0x00],
        }
    }

    fn read(&mut self, file: &[u8], from: usize, length: u8) -> Vec<u8> {
        let Some(left) = file.get(from..).filter(|left| !left.is_empty()) else { return vec![0x6B, 0] };
        let most = if length == 0 { 256 } else { usize::from(length) };
        let part = &left[..left.len().min(most)];
        if part.len() == most || length == 0 && self.kind != Kind::Family {
            return self.answer(part, length);
        }
        [part, &[0x62, 0x82]].concat()
    }

    fn answer(&mut self, data: &[u8], length: u8) -> Vec<u8> {
        match self.kind {
            Kind::VitaleByPieces if length == 0 && !data.is_empty() => {
                self.waiting = data.to_vec();
                vec![0x61, u8::try_from(data.len()).unwrap_or(0)]
            }
            _ => [data, &[0x90, 0]].concat(),
        }
    }

    /// Short file 2 of a folder.
    fn content(&self, folder: Folder) -> Vec<u8> {
        let people: &[(&str, &str, &str, &str)] = match self.kind {
            Kind::Family => &[
                ("GARNIER-ESSAI", "MARGUERITE ANNE", "19810717", "281071234567817"),
                ("GARNIER-ESSAI", "PAUL", "20110203", "281071234567817"),
                ("GARNIER-ESSAI", "LUCIE", "20130000", "281071234567817"),
                ("GARNIER-ESSAI", "JULES", "20150405", "281071234567817"),
                ("GARNIER-ESSAI", "EMMA", "20170405", "281071234567817"),
                ("GARNIER-ESSAI", "ADAM", "20180405", "281071234567817"),
                ("GARNIER-ESSAI", "JADE", "20190405", "281071234567817"),
                ("GARNIER-ESSAI", "NOE", "20200405", "281071234567817"),
                ("GARNIER-ESSAI", "ALICE", "20210405", "281071234567817"),
            ],
            _ => &[("DUBOIS-ESSAI", "\u{c9}L\u{c9}ONORE", "19790328", "279035121518989")],
        };
        let mut file = Vec::new();
        for (family, given, born, number) in people {
            let fields = match folder {
                Folder::Master => vec![(0x80, padded(family, 27)), (0x81, padded(given, 25)), (0x82, padded(born, 8))],
                Folder::Vitale => vec![(0x93, padded(number, 15)), (0x90, b"F".to_vec())],
            };
            let mut holder = Vec::new();
            for (tag, value) in fields {
                holder.extend([tag, value.len() as u8]); // at most 27
                holder.extend(value);
            }
            file.extend([0x65, holder.len() as u8]); // at most 66
            file.extend(holder);
        }
        if self.kind == Kind::Garbage {
            // Every length too long by far.
            return (0..97u8).map(|n| n.wrapping_mul(37) | 0x70).collect();
        }
        file.extend([0; 24]);
        file
    }
}

/// In Latin-1, filled with spaces.
fn padded(text: &str, width: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
    bytes.resize(width.max(bytes.len()), b' ');
    bytes
}

//! The configuration of a cabin: one TOML file, read by the cabin and checked by `cabinctl config check`.
//!
//! Every mistake is found in one reading, and names the file, the line, the field and what is expected there. Nothing
//! is guessed: an unknown field is a mistake. Paths are relative to the folder of the file. `example.toml` beside this
//! source shows every field.
#![forbid(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeTable;

mod fixtures;
mod reader;
mod sections;

use reader::Notes;

/// Longest file read, bytes. A longer one is no configuration.
pub const FILE_MAX: u64 = 256 * 1024;
/// Most devices of a cabin.
pub const DEVICES_MAX: usize = 32;
/// Most pharmacists of a cabin.
pub const PHARMACISTS_MAX: usize = 64;
/// Most STUN addresses, and most TURN servers.
pub const RELAYS_MAX: usize = 8;

/// Everything that a cabin is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it stands.
    pub site: Site,
    /// The physicians' side.
    pub desk: Desk,
    /// How the call finds its way.
    pub call: Call,
    /// What is plugged in.
    pub devices: Vec<Device>,
    /// Camera and sound.
    pub media: Media,
    /// Otoscope, dermatoscope, stethoscope.
    pub instruments: Instruments,
    /// What else stands in it.
    pub fixtures: Fixtures,
    /// Where documents are printed; `None`: shown as a code to scan.
    pub printer: Option<String>,
    /// The screen.
    pub screen: Screen,
    /// Who may open the cabin.
    pub pharmacists: Vec<Pharmacist>,
    /// When a patient is taken to have left.
    pub inactivity: Inactivity,
    /// Socket of `cabin-outbox`.
    pub outbox_socket: PathBuf,
    /// Folder in which the cabin keeps what outlives a consultation (nothing of a patient).
    pub data_dir: PathBuf,
}

/// Where the cabin stands. The address is read out to the rescue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Name that patients know.
    pub name: String,
    /// What kind of place.
    pub kind: SiteKind,
    /// Address, line by line, as told to the rescue.
    pub address: Vec<String>,
    /// Town.
    pub town: String,
    /// FINESS number of the establishment, 9 characters.
    pub finess: Option<String>,
    /// Language of the welcome screen.
    pub language: Language,
}

/// What kind of place the cabin stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteKind {
    /// A pharmacy.
    Pharmacy,
    /// A town hall or another public office.
    TownHall,
    /// A health centre or group practice.
    HealthCentre,
    /// A home for elderly people.
    CareHome,
    /// A vehicle.
    Mobile,
}

/// A language of the screens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// French.
    French,
    /// English.
    English,
}

impl Language {
    /// ISO 639-1 code.
    pub fn code(self) -> &'static str {
        match self {
            Language::French => "fr",
            Language::English => "en",
        }
    }
}

/// The physicians' side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desk {
    /// Address: `https://…`, or `http://…` on loopback only.
    pub url: String,
    /// Authority that signed the desk's certificate, PEM; `None`: the public ones.
    pub ca_file: Option<PathBuf>,
    /// Whether a patient whom no physician can see may ask to be called back: false where nobody rings back.
    pub call_back: bool,
    /// Whether the pharmacist may ask a specialist where no physician can be seen: false where none answers.
    pub second_opinion: bool,
    /// How long such a patient may come back with a code, hours (0 to 168; 48 unless set); 0: it is not offered.
    pub come_back_hours: u16,
}

/// How the call finds its way through networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Whether picture and sound go through relays alone: no address of the site is told to the physician's browser.
    pub relays_only: bool,
    /// STUN servers, `stun:host:port`.
    pub stun: Vec<String>,
    /// TURN servers. Empty: those that the desk gives.
    pub turn: Vec<Turn>,
    /// Authority that signed the certificates of `turns:` servers, PEM; `None`: the desk's, and the system's.
    pub ca_file: Option<PathBuf>,
}

/// A TURN server.
#[derive(Clone, PartialEq, Eq)]
pub struct Turn {
    /// `turn:host:port` (UDP), `turn:host:port?transport=tcp` or `turns:host:port` (TLS).
    pub url: String,
    /// Account.
    pub username: String,
    /// File with its password.
    pub password_file: PathBuf,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turn({})", self.url)
    }
}

/// A device bound to where it is plugged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Name, unique in the cabin.
    pub name: String,
    /// Key of the model (`drivers::MODELS`).
    pub model: String,
    /// Where it is plugged.
    pub port: DevicePort,
    /// Line of the file, for what is found wrong later.
    pub line: usize,
}

/// Where a device is plugged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DevicePort {
    /// udev's `ID_PATH`: the socket.
    IdPath(String),
    /// udev's `ID_SERIAL_SHORT`: the adapter.
    Serial(String),
    /// A file.
    Path(PathBuf),
    /// A USB device that has no serial port: `10c4:ea80`, then `/SERIAL` or `@SOCKET` if several are alike.
    Usb(String),
    /// `host:port`: a simulator, or a device on a network of its own.
    Tcp(String),
}

/// What stands in the cabin and measures nobody; `None`: there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fixtures {
    /// Where a carte Vitale is read; else the identity is typed.
    pub card_reader: Option<CardReader>,
    /// The lamp that tells those outside how the cabin is.
    pub light: Option<Light>,
    /// The door's contact.
    pub door: Option<Door>,
    /// The radar that notices whether somebody is in.
    pub presence: Option<Presence>,
    /// The scanner of codes.
    pub scanner: Option<Scanner>,
    /// Where receipts are printed.
    pub receipt_printer: Option<ReceiptPrinter>,
}

/// A code scanner on a serial line, a camera before which codes are held, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanner {
    /// Its line.
    pub port: Option<DevicePort>,
    /// The camera: as an instrument's, or the file of a picture (`….png`).
    pub camera: Option<String>,
    /// Bits a second.
    pub baud: u32,
    /// Identities for tests are taken too: never where patients are.
    pub takes_tests: bool,
}

/// An ESC/POS printer of receipts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptPrinter {
    /// Where it is.
    pub at: PrinterPort,
    /// Its paper is 80 mm wide; else 58 mm.
    pub is_wide: bool,
    /// Its letters are Windows-1252; else code page 858.
    pub is_windows: bool,
    /// It has a knife.
    pub cuts: bool,
}

/// Where a receipt printer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrinterPort {
    /// A serial line.
    Serial {
        /// The port.
        port: DevicePort,
        /// Bits a second.
        baud: u32,
    },
    /// The file of the kernel's USB printer driver.
    File(PathBuf),
    /// Host, and perhaps `:port`.
    Network(String),
}

/// A lamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Light {
    /// `27b8:01ed`, then `/SERIAL` or `@SOCKET` if several are alike.
    pub usb: String,
}

/// A door's contact on a modem line of a serial adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// The adapter.
    pub port: DevicePort,
    /// The line.
    pub line: DoorLine,
    /// The door is closed when the line is up: the closed door makes the contact.
    pub closed_when_up: bool,
}

/// An input of a serial adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorLine {
    /// Clear to send.
    Cts,
    /// Data set ready.
    Dsr,
    /// Data carrier detect.
    Dcd,
    /// Ring indicator.
    Ri,
}

/// A presence radar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Its line.
    pub port: DevicePort,
    /// Farther is outside, centimetres.
    pub within_cm: u16,
    /// Nobody is in when nobody was seen for that long.
    pub hold: Duration,
}

/// A smart card reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardReader {
    /// Part of its name; `None`: any.
    pub name: Option<String>,
}

/// Camera, microphone and loudspeaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// Camera.
    pub camera: Source,
    /// Microphone.
    pub microphone: Source,
    /// Loudspeaker or headset.
    pub speaker: Source,
    /// The size of the picture sent.
    pub picture: PictureSize,
}

/// The size of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureSize {
    /// Pixels across, 160 to 1,920, even.
    pub width: u32,
    /// Pixels down, 120 to 1,080, even.
    pub height: u32,
}

/// Instruments that see and hear. `test`: a test picture or sound; else a file (`/dev/v4l/by-id/…`), an ALSA name
/// (`hw:1,0`), or `usb=VENDOR:PRODUCT` with `/SERIAL` or `@SOCKET`, as `cabinctl camera list` shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instruments {
    /// Looks into the ear.
    pub otoscope: Option<String>,
    /// Looks at the skin.
    pub dermatoscope: Option<String>,
    /// Hears heart and lungs.
    pub stethoscope: Option<String>,
}

/// Which camera, microphone or loudspeaker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The first that is there; if none, the test picture or sound, said on the screen.
    Auto,
    /// The test picture or sound.
    Test,
    /// None: nothing is sent, or heard.
    Off,
    /// That one: `/dev/video0`, or the name of an ALSA or PipeWire device.
    Named(String),
}

/// The screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Width of the window, pixels.
    pub width: u32,
    /// Height of the window, pixels.
    pub height: u32,
    /// Fills the screen, without a frame nor a way out.
    pub kiosk: bool,
}

/// Somebody who may open the cabin.
#[derive(Clone, PartialEq, Eq)]
pub struct Pharmacist {
    /// Short and stable: it goes into the journal.
    pub id: String,
    /// Name shown.
    pub name: String,
    /// argon2id hash of the PIN, in PHC form.
    pub pin_hash: String,
}

impl fmt::Debug for Pharmacist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pharmacist({})", self.id)
    }
}

/// When a patient is taken to have left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inactivity {
    /// Without a touch for that long, the screen asks whether somebody is there.
    pub warn_after: Duration,
    /// Without an answer for that long, everything is forgotten.
    pub forget_after: Duration,
    /// The pharmacist's screens give way to the patient's without a touch for that long.
    pub pharmacist_after: Duration,
}

/// One mistake of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Line, from 1; 0 when it is the file as a whole.
    pub line: usize,
    /// The field, e.g. `device 2.model`.
    pub key: String,
    /// What is expected there.
    pub expected: String,
}

/// Why a file is not taken: all its mistakes. Mend them and check again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigMistakes {
    /// The file.
    pub file: PathBuf,
    /// In order of their lines; never empty.
    pub mistakes: Vec<Mistake>,
}

impl fmt::Display for ConfigMistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, mistake) in self.mistakes.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            let file = self.file.display();
            match mistake.line {
                0 => write!(f, "{file}: {}: {}", mistake.key, mistake.expected)?,
                line => write!(f, "{file}:{line}: {}: {}", mistake.key, mistake.expected)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigMistakes {}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Every mistake in it; or the one that it cannot be read.
    pub fn load(path: impl AsRef<Path>) -> Result<Config, ConfigMistakes> {
        let path = path.as_ref();
        let whole = |expected: String| ConfigMistakes {
            file: path.to_owned(),
            mistakes: vec![Mistake { line: 0, key: "file".into(), expected }],
        };
        let mut text = String::new();
        File::open(path)
            .and_then(|file| file.take(FILE_MAX + 1).read_to_string(&mut text))
            .map_err(|error| whole(format!("a readable file: {error}")))?;
        if text.len() as u64 > FILE_MAX {
            return Err(whole(format!("at most {FILE_MAX} bytes")));
        }
        Config::parse(&text, path)
    }

    /// Checks the text of a file; `path` is its place, to which paths in it are relative.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigMistakes> {
        let mut notes = Notes::new(text);
        let config = match DeTable::parse(text) {
            Ok(table) => sections::read(&table, path.parent().unwrap_or(Path::new("")), &mut notes),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                notes.note(at, "TOML", error.message().trim().replace('\n', "; "));
                None
            }
        };
        let mut mistakes = notes.mistakes;
        mistakes.sort_by_key(|mistake| mistake.line);
        match config {
            Some(config) if mistakes.is_empty() => Ok(config),
            _ => Err(ConfigMistakes { file: path.to_owned(), mistakes }),
        }
    }

    /// Checks that every device's model is one of `known` (`drivers::MODELS`): this crate knows no models.
    ///
    /// # Errors
    /// One mistake for each device of another model.
    pub fn check_models(&self, file: &Path, known: &[&str]) -> Result<(), ConfigMistakes> {
        let mistakes: Vec<Mistake> = self
            .devices
            .iter()
            .enumerate()
            .filter(|(_, device)| !known.contains(&device.model.as_str()))
            .map(|(number, device)| Mistake {
                line: device.line,
                key: format!("device {}.model", number + 1),
                expected: format!("one of {}; this is {:?}", known.join(", "), device.model),
            })
            .collect();
        if mistakes.is_empty() { Ok(()) } else { Err(ConfigMistakes { file: file.to_owned(), mistakes }) }
    }
}

#[cfg(test)]
mod tests;

//! A card reader: the real card service with its virtual reader, for one cabin only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sim::card_vitale::{Card, Kind, READER_PORT};

use crate::process::{PATIENCE, Process, until};

const SERVICE: &str = "/usr/sbin/pcscd";
const DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";

/// What is missing for a virtual reader, if anything.
#[must_use]
pub fn missing() -> Option<&'static str> {
    [SERVICE, DRIVER].into_iter().find(|file| !Path::new(file).exists())
}

/// A service that runs, on a socket of its own. Ended when dropped.
pub struct CardReader {
    _service: Process,
    folder: PathBuf,
}

impl CardReader {
    /// Starts the service. Its socket has one place in the whole machine: it gets a /run of its own.
    ///
    /// # Errors
    /// When it does not start, with its last words.
    pub fn start(folder: &Path) -> Result<Self> {
        let folder = folder.join("card-reader");
        fs::create_dir_all(folder.join("pcscd"))?;
        fs::create_dir_all(folder.join("readers"))?;
        let reader = format!(
            "FRIENDLYNAME \"Virtual PCD\"\nDEVICENAME /dev/null:{READER_PORT}\nLIBPATH {DRIVER}\nCHANNELID {READER_PORT}\n"
        );
        fs::write(folder.join("readers/vpcd"), reader)?;
        let mut command = Command::new("unshare");
        command.args([
            "-rm",
            "sh",
            "-c",
            "mount --rbind \"$1\" /run && exec \"$2\" --foreground -c \"$1/readers\"",
            "sh",
        ]);
        command.arg(&folder).arg(SERVICE);
        let mut service = Process::start("pcscd", command, &folder)?;
        let socket = folder.join("pcscd/pcscd.comm");
        until("the card service to listen", PATIENCE, || {
            service.check_alive()?;
            Ok(socket.exists().then_some(()))
        })?;
        Ok(Self { _service: service, folder })
    }

    /// Where a program finds the service: the value of `PCSCLITE_CSOCK_NAME`.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join("pcscd/pcscd.comm")
    }

    /// Puts a card in; dropping it takes it out.
    ///
    /// # Errors
    /// When the virtual reader does not listen.
    pub fn insert(&self, kind: Kind) -> Result<Card> {
        until("the virtual reader to take a card", PATIENCE, || Ok(Card::insert(kind, READER_PORT).ok()))
            .context("is its port taken by another?")
    }
}

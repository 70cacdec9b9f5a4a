//! A printer: `ippeveprinter` of CUPS, a real IPP Everywhere printer that keeps every file that it is sent.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{Process, free_port};

/// A printer's place on the network and its folder, whether it is on or not.
pub struct Printer {
    // Dropped before the bus that it speaks to.
    running: Option<(Process, Process)>,
    folder: PathBuf,
    port: u16,
}

impl Printer {
    /// Takes a port for a printer that is not on yet; what it prints will be kept in `folder/printer`.
    ///
    /// # Errors
    /// When there is no port or no folder to be had.
    pub fn off(folder: &Path) -> Result<Self> {
        let folder = folder.join("printer");
        fs::create_dir_all(&folder)?;
        Ok(Self { running: None, folder, port: free_port()? })
    }

    /// Its address, as a cabin's settings have it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("ipp://localhost:{}/ipp/print", self.port)
    }

    /// Switches it on, and waits until it serves.
    ///
    /// # Errors
    /// Names the program that is missing, with its last words.
    pub fn switch_on(&mut self) -> Result<()> {
        // It will not start without a system bus to announce itself on: it gets one where nobody listens.
        let mut command = Command::new("dbus-daemon");
        command.args(["--session", "--nofork", "--print-address=1"]);
        command.arg(format!("--address=unix:dir={}", self.folder.display()));
        let mut bus = Process::start("printer-bus", command, &self.folder)?;
        let address = bus.wait_for_line("unix:")?;
        let mut command = Command::new("ippeveprinter");
        command.args(["-k", "-v", "-n", "localhost", "-r", "off", "-f", "application/pdf", "-s", "6000"]);
        command.args(["-p", &self.port.to_string(), "-d"]).arg(&self.folder).arg("Cabin");
        command.env("DBUS_SYSTEM_BUS_ADDRESS", address.trim());
        let mut printer =
            Process::start("ippeveprinter", command, &self.folder).context("the package is cups-ipp-utils")?;
        printer.wait_for_port(self.port)?;
        self.running = Some((printer, bus));
        Ok(())
    }

    /// Every file that came out, oldest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn printed(&self) -> Result<Vec<Vec<u8>>> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|ending| ending == "pdf") {
                    files.push((fs::metadata(&path)?.modified()?, path));
                }
            }
        }
        files.sort();
        files.into_iter().map(|(_, path)| Ok(fs::read(path)?)).collect()
    }
}

//! A TURN server of the test's own: a real coturn on loopback, whose accounts the desk makes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::{Process, free_port};

/// What coturn and the desk both know.
const SECRET: &str = "north";

/// A relay, running or not.
pub struct Relay {
    folder: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl Relay {
    /// Starts it, over UDP and TCP.
    ///
    /// # Errors
    /// When coturn (Debian package `coturn`) is not installed or does not listen.
    pub fn start(folder: &Path) -> Result<Self> {
        let mut relay = Self { folder: folder.to_owned(), port: free_port()?, process: None };
        relay.start_again()?;
        Ok(relay)
    }

    /// Starts it where it was.
    ///
    /// # Errors
    /// As [`Relay::start`].
    pub fn start_again(&mut self) -> Result<()> {
        let file = |name: &str| self.folder.join(name).display().to_string();
        let mut command = Command::new("turnserver");
        command
            .args(["-n", "--no-tls", "--no-dtls", "--no-cli", "--simple-log", "--log-file=stdout"])
            .args(["--allow-loopback-peers", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1"])
            .args(["--realm=relay.test", "--use-auth-secret"])
            .arg(format!("--static-auth-secret={SECRET}"))
            .arg(format!("--listening-port={}", self.port))
            .arg(format!("--userdb={}", file("relay-users")))
            .arg(format!("--pidfile={}", file("relay-pid")));
        let mut process = Process::start("turnserver", command, &self.folder)?;
        process.wait_for_port(self.port)?;
        self.process = Some(process);
        Ok(())
    }

    /// Takes it away as a power cut would.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().map_or(Ok(()), |process| process.kill_minus_nine().map(drop))
    }

    /// The desk of this folder lends it from its next start on.
    ///
    /// # Errors
    /// When its configuration cannot be written.
    pub fn is_lent_by(&self, desk_folder: &Path) -> Result<()> {
        let file = desk_folder.join("desk.toml");
        let settings = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let ice = format!(
            "\n[[ice]]\nurls = [\"turn:127.0.0.1:{port}\", \"turn:127.0.0.1:{port}?transport=tcp\"]\nshared_secret = {SECRET:?}\n",
            port = self.port
        );
        Ok(fs::write(&file, settings + &ice)?)
    }
}

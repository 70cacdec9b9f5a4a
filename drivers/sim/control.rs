//! A folder of simulators with a control socket: what `sim --dir` runs and `sim ctl` talks to.
//!
//! The socket takes lines `NAME COMMAND...` and answers each with a line `ok ...` or `error ...`.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::Simulator;

/// Names under which four models are always plugged, and their models.
pub const NAMES: [(&str, &str); 4] = [
    ("oximeter", "oximeter_nonin"),
    ("cuff", "blood_pressure_suntech"),
    ("scale", "scale_health_o_meter"),
    ("thermometer", "thermometer_taidoc"),
];

/// Longest line taken on the socket.
const LINE_MAX: u64 = 1024;

/// Simulated devices of one control socket. Dropping it unplugs them and removes the socket.
pub struct Bench {
    simulators: Arc<Vec<(String, Simulator)>>,
    socket: PathBuf,
    ended: Arc<AtomicBool>,
    listener: Option<JoinHandle<()>>,
}

impl Bench {
    /// Plugs all four in, and `more` (names and models): `dir/oximeter`, `dir/cuff`, `dir/scale`, `dir/thermometer`,
    /// and listens on `dir/control`.
    ///
    /// # Errors
    /// A folder that cannot be written, a model that is none, or no pseudo-terminal left.
    pub fn start(dir: &Path, more: &[(&str, &str)]) -> io::Result<Bench> {
        std::fs::create_dir_all(dir)?;
        let simulators = NAMES
            .iter()
            .chain(more)
            .map(|(name, model)| Ok(((*name).to_owned(), Simulator::start(model, &dir.join(name))?)))
            .collect::<io::Result<Vec<_>>>()?;
        Self::obey(dir, simulators)
    }

    /// Plugs the thermometer into USB ([`Simulator::start_on_usb`]), and listens on `dir/control`.
    ///
    /// # Errors
    /// A folder that cannot be written, or no virtual USB port.
    pub fn start_on_usb(dir: &Path) -> io::Result<Bench> {
        std::fs::create_dir_all(dir)?;
        Self::obey(dir, vec![("thermometer".to_owned(), Simulator::start_on_usb("thermometer_taidoc", 0)?)])
    }

    fn obey(dir: &Path, simulators: Vec<(String, Simulator)>) -> io::Result<Bench> {
        let simulators = Arc::new(simulators);
        let socket = dir.join("control");
        // One left by a simulator that was killed.
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)?;
        let ended = Arc::new(AtomicBool::new(false));
        let (inside, simulators_inside) = (ended.clone(), simulators.clone());
        let thread = std::thread::Builder::new().name("sim control".into()).spawn(move || {
            for stream in listener.incoming() {
                if inside.load(Ordering::SeqCst) {
                    return;
                }
                // One at a time: a controller that says nothing is cut off.
                if let Ok(stream) = stream {
                    let _ = serve(&stream, &simulators_inside);
                }
            }
        })?;
        Ok(Bench { simulators, socket, ended, listener: Some(thread) })
    }

    /// All of them, with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Simulator)> {
        self.simulators.iter().map(|(name, simulator)| (name.as_str(), simulator))
    }

    /// One of them, by its name.
    pub fn simulator(&self, name: &str) -> Option<&Simulator> {
        self.simulators.iter().find(|(n, _)| *n == name).map(|(_, simulator)| simulator)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = UnixStream::connect(&self.socket);
        if let Some(thread) = self.listener.take() {
            let _ = thread.join();
        }
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn serve(stream: &UnixStream, simulators: &[(String, Simulator)]) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut lines = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if lines.by_ref().take(LINE_MAX).read_line(&mut line)? == 0 {
            return Ok(());
        }
        let answer = match line.trim().split_once(' ') {
            Some((name, command)) => match simulators.iter().find(|(n, _)| *n == name) {
                Some((_, simulator)) => simulator.command(command),
                None => {
                    let names: Vec<_> = simulators.iter().map(|(name, _)| name.as_str()).collect();
                    Err(format!("no device {name:?}: {}", names.join(", ")))
                }
            },
            None => Err(format!("expected: NAME COMMAND, with {}", crate::COMMANDS)),
        };
        let mut stream = stream;
        match answer {
            Ok(text) => writeln!(stream, "ok {text}")?,
            Err(text) => writeln!(stream, "error {text}")?,
        }
    }
}

/// Sends one command to the simulators of a folder.
///
/// # Errors
/// No simulator there, or what was wrong with the command.
pub fn ask(dir: &Path, command: &str) -> Result<String, String> {
    let socket = dir.join("control");
    let mut stream =
        UnixStream::connect(&socket).map_err(|error| format!("no simulators at {}: {error}", socket.display()))?;
    writeln!(stream, "{command}").map_err(|error| error.to_string())?;
    stream.shutdown(std::net::Shutdown::Write).map_err(|error| error.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
    match answer.trim().split_once(' ') {
        Some(("ok", text)) => Ok(text.to_owned()),
        Some((_, text)) => Err(text.to_owned()),
        None => Err("the simulators ended".into()),
    }
}

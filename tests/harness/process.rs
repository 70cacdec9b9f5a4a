//! A program that a test started: named, logged to a file, ended by its own process id whatever happens.

use std::fs::{self, File};
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

/// How long a condition may take before the test gives up. Long, because two cores may be shared by several
/// builds; a test that passes never waits for it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long a program gets to end by itself after being asked, before it is killed.
const FAREWELL: Duration = Duration::from_secs(5);

/// Between two looks at a condition that sends no event.
pub const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks at `condition` until it gives a value, at most `patience`: for what sends no event to wait for, such as the
/// log of another program, a port of it, the tree of its screen.
///
/// # Errors
/// What was awaited, for how long, and the last reason that the condition gave.
pub fn until<T>(what: &str, patience: Duration, mut condition: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let give_up_at = Instant::now() + patience;
    loop {
        let reason = match condition() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        if Instant::now() >= give_up_at {
            let waited = format!("waited {} s for {what}", patience.as_secs());
            return Err(match reason {
                Some(reason) => reason.context(waited),
                None => anyhow!(waited),
            });
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// A port on loopback that nothing listens to now.
///
/// # Errors
/// When the system has no port left.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The folder of this build's programs (`target/debug`), found from the running test's own path.
///
/// # Errors
/// When the test does not run from a cargo target folder.
pub fn programs_folder() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let mut folder = own.parent();
    while let Some(at) = folder {
        if at.join(".fingerprint").is_dir() {
            return Ok(at.to_path_buf());
        }
        folder = at.parent();
    }
    bail!("{} is not inside a cargo target folder", own.display())
}

/// The folder of what `tests/tools/install` builds or fetches for the tests (`target/tools`).
///
/// # Errors
/// As [`programs_folder`].
pub fn tools_folder() -> Result<PathBuf> {
    Ok(programs_folder()?.parent().context("the folder of the target")?.join("tools"))
}

/// The path of one of the workspace's programs.
///
/// # Errors
/// Says how to build it when it is not there, or is older than one of its sources: a test of one package builds no
/// other package's program.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = programs_folder()?.join(name);
    let build = "run `cargo build --workspace --all-targets` (make test does)";
    let Ok(built) = fs::metadata(&path).and_then(|file| file.modified()) else {
        bail!("{} is not built: {build}", path.display());
    };
    // "target/debug/cabin: /src/a.rs /src/b.rs", a space in a name written "\\ " (cargo's dep-info file).
    let sources = fs::read_to_string(path.with_extension("d")).unwrap_or_default().replace("\\ ", "\0");
    let newer = sources.split_whitespace().skip(1).map(|source| source.replace('\0', " ")).find(|source| {
        let changed = fs::metadata(source).and_then(|file| file.modified());
        Path::new(source).is_file() && changed.is_ok_and(|changed| changed > built)
    });
    match newer {
        Some(source) => bail!("{} is older than {source}: {build}", path.display()),
        None => Ok(path),
    }
}

/// A running program. Dropping it ends it, by its process id.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with no standard input and both outputs in `folder/name.log`. The system ends the
    /// program too if the thread that starts it dies, so a killed test leaves nothing behind.
    ///
    /// # Errors
    /// When the log cannot be made or the program cannot be started.
    pub fn start(name: &str, command: Command, folder: &Path) -> Result<Self> {
        Self::start_with(name, command, folder, libc::SIGKILL)
    }

    fn start_with(name: &str, mut command: Command, folder: &Path, last_word: libc::c_int) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // SAFETY: prctl is async-signal-safe, and the closure touches nothing else of this process.
        unsafe {
            command.pre_exec(move || match libc::prctl(libc::PR_SET_PDEATHSIG, last_word) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().with_context(|| format!("cannot start {name} ({program}): is it installed?"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The name given at the start.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its two outputs go.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// What it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        let mut bytes = Vec::new();
        // A log that cannot be read is an empty log: this only feeds messages and waits.
        if let Ok(mut file) = File::open(&self.log) {
            let _ = file.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Fails with the end of the log when the program has ended by itself.
    ///
    /// # Errors
    /// The program's name, how it ended, and its last lines.
    pub fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended by itself ({status}); its last words:\n{}", self.name, self.last_words()),
        }
    }

    /// Waits for a line of the log that holds `part`, and gives the line.
    ///
    /// # Errors
    /// When the program ends first or the line does not come; with the end of the log.
    pub fn wait_for_line(&mut self, part: &str) -> Result<String> {
        let name = self.name.clone();
        let found = until(&format!("{part:?} in the log of {name}"), PATIENCE, || {
            let line = self.log().lines().find(|line| line.contains(part)).map(str::to_owned);
            if line.is_none() && self.child.try_wait()?.is_some() {
                return Ok(Some(None));
            }
            Ok(line.map(Some))
        })
        .with_context(|| format!("the last words of {name}:\n{}", self.last_words()))?;
        match found {
            Some(line) => Ok(line),
            None => {
                self.check_alive()?;
                bail!("{name} ended")
            }
        }
    }

    /// Waits for a TCP port of loopback to answer.
    ///
    /// # Errors
    /// When the program ends first or nothing listens; with the end of the log.
    pub fn wait_for_port(&mut self, port: u16) -> Result<()> {
        let name = self.name.clone();
        until(&format!("{name} to listen on port {port}"), PATIENCE, || {
            if self.child.try_wait()?.is_some() {
                return Ok(Some(()));
            }
            Ok(std::net::TcpStream::connect(("127.0.0.1", port)).ok().map(drop))
        })
        .with_context(|| format!("the last words of {name}:\n{}", self.last_words()))?;
        self.check_alive()
    }

    /// Ends it at once, as a power cut would.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill_minus_nine(mut self) -> Result<ExitStatus> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    /// Asks it to end (SIGTERM) and says how it ended.
    ///
    /// # Errors
    /// When it had to be killed, which is a fault of the program.
    pub fn end(mut self) -> Result<ExitStatus> {
        let status = self.farewell()?;
        if status.signal() == Some(libc::SIGKILL) {
            bail!(
                "{} did not end within {} s of being asked; its last words:\n{}",
                self.name,
                FAREWELL.as_secs(),
                self.last_words()
            );
        }
        Ok(status)
    }

    fn farewell(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        // SAFETY: the child is ours and not waited for yet, so its id cannot belong to another process.
        unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) };
        let asked_at = Instant::now();
        while asked_at.elapsed() < FAREWELL {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            // The library waits for a child either for ever or not at all.
            thread::sleep(LOOK_EVERY);
        }
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    /// The last lines of the log, for a message.
    #[must_use]
    pub fn last_words(&self) -> String {
        const LINES_MAX: usize = 40;
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES_MAX)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // In a drop there is nobody to tell; a panic here would hide the test's own message.
        let _ = self.farewell();
        if thread::panicking() && !self.name.starts_with('.') {
            eprintln!("--- {} said:\n{}\n---", self.name, self.last_words());
        }
    }
}

/// Every process whose environment or command line holds `mark`: a site puts its folder's path in both, so
/// what is found after the end was left running.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn still_running(mark: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(id) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        if id == std::process::id() {
            continue;
        }
        // A process may end between the listing and the reading, or not be ours to read.
        let command = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        if command.windows(mark.len()).any(|window| window == mark.as_bytes()) {
            found.push(format!("{id}: {}", String::from_utf8_lossy(&command).replace('\0', " ")));
        }
    }
    Ok(found)
}

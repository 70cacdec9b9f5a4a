//! A whole site on this machine: desk, simulated devices, outbox and cabin, each a real process, in a folder of
//! its own, on ports of its own. Dropping it ends them all.

use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::memory::{Found, Trace, search_files, search_process};
use crate::process::{PATIENCE, Process, free_port, program, still_running, until};
use crate::screen::{Screen, Window};

/// The cabin's settings, as `make run` writes them too.
const CABIN_SETTINGS: &str = include_str!("../tools/cabin.toml");

/// Who may open the cabin.
pub const PHARMACIST: &str = "Claire Durand";

/// With what.
pub const PIN: &str = "246813";

/// Of the physicians that a test adds.
pub const PASSWORD: &str = "correct horse battery";

/// How the physician of a new desk signs in.
#[derive(Clone, Debug)]
pub struct Account {
    /// The account's name.
    pub name: String,
    /// Its password.
    pub password: String,
    /// What the authenticator was given, base32.
    pub totp_secret: String,
}

/// Everything of a site but its cabin's window.
pub struct Site {
    // Dropped in this order: what depends on the others first, their folder last.
    cabin: Option<Process>,
    outbox: Option<Process>,
    simulators: Option<Process>,
    desk: Option<Process>,
    account: Account,
    invite: String,
    desk_port: u16,
    desk_name: &'static str,
    printer: Option<String>,
    more: Vec<(&'static str, &'static str)>,
    variables: Vec<(&'static str, PathBuf)>,
    folder: TempDir,
}

impl Site {
    /// Prepares a desk with one physician and one invitation, and starts it with the simulated devices.
    ///
    /// # Errors
    /// Names the program that is not built or did not start, with its last words.
    pub fn open() -> Result<Self> {
        Self::open_with(&[])
    }

    /// [`Site::open`] with more simulated devices: names and models.
    ///
    /// # Errors
    /// As [`Site::open`].
    pub fn open_with(more: &[(&'static str, &'static str)]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("whole-cabin-").tempdir()?;
        let desk_name = "desk";
        let (desk_port, account, invite) = new_desk(&folder.path().join(desk_name))?;
        let mut site = Self {
            cabin: None,
            outbox: None,
            simulators: None,
            desk: None,
            account,
            invite,
            desk_port,
            desk_name,
            printer: None,
            more: more.to_vec(),
            variables: Vec::new(),
            folder,
        };
        site.start_desk()?;
        site.start_simulators()?;
        Ok(site)
    }

    /// The site's own folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where everything of the cabin's side is kept: what is searched for traces of a patient.
    #[must_use]
    pub fn cabin_folder(&self) -> PathBuf {
        self.folder().join("cabin")
    }

    /// Where the simulated devices' ports and their control socket are.
    #[must_use]
    pub fn devices_folder(&self) -> PathBuf {
        self.folder().join("devices")
    }

    /// The outbox's Unix socket.
    #[must_use]
    pub fn outbox_socket(&self) -> PathBuf {
        self.cabin_folder().join("outbox.sock")
    }

    /// The outbox's folder.
    #[must_use]
    pub fn outbox_folder(&self) -> PathBuf {
        self.cabin_folder().join("outbox")
    }

    /// The desk's address, `http://127.0.0.1:port`.
    #[must_use]
    pub fn desk_address(&self) -> String {
        format!("http://127.0.0.1:{}", self.desk_port)
    }

    /// The desk's own folder, with its configuration.
    #[must_use]
    pub fn desk_folder(&self) -> PathBuf {
        self.folder().join(self.desk_name)
    }

    /// The physician's account.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The one-time code with which a cabin joins.
    #[must_use]
    pub fn invite(&self) -> &str {
        &self.invite
    }

    /// Starts the desk, again after [`Site::kill_desk`].
    ///
    /// # Errors
    /// When it does not listen, with its last words.
    pub fn start_desk(&mut self) -> Result<()> {
        let mut command = Command::new(program("desk")?);
        command.arg("--dir").arg(self.desk_folder());
        let mut desk = Process::start(self.desk_name, command, self.folder())?;
        desk.wait_for_port(self.desk_port)?;
        self.desk = Some(desk);
        Ok(())
    }

    /// Takes the desk, and the FHIR server in it, away as a power cut would.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill_desk(&mut self) -> Result<()> {
        self.desk.take().map_or(Ok(()), |desk| desk.kill_minus_nine().map(drop))
    }

    fn start_simulators(&mut self) -> Result<()> {
        let mut command = Command::new(program("sim")?);
        command.arg("--dir").arg(self.devices_folder());
        command.args(self.more.iter().map(|(name, model)| format!("+{name}={model}")));
        let mut simulators = Process::start("sim", command, self.folder())?;
        simulators.wait_for_line(self.more.last().map_or("thermometer", |(name, _)| name))?;
        self.simulators = Some(simulators);
        Ok(())
    }

    /// Ends the simulators: no port of any device is left.
    ///
    /// # Errors
    /// When they do not end by themselves.
    pub fn end_simulators(&mut self) -> Result<()> {
        self.simulators.take().map_or(Ok(()), |simulators| simulators.end().map(drop))
    }

    /// Another camera than the test picture, in the settings that are written already.
    ///
    /// # Errors
    /// When the settings cannot be written.
    pub fn set_camera(&mut self, device: &str) -> Result<()> {
        self.change_settings(|settings| settings.replace("camera = \"test\"", &format!("camera = {device:?}")))
    }

    /// Changes the settings that are written already.
    ///
    /// # Errors
    /// When they cannot be read or written.
    pub fn change_settings(&self, change: impl FnOnce(String) -> String) -> Result<()> {
        let settings = fs::read_to_string(self.cabin_settings())?;
        Ok(fs::write(self.cabin_settings(), change(settings))?)
    }

    /// Takes the table out of the settings that are written already in which `text` stands.
    ///
    /// # Errors
    /// When there is none, or the settings cannot be written.
    pub fn take_out_of_settings(&self, text: &str) -> Result<()> {
        let settings = fs::read_to_string(self.cabin_settings())?;
        let tables: Vec<&str> = settings.split_inclusive("\n\n").collect();
        let (with, without): (Vec<&str>, Vec<&str>) = tables.into_iter().partition(|table| table.contains(text));
        if with.len() != 1 {
            bail!("{text:?} stands in {} tables of the settings", with.len());
        }
        Ok(fs::write(self.cabin_settings(), without.concat())?)
    }

    /// A variable of the cabin's environment, before it starts.
    pub fn set_variable(&mut self, name: &'static str, value: PathBuf) {
        self.variables.push((name, value));
    }

    /// Makes a simulated device do something: `oximeter unplug`, `scale value weight=70500`.
    ///
    /// # Errors
    /// With the simulator's own words when it refuses.
    pub fn device(&self, command: &str) -> Result<String> {
        sim::control::ask(&self.devices_folder(), command).map_err(anyhow::Error::msg)
    }

    /// Starts the outbox, sending to `fhir_address`; again after [`Site::kill_outbox`].
    ///
    /// # Errors
    /// When it does not say that it is ready, with its last words.
    pub fn start_outbox(&mut self, fhir_address: &str, token_file: Option<&Path>) -> Result<()> {
        fs::create_dir_all(self.cabin_folder())?;
        let mut settings = format!(
            "dir = {:?}\nsocket = {:?}\nreserve_mib = 1\n\n[upload]\nbase_url = {fhir_address:?}\nretry_first_ms = 50\n\
             retry_max_s = 1\n",
            self.outbox_folder(),
            self.outbox_socket()
        );
        if let Some(file) = token_file {
            settings.push_str(&format!("token_file = {file:?}\n"));
        }
        fs::write(self.outbox_settings(), settings)?;
        self.start_outbox_again()
    }

    fn outbox_settings(&self) -> PathBuf {
        self.cabin_folder().join("outbox.toml")
    }

    /// Starts the outbox with the settings that are written already.
    ///
    /// # Errors
    /// As [`Site::start_outbox`].
    pub fn start_outbox_again(&mut self) -> Result<()> {
        let mut command = Command::new(program("cabin-outbox")?);
        command.arg("--config").arg(self.outbox_settings()).arg("--dev-key");
        let mut outbox = Process::start("cabin-outbox", command, self.folder())?;
        outbox.wait_for_line("ready")?;
        self.outbox = Some(outbox);
        Ok(())
    }

    /// Ends the desk's part for good and moves the cabin to a new one by a signed order, while nothing answers: neither
    /// runs meanwhile, and [`Site::start_desk`] starts the new one. The cabin and its outbox are to be started again.
    ///
    /// # Errors
    /// With the words of the program that refused.
    pub fn hand_over(&mut self) -> Result<()> {
        self.kill_desk()?;
        self.desk_name = "desk-next";
        (self.desk_port, self.account, self.invite) = new_desk(&self.desk_folder())?;
        let (owner, order) = (self.folder().join("owner"), self.folder().join("order.toml"));
        let ctl = || -> Result<Command> { Ok(Command::new(program("cabinctl")?)) };
        let public = succeed(ctl()?.args(["handover", "key"]).arg(&owner), None)?;
        let settings = fs::read_to_string(self.outbox_settings())?;
        fs::write(self.outbox_settings(), format!("owner_key = {:?}\n{settings}", public.trim()))?;
        let desk = self.desk_address();
        let text = format!(
            "number = 1\nsite = \"Pharmacie des Halles\"\ndesk_url = {desk:?}\nenrolment_code = {:?}\n\
             fhir_url = \"{desk}/fhir\"\n",
            self.invite
        );
        fs::write(&order, text)?;
        succeed(ctl()?.args(["handover", "sign"]).arg(&order).arg("--key").arg(&owner), None)?;
        let mut apply = ctl()?;
        apply.args(["handover", "apply"]).arg(&order).arg("--config").arg(self.cabin_settings());
        succeed(apply.arg("--outbox").arg(self.outbox_settings()), None).map(drop)
    }

    /// How the outbox is, as the technician reads it.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn outbox_status(&self) -> Result<String> {
        let mut status = Command::new(program("cabinctl")?);
        status.args(["outbox", "status", "--config"]).arg(self.cabin_settings());
        succeed(&mut status, None)
    }

    /// The technician accepts the outbox that runs in the place of one that was lost.
    ///
    /// # Errors
    /// With the words of the program that refused.
    pub fn accept_outbox(&self) -> Result<()> {
        let mut accept = Command::new(program("cabinctl")?);
        succeed(accept.args(["outbox", "accept", "--config"]).arg(self.cabin_settings()), None).map(drop)
    }

    /// Takes the outbox away as a power cut would.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill_outbox(&mut self) -> Result<()> {
        self.outbox.take().map_or(Ok(()), |outbox| outbox.kill_minus_nine().map(drop))
    }

    /// Gives the cabin a printer; before [`Site::prepare_cabin`].
    pub fn set_printer(&mut self, address: &str) {
        self.printer = Some(address.to_owned());
    }

    /// Whether anything that the desk keeps or has logged holds `text`.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn desk_holds(&self, text: &str) -> Result<bool> {
        let log = self.folder().join(format!("{}.log", self.desk_name));
        Ok(!search_files(&[&self.desk_folder(), &log], &[Trace::of(text)?])?.is_empty())
    }

    /// How many files the desk has stored that came in parts.
    ///
    /// # Errors
    /// When its folder cannot be read.
    pub fn files_in_parts(&self) -> Result<usize> {
        let parts = fs::read_dir(self.folder().join("desk/data/fhir-parts"))?;
        let names = parts.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
        Ok(names.iter().filter(|name| name.extension().is_some_and(|kind| kind == "done")).count())
    }

    /// Writes the cabin's settings with one pharmacist and test pictures and sounds, and joins the desk.
    ///
    /// # Errors
    /// With the words of the program that refused.
    pub fn prepare_cabin(&mut self, width: u16, height: u16) -> Result<()> {
        fs::create_dir_all(self.cabin_folder())?;
        let mut settings = CABIN_SETTINGS
            .replace("@DESK@", &self.desk_address())
            .replace("@OUTBOX@", &self.outbox_socket().display().to_string())
            .replace("@DEVICES@", &self.devices_folder().display().to_string())
            .replace("@MEDIA@", "test")
            .replace("@WIDTH@", &width.to_string())
            .replace("@HEIGHT@", &height.to_string());
        if let Some(printer) = &self.printer {
            settings.push_str(&format!("\n[printer]\nuri = {printer:?}\n"));
        }
        for (name, model) in &self.more {
            let path = self.devices_folder().join(name);
            settings.push_str(&match *model {
                "scanner_codes" => format!("\n[scanner]\npath = {path:?}\n"),
                "printer_escpos" => format!("\n[receipt_printer]\npath = {path:?}\n"),
                model => format!("\n[[device]]\nname = {name:?}\nmodel = {model:?}\npath = {path:?}\n"),
            });
        }
        fs::write(self.cabin_settings(), settings)?;
        let mut add = Command::new(program("cabinctl")?);
        add.args(["pharmacist", "add", PHARMACIST, "--config"]).arg(self.cabin_settings());
        succeed(&mut add, Some(PIN))?;
        let mut enrol = Command::new(program("cabin")?);
        enrol.arg("enrol").arg(&self.invite).arg("--config").arg(self.cabin_settings());
        succeed(&mut enrol, None).map(drop)
    }

    /// One more physician at the desk, whose password is [`PASSWORD`], and whose second opinions are asked for in these
    /// specialties. Gives the secret of their authenticator.
    ///
    /// # Errors
    /// What the desk's program says.
    pub fn add_physician(&self, account: &str, name: &str, rpps: &str, specialties: &str) -> Result<String> {
        let desk = || -> Result<Command> { Ok(Command::new(program("desk")?)) };
        let folder = self.desk_folder();
        let mut add = desk()?;
        add.args(["account", "add", account, "--name", name, "--rpps", rpps, "--town", "Tours"]);
        add.args(["--speciality", "Dermatologie", "--dir"]).arg(&folder);
        let added = succeed(&mut add, Some(PASSWORD))?;
        let secret = added.split_whitespace().skip_while(|word| *word != "totp").nth(1);
        let secret = secret.context("desk account add says no totp")?.to_owned();
        let mut set = desk()?;
        succeed(set.args(["account", "specialties", account, specialties, "--dir"]).arg(&folder), None)?;
        Ok(secret)
    }

    /// Takes the cabin's place at the desk away: from its next word on it is refused.
    ///
    /// # Errors
    /// What the desk's program says.
    pub fn revoke_cabin(&self) -> Result<()> {
        let folder = self.folder.path().join("desk");
        let listed = succeed(Command::new(program("desk")?).args(["cabin", "list", "--dir"]).arg(&folder), None)?;
        let id = listed.split_whitespace().next().context("no cabin has joined the desk")?;
        succeed(Command::new(program("desk")?).args(["cabin", "revoke", id, "--dir"]).arg(&folder), None).map(drop)
    }

    /// The cabin's settings file.
    #[must_use]
    pub fn cabin_settings(&self) -> PathBuf {
        self.cabin_folder().join("cabin.toml")
    }

    /// The token with which the outbox uploads to the desk's own store; there once the cabin has joined.
    #[must_use]
    pub fn upload_token(&self) -> PathBuf {
        self.cabin_folder().join("data/upload-token")
    }

    /// Starts the cabin on a screen, again after [`Site::kill_cabin`], and waits for its window.
    ///
    /// # Errors
    /// When no window with an accessibility tree appears, with its last words.
    pub fn start_cabin(&mut self, screen: &Rc<Screen>) -> Result<Window> {
        let mut command = Command::new(program("cabin")?);
        command.arg("--config").arg(self.cabin_settings());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        screen.show_on(&mut command);
        let mut cabin = Process::start("cabin", command, self.folder())?;
        let window = screen.window_of(&mut cabin);
        self.cabin = Some(cabin);
        window
    }

    /// Takes the cabin away as a power cut would.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill_cabin(&mut self) -> Result<()> {
        self.cabin.take().map_or(Ok(()), |cabin| cabin.kill_minus_nine().map(drop))
    }

    /// The cabin's process id, while it runs.
    #[must_use]
    pub fn cabin_id(&self) -> Option<u32> {
        self.cabin.as_ref().map(Process::id)
    }

    /// The outbox's process id, while it runs.
    #[must_use]
    pub fn outbox_id(&self) -> Option<u32> {
        self.outbox.as_ref().map(Process::id)
    }

    /// What the cabin has logged since the site's beginning.
    #[must_use]
    pub fn cabin_log(&self) -> String {
        self.cabin.as_ref().map(Process::log).unwrap_or_default()
    }

    /// Searches everything that the cabin's computer keeps and holds for traces of a patient: every file of the
    /// cabin's side, its logs, and the memory of the programs that run there.
    ///
    /// # Errors
    /// When something cannot be read: what was not read was not searched.
    pub fn search_cabin_side(&self, traces: &[Trace]) -> Result<Vec<Found>> {
        let logs = ["cabin", "cabin-outbox"].map(|name| self.folder().join(format!("{name}.log")));
        let mut found = search_files(&[&self.cabin_folder(), &logs[0], &logs[1]], traces)?;
        for program in [&self.cabin, &self.outbox].into_iter().flatten() {
            found.extend(search_process(program.id(), traces)?);
        }
        Ok(found)
    }

    /// Fails when a program of the site has ended by itself.
    ///
    /// # Errors
    /// The program's name and its last words.
    pub fn check_alive(&mut self) -> Result<()> {
        [&mut self.desk, &mut self.simulators, &mut self.outbox]
            .into_iter()
            .flatten()
            .try_for_each(Process::check_alive)
    }

    /// Ends every program as Ctrl-C would and makes sure that nothing is left running.
    ///
    /// # Errors
    /// What had to be killed, or is still there.
    pub fn close(mut self) -> Result<()> {
        for program in
            [self.cabin.take(), self.outbox.take(), self.simulators.take(), self.desk.take()].into_iter().flatten()
        {
            program.end()?;
        }
        let mark = self.folder().display().to_string();
        // A program's own helpers end a moment after it.
        until("every program to be gone", PATIENCE, || match still_running(&mark)?.as_slice() {
            [] => Ok(Some(())),
            left => bail!("left running:\n{}", left.join("\n")),
        })
    }
}

/// Makes a desk with one physician and one invitation: its port, and what it says of both.
fn new_desk(folder: &Path) -> Result<(u16, Account, String)> {
    let port = free_port()?;
    let mut init = Command::new(program("desk")?);
    init.arg("init").arg("--dir").arg(folder);
    let answers = answers_of(init.arg("--listen").arg(format!("127.0.0.1:{port}")))?;
    let answer = |key: &str| answers.get(key).cloned().with_context(|| format!("desk init says no {key}"));
    let account = Account { name: answer("account")?, password: answer("password")?, totp_secret: answer("totp")? };
    Ok((port, account, answer("invite")?))
}

/// Runs a command to its end and reads its `key<TAB>value` lines.
fn answers_of(command: &mut Command) -> Result<HashMap<String, String>> {
    let text = succeed(command, None)?;
    Ok(text.lines().filter_map(|line| line.split_once('\t')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
}

/// Runs a command to its end, with one line to read where it reads any, and gives what it printed.
fn succeed(command: &mut Command, line: Option<&str>) -> Result<String> {
    let what = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| what.clone())?;
    let mut input = child.stdin.take().context("its input")?;
    if let Some(line) = line {
        // A program that asks for the line twice, to be sure, gets it twice.
        input.write_all(format!("{line}\n{line}\n").as_bytes())?;
    }
    drop(input);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("{what}: {}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    }
    Ok(String::from_utf8(output.stdout)?)
}

//! `cabin-outbox`: keeps what consultations say until the FHIR server has proved that it stores it.

use anyhow::{Context, bail};
use outbox::credential::root_key;
use outbox::desk_token;
use outbox::parked;
use outbox::record::FaultCode;
use outbox::serve::{Change, serve, take};
use outbox::settings::{self, Settings, Upload};
use outbox::store::Store;
use outbox::systemd;
use outbox::upload::{self, Uploader};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tracing::{error, info, warn};

/// A server may answer with all that it was sent: what is freed of it is wiped too.
#[global_allocator]
static ALLOCATOR: outbox::forget::WipeOnFree = outbox::forget::WipeOnFree;

/// How often a file of authorities that cannot be used is read again.
const READ_AGAIN: Duration = Duration::from_secs(2);

/// How often the disk is asked where systemd waits for no word.
const PROBE_EVERY: Duration = Duration::from_secs(5);

const USAGE: &str = "\
cabin-outbox --config FILE [--dev-key]    keep and send what consultations say
cabin-outbox check --config FILE [--dev-key]
                                          open every log and file of an outbox that is not running
  --dev-key   create a key on first use, beside the data, and let the same account read this program's memory: for
              development, protects nothing
";

struct Arguments {
    config: PathBuf,
    dev_key: bool,
    check: bool,
}

fn main() -> ExitCode {
    let arguments = match arguments(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            let _ = std::io::stdout().write_all(USAGE.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(mistake) => {
            let _ = write!(std::io::stderr(), "{mistake}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,sled=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    let result = if arguments.check { check(&arguments) } else { run(&arguments) };
    match result {
        Ok(code) => code,
        Err(error) => {
            error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn arguments(given: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut config = None;
    let (mut dev_key, mut check) = (false, false);
    let mut given = given;
    while let Some(argument) = given.next() {
        match argument.as_str() {
            "--config" => config = Some(given.next().ok_or("--config is followed by a file")?.into()),
            "--dev-key" => dev_key = true,
            "check" => check = true,
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("unknown argument {other}")),
        }
    }
    let config = config.ok_or("--config FILE is missing")?;
    Ok(Some(Arguments { config, dev_key, check }))
}

fn check(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let settings = settings::read(&arguments.config)?;
    let report = outbox::check(&settings.dir, root_key(&settings, arguments.dev_key)?)?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} open, {} waiting or set aside, {} parked, {} journals aside, {} replies, {} receipts; {} frames and files whole, {} problems",
        report.journals,
        report.submissions,
        report.parked,
        report.aside,
        report.letters,
        report.receipts,
        report.whole,
        report.problems.len()
    )?;
    for problem in &report.problems {
        writeln!(out, "{problem}")?;
    }
    Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    keep_memory_to_ourselves(arguments.dev_key);
    let settings = settings::read(&arguments.config)?;
    // One provider for the whole program; a second call would only say that it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let root = root_key(&settings, arguments.dev_key)?;
    let mut store = Store::open(&settings.dir, root, settings.reserve_bytes)?;
    if settings.upload.is_none() {
        store.set_fault(FaultCode::NoServer, Some("no [upload] is configured: submissions wait".into()));
    }
    let store = Arc::new(Mutex::new(store));
    let listener = listen(&settings)?;
    let wake = Arc::new(Notify::new());
    let failed = Arc::new(Notify::new());
    let token = Arc::new(Notify::new());
    let told = {
        let (wake, failed, token) = (wake.clone(), failed.clone(), token.clone());
        move |change| match change {
            Change::Queued => wake.notify_one(),
            Change::Token => token.notify_one(),
            Change::Failed => failed.notify_one(),
        }
    };
    serve(listener, store.clone(), settings.allow_uids.clone(), told)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let code = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tell_systemd(systemd::READY);
        say_alive_while_the_disk_keeps(store.clone(), failed.clone())?;
        info!("ready: {} at {}", settings.dir.display(), settings.socket.display());
        let sending = async {
            let Some(upload) = settings.upload.clone() else { return std::future::pending().await };
            send(&settings.dir, upload, &store, &wake, &failed, &token).await
        };
        let letting_go = parked::watch(store.clone(), || wake.notify_one());
        tokio::select! {
            () = sending => {}
            () = letting_go => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = failed.notified() => {
                error!("the disk failed to keep data: ending, so that the outbox is opened anew");
                return anyhow::Ok(ExitCode::FAILURE);
            }
        }
        info!("ending");
        Ok(ExitCode::SUCCESS)
    })?;
    tell_systemd(systemd::STOPPING);
    let _ = fs::remove_file(&settings.socket);
    // Held until the end: no answer is given after this, and none was given for what is not durable.
    let _held = take(&store);
    std::process::exit(if code == ExitCode::SUCCESS { 0 } else { 1 });
}

/// Sends what waits. A server that cannot be used for what stands in its settings keeps nobody from being received: what
/// is said is kept, and the file is read again until it is good.
async fn send(
    dir: &Path,
    upload: Upload,
    store: &Arc<Mutex<Store>>,
    wake: &Arc<Notify>,
    failed: &Notify,
    token: &Notify,
) {
    if let Err(error) = desk_token::forget_others(dir, &upload.base_url) {
        warn!("the token of a former desk cannot be destroyed: {error}");
    }
    loop {
        let mut upload = upload.clone();
        let from_desk = Some(desk_token::path(dir, &upload.base_url)).filter(|path| path.exists());
        upload.token_file = upload.token_file.or(from_desk);
        match Uploader::new(upload) {
            Ok(uploader) => {
                take(store).set_fault(FaultCode::NoServer, None);
                tokio::select! {
                    biased;
                    () = token.notified() => {}
                    () = upload::run(uploader, store.clone(), wake.clone(), || failed.notify_one()) => {}
                }
            }
            Err(error) => {
                let why = format!("{error:#}: nothing is sent until this is mended; it is read again by itself");
                let is_new = !take(store).status().faults.iter().any(|fault| fault.detail == why);
                if is_new {
                    error!("{why}");
                    take(store).set_fault(FaultCode::NoServer, Some(why));
                }
                tokio::time::sleep(READ_AGAIN).await;
            }
        }
    }
}

/// Takes the socket. The store's lock is held, so a socket that nobody answers is a dead one of ours.
fn listen(settings: &Settings) -> anyhow::Result<UnixListener> {
    let path = &settings.socket;
    let at = || format!("the socket {}", path.display());
    match fs::symlink_metadata(path) {
        Ok(meta) if !meta.file_type().is_socket() => bail!("{}: something else is there; remove it", at()),
        Ok(_) if UnixStream::connect(path).is_ok() => bail!("{}: another program answers there", at()),
        Ok(_) => fs::remove_file(path).with_context(at)?,
        Err(_) => {}
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
        outbox::disk::create_dir(parent).with_context(at)?;
    }
    let listener = UnixListener::bind(path).with_context(at)?;
    // With other accounts allowed the kernel's word on who connects decides, not the file's mode.
    let mode = if settings.allow_uids.is_empty() { 0o600 } else { 0o666 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(at)?;
    Ok(listener)
}

/// No core file, and no look into this program's memory from another of the same account. In development that look
/// stays open: the whole-consultation test searches this memory for the patient, from whatever account runs it.
fn keep_memory_to_ourselves(dev_key: bool) {
    let mut done = outbox::forget::no_core_file();
    if done.is_ok() && !dev_key {
        // SAFETY: prctl with these arguments touches no memory of ours.
        if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) } != 0 {
            done = Err(std::io::Error::last_os_error());
        }
    }
    if let Err(error) = done {
        warn!("this program's memory could be read from outside: {error}");
    }
}

/// Goes on asking whether an append to its disk is synced, and says as long that this program is alive: behind whatever the
/// store is doing, so that a disk that hangs in the middle of an answer is noticed too.
fn say_alive_while_the_disk_keeps(store: Arc<Mutex<Store>>, failed: Arc<Notify>) -> std::io::Result<()> {
    let every = systemd::alive_every().unwrap_or(PROBE_EVERY);
    let watch = move || {
        loop {
            if let Err(refused) = take(&store).probe() {
                error!("{refused}");
                return failed.notify_one();
            }
            tell_systemd(systemd::ALIVE);
            std::thread::sleep(every);
        }
    };
    std::thread::Builder::new().name("probe".into()).spawn(watch)?;
    Ok(())
}

fn tell_systemd(line: &str) {
    if let Err(error) = systemd::tell(line) {
        warn!("systemd could not be told {line}: {error}");
    }
}

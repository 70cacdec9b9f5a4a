//! Everything that one running desk holds, and how it starts and stops.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use signal::second_opinion::Alert;
use signal::{CabinId, ConsultationId, ItemId, RefusalCode};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::accounts::Accounts;
use crate::badges::Badges;
use crate::cabins::Cabins;
use crate::config::Config;
use crate::door::{Door, DoorError};
use crate::fhir::call_backs::{self, Step};
use crate::fhir::parts::Parts;
use crate::fhir::second_opinions::place::Trouble;
use crate::fhir::store::Store;
use crate::fhir::{self, Records, second_opinions};
use crate::guesses::Guesses;
use crate::hall::Hall;
use crate::oidc::Issuer;
use crate::papers::Papers;
use crate::room::Room;
use crate::{hall, http, turn};

/// Behind a consultation that a physician knows by a request for a second opinion only.
const TAKEN_UP: &str = "opinion";
/// How often papers that are too old are looked for.
const TIDY_PAUSE: Duration = Duration::from_secs(60);

/// How often another server that holds the records is asked who is to be called back.
const LOOK_PAUSE: Duration = Duration::from_secs(60);

/// What every request and connection shares.
pub struct App {
    /// The settings.
    pub config: Config,
    /// Origins by which cabins and pages reach the desk; the first is the one told.
    pub origins: Vec<String>,
    /// Physicians.
    pub accounts: Accounts,
    /// Enrolled cabins.
    pub cabins: Cabins,
    /// The waiting room.
    pub hall: Hall,
    /// Who is signed in.
    pub badges: Badges,
    /// The FHIR store, or the server to which it passes on.
    pub records: Records,
    /// Files of records that come in parts.
    pub parts: Parts,
    /// Patients' papers, sealed.
    pub papers: Papers,
    /// Who asks for invitations that nobody made.
    pub guest_guesses: Guesses,
    /// The OpenID Connect issuer, when configured.
    pub issuer: Option<Issuer>,
    /// Becomes true when the desk stops.
    pub stopping: watch::Sender<bool>,
    taken: Mutex<PathBuf>,
    /// Held while another server is asked who is to be called back.
    looking: tokio::sync::Mutex<()>,
    /// What pages were last told of second opinions, in short: they are told again when it changes.
    opinions: tokio::sync::Mutex<Vec<(String, Option<Alert>)>>,
    /// The specialist's report that a cabin fetches part by part now: it is read once.
    pub fetched: tokio::sync::Mutex<Option<Fetched>>,
}

/// A report on its way to a cabin, in parts.
pub struct Fetched {
    /// To whom.
    pub cabin: CabinId,
    /// Of which request.
    pub request: ItemId,
    /// All of it.
    pub report: Vec<u8>,
}

/// Why the desk does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Listening.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// The data folder.
    #[error("data folder {0}: {1}")]
    Data(PathBuf, io::Error),
    /// A setting found wrong only now.
    #[error("{0}")]
    Setting(String),
}

/// A running desk.
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    /// The origin to give to cabins and physicians.
    pub origin: String,
    app: Arc<App>,
    serving: JoinHandle<io::Result<()>>,
    ticking: JoinHandle<()>,
}

impl Running {
    /// Tells every connection, stops listening and waits until all is closed, at most 5 s.
    pub async fn stop(self) {
        let _ = self.app.stopping.send(true);
        self.ticking.abort();
        let closed = async {
            let _ = self.ticking.await;
            let _ = self.serving.await;
            // WebSockets outlive the HTTP server's own wait; each holds the app until its last word is said. What
            // is held to the end is the store's file: the next desk on this folder must find it free.
            while Arc::strong_count(&self.app) > 1 || self.app.records.in_use() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(5), closed).await;
    }

    /// Waits until serving ends by itself, which is a fault.
    pub async fn ended(&mut self) -> io::Result<()> {
        (&mut self.serving).await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

/// Starts a desk.
pub async fn start(config: Config) -> Result<Running, StartError> {
    // A second desk in one process (tests) finds the provider installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let data = config.data.clone();
    let folder = |error| StartError::Data(data.clone(), error);
    fs::create_dir_all(&data).map_err(folder)?;
    let door = Door::open(config.listen, config.tls.as_ref()).await?;
    let address = axum::serve::Listener::local_addr(&door).map_err(folder)?;
    let origins = origins(&config, address);
    let cabins = Cabins::open(&data);
    let ice = config.ice.clone();
    let make_ice = Box::new(move |label: &str| turn::servers(&ice, label, hall::now_ms()));
    let hall = Hall::new(Room::new(config.grace_ms, config.heartbeat_ms, make_ice));
    for (id, cabin) in cabins.list().map_err(folder)? {
        if !cabin.revoked {
            hall.seat(id, cabin.site);
        }
    }
    let records = Records::open(&config).map_err(folder)?;
    let parts = Parts::open(&data).map_err(folder)?;
    let papers = Papers::open(&data).map_err(folder)?;
    if let Records::Embedded(store) = &records {
        let (lines, more) = call_backs::lines(fhir::lock(store).open_tasks());
        hall.call_backs_are(lines, more);
    }
    let inactivity = Duration::from_secs(60 * u64::from(config.sign_out_after_min));
    let issuer = config.oidc.clone().map(Issuer::new).transpose().map_err(StartError::Setting)?;
    let app = Arc::new(App {
        accounts: Accounts::open(&data),
        cabins,
        hall,
        badges: Badges::new(inactivity, origins[0].starts_with("https://")),
        records,
        parts,
        papers,
        guest_guesses: Guesses::default(),
        issuer,
        stopping: watch::Sender::new(false),
        taken: Mutex::new(data.join("taken.log")),
        looking: tokio::sync::Mutex::default(),
        opinions: tokio::sync::Mutex::default(),
        fetched: tokio::sync::Mutex::default(),
        origins,
        config,
    });
    let ticking = tokio::spawn(tick(Arc::clone(&app)));
    let mut stop = app.stopping.subscribe();
    let service = http::router(Arc::clone(&app)).into_make_service_with_connect_info::<crate::door::Peer>();
    let serving = axum::serve(door, service).with_graceful_shutdown(async move {
        let _ = stop.changed().await;
    });
    let serving = tokio::spawn(async move { serving.await });
    tracing::info!(%address, origin = app.origins[0], "desk ready");
    Ok(Running { address, origin: app.origins[0].clone(), app, serving, ticking })
}

/// The public origin, or those of the address listened on.
fn origins(config: &Config, address: SocketAddr) -> Vec<String> {
    if let Some(origin) = &config.public_origin {
        return vec![origin.clone()];
    }
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let port = match (scheme, address.port()) {
        ("https", 443) | ("http", 80) => String::new(),
        (_, port) => format!(":{port}"),
    };
    let ip = match address.ip() {
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        ip => ip.to_string(),
    };
    let mut origins = vec![format!("{scheme}://{ip}{port}")];
    if address.ip().is_loopback() {
        origins.push(format!("{scheme}://localhost{port}"));
    }
    origins
}

async fn tick(app: Arc<App>) {
    let mut beat = tokio::time::interval(Duration::from_millis(app.config.heartbeat_ms.min(1000).into()));
    let mut tidied = Instant::now();
    let mut looked: Option<Instant> = None;
    app.papers.tidy(http::now_s());
    loop {
        beat.tick().await;
        app.hall.tick();
        if looked.is_none_or(|at| at.elapsed() >= LOOK_PAUSE) {
            looked = Some(Instant::now());
            let app = Arc::clone(&app);
            // Of another server nothing is heard when others change what it holds.
            drop(tokio::spawn(async move {
                app.look_for_call_backs().await;
                app.look_for_opinions().await;
            }));
        }
        if tidied.elapsed() >= TIDY_PAUSE {
            tidied = Instant::now();
            let app = Arc::clone(&app);
            // Deleting may wait for a slow disk; the heartbeats must not.
            drop(tokio::task::spawn_blocking(move || app.papers.tidy(http::now_s())));
        }
    }
}

impl App {
    /// Writes down that a physician took a consultation: what makes its record readable to them later.
    pub fn remember_taken(&self, account: &str, consultation: &ConsultationId) {
        self.write_down(account, &format!("{consultation}"));
    }

    /// Writes down that a physician took up a request about a consultation: it is listed with what they saw, and readable
    /// for as long as [`App::may_read`] says.
    pub fn remember_taken_up(&self, account: &str, consultation: &ConsultationId) {
        self.write_down(account, &format!("{consultation} {TAKEN_UP}"));
    }

    fn write_down(&self, account: &str, what: &str) {
        let path = self.taken.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&*path)?;
            // One short write of one line: whole or absent after a crash. Names and identifiers have no space.
            file.write_all(format!("{} {account} {what}\n", hall::now_ms()).as_bytes())?;
            file.sync_data()
        };
        if let Err(error) = write() {
            tracing::error!(%error, "a consultation taken could not be written down");
        }
    }

    /// Tells every page who is to be called back, if that changed. The store stays locked meanwhile: the lists go out in
    /// the order of the changes.
    pub fn tell_call_backs(&self, store: &mut Store) {
        if store.take_tasks_changed() {
            let (lines, more) = call_backs::lines(store.open_tasks());
            self.hall.call_backs_are(lines, more);
        }
    }

    /// Asks the site's own server who is to be called back, where that holds the records, and tells every page.
    pub async fn look_for_call_backs(&self) {
        let Some(elsewhere) = self.records.elsewhere() else { return };
        // One after the other: the last list told is the last one read.
        let _looking = self.looking.lock().await;
        match elsewhere.open_tasks().await {
            Ok(tasks) => {
                let (lines, more) = call_backs::lines(&tasks);
                self.hall.call_backs_are(lines, more);
            }
            Err(error) => {
                tracing::warn!(error = %error.without_url(), "the site's FHIR server does not say who is to be called back");
            }
        }
    }

    /// Marks the requests for a second opinion whose time has passed, and tells every page where one changed: where they
    /// are, elsewhere too, or by the day.
    pub async fn look_for_opinions(&self) {
        // One after the other: the last mark kept is of the last list read.
        let mut told = self.opinions.lock().await;
        let read = |error| tracing::warn!(%error, "the requests for a second opinion cannot be read");
        let Ok(tasks) = self.records.opinions().await.map_err(read) else { return };
        let now = hall::now_ms();
        for task in tasks.iter().filter(|task| second_opinions::is_overdue(task, now)) {
            // Of one that changed meanwhile the next look decides.
            if let Err(error) = self.records.transact(second_opinions::step::expire(task, &fhir::now())).await {
                tracing::warn!(%error, "a request without an answer cannot be marked");
            }
        }
        let mark = second_opinions::mark(&tasks, now);
        if *told != mark {
            *told = mark;
            self.hall.opinions_changed();
        }
    }

    /// What a physician makes of a request to call back; the page is answered.
    pub async fn step_call_back(self: Arc<Self>, account: String, consultation: ConsultationId, step: Step) {
        let Ok(Some(physician)) = self.accounts.physician(&account) else { return };
        let made = match &self.records {
            Records::Embedded(store) => {
                let (app, store) = (Arc::clone(&self), Arc::clone(store));
                let of = consultation.clone();
                // On a disk: the heartbeats do not wait for it.
                let made = tokio::task::spawn_blocking(move || {
                    let mut store = fhir::lock(&store);
                    let made = call_backs::step(&mut store, &of, &physician, step, &fhir::now());
                    app.tell_call_backs(&mut store);
                    made.map_err(|refusal| refusal.to_string())
                });
                made.await.unwrap_or_else(|error| Err(error.to_string()))
            }
            Records::Forward { .. } => {
                let elsewhere = self.records.elsewhere();
                let made = match &elsewhere {
                    Some(elsewhere) => elsewhere.step(&consultation, &physician, step, &fhir::now()).await,
                    None => Ok(false),
                };
                self.look_for_call_backs().await;
                made.map_err(|error| error.without_url().to_string())
            }
        };
        match made {
            Ok(true) if step == Step::Take => {
                self.remember_taken(&account, &consultation);
                self.hall.call_back_taken(&account, &consultation);
            }
            Ok(true) => {}
            Ok(false) => self.hall.call_back_too_late(&account, &consultation),
            Err(error) => {
                tracing::error!(error, "a request to call back could not be changed");
                let reason = "La demande n’a pas pu être écrite. Réessayez.";
                self.hall.refuse_page(&account, RefusalCode::Stopping, reason);
            }
        }
    }

    /// The last consultations that this physician took, or took a request up about, newest first, at most `count`: which,
    /// and when (ms since 1970).
    pub fn taken_by(&self, account: &str, count: usize) -> Vec<(ConsultationId, i64)> {
        let path = self.taken.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let text = fs::read_to_string(&*path).unwrap_or_default();
        let mut found: Vec<(ConsultationId, i64)> = Vec::new();
        for line in text.lines().rev() {
            let mut parts = line.split(' ');
            let (Some(at), Some(who), Some(consultation)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            if who != account || found.len() >= count {
                continue;
            }
            if let (Ok(at), Ok(consultation)) = (at.parse(), ConsultationId::new(consultation))
                && found.iter().all(|(known, _)| *known != consultation)
            {
                found.push((consultation, at));
            }
        }
        found
    }

    /// Whether this physician may read the dossier of this consultation: who took it may; who took up a request about it
    /// may while they have it and after they answered, not once they gave it back or rejected it, nor once it was
    /// cancelled.
    ///
    /// # Errors
    /// The requests cannot be read.
    pub async fn may_read(&self, account: &str, consultation: &ConsultationId) -> Result<bool, Trouble> {
        if self.has_taken(account, consultation) {
            return Ok(true);
        }
        let Ok(Some(physician)) = self.accounts.physician(account) else { return Ok(false) };
        let tasks = self.records.opinions().await?;
        Ok(tasks.iter().any(|task| second_opinions::opens_dossier(task, physician.rpps.as_str(), consultation)))
    }

    /// Whether this physician took this consultation.
    pub fn has_taken(&self, account: &str, consultation: &ConsultationId) -> bool {
        let path = self.taken.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let wanted = format!(" {account} {consultation}");
        fs::read_to_string(&*path).is_ok_and(|text| text.lines().any(|line| line.ends_with(&wanted)))
    }
}

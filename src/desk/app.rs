//! Everything that one running desk holds, and how it starts and stops.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use signal::ConsultationId;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::accounts::Accounts;
use crate::badges::Badges;
use crate::cabins::Cabins;
use crate::config::Config;
use crate::door::{Door, DoorError};
use crate::fhir::Records;
use crate::hall::Hall;
use crate::oidc::Issuer;
use crate::papers::Papers;
use crate::room::Room;
use crate::{hall, http, turn};

/// How often papers that are too old are looked for.
const TIDY_PAUSE: Duration = Duration::from_secs(60);

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
    /// Patients' papers, sealed.
    pub papers: Papers,
    /// The OpenID Connect issuer, when configured.
    pub issuer: Option<Issuer>,
    /// Becomes true when the desk stops.
    pub stopping: watch::Sender<bool>,
    taken: Mutex<PathBuf>,
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
    let papers = Papers::open(&data).map_err(folder)?;
    let inactivity = Duration::from_secs(60 * u64::from(config.sign_out_after_min));
    let issuer = config.oidc.clone().map(Issuer::new).transpose().map_err(StartError::Setting)?;
    let app = Arc::new(App {
        accounts: Accounts::open(&data),
        cabins,
        hall,
        badges: Badges::new(inactivity, origins[0].starts_with("https://")),
        records,
        papers,
        issuer,
        stopping: watch::Sender::new(false),
        taken: Mutex::new(data.join("taken.log")),
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
    app.papers.tidy(http::now_s());
    loop {
        beat.tick().await;
        app.hall.tick();
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
        let path = self.taken.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&*path)?;
            // One short write of one line: whole or absent after a crash. Names and identifiers have no space.
            file.write_all(format!("{} {account} {consultation}\n", hall::now_ms()).as_bytes())?;
            file.sync_data()
        };
        if let Err(error) = write() {
            tracing::error!(%error, "a consultation taken could not be written down");
        }
    }

    /// Whether this physician took this consultation.
    pub fn has_taken(&self, account: &str, consultation: &ConsultationId) -> bool {
        let path = self.taken.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let wanted = format!(" {account} {consultation}");
        fs::read_to_string(&*path).is_ok_and(|text| text.lines().any(|line| line.ends_with(&wanted)))
    }
}

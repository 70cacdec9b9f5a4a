//! `cabin --config FILE` runs the cabin; `cabin enrol CODE --config FILE` joins it to its desk.
#![allow(clippy::print_stdout, reason = "a command line answers on standard output")]

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use cabin::enrolment::{self, Identity};
use cabin::life;
use cabin::run_loop::{self, Cabin};
use cabin::settings::Settings;
use slint::ComponentHandle as _;
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: outbox::forget::WipeOnFree = outbox::forget::WipeOnFree;

const USAGE: &str = "cabin --config FILE          runs the cabin
cabin enrol CODE --config FILE   joins it to the desk of its configuration, with a one-time code";

enum Verb {
    Run,
    Enrol(String),
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,rtc=error,webrtc=error")),
        )
        .with_writer(std::io::stderr)
        // A journal has no colours.
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match arguments().and_then(|(verb, config)| run(verb, &config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> anyhow::Result<(Verb, PathBuf)> {
    let mut verb = Verb::Run;
    let mut config = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--config" => config = Some(PathBuf::from(arguments.next().context(USAGE)?)),
            "enrol" => verb = Verb::Enrol(arguments.next().context(USAGE)?),
            "--help" | "-h" => {
                println!("{USAGE}");
                std::process::exit(0);
            }
            other => bail!("{other:?} is not understood\n{USAGE}"),
        }
    }
    Ok((verb, config.context(USAGE)?))
}

fn run(verb: Verb, config: &Path) -> anyhow::Result<()> {
    if let Err(error) = outbox::forget::no_core_file() {
        tracing::warn!(%error, "a crash of this program would leave its memory on the disk");
    }
    // Fails only when a provider is installed already, which is what is wanted.
    rustls::crypto::ring::default_provider().install_default().ok();
    let settings = Settings::load(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let tls = tls(settings.desk_ca.as_deref())?;
    match verb {
        Verb::Enrol(code) => {
            let key = ed25519_dalek::SigningKey::from_bytes(&rand::random());
            let joined = enrolment::enrol(&settings.desk_url, tls, settings.enrol_site.clone(), &code, key);
            let identity = runtime.block_on(joined)?;
            identity.save(&settings.data_dir)?;
            enrolment::keep_upload_token(&identity, &settings.data_dir)?;
            println!("joined {} as {}", identity.origin, identity.cabin_id);
            Ok(())
        }
        Verb::Run => show(settings, &runtime, tls),
    }
}

fn show(settings: Settings, runtime: &tokio::runtime::Runtime, tls: Arc<rustls::ClientConfig>) -> anyhow::Result<()> {
    let identity = Identity::load(&settings.data_dir)?;
    // A restart in a call goes on with it: meanwhile the screen is made.
    runtime.spawn_blocking(call::prepare);
    // Ready before the first patient types: the index of 37,000 places takes a moment.
    runtime.spawn_blocking(consult::communes::prepare);
    runtime.spawn_blocking(exam::trial::prepare);
    let app = ui::App::new().context("no screen: start the cabin where there is a display")?;
    let (width, height) = settings.window;
    app.window().set_size(slint::PhysicalSize::new(width, height));
    app.window().set_fullscreen(settings.kiosk);
    if let Err(unknown) = ui::select_language(&app, &settings.language) {
        tracing::warn!(%unknown, "the screens keep their own language");
    }
    let cabin = Cabin::new(app.clone_strong(), settings, runtime.handle().clone(), identity, tls)?;
    run_loop::install(cabin);
    let stop = app.as_weak();
    runtime.spawn(async move {
        if stopped().await.is_ok() {
            stop.upgrade_in_event_loop(|app| {
                app.hide().ok();
            })
            .ok();
        }
    });
    let _life = life::tell(&app);
    tracing::info!("the cabin runs");
    let ran = app.run();
    run_loop::remove();
    Ok(ran?)
}

/// Waits for the system, or a person at the terminal, to ask for the end.
async fn stopped() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// How the cabin trusts its desk: the public authorities, and the one of its configuration.
fn tls(extra: Option<&Path>) -> anyhow::Result<Arc<rustls::ClientConfig>> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = extra {
        let mut read = || -> anyhow::Result<usize> {
            let mut count = 0;
            for certificate in CertificateDer::pem_file_iter(path)? {
                roots.add(certificate?)?;
                count += 1;
            }
            Ok(count)
        };
        let count = read().with_context(|| format!("{}: expected a PEM file of certificates", path.display()))?;
        if count == 0 {
            bail!("{}: holds no certificate", path.display());
        }
    }
    Ok(Arc::new(rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()))
}

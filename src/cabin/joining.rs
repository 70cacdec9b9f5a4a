//! A desk that this cabin joins by itself, with the code that a hand-over left (`wiring::joining`): tried until that desk
//! answers, for the order comes on a stick and the line may come later. And the token that the desk gave, on its way to the
//! outbox, which may be away for a moment.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use outbox::Client;
use wiring::joining::Joining;

use crate::enrolment::{self, EnrolError, Identity};
use crate::settings::Settings;

/// First pause before the desk is asked again, doubled up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// Longest pause: a cabin joins within this time of its line.
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// Pause after the desk refused the code: only a person can change that.
const PAUSE_REFUSED: Duration = Duration::from_secs(60);

/// What became of it.
pub enum JoinEvent {
    /// Not yet, and why; tried again by itself.
    NotYet(String),
    /// The desk took this cabin.
    Joined(Box<Identity>),
}

/// The desk of these settings that waits to be joined. What is left for another desk, or was used already, does not count.
pub fn wanted(settings: &Settings, identity: Option<&Identity>) -> Option<Joining> {
    let joining = Joining::read(&settings.data_dir).unwrap_or_else(|error| {
        tracing::warn!(%error, "the code that a hand-over left cannot be read: cabin enrol CODE");
        None
    });
    let joining = joining.filter(|joining| joining.desk_url == settings.desk_url)?;
    if identity.is_some_and(|identity| identity.is_by(&joining.code)) {
        forget(&settings.data_dir);
        return None;
    }
    Some(joining)
}

fn forget(data_dir: &Path) {
    if let Err(error) = Joining::forget(data_dir) {
        tracing::warn!(%error, "a code that was used stays in the data folder");
    }
}

/// Asks until the desk has taken this cabin, keeps what it gave, and only then destroys what the former desk gave.
pub async fn run(
    joining: Joining,
    tls: Arc<rustls::ClientConfig>,
    (site, data_dir): (signal::enrol::Site, PathBuf),
    events: impl Fn(JoinEvent) + Send,
) {
    let mut pause = PAUSE_MIN;
    loop {
        let wait = match once(&joining, Arc::clone(&tls), &site, &data_dir).await {
            Ok(identity) => {
                tracing::info!(origin = identity.origin, "this cabin joined its desk");
                return events(JoinEvent::Joined(Box::new(identity)));
            }
            Err(EnrolError::Refused(reason)) => {
                tracing::warn!(reason, "the desk refuses the code that the hand-over left");
                events(JoinEvent::NotYet(format!("{}: {reason}", joining.desk_url)));
                PAUSE_REFUSED
            }
            Err(EnrolError::Other(error)) => {
                events(JoinEvent::NotYet(format!("{error:#}")));
                pause = (pause * 2).min(PAUSE_MAX);
                pause.mul_f64(rand::random_range(0.5..1.0))
            }
        };
        tokio::time::sleep(wait).await;
    }
}

async fn once(
    joining: &Joining,
    tls: Arc<rustls::ClientConfig>,
    site: &signal::enrol::Site,
    data_dir: &Path,
) -> Result<Identity, EnrolError> {
    // Kept before it is used: the desk answers the same key again, should this answer be lost.
    let key = || -> anyhow::Result<SigningKey> {
        let kept = Joining::read(data_dir)?.filter(|kept| kept.code == joining.code).and_then(|kept| kept.key);
        if let Some(key) = kept.as_deref().and_then(enrolment::secret_key) {
            return Ok(key);
        }
        let key = SigningKey::from_bytes(&rand::random());
        Joining { key: Some(enrolment::secret_key_text(&key)), ..joining.clone() }.keep(data_dir)?;
        Ok(key)
    };
    let identity = enrolment::enrol(&joining.desk_url, tls, site.clone(), &joining.code, key()?).await?;
    enrolment::destroy_upload_token(data_dir).map_err(anyhow::Error::from)?;
    identity.save(data_dir)?;
    forget(data_dir);
    Ok(identity)
}

/// Hands the desk's token to the outbox, as often as it takes.
pub async fn tell_outbox(outbox: Client, identity: Identity) {
    if identity.upload_token.is_empty() {
        return;
    }
    let mut pause = PAUSE_MIN;
    loop {
        let (outbox, identity) = (outbox.clone(), identity.clone());
        let told = tokio::task::spawn_blocking(move || outbox.desk_token(&identity.fhir_url, &identity.upload_token));
        match told.await {
            Ok(Ok(())) | Err(_) => return,
            Ok(Err(outbox::Error::Refused(refused))) => {
                return tracing::warn!(%refused, "the outbox does not take the desk's token");
            }
            Ok(Err(error)) => tracing::debug!(%error, "the outbox is told of the desk's token later"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

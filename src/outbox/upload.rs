//! The upload: for each submission, its files by `PUT`, then its bundle, then a search that proves it is stored. One
//! request is in flight at a time. Only the proof destroys a submission; a server that stored a bundle and cut the
//! answer is sent the same again, which its conditional creates make harmless.

use crate::answer::{Trouble, expect_success, proof, transaction_entries};
use crate::queue::Plan;
use crate::record::*;
use crate::serve::{take, unix_seconds};
use crate::settings::Upload;
use crate::store::Store;
use crate::transport::{FHIR_JSON, Http, Method, Outgoing, Transport};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};
use zeroize::Zeroizing;

/// Largest token file, in bytes.
const TOKEN_BYTES_MAX: u64 = 16 * 1024;
/// New epochs begin at least this often when keys were destroyed.
const ROTATE_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Sends what waits.
pub struct Uploader<T = Http> {
    transport: T,
    settings: Upload,
    chance: Box<dyn Fn() -> u32 + Send + Sync>,
}

impl Uploader {
    /// An uploader to the configured server. Fails when the certificates cannot be read.
    pub fn new(settings: Upload) -> anyhow::Result<Uploader> {
        let transport = Http::new(&settings)?;
        let chance = || {
            let mut bytes = [0; 4];
            crate::keys::random(&mut bytes);
            u32::from_le_bytes(bytes)
        };
        Ok(Uploader::over(transport, settings, chance))
    }
}

impl<T: Transport> Uploader<T> {
    /// An uploader over a network of its own; `chance` gives numbers that spread the waits.
    pub fn over(transport: T, settings: Upload, chance: impl Fn() -> u32 + Send + Sync + 'static) -> Uploader<T> {
        Uploader { transport, settings, chance: Box::new(chance) }
    }

    /// Sends one submission and returns the server's proof. The store is held for moments only: what is large is read and
    /// sent while the cabin goes on.
    async fn send(&self, store: &Mutex<Store>, id: ConsultationId) -> Result<Receipt, Trouble> {
        let unreadable = |why: String| Trouble::Refused(format!("it cannot be read on this disk: {why}"));
        let sealed = take(store).sealed(id).map_err(unreadable)?;
        let plan = sealed.plan().map_err(unreadable)?;
        let mut answered = take(store).answered(id);
        for (at, upload) in (1..).zip(&plan.uploads) {
            if at <= answered {
                continue;
            }
            let content = sealed.upload(upload).map_err(unreadable)?;
            let url = self.under_base(&upload.path);
            let outgoing = self.outgoing(Method::Put, url, Some((upload.content_type.clone(), content)))?;
            expect_success(self.transport.exchange(outgoing).await?, "a file")?;
            answered = at;
            take(store).note_answered(id, answered);
        }
        let mut entries = Vec::new();
        if answered as usize <= plan.uploads.len() {
            let bundle = sealed.bundle(&plan).map_err(unreadable)?;
            let body = Some((FHIR_JSON.to_owned(), bundle));
            let outgoing = self.outgoing(Method::Post, self.settings.base_url.clone(), body)?;
            let answer = expect_success(self.transport.exchange(outgoing).await?, "the bundle")?;
            entries = transaction_entries(&answer)?;
            take(store).note_answered(id, plan.uploads.len() as u32 + 1);
        }
        self.prove(id, &plan, entries).await
    }

    async fn prove(&self, id: ConsultationId, plan: &Plan, entries: Vec<(String, String)>) -> Result<Receipt, Trouble> {
        let outgoing = self.outgoing(Method::Get, self.under_base(&plan.proof), None)?;
        let answer = self.transport.exchange(outgoing).await?;
        let etag = answer.etag.clone();
        let found = proof(&expect_success(answer, "the search for the proof")?)?;
        let etag = entries
            .iter()
            .find(|(location, _)| !found.resource.is_empty() && location.contains(&found.resource))
            .map_or(etag, |(_, etag)| etag.clone());
        let locations = entries.into_iter().map(|(location, _)| location).filter(|location| !location.is_empty());
        Ok(Receipt {
            consultation: id,
            received_at: unix_seconds(),
            resource: short(&found.resource),
            version: short(&found.version),
            etag: short(&etag),
            bundle_sha256: plan.bundle_sha256,
            locations: locations.take(RECEIPT_LOCATIONS_MAX).map(|location| short(&location)).collect(),
        })
    }

    fn under_base(&self, path: &str) -> String {
        format!("{}/{path}", self.settings.base_url.trim_end_matches('/'))
    }

    fn outgoing(
        &self,
        method: Method,
        url: String,
        body: Option<(String, Zeroizing<Vec<u8>>)>,
    ) -> Result<Outgoing, Trouble> {
        let authorization = self.settings.token_file.as_deref().map(bearer).transpose()?;
        Ok(Outgoing { method, url, body, authorization })
    }
}

/// The token, read again each time: a technician replaces it while this program runs.
fn bearer(path: &std::path::Path) -> Result<Zeroizing<String>, Trouble> {
    let access = |reason: String| Trouble::Server {
        code: FaultCode::ServerRefusesAccess,
        reason: format!("`token_file` {}: {reason}", path.display()),
        retry_after: None,
    };
    let length = std::fs::metadata(path).map_err(|error| access(error.to_string()))?.len();
    if length > TOKEN_BYTES_MAX {
        return Err(access(format!("a token has at most {TOKEN_BYTES_MAX} bytes")));
    }
    let token = Zeroizing::new(std::fs::read_to_string(path).map_err(|error| access(error.to_string()))?);
    if token.trim().is_empty() || !token.trim().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(access("expected one line of text".into()));
    }
    Ok(Zeroizing::new(format!("Bearer {}", token.trim())))
}

fn short(text: &str) -> String {
    text.chars().take(256).collect()
}

/// The wait after `failures` failures: doubled each time up to `max`, and between half and all of that by chance, so
/// that a region of cabins does not come back at the same moment.
fn delay(first: Duration, max: Duration, failures: u32, chance: u32) -> Duration {
    let full = first.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX)).min(max);
    full / 2 + (full / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

/// Waits: of the server for everything, and of single submissions. By the monotonic clock, so that a cabin whose date
/// jumps neither hurries nor stops; a restart begins anew.
#[derive(Default)]
struct Waits {
    server: Option<(Instant, u32)>,
    single: HashMap<ConsultationId, (Instant, u32)>,
}

/// Sends what waits, for as long as the program runs. `wake` is notified when something was queued; `failed` is called
/// when the store's disk failed.
pub async fn run<T: Transport>(uploader: Uploader<T>, store: Arc<Mutex<Store>>, wake: Arc<Notify>, failed: impl Fn()) {
    take(&store).set_server(&uploader.settings.base_url);
    let mut waits = Waits::default();
    let mut rotated_at = Instant::now();
    loop {
        if rotated_at.elapsed() >= ROTATE_EVERY {
            rotated_at = Instant::now();
            let _ = take(&store).rotate_if_due();
        }
        if take(&store).has_failed() {
            failed();
        }
        let now = Instant::now();
        let waiting = take(&store).waiting();
        waits.single.retain(|id, _| waiting.contains(id));
        let server_at = waits.server.map_or(now, |(at, _)| at);
        let at = |id: &ConsultationId| waits.single.get(id).map_or(now, |(at, _)| *at).max(server_at);
        let next = waiting.into_iter().map(|id| (at(&id), id)).min_by_key(|(at, _)| *at);
        match next {
            Some((at, id)) if at <= now => attempt(&uploader, &store, id, &mut waits).await,
            Some((at, _)) => wait(&wake, at.duration_since(now).min(ROTATE_EVERY)).await,
            None => wait(&wake, ROTATE_EVERY).await,
        }
    }
}

async fn wait(wake: &Notify, longest: Duration) {
    let _ = tokio::time::timeout(longest, wake.notified()).await;
}

async fn attempt<T: Transport>(uploader: &Uploader<T>, store: &Mutex<Store>, id: ConsultationId, waits: &mut Waits) {
    let Upload { retry_first, retry_max, .. } = uploader.settings;
    let before = take(store).answered(id);
    let sent = uploader.send(store, id).await;
    let mut store = take(store);
    let advanced = store.answered(id) > before;
    if !matches!(sent, Err(Trouble::Server { .. })) {
        waits.server = None;
        store.set_fault(FaultCode::ServerUnreachable, None);
        store.set_fault(FaultCode::ServerRefusesAccess, None);
    }
    let outcome = match sent {
        Ok(receipt) => {
            info!("consultation {id} is stored at the server as {}", receipt.resource);
            store.prove(receipt)
        }
        Err(Trouble::Server { code, reason, retry_after }) => {
            // A line that breaks but gets something through is used again soon.
            let failures = waits.server.filter(|_| !advanced).map_or(1, |(_, failures)| failures.saturating_add(1));
            let pause = delay(retry_first, retry_max, failures, (uploader.chance)())
                .max(retry_after.unwrap_or_default().min(retry_max));
            waits.server = Some((Instant::now() + pause, failures));
            warn!("the server cannot be used, next attempt in {} ms: {reason}", pause.as_millis());
            store.set_fault(code, Some(reason));
            store.note_failure(id);
            Ok(())
        }
        Err(Trouble::Later(reason)) => {
            let failures = waits.single.get(&id).map_or(1, |(_, failures)| failures.saturating_add(1));
            let pause = delay(retry_first, retry_max, failures, (uploader.chance)());
            waits.single.insert(id, (Instant::now() + pause, failures));
            warn!("consultation {id} is tried again in {} ms: {reason}", pause.as_millis());
            // From the first file on: the server may have lost what it had answered.
            store.note_answered(id, 0);
            store.note_failure(id);
            Ok(())
        }
        Err(Trouble::Refused(reason)) => {
            warn!("consultation {id} is set aside: {reason}");
            store.note_failure(id);
            store.set_aside(id, &reason)
        }
    };
    if let Err(refused) = outcome {
        warn!("{refused}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_never_fall_under_half() {
        let (first, max) = (Duration::from_millis(100), Duration::from_secs(5));
        for failures in 1..80 {
            let full = first.saturating_mul(2_u32.saturating_pow(failures - 1)).min(max);
            assert_eq!(delay(first, max, failures, 0), full / 2);
            let most = delay(first, max, failures, u32::MAX);
            assert!(most <= full && most > full - Duration::from_millis(1), "{failures}: {most:?}");
        }
    }
}

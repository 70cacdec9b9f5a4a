//! The upload: for each submission, its files by `PUT`, then its bundle, then a search that proves it is stored. A large
//! file goes in parts where the server knows how (the desk does), so that a line that breaks each minute gets it through.
//! One request is in flight at a time. Only the proof destroys a submission; a server that stored a bundle and cut the
//! answer is sent the same again, which its conditional creates make harmless.

use crate::answer::{Trouble, expect_success, proof, transaction_entries};
use crate::queue::{Plan, PlannedUpload};
use crate::record::*;
use crate::serve::{take, unix_seconds};
use crate::settings::Upload;
use crate::store::Store;
use crate::transport::{FHIR_JSON, Http, Method, Outgoing, PARTIAL, Part, Transport};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};
use zeroize::Zeroizing;

/// Largest token file, in bytes.
const TOKEN_BYTES_MAX: u64 = 16 * 1024;
/// Where nothing waits, or waits for long, the queue is looked at that often.
const LOOK_EVERY: Duration = Duration::from_secs(24 * 3600);
/// A longer file goes in parts, bytes: a second of a line of 1 Mbit/s.
const PART_BYTES: usize = 128 * 1024;
/// A submission that failed so often while others were stored needs a technician.
const FAILURES_TO_TELL: u32 = 5;
/// A submission that the server took and does not find is searched again, and sent again from so many failures on.
const NOT_FOUND_MAX: u32 = 2;

/// Sends what waits.
pub struct Uploader<T = Http> {
    transport: T,
    settings: Upload,
    chance: Box<dyn Fn() -> u32 + Send + Sync>,
    /// How much of the file under way the server said that it has, bytes; and how often that had grown.
    there: AtomicU64,
    grown: AtomicU64,
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
        let (there, grown) = (AtomicU64::new(0), AtomicU64::new(0));
        Uploader { transport, settings, chance: Box::new(chance), there, grown }
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
            self.send_file(upload, content).await?;
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

    async fn send_file(&self, upload: &PlannedUpload, content: Zeroizing<Vec<u8>>) -> Result<(), Trouble> {
        let url = self.under_base(&upload.path);
        if content.len() > PART_BYTES {
            let mut outgoing = self.outgoing(Method::Head, url.clone(), None)?;
            outgoing.part = Some(Part { offset: 0, last: Some(upload.sha256) });
            if let Some(offset) = self.transport.exchange(outgoing).await?.upload_offset {
                return self.send_parts(upload, &url, &content, offset).await;
            }
        }
        let outgoing = self.outgoing(Method::Put, url, Some((upload.content_type.clone(), content)))?;
        expect_success(self.transport.exchange(outgoing).await?, "a file").map(drop)
    }

    /// What the server does not have yet, from `offset` on, which is the server's to say.
    async fn send_parts(
        &self,
        upload: &PlannedUpload,
        url: &str,
        content: &[u8],
        mut offset: u64,
    ) -> Result<(), Trouble> {
        loop {
            self.note_there(offset);
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            // All of it: it told so by the file's hash.
            if from == content.len() {
                return Ok(());
            }
            let lost = || Trouble::Later("the server does not say what it has of a file".into());
            let part = content.get(from..).ok_or_else(lost)?;
            let part = part.get(..PART_BYTES).unwrap_or(part);
            let is_last = from + part.len() == content.len();
            // What its media type is, the server is told with the part that makes it whole.
            let media_type = if is_last { upload.content_type.clone() } else { PARTIAL.to_owned() };
            let body = Some((media_type, Zeroizing::new(part.to_vec())));
            let mut outgoing = self.outgoing(Method::Patch, url.to_owned(), body)?;
            outgoing.part = Some(Part { offset, last: is_last.then_some(upload.sha256) });
            let answer = self.transport.exchange(outgoing).await?;
            let known = answer.upload_offset;
            expect_success(answer, "a part of a file")?;
            if is_last {
                return Ok(());
            }
            offset = known.filter(|known| *known > offset).ok_or_else(lost)?;
        }
    }

    fn note_there(&self, offset: u64) {
        if self.there.swap(offset, Ordering::Relaxed) < offset {
            self.grown.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn prove(&self, id: ConsultationId, plan: &Plan, entries: Vec<(String, String)>) -> Result<Receipt, Trouble> {
        let outgoing = self.outgoing(Method::Get, self.under_base(&plan.proof), None)?;
        let answer = self.transport.exchange(outgoing).await?;
        let etag = answer.etag.clone();
        let found = proof(&expect_success(answer, "the search for the proof")?, &plan.proof)?;
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
        Ok(Outgoing { method, url, body, part: None, authorization })
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
    single: HashMap<ConsultationId, Single>,
    /// Submissions that were stored.
    stored: u64,
}

/// How one submission fails.
struct Single {
    at: Instant,
    /// Failures that were its own: others were stored since the one before.
    own: u32,
    /// What was stored when it failed last.
    stored: u64,
}

impl Waits {
    /// It failed, and is tried again after the others; by its own fault, as far as can be known, only where others are
    /// stored. Returns its own failures.
    fn failed(&mut self, id: ConsultationId, is_its_own: bool, pause: impl Fn(u32) -> Duration) -> (u32, Duration) {
        let stored = self.stored;
        let before = self.single.get(&id);
        let is_its_own = is_its_own || before.is_some_and(|before| stored > before.stored);
        let own = before.map_or(0, |before| before.own).saturating_add(u32::from(is_its_own));
        let pause = if own == 0 { Duration::ZERO } else { pause(own) };
        self.single.insert(id, Single { at: Instant::now() + pause, own, stored });
        (own, pause)
    }

    /// When it may be tried, and when it was to be tried before others that were not tried yet.
    fn order(&self, id: ConsultationId, now: Instant) -> (Instant, Option<Instant>) {
        let own = self.single.get(&id).map(|single| single.at);
        let server = self.server.map_or(now, |(at, _)| at);
        (own.unwrap_or(now).max(server).max(now), own)
    }
}

/// Sends what waits, for as long as the program runs. `wake` is notified when something was queued; `failed` is called
/// when the store's disk failed.
pub async fn run<T: Transport>(uploader: Uploader<T>, store: Arc<Mutex<Store>>, wake: Arc<Notify>, failed: impl Fn()) {
    take(&store).set_server(&uploader.settings.base_url);
    let mut waits = Waits::default();
    loop {
        if take(&store).has_failed() {
            failed();
        }
        let now = Instant::now();
        let waiting = take(&store).waiting();
        waits.single.retain(|id, _| waiting.contains(id));
        if !waits.single.values().any(|single| single.own >= FAILURES_TO_TELL) {
            take(&store).set_fault(FaultCode::NotTaken, None);
        }
        // Oldest first, and who failed after all others.
        let next = waiting.into_iter().map(|id| (waits.order(id, now), id)).min_by_key(|(order, _)| *order);
        match next.map(|((at, _), id)| (at, id)) {
            Some((at, id)) if at <= now => attempt(&uploader, &store, id, &mut waits).await,
            Some((at, _)) => wait(&wake, at.duration_since(now).min(LOOK_EVERY)).await,
            None => wait(&wake, LOOK_EVERY).await,
        }
    }
}

async fn wait(wake: &Notify, longest: Duration) {
    let _ = tokio::time::timeout(longest, wake.notified()).await;
}

async fn attempt<T: Transport>(uploader: &Uploader<T>, store: &Mutex<Store>, id: ConsultationId, waits: &mut Waits) {
    let Upload { retry_first, retry_max, .. } = uploader.settings;
    let pause = |failures: u32| delay(retry_first, retry_max, failures, (uploader.chance)());
    let before = (take(store).answered(id), uploader.grown.load(Ordering::Relaxed));
    let sent = uploader.send(store, id).await;
    let mut store = take(store);
    let advanced = store.answered(id) > before.0 || uploader.grown.load(Ordering::Relaxed) > before.1;
    if !matches!(sent, Err(Trouble::Server { .. } | Trouble::Place(_))) {
        waits.server = None;
        store.set_fault(FaultCode::ServerUnreachable, None);
        store.set_fault(FaultCode::ServerRefusesAccess, None);
    }
    let outcome = match sent {
        Ok(receipt) => {
            info!("consultation {id} is stored at the server as {}", receipt.resource);
            waits.stored += 1;
            let proved = store.prove(receipt);
            if proved.is_err() {
                // A full disk: the server is asked again, and not at once.
                waits.failed(id, true, pause);
            }
            proved
        }
        Err(Trouble::Server { code, reason, retry_after }) => {
            let reason = server_waits(waits, &pause, advanced, reason, retry_after.unwrap_or_default().min(retry_max));
            store.set_fault(code, Some(reason.clone()));
            tell(&mut store, id, waits.failed(id, false, pause).0, &reason);
            Ok(())
        }
        Err(Trouble::Place(reason)) => {
            let reason = server_waits(waits, &pause, advanced, reason, Duration::ZERO);
            let (own, _) = waits.failed(id, false, pause);
            if own > 0 {
                warn!("consultation {id} is set aside: {reason}");
                waits.server = None;
                store.note_failure(id);
                store.set_aside(id, &reason)
            } else {
                store.set_fault(FaultCode::ServerUnreachable, Some(reason.clone()));
                tell(&mut store, id, 0, &reason);
                Ok(())
            }
        }
        Err(Trouble::Later(reason)) => {
            let (own, pause) = waits.failed(id, true, pause);
            warn!("consultation {id} is tried again in {} ms: {reason}", pause.as_millis());
            tell(&mut store, id, own, &reason);
            Ok(())
        }
        Err(Trouble::NotFound(reason)) => {
            let (own, pause) = waits.failed(id, true, pause);
            warn!("consultation {id} is tried again in {} ms: {reason}", pause.as_millis());
            if own > NOT_FOUND_MAX {
                // From the first file on: the server has lost what it had answered.
                store.note_answered(id, 0);
            }
            tell(&mut store, id, own, &reason);
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

/// Everything waits for the server.
fn server_waits(
    waits: &mut Waits,
    pause: &impl Fn(u32) -> Duration,
    advanced: bool,
    reason: String,
    at_least: Duration,
) -> String {
    // A line that breaks but gets something through is used again soon.
    let failures = waits.server.filter(|_| !advanced).map_or(1, |(_, failures)| failures.saturating_add(1));
    let pause = pause(failures).max(at_least);
    waits.server = Some((Instant::now() + pause, failures));
    warn!("the server cannot be used, next attempt in {} ms: {reason}", pause.as_millis());
    reason
}

/// Counts a failed attempt, and tells a technician of one that fails again and again while others are stored.
fn tell(store: &mut Store, id: ConsultationId, own: u32, reason: &str) {
    store.note_failure(id);
    if own >= FAILURES_TO_TELL {
        let detail = format!("consultation {id} was tried {own} times while others were stored, and goes on: {reason}");
        store.set_fault(FaultCode::NotTaken, Some(detail));
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

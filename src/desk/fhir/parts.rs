//! Large files that come in parts, for cabins whose line breaks: a profile of draft-ietf-httpbis-resumable-upload on the
//! address of the `Binary` itself.
//!
//! ```text
//! HEAD  /fhir/Binary/<id>   Repr-Digest (RFC 9530)         -> 204, Upload-Offset: how much of it is here
//! PATCH /fhir/Binary/<id>   Upload-Offset, Upload-Complete -> 204, Upload-Offset; 409 where another offset is expected
//! ```
//!
//! The last part has `Upload-Complete: ?1`, the `Repr-Digest` of the whole and its media type. What is whole and has that
//! SHA-256 is stored as by `PUT`, here or at the site's own server, and its answer is passed on. Parts are kept in the data
//! folder for a week; that a file was stored is remembered as long, so that a lost answer sends nothing again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::store::Refusal;
use super::{BODY_BYTES_MAX, FHIR_JSON, Records, forward, lock, owner, refused, stored, transaction};
use crate::app::App;

/// Files under way, and files remembered, at most: of more the oldest are forgotten, and begin again.
const FILES_MAX: usize = 512;
/// What nobody went on with is forgotten after that.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const COMPLETE: HeaderName = HeaderName::from_static("upload-complete");
const DIGEST: HeaderName = HeaderName::from_static("repr-digest");

type Hash = [u8; 32];

/// Parts of files, in a folder.
pub struct Parts {
    dir: PathBuf,
    /// One request at a time: a cabin that gave a connection up may still hold it.
    turn: Mutex<()>,
}

/// What a part made of a file.
#[derive(Debug, PartialEq, Eq)]
enum Added {
    /// So much is here, bytes.
    Part(u64),
    /// All of it.
    Whole(Vec<u8>),
    /// Another part is expected: the one from there, bytes.
    Elsewhere(u64),
}

impl Parts {
    /// Parts in the data folder `data`.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(data: &Path) -> io::Result<Self> {
        let dir = data.join("fhir-parts");
        fs::create_dir_all(&dir)?;
        let parts = Self { dir, turn: Mutex::new(()) };
        parts.forget_old()?;
        Ok(parts)
    }

    fn forget_old(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
        files.sort();
        let too_many = files.len().saturating_sub(FILES_MAX);
        for (at, (modified, path)) in files.into_iter().enumerate() {
            // Of a clock that jumped back nothing is old.
            if at < too_many || modified.elapsed().is_ok_and(|age| age > KEPT) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// The name is of whom it is and of what, and tells neither.
    fn path(&self, owner: &str, id: &str, kind: &str) -> PathBuf {
        let hash = Sha256::new().chain_update(owner).chain_update([0]).chain_update(id).finalize();
        let name: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        self.dir.join(format!("{name}.{kind}"))
    }

    /// How much of a file is here, bytes; all of it where it was stored with this hash.
    fn there(&self, owner: &str, id: &str, hash: Option<Hash>) -> io::Result<u64> {
        let _turn = self.turn.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let (Some(hash), Ok(done)) = (hash, fs::read(self.path(owner, id, "done")))
            && let Some((known, bytes)) = done.split_first_chunk::<32>()
            && *known == hash
            && let Ok(bytes) = bytes.try_into()
        {
            return Ok(u64::from_le_bytes(bytes));
        }
        match fs::metadata(self.path(owner, id, "part")) {
            Ok(found) => Ok(found.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Keeps a part, on the disk when this returns. With `last`, the hash of the whole, gives the whole back and keeps
    /// nothing of this part: until the whole is stored it may come again.
    fn add(&self, owner: &str, id: &str, offset: u64, part: &[u8], last: Option<Hash>) -> io::Result<Added> {
        let _turn = self.turn.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let path = self.path(owner, id, "part");
        if offset == 0 {
            self.forget_old()?;
        }
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
        let there = file.metadata()?.len();
        if there != offset {
            return Ok(Added::Elsewhere(there));
        }
        if let Some(hash) = last {
            let mut whole = Vec::new();
            file.read_to_end(&mut whole)?;
            whole.extend_from_slice(part);
            if Hash::from(Sha256::digest(&whole)) != hash {
                fs::remove_file(&path)?;
                return Ok(Added::Elsewhere(0));
            }
            return Ok(Added::Whole(whole));
        }
        file.seek(io::SeekFrom::End(0))?;
        // Of a part that the disk did not take nothing stays.
        if let Err(error) = file.write_all(part).and_then(|()| file.sync_data()) {
            let _ = file.set_len(there);
            return Err(error);
        }
        Ok(Added::Part(there + part.len() as u64))
    }

    /// It was stored, or refused for good: its parts are no longer needed.
    fn end(&self, owner: &str, id: &str, stored: Option<(Hash, u64)>) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some((hash, bytes)) = stored {
            let mut file = File::create(self.path(owner, id, "done"))?;
            file.write_all(&[hash.as_slice(), &bytes.to_le_bytes()].concat())?;
            file.sync_data()?;
        }
        fs::remove_file(self.path(owner, id, "part"))
    }
}

fn hash_of(headers: &HeaderMap) -> Option<Hash> {
    let text = headers.get(DIGEST)?.to_str().ok()?;
    let digest = text.split(',').find_map(|one| one.trim().strip_prefix("sha-256=:")?.strip_suffix(':'))?;
    STANDARD.decode(digest).ok()?.try_into().ok()
}

fn there(status: StatusCode, offset: u64) -> Response {
    let mut response = status.into_response();
    response.headers_mut().insert(OFFSET, HeaderValue::from(offset));
    response
}

fn broken(error: &io::Error) -> Refusal {
    Refusal::new(500, "exception", format!("parts of files cannot be kept: {error}"))
}

/// Answers a `HEAD` or `PATCH` of the Binary `id`.
pub(super) async fn answer(
    app: Arc<App>,
    id: String,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let owner = match owner(&app, &headers) {
        Ok(owner) => owner,
        Err(refusal) => return refused(&refusal),
    };
    if !transaction::is_id(&id) {
        return refused(&Refusal::new(400, "value", "an id has 1 to 64 letters, digits, - and ."));
    }
    let hash = hash_of(&headers);
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let offset: Option<u64> = text(&OFFSET).and_then(|text| text.parse().ok());
    let is_last = text(&COMPLETE) == Some("?1");
    let of = (Arc::clone(&app), owner.clone(), id.clone());
    let added = tokio::task::spawn_blocking(move || {
        let (app, owner, id) = of;
        if method == Method::HEAD {
            let known = app.parts.there(&owner, &id, hash).map_err(|error| broken(&error))?;
            return Ok(Added::Part(known));
        }
        let Some(offset) = offset else {
            return Err(Refusal::new(400, "required", "Upload-Offset is expected: where this part begins, in bytes"));
        };
        if is_last && hash.is_none() {
            let expected = "Repr-Digest: sha-256=:…: of the whole file is expected with its last part";
            return Err(Refusal::new(400, "required", expected));
        }
        if offset.saturating_add(body.len() as u64) > BODY_BYTES_MAX as u64 {
            return Err(Refusal::new(413, "too-long", format!("a file has at most {BODY_BYTES_MAX} bytes")));
        }
        let last = hash.filter(|_| is_last);
        app.parts.add(&owner, &id, offset, &body, last).map_err(|error| broken(&error))
    });
    let whole = match added.await {
        Ok(Ok(Added::Part(offset))) => return there(StatusCode::NO_CONTENT, offset),
        Ok(Ok(Added::Elsewhere(offset))) => return there(StatusCode::CONFLICT, offset),
        Ok(Ok(Added::Whole(whole))) => whole,
        Ok(Err(refusal)) => return refused(&refusal),
        Err(error) => return refused(&Refusal::new(500, "exception", error.to_string())),
    };
    let bytes = whole.len() as u64;
    let mut response = store(&app, &owner, &id, &uri, &headers, whole).await;
    let is_stored = response.status().is_success();
    // What the server could not take now is asked for again with its last part.
    if is_stored || response.status().is_client_error() {
        let done = hash.filter(|_| is_stored).map(|hash| (hash, bytes));
        let of = (Arc::clone(&app), owner, id);
        let ended = tokio::task::spawn_blocking(move || of.0.parts.end(&of.1, &of.2, done)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "parts of a file that was stored");
        }
        response.headers_mut().insert(OFFSET, HeaderValue::from(bytes));
    }
    response
}

/// As a `PUT` of the whole.
async fn store(app: &Arc<App>, owner: &str, id: &str, uri: &Uri, headers: &HeaderMap, whole: Vec<u8>) -> Response {
    let store = match &app.records {
        Records::Embedded(store) => Arc::clone(store),
        Records::Forward { client, base, token } => {
            let mut headers = headers.clone();
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(FHIR_JSON));
            return forward(client, base, token.as_deref(), Method::PUT, uri, &headers, whole.into()).await;
        }
    };
    let (owner, id) = (owner.to_owned(), id.to_owned());
    let work = tokio::task::spawn_blocking(move || {
        let resource: Value = serde_json::from_slice(&whole)
            .map_err(|error| Refusal::new(400, "structure", format!("not JSON near line {}", error.line())))?;
        let request = json!({"method": "PUT", "url": format!("Binary/{id}")});
        stored(&mut lock(&store), resource, &request, &owner)
    });
    match work.await {
        Ok(Ok(response)) => response,
        Ok(Err(refusal)) => refused(&refusal),
        Err(error) => refused(&Refusal::new(500, "exception", error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(bytes: &[u8]) -> Hash {
        Sha256::digest(bytes).into()
    }

    #[test]
    fn parts_make_a_whole_only_in_order_and_with_its_hash_and_each_cabin_has_its_own() {
        let data = tempfile::tempdir().unwrap();
        let parts = Parts::open(data.path()).unwrap();
        let whole = b"one two three".as_slice();
        assert_eq!(parts.there("cabin:a", "x", None).unwrap(), 0);
        assert_eq!(parts.add("cabin:a", "x", 0, b"one ", None).unwrap(), Added::Part(4));
        assert_eq!(parts.add("cabin:a", "x", 0, b"one ", None).unwrap(), Added::Elsewhere(4), "its answer was lost");
        assert_eq!(parts.there("cabin:b", "x", None).unwrap(), 0);
        // A desk that starts again goes on.
        let parts = Parts::open(data.path()).unwrap();
        assert_eq!(parts.add("cabin:a", "x", 4, b"two ", None).unwrap(), Added::Part(8));
        let last = Some(hash(whole));
        assert_eq!(parts.add("cabin:a", "x", 8, b"three", last).unwrap(), Added::Whole(whole.to_vec()));
        assert_eq!(parts.there("cabin:a", "x", last).unwrap(), 8, "until it is stored the last part may come again");
        assert_eq!(parts.add("cabin:a", "x", 8, b"three", last).unwrap(), Added::Whole(whole.to_vec()));
        parts.end("cabin:a", "x", Some((hash(whole), 13))).unwrap();
        assert_eq!(parts.there("cabin:a", "x", last).unwrap(), 13);
        assert_eq!(parts.there("cabin:a", "x", Some(hash(b"another"))).unwrap(), 0);
        assert_eq!(parts.there("cabin:b", "x", last).unwrap(), 0);
    }

    #[test]
    fn a_file_of_which_a_part_is_another_begins_again() {
        let data = tempfile::tempdir().unwrap();
        let parts = Parts::open(data.path()).unwrap();
        parts.add("cabin:a", "x", 0, b"0ne ", None).unwrap();
        assert_eq!(parts.add("cabin:a", "x", 4, b"two", Some(hash(b"one two"))).unwrap(), Added::Elsewhere(0));
        assert_eq!(parts.there("cabin:a", "x", None).unwrap(), 0);
    }

    #[test]
    fn what_nobody_goes_on_with_is_forgotten_in_a_week_and_there_are_never_too_many() {
        let data = tempfile::tempdir().unwrap();
        let parts = Parts::open(data.path()).unwrap();
        parts.add("cabin:a", "old", 0, b"one", None).unwrap();
        let old = parts.path("cabin:a", "old", "part");
        let then = std::time::SystemTime::now() - KEPT - Duration::from_secs(60);
        File::open(&old).unwrap().set_modified(then).unwrap();
        for at in 0..FILES_MAX + 20 {
            parts.add("cabin:a", &at.to_string(), 0, b"one", None).unwrap();
        }
        assert!(!old.exists());
        assert!(fs::read_dir(data.path().join("fhir-parts")).unwrap().count() <= FILES_MAX + 1);
    }

    #[test]
    fn a_hash_is_read_from_its_header() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(DIGEST, HeaderValue::from_str(text).unwrap());
            hash_of(&headers)
        };
        let known = STANDARD.encode(hash(b"x"));
        assert_eq!(of(&format!("sha-256=:{known}:")), Some(hash(b"x")));
        assert_eq!(of(&format!("sha-512=:AAAA:, sha-256=:{known}:")), Some(hash(b"x")));
        for wrong in ["", "sha-256=", "sha-256=::", "sha-256=:AAAA:", &known] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}

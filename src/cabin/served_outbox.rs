//! A real outbox for the tests of this crate: store, socket and writer in a folder that goes away.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use outbox::Client;
use outbox::keys::RootKey;
use outbox::store::Store;

/// An outbox that can be away, and back.
pub(crate) struct ServedOutbox {
    folder: PathBuf,
    /// Taken by a test, the outbox answers nothing.
    pub(crate) store: Arc<Mutex<Store>>,
}

impl ServedOutbox {
    /// A folder with an empty store; nobody listens yet.
    pub(crate) fn away() -> ServedOutbox {
        let folder = std::env::temp_dir().join(format!("cabin-outbox-{}", uuid::Uuid::new_v4().simple()));
        std::fs::create_dir_all(&folder).unwrap();
        let root = RootKey::from_text_or_bytes(&[7; 32]).unwrap();
        let store = Store::open(&folder.join("data"), root, 1 << 20).unwrap();
        ServedOutbox { folder, store: Arc::new(Mutex::new(store)) }
    }

    /// Listens from now on.
    pub(crate) fn come_back(&self) {
        let listener = UnixListener::bind(self.socket()).unwrap();
        outbox::serve::serve(listener, self.store.clone(), Vec::new(), |_| {}).unwrap();
    }

    /// What connects to it.
    pub(crate) fn client(&self) -> Client {
        // Unoptimised, on a machine that builds meanwhile, an answer takes its time.
        Client::with_patience(self.socket(), Duration::from_secs(600))
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("socket")
    }
}

impl Drop for ServedOutbox {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

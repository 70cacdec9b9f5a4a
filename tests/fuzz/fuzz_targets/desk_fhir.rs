#![no_main]
//! A Bundle from a cabin, into a store in memory (`/dev/shm`) that lives as long as the fuzzer.

use std::cell::RefCell;
use desk::fhir::{store::Store, transaction};

thread_local! {
    static STORE: RefCell<Store> = {
        let folder = std::path::PathBuf::from(format!("/dev/shm/desk_fhir-{}", std::process::id()));
        RefCell::new(Store::open(&folder).expect("a store"))
    };
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(bundle) = serde_json::from_slice(data) else {
        let _ = std::str::from_utf8(data).map(transaction::search_of);
        return;
    };
    STORE.with_borrow_mut(|store| {
        let mut ids = 0;
        let mut fresh = || {
            ids += 1;
            format!("n{ids}")
        };
        let _ = transaction::run(store, bundle, "cabin:a", "2026-11-22T01:00:00.000Z", &mut fresh);
    });
});

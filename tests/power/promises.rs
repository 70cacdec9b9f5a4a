//! What the outbox acknowledged, and when; and whether a store still keeps all of it.

use outbox::queue::Sealed;
use outbox::store::Store;
use outbox::{BlobId, ConsultationId, FaultCode, LetterId};
use std::collections::{BTreeMap, BTreeSet};

/// One thing that was acknowledged.
pub enum Promise {
    Begun(ConsultationId),
    Appended(Vec<u8>),
    Blob(BlobId, Vec<u8>),
    Submitted(ConsultationId, Handed),
    Discarded(ConsultationId),
    Parked(ConsultationId, Parked),
    Reopened(ConsultationId),
    Wrote(LetterId, Vec<u8>),
    LetterSpent(LetterId),
    /// The server's proofs that a technician was shown.
    Proved(BTreeSet<ConsultationId>),
}

/// What was handed over: the bundle and the files.
#[derive(Clone, Default)]
pub struct Handed {
    pub bundle: Vec<u8>,
    pub files: BTreeMap<String, Vec<u8>>,
}

/// A consultation whose patient may come back.
#[derive(Clone)]
pub struct Parked {
    pub secret: Vec<u8>,
    /// What is sent otherwise.
    pub handed: Handed,
    /// Its time is over: it is held, or it waits to be sent.
    pub is_over: bool,
    pub records: Vec<Vec<u8>>,
    pub blobs: Vec<(BlobId, Vec<u8>)>,
}

/// Promises in order, each with the drive's position when its acknowledgement had come.
#[derive(Default)]
pub struct Promises(pub Vec<(usize, Promise)>);

/// What must be there after a power cut.
#[derive(Default)]
struct Expected<'a> {
    open: Option<ConsultationId>,
    records: Vec<&'a [u8]>,
    blobs: BTreeMap<BlobId, &'a [u8]>,
    handed: BTreeMap<ConsultationId, &'a Handed>,
    parked: BTreeMap<ConsultationId, &'a Parked>,
    closed: BTreeSet<ConsultationId>,
    letters: BTreeMap<LetterId, &'a [u8]>,
    proved: BTreeSet<ConsultationId>,
    /// What was asked and not answered yet: it may be there or not.
    asked: Option<&'a Promise>,
}

/// How a store came out of it.
#[derive(Debug)]
pub enum Verdict {
    /// So many acknowledgements hold.
    Kept(usize),
    Lost(String),
    Unreadable(String),
}

impl Promises {
    pub fn push(&mut self, position: usize, promise: Promise) {
        self.0.push((position, promise));
    }

    fn expected(&self, cut: usize) -> (usize, Expected<'_>) {
        let mut expected = Expected::default();
        let given = self.0.iter().take_while(|(position, _)| *position <= cut).count();
        for (_, promise) in &self.0[..given] {
            match promise {
                Promise::Begun(id) => expected.open = Some(*id),
                Promise::Appended(bytes) => expected.records.push(bytes),
                Promise::Blob(blob, bytes) => drop(expected.blobs.insert(*blob, bytes)),
                Promise::Submitted(id, handed) => {
                    expected.handed.insert(*id, handed);
                    expected.close(*id);
                }
                Promise::Discarded(id) => expected.close(*id),
                Promise::Parked(id, parked) => {
                    expected.parked.insert(*id, parked);
                    expected.close(*id);
                }
                Promise::Reopened(id) => {
                    if let Some(parked) = expected.parked.remove(id) {
                        expected.open(*id, parked);
                    }
                }
                Promise::Wrote(letter, content) => drop(expected.letters.insert(*letter, content)),
                Promise::LetterSpent(letter) => drop(expected.letters.remove(letter)),
                Promise::Proved(ids) => expected.proved.extend(ids),
            }
        }
        expected.asked = self.0.get(given).map(|(_, promise)| promise);
        (given, expected)
    }

    /// Whether `store`, opened after a power cut before event `cut`, keeps what had been acknowledged.
    pub fn verify(&self, cut: usize, store: &mut Store) -> Verdict {
        let (given, mut expected) = self.expected(cut);
        match expected.look(store) {
            Ok(()) => Verdict::Kept(given),
            Err(what) => Verdict::Lost(what),
        }
    }
}

impl<'a> Expected<'a> {
    fn open(&mut self, id: ConsultationId, parked: &'a Parked) {
        self.open = Some(id);
        self.closed.remove(&id);
        self.records = parked.records.iter().map(Vec::as_slice).collect();
        self.blobs = parked.blobs.iter().map(|(blob, bytes)| (*blob, bytes.as_slice())).collect();
    }

    fn close(&mut self, id: ConsultationId) {
        self.open = None;
        self.records.clear();
        self.blobs.clear();
        self.closed.insert(id);
    }

    fn look(&mut self, store: &mut Store) -> Result<(), String> {
        let status = store.status();
        if let Some(fault) = status.faults.iter().find(|fault| fault.code == FaultCode::Damaged) {
            return Err(format!("damage: {}", fault.detail));
        }
        match (self.open, status.open) {
            (Some(id), Some(found)) if id == found => self.look_at_open(id, store)?,
            (Some(id), None) => match self.asked {
                Some(Promise::Submitted(asked, handed)) if *asked == id => {
                    whole(store, id, handed, &BTreeSet::new()).map_err(|why| format!("being handed over: {why}"))?;
                }
                Some(Promise::Discarded(asked)) if *asked == id => {}
                Some(Promise::Parked(asked, parked)) if *asked == id => {
                    self.parked.insert(id, parked);
                }
                _ => return Err(format!("the open consultation {id} is not there")),
            },
            (None, Some(id)) if matches!(self.asked, Some(Promise::Begun(asked)) if *asked == id) => {}
            (None, Some(id)) if matches!(self.asked, Some(Promise::Reopened(asked)) if *asked == id) => {
                let parked = self.parked.remove(&id).ok_or("it was never parked")?;
                self.open(id, parked);
                self.look_at_open(id, store)?;
            }
            (None, None) => {}
            (expected, found) => return Err(format!("open is {found:?}, where {expected:?} is expected")),
        }
        self.look_at_letters(store)?;
        let receipts: BTreeSet<_> = store.receipts().iter().map(|receipt| receipt.consultation).collect();
        for (id, handed) in &self.handed {
            whole(store, *id, handed, &receipts)?;
        }
        for (id, parked) in &self.parked {
            let held = match held(store, *id) {
                Some(held) => same(&held, *id, &parked.handed),
                None if parked.is_over => whole(store, *id, &parked.handed, &receipts),
                None => Err("it is not held".to_owned()),
            };
            held.map_err(|why| format!("parked {id}: {why}"))?;
        }
        if let Some(id) = self.proved.difference(&receipts).next() {
            return Err(format!("the proof of {id} is not there"));
        }
        for id in store.waiting() {
            let asked = matches!(self.asked, Some(Promise::Submitted(asked, _)) if *asked == id);
            let is_over = self.parked.get(&id).is_some_and(|parked| parked.is_over);
            if !self.handed.contains_key(&id) && !asked && !is_over {
                return Err(format!("{id} waits, and was never handed over"));
            }
        }
        self.look_at_parked(store)
    }

    fn look_at_letters(&self, store: &mut Store) -> Result<(), String> {
        let found = store.letters().map_err(|refused| refused.to_string())?;
        let mut found: BTreeMap<_, _> = found.into_iter().map(|letter| (letter.id, letter.content)).collect();
        for (id, content) in &self.letters {
            match (found.remove(id), self.asked) {
                (Some(found), _) if found.as_slice() == *content => {}
                (Some(found), Some(Promise::Wrote(asked, anew))) if asked == id && found.as_slice() == anew => {}
                (None, Some(Promise::LetterSpent(asked))) if asked == id => {}
                (Some(_), _) => return Err(format!("letter {id} is another one")),
                (None, _) => return Err(format!("letter {id} is not there")),
            }
        }
        let is_asked = |id: &LetterId, found: &[u8]| matches!(self.asked, Some(Promise::Wrote(asked, anew)) if asked == id && found == anew);
        match found.iter().find(|(id, content)| !is_asked(id, content)) {
            Some((id, _)) => Err(format!("letter {id} is there, and should not be")),
            None => Ok(()),
        }
    }

    /// Nothing else being open, a patient comes back, and leaves for good.
    fn look_at_parked(&mut self, store: &mut Store) -> Result<(), String> {
        let back = self.parked.iter().find(|(_, parked)| !parked.is_over).map(|(id, parked)| (*id, *parked));
        let Some((id, parked)) = back.filter(|_| store.status().open.is_none()) else { return Ok(()) };
        let reopened = store.reopen(&parked.secret, 0).map_err(|refused| format!("parked {id}: {refused}"))?;
        if reopened != id {
            return Err(format!("the secret of {id} opens {reopened}"));
        }
        // What was asked for last was not of this one.
        (self.asked, self.records, self.blobs) = (None, Vec::new(), BTreeMap::new());
        self.open(id, parked);
        self.look_at_open(id, store).map_err(|why| format!("come back: {why}"))?;
        store.discard(id).map_err(|refused| refused.to_string())
    }

    fn look_at_open(&self, id: ConsultationId, store: &mut Store) -> Result<(), String> {
        let mut found = Vec::new();
        loop {
            let page = store.read_back(found.len() as u64).map_err(|refused| refused.to_string())?;
            let Some((_, records, more)) = page else { return Err("it cannot be read back".into()) };
            found.extend(records);
            if !more {
                break;
            }
        }
        let mut records = self.records.clone();
        if found.len() == records.len() + 1
            && let Some(Promise::Appended(asked)) = self.asked
        {
            records.push(asked);
        }
        if found.len() != records.len() {
            return Err(format!("{} records of {id}, where {} are expected", found.len(), records.len()));
        }
        if found.iter().zip(&records).any(|(found, expected)| found.bytes.as_slice() != *expected) {
            return Err(format!("a record of {id} is another"));
        }
        for (blob, content) in &self.blobs {
            match store.get_blob(id, *blob) {
                Ok(found) if found.bytes.as_slice() == *content => {}
                Ok(_) => return Err(format!("blob {blob} is another")),
                Err(refused) => return Err(format!("blob {blob}: {refused}")),
            }
        }
        Ok(())
    }
}

/// Whether a submission is there whole, or the server has proved that it stores it.
fn whole(
    store: &Store,
    id: ConsultationId,
    handed: &Handed,
    receipts: &BTreeSet<ConsultationId>,
) -> Result<(), String> {
    if receipts.contains(&id) {
        return Ok(());
    }
    if !store.waiting().contains(&id) {
        return Err(format!("{id} does not wait, and there is no proof of it"));
    }
    same(&store.sealed(id)?, id, handed)
}

fn held(store: &Store, id: ConsultationId) -> Option<Sealed> {
    store.held().find(|(held, _)| *held == id).and_then(|(_, sealed)| sealed.ok())
}

/// Whether what is sealed is what was handed over.
fn same(sealed: &Sealed, id: ConsultationId, handed: &Handed) -> Result<(), String> {
    let plan = sealed.plan()?;
    if sealed.bundle(&plan)?.as_slice() != handed.bundle {
        return Err(format!("the bundle of {id} is another"));
    }
    if plan.uploads.len() != handed.files.len() {
        return Err(format!("{id} has {} files, where {} are expected", plan.uploads.len(), handed.files.len()));
    }
    for upload in &plan.uploads {
        if handed.files.get(&upload.path).map(Vec::as_slice) != Some(sealed.upload(upload)?.as_slice()) {
            return Err(format!("the file {} of {id} is another", upload.path));
        }
    }
    Ok(())
}

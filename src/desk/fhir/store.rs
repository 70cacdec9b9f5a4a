//! The embedded FHIR R4 store: resources by type and id, found by identifier and by reference, changed all or nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::log::{Log, Place};
use super::{call_backs, second_opinions};

/// Requests for a second opinion that are closed and still listed, most: the ones changed longest ago are read no more
/// in lists. Whoever knows one by its id still reads it.
const CLOSED_OPINIONS_MAX: usize = 2000;

/// Who put resources here: a cabin sees only what it put itself.
pub type Owner = String;

/// Why the store refuses, with its HTTP status and FHIR issue code.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// `IssueType` code.
    pub issue: &'static str,
    /// What to do; holds nothing of a patient.
    pub reason: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(status: u16, issue: &'static str, reason: impl Into<String>) -> Self {
        Refusal { status, issue, reason: reason.into() }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Refusal::new(500, "exception", format!("the store cannot be read or written: {error}"))
    }
}

type Key = (String, String);

struct Entry {
    version: u64,
    place: Place,
    /// Which change of the line.
    nth: usize,
    identifiers: Vec<(String, String)>,
    /// (name of the top-level element, `Type/id`).
    references: Vec<(String, String)>,
    owners: BTreeSet<Owner>,
}

/// One resource to be stored, with its id in it.
pub(super) struct Change {
    pub(super) version: u64,
    pub(super) resource: Value,
}

/// What a search asks; all given must match.
#[derive(Default, Debug)]
pub struct Search {
    /// `_id`.
    pub id: Option<String>,
    /// `identifier`: system (absent: any) and value.
    pub identifier: Option<(Option<String>, String)>,
    /// Reference parameters: names of top-level elements, any of which, and `Type/id`.
    pub references: Vec<(Vec<&'static str>, String)>,
}

/// See the module.
pub struct Store {
    log: Log,
    entries: HashMap<Key, Entry>,
    by_identifier: HashMap<(String, String), BTreeSet<Key>>,
    by_reference: HashMap<String, BTreeSet<Key>>,
    /// Requests that wait for a physician, by id: few, and asked for at each change.
    open_tasks: BTreeMap<String, Value>,
    tasks_changed: bool,
    /// Requests for a second opinion, by id: the open ones and the last [`CLOSED_OPINIONS_MAX`] closed ones.
    opinions: BTreeMap<String, Value>,
    /// Identifiers of the closed ones, the one changed longest ago first.
    closed_opinions: VecDeque<String>,
    opinions_changed: bool,
}

impl Store {
    /// Opens the store of a folder.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let mut lines = Vec::new();
        let log = Log::open(folder, |place, line| {
            // Only the index is kept in memory: the line is read again when a resource is asked for.
            if let Ok(line) = serde_json::from_str::<Value>(line) {
                lines.push((place, index_of(&line)));
            }
        })?;
        let (entries, by_identifier, by_reference, open_tasks) = Default::default();
        let mut store = Store {
            log,
            entries,
            by_identifier,
            by_reference,
            open_tasks,
            tasks_changed: false,
            opinions: BTreeMap::new(),
            closed_opinions: VecDeque::new(),
            opinions_changed: false,
        };
        for (place, indexed) in lines {
            for (nth, item) in indexed.into_iter().enumerate() {
                store.index(place, nth, item);
            }
        }
        Ok(store)
    }

    /// The resource and its version.
    pub fn get(&mut self, kind: &str, id: &str) -> Result<Option<(Value, u64)>, Refusal> {
        let Some(entry) = self.entries.get(&(kind.to_owned(), id.to_owned())) else { return Ok(None) };
        let (place, nth, version) = (entry.place, entry.nth, entry.version);
        let mut line: Value = serde_json::from_str(&self.log.read(place)?).map_err(io::Error::from)?;
        Ok(Some((line["changes"][nth]["resource"].take(), version)))
    }

    /// The version of a resource.
    pub(super) fn version(&self, kind: &str, id: &str) -> Option<u64> {
        self.entries.get(&(kind.to_owned(), id.to_owned())).map(|entry| entry.version)
    }

    /// Whether `owner` put this resource, or was told that it is there.
    pub fn owns(&self, kind: &str, id: &str, owner: &str) -> bool {
        self.entries.get(&(kind.to_owned(), id.to_owned())).is_some_and(|entry| entry.owners.contains(owner))
    }

    /// Identifiers of the resources of a type that match, in order.
    pub fn search(&self, kind: &str, search: &Search) -> Vec<String> {
        let matches = |key: &Key, entry: &Entry| {
            let identified = search.identifier.as_ref().is_none_or(|(system, value)| {
                let same = |(s, v): &(String, String)| v == value && system.as_ref().is_none_or(|system| system == s);
                entry.identifiers.iter().any(same)
            });
            let refers = search.references.iter().all(|(names, target)| {
                entry.references.iter().any(|(name, to)| to == target && names.contains(&name.as_str()))
            });
            search.id.as_ref().is_none_or(|id| *id == key.1) && identified && refers
        };
        let all = |keys: &mut dyn Iterator<Item = (&Key, &Entry)>| {
            let found = keys.filter(|(key, entry)| key.0 == kind && matches(key, entry));
            found.map(|(key, _)| key.1.clone()).collect::<BTreeSet<_>>().into_iter().collect()
        };
        let known = |key| self.entries.get_key_value(key);
        if let Some((Some(system), value)) = &search.identifier {
            let keys = self.by_identifier.get(&(system.clone(), value.clone()));
            return all(&mut keys.into_iter().flatten().filter_map(known));
        }
        if let Some((_, target)) = search.references.first() {
            return all(&mut self.by_reference.get(target).into_iter().flatten().filter_map(known));
        }
        all(&mut self.entries.iter())
    }

    /// Every resource that refers to `target` (`Type/id`).
    pub fn referring_to(&self, target: &str) -> Vec<(String, String)> {
        self.by_reference.get(target).into_iter().flatten().cloned().collect()
    }

    /// What a resource refers to.
    pub fn referred_by(&self, kind: &str, id: &str) -> Vec<String> {
        let entry = self.entries.get(&(kind.to_owned(), id.to_owned()));
        entry.map_or(Vec::new(), |entry| entry.references.iter().map(|(_, to)| to.clone()).collect())
    }

    /// The requests that wait for a physician, or for the end of what one took up.
    pub fn open_tasks(&self) -> impl Iterator<Item = &Value> {
        self.open_tasks.values()
    }

    /// Whether they changed since this was last asked.
    pub fn take_tasks_changed(&mut self) -> bool {
        std::mem::take(&mut self.tasks_changed)
    }

    /// Requests for a second opinion: the open ones, and the last closed ones.
    pub fn opinions(&self) -> impl Iterator<Item = &Value> {
        self.opinions.values()
    }

    /// Whether they changed since this was last asked.
    pub fn take_opinions_changed(&mut self) -> bool {
        std::mem::take(&mut self.opinions_changed)
    }

    fn keep_opinion(&mut self, id: &str, task: Value) {
        self.opinions_changed = true;
        self.closed_opinions.retain(|closed| closed != id);
        if !second_opinions::state(&task).is_open() {
            self.closed_opinions.push_back(id.to_owned());
            if self.closed_opinions.len() > CLOSED_OPINIONS_MAX
                && let Some(oldest) = self.closed_opinions.pop_front()
            {
                self.opinions.remove(&oldest);
            }
        }
        self.opinions.insert(id.to_owned(), task);
    }

    /// Stores all the changes, durably, or none; `seen` are resources of which the owner was told.
    pub(super) fn commit(&mut self, changes: Vec<Change>, seen: &[Key], owner: &str) -> Result<(), Refusal> {
        let newly_seen = seen.iter().filter(|(kind, id)| !self.owns(kind, id, owner));
        let newly_seen: Vec<_> = newly_seen.map(|(kind, id)| json!([kind, id])).collect();
        if changes.is_empty() && newly_seen.is_empty() {
            return Ok(());
        }
        let changes: Vec<Value> =
            changes.into_iter().map(|change| json!({"version": change.version, "resource": change.resource})).collect();
        let line = json!({"owner": owner, "seen": newly_seen, "changes": changes});
        let place = self.log.append(&line.to_string())?;
        for (nth, item) in index_of(&line).into_iter().enumerate() {
            self.index(place, nth, item);
        }
        Ok(())
    }

    fn index(&mut self, place: Place, nth: usize, item: Indexed) {
        let Indexed { key, version, identifiers, references, owner, seen_only, open_task, opinion } = item;
        if seen_only {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.owners.insert(owner);
            }
            return;
        }
        if key.0 == "Task" {
            self.tasks_changed = true;
            match open_task {
                Some(task) => drop(self.open_tasks.insert(key.1.clone(), task)),
                None => drop(self.open_tasks.remove(&key.1)),
            }
        }
        if let Some(task) = opinion {
            self.keep_opinion(&key.1, task);
        }
        let mut owners = BTreeSet::from([owner]);
        if let Some(old) = self.entries.remove(&key) {
            for identifier in &old.identifiers {
                self.by_identifier.get_mut(identifier).map(|keys| keys.remove(&key));
            }
            for (_, target) in &old.references {
                self.by_reference.get_mut(target).map(|keys| keys.remove(&key));
            }
            owners.extend(old.owners);
        }
        for identifier in &identifiers {
            self.by_identifier.entry(identifier.clone()).or_default().insert(key.clone());
        }
        for (_, target) in &references {
            self.by_reference.entry(target.clone()).or_default().insert(key.clone());
        }
        self.entries.insert(key, Entry { version, place, nth, identifiers, references, owners });
    }
}

struct Indexed {
    key: Key,
    version: u64,
    identifiers: Vec<(String, String)>,
    references: Vec<(String, String)>,
    owner: Owner,
    seen_only: bool,
    /// The resource itself, where it is a request that waits.
    open_task: Option<Value>,
    /// The resource itself, where it is a request for a second opinion.
    opinion: Option<Value>,
}

/// What the index needs of one line; changes first, so that their place in the line is their number.
fn index_of(line: &Value) -> Vec<Indexed> {
    let owner = text(&line["owner"]);
    let list = |name: &str| line[name].as_array().map_or(&[][..], Vec::as_slice);
    let changes = list("changes").iter().map(|change| {
        let resource = &change["resource"];
        Indexed {
            key: (text(&resource["resourceType"]), text(&resource["id"])),
            version: change["version"].as_u64().unwrap_or(1),
            identifiers: identifiers(resource),
            references: references(resource),
            owner: owner.clone(),
            seen_only: false,
            open_task: call_backs::is_open(resource).then(|| resource.clone()),
            opinion: second_opinions::is_opinion(resource).then(|| resource.clone()),
        }
    });
    let seen = list("seen").iter().map(|key| Indexed {
        key: (text(&key[0]), text(&key[1])),
        version: 0,
        identifiers: Vec::new(),
        references: Vec::new(),
        owner: owner.clone(),
        seen_only: true,
        open_task: None,
        opinion: None,
    });
    changes.chain(seen).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// `identifier` of a resource, one or many, and `masterIdentifier`.
pub(super) fn identifiers(resource: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for name in ["identifier", "masterIdentifier"] {
        let many = match &resource[name] {
            Value::Array(many) => many.as_slice(),
            Value::Null => &[],
            one => std::slice::from_ref(one),
        };
        let valued = many.iter().filter(|identifier| identifier["value"].is_string());
        found.extend(valued.map(|identifier| (text(&identifier["system"]), text(&identifier["value"]))));
    }
    found
}

fn references(resource: &Value) -> Vec<(String, String)> {
    fn walk(top: &str, value: &Value, found: &mut Vec<(String, String)>) {
        match value {
            Value::Object(object) => {
                for (name, value) in object {
                    match value {
                        Value::String(target) if name == "reference" => found.push((top.to_owned(), target.clone())),
                        _ => walk(if top.is_empty() { name } else { top }, value, found),
                    }
                }
            }
            Value::Array(array) => array.iter().for_each(|value| walk(top, value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk("", resource, &mut found);
    found
}

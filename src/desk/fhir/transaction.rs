//! A FHIR R4 transaction: every entry is resolved and checked first, then all are stored together or none is.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::call_backs::DESK;
use super::store::{Change, Refusal, Search, Store, identifiers};

/// Most entries of one Bundle; a consultation has some tens.
pub const ENTRIES_MAX: usize = 500;

enum Outcome {
    Created,
    Updated,
    /// Stored already, exactly so.
    Unchanged,
    /// A conditional create found it.
    Matched,
}

struct Plan {
    kind: String,
    id: String,
    version: u64,
    outcome: Outcome,
    /// To be stored; none when matched.
    resource: Option<Value>,
}

/// Runs one Bundle; gives the `transaction-response`. `now` is an instant of FHIR; `fresh_id` makes identifiers.
pub fn run(
    store: &mut Store,
    bundle: Value,
    owner: &str,
    now: &str,
    fresh_id: &mut dyn FnMut() -> String,
) -> Result<Value, Refusal> {
    if bundle["resourceType"] != "Bundle" || bundle["type"] != "transaction" {
        return Err(Refusal::new(400, "invalid", "a Bundle of type transaction is expected"));
    }
    let Some(Value::Array(entries)) = bundle.get("entry").cloned().or(Some(Value::Array(Vec::new()))) else {
        return Err(Refusal::new(400, "structure", "entry is a list"));
    };
    if entries.len() > ENTRIES_MAX {
        return Err(Refusal::new(413, "too-costly", format!("at most {ENTRIES_MAX} entries in one transaction")));
    }
    let mut plans = Vec::new();
    let mut places = HashMap::new();
    let mut within = HashMap::new();
    let mut keys = HashSet::new();
    for (n, mut entry) in entries.into_iter().enumerate() {
        let at = |refusal: Refusal| Refusal { reason: format!("entry {n}: {}", refusal.reason), ..refusal };
        if !entry.is_object() {
            return Err(at(Refusal::new(400, "structure", "an object is expected")));
        }
        let full_url = entry["fullUrl"].as_str().map(str::to_owned);
        let request = entry["request"].take();
        let plan = plan(store, &mut within, entry["resource"].take(), &request, owner, fresh_id).map_err(at)?;
        if plan.resource.is_some() && !keys.insert((plan.kind.clone(), plan.id.clone())) {
            return Err(at(Refusal::new(400, "duplicate", "two entries change the same resource")));
        }
        if let Some(full_url) = full_url
            && places.insert(full_url, format!("{}/{}", plan.kind, plan.id)).is_some()
        {
            return Err(at(Refusal::new(400, "duplicate", "two entries have the same fullUrl")));
        }
        plans.push(plan);
    }
    for (n, plan) in plans.iter_mut().enumerate() {
        if let Some(resource) = &mut plan.resource {
            rewrite(store, resource, &places)
                .map_err(|refusal| Refusal { reason: format!("entry {n}: {}", refusal.reason), ..refusal })?;
        }
    }
    store_all(store, plans, owner, now)
}

/// Stores one resource by the same rules: the interactions create and update outside a transaction.
pub fn single(
    store: &mut Store,
    resource: Value,
    request: &Value,
    owner: &str,
    now: &str,
    fresh_id: &mut dyn FnMut() -> String,
) -> Result<Value, Refusal> {
    let mut plan = plan(store, &mut HashMap::new(), resource, request, owner, fresh_id)?;
    if let Some(resource) = &mut plan.resource {
        rewrite(store, resource, &HashMap::new())?;
    }
    let mut response = store_all(store, vec![plan], owner, now)?;
    Ok(response["entry"][0]["response"].take())
}

type Within = HashMap<(String, String, String), String>;

fn plan(
    store: &mut Store,
    within: &mut Within,
    resource: Value,
    request: &Value,
    owner: &str,
    fresh_id: &mut dyn FnMut() -> String,
) -> Result<Plan, Refusal> {
    let invalid = |reason: &str| Refusal::new(400, "invalid", reason);
    let url = request["url"].as_str().ok_or_else(|| invalid("request.url is missing"))?;
    let kind = resource["resourceType"].as_str().ok_or_else(|| invalid("resource.resourceType is missing"))?.to_owned();
    if !is_kind(&kind) {
        return Err(invalid("resourceType is not the name of a resource"));
    }
    let (path, query) = url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query)));
    let (path_kind, path_id) = path.split_once('/').map_or((path, None), |(kind, id)| (kind, Some(id)));
    if path_kind != kind {
        return Err(invalid("request.url and resourceType differ"));
    }
    let create = |store: &Store, within: &mut Within, resource: Value, id: String| {
        for (system, value) in identifiers(&resource) {
            within.entry((kind.clone(), system, value)).or_insert_with(|| id.clone());
        }
        let version = store.version(&kind, &id).unwrap_or(0) + 1;
        Plan { kind: kind.clone(), id, version, outcome: Outcome::Created, resource: Some(resource) }
    };
    match (request["method"].as_str(), path_id, query) {
        (Some("POST"), None, None) => {
            let Some(condition) = request["ifNoneExist"].as_str() else {
                return Ok(create(store, within, resource, fresh_id()));
            };
            match found(store, within, &kind, condition)? {
                None => Ok(create(store, within, resource, fresh_id())),
                Some(id) => {
                    let version = store.version(&kind, &id).unwrap_or(1);
                    Ok(Plan { kind, id, version, outcome: Outcome::Matched, resource: None })
                }
            }
        }
        (Some("PUT"), path_id, query) => {
            let id = match (path_id, query) {
                (Some(id), None) if is_id(id) => id.to_owned(),
                (None, Some(condition)) => match found(store, within, &kind, condition)? {
                    Some(id) => id,
                    None => return Ok(create(store, within, resource, fresh_id())),
                },
                _ => return Err(invalid("PUT needs Type/id or Type?identifier=...")),
            };
            if path_id.is_some() && resource["id"] != json!(id) {
                return Err(invalid("resource.id differs from request.url"));
            }
            let current = store.version(&kind, &id);
            if let Some(wanted) = request["ifMatch"].as_str()
                && Some(wanted) != current.map(|version| format!("W/\"{version}\"")).as_deref()
            {
                return Err(Refusal::new(412, "conflict", "the resource is of another version than ifMatch"));
            }
            match current {
                None => Ok(create(store, within, resource, id)),
                Some(_) if owner != DESK && !store.owns(&kind, &id, owner) => {
                    Err(Refusal::new(403, "forbidden", "the resource was stored by another cabin"))
                }
                Some(version) => {
                    Ok(Plan { kind, id, version: version + 1, outcome: Outcome::Updated, resource: Some(resource) })
                }
            }
        }
        _ => Err(Refusal::new(
            400,
            "not-supported",
            "only POST Type, PUT Type/id and PUT Type?identifier=... are understood",
        )),
    }
}

/// The one resource that a condition names, stored or earlier in this transaction.
fn found(store: &Store, within: &Within, kind: &str, condition: &str) -> Result<Option<String>, Refusal> {
    let search = search_of(condition)?;
    let mut ids = store.search(kind, &search);
    if let Some((system, value)) = &search.identifier
        && let Some(id) = within.iter().find_map(|((k, s, v), id)| {
            (k == kind && v == value && system.as_ref().is_none_or(|system| system == s)).then_some(id)
        })
        && !ids.contains(id)
    {
        ids.push(id.clone());
    }
    match ids.len() {
        0 | 1 => Ok(ids.pop()),
        n => Err(Refusal::new(412, "multiple-matches", format!("the condition matches {n} resources"))),
    }
}

/// The search of a query text. What is not understood is refused: a condition half understood would match too much.
pub fn search_of(query: &str) -> Result<Search, Refusal> {
    let mut search = Search::default();
    for pair in query.trim_start_matches('?').split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value =
            percent_decoded(value).ok_or_else(|| Refusal::new(400, "invalid", "a search value is not UTF-8"))?;
        let reference = |names: &[&'static str], kind: &str| {
            let target = if value.contains('/') || kind.is_empty() { value.clone() } else { format!("{kind}/{value}") };
            (names.to_vec(), target)
        };
        match name {
            _ if value.is_empty() => return Err(Refusal::new(400, "invalid", format!("{name} has no value"))),
            "_id" => search.id = Some(value),
            "identifier" => {
                search.identifier = Some(match value.split_once('|') {
                    Some((system, value)) => (Some(system.to_owned()), value.to_owned()),
                    None => (None, value),
                });
            }
            "patient" | "subject" => search.references.push(reference(&["subject", "patient"], "Patient")),
            "encounter" => search.references.push(reference(&["encounter", "context"], "Encounter")),
            "device" => search.references.push(reference(&["device"], "Device")),
            "_count" | "_format" => {}
            _ => {
                return Err(Refusal::new(
                    400,
                    "not-supported",
                    format!("the search parameter {name} is not understood"),
                ));
            }
        }
    }
    if search.id.is_none() && search.identifier.is_none() && search.references.is_empty() {
        return Err(Refusal::new(400, "too-costly", "give identifier, _id, patient, encounter or device"));
    }
    Ok(search)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
            }
            b'+' => bytes.push(b' '),
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Puts `Type/id` for every reference to an entry of the Bundle, and for every conditional reference.
fn rewrite(store: &Store, value: &mut Value, places: &HashMap<String, String>) -> Result<(), Refusal> {
    match value {
        Value::Object(object) => {
            for (name, value) in object.iter_mut() {
                match value {
                    Value::String(target) if name == "reference" => {
                        if let Some(place) = places.get(target) {
                            *target = place.clone();
                        } else if let Some((kind, condition)) = target.split_once('?') {
                            let id = found(store, &HashMap::new(), kind, condition)?;
                            let id = id.ok_or_else(|| {
                                Refusal::new(412, "not-found", "a conditional reference finds nothing")
                            })?;
                            *target = format!("{kind}/{id}");
                        } else if target.starts_with("urn:") {
                            return Err(Refusal::new(
                                400,
                                "not-found",
                                "a reference to a fullUrl that is not in the Bundle",
                            ));
                        }
                    }
                    // Attachments may point to a Binary of the same Bundle.
                    Value::String(target) if matches!(name.as_str(), "url" | "uri" | "valueUri" | "valueUrl") => {
                        if let Some(place) = places.get(target) {
                            *target = place.clone();
                        }
                    }
                    _ => rewrite(store, value, places)?,
                }
            }
            Ok(())
        }
        Value::Array(array) => array.iter_mut().try_for_each(|value| rewrite(store, value, places)),
        _ => Ok(()),
    }
}

fn store_all(store: &mut Store, mut plans: Vec<Plan>, owner: &str, now: &str) -> Result<Value, Refusal> {
    let (mut changes, mut seen, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    for plan in &mut plans {
        let Some(mut resource) = plan.resource.take() else {
            seen.push((plan.kind.clone(), plan.id.clone()));
            continue;
        };
        stamp(&mut resource, &plan.id, plan.version, now);
        if let Outcome::Updated = plan.outcome
            && let Some((current, version)) = store.get(&plan.kind, &plan.id)?
            && unstamped(current) == unstamped(resource.clone())
        {
            // Sent again, after an answer that was lost: the same version stays.
            (plan.version, plan.outcome) = (version, Outcome::Unchanged);
            continue;
        }
        changes.push(Change { version: plan.version, resource });
    }
    store.commit(changes, &seen, owner)?;
    for plan in plans {
        let status = match plan.outcome {
            Outcome::Created => "201 Created",
            Outcome::Updated | Outcome::Unchanged | Outcome::Matched => "200 OK",
        };
        let Plan { kind, id, version, .. } = plan;
        entries.push(json!({"response": {
            "status": status,
            "location": format!("{kind}/{id}/_history/{version}"),
            "etag": format!("W/\"{version}\""),
            "lastModified": now,
        }}));
    }
    Ok(json!({"resourceType": "Bundle", "type": "transaction-response", "entry": entries}))
}

pub(super) fn stamp(resource: &mut Value, id: &str, version: u64, now: &str) {
    let Value::Object(object) = resource else { return };
    let mut stamped = Map::new();
    stamped.insert("resourceType".into(), object.remove("resourceType").unwrap_or_default());
    stamped.insert("id".into(), id.into());
    let mut meta = match object.remove("meta") {
        Some(Value::Object(meta)) => meta,
        _ => Map::new(),
    };
    meta.insert("versionId".into(), version.to_string().into());
    meta.insert("lastUpdated".into(), now.into());
    stamped.insert("meta".into(), meta.into());
    object.remove("id");
    stamped.append(object);
    *object = stamped;
}

/// Without what the server itself writes, for comparison.
fn unstamped(mut resource: Value) -> Value {
    if let Some(Value::Object(meta)) = resource.get_mut("meta") {
        meta.remove("versionId");
        meta.remove("lastUpdated");
    }
    resource
}

/// Whether this can be the name of a type of resource.
pub fn is_kind(kind: &str) -> bool {
    kind.len() <= 64
        && kind.starts_with(|c: char| c.is_ascii_uppercase())
        && kind.bytes().all(|b| b.is_ascii_alphabetic())
}

/// Whether this is a FHIR id.
pub fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

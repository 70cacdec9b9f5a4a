//! `kill -9` at any moment of the outbox, of the program that records into it, or of both, while it sends to an
//! independent FHIR server (`tests/fhir_peer/`) that stores and then cuts every second answer. In the end each record
//! that was acknowledged is at the server, and none is there twice. Some patients leave in the middle: some of them
//! come back, and go on; of the others what was held is sent.

#[path = "../../../tests/fhir_peer.rs"]
mod fhir_peer;
mod shared;

use fhir_peer::{Peer, tools_or_skip};
use outbox::{Body, Client, ConsultationId, Error, LetterId, Record, Submission, Upload};
use serde_json::{Value, json};
use shared::{Chance, Daemon, Folder, asked, socket, until, until_within};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, UNIX_EPOCH};
use zeroize::Zeroizing;

/// Kills in one run; `OUTBOX_FHIR_KILLS` asks for more.
const KILLS: u64 = 25;
/// The server takes its time on a machine that builds meanwhile.
const SERVER_PATIENCE: Duration = Duration::from_secs(400);
/// A patient in so many leaves for good; another one in so many comes back.
const LEAVING: u64 = 6;
/// Limits of those who come back, and of those who do not, seconds.
const COMES_BACK_S: i64 = 24 * 3600;
const FOR_GOOD_S: i64 = 1;
/// Tells the recording half where its folder is.
const RECORD_IN: &str = "OUTBOX_RECORD_IN";

#[test]
fn kills_of_cabin_and_outbox_lose_nothing_and_send_nothing_twice() {
    let Some(tools) = tools_or_skip("kills_of_cabin_and_outbox_lose_nothing_and_send_nothing_twice") else { return };
    let kills = asked("OUTBOX_FHIR_KILLS", KILLS);
    let mut chance = Chance::new();
    let folder = Folder::new();
    let peer = Peer::start_cutting(tools, 2).unwrap();
    let upload = format!("[upload]\nbase_url = {:?}\nretry_first_ms = 10\nretry_max_s = 1\n", peer.base());
    let ledger = folder.0.join("ledger");
    File::create(&ledger).unwrap();
    let lines = || std::fs::read_to_string(&ledger).unwrap().lines().count() as u64;
    let mut daemon = Daemon::start(&folder, &upload);
    let mut recorder = Recorder::start(&folder);
    let mut killed = [0_u64; 3];
    for _ in 0..kills {
        let target = lines() + 1 + chance.below(30);
        until_within(SERVER_PATIENCE, "the recording to go on", || lines() >= target || recorder.has_ended());
        assert!(!recorder.has_ended(), "the recording half failed; its words are above");
        // Not a wait for anything: it only makes the kill land at a random point of an operation.
        std::thread::sleep(Duration::from_micros(chance.below(5000)));
        let what = chance.below(3) as usize;
        killed[what] += 1;
        if what != 0 {
            recorder.kill();
        }
        if what != 1 {
            daemon.kill();
            daemon = Daemon::start(&folder, &upload);
        }
        if what != 0 {
            recorder = Recorder::start(&folder);
        }
    }
    File::create(folder.0.join("stop")).unwrap();
    until_within(SERVER_PATIENCE, "the last consultation", || recorder.has_ended());
    assert!(recorder.succeeded(), "the recording half failed; its words are above");
    let client = Client::new(socket(&folder));
    until_within(SERVER_PATIENCE, "an empty queue", || {
        client.status().is_ok_and(|status| status.waiting + status.parked == 0)
    });
    let status = client.status().unwrap();
    assert_eq!((status.open, status.set_aside, status.parked), (None, 0, 0));
    let letters: BTreeMap<_, _> =
        client.letters().unwrap().into_iter().map(|letter| (letter.id.to_string(), letter.content)).collect();
    assert!(daemon.terminate().success());

    let ledger = Ledger::read(&ledger);
    for (id, consultation) in &ledger.0 {
        let found = letters.get(id).map(|content| content.as_slice());
        match consultation.letter {
            Some(Written::Kept) => assert_eq!(found, Some(words(id).as_slice()), "the letter about {id}"),
            Some(Written::Spent) | None => assert_eq!(found, None, "the letter about {id}"),
            Some(Written::Spending) => {}
        }
    }
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for resource in peer.resources().unwrap() {
        let kind = resource["resourceType"].as_str().unwrap_or_default().to_owned();
        let name = match resource["identifier"][0]["value"].as_str() {
            Some(identifier) => identifier.to_owned(),
            None => resource["id"].as_str().unwrap_or_default().to_owned(),
        };
        *found.entry(format!("{kind} {name}")).or_default() += 1;
    }
    let mut expected = Vec::new();
    for (id, consultation) in &ledger.0 {
        expected.push(format!("Encounter {id}"));
        expected.push(format!("Binary {id}"));
        expected.extend((0..consultation.kept).map(|seq| format!("Observation {id}-{seq}")));
    }
    let lost: Vec<_> = expected.iter().filter(|name| !found.contains_key(*name)).collect();
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    let requests = peer.requests().unwrap();
    let cut = requests.iter().filter(|request| request.cut).count();
    let left = ledger.0.values().filter(|consultation| consultation.leaving == Some(Leaving::ForGood)).count();
    eprintln!(
        "{kills} kills (outbox {}, cabin {}, both {}): {} consultations ({left} patients left for good, {} came back), {} \
         records acknowledged; {} requests, of which {cut} stored and cut; lost: {}, twice: {}",
        killed[0],
        killed[1],
        killed[2],
        ledger.0.len(),
        ledger.0.values().map(|consultation| consultation.back).sum::<u64>(),
        ledger.0.values().map(|consultation| consultation.kept).sum::<u64>(),
        requests.len(),
        lost.len(),
        twice.len()
    );
    assert!(cut > 0 && !ledger.0.is_empty());
    assert_eq!((lost, twice), (vec![], vec![]));
}

/// The program in the cabin's place.
struct Recorder(Child);

impl Recorder {
    fn start(folder: &Folder) -> Recorder {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "the_recording_half", "--nocapture"]).env(RECORD_IN, &folder.0);
        Recorder(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    fn succeeded(&mut self) -> bool {
        self.0.wait().unwrap().success()
    }

    fn kill(&mut self) {
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What was acknowledged, by consultation, as the recording half wrote it down at once.
#[derive(Default)]
struct Ledger(BTreeMap<String, Consultation>);

#[derive(Default, Debug)]
struct Consultation {
    /// Records whose acknowledgement came.
    kept: u64,
    /// Whether handing over was begun.
    sending: bool,
    /// Whether it was acknowledged, or found done after a kill.
    sent: bool,
    /// Parking that was begun.
    leaving: Option<Leaving>,
    /// Whether it was acknowledged, or found done after a kill, of one who comes back.
    parked: bool,
    /// The letter about it.
    letter: Option<Written>,
    /// Whether opening it again was begun, and how often it was done.
    reopening: bool,
    back: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leaving {
    ComesBack,
    ForGood,
}

/// A letter to a specialist, as far as it was acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Written {
    Kept,
    /// Its destruction was begun.
    Spending,
    Spent,
}

fn words(id: &str) -> Vec<u8> {
    format!("about {id}").repeat(9).into_bytes()
}

/// Of a patient who leaves, only they know it.
fn secret(id: &str) -> Vec<u8> {
    format!("{id}/1954-03-12").into_bytes()
}

impl Ledger {
    fn read(path: &Path) -> Ledger {
        let mut ledger = Ledger::default();
        for line in std::fs::read_to_string(path).unwrap().lines() {
            let (word, id) = line.split_once(' ').unwrap();
            let consultation = ledger.0.entry(id.to_owned()).or_default();
            match word {
                "begun" => {}
                "kept" => consultation.kept += 1,
                "wrote" => consultation.letter = Some(Written::Kept),
                "spending" => consultation.letter = Some(Written::Spending),
                "spent" => consultation.letter = Some(Written::Spent),
                "sending" => consultation.sending = true,
                "sent" => consultation.sent = true,
                "leaving_for_good" => consultation.leaving = Some(Leaving::ForGood),
                "leaving" => consultation.leaving = Some(Leaving::ComesBack),
                "parked" => consultation.parked = true,
                "reopening" => consultation.reopening = true,
                // Open, whatever was begun.
                "open" => {
                    consultation.back += u64::from(consultation.parked);
                    (consultation.leaving, consultation.parked, consultation.reopening) = (None, false, false);
                    consultation.sending = false;
                }
                other => panic!("{other}"),
            }
        }
        ledger
    }
}

#[test]
#[ignore = "half of the test above, which starts and kills it"]
fn the_recording_half() {
    let Some(folder) = std::env::var_os(RECORD_IN).map(PathBuf::from) else { return };
    let path = folder.join("ledger");
    let mut file = File::options().append(true).open(&path).unwrap();
    let client = Client::new(folder.join("socket"));
    let mut chance = Chance::seeded(uuid::Uuid::new_v4().as_u64_pair().0);
    let ledger = Ledger::read(&path);
    let mut note = |word: &str, id: ConsultationId| file.write_all(format!("{word} {id}\n").as_bytes()).unwrap();
    // After a start, and after each broken connection, the outbox says what is open.
    let mut open = again(|| client.read_back());
    // Of those who will come back.
    let mut parked = Vec::new();
    for (id, consultation) in ledger.0.iter().filter(|(_, consultation)| !consultation.sent) {
        let found = ConsultationId(id.parse().unwrap());
        match &open {
            Some((open, records)) if *open == found => {
                assert!(records.len() as u64 >= consultation.kept, "{id} lost: {} of {consultation:?}", records.len());
                assert!(!consultation.parked || consultation.reopening, "{id} is open: {consultation:?}");
                note("open", found);
            }
            _ if consultation.parked => parked.push(found),
            _ => match consultation.leaving {
                Some(Leaving::ComesBack) => {
                    note("parked", found);
                    parked.push(found);
                }
                Some(Leaving::ForGood) => note("sent", found),
                None => {
                    assert!(consultation.sending, "{id} is lost: {consultation:?}");
                    note("sent", found);
                }
            },
        }
    }
    if let Some((id, records)) = &open {
        let consultation = ledger.0.get(&id.to_string());
        if consultation.is_none() {
            note("begun", *id);
        }
        // Kept before the kill, and not yet written down.
        for _ in consultation.map_or(0, |consultation| consultation.kept)..records.len() as u64 {
            note("kept", *id);
        }
    }
    loop {
        let (id, records) = match open.take() {
            Some((id, records)) => (id, records.len() as u64),
            None if folder.join("stop").exists() && parked.is_empty() => return,
            None if !parked.is_empty() && (folder.join("stop").exists() || chance.below(2) == 0) => {
                let id = parked.swap_remove(0);
                note("reopening", id);
                let (found, records) = come_back(&client, &id.to_string());
                assert_eq!(found, id);
                note("open", id);
                (id, records.len() as u64)
            }
            None => {
                // The server on this busy machine has its time.
                until_within(SERVER_PATIENCE, "a short queue", || {
                    client.status().is_ok_and(|status| status.waiting < 3)
                });
                // A begin whose answer was lost is found by reading back.
                let id = match client.begin() {
                    Ok(id) => id,
                    Err(Error::Refused(refused)) => panic!("{refused}"),
                    Err(_) => {
                        open = again(|| client.read_back());
                        if let Some((id, _)) = &open {
                            note("begun", *id);
                        }
                        continue;
                    }
                };
                note("begun", id);
                (id, 0)
            }
        };
        // At least one more of who came back.
        let wanted = (2 + chance.below(5)).max(records + u64::from(records > 0));
        for seq in records..wanted {
            let content = format!("{id}-{seq}").repeat(1 + chance.below(20) as usize);
            again(|| client.append(1, content.as_bytes()).map(|at| assert_eq!(at, seq)));
            note("kept", id);
        }
        // What is written to a specialist, and soon is at the desk, or not so soon.
        let letter = LetterId(id.0);
        again(|| client.keep_letter(letter, &words(&id.to_string())));
        note("wrote", id);
        if chance.below(10) != 0 {
            note("spending", id);
            again(|| client.drop_letter(letter));
            note("spent", id);
        }
        let picture = again(|| client.put_blob("picture", "image/jpeg", &[7; 30_000]));
        // As the cabin does: the record is made of what the outbox gives back.
        let (found, records) = again(|| client.read_back()).unwrap();
        assert_eq!(found, id);
        let mut entries = vec![entry("Encounter", &id.to_string(), json!({ "status": "finished", "class": class() }))];
        for record in &records {
            let text = String::from_utf8(record.bytes.to_vec()).unwrap();
            let name = format!("{id}-{}", record.seq);
            assert!(text.starts_with(&name), "record {} of {id} is another", record.seq);
            entries.push(entry("Observation", &name, json!({ "status": "final", "code": { "text": "weight" } })));
        }
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries }).to_string();
        let upload =
            Upload { path: format!("Binary/{id}"), content_type: "image/jpeg".into(), body: Body::Blob(picture) };
        let submission = Submission {
            uploads: vec![upload],
            bundle: Zeroizing::new(bundle.into_bytes()),
            proof: format!("Encounter?identifier={id}"),
        };
        let leaving = match chance.below(LEAVING) {
            0 => Some((Leaving::ForGood, "leaving_for_good", FOR_GOOD_S)),
            1 if !folder.join("stop").exists() => Some((Leaving::ComesBack, "leaving", COMES_BACK_S)),
            _ => None,
        };
        note(leaving.map_or("sending", |(_, word, _)| word), id);
        let handed = again(|| {
            let handed = match leaving {
                None => client.submit(submission.clone()),
                Some((_, _, seconds)) => client.park(submission.clone(), &secret(&id.to_string()), now() + seconds),
            };
            match handed {
                Err(Error::Refused(refused)) if refused.refusal == outbox::Refusal::UnknownBlob => Ok(false),
                other => other.map(|()| true),
            }
        });
        assert!(handed);
        if let Some((Leaving::ComesBack, ..)) = leaving {
            note("parked", id);
            parked.push(id);
        } else {
            note("sent", id);
        }
    }
}

fn now() -> i64 {
    i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap()
}

/// The patient of that consultation gives the secret.
fn come_back(client: &Client, id: &str) -> (ConsultationId, Vec<Record>) {
    again(|| match client.reopen(&secret(id)) {
        // It was opened, and the outbox killed before it answered.
        Err(Error::Refused(refused)) if refused.refusal == outbox::Refusal::AlreadyOpen => Ok(()),
        other => other,
    });
    again(|| client.read_back()).unwrap_or_else(|| panic!("{id} is not open"))
}

/// Repeats a call for as long as the outbox is away: it is being killed and started.
fn again<T>(mut call: impl FnMut() -> Result<T, Error>) -> T {
    let mut answer = None;
    until("the outbox", || match call() {
        Ok(value) => {
            answer = Some(value);
            true
        }
        Err(Error::Absent { .. } | Error::Lost(_)) => false,
        Err(other) => panic!("{other}"),
    });
    answer.unwrap()
}

fn entry(kind: &str, name: &str, fields: Value) -> Value {
    let mut resource = json!({ "resourceType": kind, "identifier": [{ "value": name }] });
    for (field, value) in fields.as_object().unwrap() {
        resource[field] = value.clone();
    }
    json!({
        "resource": resource,
        "request": { "method": "POST", "url": kind, "ifNoneExist": format!("identifier={name}") },
    })
}

fn class() -> Value {
    json!({ "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "VR" })
}

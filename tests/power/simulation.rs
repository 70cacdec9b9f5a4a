//! Cabin, outbox and server in simulated time (turmoil) over a network that loses, delays and parts, while each of the
//! first two crashes: between any two awaits, and the outbox between any two operations of its disk. The store, the
//! uploader and the answers to the cabin are the real ones. A seed fixes all of it: a failing one is printed, and
//! `SIMULATION_SEED` runs it again.

use crate::shared::{Chance, Folder, State, asked, root_key};
use outbox::answer::Trouble;
use outbox::crash;
use outbox::settings::Upload;
use outbox::store::Store;
use outbox::transport::{Answer, Method, Outgoing, Transport};
use outbox::upload::{self, Uploader};
use outbox::wire::{Reply, Request, UploadOf};
use outbox::{Blob, BlobId, ConsultationId, FaultCode, Record, Refusal};
use serde_json::json;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use turmoil::net::{TcpListener, TcpStream};
use zeroize::Zeroizing;

/// Seeds in one run; `SIMULATION_SEEDS` asks for more.
const SEEDS: u64 = 25;
const CONSULTATIONS: usize = 4;
const RESERVE: u64 = 64 * 1024;
/// Simulated time of trouble, and the longest until all is sent after it.
const TROUBLE: Duration = Duration::from_secs(60);
const CALM: Duration = Duration::from_secs(600);
const CABIN_PORT: u16 = 7;
/// A limit that is not over in a run, seconds.
const FAR: i64 = 24 * 3600;
/// One patient in so many leaves before the end, for good; another one in so many comes back.
const LEAVING: u64 = 5;

/// What the cabin was told, in the order of its consultations.
#[derive(Default)]
struct Told {
    consultations: Vec<Visit>,
    crashes: u64,
    back: u64,
}

#[derive(Clone)]
struct Visit {
    id: ConsultationId,
    /// Records that were acknowledged, of those it will have.
    kept: u64,
    wanted: u64,
    picture: Option<BlobId>,
    sending: bool,
    sent: bool,
    leaving: Option<Leaving>,
    /// Its patient has left, and will come back; `reopening` is asked for meanwhile.
    parked: bool,
    reopening: bool,
}

/// Parking that was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    ComesBack,
    /// What is held is sent by itself.
    ForGood,
}

impl Visit {
    fn new(id: ConsultationId, wanted: u64) -> Visit {
        let (kept, picture, leaving) = (0, None, None);
        Visit { id, kept, wanted, picture, sending: false, sent: false, leaving, parked: false, reopening: false }
    }

    /// Nothing of it is open: what was asked for last has happened. False: nothing was.
    fn closed(&mut self) -> bool {
        match self.leaving {
            Some(Leaving::ComesBack) => self.parked = true,
            Some(Leaving::ForGood) => self.sent = true,
            None if self.sending => self.sent = true,
            None => return false,
        }
        true
    }

    /// It is open, whatever was asked for.
    fn opened(&mut self) {
        (self.leaving, self.parked, self.reopening, self.sending) = (None, false, false, false);
    }

    fn secret(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(format!("{}/1954-03-12", self.id).into_bytes())
    }
}

/// How a run came out, to compare it with the same again.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    asked: Vec<String>,
    crashes: u64,
    deaths: u64,
    /// Patients who left for good, and openings again that were acknowledged.
    left: u64,
    back: u64,
}

#[test]
fn whatever_the_network_and_the_crashes_do_each_record_is_at_the_server_once() {
    if let Ok(seed) = std::env::var("SIMULATION_SEED") {
        let outcome = simulate(seed.parse().expect("a number"));
        eprintln!("{outcome:?}");
        return;
    }
    let (mut requests, mut crashes, mut deaths, mut left, mut back) = (0, 0, 0, 0, 0);
    let seeds = asked("SIMULATION_SEEDS", SEEDS);
    let first = asked("SIMULATION_FIRST", 1);
    let mut failing = Vec::new();
    for seed in first..first + seeds {
        match catch_unwind(|| simulate(seed)) {
            Ok(outcome) => {
                requests += outcome.asked.len();
                crashes += outcome.crashes;
                deaths += outcome.deaths;
                left += outcome.left;
                back += outcome.back;
            }
            Err(_) => {
                eprintln!("SIMULATION_SEED={seed} fails");
                failing.push(seed);
            }
        }
    }
    eprintln!(
        "{seeds} seeds, {} consultations each: {requests} requests at the server, {crashes} crashes between awaits, \
         {deaths} between operations of the disk; {left} patients left for good, {back} came back; failing seeds: \
         {failing:?}",
        CONSULTATIONS
    );
    assert!(failing.is_empty(), "SIMULATION_SEED=N runs one again: {failing:?}");
    assert!(crashes > 0 && deaths > 0 && left > 0 && back > 0);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [3, 11] {
        assert_eq!(simulate(seed), simulate(seed));
    }
}

/// Whether a bundle may be sent twice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bundles {
    Conditional,
    /// What a cabin must never send.
    Unconditional,
}

#[test]
fn the_simulation_sees_what_bundles_without_conditions_store_twice() {
    let seen = (1..=4).any(|seed| catch_unwind(|| simulate_with(seed, Bundles::Unconditional)).is_err());
    assert!(seen, "four runs with cut answers stored nothing twice");
}

fn simulate(seed: u64) -> Outcome {
    simulate_with(seed, Bundles::Conditional)
}

fn simulate_with(seed: u64, bundles: Bundles) -> Outcome {
    let mut chance = Chance::seeded(seed);
    let memory = Path::new("/dev/shm");
    let folder = Folder::new();
    let scratch = memory.is_dir().then(|| memory.join(folder.0.file_name().unwrap()));
    let data = scratch.clone().unwrap_or_else(|| folder.data()).join("data");
    let server = Arc::new(Mutex::new(State::default()));
    let told = Arc::new(Mutex::new(Told::default()));
    let died = Arc::new(Mutex::new(0_u64));

    let mut sim = turmoil::Builder::new()
        .rng_seed(seed)
        .tick_duration(Duration::from_millis(5))
        .simulation_duration(TROUBLE + CALM + Duration::from_secs(1))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(80))
        .tcp_capacity(1 << 16)
        .fail_rate(0.01)
        .repair_rate(0.4)
        .build();
    {
        let server = server.clone();
        sim.host("server", move || serve_fhir(server.clone()));
    }
    {
        let (data, died) = (data.clone(), died.clone());
        let chance = Arc::new(Mutex::new(Chance::seeded(seed ^ 0xa5a5)));
        sim.host("outbox", move || mortal(run_outbox(data.clone(), chance.clone()), died.clone()));
    }
    {
        let told = told.clone();
        let chance = Arc::new(Mutex::new(Chance::seeded(seed ^ 0x5a5a)));
        sim.host("cabin", move || run_cabin(told.clone(), chance.clone(), bundles));
    }

    let mut seen_dead = 0;
    while sim.elapsed() < TROUBLE {
        sim.step().unwrap();
        let dead = *died.lock().unwrap();
        if dead > seen_dead {
            seen_dead = dead;
            sim.crash("outbox");
            sim.bounce("outbox");
        }
        match chance.below(4000) {
            0..8 => {
                crash::after(None);
                sim.crash("outbox");
                sim.bounce("outbox");
                told.lock().unwrap().crashes += 1;
            }
            8..16 => {
                sim.crash("cabin");
                sim.bounce("cabin");
                told.lock().unwrap().crashes += 1;
            }
            16..56 => crash::after(Some(chance.below(40))),
            56..64 => sim.partition("outbox", "server"),
            64..80 => sim.repair("outbox", "server"),
            80..84 => {
                let mut server = server.lock().unwrap();
                server.cut_every_second = !server.cut_every_second;
            }
            84..86 => server.lock().unwrap().statuses.extend([503, 409, 500]),
            _ => {}
        }
    }
    // The trouble ends; what was promised must come to its end.
    crash::after(None);
    sim.set_fail_rate(0.0);
    for (one, other) in [("outbox", "server"), ("cabin", "outbox")] {
        sim.repair(one, other);
    }
    sim.crash("outbox");
    sim.bounce("outbox");
    let expected = |told: &Told| {
        told.consultations.len() == CONSULTATIONS && told.consultations.iter().all(|consultation| consultation.sent)
    };
    let encounters = |server: &State| server.resources.iter().filter(|r| r["resourceType"] == "Encounter").count();
    loop {
        sim.step().unwrap();
        let done = expected(&told.lock().unwrap()) && encounters(&server.lock().unwrap()) >= CONSULTATIONS;
        if done {
            break;
        }
        assert!(sim.elapsed() < TROUBLE + CALM, "not all was sent in {CALM:?} of calm");
    }
    // And the proofs.
    let until = sim.elapsed() + Duration::from_secs(20);
    while sim.elapsed() < until {
        sim.step().unwrap();
    }
    drop(sim);

    let told = told.lock().unwrap();
    let server = server.lock().unwrap();
    let mut found: BTreeMap<&str, u64> = BTreeMap::new();
    for resource in &server.resources {
        *found.entry(resource["identifier"][0]["value"].as_str().unwrap()).or_default() += 1;
    }
    for consultation in &told.consultations {
        let id = consultation.id.to_string();
        assert_eq!(found.remove(id.as_str()), Some(1), "the encounter {id}");
        for seq in 0..consultation.kept {
            let name = format!("{id}-{seq}");
            assert_eq!(found.remove(name.as_str()), Some(1), "record {name}");
        }
        if let Some(picture) = consultation.picture {
            let file = server.files.get(&format!("Binary/{picture}")).expect("the picture");
            assert_eq!(file, &content(consultation.id, 1000), "the picture of {id}");
        }
    }
    assert_eq!(found, BTreeMap::new(), "nothing else is at the server");
    let store = Store::open(&data, root_key(), RESERVE).unwrap();
    let status = store.status();
    assert_eq!((status.open, status.waiting, status.set_aside, status.parked), (None, 0, 0, 0));
    assert_eq!(store.receipts().len(), CONSULTATIONS);
    drop(store);
    assert_eq!(outbox::check(&data, root_key()).unwrap().problems, Vec::<String>::new());
    if let Some(scratch) = scratch {
        let _ = std::fs::remove_dir_all(scratch);
    }
    let left = told.consultations.iter().filter(|visit| visit.leaving == Some(Leaving::ForGood)).count() as u64;
    Outcome { asked: server.asked.clone(), crashes: told.crashes, deaths: seen_dead, left, back: told.back }
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

type Ended = Result<(), Box<dyn std::error::Error>>;

/// A program that dies where [`crash::after`] says: nothing of it runs after that.
async fn mortal(program: impl Future<Output = Ended>, died: Arc<Mutex<u64>>) -> Ended {
    let mut alive = Some(Box::pin(program));
    std::future::poll_fn(|context| {
        let Some(program) = &mut alive else { return Poll::Pending };
        match catch_unwind(AssertUnwindSafe(|| program.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(cause) if cause.is::<crash::Killed>() => {
                alive = None;
                *died.lock().unwrap() += 1;
                Poll::Pending
            }
            Err(cause) => std::panic::resume_unwind(cause),
        }
    })
    .await
}

/// What `main.rs` puts together, over the simulated network.
async fn run_outbox(data: PathBuf, chance: Arc<Mutex<Chance>>) -> Ended {
    let store = Arc::new(Mutex::new(Store::open(&data, root_key(), RESERVE)?));
    let settings = Upload {
        base_url: "http://server/fhir".into(),
        token_file: None,
        ca_file: None,
        retry_first: Duration::from_millis(100),
        retry_max: Duration::from_secs(5),
    };
    let spread = move || chance.lock().unwrap().below(1 << 32) as u32;
    let uploader = Uploader::over(Network, settings, spread);
    let wake = Arc::new(Notify::new());
    let listener = TcpListener::bind(("0.0.0.0", CABIN_PORT)).await?;
    let serving = async {
        let mut next = None;
        loop {
            let mut stream = match next.take() {
                Some(stream) => stream,
                None => listener.accept().await?.0,
            };
            // A cabin that started again, or gave its connection up, replaces the one before.
            tokio::select! {
                biased;
                accepted = listener.accept() => next = Some(accepted?.0),
                () = answer_cabin(&mut stream, &store, &wake) => {}
            }
        }
        #[allow(unreachable_code, reason = "names the type of the block's error")]
        io::Result::Ok(())
    };
    tokio::select! {
        biased;
        ended = serving => ended?,
        () = upload::run(uploader, store.clone(), wake.clone(), || panic!("the disk failed")) => {}
        // Its clock is not the simulated one: limits are over, or far.
        () = outbox::parked::watch(store.clone(), || wake.notify_one()) => {}
    }
    Ok(())
}

async fn answer_cabin(stream: &mut TcpStream, store: &Mutex<Store>, wake: &Notify) {
    while let Ok(message) = receive(stream).await {
        let reply = match Request::decode(&message) {
            Ok(request) => {
                let queued = matches!(request, Request::Submit { .. } | Request::Park { .. });
                let reply = outbox::serve::answer(&mut outbox::serve::take(store), request);
                if queued {
                    wake.notify_one();
                }
                reply
            }
            Err(refused) => Reply::Refused(refused),
        };
        if send(stream, &reply.encode()).await.is_err() {
            return;
        }
    }
}

async fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u32_le().await?;
    let mut message = vec![0; length as usize];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn send(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let mut bytes = (message.len() as u32).to_le_bytes().to_vec();
    bytes.extend_from_slice(message);
    stream.write_all(&bytes).await
}

/// The cabin's end: asks until it is answered, as the real client's callers do; every request may be repeated.
struct Cabin {
    stream: Option<TcpStream>,
}

impl Cabin {
    async fn ask(&mut self, request: &Request) -> Reply {
        loop {
            let exchange = async {
                let mut stream = match self.stream.take() {
                    Some(stream) => stream,
                    None => TcpStream::connect(("outbox", CABIN_PORT)).await?,
                };
                send(&mut stream, &request.encode()).await?;
                let reply = receive(&mut stream).await?;
                self.stream = Some(stream);
                io::Result::Ok(reply)
            };
            match tokio::time::timeout(Duration::from_secs(2), exchange).await {
                Ok(Ok(reply)) => return Reply::decode(&reply).unwrap_or_else(|_| panic!("not a reply")),
                // Nothing tells it when the outbox is back.
                _ => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    async fn done(&mut self, request: &Request) {
        match self.ask(request).await {
            Reply::Done => {}
            Reply::Refused(refused) => panic!("{refused}"),
            _ => panic!("another answer"),
        }
    }

    async fn read_back(&mut self) -> Option<(ConsultationId, Vec<Record>)> {
        match self.ask(&Request::ReadBack(0)).await {
            Reply::NothingOpen => None,
            Reply::Page { consultation, records, more: false } => Some((consultation, records)),
            _ => panic!("another answer"),
        }
    }
}

fn content(id: ConsultationId, n: u64) -> Vec<u8> {
    format!("{id}-{n} ").into_bytes().repeat(1 + n as usize % 60)
}

async fn run_cabin(told: Arc<Mutex<Told>>, chance: Arc<Mutex<Chance>>, bundles: Bundles) -> Ended {
    let below = |end: u64| chance.lock().unwrap().below(end);
    let mut cabin = Cabin { stream: None };
    let open = cabin.read_back().await;
    // After a start the outbox says where it was, and that must be what the cabin was told.
    let mut at = {
        let mut told = told.lock().unwrap();
        match &open {
            Some((id, records)) => {
                let at = told.consultations.iter().position(|visit| visit.id == *id);
                let at = at.unwrap_or_else(|| panic!("{id} is open, and was never begun"));
                let visit = &mut told.consultations[at];
                assert!(!visit.sent, "{id} was sent, and is open");
                assert!(!visit.parked || visit.reopening, "{id} is open, and its patient has not come back");
                assert!(records.len() as u64 >= visit.kept, "{} of {}", records.len(), visit.kept);
                for record in records {
                    assert_eq!(record.bytes.as_slice(), content(*id, record.seq), "a record is another");
                }
                visit.kept = records.len() as u64;
                visit.opened();
                Some(at)
            }
            None => {
                for visit in &mut told.consultations {
                    visit.reopening = false;
                }
                let at = told.consultations.iter().position(|visit| !visit.sent && !visit.parked);
                at.filter(|at| {
                    let visit = &mut told.consultations[*at];
                    let closed = visit.closed();
                    // Asked for, and never answered: it is begun again under the same name.
                    assert!(closed || visit.kept == 0, "an open consultation is lost");
                    !closed
                })
            }
        }
    };
    loop {
        let index = match at.take() {
            Some(index) => index,
            None => {
                let (begun, parked) = {
                    let visits = &told.lock().unwrap().consultations;
                    (visits.len(), visits.iter().position(|visit| visit.parked))
                };
                match parked {
                    Some(index) if begun == CONSULTATIONS || below(2) == 0 => {
                        come_back(&mut cabin, &told, index).await;
                        told.lock().unwrap().consultations[index].wanted += 1 + below(3);
                        index
                    }
                    _ if begun == CONSULTATIONS => break,
                    _ => {
                        let id = ConsultationId(uuid::Uuid::from_u128(u128::from(below(1 << 40)) << 64 | 0xc0ffee));
                        told.lock().unwrap().consultations.push(Visit::new(id, 1 + below(5)));
                        begun
                    }
                }
            }
        };
        let Visit { id, kept, wanted, picture, .. } = told.lock().unwrap().consultations[index].clone();
        if kept == 0 && picture.is_none() {
            match cabin.ask(&Request::Begin(id)).await {
                Reply::Done => {}
                // Its own, of before a crash.
                Reply::Refused(refused) if refused.refusal == Refusal::AlreadyOpen => {}
                Reply::Refused(refused) => panic!("{refused}"),
                _ => panic!("another answer"),
            }
        }
        for seq in kept..wanted.max(kept) {
            let record = Record { seq, kind: 1, bytes: Zeroizing::new(content(id, seq)) };
            match cabin.ask(&Request::Append { consultation: id, record }).await {
                Reply::Appended(at) => assert_eq!(at, seq),
                Reply::Refused(refused) => panic!("{refused}"),
                _ => panic!("another answer"),
            }
            told.lock().unwrap().consultations[index].kept = seq + 1;
        }
        if picture.is_none() && index % 2 == 0 {
            let picture = BlobId(uuid::Uuid::new_v5(&id.0, b"picture"));
            let bytes = Zeroizing::new(content(id, 1000));
            let blob = Blob { name: "picture".into(), content_type: "image/jpeg".into(), bytes };
            cabin.done(&Request::PutBlob { consultation: id, id: picture, blob }).await;
            told.lock().unwrap().consultations[index].picture = Some(picture);
        }
        let Some((found, records)) = cabin.read_back().await else { panic!("an open consultation is lost") };
        assert_eq!(found, id);
        let kept = told.lock().unwrap().consultations[index].kept;
        assert_eq!(records.len() as u64, kept);
        let picture = told.lock().unwrap().consultations[index].picture;
        let uploads = picture.into_iter().map(|blob| UploadOf {
            path: format!("Binary/{blob}"),
            content_type: "image/jpeg".into(),
            blob,
        });
        let (uploads, bundle) = (uploads.collect(), Zeroizing::new(bundle_of(id, &records, bundles)));
        let proof = format!("Encounter?identifier={id}");
        let leaving = match below(LEAVING) {
            0 => Some(Leaving::ForGood),
            1 => Some(Leaving::ComesBack),
            _ => None,
        };
        let request = {
            let visit = &mut told.lock().unwrap().consultations[index];
            (visit.leaving, visit.sending) = (leaving, leaving.is_none());
            let secret = visit.secret();
            let until = if leaving == Some(Leaving::ForGood) { 0 } else { FAR };
            match leaving {
                Some(_) => Request::Park { consultation: id, uploads, bundle, proof, secret, until: now() + until },
                None => Request::Submit { consultation: id, uploads, bundle, proof },
            }
        };
        cabin.done(&request).await;
        told.lock().unwrap().consultations[index].closed();
    }
    std::future::pending().await
}

/// The patient of that one is back with the secret.
async fn come_back(cabin: &mut Cabin, told: &Mutex<Told>, index: usize) {
    let visit = {
        let visit = &mut told.lock().unwrap().consultations[index];
        visit.reopening = true;
        visit.clone()
    };
    match cabin.ask(&Request::Reopen(visit.secret())).await {
        Reply::Done => {}
        // It was opened, and the outbox crashed before its answer came.
        Reply::Refused(refused) if refused.refusal == Refusal::AlreadyOpen => {}
        Reply::Refused(refused) => panic!("{}: {refused}", visit.id),
        _ => panic!("another answer"),
    }
    let Some((id, records)) = cabin.read_back().await else { panic!("{} is not open", visit.id) };
    assert_eq!((id, records.len() as u64), (visit.id, visit.kept), "what a patient left is not there");
    let mut told = told.lock().unwrap();
    told.consultations[index].opened();
    told.back += 1;
}

fn bundle_of(id: ConsultationId, records: &[Record], bundles: Bundles) -> Vec<u8> {
    let entry = |kind: &str, name: String| {
        let mut request = json!({ "method": "POST", "url": kind });
        if bundles == Bundles::Conditional {
            request["ifNoneExist"] = json!(format!("identifier={name}"));
        }
        json!({ "resource": { "resourceType": kind, "identifier": [{ "value": name }] }, "request": request })
    };
    let mut entries = vec![entry("Encounter", id.to_string())];
    entries.extend(records.iter().map(|record| entry("Observation", format!("{id}-{}", record.seq))));
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries }).to_string().into_bytes()
}

/// The uploader's network.
struct Network;

impl Transport for Network {
    async fn exchange(&self, outgoing: Outgoing) -> Result<Answer, Trouble> {
        let exchange = async {
            let method = match outgoing.method {
                Method::Get => "GET",
                Method::Post => "POST",
                Method::Put => "PUT",
                Method::Head => "HEAD",
                Method::Patch => "PATCH",
            };
            let path = outgoing.url.trim_start_matches("http://server");
            let body = outgoing.body.map(|(_, body)| body).unwrap_or_default();
            let mut stream = TcpStream::connect(("server", 80)).await?;
            send(&mut stream, format!("{method} {path}").as_bytes()).await?;
            send(&mut stream, &body).await?;
            let status = stream.read_u16_le().await?;
            io::Result::Ok((status, receive(&mut stream).await?))
        };
        let broken = |reason: String| Trouble::Server { code: FaultCode::ServerUnreachable, reason, retry_after: None };
        match tokio::time::timeout(Duration::from_secs(5), exchange).await {
            Ok(Ok((status, body))) => {
                let (etag, body) = (String::new(), Zeroizing::new(body));
                Ok(Answer { status, etag, retry_after: None, upload_offset: None, body })
            }
            Ok(Err(error)) => Err(broken(error.to_string())),
            Err(_) => Err(broken("no answer".into())),
        }
    }
}

/// A FHIR server just large enough, which may store and then cut its answer.
async fn serve_fhir(state: Arc<Mutex<State>>) -> Ended {
    let listener = TcpListener::bind(("0.0.0.0", 80)).await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        let state = state.clone();
        tokio::spawn(async move {
            let (Ok(asked), Ok(body)) = (receive(&mut stream).await, receive(&mut stream).await) else { return };
            let asked = String::from_utf8(asked).unwrap();
            let (method, path) = asked.split_once(' ').unwrap();
            let answer = {
                let mut state = state.lock().unwrap();
                state.asked.push(asked.clone());
                let (status, answer) = state.handle(method, path, body);
                (!state.cut()).then_some((status, answer.to_string()))
            };
            let Some((status, answer)) = answer else { return };
            let _ = stream.write_u16_le(status).await;
            let _ = send(&mut stream, answer.as_bytes()).await;
            // Its other end closes once it has it all.
            let _ = stream.read_u8().await;
        });
    }
}

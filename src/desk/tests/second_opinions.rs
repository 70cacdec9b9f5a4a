//! Second opinions over the real desk: asked, taken up by one of two, talked over, answered, and late.

mod ends;
#[path = "../../../tests/fhir_peer.rs"]
mod fhir_peer;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use desk::accounts::{self, Accounts, Practice};
use ends::{CabinEnd, PageEnd, TestDesk, waiting};
use serde_json::{Value, json};
use signal::cabin::{FromCabin, FromDesk};
use signal::physician::{FromPage, ToPage};
use signal::second_opinion::{Alert, Ask, DUE_DAYS, Lists, MESSAGES_MAX, Opinion, SOON_DAYS, State, Step, What};
use signal::{Code, ItemId, RefusalCode, Text};

const ID: &str = "0d9d3c1e-5f7a-4c55-8a3b-6e2f1b7c9d10";
const LOCAL: &str = "urn:uuid:6f3c2f0e-6f0e-4b64-9a55-3d1f7b8e2c11";
const DAY_MS: i64 = 24 * 3600 * 1000;
const PICTURE: &[u8] = b"\xff\xd8 a picture";

/// One physician's browser, as far as requests go.
struct Doctor<'a> {
    desk: &'a TestDesk,
    badge: String,
}

impl<'a> Doctor<'a> {
    /// A physician of this account, each with a number of their own.
    async fn new(desk: &'a TestDesk, account: &str, rpps: &str, specialties: &[&str]) -> Doctor<'a> {
        let physician = accounts::physician(&format!("Dr {account}"), "Spécialité", rpps, "Chartres", 3000, "30 €");
        desk.add_physician(account, physician);
        Accounts::open(&desk.data()).set_specialties(account, specialties).unwrap();
        let reply = desk.sign_in_reply(account).await;
        assert_eq!(reply.status(), 200);
        let badge = reply.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        Doctor { desk, badge }
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.desk.get(&format!("/api/physician/{path}"), &self.badge).await
    }

    async fn lists(&self) -> Lists {
        Lists::read(&self.get("second-opinions").await.1).unwrap()
    }

    async fn post(&self, path: &str, body: String) -> (u16, String) {
        let origin = &self.desk.running.origin;
        let request = self.desk.client.post(format!("{origin}/api/physician/second-opinions{path}"));
        let request = request.header("cookie", &self.badge).header("origin", origin);
        let reply = request.header("content-type", "application/json").body(body).send().await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    }

    async fn step(&self, what: What) -> (u16, String) {
        let id = ItemId::new(format!("00000000-0000-4000-8000-{:012x}", rand::random::<u32>())).unwrap();
        self.post(&format!("/{ID}"), Step { id, what }.write()).await
    }

    /// The step of this name.
    async fn step_named(&self, n: u32, what: What) -> (u16, String) {
        let id = ItemId::new(format!("33333333-0000-4000-8000-{n:012x}")).unwrap();
        self.post(&format!("/{ID}"), Step { id, what }.write()).await
    }

    async fn steps(&self, what: What) -> Opinion {
        let (status, body) = self.step(what).await;
        assert_eq!(status, 200, "{body}");
        Opinion::read(&body).unwrap()
    }
}

fn ask(consultation: &str) -> Ask {
    let mut ask = Ask::read(include_str!("../../../tests/wire/second_opinion.ask.json").trim()).unwrap();
    ask.consultation = waiting(consultation).consultation;
    ask
}

fn words<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new(text).unwrap()
}

/// A dossier with a picture, of a patient who has a usual doctor and lets that one be told, or not.
fn dossier(consultation: &str, agrees: bool) -> Value {
    let once = |kind: &str| format!("identifier=urn:x|{kind}-{consultation}");
    let named = |kind: &str| json!([{"system": "urn:x", "value": format!("{kind}-{consultation}")}]);
    let decision = if agrees { "permit" } else { "deny" };
    json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": "urn:uuid:p", "resource": {"resourceType": "Patient", "identifier": named("p"),
            "name": [{"family": "TESTE", "given": ["Anne"]}], "birthDate": "1984-07-14",
            "generalPractitioner": [{"display": "Dr Paul <Vieux>, Illiers"}]},
         "request": {"method": "POST", "url": "Patient", "ifNoneExist": once("p")}},
        {"fullUrl": "urn:uuid:e", "resource": {"resourceType": "Encounter", "status": "finished",
            "identifier": [{"system": "urn:ietf:rfc:3986", "value": format!("urn:uuid:{consultation}")}],
            "reasonCode": [{"coding": [{"system": LOCAL, "code": "reason-skin", "display": "Peau, plaie"}], "text": "ses mots"}],
            "subject": {"reference": "urn:uuid:p"}},
         "request": {"method": "POST", "url": "Encounter", "ifNoneExist": format!("identifier=urn:ietf:rfc:3986|urn:uuid:{consultation}")}},
        {"resource": {"resourceType": "Consent", "identifier": named("c"), "patient": {"reference": "urn:uuid:p"},
            "policyRule": {"coding": [{"system": LOCAL, "code": "consent-usual-doctor-1"}]}, "provision": {"type": decision}},
         "request": {"method": "POST", "url": "Consent", "ifNoneExist": once("c")}},
        {"resource": {"resourceType": "Binary", "id": "picture-1", "contentType": "image/jpeg", "data": STANDARD.encode(PICTURE)},
         "request": {"method": "PUT", "url": "Binary/picture-1"}},
        {"resource": {"resourceType": "DocumentReference", "status": "current", "identifier": named("d"),
            "content": [{"attachment": {"contentType": "image/jpeg", "url": "Binary/picture-1"}}],
            "context": {"encounter": [{"reference": "urn:uuid:e"}]}},
         "request": {"method": "POST", "url": "DocumentReference", "ifNoneExist": once("d")}},
    ]})
}

async fn upload(desk: &TestDesk, token: &str, bundle: &Value) {
    let request = desk.client.post(format!("{}/fhir", desk.running.origin)).bearer_auth(token);
    let reply = request.header("content-type", "application/fhir+json").body(bundle.to_string()).send().await.unwrap();
    assert_eq!(reply.status(), 200, "{}", reply.text().await.unwrap());
}

/// The physician takes this consultation, as from the waiting room.
async fn takes(cabin: &mut CabinEnd, doctor: &Doctor<'_>, consultation: &str) {
    let mut page = PageEnd::with_badge(doctor.desk, &doctor.badge).await;
    cabin.say(&FromCabin::Waiting(waiting(consultation))).await;
    page.until(|message| matches!(message, ToPage::WaitingChanged { .. })).await;
    page.say(&FromPage::Take { consultation: waiting(consultation).consultation }).await;
    page.until(|message| matches!(message, ToPage::Taken { .. })).await;
}

#[tokio::test]
async fn a_physician_asks_one_of_two_specialists_answers_and_the_usual_doctor_has_a_letter() {
    let desk = TestDesk::start().await;
    let known = desk.enrol().await;
    let claire = Doctor::new(&desk, "claire", "10001234565", &[]).await;
    let anne = Doctor::new(&desk, "anne", "10101010105", &["dermatology", "general"]).await;
    let paul = Doctor::new(&desk, "paul", "10100000016", &["dermatology"]).await;
    let zoe = Doctor::new(&desk, "zoe", "10100000024", &["cardiology"]).await;
    // After the sign-ins, which are slow by design: a cabin that says nothing meanwhile is taken to be gone.
    let mut cabin = CabinEnd::prove(&desk, &known).await;
    takes(&mut cabin, &claire, "c-1").await;
    upload(&desk, &known.upload_token, &dossier("c-1", true)).await;

    // Refused: without consent, of a patient of another, without what dermatology must know.
    let mut without = ask("c-1");
    without.consent = false;
    assert_eq!(claire.post("", without.write()).await.0, 400);
    let (status, reason) = paul.post("", ask("c-1").write()).await;
    assert!(status == 400 && reason.contains("pas pris cette consultation"), "{status} {reason}");
    let mut hasty = ask("c-1");
    hasty.details.clear();
    let (status, reason) = claire.post("", hasty.write()).await;
    assert!(status == 400 && reason.contains("Endroit du corps"), "{status} {reason}");
    assert_eq!(claire.lists().await.asked, vec![]);

    // Sent twice, after an answer that was lost, it is one request.
    let mut page = PageEnd::with_badge(&desk, &paul.badge).await;
    for _ in 0..2 {
        let (status, body) = claire.post("", ask("c-1").write()).await;
        assert_eq!(status, 200, "{body}");
        let opinion = Opinion::read(&body).unwrap();
        assert!(opinion.mine && opinion.line.state == State::Ready && opinion.told.len() == 4, "{body}");
        assert_eq!((opinion.consent_at, opinion.line.reason.as_str()), (1_795_309_900_000, "Peau, plaie"));
    }
    page.until(|message| matches!(message, ToPage::SecondOpinionsChanged {})).await;
    drop(page);
    assert_eq!(claire.lists().await.asked.len(), 1);
    for doctor in [&anne, &paul] {
        let lists = doctor.lists().await;
        assert_eq!((lists.to_answer.len(), lists.to_answer[0].state), (1, State::Ready));
        assert_eq!(doctor.get(&format!("second-opinions/{ID}")).await.0, 404, "not taken up");
    }
    assert_eq!(zoe.lists().await.to_answer, vec![], "another specialty");
    assert_eq!(zoe.step(What::Take).await.0, 403);
    assert_eq!(claire.step(What::Take).await.0, 403, "nobody answers their own question");

    // Two at once: one has it, the other is told who.
    let both = futures_util::future::join(anne.step(What::Take), paul.step(What::Take)).await;
    let anne_won = both.0.0 == 200;
    let (winner, loser, lost) = if anne_won { (&anne, &paul, &both.1) } else { (&paul, &anne, &both.0) };
    assert_eq!((if anne_won { both.0.0 } else { both.1.0 }, lost.0), (200, 409), "{both:?}");
    assert!(lost.1.contains(if anne_won { "Dr anne" } else { "Dr paul" }), "{}", lost.1);
    assert_eq!(loser.lists().await.to_answer, vec![]);
    assert_eq!(winner.step(What::Take).await.0, 200, "said again");

    // The specialist reads dossier and picture; the others do not.
    let record = winner.get("records/c-1").await;
    assert!(record.0 == 200 && record.1.contains("TESTE"), "{record:?}");
    let file = desk.client.get(format!("{}/api/physician/records/c-1/files/picture-1", desk.running.origin));
    let file = file.header("cookie", &winner.badge).send().await.unwrap();
    assert_eq!((file.status().as_u16(), file.headers()["content-type"].to_str().unwrap()), (200, "image/jpeg"));
    assert_eq!(file.bytes().await.unwrap(), PICTURE);
    for (doctor, path) in
        [(loser, "records/c-1"), (loser, "records/c-1/files/picture-1"), (winner, "records/c-1/files/p")]
    {
        assert_eq!(doctor.get(path).await.0, 404, "{path}");
    }

    // More is asked, and said.
    assert_eq!(winner.step(What::AskMore { text: words(" ") }).await.0, 400);
    let more = || What::AskMore { text: words("A-t-elle saigné ?") };
    let (status, body) = winner.step_named(1, more()).await;
    assert_eq!(status, 200, "{body}");
    let asked = Opinion::read(&body).unwrap();
    assert_eq!((asked.line.state, asked.thread.len(), asked.mine), (State::InfoRequested, 1, false));
    assert_eq!(claire.lists().await.asked[0].state, State::InfoRequested);
    assert_eq!(loser.step(What::Say { text: words("Moi aussi.") }).await.0, 403);
    let said = claire.steps(What::Say { text: words("Non.") }).await;
    assert_eq!(
        (said.line.state, said.thread[1].by.as_str(), said.thread[1].text.as_str()),
        (State::InProgress, "Dr claire", "Non.")
    );
    // The question said again, after an answer that was lost, asks nothing anew.
    assert_eq!(winner.step_named(1, more()).await.0, 200);
    assert_eq!(claire.lists().await.asked[0].state, State::InProgress);

    // No letter before there is an answer; the answer with its report reaches the requester, after a restart too.
    assert_eq!(claire.get(&format!("second-opinions/{ID}/letter")).await.0, 409);
    let wrong = What::Answer { text: words("x"), report: Some(STANDARD.encode("no pdf")) };
    assert_eq!(winner.step(wrong).await.0, 400);
    let report = b"%PDF-1.7 report";
    let answer = What::Answer { text: words("Nævus banal.\nPas de biopsie."), report: Some(STANDARD.encode(report)) };
    for time in ["said", "said again"] {
        let (status, body) = winner.step_named(2, answer.clone()).await;
        assert_eq!((status, Opinion::read(&body).unwrap().line.state), (200, State::Answered), "{time}");
    }
    // What a second window wrote meanwhile is not taken for the same, and is not lost without a word.
    for other in [What::Answer { text: words("Autre chose."), report: None }, What::Reject { text: words("Non.") }] {
        let (status, body) = winner.step_named(3, other).await;
        assert!(status == 409 && body.contains("déjà close"), "{status} {body}");
    }
    assert_eq!(winner.lists().await.to_answer, vec![]);
    assert_eq!(winner.get("records/c-1").await.0, 200, "who answered still reads the dossier");
    assert_eq!(claire.step(What::Cancel { text: words("") }).await.0, 409, "done is done");
    let (badge, winner_badge) = (claire.badge.clone(), winner.badge.clone());
    let record = winner.get("records/c-1").await.1;
    assert!(
        record.contains("85208-7") && record.contains("TE2") && record.contains("\"opinion-answered\""),
        "{record}"
    );
    let letter = claire.get(&format!("second-opinions/{ID}/letter")).await;
    for part in ["Dr Paul &lt;Vieux&gt;, Illiers", "TESTE Anne, 14/07/1984", "Nævus banal.<br>Pas de biopsie."] {
        assert!(letter.0 == 200 && letter.1.contains(part), "{letter:?}");
    }
    let reader = Doctor { desk: &desk, badge };
    let (_, body) = reader.get(&format!("second-opinions/{ID}")).await;
    let opinion = Opinion::read(&body).unwrap();
    let answer = opinion.answer.unwrap();
    assert!(opinion.mine && answer.report && answer.text.as_str() == "Nævus banal.\nPas de biopsie.");
    let (status, pdf) = reader.get(&format!("second-opinions/{ID}/report")).await;
    assert_eq!((status, pdf.as_bytes()), (200, &report[..]));
    drop(winner_badge);
    drop(cabin);
    let desk = desk.restart().await;
    desk.running.stop().await;
}

/// A request that a cabin sent so many days ago, about a dossier that is stored already.
fn from_cabin(cabin: &str, consultation: &str, id: &str, days: i64, now_ms: i64) -> Value {
    let at = desk::fhir::second_opinions::written(now_ms - days * DAY_MS - 60_000);
    let named = json!([{"system": "urn:ietf:rfc:3986", "value": format!("urn:uuid:{id}")}]);
    let once = format!("identifier=urn:ietf:rfc:3986|urn:uuid:{id}");
    let encounter = format!("Encounter?identifier=urn:ietf:rfc:3986|urn:uuid:{consultation}");
    let concept = |code: &str| json!({"coding": [{"system": LOCAL, "code": code}]});
    json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": "urn:uuid:s", "resource": {"resourceType": "ServiceRequest", "identifier": named, "status": "active",
            "intent": "proposal", "authoredOn": at},
         "request": {"method": "POST", "url": "ServiceRequest", "ifNoneExist": once}},
        {"resource": {"resourceType": "Task", "identifier": named, "status": "requested", "intent": "proposal",
            "businessStatus": concept("opinion-ready"), "code": concept("second-opinion"),
            "groupIdentifier": {"value": format!("urn:uuid:{consultation}")}, "focus": {"reference": "urn:uuid:s"},
            "encounter": {"reference": encounter}, "performerType": [concept("specialty-dermatology")],
            "requester": {"display": "Julie Roux, infirmière"}, "authoredOn": at, "lastModified": at,
            "input": [{"type": concept("opinion-cabin"), "valueString": cabin}]},
         "request": {"method": "POST", "url": "Task", "ifNoneExist": once}},
    ]})
}

#[tokio::test]
async fn from_the_fifth_day_both_sides_are_alerted_on_the_seventh_it_expires_and_a_late_answer_is_taken() {
    let desk = TestDesk::start().await;
    let known = desk.enrol().await;
    let anne = Doctor::new(&desk, "anne", "10101010105", &["dermatology"]).await;
    let now_ms = i64::try_from(desk.now_s()).unwrap() * 1000;
    for (n, days) in [4, SOON_DAYS, DUE_DAYS].into_iter().enumerate() {
        let consultation = format!("c-{n}");
        upload(&desk, &known.upload_token, &dossier(&consultation, true)).await;
        let id = if days == DUE_DAYS { ID.to_owned() } else { format!("00000000-0000-4000-8000-00000000000{n}") };
        upload(&desk, &known.upload_token, &from_cabin(known.id.as_str(), &consultation, &id, days, now_ms)).await;
    }
    let alerts = |lists: &Lists| lists.to_answer.iter().map(|line| line.alert).collect::<Vec<_>>();
    assert_eq!(alerts(&anne.lists().await), [Some(Alert::Late), Some(Alert::Soon), None], "longest first");
    // What a desk looks at when it starts and each minute.
    let badge = anne.badge.clone();
    drop(anne);
    drop(badge);
    let desk = desk.restart().await;
    let anne = {
        // A code is for once: another account of the same physician.
        let physician = accounts::physician("Dr anne", "Dermatologie", "10101010105", "Chartres", 3000, "30 €");
        desk.add_physician("anne2", physician);
        Accounts::open(&desk.data()).set_specialties("anne2", &["dermatology"]).unwrap();
        let reply = desk.sign_in_reply("anne2").await;
        let badge = reply.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        Doctor { desk: &desk, badge }
    };
    let mut page = PageEnd::with_badge(&desk, &anne.badge).await;
    let mut lists = anne.lists().await;
    while lists.to_answer[0].state != State::Expired {
        page.until(|message| matches!(message, ToPage::SecondOpinionsChanged {})).await;
        lists = anne.lists().await;
    }
    assert_eq!(
        lists.to_answer.iter().map(|line| line.state).collect::<Vec<_>>(),
        [State::Expired, State::Ready, State::Ready]
    );
    // Who takes it up late answers it late.
    assert_eq!(anne.steps(What::Take).await.line.state, State::Expired);
    let answer = What::Answer { text: words("Enfin."), report: None };
    assert_eq!(anne.steps(answer).await.line.state, State::Answered);
    drop(page);
    desk.running.stop().await;
}

#[tokio::test]
async fn a_request_is_given_back_rejected_with_a_reason_and_taken_back_and_waits_for_a_dossier_that_is_not_here_yet() {
    let desk = TestDesk::start().await;
    let known = desk.enrol().await;
    let claire = Doctor::new(&desk, "claire", "10001234565", &[]).await;
    let anne = Doctor::new(&desk, "anne", "10101010105", &["dermatology"]).await;
    // After the sign-ins, which are slow by design: a cabin that says nothing meanwhile is taken to be gone.
    let mut cabin = CabinEnd::prove(&desk, &known).await;
    takes(&mut cabin, &claire, "c-1").await;
    // During the consultation: the cabin sends its dossier at the end.
    assert_eq!(claire.post("", ask("c-1").write()).await.0, 200);
    assert_eq!(anne.step(What::Take).await.0, 200);
    assert_eq!(anne.get("records/c-1").await.0, 404, "the dossier has not come");
    assert_eq!(anne.step(What::Return).await.0, 204);
    assert_eq!(anne.lists().await.to_answer[0].taken_by, None);
    assert_eq!(anne.get(&format!("second-opinions/{ID}")).await.0, 404, "given back");
    assert_eq!(anne.step(What::Take).await.0, 200);
    upload(&desk, &known.upload_token, &dossier("c-1", false)).await;
    // Who gives it back, or rejects it, reads the dossier and its files no more.
    async fn reads(doctor: &Doctor<'_>, yes: bool) {
        let recent = doctor.get("consultations").await.1;
        assert_eq!(recent.contains("\"c-1\""), yes, "{recent}");
        for path in ["records/c-1", "records/c-1/files/picture-1"] {
            assert_eq!(doctor.get(path).await.0, if yes { 200 } else { 404 }, "{path}");
        }
    }
    // The picture is no text.
    let file = format!("{}/api/physician/records/c-1/files/picture-1", desk.running.origin);
    let file = desk.client.get(file).header("cookie", &anne.badge).send().await.unwrap();
    assert_eq!(file.status(), 200);
    assert_eq!(anne.get("records/c-1").await.0, 200);
    assert_eq!(anne.step(What::Return).await.0, 204);
    reads(&anne, false).await;
    assert_eq!(anne.post("", ask("c-1").write()).await.0, 400, "nor asks others about it");
    assert_eq!(anne.step(What::Take).await.0, 200);
    assert_eq!(anne.get("records/c-1").await.0, 200);
    assert_eq!(anne.step(What::Reject { text: words("") }).await.0, 400, "a reason is owed");
    let rejected = anne.steps(What::Reject { text: words("Images illisibles.") }).await;
    assert_eq!(rejected.line.state, State::Rejected);
    reads(&anne, false).await;
    let (_, body) = claire.get(&format!("second-opinions/{ID}")).await;
    assert_eq!(Opinion::read(&body).unwrap().refusal.unwrap().as_str(), "Images illisibles.");

    // Another, taken back; and a third, of a patient who does not want the usual doctor to be told.
    let mut again = ask("c-1");
    for (id, last) in [
        ("11111111-0000-4000-8000-000000000001", What::Cancel { text: words("Vu sur place.") }),
        ("11111111-0000-4000-8000-000000000002", What::Say { text: words("Encore une chose.") }),
    ] {
        again.id = ItemId::new(id).unwrap();
        again.specialty = Code::new("general").unwrap();
        assert_eq!(claire.post("", again.write()).await.0, 200);
        let step = Step { id: ItemId::new(id.replace("1111-", "2222-")).unwrap(), what: last };
        assert_eq!(claire.post(&format!("/{id}"), step.write()).await.0, 200);
        assert_eq!(claire.post(&format!("/{id}"), step.write()).await.0, 200, "said again");
    }
    let asked = claire.lists().await.asked;
    let states = |state: State| asked.iter().filter(|line| line.state == state).count();
    assert_eq!((asked.len(), states(State::Rejected), states(State::Cancelled), states(State::Ready)), (3, 1, 1, 1));
    let third = Opinion::read(&claire.get("second-opinions/11111111-0000-4000-8000-000000000002").await.1).unwrap();
    assert_eq!(third.thread.len(), 1, "said twice, kept once");
    let origin = desk.running.origin.clone();
    let foreign = desk.client.post(format!("{origin}/api/physician/second-opinions")).header("cookie", &claire.badge);
    assert_eq!(foreign.body(ask("c-1").write()).send().await.unwrap().status(), 403, "another site's script");
    drop(cabin);
    desk.running.stop().await;
}

/// A visit that any FHIR server takes: nothing of it but who and when.
fn visit(consultation: &str) -> Value {
    let class = json!({"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "VR"});
    let named = json!([{"system": "urn:ietf:rfc:3986", "value": format!("urn:uuid:{consultation}")}]);
    let once = format!("identifier=urn:ietf:rfc:3986|urn:uuid:{consultation}");
    json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": "urn:uuid:3d0f9a52-6f0b-4a63-9f0f-0d4f7f2b1a01",
         "resource": {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": consultation}],
            "name": [{"family": "TESTE", "given": ["Anne"]}], "birthDate": "1984-07-14"},
         "request": {"method": "POST", "url": "Patient", "ifNoneExist": format!("identifier=urn:x|{consultation}")}},
        {"fullUrl": "urn:uuid:3d0f9a52-6f0b-4a63-9f0f-0d4f7f2b1a02",
         "resource": {"resourceType": "Encounter", "status": "finished", "class": class, "identifier": named,
            "subject": {"reference": "urn:uuid:3d0f9a52-6f0b-4a63-9f0f-0d4f7f2b1a01"}},
         "request": {"method": "POST", "url": "Encounter", "ifNoneExist": once}},
    ]})
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_server_that_is_not_ours_a_request_is_one_specialists_and_every_resource_is_valid() {
    let name = "at_a_server_that_is_not_ours_a_request_is_one_specialists_and_every_resource_is_valid";
    let Some(tools) = fhir_peer::tools_or_skip(name) else { return };
    let peer = fhir_peer::Peer::start(tools).unwrap();
    let desk = TestDesk::start_with(&format!("fhir = {{ forward = {:?} }}", peer.base())).await;
    let known = desk.enrol().await;
    let claire = Doctor::new(&desk, "claire", "10001234565", &[]).await;
    let anne = Doctor::new(&desk, "anne", "10101010105", &["dermatology"]).await;
    let paul = Doctor::new(&desk, "paul", "10100000016", &["dermatology"]).await;
    // What a desk writes down when a physician takes a patient.
    std::fs::write(desk.data().join("taken.log"), "1795310000000 claire c-1\n1795310000000 claire c-2\n").unwrap();
    // Asked before the dossier is there, and once more with it.
    for (n, consultation) in ["c-1", "c-2"].into_iter().enumerate() {
        if n == 1 {
            upload(&desk, &known.upload_token, &visit(consultation)).await;
        }
        let mut request = ask(consultation);
        request.id = ItemId::new(ID.replace("9d10", &format!("9d1{n}"))).unwrap();
        let (status, body) = claire.post("", request.write()).await;
        assert_eq!(status, 200, "{body}");
    }
    assert_eq!((claire.lists().await.asked.len(), anne.lists().await.to_answer.len()), (2, 2));
    let both = futures_util::future::join(anne.step(What::Take), paul.step(What::Take)).await;
    let statuses = [both.0.0, both.1.0];
    assert!(statuses.contains(&200) && statuses.contains(&409), "{both:?}");
    let winner = if both.0.0 == 200 { &anne } else { &paul };
    winner.steps(What::AskMore { text: words("A-t-elle saigné ?") }).await;
    claire.steps(What::Say { text: words("Non.") }).await;
    let answer = What::Answer { text: words("Nævus."), report: Some(STANDARD.encode(b"%PDF-1.7 report")) };
    assert_eq!(winner.steps(answer).await.line.state, State::Answered);
    let (_, body) = claire.get(&format!("second-opinions/{ID}")).await;
    let opinion = Opinion::read(&body).unwrap();
    assert_eq!((opinion.thread.len(), opinion.told.len()), (2, 4));
    assert_eq!(opinion.answer.unwrap().text.as_str(), "Nævus.");
    assert_eq!(claire.get(&format!("second-opinions/{ID}/report")).await.1, "%PDF-1.7 report");

    let stored = peer.resources().unwrap();
    for resource in &stored {
        let report = fhir_peer::validate(tools, resource.to_string().as_bytes(), None).unwrap();
        assert!(report.errors.is_empty(), "{:#?} {resource:#}", report.errors);
    }
    let states = |kind: &str| -> Vec<Value> {
        stored.iter().filter(|one| one["resourceType"] == kind).map(|one| one["status"].clone()).collect()
    };
    let mut tasks: Vec<_> = states("Task").iter().map(Value::to_string).collect();
    tasks.sort();
    assert_eq!(tasks, ["\"completed\"", "\"requested\""]);
    assert!(states("ServiceRequest").iter().any(|status| status == "completed"));
    desk.running.stop().await;
    peer.stop().unwrap();
}

#[tokio::test]
async fn the_cabin_that_asked_reads_the_question_answers_it_and_reads_the_answer_and_another_cabin_does_not() {
    let desk = TestDesk::start().await;
    let (known, other) = (desk.enrol().await, desk.enrol().await);
    let anne = Doctor::new(&desk, "anne", "10101010105", &["dermatology"]).await;
    let now_ms = i64::try_from(desk.now_s()).unwrap() * 1000;
    upload(&desk, &known.upload_token, &dossier("c-1", true)).await;
    let mut request = from_cabin(known.id.as_str(), "c-1", ID, 1, now_ms);
    request["entry"][1]["resource"]["for"] = json!({"reference": "Patient?identifier=urn:x|p-c-1"});
    upload(&desk, &known.upload_token, &request).await;
    anne.steps(What::Take).await;
    anne.steps(What::AskMore { text: words("A-t-elle saigné ?") }).await;

    let mut cabin = CabinEnd::prove(&desk, &known).await;
    cabin.say(&FromCabin::SecondOpinionsWanted {}).await;
    let listed = cabin.until(|message| matches!(message, FromDesk::SecondOpinions { .. })).await;
    let FromDesk::SecondOpinions { lines } = listed else { unreachable!() };
    assert_eq!((lines.len(), lines[0].state, lines[0].patient.as_str()), (1, State::InfoRequested, "TESTE Anne"));
    let request = ItemId::new(ID).unwrap();
    let say = |what| FromCabin::SecondOpinionStep {
        request: request.clone(),
        by: Text::new("Julie Roux").unwrap(),
        step: Step { id: ItemId::new("22222222-0000-4000-8000-000000000001").unwrap(), what },
    };
    let is_one = |message: &FromDesk| matches!(message, FromDesk::SecondOpinion { .. });
    let wanted = FromCabin::SecondOpinionWanted { request: request.clone() };
    for _ in 0..2 {
        cabin.say(&say(What::Say { text: words("Non, jamais.") })).await;
        let kept = cabin.until(|message| matches!(message, FromDesk::SecondOpinionKept { .. })).await;
        let step = ItemId::new("22222222-0000-4000-8000-000000000001").unwrap();
        assert_eq!(kept, FromDesk::SecondOpinionKept { request: request.clone(), step });
        cabin.say(&wanted).await;
        let FromDesk::SecondOpinion { opinion, .. } = cabin.until(is_one).await else { unreachable!() };
        assert_eq!((opinion.line.state, opinion.thread.len()), (State::InProgress, 2), "said twice, kept once");
        assert_eq!(opinion.thread[1].by.as_str(), "Julie Roux");
    }
    // A thread has an end for a pharmacist too; what is in it already is still known.
    let named = |n: usize| ItemId::new(format!("44444444-0000-4000-8000-{n:012x}")).unwrap();
    let says = |n: usize| FromCabin::SecondOpinionStep {
        request: request.clone(),
        by: Text::new("Julie Roux").unwrap(),
        step: Step { id: named(n), what: What::Say { text: words("Encore.") } },
    };
    let answered = |message: &FromDesk| {
        matches!(message, FromDesk::SecondOpinionKept { .. } | FromDesk::SecondOpinionRefused { .. })
    };
    for n in 2..MESSAGES_MAX {
        cabin.say(&says(n)).await;
        assert!(matches!(cabin.until(answered).await, FromDesk::SecondOpinionKept { step, .. } if step == named(n)));
    }
    cabin.say(&says(MESSAGES_MAX)).await;
    let full = cabin.until(answered).await;
    assert!(matches!(full, FromDesk::SecondOpinionRefused { code: RefusalCode::TooMany, .. }), "{full:?}");
    cabin.say(&says(2)).await;
    assert!(matches!(cabin.until(answered).await, FromDesk::SecondOpinionKept { .. }), "said again");

    // The answer, to whom a letter with it may go, and the specialist's report, part by part.
    let report: Vec<u8> = b"%PDF-".iter().copied().chain((0..70_000_u32).map(|n| n as u8)).collect();
    let answer = What::Answer { text: words("Nævus."), report: Some(STANDARD.encode(&report)) };
    assert_eq!(anne.steps(answer).await.line.state, State::Answered);
    cabin.say(&wanted).await;
    let FromDesk::SecondOpinion { opinion, letter_to, .. } = cabin.until(is_one).await else { unreachable!() };
    assert_eq!(opinion.answer.unwrap().text.as_str(), "Nævus.");
    assert_eq!(letter_to.unwrap().as_str(), "Dr Paul <Vieux>, Illiers");
    assert_eq!(fetched(&mut cabin, &request).await, report);

    // A pharmacist answers no request as a specialist, and another cabin knows nothing of it.
    let refusal = |message: &FromDesk| matches!(message, FromDesk::Error { .. });
    cabin.say(&say(What::Take)).await;
    let refused = cabin.until(answered).await;
    assert!(matches!(refused, FromDesk::SecondOpinionRefused { code: RefusalCode::Forbidden, .. }), "{refused:?}");
    let mut stranger = CabinEnd::prove(&desk, &other).await;
    for unknown in [wanted, FromCabin::SecondOpinionReportWanted { request: request.clone(), offset: 0 }] {
        stranger.say(&unknown).await;
        stranger.until(refusal).await;
    }
    stranger.say(&says(7_000)).await;
    let refused = stranger.until(answered).await;
    assert!(matches!(refused, FromDesk::SecondOpinionRefused { code: RefusalCode::Forbidden, .. }), "{refused:?}");
    stranger.say(&FromCabin::SecondOpinionsWanted {}).await;
    let listed = stranger.until(|message| matches!(message, FromDesk::SecondOpinions { .. })).await;
    assert_eq!(listed, FromDesk::SecondOpinions { lines: vec![] });
    drop((cabin, stranger));
    desk.running.stop().await;
}

/// The report of an answer, as a cabin fetches it.
async fn fetched(cabin: &mut CabinEnd, request: &ItemId) -> Vec<u8> {
    let mut report = Vec::new();
    loop {
        let offset = u32::try_from(report.len()).unwrap();
        cabin.say(&FromCabin::SecondOpinionReportWanted { request: request.clone(), offset }).await;
        let part = cabin.until(|message| matches!(message, FromDesk::SecondOpinionReport { .. })).await;
        let FromDesk::SecondOpinionReport { offset: from, bytes, part, .. } = part else { unreachable!() };
        assert_eq!(from, offset);
        report.extend(STANDARD.decode(part.as_str()).unwrap());
        if report.len() >= bytes as usize {
            return report;
        }
    }
}

#[tokio::test]
async fn what_a_physician_asks_is_read_where_the_patient_was_and_says_where_the_physician_practises() {
    let desk = TestDesk::start().await;
    let (known, other) = (desk.enrol().await, desk.enrol().await);
    let claire = Doctor::new(&desk, "claire", "10001234565", &[]).await;
    let anne = Doctor::new(&desk, "anne", "10101010105", &["dermatology"]).await;
    let practice = Practice::Structure { finess: "280000183".into(), name: "Maison de santé d’Illiers".into() };
    Accounts::open(&desk.data()).set_practice("claire", practice).unwrap();
    let wrong = Practice::Structure { finess: "28".into(), name: "x".into() };
    assert!(Accounts::open(&desk.data()).set_practice("claire", wrong).is_err());
    // After the sign-ins, which are slow by design: a cabin that says nothing meanwhile is taken to be gone.
    let mut cabin = CabinEnd::prove(&desk, &known).await;
    // During the call, when no dossier has come yet.
    takes(&mut cabin, &claire, "c-1").await;
    let (status, body) = claire.post("", ask("c-1").write()).await;
    assert_eq!(status, 200, "{body}");
    upload(&desk, &known.upload_token, &dossier("c-1", true)).await;
    anne.steps(What::Take).await;
    anne.steps(What::Answer { text: words("Nævus."), report: None }).await;

    cabin.say(&FromCabin::SecondOpinionsWanted {}).await;
    let listed = cabin.until(|message| matches!(message, FromDesk::SecondOpinions { .. })).await;
    let FromDesk::SecondOpinions { lines } = listed else { unreachable!() };
    assert_eq!((lines.len(), lines[0].state), (1, State::Answered));
    let request = ItemId::new(ID).unwrap();
    cabin.say(&FromCabin::SecondOpinionWanted { request: request.clone() }).await;
    let read = cabin.until(|message| matches!(message, FromDesk::SecondOpinion { .. })).await;
    let FromDesk::SecondOpinion { opinion, .. } = read else { unreachable!() };
    assert_eq!((opinion.mine, opinion.answer.unwrap().text.as_str()), (false, "Nævus."));
    // It is read there; what is said to the specialist is the physician's.
    let id = ItemId::new("22222222-0000-4000-8000-000000000001").unwrap();
    let step = Step { id, what: What::Cancel { text: words("") } };
    cabin.say(&FromCabin::SecondOpinionStep { request, by: Text::new("Julie Roux").unwrap(), step }).await;
    let refused = cabin.until(|message| matches!(message, FromDesk::SecondOpinionRefused { .. })).await;
    assert!(matches!(refused, FromDesk::SecondOpinionRefused { code: RefusalCode::Forbidden, .. }), "{refused:?}");
    let mut stranger = CabinEnd::prove(&desk, &other).await;
    stranger.say(&FromCabin::SecondOpinionsWanted {}).await;
    let listed = stranger.until(|message| matches!(message, FromDesk::SecondOpinions { .. })).await;
    assert_eq!(listed, FromDesk::SecondOpinions { lines: vec![] });

    // Who asks, as what and from where: in a structure, or, as an account is made, on their own account.
    let roles = |record: &str| -> Vec<Value> {
        let record: Value = serde_json::from_str(record).unwrap();
        let all = record["entry"].as_array().unwrap().iter().map(|entry| entry["resource"].clone());
        all.filter(|one| one["resourceType"] == "PractitionerRole").collect()
    };
    for (id, practice) in [
        ("11111111-0000-4000-8000-000000000001", None),
        ("11111111-0000-4000-8000-000000000002", Some(Practice::Liberal)),
    ] {
        practice.into_iter().for_each(|own| Accounts::open(&desk.data()).set_practice("claire", own).unwrap());
        let mut again = ask("c-1");
        again.id = ItemId::new(id).unwrap();
        assert_eq!(claire.post("", again.write()).await.0, 200);
    }
    let roles = roles(&claire.get("records/c-1").await.1);
    let named = |role: &&Value| role["organization"]["display"] == "Maison de santé d’Illiers";
    let structure = roles.iter().find(named).expect("a structure");
    assert!(structure["organization"]["reference"].as_str().unwrap().starts_with("Organization/"), "{structure}");
    assert!(roles.iter().any(|role| role["code"][0]["coding"][0]["code"] == "L"), "{roles:?}");
    drop((cabin, stranger));
    desk.running.stop().await;
}

#[test]
fn from_a_dossier_that_is_stored_the_cabin_where_the_patient_was_is_known() {
    use desk::accounts::physician;
    use desk::fhir::second_opinions::ask::{Known, bundle};
    let ids = json!([{"system": "urn:uuid:2b1f6f0e-54d3-4a0c-9d0b-0c2a4de6a7f3", "value": "cabin-5f3a9c"}]);
    let location = json!({"resourceType": "Location", "id": "l", "name": "Cabine", "identifier": ids});
    let record = json!({"entry": [{"resource": location}]});
    let claire = physician("Dr Claire Morel", "Médecine générale", "10001234565", "Chartres", 3000, "30 €");
    let told = |known: Known| {
        let made = bundle(&ask("c-1"), &claire, &Practice::Liberal, &known, 1_795_310_000_000);
        made["entry"].as_array().unwrap().last().unwrap()["resource"]["input"][0]["valueString"].clone()
    };
    assert_eq!(told(Known::of(Some(&record))), "cabin-5f3a9c");
    assert_eq!(told(Known::of(Some(&record)).in_cabin(Some("cabin-of-the-call"))), "cabin-of-the-call");
    assert_eq!(told(Known::of(None)), Value::Null);
}

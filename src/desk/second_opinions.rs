//! Second opinions over HTTP: who may list, ask, read and answer them. What they are is in [`crate::fhir::second_opinions`].

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use signal::cabin::{FromCabin, FromDesk};
use signal::second_opinion::{
    Ask, CABIN_LINES_MAX, CABIN_MESSAGES_MAX, COMMON_FIELDS, CabinLine, Line, MESSAGES_MAX, SPECIALTIES,
    STEP_BYTES_MAX, Step, What,
};
use signal::{CabinId, ConsultationId, RefusalCode, Text, Unreadable};

use crate::app::App;
use crate::fhir::second_opinions::place::Trouble;
use crate::fhir::second_opinions::step::{Made, Refused};
use crate::fhir::second_opinions::{self as fhir_opinions, Who, ask, read, step};
use crate::http::{Denied, denied, own_origin, refusal, text, who};
use crate::usual_doctor;
use crate::{fhir, hall};

/// How often a step is tried again when somebody else changed the request meanwhile.
const TRIES_MAX: u32 = 4;
/// Consultations that a physician may open again, the last ones.
const RECENT_MAX: usize = 30;
/// What a page may be sent as it is; anything else is downloaded.
const SHOWN: [&str; 3] = ["image/jpeg", "audio/flac", "application/pdf"];

/// Routes of second opinions, and of the dossiers that go with them.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/api/physician/second-opinions", get(lists).post(asked))
        .route("/api/physician/second-opinions/forms", get(forms))
        .route("/api/physician/second-opinions/{id}", get(one).post(stepped))
        .route("/api/physician/second-opinions/{id}/report", get(report))
        .route("/api/physician/second-opinions/{id}/letter", get(letter))
        .route("/api/physician/consultations", get(consultations))
        .route("/api/physician/records/{consultation}/files/{binary}", get(file))
        .layer(DefaultBodyLimit::max(STEP_BYTES_MAX))
}

/// A request with all that is known of it.
struct Found {
    task: Value,
    service: Value,
    resources: Vec<Value>,
}

fn json_text(body: String) -> Response {
    (StatusCode::OK, [(CONTENT_TYPE, "application/json")], body).into_response()
}

fn bad(error: Unreadable) -> Denied {
    denied(refusal(StatusCode::BAD_REQUEST, error.code(), &error.to_string(), None))
}

fn not_found() -> Denied {
    denied(refusal(StatusCode::NOT_FOUND, RefusalCode::UnknownCall, "Cette demande n’existe pas ici.", None))
}

fn trouble(error: &Trouble) -> Denied {
    tracing::error!(%error, "second opinions");
    let reason = "Les dossiers ne peuvent pas être lus ou écrits maintenant. Réessayez.";
    denied(refusal(StatusCode::SERVICE_UNAVAILABLE, RefusalCode::Stopping, reason, Some(5)))
}

fn refused(error: &Refused) -> Denied {
    let (status, code) = match error {
        Refused::Taken(_) | Refused::Closed => (StatusCode::CONFLICT, RefusalCode::OutOfOrder),
        Refused::NotYours => (StatusCode::FORBIDDEN, RefusalCode::Forbidden),
        Refused::NoWords | Refused::Report => (StatusCode::BAD_REQUEST, RefusalCode::Malformed),
    };
    denied(refusal(status, code, &error.to_string(), None))
}

/// Who is signed in, as requests know them.
fn reader(app: &App, headers: &HeaderMap) -> Result<(String, Who), Denied> {
    let (account, _) = who(app, headers)?;
    let gone = || denied(refusal(StatusCode::UNAUTHORIZED, RefusalCode::NotSignedIn, "Ce compte n'existe plus.", None));
    let Ok(Some((physician, specialties))) = app.accounts.specialist(&account) else { return Err(gone()) };
    let (rpps, name) = (physician.rpps.as_str().to_owned(), physician.name.as_str().to_owned());
    Ok((account, Who::Physician { rpps, name, specialties }))
}

async fn lists(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Denied> {
    let (_, who) = reader(&app, &headers)?;
    let tasks = app.records.opinions().await.map_err(|error| trouble(&error))?;
    Ok(json_text(fhir_opinions::lists(&tasks, &who, hall::now_ms()).write()))
}

async fn forms(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Denied> {
    who(&app, &headers)?;
    Ok(json_text(json!({"common": COMMON_FIELDS, "specialties": SPECIALTIES}).to_string()))
}

async fn asked(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Result<Response, Denied> {
    own_origin(&app, &headers)?;
    let (account, who) = reader(&app, &headers)?;
    let ask = Ask::read(text(&body)?).map_err(bad)?;
    let incomplete = |reason: &str| denied(refusal(StatusCode::BAD_REQUEST, RefusalCode::Forbidden, reason, None));
    if let Some(missing) = ask.missing() {
        return Err(incomplete(&missing));
    }
    if uuid::Uuid::parse_str(ask.id.as_str()).is_err() {
        return Err(incomplete("L’identifiant d’une demande est un UUID."));
    }
    if !app.has_taken(&account, &ask.consultation) {
        return Err(incomplete("Vous n’avez pas pris cette consultation."));
    }
    let Ok(Some(physician)) = app.accounts.physician(&account) else { return Err(not_found()) };
    let record = app.records.of_consultation(ask.consultation.as_str()).await;
    let bundle = ask::bundle(&ask, &physician, &ask::Known::of(record.as_ref()), hall::now_ms());
    app.records.transact(bundle).await.map_err(|error| trouble(&error))?;
    app.hall.opinions_changed();
    opinion(&app, ask.id.as_str(), &who).await
}

/// The Task of this request, its ServiceRequest, and what was said about it.
async fn sought(app: &App, id: &str) -> Result<Option<(Value, Value, Vec<Value>)>, Trouble> {
    let named = |task: &Value| fhir_opinions::id(task).is_some_and(|known| known.as_str() == id);
    let Some(task) = app.records.opinions().await?.into_iter().find(named) else { return Ok(None) };
    let focus = task["focus"]["reference"].as_str().unwrap_or_default();
    let service = focus.split('/').skip_while(|part| *part != "ServiceRequest").nth(1).unwrap_or_default().to_owned();
    let Some(request) = app.records.resource("ServiceRequest", &service).await? else { return Ok(None) };
    let resources = app.records.about_service(&service).await?;
    Ok(Some((task, request, resources)))
}

async fn find(app: &App, id: &str) -> Result<Found, Denied> {
    let found = sought(app, id).await.map_err(|error| trouble(&error))?;
    let (task, service, resources) = found.ok_or_else(not_found)?;
    Ok(Found { task, service, resources })
}

/// Only the two whom it concerns read it: who asked, and who took it up.
async fn readable(app: &App, id: &str, who: &Who) -> Result<Found, Denied> {
    let found = find(app, id).await?;
    if who.asked(&found.task) || who.has(&found.task) { Ok(found) } else { Err(not_found()) }
}

async fn opinion(app: &App, id: &str, who: &Who) -> Result<Response, Denied> {
    let Found { task, service, resources } = readable(app, id, who).await?;
    let opinion = read::opinion(&task, &service, &resources, who, hall::now_ms()).ok_or_else(not_found)?;
    Ok(json_text(opinion.write()))
}

async fn one(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Denied> {
    let (_, who) = reader(&app, &headers)?;
    opinion(&app, &id, &who).await
}

async fn stepped(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Denied> {
    own_origin(&app, &headers)?;
    let (account, who) = reader(&app, &headers)?;
    let wish = Step::read(text(&body)?).map_err(bad)?;
    let consultation = make(&app, &id, &who, &wish).await?;
    // Who took it up reads the dossier, as who takes a patient does.
    if wish.what == What::Take
        && let Some(consultation) = consultation.filter(|of| !app.has_taken(&account, of))
    {
        app.remember_taken(&account, &consultation);
    }
    if wish.what == What::Return {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    opinion(&app, &id, &who).await
}

/// Makes the step, or says why not; gives the consultation that the request is about.
async fn make(app: &App, id: &str, who: &Who, wish: &Step) -> Result<Option<ConsultationId>, Denied> {
    for _ in 0..TRIES_MAX {
        let Found { task, service, resources } = find(app, id).await?;
        let said = resources.iter().filter(|one| one["resourceType"] == "Communication").count();
        if matches!(wish.what, What::Say { .. } | What::AskMore { .. }) && said >= MESSAGES_MAX {
            let reason = "Cet échange a trop de messages : demandez un nouvel avis.";
            return Err(denied(refusal(StatusCode::CONFLICT, RefusalCode::TooMany, reason, None)));
        }
        let consultation = fhir_opinions::consultation(&task);
        match step::step(&task, &service, who, wish, &fhir::now()).map_err(|error| refused(&error))? {
            Made::Already => return Ok(consultation),
            Made::Write(bundle) => {
                if app.records.transact(bundle).await.map_err(|error| trouble(&error))? {
                    app.hall.opinions_changed();
                    return Ok(consultation);
                }
            }
        }
        // Another was first: what holds now decides.
    }
    Err(denied(refusal(
        StatusCode::CONFLICT,
        RefusalCode::TooMany,
        "Cette demande change sans cesse. Réessayez.",
        Some(1),
    )))
}

/// What the pharmacist of a cabin asks; the cabin is answered.
pub async fn from_cabin(app: Arc<App>, id: CabinId, message: FromCabin) {
    let refused = |code, reason: &str| FromDesk::Error { code, reason: Text::cut(reason) };
    let answer = match cabin_answer(&app, &id, message).await {
        Ok(answer) => answer,
        Err(CabinTrouble::Records(error)) => {
            tracing::error!(%error, "second opinions");
            refused(RefusalCode::Stopping, "Le bureau ne peut pas lire les dossiers maintenant. Réessayez.")
        }
        Err(CabinTrouble::Unknown) => refused(RefusalCode::UnknownCall, "Cette demande n’est pas de cette cabine."),
        Err(CabinTrouble::Refused(error)) => refused(RefusalCode::Forbidden, &error.to_string()),
        Err(CabinTrouble::Busy) => refused(RefusalCode::TooMany, "Cette demande change sans cesse. Réessayez."),
    };
    app.hall.tell_cabin(&id, answer);
}

/// Why a cabin is told nothing.
enum CabinTrouble {
    Records(Trouble),
    Refused(Refused),
    Unknown,
    Busy,
}

impl From<Trouble> for CabinTrouble {
    fn from(error: Trouble) -> Self {
        CabinTrouble::Records(error)
    }
}

async fn cabin_answer(app: &App, id: &CabinId, message: FromCabin) -> Result<FromDesk, CabinTrouble> {
    let who = |name: &str| Who::Cabin { id: id.as_str().to_owned(), name: name.to_owned() };
    let now = hall::now_ms();
    let request = match message {
        FromCabin::SecondOpinionWanted { request } => request,
        FromCabin::SecondOpinionStep { request, by, step: wish } => {
            if !matches!(wish.what, What::Say { .. } | What::Cancel { .. }) {
                return Err(CabinTrouble::Refused(Refused::NotYours));
            }
            let who = who(by.as_str());
            let mut tries = 0;
            loop {
                let (task, service, _) = sought(app, request.as_str()).await?.ok_or(CabinTrouble::Unknown)?;
                let made = step::step(&task, &service, &who, &wish, &fhir::now()).map_err(CabinTrouble::Refused)?;
                let Made::Write(bundle) = made else { break };
                if app.records.transact(bundle).await? {
                    app.hall.opinions_changed();
                    break;
                }
                tries += 1;
                if tries >= TRIES_MAX {
                    return Err(CabinTrouble::Busy);
                }
            }
            request
        }
        _ => {
            let tasks = app.records.opinions().await?;
            let lists = fhir_opinions::lists(&tasks, &who(""), now);
            let mut lines = Vec::new();
            for line in lists.asked.iter().take(CABIN_LINES_MAX) {
                let task = tasks.iter().find(|task| fhir_opinions::id(task).as_ref() == Some(&line.id));
                lines.push(cabin_line(app, line, task.unwrap_or(&Value::Null)).await?);
            }
            return Ok(FromDesk::SecondOpinions { lines });
        }
    };
    let who = who("");
    let found = sought(app, request.as_str()).await?.filter(|(task, ..)| who.asked(task));
    let (task, service, resources) = found.ok_or(CabinTrouble::Unknown)?;
    let mut opinion = read::opinion(&task, &service, &resources, &who, now).ok_or(CabinTrouble::Unknown)?;
    opinion.thread.drain(..opinion.thread.len().saturating_sub(CABIN_MESSAGES_MAX));
    Ok(FromDesk::SecondOpinion { patient: cabin_line(app, &opinion.line, &task).await?, opinion: Box::new(opinion) })
}

/// As the pharmacist's list shows it: with who the patient is.
async fn cabin_line(app: &App, line: &Line, task: &Value) -> Result<CabinLine, Trouble> {
    let patient = match task["for"]["reference"].as_str().and_then(|named| named.rsplit_once("Patient/")) {
        Some((_, id)) => app.records.resource("Patient", id).await?.unwrap_or_default(),
        None => Value::Null,
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = format!("{} {}", text(&patient["name"][0]["family"]), text(&patient["name"][0]["given"][0]));
    Ok(CabinLine {
        id: line.id.clone(),
        specialty: line.specialty.clone(),
        state: line.state,
        asked_at: line.asked_at,
        alert: line.alert,
        patient: Text::cut(name.trim()),
        birth_date: Text::cut(&text(&patient["birthDate"])),
    })
}

async fn report(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Denied> {
    let (_, who) = reader(&app, &headers)?;
    let found = readable(&app, &id, &who).await?;
    let binary = found.resources.iter().find_map(read::report_of).ok_or_else(not_found)?;
    binary_of(&app, &binary).await
}

async fn letter(State(app): State<Arc<App>>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, Denied> {
    let (_, who) = reader(&app, &headers)?;
    let Found { task, service, resources } = readable(&app, &id, &who).await?;
    let opinion = read::opinion(&task, &service, &resources, &who, hall::now_ms()).ok_or_else(not_found)?;
    let record = app.records.of_consultation(opinion.line.consultation.as_str()).await;
    let entries = record.as_ref().and_then(|bundle| bundle["entry"].as_array()).into_iter().flatten();
    let patient = entries.map(|entry| &entry["resource"]).find(|one| one["resourceType"] == "Patient");
    let consents = match patient.and_then(|patient| patient["id"].as_str()) {
        Some(id) => app.records.consents_of(&format!("Patient/{id}")).await.map_err(|error| trouble(&error))?,
        None => Vec::new(),
    };
    let letter = usual_doctor::letter(&opinion, patient, &consents)
        .map_err(|error| denied(refusal(StatusCode::CONFLICT, RefusalCode::Forbidden, &error.to_string(), None)))?;
    let mut response = (StatusCode::OK, [(CONTENT_TYPE, "text/html; charset=utf-8")], letter.html()).into_response();
    let name = HeaderValue::from_static("inline; filename=\"courrier-medecin-traitant.html\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

async fn consultations(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Denied> {
    let (account, _) = who(&app, &headers)?;
    let mut lines = Vec::new();
    for (consultation, taken_at) in app.taken_by(&account, RECENT_MAX) {
        let record = app.records.of_consultation(consultation.as_str()).await;
        let entries = record.as_ref().and_then(|bundle| bundle["entry"].as_array()).map_or(&[][..], Vec::as_slice);
        let patient = entries.iter().map(|entry| &entry["resource"]).find(|one| one["resourceType"] == "Patient");
        let name = patient.and_then(|patient| patient["name"].as_array()?.first().cloned()).unwrap_or_default();
        let given = name["given"][0].as_str().unwrap_or_default();
        let family = name["family"].as_str().unwrap_or_default();
        lines.push(json!({
            "consultation": consultation, "taken_at": taken_at, "here": record.is_some(),
            "patient": format!("{family} {given}").trim(),
            "birth_date": patient.map_or(Value::Null, |patient| patient["birthDate"].clone()),
        }));
    }
    Ok(json_text(json!({"consultations": lines}).to_string()))
}

/// A file of a dossier that this physician may read.
async fn file(
    State(app): State<Arc<App>>,
    Path((consultation, binary)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Denied> {
    let (account, _) = who(&app, &headers)?;
    let consultation = ConsultationId::new(consultation).map_err(|_| not_found())?;
    if !app.has_taken(&account, &consultation) {
        return Err(not_found());
    }
    let record = app.records.of_consultation(consultation.as_str()).await.ok_or_else(not_found)?;
    let is_of_it = |resource: &Value| {
        let contents = resource["content"].as_array().into_iter().flatten();
        let mut urls = contents.filter_map(|content| content["attachment"]["url"].as_str());
        resource["resourceType"] == "DocumentReference" && urls.any(|url| url.split('/').any(|part| part == binary))
    };
    if !record["entry"].as_array().into_iter().flatten().any(|entry| is_of_it(&entry["resource"])) {
        return Err(not_found());
    }
    binary_of(&app, &binary).await
}

/// The bytes of a Binary, as what they are.
async fn binary_of(app: &App, id: &str) -> Result<Response, Denied> {
    if !fhir::transaction::is_id(id) {
        return Err(not_found());
    }
    let binary = app.records.resource("Binary", id).await.map_err(|error| trouble(&error))?.ok_or_else(not_found)?;
    let kind = SHOWN.into_iter().find(|kind| binary["contentType"] == *kind);
    let bytes = binary["data"].as_str().and_then(|data| STANDARD.decode(data).ok()).ok_or_else(not_found)?;
    let mut response =
        (StatusCode::OK, [(CONTENT_TYPE, kind.unwrap_or("application/octet-stream"))], bytes).into_response();
    if kind.is_none() {
        response.headers_mut().insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    Ok(response)
}

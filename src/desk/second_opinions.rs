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
    Ask, CABIN_LINES_MAX, CABIN_MESSAGES_MAX, COMMON_FIELDS, CabinLine, Line, Opinion, REPORT_PART_BYTES, SPECIALTIES,
    STEP_BYTES_MAX, Step, What,
};
use signal::{CabinId, ConsultationId, ItemId, RefusalCode, Text, Unreadable};

use crate::app::{App, Fetched};
use crate::fhir::second_opinions::place::Trouble;
use crate::fhir::second_opinions::step::{Made, Refused};
use crate::fhir::second_opinions::{self as fhir_opinions, Who, ask, read, step};
use crate::http::{Denied, denied, own_origin, refusal, text, who};
use crate::usual_doctor::{self, Letter, NoLetter};
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
    let status = match error {
        Refused::Taken(_) | Refused::Closed | Refused::TooMany => StatusCode::CONFLICT,
        Refused::NotYours => StatusCode::FORBIDDEN,
        Refused::NoWords | Refused::Report => StatusCode::BAD_REQUEST,
    };
    denied(refusal(status, code_of(error), &error.to_string(), None))
}

fn code_of(error: &Refused) -> RefusalCode {
    match error {
        Refused::Taken(_) | Refused::Closed => RefusalCode::OutOfOrder,
        Refused::TooMany => RefusalCode::TooMany,
        Refused::NotYours => RefusalCode::Forbidden,
        Refused::NoWords | Refused::Report => RefusalCode::Malformed,
    }
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
    if !app.may_read(&account, &ask.consultation).await.map_err(|error| trouble(&error))? {
        return Err(incomplete("Vous n’avez pas pris cette consultation."));
    }
    let Ok(Some((physician, practice))) = app.accounts.practitioner(&account) else { return Err(not_found()) };
    let record = app.records.of_consultation(ask.consultation.as_str()).await;
    // While the call goes on the dossier has not come: the desk knows where the patient is.
    let here = app.hall.cabin_of(&ask.consultation);
    let known = ask::Known::of(record.as_ref()).in_cabin(here.as_ref().map(CabinId::as_str));
    let bundle = ask::bundle(&ask, &physician, &practice, &known, hall::now_ms());
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
    let consultation = make(&app, &id, &who, &wish).await.map_err(StepTrouble::denied)?;
    if wish.what == What::Take
        && let Some(consultation) = consultation.filter(|of| !app.has_taken(&account, of))
    {
        app.remember_taken_up(&account, &consultation);
    }
    if wish.what == What::Return {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    opinion(&app, &id, &who).await
}

/// Why a step is not made.
enum StepTrouble {
    Records(Trouble),
    Refused(Refused),
    Unknown,
    Busy,
}

impl From<Trouble> for StepTrouble {
    fn from(error: Trouble) -> Self {
        StepTrouble::Records(error)
    }
}

impl StepTrouble {
    const BUSY: &str = "Cette demande change sans cesse. Réessayez.";

    fn denied(self) -> Denied {
        match self {
            StepTrouble::Records(error) => trouble(&error),
            StepTrouble::Refused(error) => refused(&error),
            StepTrouble::Unknown => not_found(),
            StepTrouble::Busy => {
                denied(refusal(StatusCode::CONFLICT, RefusalCode::TooMany, StepTrouble::BUSY, Some(1)))
            }
        }
    }

    /// As a cabin is told: with [`RefusalCode::Stopping`] it says the same again.
    fn told(self) -> (RefusalCode, String) {
        match self {
            StepTrouble::Records(error) => {
                tracing::error!(%error, "second opinions");
                let reason = "Le bureau ne peut pas lire les dossiers maintenant. Réessayez.";
                (RefusalCode::Stopping, reason.into())
            }
            StepTrouble::Refused(error) => (code_of(&error), error.to_string()),
            StepTrouble::Unknown => (RefusalCode::UnknownCall, "Cette demande n’est pas de cette cabine.".into()),
            StepTrouble::Busy => (RefusalCode::Stopping, StepTrouble::BUSY.into()),
        }
    }
}

/// Makes the step, or says why not; gives the consultation that the request is about.
async fn make(app: &App, id: &str, who: &Who, wish: &Step) -> Result<Option<ConsultationId>, StepTrouble> {
    for _ in 0..TRIES_MAX {
        let (task, service, resources) = sought(app, id).await?.ok_or(StepTrouble::Unknown)?;
        let consultation = fhir_opinions::consultation(&task);
        match step::step(&task, &service, &resources, who, wish, &fhir::now()).map_err(StepTrouble::Refused)? {
            Made::Already => return Ok(consultation),
            Made::Write(bundle) => {
                if app.records.transact(bundle).await? {
                    app.hall.opinions_changed();
                    return Ok(consultation);
                }
            }
        }
        // Another was first: what holds now decides.
    }
    Err(StepTrouble::Busy)
}

/// What the pharmacist of a cabin asks; the cabin is answered.
pub async fn from_cabin(app: Arc<App>, id: CabinId, message: FromCabin) {
    let answer = match message {
        FromCabin::SecondOpinionStep { request, by, step } => cabin_step(&app, &id, request, by.as_str(), step).await,
        message => cabin_answer(&app, &id, message).await.unwrap_or_else(|error| {
            let (code, reason) = error.told();
            FromDesk::Error { code, reason: Text::cut(&reason) }
        }),
    };
    app.hall.tell_cabin(&id, answer);
}

async fn cabin_step(app: &App, id: &CabinId, request: ItemId, by: &str, wish: Step) -> FromDesk {
    let who = Who::Cabin { id: id.as_str().to_owned(), name: by.to_owned() };
    let made = match wish.what {
        What::Say { .. } | What::Cancel { .. } => make(app, request.as_str(), &who, &wish).await,
        _ => Err(StepTrouble::Refused(Refused::NotYours)),
    };
    match made {
        Ok(_) => FromDesk::SecondOpinionKept { request, step: wish.id },
        Err(error) => {
            let (code, reason) = error.told();
            FromDesk::SecondOpinionRefused { request, step: wish.id, code, reason: Text::cut(&reason) }
        }
    }
}

/// A request that this cabin sent, or whose patient was there.
async fn of_cabin(app: &App, who: &Who, request: &ItemId) -> Result<Found, StepTrouble> {
    let found = sought(app, request.as_str()).await?.filter(|(task, ..)| who.asked(task) || who.is_told(task));
    let (task, service, resources) = found.ok_or(StepTrouble::Unknown)?;
    Ok(Found { task, service, resources })
}

async fn cabin_answer(app: &App, id: &CabinId, message: FromCabin) -> Result<FromDesk, StepTrouble> {
    let who = Who::Cabin { id: id.as_str().to_owned(), name: String::new() };
    let now = hall::now_ms();
    match message {
        FromCabin::SecondOpinionWanted { request } => {
            let Found { task, service, resources } = of_cabin(app, &who, &request).await?;
            let opinion = read::opinion(&task, &service, &resources, &who, now);
            let mut opinion = opinion.ok_or(StepTrouble::Unknown)?;
            let letter = letter_of(app, &opinion).await?;
            opinion.thread.drain(..opinion.thread.len().saturating_sub(CABIN_MESSAGES_MAX));
            Ok(FromDesk::SecondOpinion {
                patient: cabin_line(app, &opinion.line, &task).await?,
                opinion: Box::new(opinion),
                letter_to: letter.ok().map(|letter| Text::cut(&letter.to)),
            })
        }
        FromCabin::SecondOpinionReportWanted { request, offset } => {
            // A site's own server is asked for the whole file once, not for each part.
            let mut fetched = app.fetched.lock().await;
            let is_this = |fetched: &Fetched| fetched.cabin == *id && fetched.request == request;
            let report = match fetched.take().filter(|fetched| offset > 0 && is_this(fetched)) {
                Some(fetched) => fetched.report,
                None => {
                    let found = of_cabin(app, &who, &request).await?;
                    let binary = found.resources.iter().find_map(read::report_of).ok_or(StepTrouble::Unknown)?;
                    let binary = app.records.resource("Binary", &binary).await?.ok_or(StepTrouble::Unknown)?;
                    let report = binary["data"].as_str().and_then(|data| STANDARD.decode(data).ok());
                    report.ok_or(StepTrouble::Unknown)?
                }
            };
            let bytes = u32::try_from(report.len()).map_err(|_| StepTrouble::Unknown)?;
            let rest = report.get(offset as usize..).ok_or(StepTrouble::Unknown)?;
            let part = STANDARD.encode(&rest[..rest.len().min(REPORT_PART_BYTES)]);
            if rest.len() > REPORT_PART_BYTES {
                *fetched = Some(Fetched { cabin: id.clone(), request: request.clone(), report });
            }
            Ok(FromDesk::SecondOpinionReport { request, offset, bytes, part: Text::cut(&part) })
        }
        _ => {
            let tasks = app.records.opinions().await?;
            let lists = fhir_opinions::lists(&tasks, &who, now);
            let mut lines = Vec::new();
            for line in lists.asked.iter().take(CABIN_LINES_MAX) {
                let task = tasks.iter().find(|task| fhir_opinions::id(task).as_ref() == Some(&line.id));
                lines.push(cabin_line(app, line, task.unwrap_or(&Value::Null)).await?);
            }
            Ok(FromDesk::SecondOpinions { lines })
        }
    }
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
    let letter = letter_of(&app, &opinion)
        .await
        .map_err(|error| trouble(&error))?
        .map_err(|error| denied(refusal(StatusCode::CONFLICT, RefusalCode::Forbidden, &error.to_string(), None)))?;
    let mut response = (StatusCode::OK, [(CONTENT_TYPE, "text/html; charset=utf-8")], letter.html()).into_response();
    let name = HeaderValue::from_static("inline; filename=\"courrier-medecin-traitant.html\"");
    response.headers_mut().insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

/// The letter to the usual doctor, or why there is none.
async fn letter_of(app: &App, opinion: &Opinion) -> Result<Result<Letter, NoLetter>, Trouble> {
    let record = app.records.of_consultation(opinion.line.consultation.as_str()).await;
    let entries = record.as_ref().and_then(|bundle| bundle["entry"].as_array()).into_iter().flatten();
    let patient = entries.map(|entry| &entry["resource"]).find(|one| one["resourceType"] == "Patient");
    let consents = match patient.and_then(|patient| patient["id"].as_str()) {
        Some(id) => app.records.consents_of(&format!("Patient/{id}")).await?,
        None => Vec::new(),
    };
    Ok(usual_doctor::letter(opinion, patient, &consents))
}

async fn consultations(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<Response, Denied> {
    let (account, _) = who(&app, &headers)?;
    let mut lines = Vec::new();
    for (consultation, taken_at) in app.taken_by(&account, RECENT_MAX) {
        if !app.may_read(&account, &consultation).await.map_err(|error| trouble(&error))? {
            continue;
        }
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
    if !app.may_read(&account, &consultation).await.map_err(|error| trouble(&error))? {
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

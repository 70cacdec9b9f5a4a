//! The desk's record store over HTTP: who may, what is repeated, what is sent at once, what a physician reads back.

mod ends;

use ends::{CabinEnd, PageEnd, TestDesk, waiting};
use serde_json::{Value, json};
use signal::cabin::FromCabin;
use signal::physician::{FromPage, ToPage};

fn visit(consultation: &str) -> Value {
    json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"fullUrl": "urn:uuid:p", "resource": {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "p1"}]},
         "request": {"method": "POST", "url": "Patient", "ifNoneExist": "identifier=urn:x|p1"}},
        {"fullUrl": "urn:uuid:e", "resource": {"resourceType": "Encounter", "status": "finished",
            "identifier": [{"system": "urn:telecabine:consultation", "value": consultation}],
            "subject": {"reference": "urn:uuid:p"}},
         "request": {"method": "POST", "url": "Encounter",
            "ifNoneExist": format!("identifier=urn:telecabine:consultation|{consultation}")}},
    ]})
}

async fn post(desk: &TestDesk, token: &str, body: &str) -> (u16, Value) {
    let request = desk.client.post(format!("{}/fhir", desk.running.origin)).bearer_auth(token);
    let reply = request.header("content-type", "application/fhir+json").body(body.to_owned()).send().await.unwrap();
    (reply.status().as_u16(), reply.json().await.unwrap())
}

async fn total(desk: &TestDesk, token: &str, query: &str) -> (u16, Value) {
    let request = desk.client.get(format!("{}/fhir/{query}", desk.running.origin)).bearer_auth(token);
    let reply = request.send().await.unwrap();
    (reply.status().as_u16(), reply.json::<Value>().await.unwrap()["total"].take())
}

#[tokio::test]
async fn transactions_at_once_and_again_and_after_a_restart_store_each_thing_once() {
    let desk = TestDesk::start().await;
    let known = desk.enrol().await;
    let token = known.upload_token.clone();
    let bundle = visit("c-1").to_string();
    let replies = (0..8).map(|_| post(&desk, &token, &bundle)).collect::<Vec<_>>();
    let mut created = 0;
    for reply in futures_util::future::join_all(replies).await {
        assert_eq!(reply.0, 200);
        created += usize::from(reply.1["entry"][1]["response"]["status"] == "201 Created");
    }
    assert_eq!(created, 1, "one of eight creates");
    let desk = desk.restart().await;
    assert_eq!(post(&desk, &token, &bundle).await.1["entry"][0]["response"]["status"], "200 OK");
    for query in ["Patient?identifier=urn:x|p1", "Encounter?identifier=urn:telecabine:consultation%7Cc-1"] {
        assert_eq!(total(&desk, &token, query).await, (200, json!(1)), "{query}");
    }
    desk.running.stop().await;
}

#[tokio::test]
async fn only_an_enrolled_cabin_stores_and_it_reads_only_what_it_stored() {
    let desk = TestDesk::start().await;
    let (one, two) = (desk.enrol().await, desk.enrol().await);
    let bundle = visit("c-1").to_string();
    for token in ["", "u1.guess"] {
        let (status, outcome) = post(&desk, token, &bundle).await;
        assert_eq!((status, &outcome["resourceType"]), (401, &json!("OperationOutcome")));
    }
    let (_, reply) = post(&desk, &one.upload_token, &bundle).await;
    let location = reply["entry"][1]["response"]["location"].as_str().unwrap().to_owned();
    assert_eq!(total(&desk, &one.upload_token, &location).await.0, 200);
    assert_eq!(total(&desk, &two.upload_token, &location).await.0, 404);
    assert_eq!(total(&desk, &two.upload_token, "Patient?identifier=urn:x|p1").await, (200, json!(0)));
    let (status, outcome) = post(&desk, &one.upload_token, "{\"resourceType\": ").await;
    assert_eq!((status, &outcome["issue"][0]["severity"]), (400, &json!("error")));
    assert!(desk.cabins.revoke(one.id.as_str()).unwrap());
    assert_eq!(post(&desk, &one.upload_token, &bundle).await.0, 401, "revoked");
    desk.running.stop().await;
}

#[tokio::test]
async fn a_resource_put_by_its_own_id_gets_versions_and_an_etag() {
    let desk = TestDesk::start().await;
    let known = desk.enrol().await;
    let put = async |status: &str, if_match: Option<&str>| {
        let body = json!({"resourceType": "Encounter", "id": "e-1", "status": status}).to_string();
        let url = format!("{}/fhir/Encounter/e-1", desk.running.origin);
        let mut request = desk.client.put(url).bearer_auth(&known.upload_token).body(body);
        if let Some(etag) = if_match {
            request = request.header("if-match", etag);
        }
        let reply = request.send().await.unwrap();
        (reply.status().as_u16(), reply.headers().get("etag").map(|etag| etag.to_str().unwrap().to_owned()))
    };
    assert_eq!(put("planned", None).await, (201, Some("W/\"1\"".into())));
    assert_eq!(put("planned", None).await, (200, Some("W/\"1\"".into())), "sent again");
    assert_eq!(put("finished", Some("W/\"1\"")).await, (200, Some("W/\"2\"".into())));
    assert_eq!(put("planned", Some("W/\"1\"")).await.0, 412);
    desk.running.stop().await;
}

#[tokio::test]
async fn a_physician_reads_the_record_of_a_consultation_taken_and_of_no_other() {
    let desk = TestDesk::start().await;
    let known = desk.enrol().await;
    let mut cabin = CabinEnd::prove(&desk, &known).await;
    let (claire, david) = (desk.sign_in("claire").await, desk.sign_in("david").await);
    let mut page = PageEnd::with_badge(&desk, &claire).await;
    cabin.say(&FromCabin::Waiting(waiting("c-1"))).await;
    page.until(|message| matches!(message, ToPage::WaitingChanged { .. })).await;
    page.say(&FromPage::Take { consultation: waiting("c-1").consultation }).await;
    page.until(|message| matches!(message, ToPage::Taken { .. })).await;
    let path = "/api/physician/records/c-1";
    assert_eq!(desk.get(path, &claire).await.0, 404, "not uploaded yet");
    for consultation in ["c-1", "c-2"] {
        assert_eq!(post(&desk, &known.upload_token, &visit(consultation).to_string()).await.0, 200);
    }
    let (status, body) = desk.get(path, &claire).await;
    let bundle: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &bundle["total"]), (200, &json!(2)), "{bundle}");
    assert_eq!(desk.get("/api/physician/records/c-2", &claire).await.0, 404);
    assert_eq!(desk.get(path, &david).await.0, 404);
    assert_eq!(desk.get(path, "").await.0, 401);
    desk.running.stop().await;
}

/// A request to be called back, about a visit that is stored already.
fn asked(consultation: &str) -> Value {
    json!({"resourceType": "Bundle", "type": "transaction", "entry": [{
        "fullUrl": "urn:uuid:t",
        "resource": {"resourceType": "Task", "status": "requested", "intent": "order",
            "identifier": [{"system": "urn:x", "value": format!("task-{consultation}")}],
            "groupIdentifier": {"value": format!("urn:uuid:{consultation}")},
            "code": {"coding": [{"system": "urn:uuid:6f3c2f0e-6f0e-4b64-9a55-3d1f7b8e2c11", "code": "call-back"}]},
            "encounter": {"reference": format!("Encounter?identifier=urn:telecabine:consultation|{consultation}")},
            "authoredOn": "2026-11-22T20:05:00.000+01:00"},
        "request": {"method": "POST", "url": "Task", "ifNoneExist": format!("identifier=urn:x|task-{consultation}")},
    }]})
}

#[tokio::test]
async fn of_two_physicians_who_take_up_a_request_one_calls_back_and_reads_the_dossier_and_every_page_sees_it() {
    let desk = TestDesk::start().await;
    let known = desk.enrol().await;
    let badges = [desk.sign_in("claire").await, desk.sign_in("emma").await];
    let mut pages = [PageEnd::with_badge(&desk, &badges[0]).await, PageEnd::with_badge(&desk, &badges[1]).await];
    let is_list = |message: &ToPage| matches!(message, ToPage::CallBacks { .. });
    for page in &mut pages {
        assert_eq!(page.until(is_list).await, ToPage::CallBacks { lines: vec![], more: 0 }, "at the beginning");
    }
    for bundle in [visit("c-1"), asked("c-1")] {
        assert_eq!(post(&desk, &known.upload_token, &bundle.to_string()).await.0, 200);
    }
    let consultation = waiting("c-1").consultation;
    for page in &mut pages {
        let ToPage::CallBacks { lines, more: 0 } = page.until(is_list).await else { unreachable!() };
        assert_eq!(lines.len(), 1);
        assert_eq!((&lines[0].consultation, &lines[0].taken_by), (&consultation, &None));
    }
    let path = "/api/physician/records/c-1";
    assert_eq!(desk.get(path, &badges[0]).await.0, 404, "not taken up");
    let mut taken = Vec::new();
    for page in &mut pages {
        page.say(&FromPage::TakeCallBack { consultation: consultation.clone() }).await;
    }
    for page in &mut pages {
        let decided = |message: &ToPage| matches!(message, ToPage::CallBackTaken { .. } | ToPage::TooLate { .. });
        taken.push(matches!(page.until(decided).await, ToPage::CallBackTaken { .. }));
    }
    let winner = usize::from(taken[1]);
    assert_eq!(taken.iter().filter(|one| **one).count(), 1, "{taken:?}");
    let (status, body) = desk.get(path, &badges[winner]).await;
    assert!(status == 200 && body.contains("\"Task\"") && body.contains("\"Patient\""), "{status} {body}");
    assert_eq!(desk.get(path, &badges[1 - winner]).await.0, 404);

    // The other cannot end what is not theirs; a page that opens later sees who rings.
    pages[1 - winner].say(&FromPage::FinishCallBack { consultation: consultation.clone() }).await;
    pages[1 - winner].until(|message| matches!(message, ToPage::TooLate { .. })).await;
    let mut late = PageEnd::open(&desk, "anna").await;
    let ToPage::CallBacks { lines, .. } = late.until(is_list).await else { unreachable!() };
    assert!(lines[0].taken_by.is_some());
    drop(late);
    let mut winner = PageEnd::with_badge(&desk, &badges[winner]).await;
    winner.say(&FromPage::FinishCallBack { consultation }).await;
    winner.until(|message| matches!(message, ToPage::CallBacks { lines, .. } if lines.is_empty())).await;
    desk.running.stop().await;
}

/// The site's own FHIR server, as far as requests are concerned: one Task, with its version.
async fn elsewhere(task: std::sync::Arc<std::sync::Mutex<Value>>) -> String {
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::{get, post, put};
    let (read, written, made) = (task.clone(), task.clone(), task);
    let listed = move || async move {
        let task = read.lock().unwrap().clone();
        let open = matches!(task["status"].as_str(), Some("requested" | "accepted"));
        let entries: Vec<_> = open.then(|| json!({"resource": task})).into_iter().collect();
        json!({"resourceType": "Bundle", "type": "searchset", "entry": entries}).to_string()
    };
    let replaced = move |headers: HeaderMap, body: String| async move {
        let mut task = written.lock().unwrap();
        let version: u32 = task["meta"]["versionId"].as_str().unwrap().parse().unwrap();
        if headers["if-match"] != format!("W/\"{version}\"") {
            return StatusCode::PRECONDITION_FAILED;
        }
        *task = serde_json::from_str(&body).unwrap();
        task["meta"]["versionId"] = (version + 1).to_string().into();
        StatusCode::OK
    };
    let stored = move |body: String| async move {
        let bundle: Value = serde_json::from_str(&body).unwrap();
        let mut task = bundle["entry"][0]["resource"].clone();
        (task["id"], task["meta"]) = ("t-1".into(), json!({"versionId": "1"}));
        *made.lock().unwrap() = task;
        json!({"resourceType": "Bundle", "type": "transaction-response"}).to_string()
    };
    let router =
        axum::Router::new().route("/Task", get(listed)).route("/Task/{id}", put(replaced)).route("/", post(stored));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

#[tokio::test]
async fn where_the_sites_own_server_holds_the_records_its_requests_are_listed_and_changed_there() {
    let task = std::sync::Arc::new(std::sync::Mutex::new(json!({})));
    let base = elsewhere(task.clone()).await;
    let desk = TestDesk::start_with(&format!("fhir = {{ forward = {base:?} }}")).await;
    let known = desk.enrol().await;
    let mut pages = [PageEnd::open(&desk, "claire").await, PageEnd::open(&desk, "emma").await];
    assert_eq!(post(&desk, &known.upload_token, &asked("c-1").to_string()).await.0, 200);
    let consultation = waiting("c-1").consultation;
    let waits = |message: &ToPage| matches!(message, ToPage::CallBacks { lines, .. } if lines.len() == 1);
    for page in &mut pages {
        page.until(waits).await;
        page.say(&FromPage::TakeCallBack { consultation: consultation.clone() }).await;
    }
    let mut taken = Vec::new();
    for page in &mut pages {
        let decided = |message: &ToPage| matches!(message, ToPage::CallBackTaken { .. } | ToPage::TooLate { .. });
        taken.push(matches!(page.until(decided).await, ToPage::CallBackTaken { .. }));
    }
    assert_eq!(taken.iter().filter(|one| **one).count(), 1, "{taken:?}");
    assert_eq!(task.lock().unwrap()["status"], "accepted");
    let winner = &mut pages[usize::from(taken[1])];
    winner.say(&FromPage::FinishCallBack { consultation }).await;
    winner.until(|message| matches!(message, ToPage::CallBacks { lines, .. } if lines.is_empty())).await;
    assert_eq!(task.lock().unwrap()["status"], "completed");
    desk.running.stop().await;
}

#[tokio::test]
async fn a_file_in_parts_is_stored_once_whole_over_a_restart_and_read_back() {
    use base64::Engine as _;
    use sha2::Digest as _;
    let desk = TestDesk::start().await;
    let (one, other) = (desk.enrol().await, desk.enrol().await);
    let data = "QUJD".repeat(200_000);
    let binary = json!({"resourceType": "Binary", "id": "ecg-1", "contentType": "text/csv", "data": data}).to_string();
    let digest = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(&binary));
    let digest = format!("sha-256=:{digest}:");
    let url = |desk: &TestDesk| format!("{}/fhir/Binary/ecg-1", desk.running.origin);
    let there = async |desk: &TestDesk, token: &str| {
        let asked = desk.client.head(url(desk)).bearer_auth(token).header("repr-digest", &digest);
        let reply = asked.send().await.unwrap();
        assert_eq!(reply.status(), 204);
        reply.headers()["upload-offset"].to_str().unwrap().parse::<usize>().unwrap()
    };
    let part = async |desk: &TestDesk, token: &str, from: usize, to: usize| {
        let is_last = to == binary.len();
        let asked = desk.client.patch(url(desk)).bearer_auth(token).header("upload-offset", from);
        let asked = asked.header("upload-complete", if is_last { "?1" } else { "?0" });
        let asked = if is_last { asked.header("repr-digest", &digest) } else { asked };
        asked.body(binary[from..to].to_owned()).send().await.unwrap()
    };
    let token = one.upload_token.as_str();
    assert_eq!(there(&desk, token).await, 0);
    assert_eq!(part(&desk, token, 0, 300_000).await.status(), 204);
    assert_eq!(there(&desk, token).await, 300_000);
    assert_eq!(there(&desk, &other.upload_token).await, 0, "another cabin's");
    assert_eq!(part(&desk, token, 0, 300_000).await.status(), 409, "what is here already");
    assert_eq!(desk.client.head(url(&desk)).send().await.unwrap().status(), 401);
    let desk = desk.restart().await;
    assert_eq!(there(&desk, token).await, 300_000);
    assert_eq!(part(&desk, token, 300_000, 600_000).await.status(), 204);
    assert_eq!(part(&desk, token, 600_000, binary.len()).await.status(), 201);
    // Its answer was lost: nothing is sent again.
    assert_eq!(there(&desk, token).await, binary.len());
    let stored: Value = desk.client.get(url(&desk)).bearer_auth(token).send().await.unwrap().json().await.unwrap();
    assert_eq!((stored["data"].as_str(), &stored["meta"]["versionId"]), (Some(data.as_str()), &json!("1")));
    // Bad parts are told apart.
    let bad = desk.client.patch(url(&desk)).bearer_auth(token).body("x").send().await.unwrap();
    assert_eq!(bad.status(), 400);
    let bad = desk.client.patch(url(&desk)).bearer_auth(token).header("upload-offset", "0");
    let bad = bad.header("upload-complete", "?1").body("x").send().await.unwrap();
    assert_eq!(bad.status(), 400, "the last part without the hash of the whole");
    desk.running.stop().await;
}

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

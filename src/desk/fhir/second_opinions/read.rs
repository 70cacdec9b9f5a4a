//! A request as the two who may read it see it: what was asked, the thread, the answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use signal::Text;
use signal::second_opinion::{Answered, Opinion, Said, Told};

use super::{Who, ask, instant, line};

const REPORT: &str = "application/pdf";

/// The request; `None` of a Task that is none of ours. `resources` is what refers to its ServiceRequest.
pub fn opinion(task: &Value, service: &Value, resources: &[Value], who: &Who, now: i64) -> Option<Opinion> {
    let all = |kind: &'static str| resources.iter().filter(move |one| one["resourceType"] == kind);
    let words = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = all("QuestionnaireResponse").flat_map(|one| one["item"].as_array().into_iter().flatten());
    let told = told.map(|item| Told {
        label: Text::cut(&words(&item["text"])),
        text: Text::cut(&words(&item["answer"][0]["valueString"])),
    });
    let mut thread: Vec<Said> = all("Communication")
        .filter_map(|said| {
            Some(Said {
                by: Text::cut(&words(&said["sender"]["display"])),
                at: instant(&said["sent"])?,
                text: Text::cut(&words(&said["payload"][0]["contentString"])),
            })
        })
        .collect();
    thread.sort_by_key(|said| said.at);
    let answer = all("DocumentReference").find_map(|document| {
        Some(Answered {
            by: Text::cut(&words(&document["author"][0]["display"])),
            at: instant(&document["date"])?,
            text: Text::cut(&text_of(document)?),
            report: report_of(document).is_some(),
        })
    });
    let refusal = task["statusReason"]["text"].as_str().map(Text::cut);
    Some(Opinion {
        line: line(task, now)?,
        mine: who.asked(task),
        told: told.collect(),
        consent_at: consent_at(service).unwrap_or(0),
        thread,
        answer,
        refusal,
    })
}

fn contents(document: &Value) -> impl Iterator<Item = &Value> {
    document["content"].as_array().into_iter().flatten().map(|content| &content["attachment"])
}

/// The answer's words.
fn text_of(document: &Value) -> Option<String> {
    let plain =
        |attachment: &&Value| attachment["contentType"].as_str().is_some_and(|kind| kind.starts_with("text/plain"));
    let data = contents(document).find(plain)?["data"].as_str()?;
    String::from_utf8(STANDARD.decode(data).ok()?).ok()
}

/// The Binary of the answer's report, by its id.
pub fn report_of(document: &Value) -> Option<String> {
    let report = contents(document).find(|attachment| attachment["contentType"] == REPORT)?;
    // A server may have made an address of it.
    report["url"].as_str()?.split('/').skip_while(|part| *part != "Binary").nth(1).map(str::to_owned)
}

fn consent_at(service: &Value) -> Option<i64> {
    let consent = service["extension"].as_array()?.iter().find(|extension| extension["url"] == ask::CONSENT)?;
    instant(&consent["extension"].as_array()?.iter().find(|part| part["url"] == "at")?["valueDateTime"])
}

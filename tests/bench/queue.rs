//! The screen beside a queue: touches while consultations with pictures wait, and while they leave over 1 Mbit/s.

use std::sync::atomic::Ordering;
use std::time::Instant;

use anyhow::{Result, ensure};
use outbox::{Body, Client, Submission, Upload};
use serde_json::json;
use uuid::Uuid;
use whole_cabin::physician::Physician;
use whole_cabin::screen::Screen;
use whole_cabin::site::Site;
use zeroize::Zeroizing;

use crate::line::line;
use crate::table::Row;
use crate::{HEIGHT, Visit, WIDTH, say, touch};

const PICTURES: usize = 2;
const PICTURE_BYTES: usize = 80_000;
const LINE_BITS_A_SECOND: u64 = 1_000_000;
/// Nobody answers there.
const NOWHERE: &str = "http://127.0.0.1:9/fhir";

/// Hands over so many consultations.
fn fill(client: &Client, consultations: usize) -> Result<()> {
    for n in 0..consultations {
        let id = client.begin()?;
        client.append(1, b"a reading")?;
        let mut uploads = Vec::new();
        for picture in 0..PICTURES {
            let content: Vec<u8> = (0..PICTURE_BYTES).map(|at| (at * 31 + n + picture) as u8).collect();
            let blob = client.put_blob("picture", "image/jpeg", &content)?;
            let path = format!("Binary/{}", Uuid::new_v4());
            uploads.push(Upload { path, content_type: "image/jpeg".into(), body: Body::Blob(blob) });
        }
        let encounter = json!({
            "resourceType": "Encounter", "status": "cancelled",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "VR"},
            "identifier": [{"system": "urn:ietf:rfc:3986", "value": format!("urn:uuid:{id}")}],
        });
        let once = format!("identifier=urn:ietf:rfc:3986|urn:uuid:{id}");
        let request = json!({"method": "POST", "url": "Encounter", "ifNoneExist": once});
        let entry = json!({"fullUrl": format!("urn:uuid:{id}"), "resource": encounter, "request": request});
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}).to_string();
        let proof = format!("Encounter?{once}");
        client.submit(Submission { uploads, bundle: Zeroizing::new(bundle.into_bytes()), proof })?;
    }
    Ok(())
}

/// Touches on the screen of consents, before and while the queue is sent.
pub fn rows(consultations: usize, touches: usize, began: Instant) -> Result<[Row; 2]> {
    let mut site = Site::open()?;
    site.prepare_cabin(WIDTH, HEIGHT)?;
    let token = site.upload_token();
    site.start_outbox(NOWHERE, Some(&token))?;
    fill(&Client::new(site.outbox_socket()), consultations)?;

    let screen = Screen::open(site.folder(), WIDTH, HEIGHT)?;
    let window = site.start_cabin(&screen)?;
    let physician = Physician::open(site.folder(), "morel")?;
    let mut visit = Visit { site, screen, window, physician, began };
    visit.pharmacist_opens()?;
    visit.patient_says_why()?;
    visit.patient_says_who()?;
    visit.window.find("Vos données, vos choix")?;
    visit.step("touches beside a queue without a line");
    let waiting = touch::of_choices(&visit, touches)?;

    let (port, through) = line(visit.site.desk_address().replace("http://", ""), LINE_BITS_A_SECOND);
    visit.site.kill_outbox()?;
    visit.site.start_outbox(&format!("http://127.0.0.1:{port}/fhir"), Some(&token))?;
    crate::wait("the queue to leave", || Ok((through.load(Ordering::Relaxed) > 0).then_some(())))?;
    visit.step("touches beside a queue that leaves");
    let (from, at) = (through.load(Ordering::Relaxed), Instant::now());
    let leaving = touch::of_choices(&visit, touches)?;
    let bits = (through.load(Ordering::Relaxed) - from) as f64 * 8.0 / at.elapsed().as_secs_f64();
    say(began, &format!("{bits:.0} bit/s left meanwhile"));
    ensure!(bits > LINE_BITS_A_SECOND as f64 / 2.0, "the queue did not leave: {bits:.0} bit/s");

    let Visit { mut site, physician, window, screen, .. } = visit;
    site.check_alive()?;
    drop((physician, window, screen));
    site.close()?;
    Ok([
        Row::new("touch of a choice beside a week's queue that waits for a line", "ms", Some(50), waiting),
        Row::new("  the same while it is sent at 1 Mbit/s", "ms", Some(50), leaving),
    ])
}

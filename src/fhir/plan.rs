//! What the physician concluded, in the words and kinds of the page: a CarePlan.
//!
//! It is no prescription: that is a document, signed in the physician's own software. So the orders are activities of
//! a plan in words and not requests, which a machine might carry out.

use consult::physician::{NextCare, OrderKind, Summary};
use uuid::Uuid;

use crate::json::{Json, list, object};
use crate::terms::{LOCAL, coding_named, identifiers, reference};

/// The plan of one summary: its words, an activity for each order, and one for whom to see next.
pub(crate) fn care_plan(
    id: Uuid,
    summary: &Summary,
    author: Option<Uuid>,
    at: &str,
    patient: Uuid,
    encounter: Uuid,
) -> Json {
    let activity = |(code, name): (&str, &str), words: &str| {
        object! {
            "detail": object! {
                "code": object! { "coding": list![coding_named(LOCAL, code, name)], "text": name },
                "status": "not-started",
                "description": text(words),
            },
        }
    };
    let mut activities: Vec<Json> =
        summary.orders.iter().map(|order| activity(order_code(order.kind), order.text.reveal())).collect();
    activities.push(activity(next_code(summary.next), summary.next_note.reveal()));
    object! {
        "resourceType": "CarePlan",
        "identifier": identifiers(id),
        "status": "active",
        "intent": "plan",
        "description": text(summary.text.reveal()),
        "subject": reference(patient),
        "encounter": reference(encounter),
        "created": at,
        "author": author.map(reference),
        "activity": activities,
    }
}

/// FHIR has no empty text.
fn text(words: &str) -> Option<&str> {
    Some(words).filter(|words| !words.is_empty())
}

/// Code, among ours, and words of the kind of an order.
pub(crate) fn order_code(kind: OrderKind) -> (&'static str, &'static str) {
    match kind {
        OrderKind::Medicine => ("order-medicine", "Médicament"),
        OrderKind::Laboratory => ("order-laboratory", "Analyse"),
        OrderKind::Imaging => ("order-imaging", "Imagerie"),
        OrderKind::Care => ("order-care", "Soins"),
        OrderKind::Advice => ("order-advice", "Conseil"),
        OrderKind::Other => ("order-other", "Autre"),
    }
}

/// Code, among ours, and words of whom the patient should see next.
pub(crate) fn next_code(next: NextCare) -> (&'static str, &'static str) {
    match next {
        NextCare::Nobody => ("next-nobody", "Personne de plus"),
        NextCare::UsualDoctor => ("next-usual-doctor", "Médecin traitant"),
        NextCare::Specialist => ("next-specialist", "Médecin spécialiste"),
        NextCare::Pharmacist => ("next-pharmacist", "Pharmacien"),
        NextCare::Examination => ("next-examination", "Laboratoire ou centre d'imagerie"),
        NextCare::Teleconsultation => ("next-teleconsultation", "Nouvelle téléconsultation"),
        NextCare::EmergencyDepartment => ("next-emergency-department", "Urgences"),
        NextCare::InPerson => ("next-in-person", "Médecin sur place"),
        NextCare::Nurse => ("next-nurse", "Infirmière ou infirmier"),
    }
}

//! What is asked of physicians when none could be seen: a Task, in the same transaction as the dossier it is about.

use consult::dossier::CallBack;
use consult::reason::Reason;
use uuid::Uuid;

use crate::json::{Json, list, object};
use crate::terms::{LOCAL, coding_named, full_url, identifiers, own_identifier, reference};
use crate::visit;

pub(crate) struct About<'a> {
    pub(crate) patient: Uuid,
    pub(crate) encounter: Uuid,
    pub(crate) location: Uuid,
    /// Name of the place.
    pub(crate) place: &'a str,
    /// The consultation, as cabin and desk name it.
    pub(crate) consultation: Uuid,
    pub(crate) reason: Option<&'a Reason>,
    /// When it was asked.
    pub(crate) at: &'a str,
}

/// "Ring this patient": `requested` until a physician takes it up (`accepted`, with an owner) and has rung
/// (`completed`). FHIR's own task codes tell of machines that carry out requests, so the code is ours.
///
/// It holds what a list of them shows before one is taken up: the kind of reason, the place, the hour; the number, and
/// who it is, are read with the dossier.
pub(crate) fn task(id: Uuid, asked: &CallBack, about: &About<'_>) -> Json {
    let code = |code: &str, name: &str| object! { "coding": list![coding_named(LOCAL, code, name)], "text": name };
    object! {
        "resourceType": "Task",
        "identifier": identifiers(id),
        "groupIdentifier": own_identifier(about.consultation),
        "status": "requested",
        "intent": "order",
        "priority": "routine",
        "code": code("call-back", "Rappeler le patient"),
        "focus": reference(about.encounter),
        "for": reference(about.patient),
        "encounter": reference(about.encounter),
        "authoredOn": about.at,
        "lastModified": about.at,
        "requester": reference(about.patient),
        "location": object! { "reference": full_url(about.location), "display": about.place },
        "reasonCode": about.reason.map(|reason| {
            let (key, name) = visit::reason_of(reason.kind);
            code(key, name)
        }),
        "input": list![object! {
            "type": code("call-back-number", "Numéro à rappeler"),
            "valueContactPoint": object! { "system": "phone", "value": asked.phone.reveal() },
        }],
    }
}

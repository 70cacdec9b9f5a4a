//! What is asked of a specialist when no physician could be seen: a ServiceRequest that proposes, a Task that carries its
//! state, and who asks, with the patient's consent, in the same transaction as the dossier.
//!
//! The desk reads exactly this (`desk::fhir::second_opinions`), and writes the same for a physician's page.

use consult::second_opinion::{AskedOpinion, Field, Profession, Specialty};
use uuid::Uuid;

use crate::json::{Json, list, object};
use crate::people::professional;
use crate::terms::{LOCAL, LOINC, RPPS, coding, coding_named, concept, identifiers, own_identifier, reference};

/// The patient's consent, on the ServiceRequest: `given` and `at`.
const CONSENT: &str = "urn:uuid:0f0c1d8a-54b9-4d8c-9f57-7c8f0f5b1a60";
const CONSENT_SCOPE: &str = "http://terminology.hl7.org/CodeSystem/consentscope";
/// Health professions (ANS table TRE_G15).
const PROFESSION: &str = "https://mos.esante.gouv.fr/NOS/TRE_G15-ProfessionSante/FHIR/TRE-G15-ProfessionSante";

/// The ids of what is made of one request.
pub(crate) struct Made {
    pub(crate) service: Uuid,
    pub(crate) task: Uuid,
    pub(crate) answers: Uuid,
    pub(crate) consent: Uuid,
    pub(crate) role: Uuid,
    pub(crate) practitioner: Uuid,
}

pub(crate) struct About<'a> {
    pub(crate) patient: Uuid,
    pub(crate) encounter: Uuid,
    pub(crate) location: Uuid,
    pub(crate) organization: Uuid,
    /// Name of the place.
    pub(crate) place: &'a str,
    /// Identifier of the cabin at its desk.
    pub(crate) cabin: &'a str,
    /// The consultation, as cabin and desk name it.
    pub(crate) consultation: Uuid,
    /// Kind of reason: code and words.
    pub(crate) reason: Option<(&'static str, &'static str)>,
    /// When it was asked.
    pub(crate) at: &'a str,
    /// When an answer is wished.
    pub(crate) wanted: &'a str,
    /// Every picture, electrocardiogram, sound and paper of the dossier.
    pub(crate) documents: &'a [Uuid],
}

fn ours(code: &str, words: &str) -> Json {
    object! { "coding": list![coding_named(LOCAL, code, words)], "text": words }
}

fn priority(asked: &AskedOpinion) -> &'static str {
    if asked.opinion.urgent { "urgent" } else { "routine" }
}

fn specialty(asked: &AskedOpinion) -> Json {
    let asked = asked.opinion.specialty;
    ours(&format!("specialty-{}", asked.code()), specialty_name(asked))
}

fn requester(asked: &AskedOpinion) -> String {
    let Profession::Pharmacist = asked.opinion.requester.profession else {
        return format!("{}, infirmière ou infirmier", asked.opinion.requester.name);
    };
    format!("{}, pharmacie", asked.opinion.requester.name)
}

/// Who asks: known by the national number, as a physician is.
pub(crate) fn practitioner(asked: &AskedOpinion) -> Json {
    let requester = &asked.opinion.requester;
    professional(&requester.rpps, &requester.name, None)
}

/// As what they ask, and where.
pub(crate) fn role(made: &Made, asked: &AskedOpinion, about: &About<'_>) -> Json {
    let (code, words) = match asked.opinion.requester.profession {
        Profession::Pharmacist => ("21", "Pharmacien"),
        Profession::Nurse => ("60", "Infirmier"),
    };
    object! {
        "resourceType": "PractitionerRole",
        "identifier": identifiers(made.role),
        "active": true,
        "practitioner": reference(made.practitioner),
        "organization": reference(about.organization),
        "code": list![concept(vec![coding_named(PROFESSION, code, words)])],
        "location": list![reference(about.location)],
    }
}

/// The patient agreed that a specialist reads the dossier.
pub(crate) fn consent(made: &Made, about: &About<'_>) -> Json {
    object! {
        "resourceType": "Consent",
        "identifier": identifiers(made.consent),
        "status": "active",
        "scope": concept(vec![coding(CONSENT_SCOPE, "treatment")]),
        "category": list![concept(vec![coding_named(LOINC, "59284-0", "Patient Consent")])],
        "patient": reference(about.patient),
        "dateTime": about.at,
        "organization": list![reference(about.organization)],
        "policyRule": ours("consent-second-opinion", "Télé-expertise : le dossier est montré à un spécialiste"),
        "provision": object! { "type": "permit" },
    }
}

/// Question, context, and what the specialty wants to know.
pub(crate) fn answers(made: &Made, asked: &AskedOpinion, about: &About<'_>) -> Json {
    let item = |link: &str, label: &str, text: &str| {
        object! { "linkId": link, "text": label, "answer": list![object! { "valueString": text }] }
    };
    let opinion = &asked.opinion;
    let mut items = vec![
        item("question", "Question posée", opinion.question.reveal()),
        item("context", "Contexte clinique", opinion.context.reveal()),
    ];
    items.extend(
        opinion
            .details
            .iter()
            .filter(|said| !said.text.reveal().trim().is_empty())
            .map(|said| item(said.field.code(), field_name(said.field), said.text.reveal())),
    );
    object! {
        "resourceType": "QuestionnaireResponse",
        "identifier": own_identifier(made.answers),
        "basedOn": list![reference(made.service)],
        "status": "completed",
        "subject": reference(about.patient),
        "encounter": reference(about.encounter),
        "authored": about.at,
        "author": reference(made.role),
        "item": items,
    }
}

/// The request itself: a proposal, to whoever answers for the specialty.
pub(crate) fn service_request(made: &Made, asked: &AskedOpinion, about: &About<'_>) -> Json {
    let mut supporting = vec![reference(made.answers), reference(made.consent)];
    supporting.extend(about.documents.iter().map(|document| reference(*document)));
    object! {
        "resourceType": "ServiceRequest",
        "extension": list![object! {
            "url": CONSENT,
            "extension": list![
                object! { "url": "given", "valueBoolean": asked.opinion.consent },
                object! { "url": "at", "valueDateTime": about.at },
            ],
        }],
        "identifier": identifiers(made.service),
        "status": "active",
        "intent": "proposal",
        "priority": priority(asked),
        "code": ours("second-opinion", "Avis spécialisé"),
        "subject": reference(about.patient),
        "encounter": reference(about.encounter),
        "occurrencePeriod": object! { "end": about.wanted },
        "authoredOn": about.at,
        "requester": reference(made.role),
        "performerType": specialty(asked),
        "reasonCode": list![object! { "text": asked.opinion.question.reveal() }],
        "supportingInfo": supporting,
    }
}

/// What lists show before a specialist takes it up: specialty, place, kind of reason, who asks, the hour; never who the
/// patient is.
pub(crate) fn task(made: &Made, asked: &AskedOpinion, about: &About<'_>) -> Json {
    object! {
        "resourceType": "Task",
        "identifier": identifiers(made.task),
        "groupIdentifier": own_identifier(about.consultation),
        "status": "requested",
        "businessStatus": ours("opinion-ready", "Publiée"),
        "intent": "proposal",
        "priority": priority(asked),
        "code": ours("second-opinion", "Avis spécialisé"),
        "focus": reference(made.service),
        "for": reference(about.patient),
        "encounter": reference(about.encounter),
        "authoredOn": about.at,
        "lastModified": about.at,
        "requester": object! {
            "reference": crate::terms::full_url(made.role),
            "identifier": object! { "system": RPPS, "value": asked.opinion.requester.rpps.to_string() },
            "display": requester(asked),
        },
        "performerType": list![specialty(asked)],
        "location": object! { "reference": crate::terms::full_url(about.location), "display": about.place },
        "reasonCode": about.reason.map(|(code, words)| ours(code, words)),
        "restriction": object! { "period": object! { "end": about.wanted } },
        "input": list![object! {
            "type": ours("opinion-cabin", "Cabine d'où l'avis est demandé"),
            "valueString": about.cabin,
        }],
    }
}

fn specialty_name(specialty: Specialty) -> &'static str {
    match specialty {
        Specialty::Dermatology => "Dermatologie",
        Specialty::Cardiology => "Cardiologie",
        Specialty::Ent => "ORL",
        Specialty::Wounds => "Plaies et cicatrisation",
        Specialty::General => "Médecine générale",
        Specialty::Geriatrics => "Gériatrie",
        Specialty::Neurology => "Neurologie",
        Specialty::Diabetology => "Diabétologie",
        Specialty::Paediatrics => "Pédiatrie",
        Specialty::Psychiatry => "Psychiatrie",
        Specialty::Ophthalmology => "Ophtalmologie",
        Specialty::Nephrology => "Néphrologie",
        Specialty::Haematology => "Hématologie",
        Specialty::Radiology => "Radiologie",
    }
}

fn field_name(field: Field) -> &'static str {
    match field {
        Field::Site => "Endroit du corps",
        Field::Onset => "Depuis quand",
        Field::Size => "Taille",
        Field::Evolution => "Évolution",
        Field::ItchPain => "Démangeaison, douleur",
        Field::Symptoms => "Symptômes",
        Field::Side => "Côté",
        Field::HearingPain => "Douleur, audition",
        Field::Exudate => "Écoulement",
        Field::AnkleIndex => "Index de pression à la cheville",
        Field::History => "Antécédents",
        Field::Treatments => "Traitements en cours",
        Field::Allergies => "Allergies",
        Field::Pregnancy => "Grossesse",
        Field::FamilyHistory => "Antécédents familiaux",
        Field::Autonomy => "Autonomie (GIR)",
        Field::Cognition => "Cognition (MMSE)",
        Field::Deficit => "Déficit",
        Field::GlucoseLog => "Glycémies",
        Field::Hba1c => "HbA1c, en %",
        Field::Modality => "Examen et date",
    }
}

//! The visit itself: the Encounter, what the patient agreed to and answered, what went wrong.

use consult::consent::{ConsentAnswer, Decision, Purpose};
use consult::guest::{Guest, GuestRole};
use consult::reason::{BodyPart, Reason, ReasonKind};
use consult::triage::{WarningAnswer, WarningSign};
use uuid::Uuid;

use crate::json::{Json, list, object};
use crate::terms::{
    LOCAL, LOINC, URI, coding, coding_named, concept, identifiers, meta, own_identifier, reference, urn,
};

const ACT_CODE: &str = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
/// What others than the staff of the place are there for.
const PARTICIPANT: &str = "http://terminology.hl7.org/CodeSystem/participant-type";
const VISIT_NUMBER: &str = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-identifier-type";
const CONSENT_SCOPE: &str = "http://terminology.hl7.org/CodeSystem/consentscope";

pub(crate) struct Encounter<'a> {
    pub(crate) id: Uuid,
    /// The consultation, as the cabin, the desk and the physician's page name it.
    pub(crate) consultation: Uuid,
    pub(crate) patient: Uuid,
    /// Whom the patient saw, in order; empty when nobody.
    pub(crate) practitioners: &'a [Uuid],
    /// Third persons in the call, and when they were there.
    pub(crate) guests: Vec<(&'a Guest, Json)>,
    pub(crate) location: Uuid,
    pub(crate) organization: Uuid,
    pub(crate) period: Json,
    pub(crate) reason: Option<&'a Reason>,
    /// A physician is asked to call the patient back.
    pub(crate) is_to_come: bool,
    /// When the patient was away between.
    pub(crate) pauses: Vec<Json>,
}

/// A teleconsultation: class `VR`. Without a physician it never took place, and is `cancelled`; with a request to be
/// called back it is still to take place.
pub(crate) fn encounter(e: &Encounter<'_>) -> Json {
    let mut participants: Vec<Json> = e
        .practitioners
        .iter()
        .map(|practitioner| {
            let performer = coding_named(PARTICIPATION, "PPRF", "primary performer");
            object! { "type": list![concept(vec![performer])], "individual": reference(*practitioner) }
        })
        .collect();
    participants.extend(e.guests.iter().map(|(guest, period)| attendance(guest, period)));
    let away: Vec<Json> =
        e.pauses.iter().map(|period| object! { "status": "onleave", "period": period.clone() }).collect();
    object! {
        "resourceType": "Encounter",
        "meta": meta(&["encounter"]),
        "identifier": list![object! {
            "type": concept(vec![coding_named(VISIT_NUMBER, "VN", "Visit Number")]),
            "system": URI,
            "value": urn(e.id),
        }, own_identifier(e.consultation)],
        "status": match (e.practitioners.is_empty(), e.is_to_come) {
            (false, _) => "finished",
            (true, true) => "planned",
            (true, false) => "cancelled",
        },
        "statusHistory": away,
        "class": coding_named(ACT_CODE, "VR", "virtual"),
        "subject": reference(e.patient),
        "participant": participants,
        "period": e.period.clone(),
        "reasonCode": list![e.reason.map(reason_code)],
        "location": list![object! { "location": reference(e.location) }],
        "serviceProvider": reference(e.organization),
    }
}

/// A third person. The name is what they said, so it refers to no Practitioner: the physician answers for it.
fn attendance(guest: &Guest, period: &Json) -> Json {
    let (system, code, name, words) = match guest.role {
        GuestRole::Interpreter => (PARTICIPANT, "translator", "Translator", "Interprète"),
        GuestRole::SignInterpreter => (PARTICIPANT, "translator", "Translator", "Interprète en langue des signes"),
        GuestRole::Specialist => (PARTICIPATION, "CON", "consultant", "Spécialiste"),
        GuestRole::Other => (PARTICIPATION, "PART", "Participation", "Autre personne"),
    };
    object! {
        "type": list![object! { "coding": list![coding_named(system, code, name)], "text": words }],
        "period": period.clone(),
        "individual": object! { "display": guest.name.reveal() },
    }
}

/// The reason as the patient chose and wrote it; the cabin names no disease.
fn reason_code(reason: &Reason) -> Json {
    let mut codings = vec![coding_named(LOCAL, reason_key(reason.kind), reason_name(reason.kind))];
    codings.extend(reason.body_part.map(|part| coding_named(LOCAL, part_key(part), part_name(part))));
    let words = reason.line.reveal();
    let text = if words.is_empty() { reason_name(reason.kind) } else { words };
    object! { "coding": codings, "text": text }
}

/// The answer to one purpose. A refusal is as much a fact as an agreement: `deny`.
pub(crate) fn consent(
    id: Uuid,
    purpose: Purpose,
    answer: ConsentAnswer,
    at: &str,
    patient: Uuid,
    organization: Uuid,
) -> Json {
    let (scope, name, key) = match purpose {
        Purpose::Care => ("treatment", "Téléconsultation", "consent-care"),
        Purpose::UsualDoctor => ("patient-privacy", "Partage avec le médecin traitant", "consent-usual-doctor"),
        Purpose::Statistics => ("research", "Statistiques", "consent-statistics"),
    };
    // Which words were on the screen, told by their version.
    let text = object! {
        "coding": list![coding(LOCAL, &format!("{key}-{}", answer.text_version))],
        "text": format!("{name}, texte {}", answer.text_version),
    };
    object! {
        "resourceType": "Consent",
        "identifier": identifiers(id),
        "status": "active",
        "scope": concept(vec![coding(CONSENT_SCOPE, scope)]),
        "category": list![concept(vec![coding_named(LOINC, "59284-0", "Patient Consent")])],
        "patient": reference(patient),
        "dateTime": at,
        "organization": list![reference(organization)],
        "policyRule": text,
        "provision": object! { "type": match answer.decision { Decision::Given => "permit", Decision::Refused => "deny" } },
    }
}

pub(crate) struct Answers<'a> {
    pub(crate) reason: Option<&'a Reason>,
    pub(crate) signs: &'a [WarningAnswer],
    /// The last yes after which the pharmacist let the consultation go on: to what, who, when.
    pub(crate) cleared: Option<(WarningSign, &'a str, String)>,
}

/// The reason and the answers to the warning signs, in the patient's own order.
pub(crate) fn questionnaire(id: Uuid, answers: &Answers<'_>, at: &str, patient: Uuid, encounter: Uuid) -> Json {
    let one = |link: &str, text: &str, answer: Json| {
        object! { "linkId": link, "text": text, "answer": list![answer] }
    };
    let mut items = Vec::new();
    if let Some(reason) = answers.reason {
        let kind = coding_named(LOCAL, reason_key(reason.kind), reason_name(reason.kind));
        items.push(one("reason", "Pourquoi venez-vous ?", object! { "valueCoding": kind }));
        if let Some(part) = reason.body_part {
            let part = coding_named(LOCAL, part_key(part), part_name(part));
            items.push(one("body-part", "Où ?", object! { "valueCoding": part }));
        }
        if !reason.line.is_empty() {
            items.push(one("words", "En quelques mots", object! { "valueString": reason.line.reveal() }));
        }
    }
    let signs: Vec<Json> = answers
        .signs
        .iter()
        .map(|a| one(sign_key(a.sign), sign_name(a.sign), object! { "valueBoolean": a.present }))
        .collect();
    items.push(object! { "linkId": "warning-signs", "text": "Signes d'alerte", "item": signs });
    if let Some((sign, by, at)) = &answers.cleared {
        let cleared = list![
            one("sign", "Signe", object! { "valueString": sign_name(*sign) }),
            one("by", "Pharmacien", object! { "valueString": *by }),
            one("at", "Quand", object! { "valueDateTime": at.as_str() }),
        ];
        let words = "Le pharmacien a vu le patient et a laissé continuer";
        items.push(object! { "linkId": "sign-cleared", "text": words, "item": cleared });
    }
    object! {
        "resourceType": "QuestionnaireResponse",
        "identifier": own_identifier(id),
        "status": "completed",
        "subject": reference(patient),
        "encounter": reference(encounter),
        "authored": at,
        "source": reference(patient),
        "item": items,
    }
}

pub(crate) struct Incident<'a> {
    /// Code of its kind, among ours.
    pub(crate) key: &'a str,
    /// Its kind in words.
    pub(crate) name: &'a str,
    pub(crate) from: &'a str,
    /// `None`: it had not ended with the consultation.
    pub(crate) to: Option<&'a str>,
}

/// A technical incident (CSP R. 6316-4 wants them in the report).
///
/// It is an Observation about the cabin, not about the patient: of the resources that can be created conditionally
/// (they need a searchable identifier, which AuditEvent and Provenance lack) it is the one with a period, a code, a
/// device and an encounter, so that a machine can list the incidents of a site without reading reports.
pub(crate) fn incident(id: Uuid, incident: &Incident<'_>, cabin: Uuid, encounter: Uuid) -> Json {
    let kind = coding_named(LOCAL, incident.key, incident.name);
    object! {
        "resourceType": "Observation",
        "identifier": identifiers(id),
        "status": "final",
        "code": object! { "coding": list![coding_named(LOCAL, "technical-incident", "Incident technique")], "text": "Incident technique" },
        "subject": reference(cabin),
        "encounter": reference(encounter),
        "effectivePeriod": object! { "start": incident.from, "end": incident.to },
        "valueCodeableConcept": object! { "coding": list![kind], "text": incident.name },
        "device": reference(cabin),
    }
}

/// Code, among ours, and words of a kind of reason.
pub(crate) fn reason_of(kind: ReasonKind) -> (&'static str, &'static str) {
    (reason_key(kind), reason_name(kind))
}

fn reason_key(kind: ReasonKind) -> &'static str {
    match kind {
        ReasonKind::FeverFatigue => "reason-fever",
        ReasonKind::Breathing => "reason-breathing",
        ReasonKind::EarNoseThroat => "reason-ear-nose-throat",
        ReasonKind::SkinWound => "reason-skin",
        ReasonKind::Urinary => "reason-urinary",
        ReasonKind::Renewal => "reason-renewal",
        ReasonKind::BackJoints => "reason-joints",
        ReasonKind::MoodSleep => "reason-mood",
        ReasonKind::Other => "reason-other",
    }
}

fn reason_name(kind: ReasonKind) -> &'static str {
    match kind {
        ReasonKind::FeverFatigue => "Fièvre, fatigue",
        ReasonKind::Breathing => "Toux, respiration",
        ReasonKind::EarNoseThroat => "Oreille, nez, gorge",
        ReasonKind::SkinWound => "Peau, plaie",
        ReasonKind::Urinary => "Brûlures en urinant",
        ReasonKind::Renewal => "Renouvellement de traitement",
        ReasonKind::BackJoints => "Dos, articulations",
        ReasonKind::MoodSleep => "Moral, sommeil",
        ReasonKind::Other => "Autre raison",
    }
}

fn part_key(part: BodyPart) -> &'static str {
    match part {
        BodyPart::Head => "part-head",
        BodyPart::Eyes => "part-eyes",
        BodyPart::EarNoseThroat => "part-ear-nose-throat",
        BodyPart::Chest => "part-chest",
        BodyPart::Belly => "part-belly",
        BodyPart::Back => "part-back",
        BodyPart::ArmHand => "part-arm-hand",
        BodyPart::LegFoot => "part-leg-foot",
        BodyPart::WholeBody => "part-whole-body",
    }
}

fn part_name(part: BodyPart) -> &'static str {
    match part {
        BodyPart::Head => "Tête",
        BodyPart::Eyes => "Yeux",
        BodyPart::EarNoseThroat => "Oreilles, nez ou gorge",
        BodyPart::Chest => "Poitrine",
        BodyPart::Belly => "Ventre",
        BodyPart::Back => "Dos",
        BodyPart::ArmHand => "Bras ou main",
        BodyPart::LegFoot => "Jambe ou pied",
        BodyPart::WholeBody => "Tout le corps",
    }
}

fn sign_key(sign: WarningSign) -> &'static str {
    match sign {
        WarningSign::ChestPain => "sign-chest-pain",
        WarningSign::BreathingDifficulty => "sign-breathing-difficulty",
        WarningSign::FaintingOrConfusion => "sign-fainting-or-confusion",
        WarningSign::SevereBellyPain => "sign-severe-belly-pain",
        WarningSign::FaceArmOrSpeech => "sign-face-arm-or-speech",
        WarningSign::SuddenLossOfSight => "sign-sudden-loss-of-sight",
        WarningSign::SuddenWorstHeadache => "sign-sudden-worst-headache",
        WarningSign::Seizure => "sign-seizure",
        WarningSign::HeavyBleeding => "sign-heavy-bleeding",
        WarningSign::SwellingFace => "sign-swelling-face",
        WarningSign::SevereBurnOrInjury => "sign-severe-burn-or-injury",
        WarningSign::FeverWithSpotsOrStiffNeck => "sign-fever-with-spots-or-stiff-neck",
        WarningSign::BabyWithFever => "sign-baby-with-fever",
        WarningSign::PregnancyTrouble => "sign-pregnancy-trouble",
        WarningSign::SuicidalThoughts => "sign-suicidal-thoughts",
        WarningSign::Poisoning => "sign-poisoning",
        WarningSign::SuddenTesticularPain => "sign-sudden-testicular-pain",
        WarningSign::RedEyeWithLossOfSight => "sign-red-eye-with-loss-of-sight",
        WarningSign::ColdPainfulLimb => "sign-cold-painful-limb",
        WarningSign::Dehydration => "sign-dehydration",
    }
}

fn sign_name(sign: WarningSign) -> &'static str {
    match sign {
        WarningSign::ChestPain => "Douleur ou serrement dans la poitrine",
        WarningSign::BreathingDifficulty => "Beaucoup de mal à respirer ou à parler",
        WarningSign::FaintingOrConfusion => "Perte de connaissance ou confusion",
        WarningSign::SevereBellyPain => "Forte douleur au ventre qui dure",
        WarningSign::FaceArmOrSpeech => "D'un coup : visage qui tombe, bras ou jambe faible, mal à parler",
        WarningSign::SuddenLossOfSight => "Perte soudaine de la vue",
        WarningSign::SuddenWorstHeadache => "Le pire mal de tête, venu d'un coup",
        WarningSign::Seizure => "Secousses qu'on ne peut pas arrêter",
        WarningSign::HeavyBleeding => "Saignement abondant",
        WarningSign::SwellingFace => "Visage ou langue qui gonfle après un aliment, une piqûre ou un médicament",
        WarningSign::SevereBurnOrInjury => "Brûlure, coup ou chute graves",
        WarningSign::FeverWithSpotsOrStiffNeck => "Fièvre avec taches qui ne s'effacent pas, ou nuque raide",
        WarningSign::BabyWithFever => "Bébé de moins de trois mois avec de la fièvre",
        WarningSign::PregnancyTrouble => "Enceinte, avec saignement, contractions ou fort mal de tête",
        WarningSign::SuicidalThoughts => "Idées de mettre fin à ses jours",
        WarningSign::Poisoning => "Produit dangereux avalé ou respiré",
        WarningSign::SuddenTesticularPain => "Douleur soudaine et forte d'un testicule",
        WarningSign::RedEyeWithLossOfSight => "Œil rouge, douloureux, qui voit mal",
        WarningSign::ColdPainfulLimb => "Bras ou jambe froid, pâle, douloureux",
        WarningSign::Dehydration => "Bébé ou personne âgée qui ne boit plus, très somnolent",
    }
}

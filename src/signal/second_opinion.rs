//! Second opinions (tele-expertise): what a page asks of the desk over HTTPS, what it reads there, and what each
//! specialty wants to know. See "Second opinions" in `PROTOCOL.md`; how they are kept as FHIR is told there too.

use serde::{Deserialize, Serialize};

use crate::physician::TakenBy;
use crate::{Code, ConsultationId, ItemId, Text, Unreadable};

/// Most lines of one list; those behind appear as the first ones are done.
pub const LINES_MAX: usize = 200;
/// Most details of one request: every field that any specialty has, and to spare.
pub const DETAILS_MAX: usize = 24;
/// Most messages of one thread, of both sides together.
pub const MESSAGES_MAX: usize = 100;
/// Longest body of a request or of a step without a report, bytes.
pub const ASK_BYTES_MAX: usize = 64 * 1024;
/// Longest report handed over with an answer, bytes of PDF.
pub const REPORT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of one part of a report on its way to a cabin.
pub const REPORT_PART_BYTES: usize = 32 * 1024;
/// Longest body of a step: a report in base64 and the words beside it.
pub const STEP_BYTES_MAX: usize = REPORT_BYTES_MAX / 3 * 4 + ASK_BYTES_MAX;
/// An answer is due within so many days (avenant 9: a tele-expertise is answered within 7 days).
pub const DUE_DAYS: i64 = 7;
/// From so many days on without an answer both sides are alerted.
pub const SOON_DAYS: i64 = 5;

/// One thing that a specialty wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its code, in [`Detail::field`].
    pub code: &'static str,
    /// What is asked, in French.
    pub label: &'static str,
    /// Whether the request is refused without it.
    pub required: bool,
}

/// One specialty that may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Specialty {
    /// Its code.
    pub code: &'static str,
    /// Its name, in French.
    pub name: &'static str,
    /// What it wants to know beside [`COMMON_FIELDS`].
    pub fields: &'static [Field],
    /// What it wants to see or hear, in French; empty where the dossier is enough.
    pub wants: &'static str,
}

const fn must(code: &'static str, label: &'static str) -> Field {
    Field { code, label, required: true }
}

const fn may(code: &'static str, label: &'static str) -> Field {
    Field { code, label, required: false }
}

/// What any specialty may be told.
pub const COMMON_FIELDS: &[Field] = &[
    may("history", "Antécédents"),
    may("treatments", "Traitements en cours"),
    may("allergies", "Allergies"),
    may("pregnancy", "Grossesse"),
    may("family_history", "Antécédents familiaux"),
];

const fn plain(code: &'static str, name: &'static str, fields: &'static [Field]) -> Specialty {
    Specialty { code, name, fields, wants: "" }
}

/// Every specialty that may be asked.
pub const SPECIALTIES: &[Specialty] = &[
    Specialty {
        code: "dermatology",
        name: "Dermatologie",
        fields: &[
            must("site", "Endroit du corps"),
            must("onset", "Depuis quand"),
            may("size", "Taille, en millimètres"),
            may("evolution", "Évolution"),
            may("itch_pain", "Démangeaison, douleur"),
        ],
        wants: "une vue d’ensemble, deux vues de près avec une règle, une dermoscopie",
    },
    Specialty {
        code: "cardiology",
        name: "Cardiologie",
        fields: &[must("symptoms", "Symptômes")],
        wants: "tension, pouls, électrocardiogramme",
    },
    Specialty {
        code: "ent",
        name: "ORL",
        fields: &[must("side", "Côté"), must("onset", "Depuis quand"), may("hearing_pain", "Douleur, audition")],
        wants: "images d’otoscope",
    },
    Specialty {
        code: "wounds",
        name: "Plaies et cicatrisation",
        fields: &[
            must("site", "Endroit du corps"),
            must("size", "Taille, en centimètres"),
            must("onset", "Depuis quand"),
            may("exudate", "Écoulement"),
            may("ankle_index", "Index de pression à la cheville"),
        ],
        wants: "photos de la plaie avec une règle",
    },
    plain("general", "Médecine générale", &[]),
    plain("geriatrics", "Gériatrie", &[may("autonomy", "Autonomie (GIR)"), may("cognition", "Cognition (MMSE)")]),
    plain("neurology", "Neurologie", &[must("onset", "Depuis quand"), may("deficit", "Déficit")]),
    plain("diabetology", "Diabétologie", &[may("glucose_log", "Glycémies"), may("hba1c", "HbA1c, en %")]),
    plain("paediatrics", "Pédiatrie", &[]),
    plain("psychiatry", "Psychiatrie", &[]),
    plain("ophthalmology", "Ophtalmologie", &[must("side", "Côté"), must("onset", "Depuis quand")]),
    plain("nephrology", "Néphrologie", &[]),
    plain("haematology", "Hématologie", &[]),
    plain("radiology", "Radiologie", &[may("modality", "Examen et date")]),
];

/// The specialty of this code.
pub fn specialty(code: &str) -> Option<&'static Specialty> {
    SPECIALTIES.iter().find(|specialty| specialty.code == code)
}

/// How soon an answer is wished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// Within the usual time.
    Routine,
    /// Sooner. What cannot wait goes to 15, never here.
    Urgent,
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody took it up.
    Ready,
    /// A specialist has it.
    InProgress,
    /// The specialist asked something of the requester.
    InfoRequested,
    /// Answered.
    Answered,
    /// Rejected, with a reason.
    Rejected,
    /// The requester took it back.
    Cancelled,
    /// Not answered within [`DUE_DAYS`]. A late answer is still taken.
    Expired,
}

impl State {
    /// Every state.
    pub const ALL: [State; 7] = [
        State::Ready,
        State::InProgress,
        State::InfoRequested,
        State::Answered,
        State::Rejected,
        State::Cancelled,
        State::Expired,
    ];

    /// Whether an answer is still awaited.
    pub fn is_open(self) -> bool {
        matches!(self, State::Ready | State::InProgress | State::InfoRequested | State::Expired)
    }
}

/// What both sides are told of a request without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alert {
    /// From [`SOON_DAYS`] on.
    Soon,
    /// From [`DUE_DAYS`] on.
    Late,
}

/// One answer to a [`Field`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// Code of the field.
    pub field: Code,
    /// What is said.
    pub text: Text<1000>,
}

/// `POST /api/physician/second-opinions`: a physician asks for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Made by the page; the same when it is sent again.
    pub id: ItemId,
    /// About whom: a consultation that this physician took.
    pub consultation: ConsultationId,
    /// Which specialty.
    pub specialty: Code,
    /// The question.
    pub question: Text<2000>,
    /// Clinical context.
    pub context: Text<4000>,
    /// How soon.
    pub urgency: Urgency,
    /// Wished within so many days, 1 to [`DUE_DAYS`].
    pub wanted_days: u8,
    /// The patient agreed that the dossier be shown to a specialist. `false` is refused.
    pub consent: bool,
    /// When the patient agreed.
    pub consent_at: i64,
    /// What the specialty wants to know; at most [`DETAILS_MAX`].
    pub details: Vec<Detail>,
}

impl Ask {
    /// Reads a body of at most [`ASK_BYTES_MAX`].
    ///
    /// # Errors
    /// Not such a message, or above a limit.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let ask: Self = crate::read(text, ASK_BYTES_MAX)?;
        if ask.details.len() > DETAILS_MAX {
            return Err(Unreadable::Forbidden("too many details"));
        }
        Ok(ask)
    }

    /// The message as a body.
    pub fn write(&self) -> String {
        crate::write(self)
    }

    /// What is missing before it can be sent, in words for the physician; `None`: nothing.
    pub fn missing(&self) -> Option<String> {
        let Some(specialty) = specialty(self.specialty.as_str()) else {
            return Some("Choisissez une spécialité de la liste.".into());
        };
        let blank = |text: &str| text.trim().is_empty();
        if !self.consent || self.consent_at <= 0 {
            return Some("Le patient doit être d’accord pour que son dossier soit montré à un spécialiste.".into());
        }
        if blank(self.question.as_str()) {
            return Some("Écrivez la question posée au spécialiste.".into());
        }
        if blank(self.context.as_str()) {
            return Some("Écrivez le contexte clinique.".into());
        }
        if !(1..=DUE_DAYS).contains(&i64::from(self.wanted_days)) {
            return Some(format!("Le délai souhaité est de 1 à {DUE_DAYS} jours."));
        }
        let said = |code: &str| {
            self.details.iter().any(|detail| detail.field.as_str() == code && !blank(detail.text.as_str()))
        };
        let unsaid = specialty.fields.iter().find(|field| field.required && !said(field.code))?;
        Some(format!("{} : dites « {} ».", specialty.name, unsaid.label))
    }
}

/// `POST /api/physician/second-opinions/{id}`: what one side makes of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Made by the page; the same when it is sent again.
    pub id: ItemId,
    /// What is done.
    #[serde(flatten)]
    pub what: What,
}

/// See [`Step`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum What {
    /// A specialist takes it up; of two at once one wins.
    Take,
    /// The specialist gives it back to the list.
    Return,
    /// The specialist asks something of the requester.
    AskMore {
        /// What.
        text: Text<4000>,
    },
    /// The requester answers, or adds something.
    Say {
        /// What.
        text: Text<4000>,
    },
    /// The specialist's answer.
    Answer {
        /// In words.
        text: Text<8000>,
        /// A report, PDF in standard base64.
        #[serde(skip_serializing_if = "Option::is_none")]
        report: Option<String>,
    },
    /// The specialist does not answer this request.
    Reject {
        /// Why.
        text: Text<4000>,
    },
    /// The requester takes it back.
    Cancel {
        /// Why.
        text: Text<4000>,
    },
}

impl Step {
    /// Reads a body of at most [`STEP_BYTES_MAX`].
    ///
    /// # Errors
    /// Not such a message, or above a limit.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let step: Self = crate::read(text, STEP_BYTES_MAX)?;
        match &step.what {
            What::Answer { report: Some(report), .. } if report.len() > REPORT_BYTES_MAX / 3 * 4 + 4 => {
                Err(Unreadable::TooLarge { bytes: report.len(), max: REPORT_BYTES_MAX / 3 * 4 + 4 })
            }
            _ => Ok(step),
        }
    }

    /// The message as a body.
    pub fn write(&self) -> String {
        crate::write(self)
    }
}

/// One request in a list: what may be told before a specialist takes it up. Names nobody but professionals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The request.
    pub id: ItemId,
    /// The consultation.
    pub consultation: ConsultationId,
    /// Which specialty.
    pub specialty: Code,
    /// Where it is.
    pub state: State,
    /// How soon.
    pub urgency: Urgency,
    /// Where the patient was.
    pub place: Text<128>,
    /// Kind of reason, in words.
    pub reason: Text<128>,
    /// Who asks.
    pub requester: Text<128>,
    /// When it was asked, ms since 1970.
    pub asked_at: i64,
    /// When an answer is wished, ms since 1970.
    pub wanted_at: i64,
    /// An answer is late, or soon will be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<Alert>,
    /// Who has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_by: Option<TakenBy>,
}

/// `GET /api/physician/second-opinions`: what concerns the physician who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lists {
    /// Specialties of this account; empty: nothing is to be answered here.
    pub specialties: Vec<Code>,
    /// To be taken up in these specialties, and what this physician took up; longest first.
    pub to_answer: Vec<Line>,
    /// What this physician asked; newest first.
    pub asked: Vec<Line>,
    /// How many more there are.
    pub more: u32,
}

impl Lists {
    /// Reads the answer of the desk (for tests and other platforms).
    ///
    /// # Errors
    /// Not such an answer.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        crate::read(text, 4 << 20)
    }

    /// The answer as a body.
    pub fn write(&self) -> String {
        crate::write(self)
    }
}

/// One message of the thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Who.
    pub by: Text<128>,
    /// When, ms since 1970.
    pub at: i64,
    /// What.
    pub text: Text<4000>,
}

/// What was asked or told, as it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What was asked.
    pub label: Text<256>,
    /// What was said.
    pub text: Text<4000>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Who.
    pub by: Text<128>,
    /// When, ms since 1970.
    pub at: i64,
    /// In words.
    pub text: Text<8000>,
    /// Whether a report goes with it: `GET …/{id}/report`.
    pub report: bool,
}

/// One request in the list of the cabin that sent it. It names the patient: it is asked for by a pharmacist who signed
/// in, shown, and not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CabinLine {
    /// The request.
    pub id: ItemId,
    /// Which specialty.
    pub specialty: Code,
    /// Where it is.
    pub state: State,
    /// When it was asked, ms since 1970.
    pub asked_at: i64,
    /// An answer is late, or soon will be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<Alert>,
    /// Name and first name; empty where the dossier is not at the desk.
    pub patient: Text<128>,
    /// `1984-07-14`; empty as the name.
    pub birth_date: Text<10>,
}

/// Most lines in the list of a cabin: the newest.
pub const CABIN_LINES_MAX: usize = 60;
/// Most messages of a thread that a cabin is told: the newest.
pub const CABIN_MESSAGES_MAX: usize = 6;

/// `GET /api/physician/second-opinions/{id}`: the whole request, for those who may read it: who asked, who took it up, and
/// the cabin where the patient was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opinion {
    /// As in the lists.
    pub line: Line,
    /// The one who reads asked it; otherwise the one who reads answers it, or is the cabin and only reads.
    pub mine: bool,
    /// Question, context and what the specialty wants to know.
    pub told: Vec<Told>,
    /// When the patient agreed, ms since 1970.
    pub consent_at: i64,
    /// Questions and answers between the two, oldest first.
    pub thread: Vec<Said>,
    /// The answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answered>,
    /// Why it was rejected or taken back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Text<4000>>,
}

impl Opinion {
    /// Reads the answer of the desk (for tests and other platforms).
    ///
    /// # Errors
    /// Not such an answer.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        crate::read(text, 4 << 20)
    }

    /// The answer as a body.
    pub fn write(&self) -> String {
        crate::write(self)
    }
}

//! The words of the printed sheet. The screen's own words are in `ui`; these are on paper and in codes to scan, where
//! no `@tr` reaches. French is the source; a patient of another language gets French, which every carer here reads.

use consult::dossier::{IncidentKind, Language, SkipReason};
use consult::guest::GuestRole;
use consult::physician::{DocumentKind, NextCare, OrderKind};
use consult::reason::BodyPart;
use consult::site::DeviceClass;
use consult::vitals::{BodySite, Measurement};
use fhir::SiteKind;

/// A language that the sheet is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tongue {
    /// French.
    French,
    /// English.
    English,
}

impl Tongue {
    /// The sheet's language for a patient of this one.
    pub fn of(language: Language) -> Tongue {
        if language == Language::ENGLISH { Tongue::English } else { Tongue::French }
    }

    /// ISO 639-1.
    pub fn code(self) -> &'static str {
        match self {
            Tongue::French => "fr",
            Tongue::English => "en",
        }
    }

    /// `units / 10^scale` with the decimal sign of the language, without trailing zeros.
    pub fn decimal(self, units: u32, scale: u32) -> String {
        let digits = format!("{units:0width$}", width = scale as usize + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
        let fraction = fraction.trim_end_matches('0');
        let sign = match self {
            Tongue::French => ',',
            Tongue::English => '.',
        };
        if fraction.is_empty() { whole.to_owned() } else { format!("{whole}{sign}{fraction}") }
    }

    pub(super) fn pick(self, french: &'static str, english: &'static str) -> &'static str {
        match self {
            Tongue::French => french,
            Tongue::English => english,
        }
    }

    /// Where a picture or a sound was taken, in the middle of a sentence.
    pub fn body_site(self, site: BodySite) -> &'static str {
        match site {
            BodySite::RightEar => self.pick("oreille droite", "right ear"),
            BodySite::LeftEar => self.pick("oreille gauche", "left ear"),
            BodySite::Heart => self.pick("cœur", "heart"),
            BodySite::RightLung => self.pick("poumon droit", "right lung"),
            BodySite::LeftLung => self.pick("poumon gauche", "left lung"),
            BodySite::Skin(BodyPart::Head | BodyPart::Eyes | BodyPart::EarNoseThroat) => self.pick("tête", "head"),
            BodySite::Skin(BodyPart::Chest) => self.pick("poitrine", "chest"),
            BodySite::Skin(BodyPart::Back) => self.pick("dos ou cou", "back or neck"),
            BodySite::Skin(BodyPart::Belly) => self.pick("ventre", "belly"),
            BodySite::Skin(BodyPart::ArmHand) => self.pick("bras ou main", "arm or hand"),
            BodySite::Skin(BodyPart::LegFoot) => self.pick("jambe ou pied", "leg or foot"),
            BodySite::Skin(BodyPart::WholeBody) => self.pick("peau", "skin"),
        }
    }

    /// A heading or a label.
    pub fn label(self, label: Label) -> &'static str {
        match label {
            Label::Title => self.pick("Votre téléconsultation", "Your teleconsultation"),
            Label::Date => self.pick("Date", "Date"),
            Label::Patient => self.pick("Patient", "Patient"),
            Label::BornOn => self.pick("naissance :", "born on"),
            Label::Where => self.pick("Lieu", "Place"),
            Label::Physician => self.pick("Médecin", "Physician"),
            Label::Said => self.pick("Ce que le médecin a écrit", "What the physician wrote"),
            Label::ToDo => self.pick("À faire", "What to do"),
            Label::Next => self.pick("Qui voir ensuite", "Who to see next"),
            Label::Given => self.pick("Documents remis", "Documents given"),
            Label::Measures => self.pick("Vos mesures", "Your measurements"),
            Label::NotMeasured => self.pick("non mesuré", "not measured"),
            Label::At => self.pick("à", "at"),
            Label::Mean => self.pick("moyenne", "mean"),
            Label::AlsoThere => self.pick("Aussi dans l'échange", "Also in the call"),
            Label::Incidents => self.pick("Incidents techniques", "Technical incidents"),
            Label::NoIncident => self.pick("Aucun incident.", "None."),
            Label::ToTheEnd => self.pick("jusqu'à la fin", "to the end"),
            Label::OtherIncidents => self.pick("Autres incidents", "Other incidents"),
            Label::EarlierMeasures => self.pick("Mesures d'avant, dans votre dossier", "Earlier ones, in your record"),
            Label::NotAPrescription => self.pick(
                "Cette feuille n'est pas une ordonnance. Les mesures sont celles des appareils, sans interprétation.",
                "This sheet is not a prescription. The figures are those of the devices, without interpretation.",
            ),
            Label::Page => self.pick("Page", "Page"),
        }
    }

    /// What houses the cabin.
    pub fn site(self, kind: SiteKind) -> &'static str {
        match kind {
            SiteKind::Pharmacy => self.pick("pharmacie", "pharmacy"),
            SiteKind::TownHall => self.pick("mairie", "town hall"),
            SiteKind::HealthCentre => self.pick("centre de santé", "health centre"),
            SiteKind::GroupPractice => self.pick("maison de santé", "group practice"),
            SiteKind::NursingHome => self.pick("maison de retraite", "nursing home"),
        }
    }

    /// Who should see the patient next.
    pub fn next(self, next: NextCare) -> &'static str {
        match next {
            NextCare::Nobody => self.pick("Personne, sauf si cela change.", "Nobody, unless something changes."),
            NextCare::UsualDoctor => self.pick("Votre médecin traitant.", "Your usual doctor."),
            NextCare::Specialist => self.pick("Un médecin spécialiste.", "A specialist."),
            NextCare::Pharmacist => self.pick("Votre pharmacien.", "Your pharmacist."),
            NextCare::Examination => {
                self.pick("Un laboratoire ou un centre de radiologie.", "A laboratory or an imaging centre.")
            }
            NextCare::Teleconsultation => self.pick("Une nouvelle téléconsultation.", "Another teleconsultation."),
            NextCare::EmergencyDepartment => {
                self.pick("Les urgences, maintenant. Appelez le 15.", "The emergency department, now. Call 15.")
            }
            NextCare::InPerson => self.pick("Un médecin, sur place.", "A physician, in person."),
            NextCare::Nurse => self.pick("Une infirmière ou un infirmier.", "A nurse."),
        }
    }

    /// What a document is.
    pub fn document(self, kind: DocumentKind) -> &'static str {
        match kind {
            DocumentKind::Prescription => self.pick("Ordonnance", "Prescription"),
            DocumentKind::Certificate => self.pick("Certificat", "Certificate"),
            DocumentKind::Other => self.pick("Autre document", "Other document"),
            DocumentKind::Report => self.pick("Compte rendu", "Report"),
            DocumentKind::Letter => self.pick("Courrier", "Letter"),
        }
    }

    /// One order: its kind, then the physician's words, which say by themselves what is of no other kind.
    pub fn order(self, kind: OrderKind, words: &str) -> String {
        let kind = match kind {
            OrderKind::Medicine => self.pick("Médicament : ", "Medicine: "),
            OrderKind::Laboratory => self.pick("Analyse : ", "Laboratory test: "),
            OrderKind::Imaging => self.pick("Imagerie : ", "Imaging: "),
            OrderKind::Care => self.pick("Soins : ", "Care: "),
            OrderKind::Advice => self.pick("Conseil : ", "Advice: "),
            OrderKind::Other => "",
        };
        format!("{kind}{words}")
    }

    /// What a quantity is called.
    pub fn quantity(self, quantity: Shown) -> &'static str {
        match quantity {
            Shown::Oxygen => self.pick("Oxygène dans le sang", "Oxygen in the blood"),
            Shown::Pulse => self.pick("Pouls", "Pulse"),
            Shown::Pressure => self.pick("Tension", "Blood pressure"),
            Shown::Weight => self.pick("Poids", "Weight"),
            Shown::Height => self.pick("Taille", "Height"),
            Shown::Temperature => self.pick("Température", "Temperature"),
            Shown::Perfusion => self.pick("Perfusion", "Perfusion"),
            Shown::Glucose => self.pick("Glycémie", "Blood glucose"),
            Shown::Ecg => self.pick("Électrocardiogramme", "Electrocardiogram"),
            Shown::Picture => self.pick("Image", "Picture"),
            Shown::Sound => self.pick("Sons du cœur et des poumons", "Sounds of heart and lungs"),
        }
    }

    /// Above the code on a receipt.
    pub fn scan_for_papers(self) -> &'static str {
        self.pick(
            "Vos papiers : à ouvrir avec un téléphone, pendant une semaine",
            "Your papers: open them with a telephone, for a week",
        )
    }

    /// What to do with a receipt, then whom the physician wants the patient to see: no other word of the summary is on
    /// it, for a receipt is left lying about.
    pub fn after_receipt(self, next: Option<NextCare>) -> Vec<String> {
        let mut lines = vec![
            self.pick(
                "1. Lisez le code avec l'appareil photo d'un téléphone.",
                "1. Read the code with a telephone's camera.",
            )
            .to_owned(),
            self.pick(
                "2. Gardez vos papiers dans le téléphone : le code ne marche qu'une semaine.",
                "2. Keep your papers in the telephone: the code works for a week only.",
            )
            .to_owned(),
            self.pick(
                "Qui a ce ticket ouvre vos papiers : ne le laissez à personne.",
                "Whoever has this receipt opens your papers: leave it to nobody.",
            )
            .to_owned(),
        ];
        lines.extend(next.map(|next| {
            let who = self.label(Label::Next);
            format!("{who}{} {}", self.pick(" :", ":"), self.next(next))
        }));
        lines
    }

    /// Unit of the pulse.
    pub fn beats_a_minute(self) -> &'static str {
        self.pick("battements/min", "beats/min")
    }

    /// A guided measurement.
    pub fn measurement(self, measurement: Measurement) -> &'static str {
        match measurement {
            Measurement::OxygenAndPulse => self.pick("Oxygène et pouls", "Oxygen and pulse"),
            Measurement::BloodPressure => self.quantity(Shown::Pressure),
            Measurement::WeightAndHeight => self.pick("Poids et taille", "Weight and height"),
            Measurement::Temperature => self.quantity(Shown::Temperature),
            Measurement::Glucose => self.quantity(Shown::Glucose),
            Measurement::Ecg => self.quantity(Shown::Ecg),
            Measurement::EarPicture => self.pick("Image de l’oreille", "Picture of the ear"),
            Measurement::SkinPicture => self.pick("Image de la peau", "Picture of the skin"),
            Measurement::Auscultation => self.quantity(Shown::Sound),
        }
    }

    /// Why a measurement was not made.
    pub fn skipped(self, reason: SkipReason) -> &'static str {
        match reason {
            SkipReason::NotWanted => self.pick("non souhaité", "not wanted"),
            SkipReason::CannotPlace => self.pick("appareil impossible à placer", "the device could not be placed"),
            SkipReason::Hurts => self.pick("cela faisait mal", "it hurt"),
            SkipReason::NoResult => self.pick("pas de résultat", "no result"),
            SkipReason::DeviceOut => self.pick("appareil indisponible", "the device was not available"),
            SkipReason::Withdrawn => self.pick("plus demandé", "no longer asked for"),
            SkipReason::BelowRange => {
                self.pick("sous ce que l’appareil peut mesurer (LO)", "below what the device can measure (LO)")
            }
            SkipReason::AboveRange => {
                self.pick("au-dessus de ce que l’appareil peut mesurer (HI)", "above what the device can measure (HI)")
            }
            SkipReason::OutOfRange => {
                self.pick("hors de ce que l’appareil peut mesurer", "outside what the device can measure")
            }
        }
    }

    /// In what part a third person was there.
    pub fn guest_role(self, role: GuestRole) -> &'static str {
        match role {
            GuestRole::Interpreter => self.pick("interprète", "interpreter"),
            GuestRole::SignInterpreter => self.pick("interprète en langue des signes", "sign language interpreter"),
            GuestRole::Specialist => self.pick("spécialiste", "specialist"),
            GuestRole::Other => self.pick("invité par le médecin", "invited by the doctor"),
        }
    }

    /// What failed.
    pub fn incident(self, kind: IncidentKind) -> &'static str {
        match kind {
            IncidentKind::NetworkLost => self.pick("Réseau perdu", "Network lost"),
            IncidentKind::CallInterrupted => self.pick("Image et son interrompus", "Picture and sound interrupted"),
            IncidentKind::WithoutPicture => {
                self.pick("Sans image pour l’essentiel de l’échange", "Without picture for the essential part")
            }
            IncidentKind::BrokenOff => self
                .pick("La téléconsultation n’a pas eu lieu en entier", "The consultation did not take place in full"),
            IncidentKind::CabinRestarted => self.pick("Redémarrage de la cabine", "The cabin restarted"),
            IncidentKind::WithoutDevice(DeviceClass::Stethoscope) => self.pick("Sans stéthoscope", "No stethoscope"),
            IncidentKind::WithoutDevice(DeviceClass::Otoscope) => self.pick("Sans otoscope", "No otoscope"),
            IncidentKind::WithoutDevice(DeviceClass::Oximeter) => self.pick("Sans oxymètre", "No oximeter"),
            IncidentKind::WithoutDevice(DeviceClass::BloodPressure) => self.pick("Sans tensiomètre", "No cuff"),
            IncidentKind::DeviceLost(Measurement::OxygenAndPulse) => {
                self.pick("Oxymètre débranché", "Oximeter unplugged")
            }
            IncidentKind::DeviceLost(Measurement::BloodPressure) => {
                self.pick("Tensiomètre débranché", "Cuff unplugged")
            }
            IncidentKind::DeviceLost(Measurement::WeightAndHeight) => {
                self.pick("Balance débranchée", "Scale unplugged")
            }
            IncidentKind::DeviceLost(Measurement::Temperature) => {
                self.pick("Thermomètre débranché", "Thermometer unplugged")
            }
            IncidentKind::DeviceLost(Measurement::Glucose) => {
                self.pick("Glucomètre débranché", "Glucose meter unplugged")
            }
            IncidentKind::DeviceLost(Measurement::EarPicture) => self.pick("Otoscope débranché", "Otoscope unplugged"),
            IncidentKind::DeviceLost(Measurement::SkinPicture) => {
                self.pick("Dermatoscope débranché", "Dermatoscope unplugged")
            }
            IncidentKind::DeviceLost(Measurement::Auscultation) => {
                self.pick("Stéthoscope débranché", "Stethoscope unplugged")
            }
            IncidentKind::DeviceLost(Measurement::Ecg) => {
                self.pick("Électrocardiographe débranché", "Electrocardiograph unplugged")
            }
        }
    }
}

/// A quantity on the sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Oxygen saturation.
    Oxygen,
    /// Pulse rate.
    Pulse,
    /// Blood pressure.
    Pressure,
    /// Weight.
    Weight,
    /// Height.
    Height,
    /// Temperature.
    Temperature,
    /// Perfusion index.
    Perfusion,
    /// Capillary glucose.
    Glucose,
    /// Electrocardiogram.
    Ecg,
    /// A picture of ear or skin.
    Picture,
    /// Sounds of heart and lungs.
    Sound,
}

/// A heading or a label of the sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Title of the sheet.
    Title,
    /// Date and time.
    Date,
    /// Who.
    Patient,
    /// Before the birth date.
    BornOn,
    /// Where.
    Where,
    /// By whom.
    Physician,
    /// The summary.
    Said,
    /// Orders.
    ToDo,
    /// Who next.
    Next,
    /// The physician's documents.
    Given,
    /// Readings.
    Measures,
    /// In place of a value.
    NotMeasured,
    /// Before a time.
    At,
    /// Mean pressure.
    Mean,
    /// A third person in the call.
    AlsoThere,
    /// Technical incidents.
    Incidents,
    /// When there was none.
    NoIncident,
    /// An incident that had not ended.
    ToTheEnd,
    /// Incidents that were only counted.
    OtherIncidents,
    /// Measurements that are in the record and not on the sheet.
    EarlierMeasures,
    /// Last line.
    NotAPrescription,
    /// Before the page number.
    Page,
}

//! Who the patient is, and how sure we are of it (RNIV; interop.md 1.1, 1.3, 1.5).

use std::fmt;

use crate::private::Private;
use crate::site::Pharmacist;
use crate::vitals::Moment;

mod birth_date;
mod matricule;
mod prefill;
mod trait_text;

pub use birth_date::{BirthDate, BirthDateRefused};
pub use matricule::{Matricule, MatriculeRefused};
pub use prefill::{Prefill, PrefillSource};
pub(crate) use trait_text::fold as fold_letter;
pub use trait_text::{NAME_CHARS_MAX, TraitText, TraitTextRefused};

/// Sex at birth, as the official traits know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sex {
    /// Female.
    Female,
    /// Male.
    Male,
    /// Not known; the national service never answers this.
    Unknown,
}

/// Code of a commune or a country in the official geographic code: `75056`, `2A004`, `99109`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CogCode([u8; 5]);

impl CogCode {
    /// Five characters: two digits, or `2A` / `2B`, then three digits. `None` when it cannot be a code at all.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; 5] = text.as_bytes().try_into().ok()?;
        let head_is_good =
            bytes[0].is_ascii_digit() && bytes[1].is_ascii_digit() || matches!(&bytes[..2], b"2A" | b"2B");
        (head_is_good && bytes[2..].iter().all(u8::is_ascii_digit)).then_some(Self(bytes))
    }

    /// The five characters.
    pub fn as_str(&self) -> &str {
        // Only ASCII passes `parse`.
        std::str::from_utf8(&self.0).unwrap_or("99999")
    }

    /// A country and not a French commune.
    pub fn is_country(&self) -> bool {
        &self.0[..2] == b"99"
    }
}

impl fmt::Debug for CogCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A birth place or a home town is the patient's.
        f.write_str("CogCode([patient])")
    }
}

/// A commune or country, by its official code and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Official code.
    pub cog: CogCode,
    /// Official name.
    pub name: Private<String>,
}

/// The five official traits, and the name used in daily life.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Traits {
    /// Family name at birth.
    pub birth_name: TraitText,
    /// All given names at birth, in order, separated by spaces.
    pub given_names: TraitText,
    /// Sex.
    pub sex: Sex,
    /// Birth date, possibly unknown in part.
    pub birth_date: BirthDate,
    /// Commune or country of birth.
    pub birth_place: Place,
    /// Family name used in daily life, when it is another one.
    pub used_name: Option<TraitText>,
}

impl std::fmt::Debug for Traits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Traits([patient])")
    }
}

impl Traits {
    /// The first given name at birth.
    pub fn first_given_name(&self) -> &str {
        self.given_names.reveal().split(' ').next().unwrap_or_default()
    }
}

/// The identity document which the pharmacist saw. Those of high trust make an identity validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IdentityDocument {
    /// Passport.
    Passport,
    /// National identity card (EU, EEA, Switzerland).
    IdentityCard,
    /// Residence permit.
    ResidencePermit,
    /// Birth certificate extract (for a child).
    BirthCertificate,
    /// Family booklet (for a child).
    FamilyBooklet,
}

/// The pharmacist compared the traits with a document.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Validation {
    /// The document seen.
    pub document: IdentityDocument,
    /// Who saw it.
    pub by: Pharmacist,
    /// When.
    pub at: Moment,
}

/// The national service's answer through a gateway. There is no gateway yet, and so no way to make one of these
/// outside this module: an identity cannot become qualified by accident.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GatewayAnswer {
    traits: Traits,
    matricule: Matricule,
}

/// A validated identity that the national service confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Qualification {
    validation: Validation,
    answer: GatewayAnswer,
}

/// How sure we are of the identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum IdentityStatus {
    /// Typed or read, compared with nothing.
    Provisional,
    /// Compared with a document of high trust.
    Validated(Validation),
    /// Validated, and confirmed by the national service.
    Qualified(Qualification),
}

/// The matricule is given out with a qualified identity only (R21).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotQualified;

impl fmt::Display for NotQualified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the identity is not qualified: the matricule stays in the cabin")
    }
}

impl std::error::Error for NotQualified {}

/// The patient's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    traits: Traits,
    matricule: Option<Matricule>,
    status: IdentityStatus,
}

impl Identity {
    /// A typed identity: provisional. Typing it again after a validation is how the status drops (R18).
    pub fn typed(traits: Traits, matricule: Option<Matricule>) -> Self {
        Self { traits, matricule, status: IdentityStatus::Provisional }
    }

    /// The pharmacist saw a document. A qualified identity stays qualified.
    pub fn validate(&mut self, validation: Validation) {
        if !matches!(self.status, IdentityStatus::Qualified(_)) {
            self.status = IdentityStatus::Validated(validation);
        }
    }

    /// The gateway confirmed the traits of a validated identity. Answers whether it now is qualified: a provisional
    /// identity is not, nor one whose traits or typed matricule are not those of the answer.
    pub fn qualify(&mut self, answer: GatewayAnswer) -> bool {
        let IdentityStatus::Validated(validation) = &self.status else { return false };
        let (ours, theirs) = (&self.traits, &answer.traits);
        let same = ours.birth_name == theirs.birth_name
            && ours.first_given_name() == theirs.first_given_name()
            && ours.sex == theirs.sex
            && ours.birth_date == theirs.birth_date
            && ours.birth_place.cog == theirs.birth_place.cog
            && self.matricule.as_ref().is_none_or(|m| *m == answer.matricule);
        if same {
            self.matricule = Some(answer.matricule.clone());
            self.status = IdentityStatus::Qualified(Qualification { validation: validation.clone(), answer });
        }
        same
    }

    /// The same traits and matricule, whatever the status.
    pub(crate) fn is_same_person_as(&self, other: &Identity) -> bool {
        self.traits == other.traits && self.matricule == other.matricule
    }

    /// The traits.
    pub fn traits(&self) -> &Traits {
        &self.traits
    }

    /// How sure we are.
    pub fn status(&self) -> &IdentityStatus {
        &self.status
    }

    /// The matricule as the patient typed it, to be shown to that patient again and to nobody else: everybody else asks
    /// [`Identity::matricule`].
    pub fn typed_matricule(&self) -> Option<&str> {
        self.matricule.as_ref().map(Matricule::reveal_for_journal)
    }

    /// Whether a matricule was typed, whatever it is.
    pub fn has_matricule(&self) -> bool {
        self.matricule.is_some()
    }

    /// The matricule to send or show, 15 characters. Refused unless the identity is qualified.
    pub fn matricule(&self) -> Result<&str, NotQualified> {
        match &self.status {
            IdentityStatus::Qualified(qualification) => Ok(qualification.answer.matricule.reveal_for_journal()),
            IdentityStatus::Provisional | IdentityStatus::Validated(_) => Err(NotQualified),
        }
    }
}

impl Qualification {
    /// The comparison with a document, made before.
    pub fn validation(&self) -> &Validation {
        &self.validation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traits() -> Traits {
        Traits {
            birth_name: TraitText::parse("Pat-Trois").unwrap(),
            given_names: TraitText::parse("Dominique Marie-Louise").unwrap(),
            sex: Sex::Female,
            birth_date: BirthDate::new(1979, Some(3), Some(28)).unwrap(),
            birth_place: Place { cog: CogCode::parse("51215").unwrap(), name: Private::new("Domptail".into()) },
            used_name: None,
        }
    }

    fn validation() -> Validation {
        let by = Pharmacist { id: "ph".into(), name: "Mme Roy".into() };
        Validation { document: IdentityDocument::Passport, by, at: Moment(1) }
    }

    #[test]
    fn the_matricule_is_given_out_only_by_a_qualified_identity() {
        let matricule = Matricule::parse("279035121518989").unwrap();
        let mut identity = Identity::typed(traits(), Some(matricule.clone()));
        assert_eq!(identity.matricule(), Err(NotQualified));
        let answer = GatewayAnswer { traits: traits(), matricule };
        assert!(!identity.qualify(answer.clone()), "a provisional identity cannot be qualified");
        identity.validate(validation());
        assert_eq!(identity.matricule(), Err(NotQualified));
        assert!(identity.qualify(answer));
        assert_eq!(identity.matricule(), Ok("279035121518989"));
    }

    #[test]
    fn a_gateway_answer_for_somebody_else_qualifies_nobody() {
        let mut identity = Identity::typed(traits(), None);
        identity.validate(validation());
        let mut other = traits();
        other.birth_name = TraitText::parse("DURAND").unwrap();
        let matricule = Matricule::parse("279035121518989").unwrap();
        assert!(!identity.qualify(GatewayAnswer { traits: other, matricule: matricule.clone() }));
        let mut typed = Identity::typed(traits(), Some(Matricule::parse("295109912611193").unwrap()));
        typed.validate(validation());
        assert!(!typed.qualify(GatewayAnswer { traits: traits(), matricule }));
        assert_eq!(typed.matricule(), Err(NotQualified));
    }

    #[test]
    fn an_identity_never_prints_itself() {
        let matricule = Matricule::parse("279035121518989").unwrap();
        let printed = format!("{:?}", Identity::typed(traits(), Some(matricule)));
        for secret in ["PAT", "DOMINIQUE", "1979", "51215", "Domptail", "279"] {
            assert!(!printed.contains(secret), "{printed}");
        }
    }

    #[test]
    fn a_cog_code_is_five_characters_with_corsica_and_the_world() {
        for good in ["75056", "2A004", "2B033", "97411", "99109"] {
            assert_eq!(CogCode::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "7505", "750566", "2C004", "A2004", "75é5", "7505A"] {
            assert!(CogCode::parse(bad).is_none(), "{bad}");
        }
        assert!(CogCode::parse("99109").unwrap().is_country());
    }
}

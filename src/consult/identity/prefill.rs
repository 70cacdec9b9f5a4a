//! What a card or a code suggests for the form of the identity: it saves typing, and proves nothing.

use std::fmt;

use super::{BirthDate, CogCode, Matricule, Sex, TraitText};

/// Where a suggestion was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrefillSource {
    /// A carte Vitale, without the national service: whoever brings it need not be its holder.
    VitaleCard,
    /// The INS code of a health document: it is not signed, anybody can draw one.
    InsCode,
}

/// What the form's fields may be filled with before the patient reads and confirms them.
///
/// It gives words for fields and nothing else: no [`Traits`](super::Traits), no [`Matricule`] and no
/// [`Identity`](super::Identity) is made of it. What the patient confirms goes the way of what a finger types,
/// [`Identity::typed`](super::Identity::typed), and is provisional: reading a card raises no status.
#[derive(Clone, PartialEq, Eq)]
pub struct Prefill {
    source: PrefillSource,
    birth_name: Option<TraitText>,
    given_names: Option<TraitText>,
    sex: Option<Sex>,
    birth_date: Option<BirthDate>,
    birth_place: Option<CogCode>,
    matricule: Option<Matricule>,
}

impl Prefill {
    /// What one holder of a carte Vitale is called. The card's number has no place here: it is the insured person's,
    /// a child's card carries a parent's, and it is never a matricule.
    pub fn of_card(
        birth_name: Option<TraitText>,
        given_names: Option<TraitText>,
        birth_date: Option<BirthDate>,
    ) -> Self {
        let source = PrefillSource::VitaleCard;
        Self { source, birth_name, given_names, sex: None, birth_date, birth_place: None, matricule: None }
    }

    /// What an INS code says. Its matricule is one to be confirmed and, as any typed one, leaves only with a qualified
    /// identity.
    pub fn of_code(
        birth_name: Option<TraitText>,
        given_names: Option<TraitText>,
        sex: Option<Sex>,
        birth_date: Option<BirthDate>,
        birth_place: Option<CogCode>,
        matricule: Option<Matricule>,
    ) -> Self {
        Self { source: PrefillSource::InsCode, birth_name, given_names, sex, birth_date, birth_place, matricule }
    }

    /// Where it was read: the screen says it beside the fields.
    pub fn source(&self) -> PrefillSource {
        self.source
    }

    /// For the field of the family name at birth. A card may print the name of daily life there: the patient looks.
    pub fn birth_name(&self) -> Option<&str> {
        self.birth_name.as_ref().map(TraitText::reveal)
    }

    /// For the field of the given names.
    pub fn given_names(&self) -> Option<&str> {
        self.given_names.as_ref().map(TraitText::reveal)
    }

    /// For the choice of the sex.
    pub fn sex(&self) -> Option<Sex> {
        self.sex
    }

    /// For the fields of the birth date: year, month and day, those that are known.
    pub fn birth_date(&self) -> Option<(u16, Option<u8>, Option<u8>)> {
        self.birth_date.map(BirthDate::parts)
    }

    /// For the choice of the birth place: its official code.
    pub fn birth_place(&self) -> Option<CogCode> {
        self.birth_place
    }

    /// For the field of the matricule, to be shown to this patient and to nobody else.
    pub fn matricule(&self) -> Option<&str> {
        self.matricule.as_ref().map(Matricule::reveal_for_journal)
    }
}

impl fmt::Debug for Prefill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefill({:?}, [patient])", self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Identity, IdentityStatus, NotQualified, Place, Traits};
    use super::*;
    use crate::private::Private;

    fn name(text: &str) -> Option<TraitText> {
        TraitText::parse(text).ok()
    }

    #[test]
    fn what_a_code_suggests_and_the_patient_confirms_is_provisional_and_keeps_its_matricule() {
        let prefill = Prefill::of_code(
            name("PAT-TROIS"),
            name("DOMINIQUE MARIE-LOUISE"),
            Some(Sex::Female),
            BirthDate::new(1979, Some(3), Some(28)).ok(),
            CogCode::parse("51215"),
            Matricule::parse("279035121518989").ok(),
        );
        // Through the form, as the cabin's drafts do.
        let (year, month, day) = prefill.birth_date().unwrap();
        let traits = Traits {
            birth_name: TraitText::parse(prefill.birth_name().unwrap()).unwrap(),
            given_names: TraitText::parse(prefill.given_names().unwrap()).unwrap(),
            sex: prefill.sex().unwrap(),
            birth_date: BirthDate::new(year, month, day).unwrap(),
            birth_place: Place { cog: prefill.birth_place().unwrap(), name: Private::new("Domptail".into()) },
            used_name: None,
        };
        let identity = Identity::typed(traits, Matricule::parse(prefill.matricule().unwrap()).ok());
        assert_eq!(identity.status(), &IdentityStatus::Provisional);
        assert_eq!(identity.matricule(), Err(NotQualified));
    }

    #[test]
    fn a_card_suggests_no_matricule_no_sex_and_no_place() {
        let prefill = Prefill::of_card(name("DUBOIS"), name("ELEONORE"), BirthDate::new(1979, None, None).ok());
        assert_eq!((prefill.matricule(), prefill.sex(), prefill.birth_place()), (None, None, None));
        assert_eq!(prefill.source(), PrefillSource::VitaleCard);
    }

    #[test]
    fn a_suggestion_never_prints_itself() {
        let prefill = Prefill::of_card(name("DUBOIS"), name("ELEONORE"), BirthDate::new(1979, None, None).ok());
        assert_eq!(format!("{prefill:?}"), "Prefill(VitaleCard, [patient])");
    }
}

//! Reason, warning signs, usual doctor, consent.

use consult::communes::Scope;
use consult::consent::{ConsentAnswer, ConsentAnswers, Decision};
use consult::dossier::{Contact, Phone, UsualDoctor};
use consult::journey::{Input, Step};
use consult::private::{Private, PrivateText};
use consult::reason::{REASON_LINE_CHARS_MAX, Reason};
use consult::triage::WarningSign;
use slint::{ComponentHandle as _, Global as _, SharedString};
use ui::{
    App, ConsentAdapter, ConsentPurpose, PlaceFound, ReasonAdapter, ReasonKind, UsualDoctorAdapter,
    WarningSignsAdapter, YesNo,
};

use super::super::list;
use super::identity::{found, search};
use crate::drafts::{DoctorPage, IdentityPage, ReasonPage};
use crate::run_loop::{Cabin, Front, Over, with};
use crate::words;

/// Longest name of a physician that is taken, characters.
const DOCTOR_CHARS_MAX: usize = 120;
/// Longest telephone number typed, spaces and all.
const PHONE_CHARS_MAX: usize = 24;

pub fn connect(app: &App) {
    let reason = app.global::<ReasonAdapter>();
    reason.on_choose_kind(|kind| with(|cabin| cabin.drafts.reason.kind = words::reason_of_screen(kind)));
    reason.on_choose_part(|part| with(|cabin| cabin.drafts.reason.part = words::part_of_screen(part)));
    reason.on_words_edited(|text| with(|cabin| cabin.drafts.reason.words = cut(&text, REASON_LINE_CHARS_MAX)));
    let weak = app.as_weak();
    reason.on_next(move || {
        let typed = weak.upgrade().map(|app| ReasonAdapter::get(&app).get_words()).unwrap_or_default();
        with(|cabin| cabin.reason_next(&typed));
    });

    app.global::<WarningSignsAdapter>().on_answer(|present| {
        with(|cabin| {
            let Some((sign, _, _)) = cabin.sign_in_front() else { return };
            if cabin.input(Input::WarningSignAnswered { sign, present }) {
                cabin.drafts.sign = cabin.sign_after(sign);
            }
        })
    });

    let doctor = app.global::<UsualDoctorAdapter>();
    doctor.on_choose_has_one(|yes| with(|cabin| cabin.drafts.doctor.has_one = Some(yes)));
    doctor.on_name_edited(|text| with(|cabin| cabin.drafts.doctor.name = cut(&text, DOCTOR_CHARS_MAX)));
    doctor.on_town_search_edited(|text| {
        with(|cabin| {
            cabin.drafts.doctor.town = None;
            cabin.drafts.doctor.towns = search(&text, Scope::Towns);
            cabin.drafts.doctor.town_search = text.into();
        })
    });
    doctor.on_choose_town(|index| {
        with(|cabin| {
            let chosen = usize::try_from(index).ok().and_then(|index| cabin.drafts.doctor.towns.get(index).cloned());
            if let Some(town) = chosen {
                cabin.drafts.doctor.town_search = town.name.clone();
                cabin.drafts.doctor.towns.clear();
                cabin.drafts.doctor.town = Some(town);
            }
        })
    });
    doctor.on_phone_edited(|text| with(|cabin| cabin.drafts.doctor.phone = cut(&text, PHONE_CHARS_MAX)));
    doctor.on_skip_phone(|| {
        with(|cabin| {
            cabin.drafts.doctor.phone.clear();
            cabin.doctor_next();
        })
    });
    doctor.on_next(|| with(Cabin::doctor_next));

    let consent = app.global::<ConsentAdapter>();
    consent.on_answer(|purpose, yes| {
        with(|cabin| {
            let place = match purpose {
                ConsentPurpose::Care => 0,
                ConsentPurpose::UsualDoctor => 1,
                ConsentPurpose::Statistics => 2,
            };
            cabin.drafts.consents[place] = Some(yes);
        })
    });
    consent.on_next(|| with(Cabin::consent_next));
}

pub fn show(app: &App, cabin: &Cabin) {
    let draft = &cabin.drafts.reason;
    let reason = app.global::<ReasonAdapter>();
    reason.set_kind(draft.kind.map_or(ReasonKind::None, words::screen_reason));
    reason.set_part(draft.part.map_or(ui::BodyPart::None, words::screen_part));
    set_text(&draft.words, || reason.get_words(), |text| reason.set_words(text));
    reason.set_words_max(i32::try_from(REASON_LINE_CHARS_MAX).unwrap_or(i32::MAX));

    if let (Step::WarningSigns, Some((sign, place, count))) = (cabin.journey.step(), cabin.sign_in_front()) {
        let signs = app.global::<WarningSignsAdapter>();
        signs.set_sign(words::screen_sign(sign));
        signs.set_count(i32::try_from(count).unwrap_or(0));
        signs.set_number(i32::try_from(place + 1).unwrap_or(1));
    }

    let draft = &cabin.drafts.doctor;
    let doctor = app.global::<UsualDoctorAdapter>();
    doctor.set_has_one(yes_no(draft.has_one));
    set_text(&draft.name, || doctor.get_name(), |text| doctor.set_name(text));
    set_text(&draft.town_search, || doctor.get_town_search(), |text| doctor.set_town_search(text));
    set_text(&draft.phone, || doctor.get_phone(), |text| doctor.set_phone(text));
    list(&doctor.get_towns(), draft.towns.iter().map(found).collect(), |rows| doctor.set_towns(rows));
    doctor.set_town(draft.town.as_ref().map(found).unwrap_or_default());
    doctor.set_phone_accepted(Phone::parse(&draft.phone).is_ok());

    let consent = app.global::<ConsentAdapter>();
    let [care, usual_doctor, statistics] = cabin.drafts.consents;
    consent.set_care(yes_no(care));
    consent.set_usual_doctor(yes_no(usual_doctor));
    consent.set_statistics(yes_no(statistics));
    consent.set_ask_usual_doctor(names_a_doctor(cabin));
    consent.set_care_version(ui::CARE_TEXT);
    consent.set_usual_doctor_version(ui::USUAL_DOCTOR_TEXT);
    consent.set_statistics_version(ui::STATISTICS_TEXT);
}

pub fn forget(app: &App) {
    app.global::<ReasonAdapter>().set_words(SharedString::default());
    let doctor = app.global::<UsualDoctorAdapter>();
    doctor.set_name(SharedString::default());
    doctor.set_town_search(SharedString::default());
    doctor.set_phone(SharedString::default());
    doctor.set_towns(slint::ModelRc::default());
    doctor.set_town(PlaceFound::default());
}

/// What is typed past the limit is not taken: the field shows what is.
pub(super) fn cut(typed: &str, chars_max: usize) -> String {
    typed.chars().take(chars_max).collect()
}

/// Sets a text only when it is another: the field keeps its cursor.
pub(super) fn set_text(wanted: &str, get: impl FnOnce() -> SharedString, set: impl FnOnce(SharedString)) {
    if get() != wanted {
        set(wanted.into());
    }
}

pub(in crate::screens) fn yes_no(answer: Option<bool>) -> YesNo {
    match answer {
        None => YesNo::Unanswered,
        Some(true) => YesNo::Yes,
        Some(false) => YesNo::No,
    }
}

fn names_a_doctor(cabin: &Cabin) -> bool {
    let contact = cabin.journey.dossier().and_then(|dossier| dossier.contact.as_ref());
    contact.is_none_or(|contact| matches!(contact.usual_doctor, UsualDoctor::Named { .. }))
}

impl Cabin {
    /// One screen back, inside a step or to the step before.
    pub fn back(&mut self) {
        match self.front {
            Front::Patient => {}
            // Never the patient's journey, which is under the pharmacist's page.
            Front::Opinions if self.opinions.read.is_some() => return self.ask_opinions(),
            Front::Opinions => return self.close_opinions(),
            _ => return,
        }
        self.hide_code();
        if self.drafts.skipping.take().is_some() {
            return;
        }
        match self.journey.step() {
            Step::Reason => match self.drafts.reason.page {
                ReasonPage::Kind => {}
                ReasonPage::Part => return self.drafts.reason.page = ReasonPage::Kind,
                ReasonPage::Words => return self.drafts.reason.page = ReasonPage::Part,
            },
            Step::Welcome => return self.leave_typed_code(),
            Step::WarningSigns => {
                if let Some(before) = self.sign_before() {
                    self.drafts.sign = Some(before);
                    return;
                }
            }
            Step::Identity => {
                if self.close_code_camera() {
                    return;
                }
                if let Some(before) = self.drafts.identity.page.before() {
                    self.drafts.identity.from_review = false;
                    self.drafts.identity.page = before;
                    return;
                }
            }
            Step::UsualDoctor => {
                let has_one = self.drafts.doctor.has_one == Some(true);
                let before = match self.drafts.doctor.page {
                    DoctorPage::HasOne => None,
                    DoctorPage::Name => Some(DoctorPage::HasOne),
                    DoctorPage::Town if has_one => Some(DoctorPage::Name),
                    DoctorPage::Town => Some(DoctorPage::HasOne),
                    DoctorPage::Phone => Some(DoctorPage::Town),
                };
                if let Some(before) = before {
                    self.drafts.doctor.page = before;
                    return;
                }
            }
            Step::WaitingRoom { .. } if self.drafts.calling_back => return self.drafts.calling_back = false,
            Step::WaitingRoom { .. } if self.drafts.opinion.is_some() => return self.opinion_back(),
            _ => {}
        }
        if self.input(Input::Back) {
            // The step before is shown from its end, where Back was touched from.
            match self.journey.step() {
                Step::Reason => self.drafts.reason.page = ReasonPage::Words,
                Step::Identity => self.drafts.identity.page = IdentityPage::Review,
                Step::UsualDoctor => self.drafts.doctor.page = DoctorPage::Phone,
                _ => {}
            }
        }
    }

    /// The signs asked for the reason, in order.
    fn signs_asked(&self) -> &'static [WarningSign] {
        let reason = self.journey.dossier().and_then(|dossier| dossier.reason.as_ref());
        reason.map_or(&[], |reason| WarningSign::asked_for(reason.kind))
    }

    /// The sign in front, its place among those asked, and how many these are: the one that the patient went back to, or
    /// the first without an answer. Whoever comes back from a later step finds the last one again: a yes still counts.
    pub(crate) fn sign_in_front(&self) -> Option<(WarningSign, usize, usize)> {
        let asked = self.signs_asked();
        let to_ask = self.journey.dossier()?.warning_signs_to_ask();
        let chosen = self.drafts.sign.filter(|sign| asked.contains(sign));
        let sign = chosen.or(to_ask.first().copied()).or(asked.last().copied())?;
        let place = asked.iter().position(|one| *one == sign)?;
        Some((sign, place, asked.len()))
    }

    fn sign_before(&self) -> Option<WarningSign> {
        let (_, place, _) = self.sign_in_front()?;
        self.signs_asked().get(place.checked_sub(1)?).copied()
    }

    /// What comes after an answer that was given once more: the next question, answered or not.
    fn sign_after(&self, sign: WarningSign) -> Option<WarningSign> {
        self.drafts.sign?;
        let asked = self.signs_asked();
        let place = asked.iter().position(|one| *one == sign)?;
        asked.get(place + 1).copied()
    }

    /// Whether Back leads somewhere.
    pub fn can_go_back(&self) -> bool {
        if self.journey.emergency().is_some() {
            return false;
        }
        if self.drafts.skipping.is_some() {
            return true;
        }
        match self.journey.step() {
            _ if self.front == Front::Opinions => true,
            Step::Reason => self.drafts.reason.page != ReasonPage::Kind || self.goes_back(),
            Step::Identity if self.drafts.identity.page.before().is_some() => true,
            Step::UsualDoctor if self.drafts.doctor.page != DoctorPage::HasOne => true,
            Step::WaitingRoom { .. } => self.drafts.calling_back || self.drafts.opinion.is_some(),
            Step::Welcome => self.drafts.coming_back.is_some(),
            _ => self.goes_back(),
        }
    }

    fn goes_back(&self) -> bool {
        self.journey.clone().apply(Input::Back, drivers::ports::system_clock()).is_ok()
    }

    fn reason_next(&mut self, typed: &str) {
        let draft = &mut self.drafts.reason;
        typed.clone_into(&mut draft.words);
        let Some(kind) = draft.kind else { return };
        match draft.page {
            ReasonPage::Kind => draft.page = ReasonPage::Part,
            ReasonPage::Part => draft.page = ReasonPage::Words,
            ReasonPage::Words => {
                // The field takes no more than the limit; a pasted text might.
                let Ok(line) = PrivateText::new(&draft.words) else { return };
                let reason = Reason { kind, body_part: draft.part, line };
                self.input(Input::ReasonGiven(reason));
            }
        }
    }

    fn doctor_next(&mut self) {
        let draft = &mut self.drafts.doctor;
        match draft.page {
            DoctorPage::HasOne => match draft.has_one {
                Some(true) => draft.page = DoctorPage::Name,
                Some(false) => draft.page = DoctorPage::Town,
                None => {}
            },
            DoctorPage::Name => draft.page = DoctorPage::Town,
            DoctorPage::Town if draft.town.is_some() => draft.page = DoctorPage::Phone,
            DoctorPage::Town => {}
            DoctorPage::Phone => self.give_contact(),
        }
    }

    fn give_contact(&mut self) {
        let draft = &self.drafts.doctor;
        let Some(town) = &draft.town else { return };
        let phone = match draft.phone.trim() {
            "" => None,
            typed => match Phone::parse(typed) {
                Ok(phone) => Some(phone),
                Err(_) => return,
            },
        };
        let usual_doctor = match (draft.has_one, PrivateText::new(&draft.name)) {
            (Some(true), Ok(name)) if !name.is_empty() => UsualDoctor::Named { name, town: PrivateText::default() },
            (Some(true), _) => UsualDoctor::Unsaid,
            _ => UsualDoctor::None,
        };
        let place = consult::identity::Place { cog: town.code, name: Private::new(town.name.clone()) };
        self.input(Input::ContactGiven(Contact { usual_doctor, town: place, phone }));
    }

    fn consent_next(&mut self) {
        let [care, usual_doctor, statistics] = self.drafts.consents;
        let answer = |given: Option<bool>, text_version: i32| ConsentAnswer {
            decision: if given == Some(true) { Decision::Given } else { Decision::Refused },
            text_version: text_version.unsigned_abs(),
        };
        // What is not asked counts as refused; what is asked must be answered.
        if care.is_none() || statistics.is_none() || (usual_doctor.is_none() && names_a_doctor(self)) {
            return;
        }
        if care == Some(false) {
            // "Stop here": without care there is no consultation. The sheet asks once more, and the way back is there.
            self.over = Over::Leave;
            return;
        }
        self.input(Input::ConsentsAnswered(ConsentAnswers {
            care: answer(care, ui::CARE_TEXT),
            usual_doctor: answer(usual_doctor, ui::USUAL_DOCTOR_TEXT),
            statistics: answer(statistics, ui::STATISTICS_TEXT),
        }));
    }
}

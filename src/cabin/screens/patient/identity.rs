//! The identity, one question a page.

use consult::communes::{self, Scope};
use consult::identity::{
    BirthDate, BirthDateRefused, MatriculeRefused, NAME_CHARS_MAX, Prefill, Sex, TraitText, TraitTextRefused,
};
use consult::journey::Input;
use drivers::fixtures::CardEvent;
use drivers::fixtures::card_vitale::CardFault;
use drivers::ports::system_clock;
use media::Frame;
use slint::{ComponentHandle as _, SharedString};
use ui::{App, BirthDateState, CardHolder, CardState, CodeState, IdentityAdapter, MatriculeState, PlaceFound, SexKind};

use super::super::list;
use super::answers::{cut, set_text};
use crate::code_camera::Looking;
use crate::drafts::{FoundPlace, IdentityDraft, IdentityPage};
use crate::run_loop::{Cabin, Over, with};
use crate::words;

/// Rows of a search that fit above the keyboard.
const PLACES_SHOWN: usize = 4;

/// Where a group begins on the card: sex, year, month, département, commune, order, key.
const MATRICULE_GROUPS: [usize; 6] = [1, 3, 5, 7, 10, 13];

pub(super) fn connect(app: &App) {
    let identity = app.global::<IdentityAdapter>();
    identity.on_type_instead(|| with(Cabin::type_instead));
    identity.on_choose_card_holder(|index| {
        with(|cabin| cabin.choose_card_holder(usize::try_from(index).unwrap_or(usize::MAX)))
    });
    identity.on_show_code(|| with(Cabin::show_code_to_camera));
    identity.on_stop_showing(|| {
        with(|cabin| {
            cabin.close_code_camera();
        })
    });
    identity.on_replace(|| with(Cabin::take_scanned));
    identity.on_keep(|| with(Cabin::keep_written));
    identity.on_birth_name_edited(|text| with(|cabin| cabin.drafts.identity.birth_name = cut(&text, NAME_CHARS_MAX)));
    identity.on_given_names_edited(|text| with(|cabin| cabin.drafts.identity.given_names = cut(&text, NAME_CHARS_MAX)));
    identity.on_choose_sex(|sex| {
        with(|cabin| {
            cabin.drafts.identity.sex = match sex {
                SexKind::Female => Some(Sex::Female),
                SexKind::Male => Some(Sex::Male),
                SexKind::None => None,
            };
        })
    });
    identity.on_birth_date_edited(|day, month, year| {
        with(|cabin| {
            let part = |value: i32| u8::try_from(value).unwrap_or(0);
            cabin.drafts.identity.birth_date = (part(day), part(month), u16::try_from(year).unwrap_or(0));
        })
    });
    identity.on_place_search_edited(|text| {
        with(|cabin| {
            cabin.drafts.identity.place = None;
            cabin.drafts.identity.places = search(&text, Scope::BirthPlaces);
            cabin.drafts.identity.place_search = text.into();
        })
    });
    identity.on_choose_place(|index| {
        with(|cabin| {
            let chosen = usize::try_from(index).ok().and_then(|index| cabin.drafts.identity.places.get(index).cloned());
            if let Some(place) = chosen {
                cabin.drafts.identity.place_search = place.name.clone();
                cabin.drafts.identity.places.clear();
                cabin.drafts.identity.place = Some(place);
            }
        })
    });
    identity.on_matricule_edited(|text| with(|cabin| cabin.drafts.identity.matricule = text.into()));
    identity.on_skip_matricule(|| {
        with(|cabin| {
            cabin.drafts.identity.matricule.clear();
            cabin.identity_next();
        })
    });
    identity.on_next(|| with(Cabin::identity_next));
    let change = |page| {
        move || {
            with(|cabin| {
                cabin.drafts.identity.page = page;
                cabin.drafts.identity.from_review = true;
            })
        }
    };
    identity.on_change_birth_name(change(IdentityPage::BirthName));
    identity.on_change_given_names(change(IdentityPage::GivenNames));
    identity.on_change_sex(change(IdentityPage::Sex));
    identity.on_change_birth_date(change(IdentityPage::BirthDate));
    identity.on_change_birth_place(change(IdentityPage::BirthPlace));
    identity.on_change_matricule(change(IdentityPage::Matricule));
}

pub(super) fn show(app: &App, cabin: &Cabin) {
    let draft = &cabin.drafts.identity;
    let identity = app.global::<IdentityAdapter>();
    card(&identity, cabin);
    code(&identity, cabin);
    set_text(&draft.birth_name, || identity.get_birth_name(), |text| identity.set_birth_name(text));
    set_text(&draft.given_names, || identity.get_given_names(), |text| identity.set_given_names(text));
    set_text(&draft.place_search, || identity.get_place_search(), |text| identity.set_place_search(text));
    set_text(&draft.matricule, || identity.get_matricule(), |text| identity.set_matricule(text));
    identity.set_matricule_shown(grouped(&draft.matricule).into());
    identity.set_birth_name_accepted(TraitText::parse(&draft.birth_name).is_ok());
    identity.set_given_names_accepted(TraitText::parse(&draft.given_names).is_ok());
    let typed = if draft.page == IdentityPage::GivenNames { &draft.given_names } else { &draft.birth_name };
    identity.set_name_refused(
        !typed.is_empty() && !matches!(TraitText::parse(typed), Ok(_) | Err(TraitTextRefused::Empty)),
    );
    identity.set_sex(words::screen_sex(draft.sex));
    let (day, month, year) = draft.birth_date;
    identity.set_birth_date(ui::BirthDate { day: day.into(), month: month.into(), year: year.into() });
    identity.set_birth_date_state(date_state(draft));
    list(&identity.get_places(), draft.places.iter().map(found).collect(), |rows| identity.set_places(rows));
    identity.set_place(draft.place.as_ref().map(found).unwrap_or_default());
    identity.set_matricule_state(match draft.checked_matricule() {
        Ok(None) => MatriculeState::Empty,
        Ok(Some(_)) => MatriculeState::Good,
        Err(MatriculeRefused::Length(length)) if length < 15 => MatriculeState::Incomplete,
        Err(MatriculeRefused::Key) => MatriculeState::WrongKey,
        Err(_) => MatriculeState::WrongForm,
    });
}

pub(super) fn forget(app: &App) {
    let identity = app.global::<IdentityAdapter>();
    identity.set_card_holders(slint::ModelRc::default());
    identity.set_scanned(CardHolder::default());
    show_picture(app, None);
    identity.set_birth_name(SharedString::default());
    identity.set_given_names(SharedString::default());
    identity.set_place_search(SharedString::default());
    identity.set_matricule(SharedString::default());
    identity.set_matricule_shown(SharedString::default());
    identity.set_places(slint::ModelRc::default());
    identity.set_place(PlaceFound::default());
    identity.set_birth_date(ui::BirthDate::default());
    identity.set_sex(SexKind::None);
}

/// How far the reading of the card is, and those whom it covers.
fn card(identity: &IdentityAdapter<'_>, cabin: &Cabin) {
    let said = cabin.drafts.identity.card.said.as_ref();
    identity.set_card(match said {
        None | Some(CardEvent::Insert { .. } | CardEvent::Removed | CardEvent::Fault(CardFault::NoCard)) => {
            CardState::Insert
        }
        Some(CardEvent::TakeOut) => CardState::TakeOut,
        Some(CardEvent::Reading) => CardState::Reading,
        Some(CardEvent::Read(_)) => CardState::Chosen,
        Some(CardEvent::Fault(CardFault::Pulled)) => CardState::Pulled,
        Some(CardEvent::Fault(CardFault::Mute | CardFault::Garbled)) => CardState::Turn,
        Some(CardEvent::Fault(CardFault::Professional | CardFault::FirstVitale | CardFault::Foreign)) => {
            CardState::OtherCard
        }
        Some(CardEvent::Fault(_)) => CardState::OutOfOrder,
    });
    let holders = match said {
        Some(CardEvent::Read(holders)) => holders.as_slice(),
        _ => &[],
    };
    let rows = holders.iter().map(|holder| person(&holder.prefill)).collect();
    list(&identity.get_card_holders(), rows, |rows| identity.set_card_holders(rows));
}

/// What a scanner or a camera read of a document.
fn code(identity: &IdentityAdapter<'_>, cabin: &Cabin) {
    identity.set_scanned(cabin.drafts.identity.scanned.as_ref().map(person).unwrap_or_default());
    identity.set_card_reader_present(cabin.fixtures.card_reader().is_some());
    identity.set_scanner_present(cabin.settings.fixtures.scanner.is_some());
    identity.set_code_camera_present(cabin.settings.code_camera.is_some());
    let draft = &cabin.drafts.identity;
    identity.set_code_unseen(draft.code_unseen);
    identity.set_code_state(match (cabin.code_camera.as_ref().map(|camera| camera.looking), draft.code_trouble) {
        (None | Some(Looking::Opening), _) => CodeState::Opening,
        (Some(Looking::Gone), _) => CodeState::Gone,
        (Some(Looking::Open), None) => CodeState::Looking,
        (Some(Looking::Open), Some(trouble)) => {
            identity.set_code_trouble(trouble);
            CodeState::Refused
        }
    });
    if let Over::CodeRefused(trouble) = cabin.over {
        identity.set_code_trouble(trouble);
    }
}

/// What the camera sees to which a code is shown.
pub fn show_picture(app: &App, frame: Option<&Frame>) {
    let identity = app.global::<IdentityAdapter>();
    identity.set_code_picture_present(frame.is_some());
    identity.set_code_picture(super::image(frame, slint::Image::default()));
}

/// Whom a card or a code names.
fn person(prefill: &Prefill) -> CardHolder {
    let (year, month, day) = prefill.birth_date().unwrap_or_default();
    let names = [prefill.birth_name(), prefill.given_names()];
    CardHolder {
        name: names.into_iter().flatten().collect::<Vec<_>>().join(" ").into(),
        birth_date: ui::BirthDate { day: day.unwrap_or(0).into(), month: month.unwrap_or(0).into(), year: year.into() },
    }
}

/// The places of the official list that fit what is typed, best first.
pub(super) fn search(typed: &str, scope: Scope) -> Vec<FoundPlace> {
    communes::search(typed, scope, PLACES_SHOWN).iter().map(FoundPlace::of_list).collect()
}

pub(super) fn found(place: &FoundPlace) -> PlaceFound {
    PlaceFound {
        code: place.code.as_str().into(),
        // The list's apostrophe is a typewriter's.
        name: place.name.replace('\'', "’").into(),
        detail: place.detail.replace('\'', "’").into(),
    }
}

/// A matricule as the card prints it, in groups that can be compared: `2 79 03 51 215 189 89`.
fn grouped(matricule: &str) -> String {
    let mut shown = String::with_capacity(matricule.len() + MATRICULE_GROUPS.len());
    for (place, letter) in matricule.chars().filter(|letter| !letter.is_whitespace()).enumerate() {
        if MATRICULE_GROUPS.contains(&place) {
            // A line is never broken inside a number.
            shown.push('\u{a0}');
        }
        shown.push(letter);
    }
    shown
}

fn date_state(draft: &IdentityDraft) -> BirthDateState {
    let (day, month, year) = draft.birth_date;
    if day == 0 || month == 0 || year < 1_000 {
        return BirthDateState::Incomplete;
    }
    match BirthDate::new(year, Some(month), Some(day)) {
        Ok(date) if date.is_after(system_clock()) => BirthDateState::Future,
        Ok(_) => BirthDateState::Good,
        Err(BirthDateRefused::Year | _) => BirthDateState::Impossible,
    }
}

impl Cabin {
    fn identity_next(&mut self) {
        let now = system_clock();
        let draft = &mut self.drafts.identity;
        let answered = match draft.page {
            IdentityPage::BirthName => TraitText::parse(&draft.birth_name).is_ok(),
            IdentityPage::GivenNames => TraitText::parse(&draft.given_names).is_ok(),
            IdentityPage::Sex => draft.sex.is_some(),
            IdentityPage::BirthDate => date_state(draft) == BirthDateState::Good,
            IdentityPage::BirthPlace => draft.place.is_some(),
            IdentityPage::Matricule => draft.checked_matricule().is_ok(),
            IdentityPage::Review => true,
        };
        if !answered {
            return;
        }
        if draft.page != IdentityPage::Review {
            draft.page = if draft.from_review { IdentityPage::Review } else { draft.page.next() };
            draft.from_review = false;
            return;
        }
        if let (Some(traits), Ok(matricule)) = (draft.traits(now), draft.checked_matricule()) {
            self.input(Input::IdentityGiven { traits, matricule });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn a_matricule_is_shown_as_the_card_prints_it_however_it_was_typed() {
        let card = "2\u{a0}79\u{a0}03\u{a0}51\u{a0}215\u{a0}189\u{a0}89";
        assert_eq!(grouped("279035121518989"), card);
        assert_eq!(grouped("2 79 03 51 215 189 89"), card);
        assert_eq!(grouped(""), "");
    }
}

//! The code to come back with, and where it is typed afterwards.

use consult::journey::{Input, Step};
use slint::{ComponentHandle as _, SharedString};
use ui::{App, ComeBackAdapter, ComeBackTrouble, WaitingRoomAdapter, WelcomeAdapter};

use super::answers::{cut, set_text};
use crate::run_loop::{Cabin, with};
use crate::words;

/// A ninth digit is not taken.
const CODE_DIGITS: usize = 8;
/// Day, month and year, with something between.
const DATE_CHARS_MAX: usize = 10;

pub(super) fn connect(app: &App) {
    app.global::<WaitingRoomAdapter>().on_come_back(|| with(Cabin::ask_come_back));
    app.global::<WelcomeAdapter>().on_come_back(|| with(Cabin::type_code));
    let adapter = app.global::<ComeBackAdapter>();
    adapter.on_noted(|| {
        with(|cabin| {
            cabin.input(Input::Continued);
        })
    });
    adapter.on_code_edited(|text| {
        with(|cabin| {
            if let Some(typed) = &mut cabin.drafts.coming_back {
                cut(&text, CODE_DIGITS).clone_into(&mut typed.code);
                typed.edited();
            }
        })
    });
    adapter.on_birth_date_edited(|text| {
        with(|cabin| {
            if let Some(typed) = &mut cabin.drafts.coming_back {
                cut(&text, DATE_CHARS_MAX).clone_into(&mut typed.birth_date);
                typed.edited();
            }
        })
    });
    adapter.on_open(|| with(Cabin::open_parked));
}

pub(super) fn show(app: &App, cabin: &Cabin) {
    app.global::<WelcomeAdapter>().set_come_back_possible(cabin.awaits_somebody());
    let adapter = app.global::<ComeBackAdapter>();
    if let Some(come_back) = cabin.journey.dossier().and_then(|dossier| dossier.come_back.as_ref()) {
        let (first, second) = come_back.code.reveal().split_at(4);
        adapter.set_code(SharedString::from(format!("{first} {second}")));
        let spaced = |digits: &str| digits.chars().map(String::from).collect::<Vec<_>>().join(" ");
        adapter.set_spoken_code(SharedString::from(format!("{}, {}", spaced(first), spaced(second))));
        adapter.set_storing(*cabin.journey.step() != Step::ComeBack);
        adapter.set_until_day(words::screen_date(come_back.until));
        adapter.set_until(words::screen_time(come_back.until));
    }
    match &cabin.drafts.coming_back {
        Some(typed) => {
            set_text(&typed.code, || adapter.get_typed_code(), |text| adapter.set_typed_code(text));
            set_text(&typed.birth_date, || adapter.get_typed_birth_date(), |text| adapter.set_typed_birth_date(text));
            adapter.set_complete(typed.complete().is_some());
            adapter.set_trouble(typed.shown_trouble());
        }
        None => forget_typed(app),
    }
}

fn forget_typed(app: &App) {
    let adapter = app.global::<ComeBackAdapter>();
    adapter.set_typed_code(SharedString::default());
    adapter.set_typed_birth_date(SharedString::default());
    adapter.set_complete(false);
    adapter.set_trouble(ComeBackTrouble::None);
}

pub(super) fn forget(app: &App) {
    forget_typed(app);
    app.global::<ComeBackAdapter>().set_code(SharedString::default());
    app.global::<ComeBackAdapter>().set_spoken_code(SharedString::default());
}

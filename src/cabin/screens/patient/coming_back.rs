//! The code to come back with, and where it is typed afterwards.

use consult::journey::Input;
use slint::{ComponentHandle as _, SharedString};
use ui::{App, ComeBackAdapter, ComeBackTrouble, WaitingRoomAdapter, WelcomeAdapter};

use crate::run_loop::{Cabin, with};
use crate::words;

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
                text.as_str().clone_into(&mut typed.code);
                typed.edited();
            }
        })
    });
    adapter.on_birth_date_edited(|text| {
        with(|cabin| {
            if let Some(typed) = &mut cabin.drafts.coming_back {
                text.as_str().clone_into(&mut typed.birth_date);
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
        adapter.set_until_day(words::screen_date(come_back.until));
        adapter.set_until(words::screen_time(come_back.until));
    }
    match &cabin.drafts.coming_back {
        Some(typed) => {
            adapter.set_typed_code(typed.code.as_str().into());
            adapter.set_typed_birth_date(typed.birth_date.as_str().into());
            adapter.set_complete(typed.complete().is_some());
            adapter.set_trouble(typed.trouble);
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
}

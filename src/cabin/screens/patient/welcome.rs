//! Closed, welcome, emergency, and what lies over any screen: help, leaving, inactivity, answers that are not kept.

use consult::journey::{Emergency, Help, Input};
use consult::triage::WarningSign;
use slint::ComponentHandle as _;
use ui::{
    App, ClosedAdapter, EmergencyAdapter, HelpAdapter, InactivityAdapter, LeaveAdapter, NotKeptAdapter, WelcomeAdapter,
};

use super::super::desk_reach;
use crate::run_loop::{Cabin, Over, with};

pub fn connect(app: &App) {
    app.global::<ClosedAdapter>().on_sign_in(|| with(Cabin::open_sign_in));
    app.global::<WelcomeAdapter>().on_start(|| with(Cabin::begin));

    let emergency = app.global::<EmergencyAdapter>();
    emergency.on_back(|| {
        with(|cabin| {
            cabin.input(Input::EmergencyClosed);
        })
    });
    emergency.on_end(|| {
        with(|cabin| {
            cabin.input(Input::Left);
        })
    });

    let help = app.global::<HelpAdapter>();
    help.on_close(|| with(|cabin| cabin.help_hidden = true));
    help.on_call_again(|| {
        with(|cabin| {
            cabin.input(Input::HelpAsked);
        })
    });
    help.on_arrived(|| with(Cabin::help_arrived));

    let leave = app.global::<LeaveAdapter>();
    leave.on_stay(|| with(|cabin| cabin.over = Over::Nothing));
    leave.on_leave(|| {
        with(|cabin| match std::mem::replace(&mut cabin.over, Over::Nothing) {
            Over::Close => cabin.close_cabin(),
            Over::HangUp => drop(cabin.input(Input::HungUp)),
            _ => cabin.leave_for_good(),
        })
    });

    let not_kept = app.global::<NotKeptAdapter>();
    not_kept.on_retry(|| with(|cabin| cabin.outbox_failed = false));

    let inactivity = app.global::<InactivityAdapter>();
    inactivity.on_more_time(|| {
        with(|cabin| {
            cabin.input(Input::MoreTime);
        })
    });
    inactivity.on_leave(|| {
        with(|cabin| {
            cabin.input(Input::MoreTime);
            cabin.leave_for_good();
        })
    });
}

pub fn show(app: &App, cabin: &Cabin) {
    let site = cabin.journey.site();
    let closed = app.global::<ClosedAdapter>();
    closed.set_site_name(site.name.as_str().into());
    closed.set_site_address(site.address.as_str().into());

    app.global::<WelcomeAdapter>().set_desk(desk_reach(cabin));
    let not_kept = app.global::<NotKeptAdapter>();
    not_kept.set_consultation_open(cabin.journey.dossier().is_some());
    not_kept.set_lost(cabin.is_lost());

    let emergency = app.global::<EmergencyAdapter>();
    emergency.set_site_name(site.name.as_str().into());
    emergency.set_site_address(site.address.as_str().into());
    let shown = cabin.journey.emergency();
    emergency.set_after_warning_sign(matches!(shown, Some(Emergency::Sign(_))));
    emergency.set_about_suicide(matches!(shown, Some(Emergency::Sign(WarningSign::SuicidalThoughts))));
    emergency.set_pharmacist_called(!matches!(cabin.journey.help(), Help::NotAsked));
    if let Help::Answered { by } = cabin.journey.help() {
        emergency.set_pharmacist_coming(true);
        emergency.set_pharmacist_name(by.name.as_str().into());
    } else {
        emergency.set_pharmacist_coming(false);
    }

    app.global::<InactivityAdapter>().set_seconds_left(cabin.seconds_left());
}

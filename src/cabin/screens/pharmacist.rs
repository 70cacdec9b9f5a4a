//! The pharmacist's screens: sign-in, space, identity check.

use consult::consent::Purpose;
use consult::identity::{IdentityStatus, Validation};
use consult::journey::{Act, Emergency, Help, Input, Step};
use consult::vitals::{Measurement, Moment};
use drivers::ports::fixtures::PrinterFault;
use drivers::ports::system_clock;
use slint::{ComponentHandle as _, SharedString};
use ui::{
    App, CheckMeasure, DeviceRow, DeviceState, EquipmentState, FixtureKind, IdentityCheckAdapter, IdentityDocument,
    MeasureState, MorningCheckAdapter, PharmacistName, PrinterState, RecordTrouble, SignInAdapter, SignInState,
    SpaceAdapter,
};

use super::patient::{device_fault, yes_no};
use super::{desk_reach, list};
use crate::devices::{Device, Health};
use crate::documents::print::PrintFault;
use crate::equipment;
use crate::run_loop::{Cabin, Front, Over, with};
use crate::words;

/// Fewest digits of a PIN that may be tried.
const PIN_DIGITS_MIN: i32 = 6;

pub fn connect(app: &App) {
    let sign_in = app.global::<SignInAdapter>();
    sign_in.on_choose(|index| {
        with(|cabin| {
            if let Ok(index) = usize::try_from(index) {
                cabin.choose_pharmacist(index);
            }
        })
    });
    sign_in.on_digit(|digit| {
        with(|cabin| {
            if let Ok(digit) = u8::try_from(digit) {
                cabin.type_digit(digit);
            }
        })
    });
    sign_in.on_erase(|| with(Cabin::erase_digit));
    sign_in.on_confirm(|| with(Cabin::confirm_pin));
    sign_in.on_cancel(|| with(|cabin| cabin.front = Front::Patient));

    let space = app.global::<SpaceAdapter>();
    space.on_measure_for_patient(|_| {
        with(|cabin| {
            // Refused only where the pharmacist helps already.
            cabin.input(Input::AssistanceStarted);
            cabin.front = Front::Patient;
        })
    });
    space.on_call_back(|| {
        with(|cabin| {
            // Refused only where the pharmacist helps already.
            cabin.input(Input::AssistanceStarted);
            cabin.drafts.calling_back = true;
            cabin.front = Front::Patient;
        })
    });
    space.on_come_back(|| {
        with(|cabin| {
            // Refused only where the pharmacist helps already.
            cabin.input(Input::AssistanceStarted);
            cabin.ask_come_back();
            cabin.front = Front::Patient;
        })
    });
    space.on_ask_opinion(|| with(Cabin::begin_opinion));
    space.on_ask_guest(|| with(Cabin::ask_for_guest));
    space.on_opinions(|| with(Cabin::ask_opinions));
    space.on_arrived(|| with(Cabin::help_arrived));
    space.on_emergency_cleared(|| {
        with(|cabin| {
            if cabin.input(Input::EmergencyCleared) {
                cabin.help_arrived();
                cabin.front = Front::Patient;
            }
        })
    });
    space.on_emergency_handed_over(|| {
        with(|cabin| {
            cabin.help_arrived();
            if cabin.input(Input::EmergencyHandedOver) {
                cabin.front = Front::Patient;
            }
        })
    });
    space.on_check_identity(|| {
        with(|cabin| {
            cabin.drafts.document = None;
            cabin.front = Front::IdentityCheck;
        })
    });
    space.on_cleaning_done(|| {
        with(|cabin| {
            if cabin.input(Input::Cleaned) {
                cabin.drafts.cleaned = Default::default();
                // Who wiped, behind a PIN, was there: the call for help of who has gone is answered. The same touch on
                // the patient's screen is anybody's, and answers nothing.
                cabin.help_arrived();
            }
        })
    });
    space.on_print_again(|| {
        with(|cabin| {
            cabin.input(Input::PrintAsked);
        })
    });
    space.on_technician(|| with(|cabin| cabin.front = Front::Technician));
    space.on_lock(|| with(|cabin| cabin.front = Front::Patient));
    space.on_close_cabin(|| with(|cabin| cabin.over = Over::Close));

    let morning = app.global::<MorningCheckAdapter>();
    morning.on_open(|| with(Cabin::open_after_check));
    morning.on_stay_closed(|| with(Cabin::stay_closed));
    morning.on_check_again(|| with(|cabin| cabin.ask_equipment(false)));

    let check = app.global::<IdentityCheckAdapter>();
    check.on_choose(|document| with(|cabin| cabin.drafts.document = words::document_of_screen(document)));
    check.on_confirm(|| {
        with(|cabin| {
            if let Some(document) = cabin.drafts.document
                && cabin.input(Input::IdentityChecked(document))
            {
                cabin.front = Front::Space;
            }
        })
    });
    check.on_cancel(|| with(|cabin| cabin.front = Front::Space));
}

pub fn show(app: &App, cabin: &Cabin) {
    match cabin.front {
        Front::SignIn => sign_in(app, cabin),
        Front::Space => space(app, cabin),
        Front::IdentityCheck => identity_check(app, cabin),
        Front::MorningCheck => morning_check(app, cabin),
        Front::Patient | Front::Technician | Front::Binding | Front::Opinions => {}
    }
}

pub fn forget(app: &App) {
    let check = app.global::<IdentityCheckAdapter>();
    check.set_birth_name(SharedString::default());
    check.set_given_names(SharedString::default());
    check.set_birth_place(SharedString::default());
    check.set_birth_date(ui::BirthDate::default());
    app.global::<SpaceAdapter>().set_measures(slint::ModelRc::default());
}

fn morning_check(app: &App, cabin: &Cabin) {
    let adapter = app.global::<MorningCheckAdapter>();
    let checking = cabin.is_checking();
    let rows = equipment::rows(&cabin.settings.compulsory, &cabin.devices, &cabin.instruments, checking);
    adapter.set_checking(checking);
    adapter.set_others_silent(i32::try_from(cabin.others_silent()).unwrap_or(i32::MAX));
    adapter.set_record_trouble(record_trouble(cabin.outbox_status.as_ref()));
    adapter.set_complete(rows.iter().all(|row| row.state == EquipmentState::Answers));
    list(&adapter.get_rows(), rows, |rows| adapter.set_rows(rows));
}

fn sign_in(app: &App, cabin: &Cabin) {
    let adapter = app.global::<SignInAdapter>();
    let names = cabin.settings.pharmacists.iter();
    let names = names.map(|pharmacist| PharmacistName { name: pharmacist.name.as_str().into() }).collect();
    list(&adapter.get_names(), names, |rows| adapter.set_names(rows));
    let draft = &cabin.sign_in;
    let wait_ms = draft.wait_ms();
    adapter.set_chosen(draft.chosen.map_or(-1, |index| i32::try_from(index).unwrap_or(-1)));
    adapter.set_digits(i32::try_from(draft.digits.len()).unwrap_or(0));
    adapter.set_digits_min(PIN_DIGITS_MIN);
    adapter.set_wait_seconds(i32::try_from(wait_ms.div_ceil(1_000)).unwrap_or(i32::MAX));
    adapter.set_state(if draft.chosen.is_none() {
        SignInState::ChooseName
    } else if draft.checking {
        SignInState::Checking
    } else if wait_ms > 0 {
        SignInState::Wait
    } else if draft.wrong {
        SignInState::WrongPin
    } else {
        SignInState::EnterPin
    });
}

fn space(app: &App, cabin: &Cabin) {
    let adapter = app.global::<SpaceAdapter>();
    let name = cabin.journey.pharmacist().map(|pharmacist| pharmacist.name.as_str()).unwrap_or_default();
    adapter.set_pharmacist_name(name.into());
    adapter.set_help_asked(!matches!(cabin.journey.help(), Help::NotAsked));
    adapter.set_emergency(cabin.journey.emergency().is_some());
    adapter.set_emergency_sign(matches!(cabin.journey.emergency(), Some(Emergency::Sign(_))));
    if let Some(Emergency::Sign(sign)) = cabin.journey.emergency() {
        adapter.set_sign(words::screen_sign(sign));
    }
    let papers = matches!(cabin.journey.step(), Step::Documents { .. });
    adapter.set_print_possible(papers && cabin.may_print());
    adapter.set_close_possible(matches!(cabin.journey.step(), Step::Welcome));
    adapter.set_cleaning_due(matches!(cabin.journey.step(), Step::Cleaning));
    adapter.set_waiting_for_physician(matches!(cabin.journey.step(), Step::WaitingRoom { .. }));
    adapter.set_in_call(matches!(cabin.journey.step(), Step::Call { .. }));
    adapter.set_guest_asked(cabin.drafts.guest_asked);
    adapter.set_guest_present(cabin.journey.dossier().is_some_and(|dossier| dossier.guest().is_some()));
    adapter.set_consultation_running(cabin.journey.dossier().is_some());
    if let Some(dossier) = cabin.journey.dossier() {
        adapter.set_arrived_at(words::screen_time(dossier.started_at));
        adapter.set_identity_entered(dossier.identity.is_some());
        let validation = dossier.identity.as_ref().and_then(|identity| match identity.status() {
            IdentityStatus::Validated(validation) => Some(validation),
            IdentityStatus::Provisional | IdentityStatus::Qualified(_) => None,
        });
        adapter.set_document(validation.map_or(IdentityDocument::None, |seen| words::screen_document(seen.document)));
        if let Some(Validation { at, .. }) = validation {
            adapter.set_document_seen_at(words::screen_time(*at));
        }
        let consent = |purpose| yes_no(dossier.consents.last().map(|consents| consents.is_given(purpose)));
        adapter.set_consent_care(consent(Purpose::Care));
        adapter.set_consent_usual_doctor(consent(Purpose::UsualDoctor));
        adapter.set_consent_statistics(consent(Purpose::Statistics));
        let measures = cabin.journey.proposed_measurements().into_iter().map(|measurement| check(cabin, measurement));
        list(&adapter.get_measures(), measures.collect(), |rows| adapter.set_measures(rows));
    }
    let today = cabin.day.counts(system_clock());
    adapter.set_consultations_today(count(today.consultations));
    adapter.set_mean_minutes(count(today.minutes.checked_div(today.consultations).unwrap_or(0)));
    adapter.set_helps_today(count(today.helps));
    adapter.set_call_backs_today(count(today.call_backs));
    adapter.set_call_back_possible(cabin.may_be_called_back());
    adapter.set_come_back_possible(cabin.may_come_back());
    adapter.set_opinion_possible(cabin.may_ask_opinion());
    adapter.set_replies_unsent(i32::try_from(cabin.replies.unsent()).unwrap_or(i32::MAX));
    let row = |measurement, health: &Health| DeviceRow {
        kind: words::screen_measure(measurement),
        fixture: FixtureKind::None,
        state: device_state(health),
        fault: device_fault(health),
    };
    let devices = cabin.devices.iter().map(|device| row(device.model.measurement, said_health(device)));
    let seeing = cabin.instruments.iter().map(|instrument| {
        let health = if instrument.trouble.is_empty() { &instrument.health } else { &Health::AtFault };
        row(instrument.setting.measurement, health)
    });
    let fixtures = cabin.fixture_health.iter().map(|(key, health)| DeviceRow {
        fixture: words::screen_fixture(key),
        // Of no measurement: the row shows the fixture's name.
        ..row(Measurement::Temperature, health)
    });
    list(&adapter.get_devices(), devices.chain(seeing).chain(fixtures).collect(), |rows| adapter.set_devices(rows));
    let is_fitted = cabin.settings.printer.is_some() || cabin.settings.receipt_printer.is_some();
    adapter.set_printer(printer_state(is_fitted, cabin.print_fault.as_ref(), cabin.receipt_paper_low));
    adapter.set_desk(desk_reach(cabin));
    records(&adapter, cabin.outbox_status.as_ref());
}

/// What is most pressing about the keeping of records; an outbox that does not answer is.
fn record_trouble(status: Option<&outbox::Status>) -> RecordTrouble {
    let Some(status) = status else { return RecordTrouble::Silent };
    status.faults.first().map_or(RecordTrouble::None, |fault| words::screen_trouble(fault.code))
}

fn records(adapter: &SpaceAdapter, status: Option<&outbox::Status>) {
    adapter.set_records_known(status.is_some());
    let Some(status) = status else { return adapter.set_record_trouble(record_trouble(None)) };
    adapter.set_record_trouble(record_trouble(Some(status)));
    adapter.set_to_come_back(count(status.parked));
    adapter.set_records_waiting(count(status.waiting));
    adapter.set_records_set_aside(count(status.set_aside));
    adapter.set_last_receipt_known(status.last_receipt_at.is_some());
    if let Some(seconds) = status.last_receipt_at {
        adapter.set_last_receipt_at(words::screen_time(Moment(seconds.saturating_mul(1_000))));
    }
}

pub(super) fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn check(cabin: &Cabin, measurement: Measurement) -> CheckMeasure {
    let dossier = cabin.journey.dossier();
    let kept = dossier.and_then(|dossier| dossier.last_kept(measurement));
    let skipped =
        dossier.is_some_and(|dossier| dossier.skipped.iter().any(|skipped| skipped.measurement == measurement));
    let running = cabin
        .guided()
        .is_some_and(|guided| guided.measurement == measurement && !matches!(guided.act, Act::Review { .. }));
    let state = match (kept, running, skipped) {
        (Some(_), ..) => MeasureState::Done,
        (None, true, _) => MeasureState::Running,
        (None, false, true) => MeasureState::Skipped,
        (None, false, false) => MeasureState::ToDo,
    };
    let figures = kept.map(|kept| words::screen_figures(kept.readings.iter().map(|reading| &reading.value)));
    let figures = slint::ModelRc::new(slint::VecModel::from(figures.unwrap_or_default()));
    CheckMeasure { kind: words::screen_measure(measurement), state, figures }
}

/// What a hand can do for the printer.
fn printer_state(is_fitted: bool, fault: Option<&PrintFault>, paper_low: bool) -> PrinterState {
    match fault {
        _ if !is_fitted => PrinterState::Absent,
        None if paper_low => PrinterState::PaperLow,
        None => PrinterState::Ready,
        Some(PrintFault::Receipt(PrinterFault::NotReady(status))) if status.cover_open => PrinterState::CoverOpen,
        Some(PrintFault::Receipt(PrinterFault::NotReady(status))) if status.paper_out => PrinterState::PaperOut,
        Some(
            PrintFault::Receipt(PrinterFault::NotReady(_) | PrinterFault::Stuck | PrinterFault::Refused { .. })
            | PrintFault::Refused { .. }
            | PrintFault::NotPdf { .. }
            | PrintFault::Stopped { .. }
            | PrintFault::Document { .. },
        ) => PrinterState::Fault,
        Some(
            PrintFault::Receipt(PrinterFault::Missing(_) | PrinterFault::Gone)
            | PrintFault::Missing { .. }
            | PrintFault::Address { .. },
        ) => PrinterState::Absent,
    }
}

/// How a device is, by what it says and by whether it answered when it was asked.
pub(super) fn said_health(device: &Device) -> &Health {
    if device.health == Health::Ready && !device.answers() { &Health::Silent } else { &device.health }
}

pub(super) fn device_state(health: &Health) -> DeviceState {
    match health {
        Health::Ready => DeviceState::Ready,
        Health::Unknown | Health::Unplugged | Health::Refused(_) => DeviceState::Absent,
        Health::Silent | Health::Garbled | Health::AtFault => DeviceState::Fault,
    }
}

fn identity_check(app: &App, cabin: &Cabin) {
    let adapter = app.global::<IdentityCheckAdapter>();
    adapter.set_document(cabin.drafts.document.map_or(IdentityDocument::None, words::screen_document));
    let Some(identity) = cabin.journey.dossier().and_then(|dossier| dossier.identity.as_ref()) else { return };
    let traits = identity.traits();
    adapter.set_birth_name(traits.birth_name.reveal().into());
    adapter.set_given_names(traits.given_names.reveal().into());
    adapter.set_sex(words::screen_sex(Some(traits.sex)));
    let (year, month, day) = traits.birth_date.official();
    adapter.set_birth_date(ui::BirthDate { day: day.into(), month: month.into(), year: year.into() });
    adapter.set_birth_place(traits.birth_place.name.reveal().as_str().into());
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use drivers::fixtures::printer_escpos::PrinterStatus;
    use drivers::ports::fixtures::PrinterAddress;

    use super::*;

    #[test]
    fn the_pharmacist_reads_what_the_printer_of_receipts_lacks() {
        let not_ready = |status| Some(PrintFault::from(PrinterFault::NotReady(status)));
        let good = PrinterStatus::default();
        let offline = PrinterStatus { offline: true, ..good };
        let missing = PrinterFault::Missing(PrinterAddress::File(PathBuf::from("/dev/usb/lp0")));
        for (fault, low, state) in [
            (None, false, PrinterState::Ready),
            (None, true, PrinterState::PaperLow),
            (not_ready(PrinterStatus { paper_out: true, ..offline }), true, PrinterState::PaperOut),
            (not_ready(PrinterStatus { cover_open: true, paper_out: true, ..offline }), false, PrinterState::CoverOpen),
            (not_ready(PrinterStatus { cutter_jammed: true, ..good }), false, PrinterState::Fault),
            (not_ready(offline), false, PrinterState::Fault),
            (Some(PrinterFault::Stuck.into()), false, PrinterState::Fault),
            (Some(PrinterFault::Gone.into()), false, PrinterState::Absent),
            (Some(missing.into()), false, PrinterState::Absent),
        ] {
            assert_eq!(printer_state(true, fault.as_ref(), low), state, "{fault:?}");
            assert_eq!(printer_state(false, fault.as_ref(), low), PrinterState::Absent, "{fault:?}");
        }
    }
}

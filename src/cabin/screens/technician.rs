//! The technician's screen: every part and its state at a glance.

use drivers::fixtures::door_contact::Door;
use drivers::fixtures::presence_ld2410::Presence;
use drivers::probe::Probed;
use slint::{ComponentHandle as _, ModelRc, VecModel};
use ui::{
    App, BindingAdapter, BindingState, BindingTrouble, DeviceLine, DeviceRemedy, DeviceState, DoorState, FixtureLine,
    MediaSource, MediaState, ModelRow, PluggedRow, PresenceState, RecordLine, TechnicianAdapter, TrialAnswer,
};

use super::patient::{curve, device_fault};
use super::pharmacist::{count, device_state, said_health};
use super::{desk_reach, list};
use crate::devices::Health;
use crate::run_loop::{BindingTroubleKind as Trouble, Cabin, Front, with};
use crate::words;

pub fn connect(app: &App) {
    app.global::<TechnicianAdapter>().on_back(|| with(|cabin| cabin.front = Front::Space));
    app.global::<TechnicianAdapter>().on_bind(|| with(Cabin::open_binding));
    let binding = app.global::<BindingAdapter>();
    binding.on_look(|| with(Cabin::look_for_devices));
    binding.on_back(|| with(Cabin::binding_back));
    binding.on_choose_port(|index| with(|cabin| cabin.choose_port(usize::try_from(index).unwrap_or(usize::MAX))));
    binding.on_choose_model(|index| with(|cabin| cabin.choose_model(usize::try_from(index).unwrap_or(usize::MAX))));
    binding.on_measure(|| with(Cabin::try_measuring));
    binding.on_record(|| with(Cabin::record_trial));
    binding.on_keep(|| with(Cabin::keep_binding));
}

pub fn show(app: &App, cabin: &Cabin) {
    let adapter = app.global::<TechnicianAdapter>();
    let devices = cabin.devices.iter().map(|device| DeviceLine {
        kind: words::screen_measure(device.model.measurement),
        model: device.model.name.into(),
        port: device.port.as_str().into(),
        test_source: false,
        state: device_state(said_health(device)),
        fault: device_fault(said_health(device)),
        remedy: remedy(&device.health),
        detail: Default::default(),
        draws: true,
        curve: ModelRc::new(VecModel::from(curve(device))),
    });
    let seeing = cabin.instruments.iter().map(|instrument| DeviceLine {
        kind: words::screen_measure(instrument.setting.measurement),
        model: instrument.name.as_str().into(),
        port: instrument.setting.address().as_str().into(),
        test_source: instrument.setting.is_test(),
        state: match instrument.trouble.is_empty() {
            true => device_state(&instrument.health),
            false => DeviceState::Fault,
        },
        fault: device_fault(&instrument.health),
        remedy: DeviceRemedy::None,
        detail: instrument.trouble.as_str().into(),
        draws: false,
        curve: ModelRc::default(),
    });
    list(&adapter.get_devices(), devices.chain(seeing).collect(), |rows| adapter.set_devices(rows));
    // What door and radar say stands in lines of their own; here is what is to be done where they are refused.
    let is_said = |key: &str| matches!(key, "door_contact" | "presence_ld2410");
    let fixtures = cabin.fixture_health.iter();
    let fixtures = fixtures.filter(|(key, health)| !is_said(key) || matches!(health, Health::Refused(_)));
    let fixtures = fixtures.map(|(key, health)| FixtureLine {
        kind: words::screen_fixture(key),
        state: device_state(health),
        remedy: remedy(health),
    });
    list(&adapter.get_fixtures(), fixtures.collect(), |rows| adapter.set_fixtures(rows));
    let receipts = cabin.settings.receipt_printer.as_ref().map(|(at, _)| at.to_string());
    let printers: Vec<String> = cabin.settings.printer.iter().cloned().chain(receipts).collect();
    adapter.set_printer_present(!printers.is_empty());
    adapter.set_printer_name(printers.join(", ").into());
    let fixtures = &cabin.settings.fixtures;
    adapter.set_door(match cabin.room.door {
        _ if fixtures.door.is_none() => DoorState::None,
        None => DoorState::Unknown,
        Some(Door::Open) => DoorState::Open,
        Some(Door::Closed) => DoorState::Closed,
    });
    adapter.set_presence(match cabin.room.presence {
        _ if fixtures.presence.is_none() => PresenceState::None,
        None | Some(Presence::Silent | Presence::Garbled) => PresenceState::Unknown,
        Some(Presence::Somebody) => PresenceState::Somebody,
        Some(Presence::Nobody) => PresenceState::Nobody,
    });
    adapter.set_site_name(cabin.settings.site.name.as_str().into());
    let identity = cabin.identity.as_ref();
    adapter.set_cabin_id(identity.map(|identity| identity.cabin_id.as_str()).unwrap_or_default().into());
    adapter.set_desk_address(cabin.settings.desk_url.as_str().into());
    adapter.set_desk(desk_reach(cabin));
    adapter.set_desk_reason(cabin.desk.reason.as_str().into());
    adapter.set_turn_address(turn_address(cabin).into());
    adapter.set_fhir_address(identity.map(|identity| identity.fhir_url.as_str()).unwrap_or_default().into());
    adapter.set_line(super::line(cabin));
    media(&adapter, cabin);
    records(&adapter, cabin.outbox_status.as_ref());
    adapter.set_version(env!("CARGO_PKG_VERSION").into());
}

fn remedy(health: &Health) -> DeviceRemedy {
    match health {
        Health::Refused(remedy) => words::screen_remedy(*remedy),
        _ => DeviceRemedy::None,
    }
}

/// What is plugged in, which model it may be, and how it answers.
pub fn show_binding(app: &App, cabin: &Cabin) {
    let adapter = app.global::<BindingAdapter>();
    let draft = &cabin.binding;
    adapter.set_looking(draft.looking);
    let plugged = draft.plugged.iter().map(|place| PluggedRow {
        product: place.product.as_str().into(),
        recorder: place.found.is_recorder,
        place: place.address.to_string().into(),
        bound: place.bound.as_deref().unwrap_or_default().into(),
    });
    list(&adapter.get_plugged(), plugged.collect(), |rows| adapter.set_plugged(rows));
    let models = draft.models.iter().map(|(model, likely)| ModelRow {
        kind: words::screen_measure(model.measurement),
        name: format!("{} {}", model.maker, model.name).into(),
        likely: *likely,
    });
    list(&adapter.get_models(), models.collect(), |rows| adapter.set_models(rows));
    let chosen = draft.chosen();
    adapter.set_product(chosen.map(|place| place.product.as_str()).unwrap_or_default().into());
    adapter.set_place(chosen.map(|place| place.address.to_string()).unwrap_or_default().into());
    adapter.set_state(match (&draft.trial, draft.kept, chosen) {
        (_, true, _) => BindingState::Kept,
        (Some(_), ..) => BindingState::Trying,
        (None, _, Some(_)) => BindingState::ChoosingModel,
        (None, _, None) => BindingState::ChoosingPort,
    });
    if let Some(model) = draft.model {
        adapter.set_kind(words::screen_measure(model.measurement));
        adapter.set_model_name(format!("{} {}", model.maker, model.name).into());
    }
    if let Some(device) = draft.trial.as_ref().and_then(|trial| trial.iter().next()) {
        adapter.set_device(device_state(&device.health));
        adapter.set_answer(match draft.answer {
            None => TrialAnswer::Asking,
            Some(Probed::Answered | Probed::InUse) => TrialAnswer::Answers,
            Some(Probed::CableOnly) => TrialAnswer::CableOnly,
            Some(Probed::NoAnswer) => TrialAnswer::Silent,
        });
        adapter.set_fault(device_fault(&device.health));
        let figures = words::screen_figures(if draft.taken.is_empty() { &device.live } else { &draft.taken });
        list(&adapter.get_figures(), figures, |rows| adapter.set_figures(rows));
        list(&adapter.get_curve(), curve(device), |rows| adapter.set_curve(rows));
    }
    adapter.set_measuring(draft.measuring);
    adapter.set_recording(draft.recording);
    adapter.set_capture(draft.capture.as_ref().map(|path| path.display().to_string()).unwrap_or_default().into());
    let (trouble, detail) = match &draft.trouble {
        None => (BindingTrouble::None, String::new()),
        Some(Trouble::PatientPresent) => (BindingTrouble::PatientPresent, String::new()),
        Some(Trouble::TellsOfOthers) => (BindingTrouble::TellsOfOthers, String::new()),
        Some(Trouble::NotWritten(error)) => (BindingTrouble::NotWritten, error.clone()),
    };
    adapter.set_trouble(trouble);
    adapter.set_trouble_detail(detail.into());
}

/// What is configured, and what the call found: nothing is opened to look, a camera lights up when it is.
fn media(adapter: &TechnicianAdapter, cabin: &Cabin) {
    let state = |missing: fn(&call::Fault) -> bool| {
        if cabin.call_faults.iter().any(missing) {
            MediaState::Missing
        } else if cabin.in_call() {
            MediaState::Working
        } else {
            MediaState::Untried
        }
    };
    let (source, name) = match &cabin.settings.call.video_source {
        call::VideoSource::Auto => (MediaSource::Automatic, ""),
        call::VideoSource::Device(name) => (MediaSource::Named, name.as_str()),
        call::VideoSource::TestPicture | call::VideoSource::BusyPicture => (MediaSource::Test, ""),
        call::VideoSource::Off => (MediaSource::Off, ""),
    };
    adapter.set_camera(source);
    adapter.set_camera_name(name.into());
    adapter.set_camera_state(state(|fault| matches!(fault, call::Fault::NoCamera | call::Fault::CameraLost { .. })));
    let (source, name) = match &cabin.settings.call.audio_source {
        call::AudioSource::Auto => (MediaSource::Automatic, ""),
        call::AudioSource::Device(name) => (MediaSource::Named, name.as_str()),
        call::AudioSource::TestTone | call::AudioSource::Recording(_) => (MediaSource::Test, ""),
        call::AudioSource::Off => (MediaSource::Off, ""),
    };
    adapter.set_microphone(source);
    adapter.set_microphone_name(name.into());
    adapter.set_microphone_state(state(|fault| {
        matches!(fault, call::Fault::NoMicrophone | call::Fault::MicrophoneLost { .. })
    }));
    let (source, name) = match &cabin.settings.call.audio_sink {
        call::AudioSink::Auto => (MediaSource::Automatic, ""),
        call::AudioSink::Device(name) => (MediaSource::Named, name.as_str()),
        call::AudioSink::Silent | call::AudioSink::Recording(_) => (MediaSource::Off, ""),
    };
    adapter.set_loudspeaker(source);
    adapter.set_loudspeaker_name(name.into());
    let heard = state(|fault| matches!(fault, call::Fault::NoLoudspeaker | call::Fault::LoudspeakerLost { .. }));
    adapter.set_loudspeaker_state(if crate::bell::is_broken() { MediaState::Missing } else { heard });
}

/// The relay of the configuration, or the one that the desk lends.
fn turn_address(cabin: &Cabin) -> String {
    let servers = cabin.settings.call.ice_servers.iter().chain(&cabin.desk.ice_servers);
    let relay = servers.flat_map(|server| &server.urls).find(|url| url.starts_with("turn"));
    relay.cloned().unwrap_or_default()
}

fn records(adapter: &TechnicianAdapter, status: Option<&outbox::Status>) {
    adapter.set_records_known(status.is_some());
    adapter.set_records_waiting(status.map_or(0, |status| count(status.waiting)));
    adapter.set_records_set_aside(status.map_or(0, |status| count(status.set_aside)));
    let faults = status.map(|status| status.faults.as_slice()).unwrap_or_default();
    let lines = faults
        .iter()
        .map(|fault| RecordLine { trouble: words::screen_trouble(fault.code), detail: fault.detail.as_str().into() });
    list(&adapter.get_record_troubles(), lines.collect(), |rows| adapter.set_record_troubles(rows));
}

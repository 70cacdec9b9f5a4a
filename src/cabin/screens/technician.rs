//! The technician's screen: every part and its state at a glance.

use slint::{ComponentHandle as _, ModelRc, VecModel};
use ui::{App, DeviceLine, DeviceRemedy, MediaSource, MediaState, RecordLine, TechnicianAdapter};

use super::patient::{curve, device_fault};
use super::pharmacist::{count, device_state};
use super::{desk_reach, list};
use crate::devices::Health;
use crate::run_loop::{Cabin, Front, with};
use crate::words;

pub fn connect(app: &App) {
    app.global::<TechnicianAdapter>().on_back(|| with(|cabin| cabin.front = Front::Space));
}

pub fn show(app: &App, cabin: &Cabin) {
    let adapter = app.global::<TechnicianAdapter>();
    let devices = cabin.devices.iter().map(|device| DeviceLine {
        kind: words::screen_measure(device.model.measurement),
        model: device.model.name.into(),
        port: device.port.as_str().into(),
        state: device_state(&device.health),
        fault: device_fault(&device.health),
        remedy: match &device.health {
            Health::Refused(remedy) => words::screen_remedy(*remedy),
            _ => DeviceRemedy::None,
        },
        curve: ModelRc::new(VecModel::from(curve(device))),
    });
    list(&adapter.get_devices(), devices.collect(), |rows| adapter.set_devices(rows));
    adapter.set_printer_present(cabin.settings.printer.is_some());
    adapter.set_printer_name(cabin.settings.printer.as_deref().unwrap_or_default().into());
    adapter.set_site_name(cabin.settings.site.name.as_str().into());
    let identity = cabin.identity.as_ref();
    adapter.set_cabin_id(identity.map(|identity| identity.cabin_id.as_str()).unwrap_or_default().into());
    adapter.set_desk_address(cabin.settings.desk_url.as_str().into());
    adapter.set_desk(desk_reach(cabin));
    let reason = if cabin.identity.is_some() { cabin.desk.reason.as_str() } else { "" };
    adapter.set_desk_reason(reason.into());
    adapter.set_turn_address(turn_address(cabin).into());
    adapter.set_fhir_address(identity.map(|identity| identity.fhir_url.as_str()).unwrap_or_default().into());
    adapter.set_line(super::line(cabin));
    media(&adapter, cabin);
    records(&adapter, cabin.outbox_status.as_ref());
    adapter.set_version(env!("CARGO_PKG_VERSION").into());
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
        call::VideoSource::TestPicture => (MediaSource::Test, ""),
        call::VideoSource::Off => (MediaSource::Off, ""),
    };
    adapter.set_camera(source);
    adapter.set_camera_name(name.into());
    adapter.set_camera_state(state(|fault| matches!(fault, call::Fault::NoCamera | call::Fault::CameraLost { .. })));
    let (source, name) = match &cabin.settings.call.audio_source {
        call::AudioSource::Auto => (MediaSource::Automatic, ""),
        call::AudioSource::Device(name) => (MediaSource::Named, name.as_str()),
        call::AudioSource::TestTone => (MediaSource::Test, ""),
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
        call::AudioSink::Silent => (MediaSource::Off, ""),
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

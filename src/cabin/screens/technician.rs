//! The technician's screen: every part and its state at a glance.

use slint::{ComponentHandle as _, ModelRc, VecModel};
use ui::{App, DeviceLine, TechnicianAdapter};

use super::list;
use super::patient::{curve, device_fault};
use super::pharmacist::device_state;
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
        bytes_per_second: 0,
        curve: ModelRc::new(VecModel::from(curve(device))),
    });
    list(&adapter.get_devices(), devices.collect(), |rows| adapter.set_devices(rows));
    adapter.set_printer_present(cabin.settings.printer.is_some());
    adapter.set_printer_name(cabin.settings.printer.as_deref().unwrap_or_default().into());
    adapter.set_site_name(cabin.settings.site.name.as_str().into());
    let identity = cabin.identity.as_ref();
    adapter.set_cabin_id(identity.map(|identity| identity.cabin_id.as_str()).unwrap_or_default().into());
    adapter.set_desk_address(cabin.settings.desk_url.as_str().into());
    adapter.set_desk_reached(cabin.desk.up);
    adapter.set_fhir_address(identity.map(|identity| identity.fhir_url.as_str()).unwrap_or_default().into());
    adapter.set_line(super::line(cabin));
    let missing = |wanted: fn(&call::Fault) -> bool| cabin.call_faults.iter().any(wanted);
    let media = &cabin.settings.call;
    adapter.set_camera_present(
        media.video_source != call::VideoSource::Off
            && !missing(|fault| matches!(fault, call::Fault::NoCamera | call::Fault::CameraLost { .. })),
    );
    adapter.set_microphone_present(
        media.audio_source != call::AudioSource::Off
            && !missing(|fault| matches!(fault, call::Fault::NoMicrophone | call::Fault::MicrophoneLost { .. })),
    );
    if let Some(status) = &cabin.outbox_status {
        adapter.set_records_waiting(i32::try_from(status.waiting).unwrap_or(i32::MAX));
    }
    adapter.set_version(env!("CARGO_PKG_VERSION").into());
}

//! What is plugged in, and which models it may be: what the technician's screen and `cabinctl device list` both show.

use std::collections::BTreeSet;
use std::path::Path;

use crate::ports::find::{self, Found};
use crate::ports::{Address, Binding, UsbAddress, Which};
use crate::{MODELS, Model, models_for_personal_health, models_for_usb};

/// Everything that a model can be bound to: serial ports, USB devices without one, and the folders of recorders, those
/// of the configuration too (`bindings`) while their stick is out.
pub fn plugged(bindings: &[Binding]) -> Vec<Found> {
    let mut found = find::list();
    found.extend(find::list_usb());
    let bound = bindings.iter().filter(|binding| binding.model.is_read_from_files());
    let bound = bound.filter_map(|binding| match &binding.address {
        Address::Path(folder) => Some(folder.clone()),
        _ => None,
    });
    let folders: BTreeSet<_> = find::recorder_folders(Path::new("/")).into_iter().chain(bound).collect();
    found.extend(folders.into_iter().map(Found::recorder));
    found
}

/// The models that it may be, and whether its identity says so; those first. Others are left out only where they cannot
/// be: a memory stick is no serial line, and a USB device without one is what its identity or its class says.
pub fn models_for(found: &Found) -> Vec<(&'static Model, bool)> {
    let named: Vec<_> = found.usb.into_iter().flat_map(|(vid, pid)| models_for_usb(vid, pid)).collect();
    let of_its_class = models_for_personal_health().filter(|_| found.is_personal_health);
    if found.is_recorder {
        return MODELS.iter().filter(|model| model.is_read_from_files()).map(|model| (model, true)).collect();
    }
    if found.socket.is_some() {
        return named.into_iter().chain(of_its_class).map(|model| (model, true)).collect();
    }
    let mut models: Vec<_> =
        MODELS.iter().filter(|model| model.line.is_some()).map(|model| (model, named.contains(&model))).collect();
    models.sort_by_key(|(_, likely)| !likely);
    models
}

/// Where it is, in the way that lasts longest: a file like /dev/ttyUSB0 is another device's after the next start.
pub fn lasting(found: &Found) -> Address {
    match (&found.id_path, &found.socket, &found.serial, found.usb) {
        (Some(id_path), ..) => Address::IdPath(id_path.clone()),
        (None, Some(socket), _, Some((vid, pid))) => {
            Address::Usb(UsbAddress { vid, pid, which: Which::Socket(socket.clone()) })
        }
        (None, None, Some(serial), _) => Address::Serial(serial.clone()),
        _ => Address::Path(found.path.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(found: &Found, likely: bool) -> Vec<&'static str> {
        models_for(found).into_iter().filter(|(_, is)| *is == likely).map(|(model, _)| model.key).collect()
    }

    fn usb(vid: u16, pid: u16, is_personal_health: bool) -> Found {
        Found { usb: Some((vid, pid)), socket: Some("1-1".into()), is_personal_health, ..Found::default() }
    }

    #[test]
    fn a_certified_device_of_any_maker_is_offered_each_model_of_its_class() {
        let certified = ["oximeter_phd", "blood_pressure_phd", "scale_phd", "thermometer_phd", "glucose_phd"];
        // A cuff of a maker that nobody here has heard of, interface class 0F.
        let found = usb(0x0590, 0x00FF, true);
        let mut offered = keys(&found, true);
        offered.sort_unstable();
        let mut all = certified;
        all.sort_unstable();
        assert_eq!(offered, all);
        assert!(keys(&found, false).is_empty(), "nothing that it cannot be");
        let accu_chek = keys(&usb(0x173A, 0x21D5, true), true);
        assert_eq!(accu_chek.first(), Some(&"glucose_accu_chek"), "its own name before its class");
        assert_eq!(accu_chek.len(), 1 + certified.len());
        assert_eq!(keys(&usb(0x173A, 0x21D5, false), true), ["glucose_accu_chek"]);
    }

    #[test]
    fn a_usb_device_without_a_serial_port_is_what_its_identity_says() {
        assert_eq!(keys(&usb(0x0590, 0x0028, false), true), ["blood_pressure_omron"]);
        assert!(models_for(&usb(0x1234, 0x5678, false)).is_empty());
    }

    #[test]
    fn a_serial_line_is_offered_every_model_that_has_a_line_and_the_likely_first() {
        let found = Found { usb: Some((0x0403, 0x6001)), serial: Some("A1".into()), ..Found::default() };
        let models = models_for(&found);
        assert_eq!(models.len(), MODELS.iter().filter(|model| model.line.is_some()).count());
        assert_eq!(keys(&found, true), ["oximeter_nonin", "blood_pressure_suntech"]);
        assert!(models[0].1 && models[1].1 && !models[2].1, "the likely are first");
        assert!(keys(&Found { path: "/dev/ttyS0".into(), ..Found::default() }, true).is_empty());
    }

    #[test]
    fn a_recorders_folder_is_offered_the_recorders_and_nothing_else() {
        let found = Found::recorder("/run/telecabine/recorder".into());
        assert_eq!(keys(&found, true), ["ecg_contec_ecg90a", "ecg_pc80b"]);
        assert_eq!(models_for(&found).len(), 2);
        assert_eq!(lasting(&found), Address::Path("/run/telecabine/recorder".into()));
        let bound = Binding {
            name: "ecg".into(),
            model: crate::model("ecg_pc80b").unwrap(),
            address: Address::Path("/nowhere/recorder".into()),
        };
        let is_there = |found: &Found| found.path == Path::new("/nowhere/recorder") && found.is_recorder;
        assert!(plugged(&[bound]).iter().any(is_there), "a recorder that is out can be bound anew");
    }
}

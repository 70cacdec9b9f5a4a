//! The models that speak USB HID themselves, enumerated by a real kernel: reports of 8, 64 and 6 bytes, feature reports,
//! with an endpoint out and without.

use std::os::unix::fs::MetadataExt as _;

use super::*;

/// Each such model with its identity, and what is read of its simulator.
fn models() -> Vec<(&'static str, String, &'static str)> {
    let hid = |model: &&drivers::Model| matches!(first(model).transport, drivers::Transport::Hid { .. });
    let address = |model: &drivers::Model| format!("{:04x}:{:04x}", first(model).vid, first(model).pid);
    let expected = |model: &drivers::Model| match model.measurement {
        consult::vitals::Measurement::BloodPressure => "reading  pressure 141/92",
        _ => "reading  weight 70.300 kg",
    };
    drivers::MODELS.iter().filter(hid).map(|model| (model.key, address(model), expected(model))).collect()
}

/// The identity that its simulator has.
fn first(model: &drivers::Model) -> drivers::UsbHint {
    model.usb.first().copied().unwrap_or(drivers::UsbHint::serial(0, 0))
}

/// Plugs one in and waits until the kernel has bound its own driver.
fn plugged(key: &str, address: &str) -> (Simulator, Found) {
    let sim = Simulator::start_on_usb(key, 0).unwrap();
    let device = found(address);
    until("its driver", || kernel_driver(&device).filter(|driver| driver == own_driver(key)));
    (sim, device)
}

/// usbhid leaves the Cypress HID to serial chip to a driver that makes a serial port of it. The cuff is read past it.
fn own_driver(key: &str) -> &'static str {
    if key == "blood_pressure_microlife_ascii" { "cypress_m8" } else { "usbhid" }
}

/// Somebody uses it.
fn measure(sim: &Simulator, key: &str) {
    sim.command(if key == "scale_usb_hid" { "step on" } else { "measure" }).unwrap();
}

#[test]
#[ignore = "in the guest only, where the first test starts it"]
fn every_hid_model_is_read_over_its_unplugging_in_mid_transfer_and_given_back() {
    if !is_here() {
        return;
    }
    let models = models();
    assert!(models.len() >= 5, "{models:?}");
    for (key, address, expected) in models {
        eprintln!("  {key}");
        let (sim, device) = plugged(key, &address);
        let before = hidraw_nodes();
        let listed = listed();
        assert!(
            listed.contains(&format!("usb={address}@1-1")) && listed.contains(&format!("may be: {key}")),
            "{listed}"
        );
        if key == "scale_usb_hid" {
            sim.command("step off").unwrap();
        } else {
            // A long answer, to be cut.
            sim.command("full").unwrap();
            sim.command("value systolic=141 diastolic=92 mean=108 pulse=77").unwrap();
        }
        let cabinctl = Cabinctl::read_model(key, &format!("usb={address}"), None);
        let open = cabinctl.wait_for("open ");
        assert!(open.ends_with(device.path.to_str().unwrap()), "{open} is not {device:?}");
        assert_eq!((kernel_driver(&device).as_deref(), hidraw_nodes()), (Some("usbfs"), 0), "{key}");
        // It has begun to ask, and is being answered.
        cabinctl.is_unplugged_and_back(&sim, key);
        if key != "scale_usb_hid" {
            cabinctl.wait_for("status   MeasureOnDevice");
        }
        measure(&sim, key);
        let reading = cabinctl.wait_for("reading ");
        assert!(reading.starts_with(expected), "{key}: {reading}");
        cabinctl.wait_for("finished");
        assert!(cabinctl.end());
        let device = find::resolve(&Address::Usb(address.parse().unwrap())).unwrap();
        assert_eq!(kernel_driver(&device).as_deref(), Some(own_driver(key)), "{key}: the kernel has it back");
        assert_eq!(hidraw_nodes(), before, "{key}");
    }
}

#[test]
#[ignore = "in the guest only, where the first test starts it"]
fn a_hid_device_that_says_nothing_is_waited_for_and_one_of_another_kind_is_refused() {
    if !is_here() {
        return;
    }
    let (sim, _) = plugged("blood_pressure_omron", "0590:0028");
    // Every transfer in waits: the device answers "not now".
    sim.command("silent on").unwrap();
    let cabinctl = Cabinctl::read_model("blood_pressure_omron", "usb=0590:0028", None);
    cabinctl.wait_for("status   ConnectDevice");
    sim.command("silent off").unwrap();
    cabinctl.wait_for("status   MeasureOnDevice");
    sim.command("measure").unwrap();
    assert!(cabinctl.wait_for("reading ").starts_with("reading  pressure 122/79"));
    assert!(cabinctl.end());
    // A model of a serial line is none of this device.
    let cabinctl = Cabinctl::read_model("oximeter_nonin", "usb=0590:0028", None);
    assert!(cabinctl.wait_for("cabinctl: ").contains("no port of this model"));
    assert!(!cabinctl.end());
}

#[test]
#[ignore = "in the guest only, where the first test starts it"]
fn a_hid_device_pulled_out_again_and_again_leaks_nothing() {
    if !is_here() {
        return;
    }
    for key in ["blood_pressure_contec_08a", "blood_pressure_microlife_m"] {
        let address = &models().into_iter().find(|(model, ..)| *model == key).unwrap().1;
        let (sim, _) = plugged(key, address);
        sim.command("full").unwrap();
        leaks_nothing(key, address, &sim, Status::MeasureOnDevice);
    }
}

#[test]
#[ignore = "in the guest only, where the first test starts it"]
fn the_udev_rules_give_every_hid_model_to_the_cabins_account_and_to_no_other() {
    if !is_here() {
        return;
    }
    let _udev = Udev::start();
    for (key, address, _) in models() {
        let (_sim, device) = plugged(key, &address);
        let file = std::fs::metadata(&device.path).unwrap();
        assert_eq!((file.mode() & 0o777, file.uid(), file.gid()), (0o660, 0, CABIN.1), "{key}");
        let port = format!("usb={address}");
        let other = Cabinctl::read_model(key, &port, Some(NOBODY));
        assert!(other.wait_for("cabinctl: ").contains("70-cabin-devices.rules"), "{key}");
        let cabinctl = Cabinctl::read_model(key, &port, Some(CABIN));
        cabinctl.wait_for("open ");
        cabinctl.wait_for("status ");
    }
}

//! Personal health devices (USB class 0F, and a meter of its maker's own class), enumerated by a real kernel.

use std::os::unix::fs::MetadataExt as _;

use super::*;

/// Each such model: its simulator's identity, what it says when it is ready, and what is read.
const MODELS: [(&str, &str, &str, &str); 6] = [
    ("oximeter_phd", "1209:0001", "live ", "reading  SpO2 97 %"),
    ("blood_pressure_phd", "1209:0002", "status   MeasureOnDevice", "reading  pressure 122/79, mean 93 mmHg"),
    ("thermometer_phd", "1209:0003", "status   TakeNow", "reading  temperature 36.80 Cel"),
    ("scale_phd", "1209:0004", "status   StepOn", "reading  weight 70.300 kg"),
    ("glucose_phd", "1209:0005", "status   MeasureOnDevice", "reading  glucose 104 mg/dL"),
    ("glucose_accu_chek", "173a:21d5", "status   MeasureOnDevice", "reading  glucose 104 mg/dL"),
];

fn plugged(key: &str, address: &str) -> (Simulator, Found) {
    let sim = Simulator::start_on_usb(key, 0).unwrap();
    let device = found(address);
    (sim, device)
}

#[test]
#[ignore = "in the guest only, where the first test starts it"]
fn every_personal_health_device_is_read_over_its_unplugging_and_its_halts() {
    if !is_here() {
        return;
    }
    for (key, address, ready, expected) in MODELS {
        eprintln!("  {key}");
        let (sim, device) = plugged(key, address);
        assert_eq!(device.is_personal_health, key != "glucose_accu_chek");
        assert_eq!(kernel_driver(&device), None, "no driver of the kernel's binds that class");
        let listed = listed();
        let may_be = listed.lines().find(|line| line.contains("may be: ")).unwrap_or_else(|| panic!("{listed}"));
        assert!(listed.contains(&format!("usb={address}@1-1")) && may_be.contains(key), "{listed}");
        if key == "glucose_phd" {
            // In its own configuration, with a store of five other patients' figures: parts of many packets.
            for order in
                ["value store=yes glucose=211", "earlier 900", "earlier 700", "earlier 90", "earlier 7", "earlier 2"]
            {
                sim.command(order).unwrap();
            }
            sim.command("value glucose=104").unwrap();
        }
        let cabinctl = Cabinctl::read_model(key, &format!("usb={address}"), None);
        let open = cabinctl.wait_for("open ");
        assert!(open.ends_with(device.path.to_str().unwrap()), "{open} is not {device:?}");
        assert_eq!(kernel_driver(&device).as_deref(), Some("usbfs"), "{key}");
        cabinctl.wait_for(ready);
        // A transfer waits in it for bytes.
        cabinctl.is_unplugged_and_back(&sim, key);
        // What waits stalls, and goes on once the host has cleared it.
        sim.command("halt").unwrap();
        sim.command("measure").unwrap();
        let reading = cabinctl.wait_for("reading ");
        assert!(reading.starts_with(expected) && reading.contains("serial DE124567"), "{key}: {reading}");
        cabinctl.wait_for("finished");
        assert!(cabinctl.end());
        let device = find::resolve(&Address::Usb(address.parse().unwrap())).unwrap();
        assert_eq!(kernel_driver(&device), None, "{key}: given back");
    }
}

#[test]
#[ignore = "in the guest only, where the first test starts it"]
fn a_personal_health_device_pulled_out_again_and_again_leaks_nothing() {
    if !is_here() {
        return;
    }
    let (sim, _) = plugged("thermometer_phd", "1209:0003");
    leaks_nothing("thermometer_phd", "1209:0003", &sim, Status::TakeNow);
}

#[test]
#[ignore = "in the guest only, where the first test starts it"]
fn the_udev_rule_gives_the_class_to_the_cabins_account_whoever_made_the_device() {
    if !is_here() {
        return;
    }
    let _udev = Udev::start();
    let (sim, device) = plugged("scale_phd", "1209:0004");
    let file = std::fs::metadata(&device.path).unwrap();
    assert_eq!((file.mode() & 0o777, file.uid(), file.gid()), (0o660, 0, CABIN.1));
    let cabinctl = Cabinctl::read_model("scale_phd", "usb=1209:0004", Some(CABIN));
    cabinctl.wait_for("status   StepOn");
    sim.command("measure").unwrap();
    assert!(cabinctl.wait_for("reading ").starts_with("reading  weight 70.300 kg"));
    assert!(cabinctl.end());
}

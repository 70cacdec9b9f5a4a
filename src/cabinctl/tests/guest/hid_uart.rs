//! The other devices of TaiDoc's behind the same USB HID chip (CP2110): each read by the real program.

use super::*;

#[test]
#[ignore = "in the guest only, where the first test starts it"]
fn every_device_behind_the_chip_is_read_and_none_is_another_patients() {
    if !is_here() {
        return;
    }
    for (key, orders, ready, then, expected) in [
        (
            "blood_pressure_taidoc",
            "value systolic=141 diastolic=92 pulse=77 seconds=2",
            "status   Starting",
            None,
            "reading  pressure 141/92 mmHg",
        ),
        (
            "glucose_taidoc",
            "value glucose=213 meal=after",
            "status   MeasureOnDevice",
            Some("measure"),
            "reading  glucose 213 mg/dL",
        ),
        ("oximeter_taidoc", "value spo2=93 pulse=131", "status   Tracking", None, "reading  SpO2 93 %"),
    ] {
        let sim = Simulator::start_on_usb(key, 0).unwrap();
        sim.command(orders).unwrap();
        let device = until("the kernel to find it", || find::list_usb().pop());
        until("usbhid", || kernel_driver(&device).filter(|driver| driver == "usbhid"));
        let cabinctl = Cabinctl::read_model(key, "usb=10c4:ea80", None);
        cabinctl.wait_for(ready);
        if let Some(order) = then {
            sim.command(order).unwrap();
        }
        let reading = cabinctl.wait_for("reading ");
        assert!(reading.starts_with(expected), "{key}: {reading}");
        cabinctl.wait_for("finished");
        assert!(cabinctl.end());
        drop(sim);
        until("the kernel to let it go", || find::list_usb().is_empty().then_some(()));
    }
}

//! Devices of which Linux makes a serial port: behind an adapter of FTDI's, and one that is a port itself. Each read by
//! the real program, pulled out while it speaks, and back by itself.

use super::*;

#[test]
#[ignore = "in the guest only"]
fn a_device_behind_an_adapter_and_one_that_is_a_port_are_read_pulled_out_and_back() {
    if !is_here() {
        return;
    }
    for (key, port, orders, first) in [
        ("oximeter_nonin", "/dev/ttyUSB0", Some("value spo2=93 pulse=131"), "reading  SpO2 93 %"),
        ("ecg_healthypi5", "/dev/ttyACM0", None, "recorded 10 s of "),
    ] {
        let sim = Simulator::start_on_usb(key, 0).unwrap();
        if let Some(orders) = orders {
            sim.command(orders).unwrap();
        }
        until("the kernel's serial port", || Path::new(port).exists().then_some(()));
        let cabinctl = Cabinctl::read_model(key, port, None);
        cabinctl.wait_for("status   ");
        sim.command("unplug").unwrap();
        cabinctl.wait_for("lost");
        sim.command("plug").unwrap();
        cabinctl.wait_for("open  ");
        cabinctl.wait_for(first);
        cabinctl.wait_for("finished");
        assert!(cabinctl.end());
        drop(sim);
        until("the kernel to let it go", || (!Path::new(port).exists()).then_some(()));
    }
}

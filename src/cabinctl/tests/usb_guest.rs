//! Devices on USB, enumerated by a real Linux: read by the real `cabinctl`, unplugged in mid transfer and back.
//!
//! This machine may have no USB. The tests below start a virtual machine whose kernel has (`tests/tools/usb_guest`) and
//! run this same program in it: there the tests of [`guest`] plug simulated devices into the kernel's virtual ports.

use std::path::Path;

use sim::guest::{Guest, skip};

mod card_service;

#[test]
fn devices_on_usb_are_read_on_a_real_kernel() {
    // About 100 s on a quiet machine.
    let machine = vec![("USB_GUEST_SECONDS_MAX", "420".to_owned())];
    let filter = &["guest::", "--skip", "guest::cards::"];
    Guest { filter, inside: Vec::new(), machine }.run("devices_on_usb_are_read_on_a_real_kernel");
}

#[test]
fn cards_in_a_reader_on_usb_are_read_on_a_real_kernel() {
    let name = "cards_in_a_reader_on_usb_are_read_on_a_real_kernel";
    let needs = [card_service::PROGRAM, card_service::USB_DRIVER];
    if let Some(missing) = needs.iter().find(|file| !Path::new(file).exists()) {
        skip(name, &format!("there is no {missing}: tests/tools/install test installs it"));
        return;
    }
    let machine = vec![("USB_GUEST_CARD", "yes".to_owned())];
    Guest { filter: &["guest::cards::"], inside: Vec::new(), machine }.run(name);
}

/// What runs in the guest.
mod guest {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::fs::MetadataExt as _;
    use std::os::unix::process::CommandExt as _;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};
    use std::sync::mpsc::{self, Receiver};
    use std::time::{Duration, Instant};

    use drivers::Status;
    use drivers::ports::find::{self, Found};
    use drivers::ports::{Address, Binding, MESSAGES_MAX, Port, PortEvent};
    use sim::Simulator;

    mod cards;
    mod fixtures;
    mod hid;
    mod hid_uart;
    mod phdc;
    mod serial;

    /// A test that waits longer than that has failed.
    const PATIENCE: Duration = Duration::from_secs(30);
    /// A device is back within that time of its cable: the aim is 2 s, which an emulated processor beside other tests
    /// is not held to. What it took is printed.
    const BACK_WITHIN: Duration = Duration::from_secs(15);
    const LOOK_EVERY: Duration = Duration::from_millis(10);
    /// Times the cable is pulled out.
    const ROUNDS: usize = 6;
    /// An account that is in no group but its own: user, group.
    const NOBODY: (u32, u32) = (65_534, 65_534);
    /// The cabin's account, in the group that the udev rules name.
    const CABIN: (u32, u32) = (950, 950);

    fn is_here() -> bool {
        std::env::var_os("IN_USB_GUEST").is_some()
    }

    /// Looks until there is something: the kernel tells nobody here when it has bound its driver.
    fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let give_up_at = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < give_up_at, "waited in vain for {what}");
            // No event comes of what the kernel has bound.
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until the kernel has found the device of that identity.
    fn found(address: &str) -> Found {
        until("the kernel to find it", || find::resolve(&Address::Usb(address.parse().unwrap())))
    }

    /// What `cabinctl device list` prints.
    fn listed() -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_cabinctl")).args(["device", "list"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// The driver that the kernel has bound to a device's interface.
    fn kernel_driver(device: &Found) -> Option<String> {
        let interface = format!("/sys/bus/usb/devices/{}:1.0/driver", device.socket.as_ref()?);
        Some(std::fs::read_link(interface).ok()?.file_name()?.to_str()?.to_owned())
    }

    fn hidraw_nodes() -> usize {
        let names = std::fs::read_dir("/dev").unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("hidraw")).count()
    }

    /// Plugs a thermometer in and waits until the kernel has it, with its own driver.
    fn thermometer(port: u8, temperature: &str) -> (Simulator, Found) {
        let sim = Simulator::start_on_usb("thermometer_taidoc", port).unwrap();
        sim.command(&format!("value temperature={temperature}")).unwrap();
        let socket = format!("1-{}", port + 1);
        let device = until("the kernel to find it", || {
            find::list_usb().into_iter().find(|found| found.socket.as_ref() == Some(&socket))
        });
        until("usbhid", || kernel_driver(&device).filter(|driver| driver == "usbhid"));
        (sim, device)
    }

    /// The real program, and what it prints.
    struct Cabinctl {
        process: Child,
        lines: Receiver<String>,
    }

    impl Cabinctl {
        fn read(port: &str, account: Option<(u32, u32)>) -> Cabinctl {
            Self::read_model("thermometer_taidoc", port, account)
        }

        fn read_model(model: &str, port: &str, account: Option<(u32, u32)>) -> Cabinctl {
            Self::start(&["device", "read", "--model", model, "--port", port], account)
        }

        fn start(words: &[&str], account: Option<(u32, u32)>) -> Cabinctl {
            let mut command = Command::new(env!("CARGO_BIN_EXE_cabinctl"));
            command.args(words);
            if let Some((user, group)) = account {
                command.uid(user).gid(group);
            }
            let (reader, writer) = std::io::pipe().unwrap();
            let mut process =
                command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
            // Its own copies of the pipe's end went with `command`.
            drop(command);
            let (sender, lines) = mpsc::channel();
            std::thread::spawn(move || {
                for line in BufReader::new(reader).lines().map_while(Result::ok) {
                    eprintln!("  cabinctl: {line}");
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
            assert!(process.try_wait().unwrap().is_none_or(|status| !status.success()));
            Cabinctl { process, lines }
        }

        /// Waits for a line that begins so.
        fn wait_for(&self, start: &str) -> String {
            self.wait_for_any(&[start])
        }

        /// Waits for a line that begins in one of those ways.
        fn wait_for_any(&self, starts: &[&str]) -> String {
            let give_up_at = Instant::now() + PATIENCE;
            loop {
                let left = give_up_at.saturating_duration_since(Instant::now());
                let line = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("waited in vain for {starts:?}"));
                if starts.iter().any(|start| line.starts_with(start)) {
                    return line;
                }
            }
        }

        /// Pulls the cable out from under it, and puts it back.
        fn is_unplugged_and_back(&self, sim: &Simulator, key: &str) {
            sim.command("unplug").unwrap();
            self.wait_for("lost ");
            let plugged_at = Instant::now();
            sim.command("plug").unwrap();
            self.wait_for("open ");
            let back_after = plugged_at.elapsed();
            eprintln!("  {key} back {} ms after the plug", back_after.as_millis());
            assert!(back_after < BACK_WITHIN, "{back_after:?}");
        }

        /// Whether it ended well.
        fn end(mut self) -> bool {
            self.process.wait().unwrap().success()
        }
    }

    impl Drop for Cabinctl {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    #[test]
    #[ignore = "in the guest only, where the first test starts it"]
    fn a_thermometer_unplugged_in_mid_measurement_is_back_and_its_value_is_exact() {
        if !is_here() {
            return;
        }
        let (sim, device) = thermometer(0, "36.84");
        assert_eq!(hidraw_nodes(), 1);
        let cabinctl = Cabinctl::read("usb=10c4:ea80", None);
        let open = cabinctl.wait_for("open ");
        assert!(open.ends_with(device.path.to_str().unwrap()), "{open} is not {device:?}");
        assert_eq!((kernel_driver(&device).as_deref(), hidraw_nodes()), (Some("usbfs"), 0));
        cabinctl.wait_for("status   TakeNow");
        cabinctl.is_unplugged_and_back(&sim, "thermometer_taidoc");
        sim.command("measure").unwrap();
        let reading = cabinctl.wait_for("reading ");
        assert!(reading.starts_with("reading  temperature 36.84 Cel "), "{reading}");
        assert!(reading.contains("serial 00A1B2C3"), "{reading}");
        cabinctl.wait_for("finished");
        assert!(cabinctl.end());
        // At its end the kernel has its driver back, and other programs their file.
        let device = find::list_usb().remove(0);
        assert_eq!((kernel_driver(&device).as_deref(), hidraw_nodes()), (Some("usbhid"), 1));
    }

    #[test]
    #[ignore = "in the guest only, where the first test starts it"]
    fn an_account_without_the_udev_rule_is_told_of_it() {
        if !is_here() {
            return;
        }
        let (_sim, device) = thermometer(0, "36.6");
        let cabinctl = Cabinctl::read("usb=10c4:ea80", Some(NOBODY));
        let refused = cabinctl.wait_for("cabinctl: ");
        assert!(
            refused.contains("70-cabin-devices.rules") && refused.contains(device.path.to_str().unwrap()),
            "{refused}"
        );
        assert!(!cabinctl.end());
        assert_eq!(kernel_driver(&device).as_deref(), Some("usbhid"));
    }

    #[test]
    #[ignore = "in the guest only, where the first test starts it"]
    fn of_two_thermometers_the_one_named_is_read_and_none_is_guessed() {
        if !is_here() {
            return;
        }
        let (first, _) = thermometer(0, "36.6");
        let (second, device) = thermometer(1, "38.9");
        let cabinctl = Cabinctl::read("usb=10c4:ea80", None);
        assert!(cabinctl.wait_for("cabinctl: ").contains("several that are alike"));
        assert!(!cabinctl.end());
        let cabinctl = Cabinctl::read("usb=10c4:ea80@1-2", None);
        assert!(cabinctl.wait_for("open ").ends_with(device.path.to_str().unwrap()));
        cabinctl.wait_for("status   TakeNow");
        first.command("measure").unwrap();
        second.command("measure").unwrap();
        assert!(cabinctl.wait_for("reading ").starts_with("reading  temperature 38.90 Cel "));
        assert!(cabinctl.end());
    }

    /// Pulls the cable out again and again in a measurement, which then ends well.
    fn leaks_nothing(key: &str, address: &str, sim: &Simulator, ready: Status) {
        let open_files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        // A thread that has ended is still in the list for a moment.
        let until_same =
            |count| until("as many files and threads", || ((open_files(), threads()) == count).then_some(()));
        let before = (open_files(), threads());
        {
            let (sender, messages) = mpsc::sync_channel(MESSAGES_MAX);
            let address = Address::Usb(address.parse().unwrap());
            let model = drivers::model(key).unwrap();
            let port = Port::open(Binding { name: "device".into(), model, address }, sender).unwrap();
            let until_said = |fits: &dyn Fn(&PortEvent) -> bool| {
                while !fits(&messages.recv_timeout(PATIENCE).expect("waited in vain").event) {}
            };
            let is_ready = |event: &PortEvent| matches!(event, PortEvent::Status(status) if *status == ready);
            until_said(&|event| matches!(event, PortEvent::Opened { .. }));
            port.start();
            until_said(&is_ready);
            let during = (open_files(), threads());
            for _ in 0..ROUNDS {
                sim.command("unplug").unwrap();
                until_said(&|event| matches!(event, PortEvent::Lost { was_open: true, .. }));
                sim.command("plug").unwrap();
                until_said(&|event| matches!(event, PortEvent::Opened { .. }));
                until_same(during);
            }
            // The measurement begun before the first of them ends well.
            sim.command("measure").unwrap();
            until_said(&|event| matches!(event, PortEvent::Reading(_)));
        }
        until_same(before);
    }

    #[test]
    #[ignore = "in the guest only, where the first test starts it"]
    fn a_usb_cable_pulled_out_again_and_again_leaks_nothing() {
        if !is_here() {
            return;
        }
        let (sim, device) = thermometer(0, "36.6");
        leaks_nothing("thermometer_taidoc", "10c4:ea80", &sim, Status::TakeNow);
        assert_eq!(kernel_driver(&device).as_deref(), Some("usbhid"));
    }

    #[test]
    #[ignore = "in the guest only, where the first test starts it"]
    fn a_second_program_is_refused_and_a_killed_one_gets_its_device_back() {
        if !is_here() {
            return;
        }
        let (sim, device) = thermometer(0, "37.0");
        let first = Cabinctl::read("usb=10c4:ea80/00A1B2C3", None);
        first.wait_for("status   TakeNow");
        let second = Cabinctl::read("usb=10c4:ea80", None);
        assert!(second.wait_for("cabinctl: ").contains("another program holds this port"));
        assert!(!second.end());
        // Killed: nobody has given the kernel its driver back.
        drop(first);
        assert_eq!(kernel_driver(&device), None);
        let third = Cabinctl::read("usb=10c4:ea80", None);
        third.wait_for("status   TakeNow");
        sim.command("measure").unwrap();
        assert!(third.wait_for("reading ").starts_with("reading  temperature 37.00 Cel "));
        assert!(third.end());
        assert!(Path::new("/dev/hidraw0").exists());
        assert_eq!(kernel_driver(&device).as_deref(), Some("usbhid"));
    }

    /// The real udevd with the product's rules. Ended when dropped.
    struct Udev(Child);

    impl Udev {
        fn start() -> Udev {
            let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systemd/70-cabin-devices.rules");
            std::fs::create_dir_all("/run/udev/rules.d").unwrap();
            std::fs::copy(rules, "/run/udev/rules.d/70-cabin-devices.rules").unwrap();
            let groups = std::fs::read_to_string("/etc/group").unwrap();
            std::fs::write("/tmp/group", format!("{}\ncabin:x:{}:\n", groups.trim_end(), CABIN.1)).unwrap();
            // What /etc holds is the host's and cannot be written.
            let mounted = Command::new("mount").args(["--bind", "/tmp/group", "/etc/group"]).status().unwrap();
            assert!(mounted.success());
            let daemon = Command::new("/lib/systemd/systemd-udevd").spawn().unwrap();
            until("udevd", || Path::new("/run/udev/control").exists().then_some(()));
            Udev(daemon)
        }
    }

    impl Drop for Udev {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
            let _ = std::fs::remove_dir_all("/run/udev");
        }
    }

    #[test]
    #[ignore = "in the guest only, where the first test starts it"]
    fn the_udev_rule_gives_it_to_the_cabins_account_and_to_no_other() {
        if !is_here() {
            return;
        }
        let _udev = Udev::start();
        let (sim, device) = thermometer(0, "39.95");
        let file = std::fs::metadata(&device.path).unwrap();
        assert_eq!((file.mode() & 0o777, file.uid(), file.gid()), (0o660, 0, CABIN.1));
        let other = Cabinctl::read("usb=10c4:ea80", Some(NOBODY));
        assert!(other.wait_for("cabinctl: ").contains("70-cabin-devices.rules"));
        let cabinctl = Cabinctl::read("usb=10c4:ea80", Some(CABIN));
        cabinctl.wait_for("status   TakeNow");
        // Back, and never refused although udev needs a moment to give it to the cabin again.
        sim.command("unplug").unwrap();
        cabinctl.wait_for("lost ");
        sim.command("plug").unwrap();
        cabinctl.wait_for("open ");
        sim.command("measure").unwrap();
        assert!(cabinctl.wait_for("reading ").starts_with("reading  temperature 39.95 Cel "));
        assert!(cabinctl.end());
        let device = find::list_usb().remove(0);
        assert_eq!(kernel_driver(&device).as_deref(), Some("usbhid"));
    }
}

//! Each verb as a technician types it, against simulated devices.

use std::path::{Path, PathBuf};

use sim::control::{Bench, NAMES};
use tempfile::TempDir;

const CONFIG: &str = include_str!("../../config/example.toml");

struct Cabin {
    dir: TempDir,
}

impl Cabin {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("cabin.toml"), CONFIG).unwrap();
        Cabin { dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.file("cabin.toml")).unwrap()
    }

    fn config(&self) -> String {
        self.file("cabin.toml").display().to_string()
    }

    /// What a command line that fails prints before its error, and the error.
    fn ctl_failing(&self, words: &[&str]) -> (String, String) {
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        words.extend(["--config".to_owned(), self.config()]);
        let mut out = Vec::new();
        let error = cabinctl::run(words, &mut "".as_bytes(), &mut out).unwrap_err();
        (String::from_utf8(out).unwrap(), format!("{error:#}"))
    }

    /// What a command line prints, or its error.
    fn ctl(&self, words: &[&str], input: &str) -> Result<String, String> {
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        words.extend(["--config".to_owned(), self.config()]);
        let mut out = Vec::new();
        cabinctl::run(words, &mut input.as_bytes(), &mut out).map_err(|error| format!("{error:#}"))?;
        Ok(String::from_utf8(out).unwrap())
    }
}

fn plain(words: &[&str]) -> Result<String, String> {
    let mut out = Vec::new();
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    cabinctl::run(words, &mut "".as_bytes(), &mut out).map_err(|error| format!("{error:#}"))?;
    Ok(String::from_utf8(out).unwrap())
}

fn bind_all(cabin: &Cabin, dir: &Path) {
    for (name, model) in NAMES {
        cabin.ctl(&["device", "bind", name, model, &dir.join(name).display().to_string()], "").unwrap();
    }
}

#[test]
fn every_model_is_read_by_its_name_in_the_configuration() {
    let cabin = Cabin::new();
    let bench = Bench::start(&cabin.file("site"), &[]).unwrap();
    bind_all(&cabin, &cabin.file("site"));
    bench.simulator("cuff").unwrap().command("value speed=20").unwrap();
    bench.simulator("thermometer").unwrap().command("value auto=1").unwrap();
    for (name, expected) in [
        ("oximeter", "reading  SpO2 97 %  high quality"),
        ("cuff", "reading  pressure 122/79, mean 93 mmHg"),
        ("scale", "reading  height 172.5 cm"),
        ("thermometer", "reading  temperature 36.80 Cel  by its clock at"),
    ] {
        let printed = cabin.ctl(&["device", "read", name], "").unwrap();
        assert!(printed.contains(expected), "{printed}");
        assert!(printed.ends_with("finished\n"), "{printed}");
    }
    let listed = cabin.ctl(&["device", "list"], "").unwrap();
    assert_eq!(listed.matches("there: ").count(), 4, "{listed}");
}

#[test]
fn a_usb_device_without_a_serial_port_is_bound_by_its_vendor_and_product() {
    let cabin = Cabin::new();
    let printed =
        cabin.ctl(&["device", "bind", "thermometer", "thermometer_taidoc", "usb=10c4:ea80/00A1"], "").unwrap();
    assert!(printed.contains("usb 10c4:ea80/00A1") && printed.contains("nothing is plugged there now"), "{printed}");
    assert!(cabin.ctl(&["device", "list"], "").unwrap().contains("usb 10c4:ea80/00A1"));
    let error = cabin.ctl_failing(&["device", "bind", "thermometer", "thermometer_taidoc", "usb=10c4"]).1;
    assert!(error.contains("VENDOR:PRODUCT"), "{error}");
}

#[test]
fn a_port_that_is_misspelled_is_no_file_and_a_measurement_that_gives_nothing_fails_with_its_reason() {
    let cabin = Cabin::new();
    let error = cabin.ctl_failing(&["device", "bind", "oximeter", "oximeter_nonin", "id-path=pci-0"]).1;
    assert!(error.contains("id_path=") && error.contains("\"id-path\""), "{error}");

    let bench = Bench::start(&cabin.file("site"), &[]).unwrap();
    bind_all(&cabin, &cabin.file("site"));
    let cuff = bench.simulator("cuff").unwrap();
    cuff.command("value speed=20").unwrap();
    cuff.command("cuff leak").unwrap();
    let (printed, error) = cabin.ctl_failing(&["device", "read", "cuff"]);
    assert!(error.contains("nothing was measured") && error.contains("the cuff is too loose"), "{error}");
    assert!(printed.contains("absent   Cuff: ") && !printed.contains("finished"), "{printed}");

    let nowhere = cabin.file("no/such/folder.capture").display().to_string();
    let (printed, error) = cabin.ctl_failing(&["device", "record", "cuff", "--out", &nowhere]);
    assert!(error.contains("cannot be written") && printed.is_empty(), "{error} {printed}");
}

#[test]
fn cameras_and_stethoscope_are_bound_where_the_technicians_comments_stay() {
    let cabin = Cabin::new();
    let said = cabin.ctl(&["camera", "bind", "dermatoscope", "usb=2ce3:3828/00A1"], "").unwrap();
    assert!(said.contains("the dermatoscope is usb=2ce3:3828/00A1") && said.contains("nothing is plugged"), "{said}");
    cabin.ctl(&["camera", "bind", "otoscope", "/dev/v4l/by-id/usb-ear"], "").unwrap();
    cabin.ctl(&["sound", "bind", "hw:1,0"], "").unwrap();
    let text = cabin.text();
    for line in [
        "otoscope = \"/dev/v4l/by-id/usb-ear\"        # as cabinctl camera list shows them",
        "dermatoscope = \"usb=2ce3:3828/00A1\"",
        "stethoscope = \"hw:1,0\"     # as cabinctl sound list shows them",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let error = cabin.ctl_failing(&["camera", "bind", "endoscope", "usb=2ce3:3828"]).1;
    assert!(error.contains("otoscope, dermatoscope"), "{error}");
    let error = cabin.ctl_failing(&["camera", "bind", "otoscope", "usb=12"]).1;
    assert!(error.contains("usb=VENDOR:PRODUCT") && cabin.text() == text, "{error}");
}

#[test]
fn a_device_on_a_network_is_bound_and_read() {
    let cabin = Cabin::new();
    // A port that nobody listens on, as far as can be known.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let _sim = sim::Simulator::start_on_tcp("oximeter_phd", &address).unwrap();
    cabin.ctl(&["device", "bind", "oximeter", "oximeter_phd", &format!("tcp={address}")], "").unwrap();
    assert!(cabin.text().contains(&format!("tcp = \"{address}\"")));
    let printed = cabin.ctl(&["device", "read", "oximeter"], "").unwrap();
    assert!(printed.contains("reading  SpO2 97 %  serial DE124567  firmware 1.4.2"), "{printed}");
}

#[test]
fn every_model_that_the_cabin_knows_is_read_against_its_simulator() {
    let dir = TempDir::new().unwrap();
    // Those that are USB devices only are read in a guest, where there is USB (`usb_guest.rs`).
    for model in drivers::MODELS.iter().filter(|model| model.line.is_some()) {
        let port = dir.path().join(model.key);
        let simulator = sim::Simulator::start(model.key, &port).unwrap();
        // Quick where the device would take a minute, and somebody there where it waits for a person.
        let (orders, expected): (&[&str], _) = match model.key {
            "blood_pressure_suntech" => (&["value speed=20"], "reading  pressure 122/79, mean 93 mmHg"),
            "thermometer_taidoc" => (&["value auto=1"], "reading  temperature 36.80 Cel"),
            "blood_pressure_taidoc" => (&["value seconds=1"], "reading  pressure 122/79 mmHg"),
            "glucose_taidoc" => (&["value auto=1"], "reading  glucose 104 mg/dL"),
            "blood_pressure_phd" => (&["value auto=1"], "reading  pressure 122/79, mean 93 mmHg"),
            "thermometer_phd" => (&["value auto=1"], "reading  temperature 36.80 Cel"),
            "glucose_accu_chek" => (&["value auto=1"], "reading  glucose 104 mg/dL"),
            "glucose_phd" => (&["value auto=1"], "reading  glucose 104 mg/dL"),
            "scale_phd" => (&["value auto=1"], "reading  height 172.5 cm"),
            "scale_tanita" => (&["step on"], "reading  height 172.5 cm"),
            _ if model.measurement == consult::vitals::Measurement::OxygenAndPulse => (&[], "reading  SpO2 97 %"),
            "ecg_contec_ecg90a" => (&["value auto=2"], "recorded 10 s of II III V1 V2 V3 V4 V5 V6 at 800 Hz"),
            "ecg_pc80b" => (&["value auto=2"], "recorded 10 s of I at 150 Hz"),
            "ecg_healthypi5" => (&[], "recorded 10 s of I at 128 Hz"),
            "ecg_cyton" => (&[], "recorded 10 s of I II V1 V2 V3 V4 V5 V6 at 250 Hz"),
            _ => (&[], "reading  weight 70.300 kg"),
        };
        orders.iter().for_each(|order| drop(simulator.command(order).unwrap()));
        let port = port.display().to_string();
        let printed = plain(&["device", "read", "--model", model.key, "--port", &port]).unwrap();
        assert!(printed.contains(expected) && printed.ends_with("finished\n"), "{}: {printed}", model.key);
    }
}

/// The configuration without instruments and fixtures.
fn without_fittings(text: &str) -> String {
    let sections = ["card_reader", "instruments", "light", "door", "presence", "scanner", "receipt_printer"];
    let is_section = |line: &str| line.starts_with('[').then(|| line.trim_matches(['[', ']']).to_owned());
    let mut leaves_out = false;
    let kept = text.lines().filter(|line| {
        let head = line.split('#').next().unwrap_or_default().trim();
        leaves_out = is_section(head).map_or(leaves_out, |section| sections.contains(&section.as_str()));
        !leaves_out
    });
    kept.collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn the_morning_check_opens_cameras_and_stethoscope_and_names_each_fixture_that_is_not_there() {
    let cabin = Cabin::new();
    let _bench = Bench::start(&cabin.file("site"), &[]).unwrap();
    bind_all(&cabin, &cabin.file("site"));
    let text = cabin.text().replace("stethoscope = \"usb=0d8c:0014\"", "stethoscope = \"test\"");
    let text = text.replace("host = \"192.168.1.40:9100\"", "host = \"127.0.0.1:9\"");
    std::fs::write(cabin.file("cabin.toml"), text).unwrap();
    let begun = std::time::Instant::now();
    let (printed, _) = cabin.ctl_failing(&["device", "check"]);
    for good in ["oximeter", "cuff", "scale", "thermometer", "stethoscope"] {
        assert!(printed.contains(&format!("\ngood   {good} ")), "{good}: {printed}");
    }
    for wrong in ["otoscope", "light", "presence", "scanner", "receipt_printer"] {
        assert!(printed.contains(&format!("\nWRONG  {wrong} ")), "{wrong}: {printed}");
    }
    assert!(printed.contains("gives sound"), "{printed}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(12), "all at the same time: {:?}", begun.elapsed());
}

#[test]
fn the_morning_check_names_the_device_that_must_be_looked_after_and_starts_none() {
    let cabin = Cabin::new();
    let bench = Bench::start(&cabin.file("site"), &[]).unwrap();
    bind_all(&cabin, &cabin.file("site"));
    std::fs::write(cabin.file("cabin.toml"), without_fittings(&cabin.text())).unwrap();
    let printed = cabin.ctl(&["device", "check"], "").unwrap();
    assert!(printed.contains("all 4 devices are good") && printed.contains("UTC, "), "{printed}");
    assert_eq!(printed.matches("\ngood ").count(), 4, "{printed}");

    bench.simulator("scale").unwrap().command("unplug").unwrap();
    bench.simulator("oximeter").unwrap().command("silent on").unwrap();
    let (printed, error) = cabin.ctl_failing(&["device", "check"]);
    assert!(error.contains("2 of 4 devices must be looked after"), "{error}");
    assert!(printed.contains("WRONG  scale") && printed.contains("check the cable"), "{printed}");
    assert!(printed.contains("WRONG  oximeter") && printed.contains("is it switched on"), "{printed}");

    bench.simulator("scale").unwrap().command("plug").unwrap();
    let taken = cabin.file("site/cuff");
    let (sender, messages) = std::sync::mpsc::sync_channel(drivers::ports::MESSAGES_MAX);
    let binding = drivers::ports::Binding {
        name: "cuff".into(),
        model: drivers::model("blood_pressure_suntech").unwrap(),
        address: drivers::ports::Address::Path(taken),
    };
    let _held = drivers::ports::Port::open(binding, sender).unwrap();
    assert!(messages.iter().any(|message| matches!(message.event, drivers::ports::PortEvent::Opened { .. })));
    let (printed, _) = cabin.ctl_failing(&["device", "check"]);
    assert!(printed.contains("WRONG  cuff") && printed.contains("its port is taken"), "{printed}");
}

#[test]
fn a_device_is_read_and_recorded_without_a_configuration() {
    let dir = TempDir::new().unwrap();
    let port = dir.path().join("scale");
    let _sim = sim::Simulator::start("scale_health_o_meter", &port).unwrap();
    let out = dir.path().join("scale.capture").display().to_string();
    let port = port.display().to_string();
    let words = ["device", "record", "--model", "scale_health_o_meter", "--port", &port, "--out", &out];
    let printed = plain(&words).unwrap();
    assert!(printed.contains("weight 70.300 kg"), "{printed}");
    let capture = drivers::capture::Capture::parse(&std::fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(capture.field("model"), Some("scale_health_o_meter"));
    assert!(plain(&words).unwrap_err().contains("is there already"));
}

#[test]
fn a_device_that_remembers_others_is_recorded_only_by_whoever_says_so() {
    let dir = TempDir::new().unwrap();
    let port = dir.path().join("thermometer");
    let _sim = sim::Simulator::start("thermometer_taidoc", &port).unwrap();
    let out = dir.path().join("thermometer.capture").display().to_string();
    let port = port.display().to_string();
    let words = ["device", "record", "--model", "thermometer_taidoc", "--port", &port, "--out", &out];
    let error = plain(&words).unwrap_err();
    assert!(error.contains("keeps what it measured of others") && error.contains("--with-others"), "{error}");
    assert!(!std::path::Path::new(&out).exists(), "nothing was opened");
    let kept = ["oximeter_contec", "oximeter_bci", "oximeter_taidoc", "blood_pressure_suntech", "ecg_cyton"];
    for model in drivers::MODELS {
        let is_known = model.tells_of_others() != kept.contains(&model.key);
        let is_scale_or_ecg = model.key.starts_with("scale_") && !model.key.ends_with("_phd");
        assert!(is_known || is_scale_or_ecg || model.key == "ecg_healthypi5", "{}: has it a memory?", model.key);
    }
}

#[test]
fn binding_keeps_the_technicians_comments_and_replaces_by_name() {
    let cabin = Cabin::new();
    let printed = cabin.ctl(&["device", "bind", "cuff", "blood_pressure_suntech", "serial=ZZ9"], "").unwrap();
    assert!(printed.contains("serial ZZ9") && printed.contains("nothing is plugged there now"), "{printed}");
    let text = cabin.text();
    assert!(text.contains("serial = \"ZZ9\"") && !text.contains("AB0JQ3YL"), "{text}");
    assert!(text.contains("# Read out to the rescue") && text.contains("# One table a device."), "{text}");
    assert_eq!(config::Config::load(cabin.file("cabin.toml")).unwrap().devices.len(), 4);
}

#[test]
fn a_binding_that_cannot_be_leaves_the_file_as_it_was() {
    let cabin = Cabin::new();
    let taken = "id_path=pci-0000:00:14.0-usb-0:1:1.0";
    let error = cabin.ctl(&["device", "bind", "second", "oximeter_nonin", taken], "").unwrap_err();
    assert!(error.contains("left as it was") && error.contains("bound to \"oximeter\""), "{error}");
    let error = cabin.ctl(&["device", "bind", "x", "toaster", "/dev/ttyS0"], "").unwrap_err();
    assert!(error.contains("there are: oximeter_nonin"), "{error}");
    assert_eq!(cabin.text(), CONFIG);
}

#[test]
fn a_pharmacist_is_added_with_a_hash_and_never_the_pin() {
    let cabin = Cabin::new();
    let printed = cabin.ctl(&["pharmacist", "add", "Zoë Le Goff"], "739154\n").unwrap();
    assert!(printed.contains("zoe-le-goff") && !printed.contains("739154"), "{printed}");
    assert!(!cabin.text().contains("739154"));
    let config = config::Config::load(cabin.file("cabin.toml")).unwrap();
    assert_eq!(config.pharmacists.len(), 2);
    let first = config.pharmacists[1].pin_hash.clone();
    let error = cabin.ctl(&["pharmacist", "add", "Zoë Le Goff"], "739154\n").unwrap_err();
    assert!(error.contains("--replace"), "{error}");
    cabin.ctl(&["pharmacist", "add", "Zoë Le Goff", "--replace"], "620481\n").unwrap();
    let config = config::Config::load(cabin.file("cabin.toml")).unwrap();
    assert_eq!(config.pharmacists.len(), 2);
    assert_ne!(config.pharmacists[1].pin_hash, first);
    let error = cabin.ctl(&["pharmacist", "add", "Other"], "1234\n").unwrap_err();
    assert!(error.contains("6 to 12 digits"), "{error}");
}

#[test]
fn the_check_names_the_line_of_a_mistake() {
    let cabin = Cabin::new();
    assert!(plain(&["config", "check", &cabin.config()]).unwrap().contains("good. Pharmacie des Halles, 4 devices"));
    let wrong = CONFIG.replace("model = \"oximeter_nonin\"", "model = \"oximeter_nonsense\"");
    std::fs::write(cabin.file("cabin.toml"), wrong).unwrap();
    let error = plain(&["config", "check", &cabin.config()]).unwrap_err();
    assert!(error.contains("cabin.toml:") && error.contains("one of oximeter_nonin, oximeter_contec, "), "{error}");
}

#[test]
fn a_device_that_is_not_there_and_a_wrong_command_say_what_to_do() {
    let error = plain(&["device", "reed"]).unwrap_err();
    assert!(error.contains("cabinctl device read NAME"), "{error}");
    let error = plain(&["device", "list", "--confg", "x"]).unwrap_err();
    assert!(error.contains("no option --confg here"), "{error}");
    let error = Cabin::new().ctl(&["device", "read", "lamp"], "").unwrap_err();
    assert!(error.contains("there are: oximeter, cuff, scale, thermometer"), "{error}");
    let error = Cabin::new().ctl(&["outbox", "status"], "").unwrap_err();
    assert!(error.contains("cabin-outbox at /run/cabin/outbox.sock"), "{error}");
}

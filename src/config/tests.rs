use super::*;

const EXAMPLE: &str = include_str!("example.toml");

fn parse(text: &str) -> Result<Config, ConfigMistakes> {
    Config::parse(text, Path::new("/etc/cabin/cabin.toml"))
}

/// The mistakes of the example with one text replaced by another.
fn mistakes(from: &str, to: &str) -> Vec<Mistake> {
    assert!(EXAMPLE.contains(from), "{from}");
    parse(&EXAMPLE.replacen(from, to, 1)).expect_err(to).mistakes
}

fn line_of(text: &str) -> usize {
    1 + EXAMPLE.lines().position(|line| line.contains(text)).unwrap()
}

#[test]
fn the_example_is_a_configuration() {
    let config = parse(EXAMPLE).unwrap();
    assert_eq!(config.site.address.len(), 3);
    assert_eq!(config.devices.len(), 4);
    assert_eq!(config.devices[1].port, DevicePort::Serial("AB0JQ3YL".into()));
    assert_eq!(config.devices[3].port, DevicePort::Path("/dev/ttyS0".into()));
    assert_eq!(config.inactivity.warn_after, Duration::from_secs(90));
}

#[test]
fn what_may_be_absent_has_a_default() {
    let short = "[site]\nname='a'\nkind='town_hall'\naddress=['b']\ntown='c'\n\
                 [desk]\nurl='http://127.0.0.1:8080/'\nca_file='k/ca.pem'\n[outbox]\nsocket='s'\n[data]\ndir='d'\n";
    let config = parse(short).unwrap();
    assert_eq!(config.desk.url, "http://127.0.0.1:8080");
    assert_eq!(config.desk.come_back_hours, 48, "two days to come back");
    assert!(config.desk.second_opinion, "offered unless the site says that no specialist answers");
    assert!(config.desk.call_back, "offered unless the site says that nobody rings back");
    assert_eq!(config.desk.ca_file.as_deref(), Some(Path::new("/etc/cabin/k/ca.pem")), "relative to the file");
    assert_eq!((config.printer, config.fixtures), (None, Fixtures::default()));
    assert_eq!(config.media.camera, Source::Auto);
    assert_eq!(config.media.picture, PictureSize { width: 640, height: 480 });
    assert_eq!(config.inactivity.pharmacist_after, Duration::from_secs(120));
    assert!(config.devices.is_empty() && config.pharmacists.is_empty());
}

#[test]
fn a_scanner_is_a_line_a_camera_or_both() {
    let line = "id_path = \"pci-0000:00:14.0-usb-0:5:1.0\"\n";
    let scanner = |with: &str| parse(&EXAMPLE.replacen(line, with, 1)).map(|config| config.fixtures.scanner.unwrap());
    let both = scanner(&format!("{line}camera = \"usb=046d:0825\"\n")).unwrap();
    assert_eq!((both.port.is_some(), both.camera.as_deref()), (true, Some("usb=046d:0825")));
    let camera = scanner("camera = \"/dev/video2\"\n").unwrap();
    assert_eq!((camera.port, camera.camera.as_deref()), (None, Some("/dev/video2")));
    let none = scanner("").expect_err("neither").mistakes;
    assert_eq!(none[0].key, "scanner.port");
    assert_eq!(scanner("camera = \"usb=webcam\"\n").expect_err("no camera").mistakes[0].key, "scanner.camera");
}

#[test]
fn a_mistake_names_its_line_and_what_is_expected() {
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0NTY$q83vq83vq83vq83vq83vq83vq83vq83vq83vq83vq80";
    let cases: &[(&str, &str, &str, &str)] = &[
        ("kind = \"pharmacy\"", "kind = \"shop\"", "site.kind", "one of \"pharmacy\", \"town_hall\""),
        ("town = \"Angers\"", "town = 49", "site.town", "in quotes; this is of type integer"),
        ("address = [\"12", "address = [12, \"12", "site.address", "in quotes"),
        ("\"490012345\"", "\"49001234\"", "site.finess", "9 characters"),
        ("https://desk.example.org", "http://desk.example.org", "desk.url", "http:// on loopback only"),
        ("https://desk.example.org", "https://desk example", "desk.url", "https://"),
        ("stun:stun.example.org:3478", "stun.example.org", "call.stun", "stun:host:port"),
        ("width = 1920", "width = \"wide\"", "screen.width", "a whole number from 640 to 8192"),
        ("[printer]", "[fhir]\nurl = \"desk\"\n[printer]", "fhir", "unknown here; known are call, card_reader"),
        ("kiosk = true", "kiosk = \"yes\"", "screen.kiosk", "true or false, without quotes"),
        ("name = \"cuff\"", "name = \"oximeter\"", "device.name", "another name: \"oximeter\" is taken"),
        ("ipp://localhost", "lp0//localhost", "printer.uri", "an IPP address"),
        (hash, "123456", "pharmacist.pin_hash", "never the PIN itself"),
        ("name = \"any\"", "name = 5", "card_reader.name", "in quotes"),
        ("\"27b8:01ed\"", "\"blink\"", "light.usb", "27b8:01ed"),
        ("line = \"cts\"", "line = \"rts\"", "door.line", "one of \"cts\", \"dsr\""),
        ("closed_when = \"up\"", "closed_when = true", "door.closed_when", "\"down\", in quotes"),
        ("within_cm = 200", "within_cm = 2", "presence.within_cm", "from 30 to 600"),
        ("takes_tests = false", "takes_tests = \"no\"", "scanner.takes_tests", "true or false"),
        ("paper = \"80mm\"", "paper = 80", "receipt_printer.paper", "one of \"80mm\", \"58mm\""),
        ("192.168.1.40:9100", "192.168.1.40:port", "receipt_printer.host", "host or host:port"),
        ("hold_seconds = 15", "hold = 15", "presence.hold", "known are hold_seconds"),
        ("warn_after_seconds = 90", "warn_after_seconds = 5", "inactivity.warn_after_seconds", "from 10 to 3600"),
        ("camera = \"auto\"", "camara = \"auto\"", "media.camara", "known are camera, microphone, picture, speaker"),
    ];
    for (from, to, key, expected) in cases {
        let mistakes = mistakes(from, to);
        assert_eq!(mistakes.len(), 1, "{to}: {mistakes:?}");
        assert_eq!(mistakes[0].key, *key, "{to}");
        assert!(mistakes[0].expected.contains(expected), "{to}: {}", mistakes[0].expected);
        assert_eq!(mistakes[0].line, line_of(from), "{to}");
    }
}

#[test]
fn a_pin_typed_by_mistake_is_not_repeated() {
    let hash = EXAMPLE.lines().find_map(|line| line.strip_prefix("pin_hash = ")).unwrap();
    let error = parse(&EXAMPLE.replace(hash, "\"739154\"")).unwrap_err();
    assert!(!error.to_string().contains("739154"), "{error}");
}

#[test]
fn a_missing_table_or_field_is_named() {
    let mistakes = mistakes("[outbox]\nsocket = \"/run/cabin/outbox.sock\"\n", "");
    assert_eq!(mistakes[0].key, "outbox.socket");
    assert!(mistakes[0].expected.starts_with("missing: "));
}

#[test]
fn a_device_has_exactly_one_port() {
    let none = mistakes("path = \"/dev/ttyS0\"\n", "");
    assert!(none[0].expected.contains("exactly one of id_path, serial, path, usb, tcp; there are 0"), "{none:?}");
    let two = mistakes("path = \"/dev/ttyS0\"", "path = \"/dev/ttyS0\"\nserial = \"x\"");
    assert!(two[0].expected.contains("there are 2"), "{two:?}");
    let same = mistakes("id_path = \"pci-0000:00:14.0-usb-0:3:1.0\"", "id_path = \"pci-0000:00:14.0-usb-0:1:1.0\"");
    assert!(same[0].expected.contains("bound to \"oximeter\""), "{same:?}");
}

#[test]
fn a_fixture_has_one_port_and_it_is_no_devices() {
    let none = mistakes("path = \"/dev/ttyS1\"", "");
    assert_eq!(none[0].key, "door.port");
    assert!(none[0].expected.contains("there are 0"), "{none:?}");
    let same = mistakes("path = \"/dev/ttyS1\"", "path = \"/dev/ttyS0\"");
    assert!(same[0].expected.contains("bound to \"thermometer\""), "{same:?}");
    let same = mistakes("id_path = \"pci-0000:00:14.0-usb-0:4:1.0\"", "path = \"/dev/ttyS1\"");
    assert!(same[0].key == "presence.port" && same[0].expected.contains("bound to \"door\""), "{same:?}");
}

#[test]
fn a_usb_device_is_bound_by_what_the_list_shows() {
    for usb in ["10c4:ea80", "10c4:ea80/00A1B2C3", "10C4:EA80@1-2.4"] {
        let config = parse(&EXAMPLE.replace("path = \"/dev/ttyS0\"", &format!("usb = \"{usb}\""))).unwrap();
        assert_eq!(config.devices[3].port, DevicePort::Usb(usb.into()));
    }
    for usb in ["10c4", "10c4:ea8", "10c4:+a80", "10c4:ea80/"] {
        let mistakes = mistakes("path = \"/dev/ttyS0\"", &format!("usb = \"{usb}\""));
        assert!(mistakes[0].expected.contains("VENDOR:PRODUCT"), "{usb}: {mistakes:?}");
    }
}

#[test]
fn broken_toml_is_a_mistake_with_its_line() {
    let mistakes = mistakes("town = \"Angers\"", "town = \"Angers");
    assert_eq!(mistakes[0].line, line_of("town ="));
}

#[test]
fn every_mistake_is_found_in_one_reading() {
    let text = EXAMPLE.replace("kind = \"pharmacy\"", "kind = 1").replace("kiosk = true", "kiosk = 1");
    let error = parse(&text).unwrap_err();
    assert_eq!(error.mistakes.len(), 2);
    let shown = error.to_string();
    let first = format!("/etc/cabin/cabin.toml:{}: site.kind: one of", line_of("kind ="));
    assert!(shown.starts_with(&first), "{shown}");
    assert_eq!(shown.lines().count(), 2);
}

#[test]
fn an_unknown_model_is_a_mistake_on_its_devices_line() {
    let config = parse(EXAMPLE).unwrap();
    let file = Path::new("cabin.toml");
    assert!(config.check_models(file, &["oximeter_nonin"]).is_err());
    let known = ["oximeter_nonin", "blood_pressure_suntech", "scale_health_o_meter", "thermometer_taidoc"];
    config.check_models(file, &known).unwrap();
    let error = config.check_models(file, &known[..3]).unwrap_err();
    let expected = line_of("name = \"thermometer\"");
    assert!((expected - 1..=expected).contains(&error.mistakes[0].line), "{error}");
}

#[test]
fn a_missing_file_says_so() {
    let error = Config::load("/nonexistent/cabin.toml").unwrap_err();
    assert!(error.to_string().starts_with("/nonexistent/cabin.toml: file: a readable file"), "{error}");
}

#[test]
fn no_text_makes_the_reader_panic() {
    let mut seed = 0x1234_5678_9ABC_DEF0u64;
    for round in 0..2_000 {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        for _ in 0..1 + round % 8 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let at = (seed >> 33) as usize % bytes.len();
            match seed & 3 {
                0 => bytes[at] = (seed >> 8) as u8,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, b"[]={}\"'\n#.$0a"[(seed >> 20) as usize % 13]),
                _ => bytes.truncate(at.max(1)),
            }
        }
        if let Err(error) = parse(&String::from_utf8_lossy(&bytes)) {
            assert!(!error.mistakes.is_empty());
        }
    }
}

#[test]
fn a_picture_has_an_even_size_that_a_camera_can_have() {
    let sized = |size: &str| parse(&EXAMPLE.replacen("picture = \"640x480\"", &format!("picture = \"{size}\""), 1));
    assert_eq!(sized("1280x720").unwrap().media.picture, PictureSize { width: 1_280, height: 720 });
    for wrong in ["1280", "1281x720", "0x0", "640x481", "1920x1082", "-640x480", "640 x 480"] {
        let error = sized(wrong).unwrap_err().to_string();
        assert!(error.contains("picture") && error.contains("1280x720"), "{wrong}: {error}");
    }
}

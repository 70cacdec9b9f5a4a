//! Each section of the file, field by field: what may stand there, and what is said when something else does.

use std::path::Path;
use std::time::Duration;

use toml::de::DeTable;

use crate::fixtures;
use crate::reader::{Notes, Table};
use crate::{
    Call, Config, DEVICES_MAX, Desk, Device, DevicePort, Inactivity, Instruments, Language, Media, PHARMACISTS_MAX,
    Pharmacist, PictureSize, RELAYS_MAX, Screen, Site, SiteKind, Source, Turn,
};

/// Longest wait for a touch, seconds.
const SECONDS_MAX: u32 = 3600;
/// Longest time for a patient to come back, hours.
const COME_BACK_HOURS_MAX: u32 = 168;
/// Shortest time to answer the warning, seconds: the journey refuses less (`consult::journey::WARNING_MS_MIN`; WCAG 2.2,
/// criterion 2.2.1: at least 20 seconds).
const FORGET_SECONDS_MIN: u32 = 20;

/// `None` only when a mistake was noted.
pub(crate) fn read(table: &toml::Spanned<DeTable<'_>>, folder: &Path, notes: &mut Notes<'_>) -> Option<Config> {
    let mut root = Table::root(table);
    let path = |text: &str| Some(folder.join(text));

    let site = site(root.table("site", notes), notes);

    let mut t = root.table("desk", notes);
    let desk_url = t.required("url", "the desk's address, https://… (http:// on loopback only)", notes, web_address);
    let ca_file = t.optional("ca_file", "a PEM file", notes, path);
    let call_back = t.flag("call_back", true, notes);
    let second_opinion = t.flag("second_opinion", true, notes);
    let come_back_hours = t.number("come_back_hours", 0..COME_BACK_HOURS_MAX + 1, 48, notes);
    t.end(notes);

    let call = call(root.table("call", notes), folder, notes);

    let mut devices = Vec::new();
    for t in root.tables("device", DEVICES_MAX, notes) {
        devices.extend(device(t, folder, &devices, notes));
    }

    let mut t = root.table("media", notes);
    let expected = "\"auto\", \"test\", \"off\" or the name of a device";
    let mut source = |field| t.optional(field, expected, notes, a_source).unwrap_or(Source::Auto);
    let (camera_source, microphone, speaker) = (source("camera"), source("microphone"), source("speaker"));
    let picture = t.optional("picture", A_SIZE, notes, a_size).unwrap_or(PictureSize { width: 640, height: 480 });
    let media = Media { camera: camera_source, microphone, speaker, picture };
    t.end(notes);

    let fixtures = fixtures::read(&mut root, folder, &devices, notes);

    let mut t = root.table("instruments", notes);
    let mut instrument = |field| t.optional(field, A_CAMERA, notes, camera);
    let instruments = Instruments {
        otoscope: instrument("otoscope"),
        dermatoscope: instrument("dermatoscope"),
        stethoscope: instrument("stethoscope"),
    };
    t.end(notes);

    let mut t = root.table("printer", notes);
    let printer = t.optional("uri", "an IPP address, ipp://host:631/path or ipps://…", notes, |text| {
        ["ipp://", "ipps://"]
            .iter()
            .any(|s| text.strip_prefix(s).is_some_and(|rest| host(rest).is_some()))
            .then(|| text.to_owned())
    });
    t.end(notes);

    let mut t = root.table("screen", notes);
    let screen = Screen {
        width: t.number("width", 640..8193, 1920, notes),
        height: t.number("height", 480..8193, 1080, notes),
        kiosk: t.flag("kiosk", false, notes),
    };
    t.end(notes);

    let mut pharmacists = Vec::new();
    for t in root.tables("pharmacist", PHARMACISTS_MAX, notes) {
        pharmacists.extend(pharmacist(t, &pharmacists, notes));
    }

    let mut t = root.table("inactivity", notes);
    let mut seconds =
        |field, least, default| Duration::from_secs(t.number(field, least..SECONDS_MAX + 1, default, notes).into());
    let inactivity = Inactivity {
        warn_after: seconds("warn_after_seconds", 10, 90),
        forget_after: seconds("forget_after_seconds", FORGET_SECONDS_MIN, 45),
        pharmacist_after: seconds("pharmacist_after_seconds", 10, 120),
    };
    t.end(notes);

    let mut t = root.table("outbox", notes);
    let outbox_socket = t.required("socket", "the socket of cabin-outbox", notes, path);
    t.end(notes);
    let mut t = root.table("data", notes);
    let data_dir = t.required("dir", "a folder that the cabin may write", notes, path);
    t.end(notes);
    root.end(notes);

    Some(Config {
        site: site?,
        desk: Desk {
            url: desk_url?,
            ca_file,
            call_back,
            second_opinion,
            come_back_hours: u16::try_from(come_back_hours).unwrap_or(0),
        },
        call,
        devices,
        media,
        fixtures,
        instruments,
        printer,
        screen,
        pharmacists,
        inactivity,
        outbox_socket: outbox_socket?,
        data_dir: data_dir?,
    })
}

fn site(mut t: Table<'_, '_>, notes: &mut Notes<'_>) -> Option<Site> {
    let name = t.required("name", "the name that patients know", notes, any);
    let kinds = [
        ("pharmacy", SiteKind::Pharmacy),
        ("town_hall", SiteKind::TownHall),
        ("health_centre", SiteKind::HealthCentre),
        ("care_home", SiteKind::CareHome),
        ("mobile", SiteKind::Mobile),
    ];
    let kind = t.one_of("kind", &kinds, None, notes);
    let address = t.list("address", "a line of the address that the rescue is told", 6, notes, |_| true);
    if address.is_empty() {
        let at = t.at_field("address");
        notes.note(at, "site.address", "the lines that the rescue is told: [\"12 rue des Halles\", \"49000 Angers\"]");
    }
    let town = t.required("town", "the town's name", notes, any);
    let finess = t.optional("finess", "9 characters, digits (2A or 2B for Corsica)", notes, |text| {
        let plain = text.len() == 9 && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'A' | b'B'));
        plain.then(|| text.to_owned())
    });
    let languages = [("fr", Language::French), ("en", Language::English)];
    let language = t.one_of("language", &languages, Some(Language::French), notes);
    t.end(notes);
    Some(Site { name: name?, kind: kind?, address, town: town?, finess, language: language? })
}

fn call(mut t: Table<'_, '_>, folder: &Path, notes: &mut Notes<'_>) -> Call {
    let relay = |text: &str, schemes: &[&str]| {
        schemes.iter().any(|s| text.strip_prefix(s).and_then(|rest| host(rest)).is_some()).then(|| text.to_owned())
    };
    let relays_only = t.flag("relays_only", false, notes);
    let stun = t.list("stun", "stun:host:port", RELAYS_MAX, notes, |text| relay(text, &["stun:", "stuns:"]).is_some());
    let mut turn = Vec::new();
    for mut t in t.tables("turn", RELAYS_MAX, notes) {
        let url = t.required("url", "turn:host:port, turn:host:port?transport=tcp or turns:host:port", notes, |text| {
            relay(text, &["turn:", "turns:"])
        });
        let username = t.required("username", "the account at the TURN server", notes, any);
        let password_file =
            t.required("password_file", "a file with the account's password", notes, |text| Some(folder.join(text)));
        t.end(notes);
        if let (Some(url), Some(username), Some(password_file)) = (url, username, password_file) {
            turn.push(Turn { url, username, password_file });
        }
    }
    let ca_file = t.optional("ca_file", "a PEM file", notes, |text| Some(folder.join(text)));
    t.end(notes);
    Call { relays_only, stun, turn, ca_file }
}

fn device(mut t: Table<'_, '_>, folder: &Path, before: &[Device], notes: &mut Notes<'_>) -> Option<Device> {
    let line = t.line(notes);
    let name = t.required("name", "a name: small letters, digits, - and _", notes, a_name);
    let model = t.required("model", "a model's key (cabinctl device list shows them)", notes, a_name);
    if let Some(name) = &name
        && before.iter().any(|device| &device.name == name)
    {
        let at = t.at_field("name");
        notes.note(at, "device.name", format!("another name: {name:?} is taken"));
    }
    let taken: Vec<_> = before.iter().map(|device| (device.name.clone(), device.port.clone())).collect();
    let port = port(&mut t, "device", folder, &taken, notes);
    t.end(notes);
    Some(Device { name: name?, model: model?, port: port?, line })
}

/// Where something is plugged: exactly one of four, and no other's.
pub(crate) fn port(
    t: &mut Table<'_, '_>,
    of: &str,
    folder: &Path,
    taken: &[(String, DevicePort)],
    notes: &mut Notes<'_>,
) -> Option<DevicePort> {
    let expected = "text as cabinctl device list shows it";
    let ports = [
        t.optional("id_path", expected, notes, |text| Some(DevicePort::IdPath(text.to_owned()))),
        t.optional("serial", expected, notes, |text| Some(DevicePort::Serial(text.to_owned()))),
        t.optional("path", "the file of a port, e.g. /dev/ttyS0, or the folder of a recorder", notes, |text| {
            Some(DevicePort::Path(folder.join(text)))
        }),
        t.optional("usb", "VENDOR:PRODUCT as cabinctl device list shows it, e.g. 10c4:ea80", notes, |text| {
            a_usb(text).map(DevicePort::Usb)
        }),
        t.optional("tcp", "host:port", notes, |text| {
            host(text).filter(|_| text.contains(':')).map(|_| DevicePort::Tcp(text.to_owned()))
        }),
    ];
    let key = format!("{of}.port");
    let given = PORT_KEYS.into_iter().filter(|key| t.has(key)).count();
    if given != 1 {
        notes.note(t.at(), key.clone(), format!("exactly one of id_path, serial, path, usb, tcp; there are {given}"));
    }
    let port = ports.into_iter().flatten().next()?;
    if let Some((other, _)) = taken.iter().find(|(_, taken)| *taken == port) {
        notes.note(t.at(), key, format!("another port: this one is bound to {other:?}"));
    }
    Some(port)
}

/// How a port is named.
pub(crate) const PORT_KEYS: [&str; 5] = ["id_path", "serial", "path", "usb", "tcp"];

const A_SIZE: &str = "\"640x480\", \"1280x720\", or another even size from 160x120 to 1920x1080";

fn a_size(text: &str) -> Option<PictureSize> {
    let (width, height) = text.split_once('x')?;
    let size = PictureSize { width: width.parse().ok()?, height: height.parse().ok()? };
    let fits = (160..=1_920).contains(&size.width) && (120..=1_080).contains(&size.height);
    (fits && size.width.is_multiple_of(2) && size.height.is_multiple_of(2)).then_some(size)
}

/// What names a camera or a microphone.
pub(crate) const A_CAMERA: &str =
    "\"test\", a file or ALSA name, or usb=VENDOR:PRODUCT as cabinctl camera list shows it";

pub(crate) fn camera(text: &str) -> Option<String> {
    text.strip_prefix("usb=").is_none_or(is_usb).then(|| any(text)).flatten()
}

pub(crate) fn a_usb(text: &str) -> Option<String> {
    is_usb(text).then(|| text.to_owned())
}

/// Four hexadecimal digits, twice; then nothing, or `/` or `@` and a name.
fn is_usb(text: &str) -> bool {
    let is_hex = |text: &str| text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (identity, name) = text.split_at(text.find(['/', '@']).unwrap_or(text.len()));
    identity.split_once(':').is_some_and(|(vendor, product)| is_hex(vendor) && is_hex(product)) && name.len() != 1
}

fn pharmacist(mut t: Table<'_, '_>, before: &[Pharmacist], notes: &mut Notes<'_>) -> Option<Pharmacist> {
    let id = t.required("id", "a short name: small letters, digits, - and _", notes, a_name);
    let name = t.required("name", "the name shown", notes, any);
    let expected = "an argon2id hash, made by cabinctl pharmacist add (never the PIN itself)";
    let at = t.at_field("pin_hash");
    let pin_hash = match t.has("pin_hash") {
        // Not echoed: somebody may have typed the PIN there.
        true => t.optional("pin_hash", expected, notes, |text| Some(text.to_owned())).filter(|text| {
            let good = text.starts_with("$argon2id$") && text.split('$').count() == 6;
            if !good {
                notes.note(at, "pharmacist.pin_hash", expected);
            }
            good
        }),
        false => t.required("pin_hash", expected, notes, any),
    };
    if let Some(id) = &id
        && before.iter().any(|pharmacist| &pharmacist.id == id)
    {
        let at = t.at_field("id");
        notes.note(at, "pharmacist.id", format!("another id: {id:?} is taken"));
    }
    t.end(notes);
    Some(Pharmacist { id: id?, name: name?, pin_hash: pin_hash? })
}

pub(crate) fn any(text: &str) -> Option<String> {
    (!text.chars().any(char::is_control)).then(|| text.to_owned())
}

fn a_name(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    (text.len() <= 40 && text.bytes().all(plain)).then(|| text.to_owned())
}

fn a_source(text: &str) -> Option<Source> {
    Some(match text {
        "auto" => Source::Auto,
        "test" => Source::Test,
        "off" => Source::Off,
        name => Source::Named(any(name)?),
    })
}

/// `https://…`, or `http://…` to this machine only: what is said on a line in clear can be read on it.
fn web_address(text: &str) -> Option<String> {
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) || text.contains('@') {
        return None;
    }
    let good = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => host(rest).is_some(),
        (_, Some(rest)) => host(rest).is_some_and(is_loopback),
        _ => false,
    };
    good.then(|| text.trim_end_matches('/').to_owned())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

/// The host of `host[:port][/path]`, if it can be one.
pub(crate) fn host(rest: &str) -> Option<&str> {
    let authority = rest.split(['/', '?', '#']).next()?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => {
            let end = v6.find(']')?;
            v6[..end].parse::<std::net::Ipv6Addr>().ok()?;
            (&authority[..end + 2], authority[end + 2..].strip_prefix(':'))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let name = host.starts_with('[') || host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    let port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    (!host.is_empty() && name && port).then_some(host)
}

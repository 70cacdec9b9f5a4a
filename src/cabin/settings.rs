//! What the program is run with, taken from the configuration once it has been checked.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use config::Config;
use consult::communes::{self, Scope};
use consult::journey::Policy;
use consult::site::{DeviceClass, Site};
use consult::vitals::Measurement;
use drivers::fixtures::printer_escpos::Paper;
use drivers::ports::Binding;
use drivers::ports::fixtures::PrinterAddress;
use exam::{camera, sound};
use signal::{Code, Text};

use crate::{code_camera, instruments};

/// A pharmacist who may open the cabin.
#[derive(Clone, Debug)]
pub struct PharmacistEntry {
    /// Key.
    pub id: String,
    /// Name as shown.
    pub name: String,
    /// argon2id, PHC string.
    pub pin_hash: String,
}

/// Everything that the run loop needs to know before it starts.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file itself, which the technician's screen changes.
    pub file: PathBuf,
    /// The place, for the journey and the emergency screen.
    pub site: Site,
    /// The place, for the desk.
    pub enrol_site: signal::enrol::Site,
    /// The place, for the record.
    pub record_site: fhir::Site,
    /// What the place must have connected to open.
    pub compulsory: Vec<DeviceClass>,
    /// Durations of the journey. That of an unanswered call for help is R8's, and no setting.
    pub policy: Policy,
    /// The pharmacist's screens give way to the patient's without a touch for that long.
    pub pharmacist_after: Duration,
    /// Pharmacists.
    pub pharmacists: Vec<PharmacistEntry>,
    /// Devices.
    pub bindings: Vec<Binding>,
    /// Otoscope, dermatoscope, stethoscope.
    pub instruments: Vec<instruments::Setting>,
    /// Card reader, lamp, door, radar, scanner.
    pub fixtures: drivers::ports::fixtures::Settings,
    /// The camera to which a document's code is shown.
    pub code_camera: Option<code_camera::Setting>,
    /// Address of the desk, for the technician's screen; empty when there is none.
    pub desk_url: String,
    /// Whether a patient whom no physician can see may ask to be called back.
    pub call_back: bool,
    /// Whether the pharmacist may ask a specialist where no physician can be seen.
    pub second_opinion: bool,
    /// How long such a patient may come back with a code, hours; 0: it is not offered.
    pub come_back_hours: u16,
    /// Extra authority for the desk's certificate.
    pub desk_ca: Option<PathBuf>,
    /// Camera, microphone, loudspeaker, size of the picture.
    pub call: call::Settings,
    /// IPP address of the printer.
    pub printer: Option<String>,
    /// Where receipts are printed, and on what paper: of a cabin without a printer for whole pages.
    pub receipt_printer: Option<(PrinterAddress, Paper)>,
    /// The outbox's socket.
    pub outbox_socket: PathBuf,
    /// Keys and identity of the cabin.
    pub data_dir: PathBuf,
    /// Width and height of the window, px.
    pub window: (u32, u32),
    /// Fill the screen.
    pub kiosk: bool,
    /// Language of the screen before anybody chose one.
    pub language: String,
}

impl Settings {
    /// Reads the configuration.
    ///
    /// # Errors
    /// Every mistake of the file, each with its line and what is expected there.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let config = Config::load(path)?;
        let bindings: Result<Vec<_>, _> = config.devices.iter().map(wiring::binding).collect();
        let bindings = bindings.with_context(|| path.display().to_string())?;
        let instruments = instrument_settings(path, &config.instruments)?;
        let code_camera =
            config.fixtures.scanner.as_ref().and_then(|scanner| Some((scanner, scanner.camera.as_ref()?)));
        let code_camera = code_camera.map(|(scanner, text)| {
            let source = a_camera(path, "scanner.camera", text)?;
            anyhow::Ok(code_camera::Setting { source, accept: wiring::accept(scanner) })
        });
        let code_camera = code_camera.transpose()?;
        let fitted = bindings.iter().map(|binding| binding.model.measurement);
        let fitted = fitted.chain(instruments.iter().map(|instrument| instrument.measurement)).collect();
        let address = config.site.address.join(", ");
        let (postal_code, city) = postal_line(&config.site.address, &config.site.town);
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let usual = Policy::default();
        let policy = Policy {
            quiet_ms: ms(config.inactivity.warn_after),
            warning_ms: ms(config.inactivity.forget_after),
            long_warning_ms: usual.long_warning_ms.max(ms(config.inactivity.forget_after)),
            ..usual
        };
        let spared = spared(&instruments);
        let policy = policy.checked().with_context(|| format!("{}: [inactivity]", path.display()))?;
        Ok(Self {
            file: path.to_owned(),
            site: Site { name: config.site.name.clone(), address: address.clone(), fitted },
            enrol_site: signal::enrol::Site {
                name: Text::cut(&config.site.name),
                kind: Code::new(wire_kind(config.site.kind))?,
                address: Text::cut(&address),
                town: Text::cut(&config.site.town),
                insee: Text::cut(&insee(&config.site.town, &postal_code)),
                phone: Text::default(),
                finess: config.site.finess.as_deref().map(Text::cut),
            },
            record_site: fhir::Site {
                name: config.site.name.clone(),
                kind: record_kind(config.site.kind),
                finess: config.site.finess.clone(),
                street: config.site.address.first().cloned().unwrap_or_default(),
                postal_code,
                city,
            },
            compulsory: match config.site.kind {
                config::SiteKind::Pharmacy => DeviceClass::OF_A_PHARMACY.to_vec(),
                _ => Vec::new(),
            },
            policy,
            pharmacist_after: config.inactivity.pharmacist_after,
            pharmacists: config
                .pharmacists
                .iter()
                .map(|pharmacist| PharmacistEntry {
                    id: pharmacist.id.clone(),
                    name: pharmacist.name.clone(),
                    pin_hash: pharmacist.pin_hash.clone(),
                })
                .collect(),
            bindings,
            instruments,
            code_camera,
            fixtures: wiring::fixtures(&config).with_context(|| path.display().to_string())?,
            desk_url: config.desk.url.clone(),
            call_back: config.desk.call_back,
            second_opinion: config.desk.second_opinion,
            come_back_hours: config.desk.come_back_hours,
            desk_ca: config.desk.ca_file.clone(),
            call: call_settings(&config, spared)?,
            printer: config.printer.clone(),
            receipt_printer: config
                .fixtures
                .receipt_printer
                .as_ref()
                .map(wiring::receipt_printer)
                .transpose()
                .with_context(|| path.display().to_string())?,
            outbox_socket: config.outbox_socket.clone(),
            data_dir: config.data_dir.clone(),
            window: (config.screen.width, config.screen.height),
            kiosk: config.screen.kiosk,
            language: config.site.language.code().to_owned(),
        })
    }
}

/// The camera of a setting; a picture's file is beside the configuration.
fn a_camera(path: &Path, key: &str, text: &str) -> anyhow::Result<camera::Source> {
    let source = text.parse::<camera::Source>().with_context(|| format!("{}: {key}: {text}", path.display()))?;
    Ok(match source {
        camera::Source::Picture(file) => camera::Source::Picture(path.with_file_name(file)),
        source => source,
    })
}

fn instrument_settings(path: &Path, config: &config::Instruments) -> anyhow::Result<Vec<instruments::Setting>> {
    let cameras = [
        (Measurement::EarPicture, "otoscope", &config.otoscope),
        (Measurement::SkinPicture, "dermatoscope", &config.dermatoscope),
    ];
    let mut settings = Vec::new();
    for (measurement, name, text) in cameras {
        let Some(text) = text else { continue };
        let source = a_camera(path, &format!("instruments.{name}"), text)?;
        settings.push(instruments::Setting { measurement, source: instruments::Source::Camera(source) });
    }
    if let Some(text) = &config.stethoscope {
        let source = match text.as_str() {
            "test" => sound::Source::Test,
            text => sound::Source::Plugged(
                text.parse::<exam::Address>()
                    .with_context(|| format!("{}: instruments.stethoscope: {text}", path.display()))?,
            ),
        };
        let source = instruments::Source::Stethoscope(source);
        settings.push(instruments::Setting { measurement: Measurement::Auscultation, source });
    }
    Ok(settings)
}

fn wire_kind(kind: config::SiteKind) -> &'static str {
    match kind {
        config::SiteKind::Pharmacy => "pharmacy",
        config::SiteKind::TownHall => "town_hall",
        config::SiteKind::HealthCentre => "health_centre",
        config::SiteKind::CareHome => "care_home",
        config::SiteKind::Mobile => "other",
    }
}

fn record_kind(kind: config::SiteKind) -> fhir::SiteKind {
    match kind {
        config::SiteKind::Pharmacy => fhir::SiteKind::Pharmacy,
        config::SiteKind::TownHall => fhir::SiteKind::TownHall,
        // A mobile unit belongs to a health centre or a local authority; the first is the one with patients.
        config::SiteKind::HealthCentre | config::SiteKind::Mobile => fhir::SiteKind::HealthCentre,
        config::SiteKind::CareHome => fhir::SiteKind::NursingHome,
    }
}

/// The postal code and the town of an address: the line that begins with five digits.
fn postal_line(address: &[String], town: &str) -> (String, String) {
    address
        .iter()
        .find_map(|line| {
            let (code, city) = line.split_once(' ')?;
            (code.len() == 5 && code.bytes().all(|b| b.is_ascii_digit())).then(|| (code.to_owned(), city.to_owned()))
        })
        .unwrap_or_else(|| (String::new(), town.to_owned()))
}

/// The official code of the site's town; nothing when the list does not know it.
fn insee(town: &str, postal_code: &str) -> String {
    let found = if postal_code.is_empty() { Vec::new() } else { communes::search(postal_code, Scope::Towns, 40) };
    let same = found.iter().find(|place| place.name.eq_ignore_ascii_case(town));
    same.map(|place| place.cog.as_str().to_owned()).unwrap_or_default()
}

/// What an examination looks or listens with: a call never chooses it by itself.
fn spared(instruments: &[instruments::Setting]) -> call::Spared {
    let addresses = instruments.iter().filter_map(|instrument| match &instrument.source {
        instruments::Source::Camera(camera::Source::Plugged(address))
        | instruments::Source::Stethoscope(sound::Source::Plugged(address)) => Some(address.clone()),
        instruments::Source::Camera(camera::Source::Test(_) | camera::Source::Picture(_))
        | instruments::Source::Stethoscope(sound::Source::Test) => None,
    });
    let addresses: Vec<_> = addresses.collect();
    call::Spared::by(move || exam::files(&addresses))
}

/// What a picture of 30 a second may take at most, in bits a second: 1 Mbit/s for 640x480, in proportion to its pixels
/// and no more than 4.
fn picture_bits_per_second_max(size: config::PictureSize) -> u32 {
    (size.width * size.height / 307 * 1_000).clamp(500_000, 4_000_000)
}

fn call_settings(config: &Config, spared: call::Spared) -> anyhow::Result<call::Settings> {
    let mut ice_servers: Vec<_> = config
        .call
        .stun
        .iter()
        .map(|url| call::IceServer { urls: vec![url.clone()], username: String::new(), credential: String::new() })
        .collect();
    for turn in &config.call.turn {
        let credential = std::fs::read_to_string(&turn.password_file)
            .with_context(|| format!("{}: expected the TURN server's password", turn.password_file.display()))?;
        ice_servers.push(call::IceServer {
            urls: vec![turn.url.clone()],
            username: turn.username.clone(),
            credential: credential.trim().to_owned(),
        });
    }
    Ok(call::Settings {
        ice_servers,
        // The desk lends its own relays as a rule, and an authority that may sign the one may sign the others.
        authority_file: config.call.ca_file.clone().or_else(|| config.desk.ca_file.clone()),
        relays_only: config.call.relays_only,
        video_source: match &config.media.camera {
            config::Source::Auto => call::VideoSource::Auto,
            config::Source::Test => call::VideoSource::TestPicture,
            config::Source::Off => call::VideoSource::Off,
            config::Source::Named(name) => call::VideoSource::Device(name.clone()),
        },
        audio_source: match &config.media.microphone {
            config::Source::Auto => call::AudioSource::Auto,
            config::Source::Test => call::AudioSource::TestTone,
            config::Source::Off => call::AudioSource::Off,
            config::Source::Named(name) => call::AudioSource::Device(name.clone()),
        },
        audio_sink: match &config.media.speaker {
            config::Source::Auto => call::AudioSink::Auto,
            config::Source::Test | config::Source::Off => call::AudioSink::Silent,
            config::Source::Named(name) => call::AudioSink::Device(name.clone()),
        },
        spared,
        picture: call::Picture {
            width: config.media.picture.width,
            height: config.media.picture.height,
            frames_per_second: 30,
        },
        picture_bits_per_second_max: picture_bits_per_second_max(config.media.picture),
        ..call::Settings::default()
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The settings of the example with one text replaced by another.
    pub(crate) fn settings(from: &str, to: &str) -> Settings {
        const EXAMPLE: &str = include_str!("../config/example.toml");
        assert!(EXAMPLE.contains(from), "{from}");
        let path = std::env::temp_dir().join(format!("cabin-{}.toml", uuid::Uuid::new_v4().simple()));
        std::fs::write(&path, EXAMPLE.replacen(from, to, 1)).unwrap();
        let settings = Settings::load(&path);
        std::fs::remove_file(&path).unwrap();
        settings.unwrap()
    }

    #[test]
    fn an_unanswered_call_for_help_raises_the_alarm_after_60_s_whatever_locks_the_space() {
        let settings = settings("pharmacist_after_seconds = 120", "pharmacist_after_seconds = 600");
        assert_eq!(settings.policy.help_alarm_ms, 60_000, "requirement R8");
        assert_eq!(settings.pharmacist_after, Duration::from_secs(600));
    }

    #[test]
    fn the_shortest_warning_that_the_configuration_takes_is_one_that_the_journey_takes() {
        let settings = settings("forget_after_seconds = 45", "forget_after_seconds = 20");
        assert_eq!(settings.policy.warning_ms, consult::journey::WARNING_MS_MIN);
    }

    #[test]
    fn what_is_off_is_not_replaced_by_a_test_picture_or_tone() {
        let settings = settings("camera = \"auto\"\nmicrophone = \"auto\"", "camera = \"off\"\nmicrophone = \"off\"");
        assert_eq!(settings.call.video_source, call::VideoSource::Off);
        assert_eq!(settings.call.audio_source, call::AudioSource::Off);
    }
}

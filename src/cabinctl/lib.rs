//! The technician's command line: one verb a file, each a function from arguments to words.
#![forbid(unsafe_code)]

use std::io::{BufRead, Write};

use anyhow::{Result, bail};

mod arguments;
mod camera_list;
mod camera_still;
mod card_read;
mod code_read;
mod config_check;
mod config_file;
mod device_bind;
mod device_check;
mod device_list;
mod device_read;
mod device_record;
mod device_words;
mod doctor;
mod equipment_check;
mod factory_reset;
mod fixture_watch;
mod flash;
mod handover;
mod handover_order;
mod instrument_bind;
mod logs;
mod outbox_accept;
mod outbox_check;
mod outbox_export;
mod outbox_retry;
mod outbox_status;
mod pharmacist_add;
mod printer_test;
mod release;
mod sound_clip;
mod sound_list;

use arguments::Arguments;

/// What it can do.
pub const USAGE: &str = "\
cabinctl device list [--config FILE]                     ports of this machine, and models they suggest
cabinctl device bind NAME MODEL PORT --config FILE       binds a port to a model
                                                         PORT: /dev/ttyUSB0, id_path=..., serial=..., or
                                                         usb=10c4:ea80, with /SERIAL or @SOCKET of several,
                                                         tcp=HOST:PORT
cabinctl device read NAME --config FILE                  takes one measurement and prints what comes
cabinctl device read --model MODEL --port PORT
cabinctl device record NAME --config FILE --out CAPTURE  the same, and keeps the bytes in a file
cabinctl device record --model MODEL --port PORT --out CAPTURE [--with-others]
                                                         --with-others: of a device with a memory, which tells of all
                                                         who were measured with it
cabinctl device check --config FILE                      the morning check: asks every bound device, opens each camera
                                                         and stethoscope for a moment, looks at all that is fitted
cabinctl camera list                                     cameras of this machine, and what they can send
cabinctl camera bind otoscope|dermatoscope CAMERA --config FILE
                                                         says which camera it is
cabinctl camera still FILE [--camera CAMERA]             one picture of the test card, never of a person, and how good it is
                                                         CAMERA: as the list shows it, or test
cabinctl sound list                                      stethoscopes and microphones of this machine
cabinctl sound bind SOUND --config FILE                  says which input is the stethoscope
cabinctl sound clip FILE [--sound SOUND] [--seconds N]   some seconds (15) of a tapped stethoscope, never of a person,
                                                         without loss (FLAC); SOUND: as the list shows it, or test
cabinctl card read [--config FILE | --reader NAME] [--within SECONDS] [--show]
                                                         reads one carte Vitale; prints what is on it with --show only
cabinctl code read [--config FILE | --camera CAMERA] [--within SECONDS] [--show]
                                                         reads a document's code held before a camera (or a .png file);
                                                         prints what is in it with --show only
cabinctl fixture watch --config FILE [--light free|occupied|help|fault|closed] [--within SECONDS]
                                                         shows that on the lamp, prints what door, radar and scanner say
cabinctl printer test --config FILE                      prints a receipt without a patient
cabinctl pharmacist add NAME --config FILE [--id ID] [--replace]
                                                         asks for a PIN of 6 to 12 digits on standard input
cabinctl config check FILE                               names every mistake
cabinctl outbox status --config FILE                     what waits for the server's proof
cabinctl outbox retry --config FILE                      sends again what was set aside, once its cause is mended
cabinctl outbox accept --config FILE                     another outbox answers this cabin than before, and the former
                                                         one is lost for good: it is this cabin's from now on
cabinctl outbox check --outbox FILE [--dev-key]          opens every log and file of an outbox that is not running
cabinctl outbox check EXPORT --key FILE [--unpack FOLDER]
                                                         opens all of an export; --unpack writes it out, unsealed
cabinctl outbox export EXPORT --to PUBLIC --outbox FILE  the queue of an outbox that is not running, for the operator
                                                         whose public key that is; the outbox keeps everything
                                                         --dev-key: of an outbox that runs with it
cabinctl outbox key FILE                                 makes an operator's key, and prints its public half
cabinctl handover key FILE                               makes an owner's key, and prints its public half for owner_key
cabinctl handover sign ORDER --key FILE                  signs an order to move cabins to another operator
cabinctl handover apply ORDER --config FILE --outbox FILE
                                                         moves this cabin, without a network: another desk, another
                                                         FHIR server; what waits goes there
                                                         --outbox: the configuration of cabin-outbox
                                                         as root, where the cabin has accounts of its own
cabinctl flash DISK --image FILE                         writes an image of the appliance on a disk or a stick and
                                                         compares; refuses a disk that this machine uses
cabinctl doctor --config FILE                            every part of the machine, what is wrong, what to do
cabinctl release                                         which release runs, and why another was left again
cabinctl logs export FILE --to PUBLIC                    the journal, for the operator whose public key that is
cabinctl logs open FILE --key FILE                       prints what was exported
cabinctl factory-reset --erase everything [--lose COUNT] destroys the keys of all that this machine ever kept
                                                         --lose: so many consultations are still in the outbox";

/// The part of the usage that is about a noun and a verb of it; about the noun where there is no such verb, and all where
/// there is no such noun.
fn usage_of(noun: Option<&str>, verb: Option<&str>) -> String {
    let about = |start: String| {
        let mut is_about = false;
        let mut lines = Vec::new();
        for line in USAGE.lines() {
            if let Some(words) = line.strip_prefix("cabinctl ") {
                is_about = words.strip_prefix(&start).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
            }
            if is_about {
                lines.push(line);
            }
        }
        Some(lines.join("\n")).filter(|lines| !lines.is_empty())
    };
    let of_both = noun.zip(verb).and_then(|(noun, verb)| about(format!("{noun} {verb}")));
    of_both.or_else(|| about(noun?.to_owned())).unwrap_or_else(|| USAGE.to_owned())
}

/// Runs one verb.
///
/// # Errors
/// What went wrong, and what to do about it.
pub fn run(words: Vec<String>, input: &mut dyn BufRead, out: &mut dyn Write) -> Result<()> {
    if matches!(words.first().map(String::as_str), Some("--version" | "-V")) {
        return Ok(writeln!(out, "cabinctl {}", env!("CARGO_PKG_VERSION"))?);
    }
    // A verb of one word takes the second as its own.
    let again = words.iter().skip(1).cloned().collect();
    let mut arguments = Arguments::new(words)?;
    if arguments.is_help() {
        let (noun, verb) = (arguments.word(), arguments.word());
        return Ok(writeln!(out, "{}", usage_of(noun.as_deref(), verb.as_deref()))?);
    }
    match (arguments.word().as_deref(), arguments.word().as_deref()) {
        (Some("device"), Some("list")) => device_list::run(arguments, out),
        (Some("device"), Some("bind")) => device_bind::run(arguments, out),
        (Some("device"), Some("read")) => device_read::run(arguments, out),
        (Some("device"), Some("check")) => device_check::run(arguments, out),
        (Some("device"), Some("record")) => device_record::run(arguments, out),
        (Some("camera"), Some("bind")) => instrument_bind::camera(arguments, out),
        (Some("sound"), Some("bind")) => instrument_bind::sound(arguments, out),
        (Some("camera"), Some("list")) => camera_list::run(arguments, out),
        (Some("camera"), Some("still")) => camera_still::run(arguments, out),
        (Some("sound"), Some("list")) => sound_list::run(arguments, out),
        (Some("sound"), Some("clip")) => sound_clip::run(arguments, out),
        (Some("card"), Some("read")) => card_read::run(arguments, out),
        (Some("code"), Some("read")) => code_read::run(arguments, out),
        (Some("fixture"), Some("watch")) => fixture_watch::run(arguments, out),
        (Some("printer"), Some("test")) => printer_test::run(arguments, out),
        (Some("pharmacist"), Some("add")) => pharmacist_add::run(arguments, input, out),
        (Some("config"), Some("check")) => config_check::run(arguments, out),
        (Some("outbox"), Some("status")) => outbox_status::run(arguments, out),
        (Some("outbox"), Some("accept")) => outbox_accept::run(arguments, out),
        (Some("outbox"), Some("retry")) => outbox_retry::run(arguments, out),
        (Some("outbox"), Some("check")) => outbox_check::run(arguments, out),
        (Some("outbox"), Some("export")) => outbox_export::run(arguments, out),
        (Some("outbox"), Some("key")) => outbox_export::key(arguments, out),
        (Some("handover"), Some("key")) => handover::key(arguments, out),
        (Some("handover"), Some("sign")) => handover::sign(arguments, out),
        (Some("handover"), Some("apply")) => handover::apply(arguments, out),
        (Some("logs"), Some("export")) => logs::export(arguments, out),
        (Some("logs"), Some("open")) => logs::open(arguments, out),
        (Some("doctor"), None) => doctor::run(arguments, out),
        (Some("release"), None) => release::run(arguments, out),
        (Some("factory-reset"), None) => factory_reset::run(arguments, out),
        (Some("flash"), Some(_)) => flash::run(Arguments::new(again)?, out),
        (None, _) => Ok(writeln!(out, "{USAGE}")?),
        (Some("help"), noun) => Ok(writeln!(out, "{}", usage_of(noun, None))?),
        (Some(noun), Some(verb)) => bail!("no verb \"{noun} {verb}\"; there are:\n{}", usage_of(Some(noun), None)),
        (Some(noun), None) if usage_of(Some(noun), None) == USAGE => {
            bail!("there is no \"{noun}\"; there are:\n{USAGE}")
        }
        (Some(noun), None) => bail!("\"{noun}\" alone is not enough; it is written:\n{}", usage_of(Some(noun), None)),
    }
}

//! The third seat of a call, with two real browsers and the real media of a cabin: who is invited comes in by a link, is
//! let in once the cabin shows who it is, and from then on each of the three sees and hears the two others, over the one
//! connection that the cabin has.

mod cabin;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cabin::{Cabin, Joined};
use call::Frame;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use whole_cabin::physician::{Browser, Media, Physician};
use whole_cabin::process::{PATIENCE, until};
use whole_cabin::site::Site;

/// Whom nobody else is called.
pub const NAME: &str = "Ysaline Quarmby";
const LINE: &str = "Je traduis a mesure";

/// Of the guest's voice; of the patient's, as `call` makes it.
const GUEST_HERTZ: f64 = 1_000.0;
const PATIENT_HERTZ: f64 = 330.0;
const RATE: u32 = 48_000;

/// Brightness and the two colours of a camera's picture, and how it is told in red, green and blue.
type Ground = ([u8; 3], fn(&[u8]) -> bool);
pub const MAGENTA: Ground = ([105, 212, 234], |rgb| rgb[0] > 140 && rgb[1] < 110 && rgb[2] > 140);
pub const GREEN: Ground = ([145, 54, 34], |rgb| rgb[0] < 110 && rgb[1] > 140 && rgb[2] < 110);

/// The loudest frequency that an element plays, and how loud it is, in decibels.
const LISTEN: &str = "const element = document.querySelector(arguments[0]);
if (!element.srcObject?.getAudioTracks().length) return null;
if (window.listened !== element.srcObject) {
  window.listened = element.srcObject;
  const context = new AudioContext();
  window.ear = Object.assign(context.createAnalyser(), { fftSize: 8192, smoothingTimeConstant: 0 });
  context.createMediaStreamSource(element.srcObject).connect(window.ear);
}
const levels = new Float32Array(window.ear.frequencyBinCount);
window.ear.getFloatFrequencyData(levels);
const at = levels.indexOf(Math.max(...levels));
return [(at * window.ear.context.sampleRate) / window.ear.fftSize, levels[at]];";

/// Joins a cabin by the desk's own HTTP.
const ENROL: &str =
    "return fetch('/api/cabin/enrol', { method: 'POST', headers: { 'content-type': 'application/json' },
  body: arguments[0] }).then((answer) => answer.json());";

#[test]
fn patient_physician_and_interpreter_see_and_hear_each_other_over_the_cabins_one_connection() -> Result<()> {
    let site = Site::open()?;
    let folder = site.folder().to_owned();
    let green = ground(&folder, "green", GREEN.0)?;
    let physician = Physician::open_with(&folder, "morel", &Media { pictures: Some(green), sound: None })?;
    physician.visit(&site.desk_address())?;
    let cabin = Cabin::start(enrol(&physician, &site)?, folder.clone())?;
    let account = site.account();
    physician.sign_in(&account.name, &account.password, &account.totp_secret)?;
    physician.press("Prendre ce patient")?;
    physician.sees_moving_picture("#remote-video", 5)?;
    sees(&cabin, "the physician", |frame| share(frame, GREEN) > 0.8)?;
    // From now on every sound at the cabin is the guest's.
    physician.press("Couper mon micro")?;

    let link = invite(&physician)?;
    let media = Media { pictures: Some(ground(&folder, "magenta", MAGENTA.0)?), sound: Some(beeps(&folder)?) };
    let guest = Physician::open_with(&folder, "quarmby", &media)?;
    asks_to_come_in(&guest, &link, "interprète en langue des signes")?;

    // Nothing of the patient goes to them before the cabin shows who it is.
    cabin.holds_guest_back();
    physician.shows(NAME)?;
    physician.press("Faire entrer")?;
    until("the cabin to be told who comes", PATIENCE, || {
        Ok(cabin.look(|seen| seen.guests.last().cloned().flatten())?.map(drop))
    })?;
    guest.shows("sait que vous attendez")?;
    ensure!(guest.look_at_video("#patient")?.is_none(), "the guest sees before the patient has read who it is");
    cabin.shows_guest()?;
    guest.sees_moving_picture("#patient", 5)?;
    until("the physician's picture at the guest", PATIENCE, || {
        let seen = guest.look_at_video("#physician")?.context("no picture")?;
        Ok((share_of(&seen.rgb, 3, GREEN) > 0.8).then_some(()))
    })?;
    physician.sees_moving_picture("#guest-video", 5)?;

    // The cabin has one picture, of both, and the guest's voice in the one sound.
    sees(&cabin, "both, side by side", |frame| {
        let (theirs, mine) = (share(frame, MAGENTA), share(frame, GREEN));
        theirs > 0.4 && mine > 0.03 && theirs > 4.0 * mine
    })?;
    hears(&cabin, GUEST_HERTZ)?;
    listens(&guest, "#sound", PATIENT_HERTZ)?;
    physician.keep_picture("third-seat-physician")?;
    guest.keep_picture("third-seat-guest")?;
    for (view, fits) in [
        ("L’invité seul", (|frame| share(frame, MAGENTA) > 0.8) as fn(&Frame) -> bool),
        ("Moi seul", |frame| share(frame, GREEN) > 0.8),
        ("Moi en grand, l’invité en petit", |frame| {
            share(frame, GREEN) > 0.4
                && share(frame, MAGENTA) > 0.03
                && share(frame, GREEN) > 4.0 * share(frame, MAGENTA)
        }),
    ] {
        physician.choose("Ce que voit le patient", view)?;
        sees(&cabin, view, fits)?;
    }
    physician.press("Fermer")?;

    // What is written reaches all three.
    guest.type_into("Écrire au patient et au médecin", LINE)?;
    guest.press("Envoyer")?;
    physician.shows(LINE)?;
    until("the guest's line in the cabin", PATIENCE, || {
        let expected = format!("{NAME} : {LINE}");
        Ok(cabin.look(|seen| seen.lines.contains(&expected))?.then_some(()))
    })?;
    physician.type_into("Écrire au patient", "Respirez bien")?;
    physician.press("Envoyer")?;
    guest.shows("Respirez bien")?;

    // Either page is loaded again, and nobody touches anything.
    guest.evaluate("location.reload()", &[])?;
    guest.sees_moving_picture("#patient", 5)?;
    hears(&cabin, GUEST_HERTZ)?;
    let told = cabin.look(|seen| seen.guests.len())?;
    physician.evaluate("location.reload()", &[])?;
    physician.sees_moving_picture("#guest-video", 5)?;
    ensure!(cabin.look(|seen| seen.guests.len())? > told, "the cabin was not told again before the guest saw again");
    guest.sees_moving_picture("#patient", 5)?;
    hears(&cabin, GUEST_HERTZ)?;

    // Out, and the link has served.
    physician.press("Invité")?;
    physician.press("Faire sortir")?;
    guest.shows("Le médecin a mis fin à votre présence")?;
    until("the cabin to be told that nobody is there", PATIENCE, || {
        Ok(cabin.look(|seen| seen.guests.last() == Some(&None))?.then_some(()))
    })?;
    sees(&cabin, "the physician alone", |frame| share(frame, GREEN) > 0.8)?;
    refuses(&guest, &link)?;
    drop(guest);

    // Another link, another browser.
    physician.press("Fermer")?;
    let link = invite(&physician)?;
    let guest = Physician::open_in(Browser::Firefox, &folder, "firefox")?;
    asks_to_come_in(&guest, &link, "spécialiste")?;
    physician.shows(NAME)?;
    physician.press("Faire entrer")?;
    guest.sees_moving_picture("#patient", 5)?;
    physician.sees_moving_picture("#guest-video", 5)?;
    guest.keep_picture("third-seat-firefox-guest")?;
    guest.press("Quitter")?;
    physician.text_that("an empty seat", "#guest", |text| text == "Inviter")?;
    drop((guest, physician, cabin));
    site.close()
}

/// A link that was used, a wrong one and half of one say so, in both languages, and lead nowhere.
fn refuses(guest: &Physician, link: &str) -> Result<()> {
    guest.visit("about:blank")?;
    guest.visit(link)?;
    guest.shows("Cette invitation a déjà servi.")?;
    guest.press("English")?;
    guest.shows("This invitation was used already.")?;
    guest.keep_picture("third-seat-used")?;
    let page = link.split_once('#').context("a link")?.0;
    for (hash, said) in [("#nobodys", "n’existe pas"), ("", "Ce lien est incomplet.")] {
        guest.visit("about:blank")?;
        guest.visit(&format!("{page}{hash}"))?;
        guest.shows(said)?;
        ensure!(!guest.offers("Demander à entrer")?, "{hash:?} offers to come in");
    }
    Ok(())
}

/// The physician makes a link, and gives it.
pub fn invite(physician: &Physician) -> Result<String> {
    physician.press("Inviter")?;
    physician.press("Créer un lien")?;
    let link = until("the link", PATIENCE, || {
        let link = physician.evaluate("return document.querySelector('#guest-link').value", &[])?;
        Ok(link.as_str().filter(|link| link.contains("/guest/#")).map(str::to_owned))
    })?;
    ensure!(link.split_once('#').is_some_and(|(_, secret)| secret.len() >= 32), "the secret is short");
    Ok(link)
}

/// Somebody opens a link and says who they are.
pub fn asks_to_come_in(guest: &Physician, link: &str, part: &str) -> Result<()> {
    guest.visit(link)?;
    guest.shows("vous invite dans une téléconsultation")?;
    guest.type_into("Votre nom", NAME)?;
    guest.choose("Vous êtes", part)?;
    guest.press("Demander à entrer")?;
    guest.shows("sait que vous attendez")
}

fn enrol(page: &Physician, site: &Site) -> Result<Joined> {
    let key = SigningKey::from_bytes(&[7; 32]);
    let request = json!({
        "version": 1,
        "code": site.invite(),
        "public_key": STANDARD.encode(key.verifying_key().to_bytes()),
        "site": { "name": "Cabine", "kind": "pharmacy", "address": "", "town": "", "insee": "", "phone": "" },
    });
    let answer = page.evaluate(ENROL, &[json!(request.to_string())])?;
    let id = answer["cabin_id"].as_str().with_context(|| format!("the desk says {answer}"))?.to_owned();
    Ok(Joined { id, key, origin: site.desk_address() })
}

/// Waits until the cabin's screen would show this.
fn sees(cabin: &Cabin, what: &str, fits: impl Fn(&Frame) -> bool) -> Result<()> {
    until(&format!("{what} in the cabin"), PATIENCE, || {
        let Some(frame) = cabin.look(|seen| seen.picture.clone())? else { return Ok(None) };
        let colours = (share(&frame, MAGENTA), share(&frame, GREEN));
        ensure!(fits(&frame), "{}x{}, magenta and green {colours:?}", frame.width, frame.height);
        Ok(Some(()))
    })
}

fn share(frame: &Frame, of: Ground) -> f64 {
    share_of(&frame.rgba(), 4, of)
}

/// How much of a picture has a colour, 0 to 1.
pub fn share_of(pixels: &[u8], bytes_a_pixel: usize, (_, is): Ground) -> f64 {
    let all = pixels.len() / bytes_a_pixel;
    pixels.chunks_exact(bytes_a_pixel).filter(|pixel| is(pixel)).count() as f64 / all.max(1) as f64
}

/// Waits until a tone is what the cabin's loudspeaker plays from now on.
fn hears(cabin: &Cabin, hertz: f64) -> Result<()> {
    let heard = || -> Result<Vec<u8>> { Ok(std::fs::read(cabin.look(|seen| seen.heard.clone())?)?) };
    let from = heard().unwrap_or_default().len();
    until(&format!("{hertz} Hz in the cabin"), PATIENCE, || {
        let all = heard()?;
        // Another connection, another file.
        let new = all.get(from..).unwrap_or(&all);
        let samples: Vec<f64> =
            new.chunks_exact(2).map(|pair| f64::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0).collect();
        let windows = samples.chunks_exact(RATE as usize / 10);
        Ok(windows.into_iter().any(|window| tone(window, hertz) > 0.6).then_some(()))
    })
}

/// How much of a sound that can be heard at all is this tone, 0 to 1 (Goertzel).
fn tone(samples: &[f64], hertz: f64) -> f64 {
    let energy: f64 = samples.iter().map(|sample| sample * sample).sum();
    let count = samples.len() as f64;
    if energy / count < 1e-6 {
        return 0.0;
    }
    let turn = 2.0 * (std::f64::consts::TAU * hertz / f64::from(RATE)).cos();
    let (one, two) = samples.iter().fold((0.0, 0.0), |(one, two), sample| (sample + turn * one - two, one));
    2.0 * (one * one + two * two - turn * one * two) / (count * energy)
}

/// Waits until a tone is the loudest that an element of a page plays.
fn listens(page: &Physician, element: &str, hertz: f64) -> Result<()> {
    until(&format!("{hertz} Hz on the page"), PATIENCE, || {
        let heard: Value = page.evaluate(LISTEN, &[json!(element)])?;
        let (at, level) = (heard[0].as_f64().context("no sound")?, heard[1].as_f64().context("silence")?);
        ensure!((at - hertz).abs() < 15.0 && level > -80.0, "{at} Hz at {level} dB");
        Ok(Some(()))
    })
}

/// A second that a browser takes for a camera: one colour, with a bar that moves (YUV4MPEG2, 4:2:0).
pub fn ground(folder: &Path, name: &str, [bright, blue, red]: [u8; 3]) -> Result<PathBuf> {
    const SIZE: (usize, usize) = (320, 240);
    let file = folder.join(format!("{name}.y4m"));
    let mut to = BufWriter::new(File::create(&file)?);
    writeln!(to, "YUV4MPEG2 W{} H{} F15:1 Ip A1:1 C420jpeg", SIZE.0, SIZE.1)?;
    for frame in 0..15 {
        writeln!(to, "FRAME")?;
        let bar = frame * SIZE.0 / 15;
        let row: Vec<u8> =
            (0..SIZE.0).map(|column| if (bar..bar + 8).contains(&column) { 30 } else { bright }).collect();
        for _ in 0..SIZE.1 {
            to.write_all(&row)?;
        }
        to.write_all(&vec![blue; SIZE.0 * SIZE.1 / 4])?;
        to.write_all(&vec![red; SIZE.0 * SIZE.1 / 4])?;
    }
    to.flush()?;
    Ok(file)
}

/// A second that a browser takes for a microphone: a tone that comes and goes, which no suppression of noise takes away.
fn beeps(folder: &Path) -> Result<PathBuf> {
    let samples: Vec<i16> = (0..RATE)
        .map(|at| {
            let sounds = at % (RATE / 2) < RATE * 3 / 10;
            let turn = std::f64::consts::TAU * GUEST_HERTZ * f64::from(at) / f64::from(RATE);
            if sounds { (12_000.0 * turn.sin()) as i16 } else { 0 }
        })
        .collect();
    let bytes = u32::try_from(samples.len() * 2)?;
    let file = folder.join("beeps.wav");
    let mut to = BufWriter::new(File::create(&file)?);
    to.write_all(b"RIFF")?;
    to.write_all(&(36 + bytes).to_le_bytes())?;
    to.write_all(b"WAVEfmt \x10\0\0\0\x01\0\x01\0")?;
    to.write_all(&RATE.to_le_bytes())?;
    to.write_all(&(RATE * 2).to_le_bytes())?;
    to.write_all(b"\x02\0\x10\0data")?;
    to.write_all(&bytes.to_le_bytes())?;
    for sample in samples {
        to.write_all(&sample.to_le_bytes())?;
    }
    to.flush()?;
    Ok(file)
}

//! The physician's page with what was taken in the cabin: looked at closely, listened to, by mouse and by keyboard alone,
//! on a small laptop, in Chromium and in Firefox.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use whole_cabin::physician::Browser;
use whole_cabin::process::{PATIENCE, until};
use whole_cabin::site::Site;

use super::{Visit, start_outbox_to_the_desk};

/// Keeps every message of the `ecg` and `recordings` channels, as the page receives it.
pub const LISTEN: &str = "window.ecgBlocks = [];
const create = RTCPeerConnection.prototype.createDataChannel;
RTCPeerConnection.prototype.createDataChannel = function (label, options) {
  const channel = create.call(this, label, options);
  if (label === 'recordings') {
    const parts = {};
    channel.addEventListener('message', ({ data }) => {
      const view = new DataView(data), number = view.getUint32(4, true);
      parts[number] = (parts[number] ?? '') + String.fromCharCode(...new Uint8Array(data, 12));
      window.receivedRecordings = Object.values(parts).map(btoa);
    });
  }
  if (label === 'ecg') channel.addEventListener('message', ({ data }) => window.ecgBlocks.push(data));
  return channel;
};
return true;";

/// Decibels that each side of the page's stethoscope takes from a tone.
const PASSED: &str = "return import('/sounds.js').then(async ({ through }) => {
  const rate = 8000, passed = {};
  for (const filter of ['bell', 'diaphragm']) {
    passed[filter] = {};
    for (const hertz of [25, 60, 400, 800]) {
      const buffer = new AudioBuffer({ length: 4 * rate, sampleRate: rate });
      buffer.copyToChannel(Float32Array.from({ length: 4 * rate }, (_, at) => Math.sin((2 * Math.PI * hertz * at) / rate)), 0);
      // Once it has settled.
      const heard = (await through(buffer, filter)).subarray(2 * rate);
      passed[filter][hertz] = 20 * Math.log10(Math.sqrt(heard.reduce((sum, value) => sum + value * value, 0) / heard.length) / Math.SQRT1_2);
    }
  }
  return passed;
});";

/// By how much the page holds back the picture, by how long a browser says that it keeps the voice, each of two seconds.
const HELD_BACK: &str = "return import('/lips.js').then(({ Lips }) => [20, 60, 300, 30, 9000].map((kept) => {
  const lips = new Lips(), voice = { track: { kind: 'audio', id: 'v' } }, picture = { track: { kind: 'video', id: 'p' }, jitterBufferTarget: 7 };
  lips.take(voice);
  lips.take(picture);
  for (const second of [1, 2]) lips.read(new Map([
    ['other', { type: 'inbound-rtp', trackIdentifier: 'stethoscope', jitterBufferDelay: 5e6 * second, jitterBufferEmittedCount: 48000 * second }],
    ['voice', { type: 'inbound-rtp', trackIdentifier: 'v', jitterBufferDelay: 48 * kept * second, jitterBufferEmittedCount: 48000 * second }],
  ]));
  return picture.jitterBufferTarget;
}));";

/// A laptop of 1366x768 less the browser's own bars and the desktop's.
pub const SMALL_LAPTOP: (u32, u32) = (1366, 641);

/// What can have the focus and has no name for who does not see it; what a physician needs at any moment and cannot be
/// seen whole; by how much the page is too wide.
const LACKS: &str = "const all = document.querySelectorAll('#consultation :is(button, input, select, textarea, a, [tabindex])');
const seen = (e) => e.checkVisibility({ visibilityProperty: true });
const name = (e) => e.getAttribute('aria-label') || (e.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent ?? '').join('')
  || [...(e.labels ?? [])].map((label) => label.textContent).join('') || e.innerText || '';
const unnamed = [...all].filter((e) => seen(e) && e.tabIndex >= 0 && !name(e).trim()).map((e) => e.outerHTML.slice(0, 90));
const needed = ['#remote-video', '#mute', '#ask-help', '#guest', '#request-temperature', '#request-auscultation', '#write-text', '#tabs', '#summary', '#document-file', '#save', '#finish', '#give-back'];
const hidden = needed.filter((selector) => {
  const box = document.querySelector(selector).getBoundingClientRect();
  return !box.width || box.left < 0 || box.top < 0 || box.right > innerWidth + 1 || box.bottom > innerHeight + 1;
});
return { unnamed, hidden, wide: Math.max(document.documentElement.scrollWidth - document.documentElement.clientWidth, 0) };";

/// Where the focus is: whether it can be seen, and what it is on.
const FOCUS: &str = "const e = document.activeElement, box = e.getBoundingClientRect();
return { id: e.id, drawn: getComputedStyle(e).outlineStyle !== 'none' || e.type === 'file' || e.type === 'range' || e.type === 'radio', inside: box.bottom > 0 && box.top < innerHeight };";

#[test]
fn the_page_shows_picture_and_sound_in_firefox_too_and_is_used_by_keyboard_alone_on_a_small_laptop() -> Result<()> {
    let mut visit =
        Visit::open_at("desk page", Site::open()?, (1280, 800), Browser::Firefox, start_outbox_to_the_desk)?;
    visit.pharmacist_opens()?;
    visit.patient_says_why()?;
    visit.patient_says_who()?;
    visit.patient_agrees()?;
    for measurement in ["Température", "Oxygène et pouls", "Tension"] {
        visit.skips(measurement)?;
    }
    visit.physician_signs_in()?;
    visit.physician.page_is(SMALL_LAPTOP.0, SMALL_LAPTOP.1)?;
    visit.physician.evaluate(LISTEN, &[])?;
    visit.window.find("Vous êtes dans la salle d’attente")?;
    visit.notes_the_consultation()?;
    visit.patient_is_taken_and_seen()?;

    visit.step("all is at hand");
    visit.lacks_nothing()?;
    visit.physician.evaluate("document.querySelector('#history').open = true", &[])?;
    visit.physician.text_that("why there is no temperature", "#history", |text| text.contains("ne veut pas"))?;

    visit.step("the ear");
    visit.physician_asks("Image de l’oreille", Some("Oreille gauche"))?;
    visit.physician_perceives("Number(document.querySelector('#instrument-video').dataset.pictures ?? 0) > 5")?;
    visit.physician.keep_picture("firefox-live")?;
    visit.window.press("Prendre l’image")?;
    visit.keep()?;
    visit.arrived("#pictures")?;
    visit.looks_closely()?;
    visit.lacks_nothing()?;

    visit.step("the heart");
    visit.physician_asks("Écoute du cœur et des poumons", Some("Cœur"))?;
    visit.window.press("Enregistrer")?;
    visit.keep()?;
    let sound = visit.arrived("#sounds")?;
    visit.listens(&sound)?;
    visit.lacks_nothing()?;
    visit.physician.keep_picture("firefox-sound")?;

    visit.step("by keyboard alone");
    visit.walks_by_keyboard()?;
    visit.physician.keep_picture("firefox-line")?;
    visit.physician_concludes()?;
    visit.close()
}

/// What the page received in full.
pub struct Shown {
    /// As they came over the line.
    pub bytes: Vec<u8>,
}

impl Visit {
    /// Waits until the page has what was taken last, checked, and gives its bytes.
    pub fn arrived(&self, list: &str) -> Result<Shown> {
        const STATE: &str =
            "return [...document.querySelectorAll(`${arguments[0]} button`)].at(-1)?.dataset.state ?? ''";
        until(&format!("what was taken, in {list}"), PATIENCE, || {
            Ok((self.physician.evaluate(STATE, &[json!(list)])? == "here").then_some(()))
        })?;
        let held = "return (window.receivedRecordings ?? []).at(-1) ?? ''";
        let held = self.physician.evaluate(held, &[])?;
        let bytes = STANDARD.decode(held.as_str().context("bytes of a recording")?)?;
        ensure!(!bytes.is_empty(), "nothing was received");
        Ok(Shown { bytes })
    }

    /// Enlarges, moves, turns and lightens with the keyboard alone.
    pub fn looks_closely(&self) -> Result<()> {
        const KEYS: &str = "const pane = document.querySelector('.pane'); pane.focus();
const scale = () => Number(pane.dataset.scale);
const press = (key) => pane.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
const style = () => pane.querySelector('img').style;
const fit = scale(), was = style().transform;
press('+'); const near = scale(); press('ArrowLeft'); press('t'); press('l');
const seen = { fit, near, moved: style().transform !== was, turned: style().transform.includes('rotate(90deg)'), light: style().filter };
press('0'); return { ...seen, back: scale() };";
        let seen = self.physician.evaluate(KEYS, &[])?;
        let number = |name: &str| seen[name].as_f64().unwrap_or_default();
        ensure!(number("fit") > 0.0 && number("near") > number("fit") * 1.2, "it is not enlarged: {seen}");
        ensure!(seen["moved"] == true && seen["turned"] == true, "it is neither moved nor turned: {seen}");
        ensure!(seen["light"].as_str().is_some_and(|light| light.contains("brightness(110%)")), "not lighter: {seen}");
        Ok(())
    }

    /// The clip is drawn through each side of a stethoscope, and each lets through its own tones.
    pub fn listens(&self, sound: &Shown) -> Result<()> {
        const DRAWN: &str = "return { ...document.querySelector('#sound-view').dataset }";
        self.physician.press("Sons (1)")?;
        let drawn = |filter: &str| {
            until(&format!("the sound drawn through {filter}"), PATIENCE, || {
                let drawn = self.physician.evaluate(DRAWN, &[])?;
                Ok((drawn["filter"] == filter).then_some(drawn))
            })
        };
        let whole = drawn("none")?;
        let rate = u64::from(u32::from_be_bytes([0, sound.bytes[18], sound.bytes[19], sound.bytes[20]]) >> 4);
        ensure!(
            whole["rate"].as_str() == Some(rate.to_string().as_str()),
            "it is not decoded at its own rate, {rate}: {whole}"
        );
        ensure!(
            whole["samples"].as_str() == Some((15 * rate).to_string().as_str()),
            "not every sample is there: {whole}"
        );
        self.physician.press("Cloche 20–200 Hz")?;
        drawn("bell")?;
        let held_back = self.physician.evaluate(HELD_BACK, &[])?;
        ensure!(held_back == json!([null, null, 220, null, 4000]), "pictures are held back by {held_back} ms");
        let passed = self.physician.evaluate(PASSED, &[])?;
        let db = |filter: &str, hertz: &str| passed[filter][hertz].as_f64().unwrap_or(f64::NAN);
        for (filter, through, stopped) in [("bell", "60", "800"), ("diaphragm", "400", "25")] {
            ensure!(
                db(filter, through).abs() < 1.0 && db(filter, stopped) < -40.0,
                "{filter} is no {filter}: {passed}"
            );
        }
        self.physician.press("Écouter")?;
        self.physician.text_that("it plays", "#sound-play", |text| text == "Pause")?;
        // Firefox plays nothing where there is nothing to hear it with: its sound stands still.
        let cards = std::fs::read_to_string("/proc/asound/cards").unwrap_or_default();
        let firefox = self.physician.evaluate("return navigator.userAgent.includes('Firefox')", &[])? == true;
        if firefox && !cards.contains('[') {
            eprintln!("SKIPPED: this machine has no sound card, so Firefox does not play the recording");
            return self.physician.press("Pause");
        }
        const AT: &str = "return Number(document.querySelector('#sound-view').getAttribute('aria-valuenow'))";
        until("the sound to go on", PATIENCE, || {
            Ok((self.physician.evaluate(AT, &[])?.as_f64() > Some(0.3)).then_some(()))
        })?;
        self.physician.press("Pause")
    }

    /// Everything has a name and is where it can be seen.
    pub fn lacks_nothing(&self) -> Result<()> {
        let lacks = self.physician.evaluate(LACKS, &[])?;
        ensure!(lacks == json!({ "unnamed": [], "hidden": [], "wide": 0 }), "on a small laptop: {lacks}");
        Ok(())
    }

    /// Single keys open the tabs and the list of keys, and Tab reaches the end of the consultation, always seen.
    fn walks_by_keyboard(&self) -> Result<()> {
        const TAB: &str = "\u{e004}";
        const ESCAPE: &str = "\u{e00c}";
        let shown = |panel: &str| {
            let visible = "return document.querySelector(arguments[0]).checkVisibility()";
            until(&format!("{panel} by its key"), PATIENCE, || {
                Ok((self.physician.evaluate(visible, &[json!(panel)])? == true).then_some(()))
            })
        };
        self.physician.evaluate("document.querySelector('#tab-sounds').focus()", &[])?;
        for (key, panel) in [("1", "#panel-patient"), ("3", "#panel-pictures"), ("5", "#panel-line")] {
            self.physician.types(key)?;
            shown(panel)?;
        }
        self.physician.types("?")?;
        shown("#keys-dialog")?;
        self.physician.shows("Écrire la conclusion")?;
        self.physician.types(ESCAPE)?;
        self.physician.types("e")?;
        let focus = || self.physician.evaluate(FOCUS, &[]);
        ensure!(focus()?["id"] == "write-text", "not where one writes to the patient: {}", focus()?);
        // What is typed there is a text, no command.
        self.physician.types("1")?;
        shown("#panel-line")?;
        let mut last = String::new();
        for _ in 0..60 {
            self.physician.types(TAB)?;
            let focus = focus()?;
            ensure!(focus["drawn"] == true && focus["inside"] == true, "the focus is not seen: {focus}");
            last = focus["id"].as_str().unwrap_or_default().to_owned();
            if last == "give-back" {
                break;
            }
        }
        ensure!(last == "give-back", "Tab never reaches the end of the consultation: {last}");
        self.physician.evaluate("document.querySelector('#write-text').value = ''", &[]).map(drop)
    }
}

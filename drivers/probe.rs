//! Whether a device is there, and not its cable only: asked before anybody needs it.
//!
//! A question is harmless: it starts nothing, presses no arm, changes no setting, and asks for nothing that was measured
//! of anybody. What comes back is looked at for its form and dropped. A device that speaks all the time is only listened
//! to. Where no harmless question is known, the device's own place on USB or its cable is all that is said.
//!
//! Pure, as the protocols are; the port carries it ([`crate::ports::Port::probe`]).

use std::time::{Duration, Instant};

use crate::counted_report;
use crate::taidoc;
use crate::{Event, Fault, Model, Outgoing, Transmit, sum8};

/// A device answers within that time. The question is repeated: its first byte may only wake the device.
pub const PROBE_MAX: Duration = Duration::from_secs(5);
/// A device that is not plugged is not waited for longer.
const THERE_WITHIN: Duration = Duration::from_millis(1_500);
/// One that may speak by itself, or only when it is used, is listened to for that long.
const LISTEN: Duration = Duration::from_secs(2);
/// The question is put again that often.
const ASK_EVERY: Duration = Duration::from_millis(1_200);
/// Most bytes of an answer that are looked at; older ones are dropped.
const HEARD_MAX: usize = 512;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Probed {
    /// The device itself answers, or speaks.
    Answered,
    /// Its line is open and nothing that makes sense came: switch it on, or bind the right model.
    NoAnswer,
    /// Nothing may be asked of it, and it says nothing until it is used: its cable is all that is known.
    CableOnly,
    /// It is measuring: it is not disturbed.
    InUse,
}

/// How a model is asked.
enum Way {
    /// Asked, if nothing came by itself before.
    Asked { after: Duration, ask: fn(&mut Outgoing), is_answer: fn(&[u8]) -> bool, thank: fn(&mut Outgoing) },
    /// It speaks all the time while it is on.
    Speaks,
    /// It is on USB itself: what a cable alone is not.
    Itself,
    /// Listened to for a moment: some speak by themselves, others only when they are used.
    Silent { is_word: fn(&[u8]) -> bool },
    /// Nothing is to be heard of it.
    Mute,
}

fn nothing(_out: &mut Outgoing) {}

fn question(ask: fn(&mut Outgoing), is_answer: fn(&[u8]) -> bool) -> Way {
    Way::Asked { after: Duration::ZERO, ask, is_answer, thank: nothing }
}

fn way(model: &Model) -> Option<Way> {
    Some(match model.key {
        // Its status; 3E, length, … sum 0 (SunTech Advantage protocol, "Get module status").
        "blood_pressure_suntech" => question(|out| out.send(&[0x3A, 0x79, 0x11, 0x00, 0x3C]), is_suntech),
        // The connection that begins every talk (`glucometer-protocols`, 0x22).
        "thermometer_taidoc" | "blood_pressure_taidoc" | "glucose_taidoc" => {
            question(|out| out.send(&taidoc::packet(0x22, [0; 4])), is_taidoc)
        }
        // The choice of what it talks of and the first report of the clearing block; then END, which frees it to measure.
        "blood_pressure_omron" => Way::Asked {
            after: Duration::ZERO,
            ask: |out| {
                out.transmit(Transmit::Feature(vec![0x74, 0xBC]));
                out.send(&[7, 0, 0, 0, 0, 0, 0, 0]);
            },
            is_answer: |heard| heard.len() >= counted_report::REPORT,
            thank: |out| counted_report::send(b"END\xFF\xFF\x7C", out),
        },
        // Its clock.
        "blood_pressure_microlife_ascii" => question(
            |out| counted_report::send(&[0x12, 0x16, 0x18, 0x26], out),
            |heard| {
                let mut reports = heard.chunks_exact(counted_report::REPORT).filter_map(counted_report::meant);
                reports.any(|meant| meant.contains(&0x06))
            },
        ),
        // Whether it is there, in its own words.
        "blood_pressure_contec_08a" => {
            question(|out| out.send(&[0x40, 0x8F, 0xFF, 0xFE, 0xFD, 0xFC]), |heard| heard.len() >= 64)
        }
        // Its serial number; a scale that has none says that it does not know the question.
        "scale_mt_sics" => question(
            |out| out.send(b"I4\r\n"),
            |heard| {
                let mut lines = heard.split(|byte| matches!(byte, b'\r' | b'\n')).map(<[u8]>::trim_ascii);
                lines.any(|line| line.starts_with(b"I4 ") || matches!(line, b"ES" | b"ET" | b"EL"))
            },
        ),
        // Its power state.
        "scale_health_o_meter" => question(
            |out| out.send(b"\x1bR\x1bJ\x1bE"),
            |heard| {
                let begins = heard.windows(2).position(|two| two == b"\x1bR");
                begins.is_some_and(|at| heard[at..].windows(2).any(|two| two == b"\x1bE"))
            },
        ),
        // Its reset, by which it also says what it is. The dongle answers by itself when the board is off.
        "ecg_cyton" => question(
            |out| out.send(b"v"),
            |heard| {
                let is_in = |words: &[u8]| heard.windows(words.len()).any(|part| part == words);
                is_in(b"OpenBCI") && is_in(b"Device ID")
            },
        ),
        // A model for spot checks says nothing between two: it is asked for its serial number. One that streams is sent
        // nothing, and has spoken by then.
        "oximeter_nonin" => Way::Asked {
            after: Duration::from_millis(1_500),
            ask: |out| out.send(&[0x02, 0x74, 0x02, 0x02, 0x02, 0x03]),
            is_answer: |heard| heard.windows(2).any(|two| matches!(two, [0x02, 0xF4])),
            thank: nothing,
        },
        "oximeter_contec" | "oximeter_bci" | "oximeter_taidoc" | "ecg_healthypi5" => Way::Speaks,
        "scale_usb_hid" => Way::Silent { is_word: |heard| heard.len() >= 6 },
        "scale_st_gs" => Way::Silent {
            is_word: |heard| {
                let mut lines = heard.split(|byte| matches!(byte, b'\r' | b'\n'));
                lines.any(|line| matches!(line, [b'S' | b'U' | b'O', b'T' | b'S' | b'L', b',', _, _, b',', ..]))
            },
        },
        // It writes one line a measurement, and is never written to.
        "scale_tanita" => Way::Mute,
        // It can only be asked for everybody's readings, or have its clock set.
        "blood_pressure_microlife_m" => Way::Itself,
        "oximeter_phd" | "blood_pressure_phd" | "scale_phd" | "thermometer_phd" | "glucose_phd"
        | "glucose_accu_chek" => Way::Itself,
        // Taken off to be used, and connected to be read.
        "ecg_contec_ecg90a" | "ecg_pc80b" => Way::Mute,
        _ => return None,
    })
}

/// A whole packet of a SunTech module with a right sum.
fn is_suntech(heard: &[u8]) -> bool {
    (0..heard.len()).any(|at| match heard[at..] {
        [0x3E, length, ..] if matches!(length, 0x04 | 0x05 | 0x07 | 0x18 | 0x19) => {
            heard.get(at..at + usize::from(length)).is_some_and(|packet| sum8(packet) == 0)
        }
        _ => false,
    })
}

/// A whole packet of a TaiDoc device with a right sum.
fn is_taidoc(heard: &[u8]) -> bool {
    heard
        .windows(taidoc::PACKET)
        .any(|packet| packet[0] == 0x51 && packet[6] == 0xA5 && sum8(&packet[..7]) == packet[7])
}

/// A device that is being asked.
pub struct Probing {
    way: Way,
    begun_at: Instant,
    ask_at: Instant,
    heard: Vec<u8>,
    answered: bool,
}

impl Probing {
    /// Begins now, whether or not the device is plugged.
    pub fn new(model: &Model, now: Instant) -> Self {
        let way = way(model).unwrap_or(Way::Mute);
        let after = match way {
            Way::Asked { after, .. } => after,
            _ => Duration::ZERO,
        };
        Probing { way, begun_at: now, ask_at: now + after, heard: Vec::new(), answered: false }
    }

    /// What is to be sent now, over an open line.
    pub fn ask(&mut self, now: Instant) -> Vec<Transmit> {
        match &self.way {
            Way::Asked { ask, .. } if self.ask_at <= now => {
                self.ask_at = now + ASK_EVERY;
                sent(*ask)
            }
            _ => Vec::new(),
        }
    }

    /// What came. `made_sense`: it has spoken sense since its line was opened.
    pub fn heard(&mut self, bytes: &[u8], made_sense: bool) {
        let excess = (self.heard.len() + bytes.len()).saturating_sub(HEARD_MAX);
        self.heard.extend(bytes);
        self.heard.drain(..excess.min(self.heard.len()));
        self.answered |= match &self.way {
            Way::Asked { is_answer, .. } => made_sense || is_answer(&self.heard),
            Way::Silent { is_word } => made_sense || is_word(&self.heard),
            Way::Speaks | Way::Mute => made_sense,
            Way::Itself => true,
        };
    }

    /// When it is looked at next.
    pub fn due(&self, now: Instant) -> Instant {
        let ask = matches!(self.way, Way::Asked { .. }).then_some(self.ask_at);
        let ends = [THERE_WITHIN, LISTEN, PROBE_MAX].map(|time| self.begun_at + time);
        ends.into_iter().chain(ask).filter(|at| *at > now).min().unwrap_or(now)
    }

    /// The end, when it has come. `line`: none when the device is not plugged, else whether it is there itself: on USB, or
    /// heard since its line was opened.
    pub fn outcome(&self, line: Option<bool>, now: Instant) -> Option<Probed> {
        let after = now.saturating_duration_since(self.begun_at);
        let Some(is_on_usb) = line else { return (after >= THERE_WITHIN).then_some(Probed::NoAnswer) };
        match &self.way {
            _ if self.answered => Some(Probed::Answered),
            Way::Mute => Some(Probed::CableOnly),
            Way::Itself if is_on_usb => Some(Probed::Answered),
            Way::Silent { .. } => (after >= LISTEN).then_some(Probed::CableOnly),
            _ => (after >= PROBE_MAX).then_some(Probed::NoAnswer),
        }
    }

    /// What is sent once it has answered.
    pub fn thank(&self) -> Vec<Transmit> {
        match &self.way {
            Way::Asked { thank, .. } => sent(*thank),
            _ => Vec::new(),
        }
    }
}

fn sent(say: fn(&mut Outgoing)) -> Vec<Transmit> {
    let mut out = Outgoing::default();
    say(&mut out);
    std::iter::from_fn(|| out.poll_transmit()).collect()
}

/// Whether what a protocol says shows that its device speaks sense; `None`: it tells nothing of that, as a status does
/// while the protocol measures: it may ask the person to wake a device that is not there.
pub(crate) fn makes_sense(event: &Event, measuring: bool) -> Option<bool> {
    match event {
        Event::Live(_)
        | Event::Waveform(_)
        | Event::Ecg(_)
        | Event::EcgTaken { .. }
        | Event::Reading(_)
        | Event::Fault(Fault::Recovered) => Some(true),
        Event::Status(_) if !measuring => Some(true),
        Event::Fault(Fault::Silent { .. } | Fault::Garbled) => Some(false),
        Event::Status(_) | Event::Invalid(_) | Event::Finished | Event::Fault(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MODELS, model};

    #[test]
    fn every_model_says_how_it_is_asked() {
        for model in MODELS {
            assert!(way(model).is_some(), "{}: how is it asked whether it is there?", model.key);
        }
    }

    fn probing(key: &str, now: Instant) -> Probing {
        Probing::new(model(key).unwrap(), now)
    }

    #[test]
    fn a_cable_without_its_device_is_no_answer_and_an_answer_ends_it_at_once() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut cuff = probing("blood_pressure_suntech", begun);
        assert_eq!(cuff.ask(begun), [Transmit::Bytes(vec![0x3A, 0x79, 0x11, 0x00, 0x3C])]);
        assert_eq!(cuff.ask(at(1)), [], "not twice at once");
        assert_eq!(cuff.ask(at(1_300)).len(), 1, "again: the first byte may have woken it");
        cuff.heard(&[0x3E, 0x04, 0x4F, 0x6E], false);
        assert_eq!(cuff.outcome(Some(false), at(1_301)), None, "a wrong sum is nobody");
        assert_eq!(cuff.outcome(Some(false), at(4_999)), None);
        assert_eq!(cuff.outcome(Some(false), at(5_000)), Some(Probed::NoAnswer));
        cuff.heard(&[0x00, 0x3E, 0x04, 0x4B, 0x73], false);
        assert_eq!(cuff.outcome(Some(false), at(1_400)), Some(Probed::Answered));
        assert_eq!(probing("blood_pressure_suntech", begun).outcome(None, at(1_500)), Some(Probed::NoAnswer));
    }

    #[test]
    fn what_speaks_by_itself_is_not_asked_and_noise_is_no_speech() {
        let begun = Instant::now();
        let mut oximeter = probing("oximeter_bci", begun);
        assert_eq!(oximeter.ask(begun), []);
        oximeter.heard(&[0x55; 4_096], false);
        assert_eq!(oximeter.outcome(Some(false), begun + PROBE_MAX), Some(Probed::NoAnswer));
        oximeter.heard(&[0x55], true);
        assert_eq!(oximeter.outcome(Some(false), begun), Some(Probed::Answered));
        assert!(oximeter.heard.len() <= HEARD_MAX);
    }

    #[test]
    fn no_question_starts_a_measurement_or_asks_for_what_was_measured() {
        // Start, measure, read a record, read all; set a clock.
        let forbidden: [(&str, &[u8]); 8] = [
            ("blood_pressure_suntech", &[0x3A, 0x20]),
            ("blood_pressure_taidoc", &[0x51, 0x43]),
            ("blood_pressure_taidoc", &[0x51, 0x26]),
            ("thermometer_taidoc", &[0x51, 0x33]),
            ("glucose_taidoc", &[0x51, 0x26]),
            ("blood_pressure_omron", b"GME"),
            ("blood_pressure_microlife_ascii", &[0x12, 0x16, 0x18, 0x22]),
            ("blood_pressure_contec_08a", &[0x43]),
        ];
        for (key, command) in forbidden {
            let mut probing = probing(key, Instant::now());
            let mut said = probing.ask(Instant::now());
            said.extend(probing.thank());
            let sent: Vec<u8> = said.iter().flat_map(|transmit| transmit.bytes().to_vec()).collect();
            assert!(!sent.is_empty(), "{key}");
            assert!(!sent.windows(command.len()).any(|part| part == command), "{key}: {sent:02X?}");
        }
    }

    #[test]
    fn a_device_that_may_not_be_asked_is_known_by_its_cable_or_its_own_place_on_usb() {
        let now = Instant::now();
        assert_eq!(probing("scale_tanita", now).outcome(Some(false), now), Some(Probed::CableOnly));
        assert_eq!(probing("ecg_pc80b", now).outcome(Some(false), now), Some(Probed::CableOnly));
        assert_eq!(probing("oximeter_phd", now).outcome(Some(true), now), Some(Probed::Answered));
        assert_eq!(probing("oximeter_phd", now).outcome(Some(false), now), None);
        assert_eq!(probing("scale_st_gs", now).outcome(Some(false), now + LISTEN), Some(Probed::CableOnly));
        let mut scale = probing("scale_st_gs", now);
        scale.heard(b"\r\nST,GS,+00000.00kg\r\n", false);
        assert_eq!(scale.outcome(Some(false), now), Some(Probed::Answered));
    }
}

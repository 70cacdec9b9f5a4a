//! OpenBCI Cyton: eight leads live, by its radio dongle. Not a medical device: not for diagnosis.
//!
//! Source: OpenBCI's "Cyton Board SDK" and "Cyton Data Format" (docs.openbci.com), which the board's open firmware
//! follows. Commands are ASCII letters, answers are text that ends in `$$$`; a stream is packets of 33 bytes: `A0`, a
//! number that counts to 255, eight 24-bit samples (most significant byte first), six bytes of other sensors, `C0` to
//! `C6`. A number that is missing is a packet that the radio lost.
//!
//! How the electrodes are wired (each channel has two pins, P above N, and every switch to a common pin is opened):
//! channel 1 is lead I (P left arm, N right arm), channel 2 is lead II (P left leg, N right arm), channels 3 to 8 are
//! V1 to V6 (P the chest electrode, N the middle of three equal resistors to both arms and the left leg); the right
//! leg goes to the bias pin. The gain is 12: an electrode's own half volt fits, and a step is 44.7 nV.
//!
//! At the start the board is reset and asked for that gain on every channel and for its sample rate; it streams only
//! once it has confirmed all of them, for a gain that was not set would make every voltage wrong. Firmware 1, which
//! confirms nothing, is not read. Over its dongle the board gives 250 samples a second; a faster line carries more.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use consult::ecg::Lead;

use crate::electrocardiography::{Electrocardiography, Montage};
use crate::{Event, Now, Protocol, Status, Transmit};

/// Bytes of a packet.
const PACKET: usize = 33;
/// Channels of a board.
const CHANNELS: usize = 8;
/// 4.5 V / 12 / (2²³ - 1), 10⁻¹⁵ V.
const FEMTOVOLTS_PER_STEP: u64 = 44_703_489;
/// A converter within 256 steps of its end is at its end.
const RAIL: i32 = 0x7F_FF00;
const MONTAGE: Montage = Montage {
    leads: &[Lead::I, Lead::II, Lead::V1, Lead::V2, Lead::V3, Lead::V4, Lead::V5, Lead::V6],
    femtovolts_per_step: FEMTOVOLTS_PER_STEP,
    rail: RAIL,
    // Its numbers count to 255.
    rows_unnumbered: 256,
    rates_hz: &[],
};
/// Rates that are read, Hz. A board that is faster is asked for the slowest.
const RATES_HZ: [u16; 3] = [250, 500, 1_000];
/// The end of an answer.
const END: &[u8] = b"$$$";
/// Longest answer kept; a longer one loses its beginning.
const ANSWER_MAX: usize = 320;
/// The board has answered everything within that time, or is asked again.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// Packets that cannot be one after which the alignment is looked for again.
const BAD_PACKETS_MAX: usize = 1;
/// Bytes without a good packet that are noise, and not silence.
const NOISE_BYTES: usize = 4 * PACKET;

/// Eight channels only; each one on, gain 12, its own two pins, counted in the bias, off both common pins; the rate.
const SETTINGS: &[u8] = b"cx1050100Xx2050100Xx3050100Xx4050100Xx5050100Xx6050100Xx7050100Xx8050100X~~";

/// What the board has confirmed.
#[derive(Clone, Copy, Default)]
struct Confirmed {
    /// A bit a channel.
    channels: u8,
    rate_hz: Option<u16>,
}

enum State {
    /// It may do what it wants.
    Idle,
    /// It was reset; its banner is awaited.
    Resetting { until: Instant },
    /// It was told its settings.
    Setting { confirmed: Confirmed, until: Instant },
    /// It streams. `last`: number of the packet before, once the alignment is found.
    Streaming { last: Option<u8>, aligned: bool, bad: usize },
}

/// The protocol.
pub struct Cyton {
    buffer: VecDeque<u8>,
    state: State,
    firmware: Option<String>,
    board: Electrocardiography,
}

impl Default for Cyton {
    fn default() -> Self {
        Self::new()
    }
}

impl Cyton {
    /// Before the port opens.
    pub fn new() -> Self {
        Self {
            buffer: VecDeque::with_capacity(ANSWER_MAX),
            state: State::Idle,
            firmware: None,
            board: Electrocardiography::new(MONTAGE, RATES_HZ[0], NOISE_BYTES),
        }
    }

    fn reset(&mut self, now: Now) {
        self.buffer.clear();
        self.board.expect_silence();
        self.board.out.forget_commands();
        // It may still stream for a cabin that was switched off.
        self.board.out.send(b"s");
        self.board.out.send(b"v");
        self.state = State::Resetting { until: now.instant + ANSWERS_WITHIN };
    }

    fn rest(&mut self) {
        self.state = State::Idle;
        self.buffer.clear();
        self.board.expect_silence();
        self.board.out.send(b"s");
    }

    /// Whole answers, oldest first; what comes after them stays.
    fn answer(&mut self) -> Option<String> {
        let bytes = self.buffer.make_contiguous();
        let at = bytes.windows(END.len()).position(|end| end == END)?;
        let text = String::from_utf8_lossy(&bytes[..at]).into_owned();
        self.buffer.drain(..at + END.len());
        Some(text)
    }

    fn hear_answer(&mut self, text: &str, now: Now) {
        match &mut self.state {
            State::Idle | State::Streaming { .. } => {}
            State::Resetting { .. } => {
                // The dongle answers by itself when the board is switched off: "Failure: Communications timeout".
                if text.contains("OpenBCI") && text.contains("Device ID") {
                    let version = text.split_once("Firmware:").map(|(_, rest)| rest);
                    self.firmware = version.and_then(|rest| rest.split_whitespace().next()).map(str::to_owned);
                    self.board.out.send(SETTINGS);
                    let confirmed = Confirmed::default();
                    self.state = State::Setting { confirmed, until: now.instant + ANSWERS_WITHIN };
                }
            }
            State::Setting { confirmed, until } => {
                if let Some(channel) = number_after(text, "Channel set for ") {
                    if (1..=CHANNELS).contains(&channel.into()) {
                        confirmed.channels |= 1 << (channel - 1);
                    }
                } else if let Some(rate_hz) = rate_in(text) {
                    if RATES_HZ.contains(&rate_hz) {
                        confirmed.rate_hz = Some(rate_hz);
                    } else {
                        *until = now.instant + ANSWERS_WITHIN;
                        self.board.out.send(b"~6");
                    }
                }
                if let Confirmed { channels: u8::MAX, rate_hz: Some(rate_hz) } = *confirmed {
                    self.board.set_rate(rate_hz);
                    self.board.expect_frames(now);
                    self.board.out.send(b"b");
                    self.state = State::Streaming { last: None, aligned: false, bad: 0 };
                }
            }
        }
    }

    /// Takes one packet from the buffer. False when it needs more bytes, or the measurement is over.
    fn packet(&mut self, now: Now) -> bool {
        let State::Streaming { last, aligned, bad } = &mut self.state else { return false };
        // Two in a row with numbers that follow: the marks alone may be samples.
        let wanted = if *aligned { PACKET } else { 2 * PACKET };
        if self.buffer.len() < wanted {
            return false;
        }
        let bytes = self.buffer.make_contiguous();
        let follows = bytes.get(PACKET + 1).is_some_and(|number| *number == bytes[1].wrapping_add(1));
        let fits = is_packet(&bytes[..PACKET]) && (*aligned || is_packet(&bytes[PACKET..2 * PACKET]) && follows);
        if !fits {
            if *aligned {
                self.board.damaged();
            }
            if *aligned && *bad < BAD_PACKETS_MAX {
                // A damaged one among good ones: its place is known, its samples are lost.
                *bad += 1;
                self.buffer.drain(..PACKET);
            } else {
                *aligned = false;
                self.buffer.pop_front();
            }
            return true;
        }
        let number = bytes[1];
        let mut row = [0; CHANNELS];
        let (samples, _) = bytes[2..PACKET - 7].as_chunks::<3>();
        for (value, sample) in row.iter_mut().zip(samples) {
            *value = i32::from_be_bytes([sample[0], sample[1], sample[2], 0]) >> 8;
        }
        self.buffer.drain(..PACKET);
        let lost = last.map_or(0, |last| number.wrapping_sub(last).wrapping_sub(1));
        (*last, *aligned, *bad) = (Some(number), true, 0);
        self.board.heard(now);
        if lost > 0 {
            self.board.lose(lost.into());
        }
        if self.board.row(&row, now) {
            self.rest();
            return false;
        }
        true
    }
}

fn is_packet(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0xA0) && bytes.last().is_some_and(|end| (0xC0..=0xC6).contains(end))
}

fn number_after(text: &str, words: &str) -> Option<u8> {
    let (_, rest) = text.split_once(words)?;
    rest.trim().parse().ok()
}

/// "Sample rate is 250Hz", or "Sample rate set to 500Hz".
fn rate_in(text: &str) -> Option<u16> {
    let (_, rest) = text.split_once("Sample rate ")?;
    rest.strip_suffix("Hz")?.rsplit(' ').next()?.parse().ok()
}

impl Protocol for Cyton {
    fn port_opened(&mut self, now: Now) {
        self.board.port_opened(now);
        self.board.out.forget_commands();
        self.state = State::Idle;
        if self.board.is_running() {
            self.reset(now);
        }
    }

    fn start(&mut self, now: Now) {
        self.board.start(now);
        self.reset(now);
    }

    fn stop(&mut self, _now: Now) {
        if self.board.is_running() {
            self.board.stop();
            self.rest();
        }
    }

    fn measuring_max(&self) -> Duration {
        crate::electrocardiography::MEASUREMENT_MAX
    }

    fn handle_input(&mut self, bytes: &[u8], now: Now) {
        if matches!(self.state, State::Idle) {
            return;
        }
        self.board.arrived(bytes.len());
        for &byte in bytes {
            self.buffer.push_back(byte);
            if self.buffer.len() > ANSWER_MAX {
                self.buffer.pop_front();
            }
            if matches!(self.state, State::Streaming { .. }) {
                while self.packet(now) {}
            } else if self.buffer.len() >= END.len()
                && let Some(text) = self.answer()
            {
                self.hear_answer(&text, now);
            }
        }
    }

    fn handle_timeout(&mut self, now: Now) {
        if self.board.handle_timeout(now) {
            return self.rest();
        }
        if let State::Resetting { until } | State::Setting { until, .. } = self.state
            && until <= now.instant
        {
            self.board.out.status(Status::ConnectDevice);
            self.reset(now);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let answer = match self.state {
            State::Resetting { until } | State::Setting { until, .. } => Some(until),
            State::Idle | State::Streaming { .. } => None,
        };
        [answer, self.board.poll_timeout()].into_iter().flatten().min()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.board.out.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.board.out.poll_event()
    }

    fn firmware(&self) -> Option<String> {
        self.firmware.clone()
    }

    fn buffered(&self) -> usize {
        self.buffer.len() + self.board.buffered()
    }
}

#[cfg(test)]
mod tests;

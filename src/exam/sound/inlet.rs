//! Where samples come from: an ALSA device as it is, or a test sound.

use std::f64::consts::TAU;
use std::time::{Duration, Instant};

use alsa::pcm::{Access, Format, HwParams, PCM};
use alsa::{Direction, ValueOr};

/// This machine may be busy for that long before samples are lost, in microseconds.
const BUFFER_MICROSECONDS: u32 = 1_000_000;
/// Samples are handed over that often, in microseconds: what the screen draws at once.
const PERIOD_MICROSECONDS: u32 = 20_000;
/// Wakes up that often although nothing came.
const WAIT_MILLISECONDS: u32 = 100;
/// Rates that are asked for, the better first.
const RATES: [u32; 2] = [48_000, 44_100];

/// Linux errno: the device is gone; this account may not; the buffer overran; nothing there yet; interrupted.
const ENODEV: i32 = 19;
const EACCES: i32 = 13;
const EPIPE: i32 = 32;
const EAGAIN: i32 = 11;
const EINTR: i32 = 4;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Samples were added to the block.
    Samples,
    /// Nothing yet.
    Nothing,
    /// Everything for so long was lost: this machine was too busy.
    Gap(Duration),
}

/// Why nothing can come any more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Its cable was pulled out.
    Gone(String),
    /// It cannot be used as it is.
    Refused(String),
}

/// A source of samples.
pub(super) enum Inlet {
    Alsa { pcm: PCM, rate: u32, channels: usize, last: Instant, interleaved: Vec<i16> },
    Test { rate: u32, given: u64, begun: Instant },
}

impl Inlet {
    /// Opens an ALSA device without any conversion.
    pub(super) fn open(name: &str) -> Result<Inlet, Ended> {
        if !name.starts_with("hw:") {
            return Err(Ended::Refused(format!("{name}: only hw: names give the sound as it is")));
        }
        let pcm = PCM::new(name, Direction::Capture, true).map_err(|error| ended("open", &error))?;
        let (rate, channels) = set(&pcm).map_err(|error| ended("16 bits at 48 or 44.1 kHz", &error))?;
        pcm.start().map_err(|error| ended("start", &error))?;
        Ok(Inlet::Alsa { pcm, rate, channels, last: Instant::now(), interleaved: Vec::new() })
    }

    /// A heart in a quiet room, as a stethoscope would give it.
    pub(super) fn test() -> Inlet {
        Inlet::Test { rate: RATES[0], given: 0, begun: Instant::now() }
    }

    /// Samples a second.
    pub(super) fn rate(&self) -> u32 {
        match self {
            Inlet::Alsa { rate, .. } | Inlet::Test { rate, .. } => *rate,
        }
    }

    /// Adds what came to `block`: one channel, the first where there are several. Waits for it, some tenths of a second
    /// at most.
    pub(super) fn read(&mut self, block: &mut Vec<i16>) -> Result<Heard, Ended> {
        match self {
            Inlet::Alsa { pcm, rate, channels, last, interleaved } => {
                let ready = match pcm.wait(Some(WAIT_MILLISECONDS)) {
                    Ok(ready) => ready,
                    // An overrun is told by the reading too.
                    Err(error) if errno(&error) == EPIPE => true,
                    Err(error) if errno(&error) == EINTR => false,
                    Err(error) => return Err(ended("wait", &error)),
                };
                if !ready {
                    return Ok(Heard::Nothing);
                }
                let frames = *rate as usize * PERIOD_MICROSECONDS as usize / 1_000_000;
                interleaved.resize(frames * *channels, 0);
                let io = pcm.io_i16().map_err(|error| ended("read", &error))?;
                match io.readi(interleaved) {
                    Ok(count) => {
                        block.extend(interleaved.chunks_exact(*channels).take(count).map(|frame| frame[0]));
                        *last = Instant::now();
                        Ok(Heard::Samples)
                    }
                    Err(error) if matches!(errno(&error), EAGAIN | EINTR) => Ok(Heard::Nothing),
                    Err(error) if errno(&error) == EPIPE => {
                        pcm.prepare().and_then(|()| pcm.start()).map_err(|error| ended("start again", &error))?;
                        let gap = last.elapsed();
                        *last = Instant::now();
                        Ok(Heard::Gap(gap))
                    }
                    Err(error) => Err(ended("read", &error)),
                }
            }
            Inlet::Test { rate, given, begun } => {
                let due = |begun: &Instant| (begun.elapsed().as_secs_f64() * f64::from(*rate)) as u64;
                if due(begun) <= *given {
                    // A source of its own pace: there is nothing to wait for.
                    std::thread::sleep(Duration::from_micros(PERIOD_MICROSECONDS.into()));
                }
                let until = due(begun).min(*given + u64::from(*rate));
                block.extend((*given..until).map(|at| heart(at, *rate)));
                *given = until;
                Ok(Heard::Samples)
            }
        }
    }
}

/// Two thuds of 45 Hz a beat, 72 beats a minute.
fn heart(at: u64, rate: u32) -> i16 {
    let seconds = at as f64 / f64::from(rate);
    let since_beat = seconds % (60.0 / 72.0);
    let thud = |at: f64, loud: f64| {
        if since_beat < at {
            0.0
        } else {
            loud * (-(since_beat - at) * 35.0).exp() * ((since_beat - at) * 45.0 * TAU).sin()
        }
    };
    (thud(0.0, 9_000.0) + thud(0.3, 6_000.0) + 40.0 * (seconds * 180.0 * TAU).sin()) as i16
}

fn set(pcm: &PCM) -> alsa::Result<(u32, usize)> {
    let wanted = HwParams::any(pcm)?;
    wanted.set_access(Access::RWInterleaved)?;
    wanted.set_format(Format::S16LE)?;
    let channels = wanted.set_channels_near(1)?;
    let mut rates = RATES.iter().map(|rate| wanted.set_rate(*rate, ValueOr::Nearest).map(|()| *rate));
    let rate = rates.find_map(Result::ok).map_or_else(|| wanted.get_rate(), Ok)?;
    if !RATES.contains(&rate) {
        return Err(alsa::Error::new("rate", 22));
    }
    wanted.set_buffer_time_near(BUFFER_MICROSECONDS, ValueOr::Nearest)?;
    wanted.set_period_time_near(PERIOD_MICROSECONDS, ValueOr::Nearest)?;
    pcm.hw_params(&wanted)?;
    drop(wanted);
    let soft = pcm.sw_params_current()?;
    soft.set_start_threshold(1)?;
    pcm.sw_params(&soft)?;
    Ok((rate, usize::try_from(channels).unwrap_or(1).max(1)))
}

fn ended(what: &str, error: &alsa::Error) -> Ended {
    let why = format!("{what}: {error}");
    match errno(error) {
        ENODEV => Ended::Gone(why),
        EACCES => Ended::Refused(format!("{why}: {}", crate::device::NOT_ALLOWED)),
        _ => Ended::Refused(why),
    }
}

/// Its number, whichever sign the library gave it.
fn errno(error: &alsa::Error) -> i32 {
    error.errno().abs()
}

//! Simulated devices on real pseudo-terminals, or on USB ports of the kernel: what a cabin sees of them is bytes on a
//! port, paced as the real device paces them. They misbehave on command: silent, garbled, unplugged and back, cuff leaking, finger out.
//!
//! Imports nothing of ours on purpose: a mistake shared with the driver would hide itself.
//!
//! ```no_run
//! let sim = sim::Simulator::start("oximeter_nonin", "/tmp/site/oximeter".as_ref()).unwrap();
//! sim.command("value spo2=94 pulse=88").unwrap();
//! sim.command("unplug").unwrap();
//! sim.command("plug").unwrap();
//! ```
#![forbid(unsafe_code)]

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fd::AsFd as _;

mod blood_pressure_contec_08a;
mod blood_pressure_microlife_ascii;
mod blood_pressure_microlife_m;
mod blood_pressure_omron;
mod blood_pressure_phd;
mod blood_pressure_suntech;
mod blood_pressure_taidoc;
mod cable;
mod calendar;
pub mod card_in_qemu;
pub mod card_vitale;
pub mod control;
mod door_contact;
mod ecg_contec_ecg90a;
mod ecg_cyton;
mod ecg_healthypi5;
mod ecg_pc80b;
mod finger;
mod glucose_accu_chek;
mod glucose_phd;
mod glucose_taidoc;
pub mod guest;
mod heart;
mod light_blink1;
mod memory_cuff;
mod orders;
mod oximeter_bci;
mod oximeter_contec;
mod oximeter_nonin;
mod oximeter_phd;
mod oximeter_taidoc;
mod personal_health;
mod platform;
mod presence_ld2410;
mod printer_escpos;
mod pty;
mod scale_health_o_meter;
mod scale_mt_sics;
mod scale_phd;
mod scale_st_gs;
mod scale_tanita;
mod scale_usb_hid;
mod scanner_codes;
mod stick;
mod taidoc;
mod tcp;
mod thermometer_phd;
mod thermometer_taidoc;
mod usb;

use cable::{Cable, Heard, Reports, Socket};
pub use cable::{FEATURE_REPORT, OUTPUT_REPORT};
use orders::{Hand, Orders};
use usb::Plug;
pub use usb::ftdi::SERIAL as ADAPTER_SERIAL;
pub use usb::stream::{CameraMode, Stream};

/// Keys of the simulated models: the names of their files, here and in `drivers`.
pub const MODELS: &[&str] = &[
    "oximeter_nonin",
    "oximeter_phd",
    "blood_pressure_phd",
    "scale_phd",
    "thermometer_phd",
    "glucose_phd",
    "glucose_accu_chek",
    "oximeter_contec",
    "oximeter_bci",
    "blood_pressure_suntech",
    "scale_health_o_meter",
    "scale_tanita",
    "scale_mt_sics",
    "scale_st_gs",
    "thermometer_taidoc",
    "ecg_cyton",
    "ecg_healthypi5",
    "ecg_contec_ecg90a",
    "ecg_pc80b",
    "blood_pressure_taidoc",
    "oximeter_taidoc",
    "glucose_taidoc",
    "blood_pressure_omron",
    "blood_pressure_microlife_ascii",
    "blood_pressure_microlife_m",
    "blood_pressure_contec_08a",
    "scale_usb_hid",
];

/// Commands that every simulator takes.
pub const COMMANDS: &str =
    "unplug | plug | silent on|off | garble on|off | lose N | value key=value... | values | host";

/// The device's side of a protocol. Pure, as the driver's side: time is an argument.
pub(crate) trait Device: Send {
    /// Power has come: with the cable, or at the start.
    fn plugged(&mut self, now: Instant);
    /// The cable is out.
    fn unplugged(&mut self, _now: Instant) {}
    /// Bytes from the host (over HID, one output report); answers go to `out`.
    fn hear(&mut self, bytes: &[u8], now: Instant, out: &mut Vec<u8>);
    /// The host has set the feature report of a HID device.
    fn hear_feature(&mut self, _report: &[u8], _now: Instant, _out: &mut Vec<u8>) {}
    /// What the device says by itself.
    fn tick(&mut self, now: Instant, out: &mut Vec<u8>);
    /// When [`Device::tick`] is wanted next.
    fn due(&self) -> Option<Instant>;
    /// Sets a value.
    fn set(&mut self, key: &str, value: &str, now: Instant) -> Result<(), String>;
    /// The values, as `key=value` words.
    fn values(&self) -> String;
    /// Does something.
    fn act(&mut self, words: &[&str], now: Instant) -> Result<(), String>;
}

fn device(model: &str) -> Option<Box<dyn Device>> {
    Some(match model {
        "oximeter_nonin" => Box::new(oximeter_nonin::Oximeter::new()),
        "oximeter_bci" => Box::new(oximeter_bci::Oximeter::new()),
        "oximeter_phd" => Box::new(oximeter_phd::agent()),
        "blood_pressure_phd" => Box::new(blood_pressure_phd::agent()),
        "scale_phd" => Box::new(scale_phd::agent()),
        "thermometer_phd" => Box::new(thermometer_phd::agent()),
        "glucose_phd" => Box::new(glucose_phd::agent()),
        "glucose_accu_chek" => Box::new(glucose_accu_chek::agent()),
        "oximeter_contec" => Box::new(oximeter_contec::Oximeter::new()),
        "blood_pressure_suntech" => Box::new(blood_pressure_suntech::Cuff::new()),
        "scale_health_o_meter" => Box::new(scale_health_o_meter::Scale::new()),
        "scale_tanita" => Box::new(scale_tanita::Scale::new()),
        "scale_mt_sics" => Box::new(scale_mt_sics::Scale::new()),
        "scale_st_gs" => Box::new(scale_st_gs::Scale::new()),
        "door_contact" => Box::new(door_contact::Door::new()),
        "light_blink1" => Box::new(light_blink1::Lamp::new()),
        "printer_escpos" => Box::new(printer_escpos::Printer::new()),
        "scanner_codes" => Box::new(scanner_codes::Scanner::new()),
        "presence_ld2410" => Box::new(presence_ld2410::Radar::new()),
        "thermometer_taidoc" => Box::new(thermometer_taidoc::Thermometer::new()),
        "ecg_cyton" => Box::new(ecg_cyton::Board::new()),
        "ecg_healthypi5" => Box::new(ecg_healthypi5::Board::new()),
        "ecg_contec_ecg90a" => Box::new(ecg_contec_ecg90a::device()),
        "ecg_pc80b" => Box::new(ecg_pc80b::device()),
        "blood_pressure_taidoc" => Box::new(blood_pressure_taidoc::Cuff::new()),
        "oximeter_taidoc" => Box::new(oximeter_taidoc::Oximeter::new()),
        "glucose_taidoc" => Box::new(glucose_taidoc::GlucoseMeter::new()),
        "blood_pressure_omron" => Box::new(blood_pressure_omron::device()),
        "blood_pressure_microlife_ascii" => Box::new(blood_pressure_microlife_ascii::device()),
        "blood_pressure_microlife_m" => Box::new(blood_pressure_microlife_m::device()),
        "blood_pressure_contec_08a" => Box::new(blood_pressure_contec_08a::device()),
        "scale_usb_hid" => Box::new(scale_usb_hid::Scale::new()),
        _ => return None,
    })
}

/// How a model is plugged into USB, if it is.
fn plug(model: &str) -> Option<Plug> {
    Some(match model {
        "thermometer_taidoc" | "blood_pressure_taidoc" | "oximeter_taidoc" | "glucose_taidoc" => {
            Plug::HidUart { baud: 19_200 }
        }
        "blood_pressure_omron" => Plug::Hid(&blood_pressure_omron::KIND),
        "blood_pressure_microlife_ascii" => Plug::Hid(&blood_pressure_microlife_ascii::KIND),
        "blood_pressure_microlife_m" => Plug::Hid(&blood_pressure_microlife_m::KIND),
        "blood_pressure_contec_08a" => Plug::Hid(&blood_pressure_contec_08a::KIND),
        "scale_usb_hid" => Plug::Hid(&scale_usb_hid::KIND),
        "oximeter_phd" => Plug::Phdc(&oximeter_phd::KIND),
        "blood_pressure_phd" => Plug::Phdc(&blood_pressure_phd::KIND),
        "scale_phd" => Plug::Phdc(&scale_phd::KIND),
        "thermometer_phd" => Plug::Phdc(&thermometer_phd::KIND),
        "glucose_phd" => Plug::Phdc(&glucose_phd::KIND),
        "glucose_accu_chek" => Plug::Phdc(&glucose_accu_chek::KIND),
        "light_blink1" => Plug::Hid(&light_blink1::KIND),
        "door_contact" => Plug::Ftdi,
        "oximeter_nonin" => Plug::FtdiLine,
        "ecg_healthypi5" => Plug::Acm,
        _ => return None,
    })
}

/// A simulated device, running. Dropping it takes its port away and waits for its thread.
pub struct Simulator {
    socket: Socket,
    hand: Hand<String>,
}

impl Simulator {
    /// Plugs a simulated device in: `link` becomes a symbolic link to its pseudo-terminal, or the folder of a recorder
    /// that shows its files as a memory stick.
    ///
    /// # Errors
    /// An unknown model, no pseudo-terminal left, or a folder that cannot be written.
    pub fn start(model: &str, link: &Path) -> std::io::Result<Simulator> {
        let is_recorder = ["ecg_contec_ecg90a", "ecg_pc80b"].contains(&model);
        let socket = if is_recorder { Socket::Folder(link.to_owned()) } else { Socket::Link(link.to_owned()) };
        let cable = socket.plug()?;
        Self::start_with(model, socket, cable)
    }

    /// Plugs a simulated device into a USB port of this machine's kernel: `port` 0 to 7 of the module `vhci_hcd`, which
    /// must be loaded. Only the superuser may.
    ///
    /// # Errors
    /// A model that has no USB cable, no such port, or one that is taken.
    pub fn start_on_usb(model: &str, port: u8) -> std::io::Result<Simulator> {
        let plug = plug(model).ok_or_else(|| std::io::Error::other(format!("{model:?} is no USB device")))?;
        let socket = Socket::Usb { port, plug };
        let cable = socket.plug()?;
        Self::start_with(model, socket, cable)
    }

    /// As [`Simulator::start_on_usb`], behind a serial adapter whose serial number is [`ADAPTER_SERIAL`]. For a model
    /// that speaks on a serial line.
    ///
    /// # Errors
    /// An unknown model, no such port, or one that is taken.
    pub fn start_on_usb_adapter(model: &str, port: u8) -> std::io::Result<Simulator> {
        let socket = Socket::Usb { port, plug: Plug::FtdiLine };
        let cable = socket.plug()?;
        Self::start_with(model, socket, cable)
    }

    /// A simulated HID device without a USB port: each message of the socket is one report, those to the device with
    /// [`OUTPUT_REPORT`] or [`FEATURE_REPORT`] before it. For tests that need no kernel.
    ///
    /// # Errors
    /// A model that is no HID device, or no socket left.
    pub fn start_on_reports(model: &str) -> std::io::Result<(Simulator, UnixDatagram)> {
        let Some(Plug::Hid(kind)) = plug(model) else {
            return Err(std::io::Error::other(format!("{model:?} is no HID device")));
        };
        let (host, device) = UnixDatagram::pair()?;
        device.set_nonblocking(true)?;
        let simulator =
            Self::start_with(model, Socket::Reports, Cable::Reports(Reports::new(device, kind.report_bytes)))?;
        Ok((simulator, host))
    }

    /// Puts a simulated device on the network: it listens on `address` (`host:port`) and takes one host at a time.
    ///
    /// # Errors
    /// An unknown model, or an address that cannot be listened on.
    pub fn start_on_tcp(model: &str, address: &str) -> std::io::Result<Simulator> {
        let socket = Socket::Tcp(address.to_owned());
        let cable = socket.plug()?;
        Self::start_with(model, socket, cable)
    }

    fn start_with(model: &str, socket: Socket, cable: Cable) -> std::io::Result<Simulator> {
        let device = device(model).ok_or_else(|| std::io::Error::other(format!("no simulator for {model:?}")))?;
        let mut line = Line {
            device,
            socket: socket.clone(),
            cable: Some(cable),
            silent: false,
            garble: false,
            lose: 0,
            noise: 0x9E37_79B9_7F4A_7C15,
        };
        line.device.plugged(Instant::now());
        let hand = Hand::on(format!("sim {model}"), move |orders| line.run(&orders))?;
        Ok(Simulator { socket, hand })
    }

    /// The name of its pseudo-terminal, or its USB port, for a person.
    pub fn place(&self) -> String {
        match &self.socket {
            Socket::Link(link) | Socket::Folder(link) => link.display().to_string(),
            Socket::Usb { port, .. } => format!("USB port {port} of vhci_hcd"),
            Socket::Reports => "a socket of reports".into(),
            Socket::Tcp(address) => address.clone(),
        }
    }

    /// Does what [`COMMANDS`] lists, or what the device knows (`finger out`, `cuff leak`, `measure`); returns when it
    /// is done.
    ///
    /// # Errors
    /// What was wrong with the command, in words.
    pub fn command(&self, line: &str) -> Result<String, String> {
        self.hand.command(line)
    }
}

/// The device, its cable, and what is wrong with it.
struct Line {
    device: Box<dyn Device>,
    socket: Socket,
    cable: Option<Cable>,
    silent: bool,
    garble: bool,
    /// Bytes to lose yet.
    lose: usize,
    noise: u64,
}

impl Line {
    fn run(&mut self, orders: &Orders<String>) {
        while orders.obey(|order| self.obey(order)) {
            let now = Instant::now();
            let mut out = Vec::new();
            if self.device.due().is_some_and(|at| at <= now) {
                self.device.tick(now, &mut out);
            }
            self.hear(now, &mut out);
            self.send(out);
            self.wait(orders);
        }
    }

    fn hear(&mut self, now: Instant, out: &mut Vec<u8>) {
        let heard = self.cable.as_mut().map(Cable::read).unwrap_or_default();
        if self.cable.as_mut().is_some_and(Cable::is_new) {
            self.device.plugged(now);
        }
        for heard in heard.into_iter().filter(|_| !self.silent) {
            match heard {
                Heard::Bytes(bytes) => self.device.hear(&bytes, now, out),
                Heard::Feature(report) => self.device.hear_feature(&report, now, out),
            }
        }
    }

    fn wait(&self, orders: &Orders<String>) {
        let left = self.device.due().map(|at| at.saturating_duration_since(Instant::now()));
        let hung_up = self.cable.as_ref().is_some_and(Cable::hung_up);
        // Nothing tells when a host opens the port: it is looked at ten times a second.
        let left = if hung_up { Some(left.unwrap_or(Duration::MAX).min(Duration::from_millis(100))) } else { left };
        // A host that was slow has fetched some by then.
        let is_full = self.cable.as_ref().is_some_and(Cable::is_full);
        let left = if is_full { Some(left.unwrap_or(Duration::MAX).min(Duration::from_millis(2))) } else { left };
        let left = left.map(|left| left + Duration::from_micros(100));
        orders.wait(self.cable.as_ref().filter(|_| !hung_up).map(Cable::as_fd), left);
    }

    fn send(&mut self, mut bytes: Vec<u8>) {
        if self.silent || bytes.is_empty() {
            return;
        }
        let lost = self.lose.min(bytes.len());
        bytes.drain(..lost);
        self.lose -= lost;
        if self.garble {
            for byte in &mut bytes {
                // xorshift64: noise that is the same in every run.
                self.noise ^= self.noise << 13;
                self.noise ^= self.noise >> 7;
                self.noise ^= self.noise << 17;
                if self.noise & 3 == 0 {
                    *byte ^= (self.noise >> 32) as u8;
                }
            }
        }
        if let Some(cable) = &mut self.cable {
            cable.write(&bytes);
        }
    }

    fn obey(&mut self, line: &str) -> Result<String, String> {
        let now = Instant::now();
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            ["unplug"] => {
                // What the host had sent has arrived; the answer is lost.
                self.hear(now, &mut Vec::new());
                if self.cable.take().is_some() {
                    self.device.unplugged(now);
                }
            }
            ["plug"] => {
                if self.cable.is_none() {
                    self.cable = Some(self.socket.plug().map_err(|error| error.to_string())?);
                    self.device.plugged(now);
                }
            }
            ["silent"] | ["silent", "on"] => self.silent = true,
            ["silent", "off"] => self.silent = false,
            ["garble"] | ["garble", "on"] => self.garble = true,
            ["garble", "off"] => self.garble = false,
            ["lose", count] => self.lose = count.parse().map_err(|_| format!("not a number of bytes: {count}"))?,
            ["halt"] => {
                if let Some(Cable::Usb(usb)) = &mut self.cable {
                    usb.halt();
                }
            }
            ["values"] => return Ok(self.device.values()),
            // Whether one is connected.
            ["host"] => {
                let has_host = self.cable.as_ref().is_some_and(Cable::has_host);
                return Ok(if has_host { "yes" } else { "no" }.into());
            }
            ["value", ref pairs @ ..] if !pairs.is_empty() => {
                for pair in pairs {
                    let (key, value) =
                        pair.split_once('=').ok_or_else(|| format!("expected key=value, not {pair:?}"))?;
                    self.device.set(key, value, now)?;
                }
            }
            _ => self.device.act(&words, now)?,
        }
        Ok("ok".into())
    }
}

/// A number out of a value, within bounds.
pub(crate) fn number<T: std::str::FromStr + PartialOrd + std::fmt::Display>(
    key: &str,
    value: &str,
    min: T,
    max: T,
) -> Result<T, String> {
    match value.parse::<T>() {
        Ok(number) if min <= number && number <= max => Ok(number),
        _ => Err(format!("{key} is a number from {min} to {max}, not {value:?}")),
    }
}

pub(crate) fn sum8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0u8, |sum, b| sum.wrapping_add(*b))
}

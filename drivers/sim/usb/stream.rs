//! A camera or a stethoscope on USB: a device that sends in step with the bus, at its own pace.
//!
//! The pace is this machine's clock: the virtual bus has none, a transfer would else be done as soon as it is asked for.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use super::camera::Camera;
use super::stethoscope::Stethoscope;
use super::urb::{self, Ask, Packet, STALL, Submit};
use super::{VHCI, wait_until_free};
use crate::orders::{Hand, Orders};

/// Commands that it takes.
const COMMANDS: &str = "unplug | plug | press | silent on|off | tear on|off";
/// Transfers that wait: a host has a dozen of a stream and one of a button.
const WAITING_MAX: usize = 64;
/// A packet in step with the bus every millisecond.
const PACKET_EVERY: Duration = Duration::from_millis(1);
/// After a pause of the host the pace begins anew.
const BEHIND_MAX: Duration = Duration::from_millis(200);

/// One of a camera's formats, and what it sends in it.
#[derive(Clone, Debug)]
pub struct CameraMode {
    /// Pixels a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// Pictures a second.
    pub rate: u32,
    /// JPEG pictures, one after the other and again from the first; none where it sends pixels (YUY2).
    pub pictures: Vec<Vec<u8>>,
}

/// What a device that streams answers.
pub(super) trait Streaming: Send {
    /// `USB_SPEED_FULL` is 2, `USB_SPEED_HIGH` 3.
    fn speed(&self) -> u8;
    /// A descriptor of that kind and number.
    fn descriptor(&self, kind: u8, number: u8) -> Option<Vec<u8>>;
    /// A request of its class: bytes for the host, or a stall.
    fn request(&mut self, setup: [u8; 8], data: &[u8]) -> Result<Vec<u8>, i32>;
    /// The host has chosen another setting of its stream: 0 is off.
    fn choose(&mut self, setting: u8);
    /// The next packet of its stream, of `most` bytes at most.
    fn packet(&mut self, most: usize, torn: bool) -> Vec<u8>;
    /// Which endpoint streams.
    fn endpoint(&self) -> u8;
    /// What it says of a button.
    fn pressed(&self, down: bool) -> Option<Vec<u8>>;
}

/// A device that streams, in a USB port. Unplugged when dropped.
pub struct Stream {
    hand: Hand<()>,
}

impl Stream {
    /// Plugs a UVC camera with a button into a port of `vhci_hcd`, 0 to 7: 1209:ca3e, serial number "OTO1".
    ///
    /// # Errors
    /// No such port, or one that is taken.
    pub fn camera(port: u8, modes: Vec<CameraMode>) -> io::Result<Stream> {
        Self::start(port, Box::new(Camera::new(modes)))
    }

    /// Plugs a UAC 1.0 microphone into a port of `vhci_hcd`, 0 to 7: 1209:57e7, serial number "STE1", one channel of 16
    /// bits at 44,100 or 48,000 Hz. It sends `samples`, and again from the first.
    ///
    /// # Errors
    /// No such port, or one that is taken.
    pub fn stethoscope(port: u8, samples: Vec<i16>) -> io::Result<Stream> {
        Self::start(port, Box::new(Stethoscope::new(samples)))
    }

    fn start(port: u8, device: Box<dyn Streaming>) -> io::Result<Stream> {
        let mut line = Line { port, device, cable: None, silent: false, torn: false };
        line.cable = Some(Cable::plug(port, line.device.speed())?);
        Ok(Stream { hand: Hand::on("sim stream".into(), move |orders| line.run(&orders))? })
    }

    /// Unplugs it, plugs it in again, presses its button, makes it fall silent or tear its pictures; returns when that
    /// is done.
    ///
    /// # Errors
    /// What was wrong with the command, in words.
    pub fn command(&self, line: &str) -> Result<(), String> {
        self.hand.command(line)
    }
}

struct Line {
    port: u8,
    device: Box<dyn Streaming>,
    cable: Option<Cable>,
    silent: bool,
    torn: bool,
}

impl Line {
    fn run(&mut self, orders: &Orders<()>) {
        while orders.obey(|order| self.obey(order)) {
            let mut left = None;
            if let Some(cable) = &mut self.cable {
                cable.hear(&mut *self.device);
                if !self.silent {
                    left = cable.stream(&mut *self.device, self.torn, Instant::now());
                }
            }
            let cable = self.cable.as_ref().filter(|cable| !cable.is_out);
            orders.wait(cable.map(|cable| cable.kernel.as_fd()), left);
        }
    }

    fn obey(&mut self, line: &str) -> Result<(), String> {
        match line {
            "unplug" => self.cable = None,
            "plug" if self.cable.is_none() => {
                self.device.choose(0);
                let plugged = Cable::plug(self.port, self.device.speed());
                self.cable = Some(plugged.map_err(|error| error.to_string())?);
            }
            "plug" => {}
            "press" => {
                let said = [true, false].map(|down| self.device.pressed(down));
                let (Some(cable), [Some(down), Some(up)]) = (&mut self.cable, said) else {
                    return Err("it has no button, or is not plugged in".into());
                };
                cable.status.extend([down, up]);
                cable.tell();
            }
            "silent on" => self.silent = true,
            "silent off" => self.silent = false,
            "tear on" => self.torn = true,
            "tear off" => self.torn = false,
            _ => return Err(format!("no command {line:?}; there are {COMMANDS}")),
        }
        Ok(())
    }
}

/// What joins it to the kernel.
struct Cable {
    port: u8,
    kernel: UnixStream,
    input: Vec<u8>,
    /// Transfers of the stream that wait for their time.
    stream: VecDeque<(u32, Vec<Packet>)>,
    /// Transfers that wait for the button: number, bytes at most.
    button: VecDeque<(u32, usize)>,
    /// What is to be said of the button.
    status: VecDeque<Vec<u8>>,
    /// When the first of the stream's transfers is over.
    due: Option<Instant>,
    is_out: bool,
}

impl Cable {
    fn plug(port: u8, speed: u8) -> io::Result<Cable> {
        wait_until_free(port)?;
        let (kernel, theirs) = UnixStream::pair()?;
        kernel.set_nonblocking(true)?;
        let device = 0x1_0001 + u32::from(port);
        fs::write(format!("{VHCI}/attach"), format!("{port} {} {device} {speed}", theirs.as_raw_fd()))?;
        Ok(Cable {
            port,
            kernel,
            input: Vec::new(),
            stream: VecDeque::new(),
            button: VecDeque::new(),
            status: VecDeque::new(),
            due: None,
            is_out: false,
        })
    }

    fn hear(&mut self, device: &mut dyn Streaming) {
        let mut buffer = [0; 4096];
        loop {
            match self.kernel.read(&mut buffer) {
                Ok(0) => {
                    self.is_out = true;
                    return;
                }
                Ok(count) => self.input.extend(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        loop {
            match urb::take_with_packets(&mut self.input) {
                Ok(Some((ask, packets))) => self.answer(ask, packets, device),
                Ok(None) => return,
                Err(_) => {
                    self.input.clear();
                    let _ = self.kernel.shutdown(Shutdown::Both);
                    return;
                }
            }
        }
    }

    fn answer(&mut self, ask: Ask, packets: Vec<Packet>, device: &mut dyn Streaming) {
        let answer = match ask {
            Ask::Unlink { number, of } => {
                let before = self.stream.len() + self.button.len();
                self.stream.retain(|(waiting, _)| *waiting != of);
                self.button.retain(|(waiting, _)| *waiting != of);
                urb::unlinked(number, self.stream.len() + self.button.len() < before)
            }
            Ask::Submit(Submit { number, endpoint: 0, is_in, setup, length, data }) => {
                match control(device, setup, &data) {
                    Ok(answer) if is_in => urb::submitted(number, 0, answer.len(), &answer),
                    Ok(_) => urb::submitted(number, 0, length, &[]),
                    Err(status) => urb::submitted(number, status, 0, &[]),
                }
            }
            Ask::Submit(Submit { number, endpoint, is_in: true, .. })
                if endpoint == device.endpoint() && !packets.is_empty() && self.stream.len() < WAITING_MAX =>
            {
                self.stream.push_back((number, packets));
                return;
            }
            Ask::Submit(Submit { number, is_in: true, length, .. })
                if packets.is_empty() && self.button.len() < WAITING_MAX =>
            {
                self.button.push_back((number, length));
                return self.tell();
            }
            Ask::Submit(Submit { number, .. }) => urb::submitted(number, STALL, 0, &[]),
        };
        self.say(&answer);
    }

    /// Ends the transfers of the stream whose time has come; how long until the next.
    fn stream(&mut self, device: &mut dyn Streaming, torn: bool, now: Instant) -> Option<Duration> {
        loop {
            let Some((_, packets)) = self.stream.front() else {
                self.due = None;
                return None;
            };
            let lasts = PACKET_EVERY * u32::try_from(packets.len()).unwrap_or(1);
            let due = *self.due.get_or_insert(now + lasts);
            if due > now {
                return Some(due - now);
            }
            let (number, packets) = self.stream.pop_front()?;
            let packets = packets.into_iter().map(|packet| {
                let most = usize::try_from(packet.length).unwrap_or(0);
                (packet, device.packet(most, torn))
            });
            let packets: Vec<(Packet, Vec<u8>)> = packets.collect();
            self.say(&urb::streamed(number, &packets));
            let next = self.stream.front().map_or(1, |(_, packets)| u32::try_from(packets.len()).unwrap_or(1));
            let begun = if now.saturating_duration_since(due) > BEHIND_MAX { now } else { due };
            self.due = Some(begun + PACKET_EVERY * next);
        }
    }

    fn tell(&mut self) {
        while !self.button.is_empty()
            && let Some(mut said) = self.status.pop_front()
            && let Some((number, most)) = self.button.pop_front()
        {
            said.truncate(most);
            self.say(&urb::submitted(number, 0, said.len(), &said));
        }
    }

    fn say(&mut self, message: &[u8]) {
        let mut left = message;
        while !left.is_empty() {
            match self.kernel.write(left) {
                Ok(count) => left = &left[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    // The kernel takes it within microseconds; a packet must not be cut in two.
                    let _ = poll(&mut [PollFd::new(&self.kernel, PollFlags::OUT)], None);
                }
                Err(_) => {
                    let _ = self.kernel.shutdown(Shutdown::Both);
                    return;
                }
            }
        }
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        let _ = self.kernel.shutdown(Shutdown::Both);
        // Once this has ended the host has been told, as when a hand has pulled the cable.
        let _ = wait_until_free(self.port);
    }
}

/// A request of endpoint 0: those that every device knows (USB 2.0, 9.4), the rest is the device's.
fn control(device: &mut dyn Streaming, setup: [u8; 8], data: &[u8]) -> Result<Vec<u8>, i32> {
    let [number, kind] = [setup[2], setup[3]];
    let mut answer = match (setup[0], setup[1]) {
        (0x80, 0x06) => device.descriptor(kind, number).ok_or(STALL)?,
        // SET_INTERFACE.
        (0x01, 0x0B) => {
            if setup[4] == 1 {
                device.choose(number);
            }
            Vec::new()
        }
        // SET_CONFIGURATION, CLEAR_FEATURE of an endpoint (a halt).
        (0x00, 0x09) | (0x02, 0x01) => Vec::new(),
        // GET_STATUS, GET_CONFIGURATION.
        (0x80..=0x82, 0x00) => vec![0, 0],
        (0x80, 0x08) => vec![1],
        _ => device.request(setup, data)?,
    };
    answer.truncate(usize::from(u16::from_le_bytes([setup[6], setup[7]])));
    Ok(answer)
}

/// A device descriptor (USB 2.0, 9.6.1): class, subclass and protocol, maker, product; strings 1 to 3.
pub(super) fn device_descriptor(class: [u8; 3], vendor: u16, product: u16) -> Vec<u8> {
    let mut text = vec![18, 1, 0x00, 0x02];
    text.extend(class);
    text.push(64);
    text.extend(vendor.to_le_bytes());
    text.extend(product.to_le_bytes());
    text.extend([0x00, 0x01, 1, 2, 3, 1]);
    text
}

/// A configuration of two interfaces, 100 mA from the bus, with what follows it.
pub(super) fn configuration(parts: &[u8]) -> Vec<u8> {
    let [low, high] = u16::try_from(parts.len() + 9).unwrap_or(0).to_le_bytes();
    [&[9, 2, low, high, 2, 1, 0, 0x80, 50], parts].concat()
}

/// String 0 lists the languages: English alone.
pub(super) fn string(number: u8, texts: [&str; 3]) -> Option<Vec<u8>> {
    let Some(at) = number.checked_sub(1) else { return Some(vec![4, 3, 0x09, 0x04]) };
    texts.get(usize::from(at)).map(|text| super::hid::string(text))
}

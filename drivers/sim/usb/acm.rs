//! A device that is a serial port itself: USB communications class, abstract control model. Linux calls it `ttyACM`.
//!
//! Sources: USB CDC 1.1 (descriptors 5.2, requests 6.2) and its PSTN subclass 1.2; HealthyPi 5 answers with Nordic's
//! vendor number (`devices.md` 4.2). The rest of its identity is from general knowledge: no board was at hand.

use std::collections::VecDeque;

use super::hid::Answer;
use super::urb::STALL;
use super::{Function, Heard};

/// Bytes of a packet.
const PACKET: usize = 64;
/// Bytes that wait for the host: what comes on top is lost, as a board without flow control loses it.
const WAITING_MAX: usize = 4_096;

/// The board, with power.
pub(super) struct Acm {
    /// Baud rate, stop bits, parity, data bits, as the host set it: kept and not minded.
    line: [u8; 7],
    /// The host has the port open (DTR): a board that nobody listens to says nothing.
    is_open: bool,
    waiting: VecDeque<u8>,
}

impl Acm {
    pub(super) fn new() -> Acm {
        Acm { line: [0x00, 0xC2, 0x01, 0x00, 0, 0, 8], is_open: false, waiting: VecDeque::new() }
    }
}

impl Function for Acm {
    fn control(&mut self, setup: [u8; 8], data: &[u8], _heard: &mut Vec<Heard>) -> Answer {
        let most = usize::from(u16::from_le_bytes([setup[6], setup[7]]));
        let mut answer = match (setup[0], setup[1]) {
            (0x80, 0x06) => descriptor(setup[3], setup[2])?,
            // SET_CONFIGURATION, SET_INTERFACE, CLEAR_FEATURE of an endpoint.
            (0x00, 0x09) | (0x01, 0x0B) | (0x02, 0x01) => Vec::new(),
            (0x80..=0x82, 0x00) => vec![0, 0],
            // SET_LINE_CODING, GET_LINE_CODING.
            (0x21, 0x20) => {
                self.line = data.try_into().map_err(|_| STALL)?;
                Vec::new()
            }
            (0xA1, 0x21) => self.line.to_vec(),
            // SET_CONTROL_LINE_STATE: bit 0 is DTR.
            (0x21, 0x22) => {
                self.is_open = setup[2] & 1 != 0;
                if !self.is_open {
                    self.waiting.clear();
                }
                Vec::new()
            }
            _ => return Err(STALL),
        };
        answer.truncate(most);
        Ok(answer)
    }

    fn sent(&mut self, data: &[u8], heard: &mut Vec<Heard>) {
        heard.push(Heard::Bytes(data.to_vec()));
    }

    fn receive(&mut self, bytes: &[u8]) {
        if self.is_open {
            let room = WAITING_MAX.saturating_sub(self.waiting.len());
            self.waiting.extend(bytes.iter().take(room));
        }
    }

    fn report(&mut self) -> Option<Vec<u8>> {
        let count = self.waiting.len().min(PACKET);
        (count > 0).then(|| self.waiting.drain(..count).collect())
    }
}

fn descriptor(kind: u8, number: u8) -> Answer {
    Ok(match (kind, number) {
        // USB 2.0, communications class, Nordic, strings 1 to 3.
        (1, _) => vec![18, 1, 0x00, 0x02, 2, 0, 0, 64, 0x15, 0x19, 0x00, 0x01, 0x00, 0x01, 1, 2, 3, 1],
        (2, 0) => vec![
            9, 2, 67, 0, 2, 1, 0, 0x80, 125, // two interfaces, 250 mA
            9, 4, 0, 0, 1, 2, 2, 1, 0, // control: abstract control model
            5, 0x24, 0, 0x10, 0x01, // CDC 1.10
            5, 0x24, 1, 0, 1, // calls are the data interface's
            4, 0x24, 2, 2, // line coding and line state
            5, 0x24, 6, 0, 1, // one function of interfaces 0 and 1
            7, 5, 0x82, 3, 8, 0, 16, // interrupt in: it never has anything to say
            9, 4, 1, 0, 2, 10, 0, 0, 0, // data
            7, 5, 0x81, 2, 64, 0, 0, // bulk in
            7, 5, 0x01, 2, 64, 0, 0, // bulk out
        ],
        (3, 0) => vec![4, 3, 0x09, 0x04],
        (3, 1) => super::hid::string("ProtoCentral"),
        (3, 2) => super::hid::string("HealthyPi 5"),
        (3, 3) => super::hid::string("HPI5ESSAI"),
        _ => return Err(STALL),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_pass_while_the_port_is_open_and_a_line_is_kept_as_it_was_set() {
        let mut board = Acm::new();
        let ask = |board: &mut Acm, setup, data: &[u8]| board.control(setup, data, &mut Vec::new());
        board.receive(b"nobody listens");
        assert_eq!(board.report(), None);
        ask(&mut board, [0x21, 0x22, 1, 0, 0, 0, 0, 0], &[]).unwrap();
        let line = [0x80, 0x25, 0, 0, 0, 0, 8];
        ask(&mut board, [0x21, 0x20, 0, 0, 0, 0, 7, 0], &line).unwrap();
        assert_eq!(ask(&mut board, [0xA1, 0x21, 0, 0, 0, 0, 7, 0], &[]).unwrap(), line);
        board.receive(&[5; 70]);
        assert_eq!((board.report().unwrap().len(), board.report().unwrap().len(), board.report()), (64, 6, None));
        let text = ask(&mut board, [0x80, 6, 0, 2, 0, 0, 0xFF, 0], &[]).unwrap();
        assert_eq!(text.len(), usize::from(text[2]));
    }
}

//! IEEE 11073-20601: the language of certified personal health devices, over USB (PHDC), TCP or a serial line.
//!
//! Shared by every model that speaks it, whatever it measures: [`manager`] holds the association, [`configuration`] and
//! [`observation`] decode values as the device itself announced them, [`taking`] decides which of them are this
//! measurement's. A model's own file says what it measures and in which units.

pub(crate) mod apdu;
pub(crate) mod condition;
pub(crate) mod configuration;
pub(crate) mod identity;
pub(crate) mod manager;
pub(crate) mod mder;
pub(crate) mod nomenclature;
pub(crate) mod observation;
mod standard;
pub(crate) mod taking;

/// Most bytes of a device's past kept: a message that is not whole yet.
pub(crate) const BUFFER_MAX: usize = apdu::APDU_MAX;

#[cfg(test)]
pub(crate) mod testing {
    /// Bytes of a text in hexadecimal, blanks passed over. What is in brackets has its length before it, in two bytes.
    pub(crate) fn hex(text: &str) -> Vec<u8> {
        let (mut bytes, mut open, mut digits) = (Vec::<u8>::new(), Vec::new(), text.bytes());
        while let Some(first) = digits.next() {
            match first {
                b'[' => {
                    open.push(bytes.len());
                    bytes.extend([0, 0]);
                }
                b']' => {
                    let at = open.pop().unwrap();
                    let length = u16::try_from(bytes.len() - at - 2).unwrap();
                    bytes[at..at + 2].copy_from_slice(&length.to_be_bytes());
                }
                _ if first.is_ascii_whitespace() => {}
                _ => {
                    let pair = [first, digits.next().unwrap()];
                    bytes.push(u8::from_str_radix(std::str::from_utf8(&pair).unwrap(), 16).unwrap());
                }
            }
        }
        assert!(open.is_empty());
        bytes
    }
}

#[cfg(test)]
mod tests;

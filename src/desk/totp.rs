//! Time-based one-time passwords, RFC 6238: SHA-1, six digits, 30 seconds, one step of tolerance either way.

use hmac::{Hmac, Mac as _};
use sha1::Sha1;
use subtle::ConstantTimeEq as _;

/// Bytes of a secret, as RFC 4226 recommends.
pub const SECRET_BYTES: usize = 20;
const STEP_S: u64 = 30;

/// Which time step `code` belongs to, around `now_s` (seconds since 1970); `None` when it is of none. Every
/// candidate is compared in constant time. Remember the step and refuse it next time: a code is for once.
pub fn step_of(secret: &[u8], code: &str, now_s: u64) -> Option<u64> {
    let now = now_s / STEP_S;
    let mut found = None;
    for step in now.saturating_sub(1)..=now + 1 {
        if bool::from(code_at(secret, step).as_bytes().ct_eq(code.as_bytes())) {
            found = Some(step);
        }
    }
    found
}

/// The code shown by an authenticator at `now_s`.
pub fn code(secret: &[u8], now_s: u64) -> String {
    code_at(secret, now_s / STEP_S)
}

fn code_at(secret: &[u8], step: u64) -> String {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret) else { return String::new() };
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[19] & 0x0f);
    let word = u32::from_be_bytes([digest[at], digest[at + 1], digest[at + 2], digest[at + 3]]) & 0x7fff_ffff;
    format!("{:06}", word % 1_000_000)
}

/// RFC 4648 base32 without padding, as authenticators read it.
pub fn base32(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(5) {
        let mut word = [0; 8];
        word[3..3 + group.len()].copy_from_slice(group);
        let word = u64::from_be_bytes(word);
        for n in 0..(group.len() * 8).div_ceil(5) {
            text.push(char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[(word >> (35 - 5 * n)) as usize & 31]));
        }
    }
    text
}

/// The bytes of a base32 text; spaces and letter case do not count. `None` when another character is in it.
pub fn from_base32(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut word, mut bits) = (Vec::new(), 0u32, 0);
    for c in text.bytes().filter(|c| !c.is_ascii_whitespace() && *c != b'=') {
        let value = match c.to_ascii_uppercase() {
            c @ b'A'..=b'Z' => c - b'A',
            c @ b'2'..=b'7' => c - b'2' + 26,
            _ => return None,
        };
        word = (word << 5 | u32::from(value)) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_rfc_6238_appendix_b() {
        let secret = b"12345678901234567890";
        for (at, expected) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
        {
            assert_eq!(code(secret, at), expected);
            assert_eq!(step_of(secret, expected, at + 30), Some(at / 30), "a slow typist");
            assert_eq!(step_of(secret, expected, at + 90), None, "too late");
        }
    }

    #[test]
    fn base32_is_that_of_rfc_4648() {
        for (bytes, text) in [
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
            assert_eq!(from_base32(text).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(from_base32("M1"), None);
    }
}

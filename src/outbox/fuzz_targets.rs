//! What a fuzzer feeds: any bytes must be taken without a panic, and what is accepted must mean one thing only.

use crate::frame::{Header, Seal};
use crate::keys::DataKey;
use crate::record::{BlobId, ConsultationId};
use crate::wire::{self, Reply, Request};
use crate::{blob, export, log};
use uuid::Uuid;

const CONSULTATION: ConsultationId = ConsultationId(Uuid::from_u128(3));

/// A log's bytes: garbage as it is, and the same garbage between and within frames that were sealed.
pub fn log_frames(data: &[u8]) {
    let seal = Seal::new(&DataKey::fixed(), CONSULTATION);
    let _ = log::scan(&seal, data);
    let mut bytes = Vec::new();
    for seq in 0..3 {
        let content = &data[..data.len().min(40)];
        if seal.seal(Header { seq, durable: seq, kind: seq as u8 }, content, &mut bytes).is_none() {
            return;
        }
    }
    let whole = log::scan(&seal, &bytes);
    assert_eq!((whole.frames.len(), whole.tail, whole.damaged), (3, false, false));
    if data.iter().any(|byte| *byte != 0) {
        let mut torn = bytes.clone();
        torn.extend_from_slice(data);
        let scan = log::scan(&seal, &torn);
        assert!(scan.frames.len() == 3 && scan.end == bytes.len() as u64);
        let at = usize::from(data[0]) % bytes.len();
        torn.splice(at..at, data.iter().copied());
        assert!(log::scan(&seal, &torn).frames.len() <= 3);
    }
}

/// A sealed file's bytes.
pub fn sealed_file(data: &[u8]) {
    assert!(blob::open(data, &DataKey::fixed(), CONSULTATION, BlobId(Uuid::from_u128(4))).is_none());
}

/// What another operator opens: a file's bytes as they came, bytes sealed as a file, and bytes within an export, which
/// anybody may seal.
pub fn exported(data: &[u8]) {
    // 32 bytes of 42.
    let Ok(key) = export::OperatorKey::from_text("KioqKioqKioqKioqKioqKioqKioqKioqKioqKioqKio=") else {
        unreachable!("a key is 32 bytes")
    };
    assert!(export::unseal(data, &key, std::io::sink()).is_err());
    assert!(export::open(data, &key, |_| Ok(())).is_err());
    let mut sealed = Vec::new();
    assert!(export::seal(data, key.public(), &mut sealed).is_ok_and(|bytes| bytes == data.len() as u64));
    let mut opened = Vec::new();
    assert!(export::unseal(sealed.as_slice(), &key, &mut opened).is_ok() && opened == data);
    if let Some(first) = data.first() {
        let at = usize::from(*first) % sealed.len();
        sealed[at] ^= 1;
        assert!(export::unseal(sealed.as_slice(), &key, std::io::sink()).is_err());
    }
    if let Ok(bytes) = export::with_content(data, key.public()) {
        let mut submissions = 0;
        let count = export::open(bytes.as_slice(), &key, |_| {
            submissions += 1;
            Ok(())
        });
        assert!(count.is_err() || count.is_ok_and(|count| count == submissions));
    }
}

/// The socket: a stream of messages, each of which is a request, or is refused.
pub fn socket(data: &[u8]) {
    let mut stream = data;
    while let Ok(Some(message)) = wire::receive(&mut stream) {
        if let Ok(request) = Request::decode(&message) {
            assert!(request.encode().as_slice() == message.as_slice());
        }
    }
    if let Ok(reply) = Reply::decode(data) {
        let again = Reply::decode(&reply.encode());
        assert!(again.is_ok_and(|again| again == reply));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn random_and_bent_bytes_are_taken_without_a_panic() {
        let mut seed = [0; 8];
        crate::keys::random(&mut seed);
        let mut state = u64::from_le_bytes(seed) | 1;
        eprintln!("seed {state}");
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for round in 0..3000 {
            let mut data: Vec<u8> = (0..next() % 200).map(|_| next() as u8).collect();
            if next() % 2 == 0 {
                // Half of them look like a message, so that the fields are reached.
                let length = data.len() as u32;
                data.splice(0..0, length.to_le_bytes());
                if data.len() > 5 {
                    data[4] = 1;
                    data[5] %= 12;
                }
            }
            super::log_frames(&data);
            super::sealed_file(&data);
            if round % 10 == 0 {
                super::exported(&data);
            }
            super::socket(&data);
        }
    }
}

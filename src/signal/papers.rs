//! The patient's papers by telephone: the cabin seals them, the desk keeps what it cannot read, a code on the cabin's
//! screen holds the address and the key.
//!
//! The cabin packs every paper ([`Pack`]), seals the pack with AES-256-GCM under a key made for it alone, and puts it
//! at [`put_path`] with a [`sign`]ed proof of who it is. The code to scan is [`link`]: what stands after `#` never
//! leaves the telephone, so the desk never has the key. `PROTOCOL.md` says the same in words.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::documents::DOCUMENT_BYTES_MAX;
use crate::{CabinId, Code, Text, Unreadable};

/// Path under which sealed packs are put and fetched; an identifier follows.
pub const PAPERS_PATH: &str = "/api/papers/";
/// Path of the page that opens them.
pub const PAGE_PATH: &str = "/papers/";
/// Header with the cabin's identifier.
pub const CABIN_HEADER: &str = "telecabine-cabin";
/// Header with the SHA-256 of the body, 64 lower-case hexadecimal digits.
pub const DIGEST_HEADER: &str = "telecabine-sha256";
/// Header with the signature, base64.
pub const PROOF_HEADER: &str = "telecabine-proof";
/// Header of the answer: until when the desk keeps the pack, ms since 1970.
pub const KEPT_UNTIL_HEADER: &str = "telecabine-kept-until";

/// Random bytes of an identifier: nobody guesses one.
pub const ID_BYTES: usize = 16;
/// Bytes of the key (AES-256).
pub const KEY_BYTES: usize = 32;
/// Bytes of the nonce before the sealed bytes. The key seals once, so any nonce would do.
pub const NONCE_BYTES: usize = 12;
/// Bytes of the tag after the sealed bytes.
pub const TAG_BYTES: usize = 16;
/// Authenticated with the sealed bytes: nothing else that this project seals can be mistaken for papers.
pub const SEAL_CONTEXT: &[u8] = b"telecabine papers v1";

/// Most papers in a pack: the sheet and as many documents as a consultation can have.
pub const PAPERS_MAX: usize = 21;
/// Longest list of a pack, bytes.
pub const LIST_BYTES_MAX: usize = 16 * 1024;
/// Longest sealed pack, bytes: three documents at their longest and some more. What is longer is to be printed.
pub const SEALED_BYTES_MAX: usize = 40 * 1024 * 1024;

/// First bytes of what is signed.
const DOMAIN: &[u8] = b"telecabine cabin papers v1\0";

/// The name of a sealed pack at the desk: random, made by the cabin.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PapersId(String);

crate::opaque_debug!("secret": PapersId);

impl PapersId {
    /// From random bytes.
    pub fn of(bytes: [u8; ID_BYTES]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads the one way in which such an identifier is written.
    pub fn read(text: &str) -> Option<Self> {
        // Padding bits that are not zero are refused: one pack has one address.
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        <[u8; ID_BYTES]>::try_from(bytes).ok().map(Self::of)
    }

    /// 22 characters of the base64 of URLs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a cabin puts a pack and a telephone fetches it.
pub fn put_path(id: &PapersId) -> String {
    format!("{PAPERS_PATH}{}", id.as_str())
}

/// What the code to scan holds: `https://desk.example/papers/#ID.KEY`. It opens the papers: it is a secret.
pub fn link(origin: &str, id: &PapersId, key: &[u8; KEY_BYTES]) -> String {
    format!("{origin}{PAGE_PATH}#{}.{}", id.as_str(), URL_SAFE_NO_PAD.encode(key))
}

/// The bytes that are signed: the domain, then identifier, cabin, origin and the 32 bytes of the digest, each after
/// its length as u16 little endian.
pub fn signed_bytes(id: &PapersId, cabin: &CabinId, origin: &str, digest: &[u8; 32]) -> Vec<u8> {
    let mut bytes = DOMAIN.to_vec();
    let origin = &origin.as_bytes()[..origin.len().min(256)];
    for part in [id.as_str().as_bytes(), cabin.as_str().as_bytes(), origin, digest] {
        // Each part is at most 256 bytes, so the length always fits.
        bytes.extend_from_slice(&(part.len() as u16).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// The SHA-256 of a sealed pack.
pub fn digest(sealed: &[u8]) -> [u8; 32] {
    Sha256::digest(sealed).into()
}

/// The cabin's proof for [`PROOF_HEADER`].
pub fn sign(key: &SigningKey, id: &PapersId, cabin: &CabinId, origin: &str, digest: &[u8; 32]) -> Text<88> {
    let signature = key.sign(&signed_bytes(id, cabin, origin, digest));
    Text::cut(&STANDARD.encode(signature.to_bytes()))
}

/// Whether the cabin that enrolled `key` put these bytes under this identifier at this desk.
pub fn verify(
    key: &VerifyingKey,
    id: &PapersId,
    cabin: &CabinId,
    origin: &str,
    digest: &[u8; 32],
    proof: &str,
) -> bool {
    let Ok(bytes) = STANDARD.decode(proof) else { return false };
    let Ok(bytes) = <[u8; 64]>::try_from(bytes) else { return false };
    key.verify_strict(&signed_bytes(id, cabin, origin, digest), &Signature::from_bytes(&bytes)).is_ok()
}

/// One paper of a pack.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paper {
    /// `summary`, or a kind of document of the `record` channel.
    pub kind: Code,
    /// As the physician named it; empty for the sheet.
    pub title: Text<200>,
    /// Length of the PDF, bytes.
    pub bytes: u32,
}

/// What is in a pack, before the bytes of the PDFs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaperList {
    /// [`crate::VERSION`].
    pub version: u16,
    /// In the order of their bytes, 1 to [`PAPERS_MAX`].
    pub papers: Vec<Paper>,
}

crate::opaque_debug!("patient": Paper, PaperList);

impl PaperList {
    /// Reads the list of a pack.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let list: Self = crate::read(text, LIST_BYTES_MAX)?;
        let lengths = list.papers.iter().all(|paper| (1..=DOCUMENT_BYTES_MAX).contains(&paper.bytes));
        if list.version != crate::VERSION || !(1..=PAPERS_MAX).contains(&list.papers.len()) || !lengths {
            return Err(Unreadable::Forbidden("a pack has 1 to 21 papers of 1 byte to 10 MiB, version 1"));
        }
        Ok(list)
    }

    /// The list as text.
    pub fn write(&self) -> String {
        crate::write(self)
    }
}

/// A pack as it is before sealing: length of the list (u32 little endian), the list, the PDFs one after the other.
/// Refused when it would be longer than [`SEALED_BYTES_MAX`] once sealed, or a paper's length is not the one listed.
pub fn pack(list: &PaperList, papers: &[&[u8]]) -> Result<Vec<u8>, Unreadable> {
    let lengths_agree = list.papers.len() == papers.len()
        && list.papers.iter().zip(papers).all(|(listed, bytes)| listed.bytes as usize == bytes.len());
    if !lengths_agree {
        return Err(Unreadable::Forbidden("the list and the papers differ"));
    }
    let text = list.write();
    PaperList::read(&text)?;
    let bytes = 4 + text.len() + papers.iter().map(|paper| paper.len()).sum::<usize>();
    let max = SEALED_BYTES_MAX - NONCE_BYTES - TAG_BYTES;
    if bytes > max {
        return Err(Unreadable::TooLarge { bytes, max });
    }
    let mut packed = Vec::with_capacity(bytes);
    // At most LIST_BYTES_MAX.
    packed.extend_from_slice(&(text.len() as u32).to_le_bytes());
    packed.extend_from_slice(text.as_bytes());
    for paper in papers {
        packed.extend_from_slice(paper);
    }
    Ok(packed)
}

/// Takes a pack apart. Refused unless every byte belongs to the list or to a paper.
pub fn unpack(packed: &[u8]) -> Result<(PaperList, Vec<&[u8]>), Unreadable> {
    let wrong = Unreadable::Frame("a pack that is cut short");
    let (length, rest) = packed.split_first_chunk::<4>().ok_or(wrong.clone())?;
    let length = u32::from_le_bytes(*length) as usize;
    let (text, mut rest) = rest.split_at_checked(length).ok_or(wrong.clone())?;
    let text = std::str::from_utf8(text).map_err(|_| Unreadable::Frame("a list that is not text"))?;
    let list = PaperList::read(text)?;
    let mut papers = Vec::with_capacity(list.papers.len());
    for paper in &list.papers {
        let (bytes, left) = rest.split_at_checked(paper.bytes as usize).ok_or(wrong.clone())?;
        papers.push(bytes);
        rest = left;
    }
    if rest.is_empty() { Ok((list, papers)) } else { Err(Unreadable::Frame("bytes after the last paper")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(lengths: &[u32]) -> PaperList {
        let kind = |n: usize| Code::new(if n == 0 { "summary" } else { "prescription" }).unwrap();
        let papers = lengths.iter().enumerate();
        let papers = papers.map(|(n, bytes)| Paper { kind: kind(n), title: Text::default(), bytes: *bytes });
        PaperList { version: 1, papers: papers.collect() }
    }

    #[test]
    fn the_pack_of_the_example_is_exact_and_comes_apart_again() {
        let list = PaperList {
            version: 1,
            papers: vec![
                Paper { kind: Code::new("summary").unwrap(), title: Text::default(), bytes: 5 },
                Paper { kind: Code::new("prescription").unwrap(), title: Text::cut("Ordonnance"), bytes: 6 },
            ],
        };
        let packed = pack(&list, &[b"%PDF-", b"%PDF-1"]).unwrap();
        let hex: String = packed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("../../tests/wire/papers.pack.hex").trim());
        assert_eq!(unpack(&packed), Ok((list, vec![&b"%PDF-"[..], b"%PDF-1"])));
    }

    #[test]
    fn a_pack_that_is_cut_or_has_more_is_refused() {
        let packed = pack(&list(&[3, 2]), &[b"abc", b"de"]).unwrap();
        for length in 0..packed.len() {
            assert!(unpack(&packed[..length]).is_err(), "{length}");
        }
        assert!(unpack(&[&packed[..], b"x"].concat()).is_err());
        assert!(unpack(&[0xff; 64]).is_err());
        assert!(pack(&list(&[3]), &[b"abc", b"de"]).is_err() && pack(&list(&[2]), &[b"abc"]).is_err());
        assert!(pack(&list(&[]), &[]).is_err() && pack(&list(&[0]), &[b""]).is_err());
        let long = vec![0; DOCUMENT_BYTES_MAX as usize];
        let too_many = [&long[..]; 4];
        let refused = pack(&list(&[DOCUMENT_BYTES_MAX; 4]), &too_many).unwrap_err();
        assert!(matches!(refused, Unreadable::TooLarge { .. }), "{refused}");
        assert!(pack(&list(&[1; PAPERS_MAX + 1]), &[&b"x"[..]; PAPERS_MAX + 1]).is_err());
    }

    #[test]
    fn a_proof_is_bound_to_pack_name_cabin_and_desk() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let cabin = CabinId::new("cabin-5f3a9c").unwrap();
        let (id, origin, bytes) = (PapersId::of([3; 16]), "https://desk.example", digest(b"sealed"));
        let proof = sign(&key, &id, &cabin, origin, &bytes);
        let public = key.verifying_key();
        let fits = |id: &PapersId, cabin: &CabinId, origin: &str, bytes: &[u8; 32], proof: &str| {
            verify(&public, id, cabin, origin, bytes, proof)
        };
        assert!(fits(&id, &cabin, origin, &bytes, proof.as_str()));
        assert!(!fits(&PapersId::of([4; 16]), &cabin, origin, &bytes, proof.as_str()));
        assert!(!fits(&id, &CabinId::new("cabin-5f3a9d").unwrap(), origin, &bytes, proof.as_str()));
        assert!(!fits(&id, &cabin, "https://desk.other", &bytes, proof.as_str()));
        assert!(!fits(&id, &cabin, origin, &digest(b"other"), proof.as_str()));
        assert!(!fits(&id, &cabin, origin, &bytes, "not base64"));
    }

    #[test]
    fn an_identifier_has_one_way_of_being_written() {
        let id = PapersId::of([0xab; 16]);
        assert_eq!(PapersId::read(id.as_str()), Some(id.clone()));
        for wrong in ["", "q6urq6urq6urq6urq6urqx", "../../etc/passwd", "q6urq6urq6urq6urq6urq6ur", "a/b"] {
            assert_eq!(PapersId::read(wrong), None, "{wrong}");
        }
        let link = link("https://desk.example", &id, &[0xcd; 32]);
        assert_eq!(
            link,
            "https://desk.example/papers/#q6urq6urq6urq6urq6urqw.zc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc0"
        );
    }
}

//! Everything handed over, by one code to scan: sealed here, kept by the desk, opened in the patient's telephone.
//!
//! The desk never has the key: it stands in the code only, after the `#` of an address. `signal::papers` says what
//! travels; the sealing itself is here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use signal::papers::{
    CABIN_HEADER, DIGEST_HEADER, ID_BYTES, KEY_BYTES, NONCE_BYTES, PROOF_HEADER, Paper as Listed, PaperList, PapersId,
    SEAL_CONTEXT, digest, link, pack, put_path, sign,
};
use signal::{Code as Word, Text, VERSION, enrol};
use zeroize::Zeroizing;

use super::code::{self, Code};
use crate::enrolment::Identity;

/// Longest wait for the desk to answer the dial.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Longest wait for all of it: 40 MiB at 4 Mbit/s. Past it the patient is shown what the cabin can show alone.
const SEND_MAX: Duration = Duration::from_secs(90);

/// One paper of the patient.
pub struct Paper {
    /// `summary`, or the wire's name of a kind of document.
    pub kind: &'static str,
    /// As the physician named it; empty for the sheet.
    pub title: Zeroizing<String>,
    /// The file.
    pub pdf: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Paper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Paper([patient])")
    }
}

/// Papers that nobody can read without the key. Made to be sent once.
pub struct Sealed {
    id: PapersId,
    /// Of [`KEY_BYTES`]; on the heap, whose freed memory is wiped: an array would leave a copy wherever it was moved.
    key: Zeroizing<Vec<u8>>,
    bytes: Vec<u8>,
}

/// The address that opens the papers, key and all: shown as a code, never logged, wiped when dropped.
#[derive(Clone)]
pub struct Link(Zeroizing<String>);

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link([secret])")
    }
}

/// Why there is no code for all papers. The patient is shown the sheet's words instead, and told so.
#[derive(Debug, thiserror::Error)]
pub enum PapersFault {
    /// Nothing to take away.
    #[error("there is nothing to take away")]
    Nothing,
    /// More than a pack holds.
    #[error("the papers do not fit in a pack: {0}")]
    Pack(#[from] signal::Unreadable),
    /// No randomness or no cipher: a fault of this computer.
    #[error("the papers cannot be sealed on this computer")]
    Seal,
    /// The line.
    #[error("the desk did not take the papers: {0}")]
    Line(String),
    /// The desk's own words.
    #[error("the desk refused the papers ({code}): {reason}")]
    Refused {
        /// Its status or code.
        code: String,
        /// For people.
        reason: String,
    },
}

impl Sealed {
    /// Packs and seals with a fresh key.
    pub fn of(papers: &[Paper]) -> Result<Sealed, PapersFault> {
        if papers.is_empty() {
            return Err(PapersFault::Nothing);
        }
        let listed = papers.iter().map(|paper| {
            Ok(Listed {
                kind: Word::new(paper.kind).map_err(|_| PapersFault::Seal)?,
                title: Text::cut(&paper.title),
                bytes: u32::try_from(paper.pdf.len()).unwrap_or(u32::MAX),
            })
        });
        let list = PaperList { version: VERSION, papers: listed.collect::<Result<_, PapersFault>>()? };
        let files: Vec<&[u8]> = papers.iter().map(|paper| paper.pdf.as_slice()).collect();
        let mut bytes = pack(&list, &files)?;
        let random = SystemRandom::new();
        let (mut id, mut key, mut nonce) = ([0; ID_BYTES], Zeroizing::new(vec![0; KEY_BYTES]), [0; NONCE_BYTES]);
        for part in [&mut id[..], &mut key[..], &mut nonce[..]] {
            random.fill(part).map_err(|_| PapersFault::Seal)?;
        }
        let sealed = seal(&key, nonce, &mut bytes);
        wipe_stack();
        sealed?;
        bytes.splice(..0, nonce);
        Ok(Sealed { id: PapersId::of(id), key, bytes })
    }

    /// Gives the sealed bytes to the desk, proved by the cabin's key; comes back with the address once they are kept.
    ///
    /// # Errors
    /// The desk cannot be reached in time, or refuses; nothing can then be opened by anybody.
    pub async fn send(self, identity: &Identity, tls: Arc<rustls::ClientConfig>) -> Result<Link, PapersFault> {
        let line = |error: reqwest::Error| PapersFault::Line(error.without_url().to_string());
        let bytes = digest(&self.bytes);
        let proof = sign(&identity.key, &self.id, &identity.cabin_id, &identity.origin, &bytes);
        // A client of its own, dropped with the answer: no connection stays open that holds anything.
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured((*tls).clone())
            .connect_timeout(CONNECT_MAX)
            .timeout(SEND_MAX)
            .build()
            .map_err(line)?;
        let answer = client
            .put(format!("{}{}", identity.origin, put_path(&self.id)))
            .header(CABIN_HEADER, identity.cabin_id.as_str())
            .header(DIGEST_HEADER, bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            .header(PROOF_HEADER, proof.as_str())
            .header("content-type", "application/octet-stream")
            .body(self.bytes)
            .send()
            .await
            .map_err(line)?;
        let status = answer.status();
        if !status.is_success() {
            let text = answer.text().await.unwrap_or_default();
            let (code, reason) = match enrol::Refused::read(&text) {
                Ok(refused) => (format!("{:?}", refused.code), refused.reason.as_str().to_owned()),
                Err(_) => (status.to_string(), "not the answer of a desk".to_owned()),
            };
            return Err(PapersFault::Refused { code, reason });
        }
        let key = <&[u8; KEY_BYTES]>::try_from(self.key.as_slice()).map_err(|_| PapersFault::Seal)?;
        Ok(Link(Zeroizing::new(link(&identity.origin, &self.id, key))))
    }
}

/// Seals in place. Not inlined: what the cipher keeps of the key stays in this frame, which is wiped next.
#[inline(never)]
fn seal(key: &[u8], nonce: [u8; NONCE_BYTES], bytes: &mut Vec<u8>) -> Result<(), PapersFault> {
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(|_| PapersFault::Seal)?);
    cipher
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(SEAL_CONTEXT), bytes)
        .map_err(|_| PapersFault::Seal)
}

/// Overwrites the stack below the caller, where [`seal`] left the round keys: they begin with the key itself.
#[inline(never)]
fn wipe_stack() {
    // Several times what the cipher's frames take, unoptimized.
    let mut below = [0_u8; 64 * 1024];
    std::hint::black_box(&mut below);
}

impl Link {
    /// The address itself, for the receipt that the patient takes along.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The code to scan.
    ///
    /// # Errors
    /// Never for an address of a usual length.
    pub fn code(&self) -> Result<Code, code::TooLong> {
        code::codes(&self.0)?.into_iter().next().ok_or(code::TooLong { bytes: self.0.len() })
    }
}

/// A sending that ends with the interest in it: who leaves takes along what was still on its way.
#[derive(Debug)]
pub struct UnderWay(pub tokio::task::AbortHandle);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What stands on the screen for the patient's telephone.
#[derive(Clone, Debug, Default)]
pub enum Shown {
    /// Nothing.
    #[default]
    Nothing,
    /// The papers are on their way to the desk.
    Sending(Arc<UnderWay>),
    /// One code that opens everything.
    Everything,
    /// Codes that hold the sheet's words and nothing else: the desk could not be reached.
    WordsOnly {
        /// All of them.
        codes: Vec<Code>,
        /// Which is shown.
        place: usize,
    },
    /// Not even that: no sheet, or one too long. The papers are to be printed or asked for.
    Impossible,
}

/// What the patient's telephone was given so far in this consultation.
#[derive(Clone, Debug, Default)]
pub struct Telephone {
    /// What is on the screen.
    pub shown: Shown,
    /// The address made last, and of how many summaries and documents: the same papers are sent once.
    pub made: Option<(Link, (usize, usize))>,
    /// A receipt waits for the address.
    pub receipt_awaited: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use signal::papers::unpack;

    fn paper(kind: &'static str, pdf: &[u8]) -> Paper {
        Paper { kind, title: Zeroizing::new("Ordonnance Durand".to_owned()), pdf: Zeroizing::new(pdf.to_vec()) }
    }

    fn open(sealed: &Sealed, key: &[u8]) -> Option<Vec<u8>> {
        let (nonce, bytes) = sealed.bytes.split_first_chunk::<NONCE_BYTES>()?;
        let mut bytes = bytes.to_vec();
        let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?);
        let opened =
            cipher.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(SEAL_CONTEXT), &mut bytes).ok()?;
        Some(opened.to_vec())
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_only_and_shows_nothing_of_itself() {
        let papers = [paper("summary", b"%PDF-1.4 sheet"), paper("prescription", b"%PDF-1.7 order")];
        let sealed = Sealed::of(&papers).unwrap();
        let opened = open(&sealed, &sealed.key).unwrap();
        let (list, files) = unpack(&opened).unwrap();
        assert_eq!(files, [papers[0].pdf.as_slice(), papers[1].pdf.as_slice()]);
        assert_eq!(list.papers[1].kind.as_str(), "prescription");
        for secret in [&b"%PDF"[..], b"Durand", b"prescription"] {
            assert!(!sealed.bytes.windows(secret.len()).any(|window| window == secret));
        }
        let mut other = sealed.key.clone();
        other[0] ^= 1;
        assert_eq!(open(&sealed, &other), None);
        let again = Sealed::of(&papers).unwrap();
        assert!(*again.key != *sealed.key && again.id != sealed.id, "each time a key of its own");
        assert!(matches!(Sealed::of(&[]), Err(PapersFault::Nothing)));
    }

    #[test]
    fn a_telephone_reads_the_address_from_the_code() {
        let address = link("https://desk.example:8443", &PapersId::of([0xab; 16]), &[0xcd; 32]);
        let picture = Link(Zeroizing::new(address.clone())).code().unwrap().picture(520);
        let side = picture.side as usize;
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(side, side, |x, y| picture.luma[y * side + x]);
        assert_eq!(image.detect_grids()[0].decode().unwrap().1, address);
    }

    #[test]
    fn an_address_and_its_papers_never_print_themselves() {
        let link = Link(Zeroizing::new("https://desk.example/papers/#a.b".to_owned()));
        let telephone = Telephone { shown: Shown::Everything, made: Some((link, (1, 1))), ..Telephone::default() };
        assert!(!format!("{telephone:?}").contains("desk.example"), "{telephone:?}");
        assert_eq!(format!("{:?}", paper("summary", b"x")), "Paper([patient])");
    }
}

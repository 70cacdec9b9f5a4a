//! The frozen examples, the written protocol and the types say the same; garbage is refused and never panics.

use std::collections::BTreeMap;
use std::path::Path;

use ed25519_dalek::SigningKey;

use crate::cabin::{FromCabin, FromDesk};
use crate::data::Record;
use crate::documents::{Chunk, Incoming, Received, Sha256Hex};
use crate::guest::{FromGuest, ToGuest};
use crate::live::{Frame, WaveformKind};
use crate::physician::{FromPage, SignIn, ToPage};
use crate::*;

fn wire() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/wire");
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("tests/wire") {
        let path = entry.expect("entry").path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let name = path.file_stem().expect("stem").to_str().expect("name").to_owned();
            let text = std::fs::read_to_string(&path).expect("fixture");
            found.insert(name, text.strip_suffix('\n').expect("a fixture ends with one line feed").to_owned());
        }
    }
    found
}

/// Reads and writes again, by the channel in the fixture's name.
fn again(name: &str, text: &str) -> Result<String, Unreadable> {
    Ok(match name.split_once('.').expect("channel.message") {
        ("from_cabin", _) => FromCabin::read(text)?.write(),
        ("from_desk", _) => FromDesk::read(text)?.write(),
        ("from_page", _) => FromPage::read(text)?.write(),
        ("to_page", _) => ToPage::read(text)?.write(),
        ("from_guest", _) => FromGuest::read(text)?.write(),
        ("to_guest", _) => ToGuest::read(text)?.write(),
        ("guest", "asked") => guest::Asked::read(text)?.write(),
        ("guest", "invited") => guest::Invited::read(text)?.write(),
        ("guest", "line") => guest::Line::read(text)?.write(),
        ("record", _) => Record::read(text)?.write()?,
        ("enrol", "request") => enrol::Request::read(text)?.write(),
        ("enrol", "accepted") => enrol::Accepted::read(text)?.write(),
        ("papers", "list") => papers::PaperList::read(text)?.write(),
        ("enrol", "refused") => enrol::Refused::read(text)?.write(),
        ("second_opinion", "ask") => second_opinion::Ask::read(text)?.write(),
        ("second_opinion", "lists") => second_opinion::Lists::read(text)?.write(),
        ("second_opinion", "opinion") => second_opinion::Opinion::read(text)?.write(),
        ("second_opinion", _) => second_opinion::Step::read(text)?.write(),
        ("physician", "sign_in") => crate::write(&SignIn::read(text)?),
        _ => panic!("{name}: no such channel"),
    })
}

#[test]
fn every_frozen_example_is_read_and_written_back_byte_for_byte() {
    let wire = wire();
    assert!(wire.len() > 70, "{} examples", wire.len());
    for (name, text) in &wire {
        assert_eq!(again(name, text).as_ref(), Ok(text), "{name}");
    }
}

#[test]
fn the_written_protocol_shows_exactly_the_frozen_examples() {
    let page = include_str!("PROTOCOL.md");
    let mut shown = BTreeMap::new();
    for part in page.split("<!-- wire: ").skip(1) {
        let (name, rest) = part.split_once(" -->\n```json\n").expect("a json block after its mark");
        let (text, _) = rest.split_once("\n```").expect("end of block");
        assert!(shown.insert(name.to_owned(), text.to_owned()).is_none(), "{name} twice");
    }
    assert_eq!(shown, wire());
}

#[test]
fn every_message_type_has_a_frozen_example() {
    let wire = wire();
    let listed = |source: &str, name: &str| -> Vec<String> {
        let start = source.find(&format!("pub enum {name} {{")).expect("enum");
        let body = &source[start..start + source[start..].find("\n}\n").expect("end")];
        let variant = |line: &&str| line.starts_with("    ") && line.as_bytes()[4].is_ascii_uppercase();
        let snake = |word: &str| {
            word.chars().fold(String::new(), |mut out, c| {
                if c.is_uppercase() && !out.is_empty() {
                    out.push('_');
                }
                out.push(c.to_ascii_lowercase());
                out
            })
        };
        let word = |line: &str| line.trim().split(|c: char| !c.is_alphanumeric()).next().expect("word").to_owned();
        body.lines().filter(|line| line.len() > 4).filter(variant).map(|line| snake(&word(line))).collect()
    };
    for (channel, source, name, least) in [
        ("from_cabin", include_str!("cabin.rs"), "FromCabin", 15),
        ("from_desk", include_str!("cabin.rs"), "FromDesk", 14),
        ("from_page", include_str!("physician.rs"), "FromPage", 8),
        ("to_page", include_str!("physician.rs"), "ToPage", 19),
        ("from_guest", include_str!("guest.rs"), "FromGuest", 8),
        ("to_guest", include_str!("guest.rs"), "ToGuest", 11),
        ("record", include_str!("data.rs"), "Record", 20),
    ] {
        let variants = listed(source, name);
        assert!(variants.len() >= least, "{name}: {variants:?}");
        for variant in variants {
            assert!(wire.contains_key(&format!("{channel}.{variant}")), "no example of {channel}.{variant}");
        }
    }
}

#[test]
fn a_physician_authenticated_in_no_way_that_the_cabin_knows_is_told_apart() {
    use crate::call::Authentication;
    let example = include_str!("../../tests/wire/from_desk.physician_offered.json");
    for (way, expected) in [
        (",\"authentication\":\"local_totp\"", Authentication::LocalTotp),
        (",\"authentication\":\"openid_connect\"", Authentication::OpenIdConnect),
        (",\"authentication\":\"badge_of_2031\"", Authentication::Unknown),
        ("", Authentication::Unknown),
    ] {
        let text = example.replace(",\"authentication\":\"local_totp\"", way);
        let FromDesk::PhysicianOffered { authentication, .. } = FromDesk::read(&text).unwrap() else {
            panic!("{text}")
        };
        assert_eq!(authentication, expected, "{text}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_binary_examples_are_exact() {
    let frame =
        Frame { kind: WaveformKind::Pleth, seq: 7, rate_hz: 75, t0_ms: 1_795_310_060_000, samples: vec![0, 1, -1] };
    let bytes = frame.write().unwrap();
    assert_eq!(hex(&bytes), include_str!("../../tests/wire/live.frame.hex").trim());
    assert_eq!(Frame::read(&bytes), Ok(frame));
    let chunk = Chunk { number: 1, offset: 16372, payload: b"%PDF-" };
    let bytes = chunk.write().unwrap();
    assert_eq!(hex(&bytes), include_str!("../../tests/wire/documents.chunk.hex").trim());
    assert_eq!(Chunk::read(&bytes), Ok(chunk));
}

#[test]
fn the_proof_of_the_example_is_exact_and_bound_to_nonce_cabin_and_desk() {
    let key = SigningKey::from_bytes(&[1; 32]);
    let cabin = CabinId::new("cabin-5f3a9c").unwrap();
    let origin = "https://desk.example";
    let signature = proof::sign(&key, &proof::nonce_text(&[2; 32]), &cabin, origin).unwrap();
    assert_eq!(FromCabin::read(&wire()["from_cabin.proof"]), Ok(FromCabin::Proof { signature: signature.clone() }));
    let public = proof::public_key(&proof::public_key_text(&key.verifying_key())).unwrap();
    assert!(proof::verify(&public, &[2; 32], &cabin, origin, &signature));
    assert!(!proof::verify(&public, &[3; 32], &cabin, origin, &signature), "another nonce");
    assert!(!proof::verify(&public, &[2; 32], &CabinId::new("cabin-2").unwrap(), origin, &signature), "another cabin");
    assert!(!proof::verify(&public, &[2; 32], &cabin, "https://other.example", &signature), "another desk");
    let other = SigningKey::from_bytes(&[9; 32]).verifying_key();
    assert!(!proof::verify(&other, &[2; 32], &cabin, origin, &signature), "another key");
    assert!(!proof::verify(&public, &[2; 32], &cabin, origin, &Text::cut("not base64")), "not a signature");
    assert!(proof::public_key(&Text::cut("AAAA")).is_err());
}

#[test]
fn a_matricule_without_a_qualified_identity_is_refused_both_ways() {
    let text = wire()["record.patient"].replace('}', r#","matricule":"279035121518989"}"#);
    assert!(matches!(Record::read(&text), Err(Unreadable::Forbidden(_))));
    let qualified = text.replace("validated", "qualified");
    let Ok(Record::Patient(mut identity)) = Record::read(&qualified) else { panic!("a qualified one is read") };
    identity.status = data::IdentityStatus::Provisional;
    assert!(Record::Patient(identity).write().is_err());
}

#[test]
fn a_figure_in_a_foreign_unit_is_refused() {
    let text = wire()["record.reading_temperature"].replace("\"decimals\":2", "\"decimals\":1");
    assert!(matches!(Record::read(&text), Err(Unreadable::Forbidden(_))));
}

#[test]
fn what_is_too_long_is_refused_with_its_limit() {
    let long = format!(r#"{{"type":"ping","n":1,"x":"{}"}}"#, "a".repeat(SIGNAL_BYTES_MAX));
    let refused = FromCabin::read(&long).unwrap_err();
    assert_eq!(refused.code(), RefusalCode::TooLarge);
    assert_eq!(refused, Unreadable::TooLarge { bytes: long.len(), max: SIGNAL_BYTES_MAX });
    let line = wire()["record.answers"].replace("Fièvre depuis deux jours", &"é".repeat(251));
    assert_eq!(Record::read(&line).unwrap_err().code(), RefusalCode::Malformed);
    assert!(Text::<4>::new("ab\u{0}").is_err());
    assert_eq!(Text::<4>::cut("aéé\u{7}x").as_str(), "aé");
}

#[test]
fn nothing_of_a_patient_or_a_secret_shows_in_debug_or_in_a_refusal() {
    let wire = wire();
    let shown = format!(
        "{:?} {:?} {:?} {:?}",
        Record::read(&wire["record.patient"]),
        Record::read(&wire["record.reading"]),
        Record::read(&wire["record.answers"]),
        FromCabin::read(&wire["from_cabin.waiting"]),
    );
    for secret in ["PAT-TROIS", "1979", "97 %", "deux jours"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(!format!("{:?}", FromCabin::read(&wire["from_cabin.accept"])).contains("kq3vF0bq2m"));
    for name in ["from_guest.hello", "from_guest.return", "to_guest.seated"] {
        let shown = format!("{:?} {:?}", FromGuest::read(&wire[name]), ToGuest::read(&wire[name]));
        assert!(!shown.contains("9f1c") && !shown.contains("s41Gk") && !shown.contains("Lemaire"), "{shown}");
    }
    let refused = Record::read(r#"{"type":"patient","birth_name":7,"secret":"DUPONT"}"#).unwrap_err();
    assert!(!format!("{refused} {refused:?}").contains("DUPONT"));
}

#[test]
fn a_document_arrives_whole_resumes_where_it_was_and_is_refused_when_it_differs() {
    let file: Vec<u8> = b"%PDF-1.7 ".iter().copied().chain((0..40_000u32).map(|n| n as u8)).collect();
    let begin = |sha256: Sha256Hex| data::DocumentBegin {
        id: ItemId::new("d1").unwrap(),
        number: 3,
        kind: data::DocumentKind::Prescription,
        title: Text::cut("Ordonnance"),
        bytes: file.len() as u32,
        sha256,
    };
    let mut incoming = Incoming::new(begin(Sha256Hex::of(&file)));
    let chunk = |offset: u32| {
        let from = offset as usize;
        Chunk { number: 3, offset, payload: &file[from..(from + documents::PAYLOAD_BYTES_MAX).min(file.len())] }
    };
    assert_eq!(incoming.take(&chunk(0)), Received::More);
    assert_eq!(incoming.take(&chunk(0)), Received::OutOfPlace, "repeated");
    assert!(incoming.continues(&begin(Sha256Hex::of(&file))), "the page came back and announces it again");
    assert_eq!(incoming.take(&Chunk { number: 4, ..chunk(incoming.received()) }), Received::OutOfPlace);
    assert_eq!(incoming.take(&chunk(incoming.received())), Received::More);
    assert_eq!(incoming.take(&chunk(incoming.received())), Received::Whole);
    assert_eq!(incoming.into_bytes(), file);

    let mut wrong = Incoming::new(begin(Sha256Hex::of(b"other")));
    let mut last = Received::More;
    while last == Received::More {
        last = wrong.take(&chunk(wrong.received()));
    }
    assert!(matches!(last, Received::Refused(_)));
    assert_eq!(wrong.received(), 0, "begins again from nothing");
}

/// xorshift64*: enough to spoil examples, the same on every machine.
struct Noise(u64);

impl Noise {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % below.max(1)
    }
}

#[test]
#[allow(clippy::print_stdout, reason = "the seed of a random test is printed")]
fn garbage_and_spoilt_examples_never_panic_any_parser() {
    let seed = 0x7e1e_cab1_4e00_0001;
    println!("seed {seed:#x}");
    let mut noise = Noise(seed);
    let mut seeds: Vec<Vec<u8>> = wire().into_values().map(String::into_bytes).collect();
    seeds
        .push(Frame { kind: WaveformKind::Pleth, seq: 1, rate_hz: 75, t0_ms: 1, samples: vec![5; 9] }.write().unwrap());
    seeds.push(Chunk { number: 1, offset: 0, payload: b"%PDF-" }.write().unwrap());
    let pack = include_str!("../../tests/wire/papers.pack.hex").trim();
    seeds.push(
        pack.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect(),
    );
    seeds.push(papers::PapersId::of([9; 16]).as_str().into());
    seeds.push(b"[".repeat(10_000));
    seeds.push(br#"{"type":"#.repeat(2_000));
    for _ in 0..4_000 {
        let mut bytes = seeds[noise.next(seeds.len())].clone();
        for _ in 0..noise.next(4) {
            let at = noise.next(bytes.len());
            match noise.next(4) {
                0 => bytes.truncate(at),
                1 if !bytes.is_empty() => bytes[at] = noise.next(256) as u8,
                2 if !bytes.is_empty() => drop(bytes.remove(at)),
                _ => bytes.insert(at, b"\"{}[],:0-9\\u\0\xff"[noise.next(14)]),
            }
        }
        for (_, target) in fuzz_targets::ALL {
            target(&bytes);
        }
    }
}

#[test]
fn a_request_without_consent_question_or_what_its_specialty_must_know_says_what_is_missing() {
    use crate::second_opinion::{Ask, COMMON_FIELDS, DETAILS_MAX, SPECIALTIES, Step};
    let text = include_str!("../../tests/wire/second_opinion.ask.json");
    assert_eq!(Ask::read(text).unwrap().missing(), None);
    for (good, bad, word) in [
        ("\"consent\":true", "\"consent\":false", "d’accord"),
        ("\"consent_at\":1795309900000", "\"consent_at\":0", "d’accord"),
        ("Faut-il une biopsie ?", "  ", "question"),
        ("Lésion pigmentée apparue cet été.", "", "contexte"),
        ("\"wanted_days\":4", "\"wanted_days\":8", "délai"),
        ("\"text\":\"Dos\"", "\"text\":\" \"", "Endroit du corps"),
        ("\"dermatology\"", "\"astrology\"", "spécialité"),
    ] {
        let changed = text.replace(good, bad);
        assert_ne!(changed, text);
        let missing = Ask::read(&changed).unwrap().missing().unwrap_or_default();
        assert!(missing.contains(word), "{bad}: {missing:?}");
    }
    for specialty in SPECIALTIES {
        assert!(specialty.fields.len() + COMMON_FIELDS.len() <= DETAILS_MAX);
        assert!(
            Code::new(specialty.code).is_ok() && specialty.fields.iter().all(|field| Code::new(field.code).is_ok())
        );
    }
    let detail = "{\"field\":\"site\",\"text\":\"Dos\"},".repeat(DETAILS_MAX);
    assert!(Ask::read(&text.replace("\"details\":[", &format!("\"details\":[{detail}"))).is_err());
    assert!(Step::read("{\"id\":\"a\",\"step\":\"wish\"}").is_err());
}

#[test]
fn a_guest_has_a_name_that_can_be_read_and_an_unknown_part_is_another() {
    use crate::guest::GuestRole;
    let text = include_str!("../../tests/wire/from_guest.hello.json");
    for name in ["", "  ", "Jean\\nMEDECIN"] {
        let changed = text.replace("Jeanne Lemaire", name);
        assert!(matches!(FromGuest::read(&changed), Err(Unreadable::Forbidden(_))), "{name:?}");
    }
    assert_eq!(
        FromGuest::read(&text.replace("Jeanne Lemaire", &"é".repeat(51))).unwrap_err().code(),
        RefusalCode::Malformed
    );
    let Ok(FromGuest::Hello { guest, .. }) = FromGuest::read(&text.replace("sign_interpreter", "robot")) else {
        panic!("a part of 2031 is read")
    };
    assert_eq!(guest.role, GuestRole::Other);
    let here = include_str!("../../tests/wire/record.guest.json");
    assert!(matches!(Record::read(&here.replace("Jeanne Lemaire", " ")), Err(Unreadable::Forbidden(_))));
}

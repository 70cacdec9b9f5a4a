//! Replies to specialists, kept until the desk has them.

mod shared;

use outbox::store::Store;
use outbox::*;
use shared::*;
use std::fs;

const WORDS: &[u8] = b"MARTIN-Sophie-1954: non, jamais";

fn open(folder: &Folder) -> Store {
    Store::open(&folder.data(), root_key(), 1 << 20).unwrap()
}

/// Names and contents, as the store gives them.
fn kept(store: &mut Store) -> Vec<(LetterId, Vec<u8>)> {
    store.letters().unwrap().into_iter().map(|letter| (letter.id, letter.content.to_vec())).collect()
}

#[test]
fn a_letter_is_kept_sealed_and_written_anew_and_gone_when_it_is_dropped() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let (one, other) = (LetterId::random(), LetterId::random());
    store.keep_letter(one, WORDS).unwrap();
    store.keep_letter(other, b"oui").unwrap();
    store.keep_letter(one, &[WORDS, b", vraiment"].concat()).unwrap();
    drop(store);
    assert!(
        every_file(&folder.data()).iter().all(|(_, bytes)| !holds(bytes, b"MARTIN-Sophie")),
        "unsealed on the disk"
    );
    assert_eq!(left(&folder.data()).unwrap(), Left { letters: 2, ..Left::default() });
    let report = check(&folder.data(), root_key()).unwrap();
    assert_eq!((report.letters, report.problems), (2, Vec::<String>::new()));

    let mut store = open(&folder);
    let mut expected = vec![(one, [WORDS, b", vraiment"].concat()), (other, b"oui".to_vec())];
    expected.sort();
    assert_eq!(kept(&mut store), expected);
    store.drop_letter(one).unwrap();
    store.drop_letter(one).unwrap();
    drop(store);
    let mut store = open(&folder);
    assert_eq!(kept(&mut store), [(other, b"oui".to_vec())]);
}

#[test]
fn too_large_a_letter_and_one_too_many_are_refused_and_the_others_stay() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let large = store.keep_letter(LetterId::random(), &vec![7; LETTER_BYTES_MAX + 1]).unwrap_err();
    assert_eq!(large.refusal, Refusal::TooLarge);
    for n in 0..LETTERS_MAX {
        store.keep_letter(LetterId::random(), &vec![n as u8; LETTER_BYTES_MAX / LETTERS_MAX]).unwrap();
    }
    assert_eq!(store.keep_letter(LetterId::random(), b"x").unwrap_err().refusal, Refusal::Busy);
    assert_eq!(kept(&mut store).len(), LETTERS_MAX);
    assert!(!store.has_failed());
}

#[test]
fn a_damaged_letter_is_said_comes_back_empty_can_be_written_anew_and_stops_nothing() {
    let folder = Folder::new();
    let mut store = open(&folder);
    let [key, content, empty] = [LetterId::random(), LetterId::random(), LetterId::random()];
    for letter in [key, content, empty] {
        store.keep_letter(letter, WORDS).unwrap();
    }
    drop(store);
    for (letter, file) in [(key, "key".to_owned()), (content, format!("{content}.blob"))] {
        let path = folder.data().join("letters").join(letter.to_string()).join(file);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    fs::write(folder.data().join("letters").join(empty.to_string()).join("key"), b"").unwrap();
    assert_eq!(check(&folder.data(), root_key()).unwrap().problems.len(), 3);
    let mut store = open(&folder);
    let is_said = |store: &Store| store.status().faults.iter().any(|fault| fault.code == FaultCode::Damaged);
    assert!(is_said(&store), "before anybody asked for them");
    assert_eq!(kept(&mut store).iter().filter(|(_, content)| content.is_empty()).count(), 3);
    assert!(is_said(&store));
    store.keep_letter(key, WORDS).unwrap();
    store.drop_letter(content).unwrap();
    store.drop_letter(empty).unwrap();
    assert_eq!(kept(&mut store), [(key, WORDS.to_vec())]);
    assert!(!is_said(&store), "nothing is damaged any more");
    assert!(!store.has_failed());
    drop(store);
    assert_eq!(check(&folder.data(), root_key()).unwrap().problems, Vec::<String>::new());
}

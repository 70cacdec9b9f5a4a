//! Simulated cards in the virtual reader of the real card service, read by the real port and the real `cabinctl`.
//!
//! The service has one socket a machine and the virtual reader one TCP port: the tests run in namespaces of their own,
//! with a /run and a loopback of their own, where they start and end the service as they like. The first test starts
//! this same program there.

use std::process::Command;

mod card_service;

#[test]
fn cards_are_read_by_the_real_service_in_its_virtual_reader() {
    let needs = [card_service::PROGRAM, "/usr/lib/pcsc/drivers/serial/libifdvpcd.so"];
    let missing = needs.iter().find(|file| !std::path::Path::new(file).exists());
    let can_unshare = Command::new("unshare").args(["-rmn", "true"]).status().is_ok_and(|status| status.success());
    let why = match missing {
        Some(file) => Some(format!("there is no {file}: tests/tools/install test installs it")),
        None if !can_unshare => Some("this account may make no namespaces (unshare -rmn)".to_owned()),
        None => None,
    };
    if let Some(why) = why {
        assert!(std::env::var_os("CI").is_none() || missing.is_none(), "{why}");
        eprintln!("cards_are_read_by_the_real_service_in_its_virtual_reader: SKIPPED, {why}");
        return;
    }
    let script = "mount -t tmpfs tmpfs /run && ip link set lo up && exec \"$@\"";
    let output = Command::new("unshare")
        .args(["-rmn", "--kill-child", "--fork", "--pid", "--mount-proc", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--test-threads=1", "--nocapture", "apart::"])
        .env("IN_NAMESPACE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    eprintln!("{said}{why}");
    assert!(output.status.success(), "{}", output.status);
    assert!(said.contains("test result: ok.") && !said.contains(" 0 passed"), "no test was run");
}

/// What runs in the namespaces.
mod apart {
    use std::process::{Command, Output};
    use std::sync::mpsc::{self, Receiver};
    use std::time::{Duration, Instant};

    use drivers::fixtures::card_vitale::{CardFault, Wanted};
    use drivers::fixtures::{CardEvent, FixtureEvent, Message};
    use drivers::ports::fixtures::{CardReader, MESSAGES_MAX};
    use sim::card_vitale::{Card, Kind, READER_PORT};

    use crate::card_service::Service;

    /// A test that waits longer than that has failed.
    const PATIENCE: Duration = Duration::from_secs(30);
    const LOOK_EVERY: Duration = Duration::from_millis(10);

    fn is_here() -> bool {
        std::env::var_os("IN_NAMESPACE").is_some()
    }

    /// The service with the virtual reader, or with none.
    fn service(with_reader: bool) -> Service {
        let reader = format!(
            "FRIENDLYNAME \"Virtual PCD\"\nDEVICENAME /dev/null:{READER_PORT}\n\
             LIBPATH /usr/lib/pcsc/drivers/serial/libifdvpcd.so\nCHANNELID {READER_PORT}\n"
        );
        let service = Service::start(if with_reader { &reader } else { "" });
        if with_reader {
            seen_empty();
        }
        service
    }

    /// Waits until the service has looked at the empty reader: the coming of a card that was in before is not counted.
    fn seen_empty() {
        let context = pcsc::Context::establish(pcsc::Scope::User).unwrap();
        let give_up_at = Instant::now() + PATIENCE;
        loop {
            let name = context.list_readers_owned().unwrap_or_default().into_iter().next();
            let mut states = name.map(|name| [pcsc::ReaderState::new(name, pcsc::State::UNAWARE)]);
            let is_empty = states.as_mut().is_some_and(|states| {
                context.get_status_change(PATIENCE, states).is_ok()
                    && states[0].event_state().contains(pcsc::State::EMPTY)
            });
            if is_empty {
                return;
            }
            assert!(Instant::now() < give_up_at, "the service does not look at its reader");
            // A reader that it has not yet listed tells nothing.
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Puts a card in as soon as the reader listens.
    fn insert_for(kind: Kind, commands_max: usize) -> Card {
        let give_up_at = Instant::now() + PATIENCE;
        loop {
            match Card::insert_for(kind, READER_PORT, commands_max) {
                Ok(card) => return card,
                Err(error) => assert!(Instant::now() < give_up_at, "no virtual reader: {error}"),
            }
            // The reader tells nobody that it listens: its port is tried again.
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn insert(kind: Kind) -> Card {
        insert_for(kind, usize::MAX)
    }

    /// Takes a card out, and waits until the service has seen it: it looks at the reader some times a second, and no
    /// hand is quicker.
    fn pull(card: Card) {
        drop(card);
        seen_by_the_service(false);
    }

    /// A card that lies in the reader, as the service knows, before anybody asks for one.
    fn left_behind(kind: Kind) -> Card {
        let card = insert(kind);
        seen_by_the_service(true);
        card
    }

    /// Comings and goings are counted together: a card is in when their number is odd.
    fn seen_by_the_service(is_in: bool) {
        let context = pcsc::Context::establish(pcsc::Scope::User).unwrap();
        let reader = context.list_readers_owned().unwrap().remove(0);
        let mut states = [pcsc::ReaderState::new(reader, pcsc::State::UNAWARE)];
        loop {
            context.get_status_change(PATIENCE, &mut states).expect("the service does not see it");
            if states[0].event_count().is_multiple_of(2) != is_in {
                return;
            }
            states[0].sync_current_state();
        }
    }

    struct Reader {
        reader: CardReader,
        messages: Receiver<Message>,
    }

    impl Reader {
        fn open() -> Reader {
            let (sender, messages) = mpsc::sync_channel(MESSAGES_MAX);
            let reader = CardReader::open(None, sender).unwrap();
            reader.read(Wanted { number: true, ..Wanted::default() });
            Reader { reader, messages }
        }

        /// The empty reader is looked at: whatever is put in from now on is put in for this reading.
        fn asks_for_a_card(&self) {
            assert!(matches!(self.next(), CardEvent::Insert { reader } if reader.contains("Virtual PCD")));
        }

        fn next(&self) -> CardEvent {
            match self.messages.recv_timeout(PATIENCE).expect("the reader says nothing").event {
                FixtureEvent::Card(event) => event,
                other => panic!("{other:?} of a card reader"),
            }
        }

        /// Past what only accompanies.
        fn outcome(&self) -> CardEvent {
            loop {
                match self.next() {
                    CardEvent::Insert { .. } | CardEvent::Reading => {}
                    event => return event,
                }
            }
        }
    }

    fn cabinctl(words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_cabinctl")).args(["card", "read"]).args(words).output().unwrap()
    }

    fn names(event: &CardEvent) -> Vec<(&str, &str)> {
        let CardEvent::Read(holders) = event else { panic!("not read: {event:?}") };
        holders
            .iter()
            .map(|h| (h.prefill.birth_name().unwrap_or("?"), h.prefill.given_names().unwrap_or("?")))
            .collect()
    }

    #[test]
    #[ignore = "in its namespaces only, where the test above starts it"]
    fn a_card_put_in_is_read_and_its_leaving_is_said() {
        if !is_here() {
            return;
        }
        let _service = service(true);
        let reader = Reader::open();
        reader.asks_for_a_card();
        let card = insert(Kind::Vitale);
        assert_eq!(reader.next(), CardEvent::Reading);
        let read = reader.next();
        assert_eq!(names(&read), [("DUBOIS-ESSAI", "ELEONORE")]);
        let CardEvent::Read(holders) = &read else { unreachable!() };
        assert_eq!(holders[0].prefill.birth_date(), Some((1979, Some(3), Some(28))));
        assert_eq!(holders[0].number.as_ref().unwrap().reveal(), "279035121518989");
        assert_eq!(card.commands().len(), 4, "{:02X?}", card.commands());
        drop(card);
        assert_eq!(reader.next(), CardEvent::Removed);
        // Nobody agreed to another: the next card is left alone until one is wanted, and is put in then.
        reader.reader.read(Wanted::default());
        reader.asks_for_a_card();
        let card = insert(Kind::Family);
        assert_eq!(names(&reader.outcome()).len(), 9);
        assert!(card.commands().iter().all(|command| command.len() <= 16));
    }

    #[test]
    #[ignore = "in its namespaces only, where the test above starts it"]
    fn a_card_that_the_last_patient_left_is_read_to_nobody_until_it_was_out() {
        if !is_here() {
            return;
        }
        let _service = service(true);
        // At the cabin's start, and of an order to the next, whether the card was read meanwhile or not.
        let left = left_behind(Kind::Vitale);
        let reader = Reader::open();
        assert_eq!(reader.next(), CardEvent::TakeOut);
        reader.reader.stop();
        reader.reader.read(Wanted::default());
        assert_eq!(reader.next(), CardEvent::TakeOut);
        assert_eq!(left.commands(), Vec::<Vec<u8>>::new(), "nothing is asked of it");
        pull(left);
        reader.asks_for_a_card();
        let own = insert(Kind::Family);
        assert_eq!(names(&reader.outcome()).len(), 9);
        let asked = own.commands().len();
        reader.reader.stop();
        // The next patient, while the card of the last is still in.
        reader.reader.read(Wanted::default());
        assert_eq!(reader.next(), CardEvent::TakeOut);
        assert_eq!(own.commands().len(), asked, "it is asked nothing more");
        // The same card, put in again by whoever holds it, is theirs.
        pull(own);
        reader.asks_for_a_card();
        let _again = insert(Kind::Family);
        assert_eq!(names(&reader.outcome()).len(), 9);
    }

    #[test]
    #[ignore = "in its namespaces only, where the test above starts it"]
    fn a_card_that_answers_by_pieces_and_a_family_of_nine_are_read() {
        if !is_here() {
            return;
        }
        let _service = service(true);
        for (kind, count) in [(Kind::VitaleByPieces, 1), (Kind::Family, 9)] {
            let reader = Reader::open();
            reader.asks_for_a_card();
            let card = insert(kind);
            let read = reader.outcome();
            assert_eq!(names(&read).len(), count, "{kind:?}");
            pull(card);
            assert_eq!(reader.next(), CardEvent::Removed);
        }
    }

    #[test]
    #[ignore = "in its namespaces only, where the test above starts it"]
    fn a_card_pulled_out_at_any_moment_is_said_and_read_when_it_is_back() {
        if !is_here() {
            return;
        }
        let _service = service(true);
        let reader = Reader::open();
        reader.asks_for_a_card();
        for commands in 1..=4 {
            let card = insert_for(Kind::Vitale, commands);
            assert_eq!(reader.outcome(), CardEvent::Fault(CardFault::Pulled), "after {commands}");
            pull(card);
        }
        let _card = insert(Kind::Vitale);
        assert_eq!(names(&reader.outcome()), [("DUBOIS-ESSAI", "ELEONORE")]);
    }

    #[test]
    #[ignore = "in its namespaces only, where the test above starts it"]
    fn every_other_card_is_named_and_the_next_one_is_read() {
        if !is_here() {
            return;
        }
        let _service = service(true);
        let reader = Reader::open();
        reader.asks_for_a_card();
        for (kind, fault) in [
            (Kind::Bank, CardFault::Foreign),
            (Kind::Professional, CardFault::Professional),
            (Kind::FirstVitale, CardFault::FirstVitale),
            (Kind::Garbage, CardFault::Garbled),
        ] {
            let card = insert(kind);
            assert_eq!(reader.outcome(), CardEvent::Fault(fault), "{kind:?}");
            assert!(!matches!(kind, Kind::Professional | Kind::FirstVitale) || card.commands().is_empty());
            pull(card);
        }
        let _card = insert(Kind::Vitale);
        assert_eq!(names(&reader.outcome()), [("DUBOIS-ESSAI", "ELEONORE")]);
    }

    #[test]
    #[ignore = "in its namespaces only, where the test above starts it"]
    fn a_service_that_is_not_there_or_has_no_reader_is_said_once_and_waited_for() {
        if !is_here() {
            return;
        }
        let reader = Reader::open();
        assert_eq!(reader.next(), CardEvent::Fault(CardFault::NoService));
        {
            let _service = service(false);
            assert_eq!(reader.next(), CardEvent::Fault(CardFault::NoReader { wanted: None }));
        }
        assert_eq!(reader.next(), CardEvent::Fault(CardFault::NoService));
        let _service = service(true);
        reader.asks_for_a_card();
        let _card = insert(Kind::Vitale);
        assert_eq!(names(&reader.outcome()), [("DUBOIS-ESSAI", "ELEONORE")]);
    }

    #[test]
    #[ignore = "in its namespaces only, where the test above starts it"]
    fn the_command_line_prints_a_patient_only_when_told_and_says_what_to_do() {
        if !is_here() {
            return;
        }
        let said = |words: &[&str]| {
            let output = cabinctl(words);
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            (output.status.success(), text(&output.stdout), text(&output.stderr))
        };
        let (good, _, why) = said(&[]);
        assert!(!good && why.contains("systemctl start pcscd.socket"), "{why}");
        let _service = service(true);
        {
            let _card = left_behind(Kind::Vitale);
            let (good, text, why) = said(&[]);
            assert!(good && text.contains("a carte Vitale with one person on it"), "{text}{why}");
            assert!(!text.contains("DUBOIS") && !text.contains("1979"), "{text}");
            let (good, text, why) = said(&["--show"]);
            assert!(good && text.contains("DUBOIS-ESSAI, ELEONORE, born 1979-03-28"), "{text}{why}");
            assert!(!text.contains("27903512"), "the number is nobody's business: {text}");
            let (good, _, why) = said(&["--reader", "Ingenico"]);
            assert!(!good && why.contains("no card reader named \"Ingenico\""), "{why}");
        }
        let (good, text, why) = said(&["--within", "1"]);
        assert!(!good && why.contains("chip first") && text.contains("reader   Virtual PCD"), "{text}{why}");
        let _card = insert(Kind::Bank);
        let (good, _, why) = said(&[]);
        assert!(!good && why.contains("no carte Vitale"), "{why}");
    }
}

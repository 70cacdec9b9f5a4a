//! Random sequences of everything that a person, a device, the network, time or a crash can do.

use super::examples::*;
use super::*;
use crate::consent::{Decision, Purpose};
use crate::dossier::{ConsultationId, Questionnaire, SkipReason};
use crate::dossier::{Kept, Outcome, ReceivedDocument, ReceivedSummary, UsualDoctor};
use crate::identity::IdentityDocument;
use crate::journal;
use crate::physician::{Authentication, Summary};
use crate::private::PrivateText;
use crate::reason::ReasonKind;

/// Operations of one run.
const OPERATIONS: usize = 120_000;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Op {
    /// An input that makes sense where the journey is.
    Sensible,
    /// Any input at all, late, early or mad.
    Any,
    /// Time passes, and what it brings is applied.
    Wait { ms: u64 },
    /// The clock is set back.
    ClockBack { ms: u64 },
    /// `kill -9`, and a replay of the journal.
    Crash,
}

fn random_op(dice: &mut Dice) -> Op {
    match dice.below(1000) {
        0..=599 => Op::Sensible,
        600..=849 => Op::Any,
        850..=969 => Op::Wait { ms: dice.pick(&[1, 500, 5_000, 20_000, 31_000, 95_000, 700_000]) },
        970..=974 => Op::ClockBack { ms: dice.pick(&[1, 3_600_000]) },
        _ => Op::Crash,
    }
}

/// A physician saves again and again: sometimes a new version, sometimes the same.
fn revised_summary(dice: &mut Dice, word: &str) -> Summary {
    let next_note = PrivateText::new(&format!("sous {} jours", 1 + dice.below(3))).expect("a short note");
    Summary { next_note, ..summary(word) }
}

/// What the outbox keeps of a patient who will come back, and what the world remembers of them.
struct Parked {
    patient: usize,
    journal: Vec<Vec<u8>>,
    kept: Vec<Kept>,
    summaries: Vec<ReceivedSummary>,
    documents: Vec<ReceivedDocument>,
}

/// The cabin's program in small: it carries out effects, keeps the journal, and notes what must stay true.
struct World {
    journey: Journey,
    now: Moment,
    journal: Vec<Vec<u8>>,
    patients: usize,
    /// Who is in the cabin: the last patient, or one who came back.
    present: usize,
    parked: Vec<Parked>,
    came_back: usize,
    running: Vec<Measurement>,
    in_call: bool,
    kept: Vec<Kept>,
    summaries: Vec<ReceivedSummary>,
    documents: Vec<ReceivedDocument>,
    submitted: Option<Dossier>,
    warned_at: Option<Moment>,
    outcomes: Vec<Outcome>,
    calls: usize,
    crashes: usize,
    forgotten: usize,
    /// Summaries and documents in the records.
    handed_over: (usize, usize),
}

impl World {
    fn new() -> Self {
        Self {
            journey: Journey::new(site(), Policy::default()),
            now: Moment(1_795_305_600_000),
            journal: Vec::new(),
            patients: 0,
            present: 0,
            parked: Vec::new(),
            came_back: 0,
            running: Vec::new(),
            in_call: false,
            kept: Vec::new(),
            summaries: Vec::new(),
            documents: Vec::new(),
            submitted: None,
            warned_at: None,
            outcomes: Vec::new(),
            calls: 0,
            crashes: 0,
            forgotten: 0,
            handed_over: (0, 0),
        }
    }

    fn word(&self) -> String {
        word(self.present)
    }

    fn id(&self, patient: usize) -> ConsultationId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&(patient as u64).to_le_bytes());
        ConsultationId(id)
    }

    fn sensible(&self, dice: &mut Dice) -> Input {
        let word = self.word();
        if self.journey.emergency.is_some() && dice.chance(80) {
            let ways = [Input::EmergencyCleared, Input::EmergencyClosed, Input::EmergencyHandedOver];
            return ways[dice.below(10).min(2).min(dice.below(3))].clone();
        }
        match self.journey.step() {
            Step::Closed if self.journey.missing_equipment().is_empty() => Input::SignedIn(pharmacist(dice.below(3))),
            Step::Closed => Input::OpenedDegraded(pharmacist(dice.below(3))),
            Step::Welcome => Input::Begun(self.id(self.patients + 1)),
            Step::Reason => Input::ReasonGiven(reason(&word, dice.pick(&ReasonKind::ALL))),
            Step::WarningSigns => Input::NoWarningSign,
            Step::Identity => Input::IdentityGiven { traits: traits(&word), matricule: None },
            Step::UsualDoctor => Input::ContactGiven(contact(&word)),
            Step::InformationConsent { .. } => {
                let others = dice.pick(&[Decision::Given, Decision::Refused]);
                Input::ConsentsAnswered(consents(Decision::Given, others))
            }
            Step::Measurement(guided) | Step::Call { guided: Some(guided), .. } => match &guided.act {
                Act::Place { .. } if dice.chance(85) => Input::MeasuringStarted,
                Act::Place { .. } => Input::Skipped(SkipReason::NotWanted),
                Act::Measuring { .. } => {
                    let measurement = guided.measurement;
                    Input::ReadingsTaken { measurement, readings: readings(dice, measurement, self.now) }
                }
                Act::CheckCable { .. } => Input::DeviceBack(guided.measurement),
                Act::Review { .. } if dice.chance(80) => Input::ReadingsKept,
                Act::Review { .. } => Input::Retake,
            },
            Step::WaitingRoom { .. } if dice.chance(10) => {
                Input::CallBackAsked(contact(&word).phone.expect("the example gives one"))
            }
            Step::WaitingRoom { .. } if dice.chance(10) => Input::ComeBackAsked(come_back(dice.below(100), self.now)),
            Step::ComeBack if dice.chance(80) => Input::Continued,
            Step::ComeBack => Input::Back,
            Step::WaitingRoom { .. } if dice.chance(10) => Input::SecondOpinionWritten(half_written(&word)),
            Step::WaitingRoom { .. } if dice.chance(10) => Input::SecondOpinionAsked(second_opinion(&word)),
            Step::WaitingRoom { .. } if !self.journey.is_online() => Input::NetworkBack,
            Step::WaitingRoom { .. } => Input::PhysicianOffered(physician(Authentication::LocalTotp)),
            Step::MeetPhysician { .. } if !self.journey.is_online() => Input::NetworkBack,
            Step::MeetPhysician { .. } => Input::PhysicianAccepted,
            Step::Call { line: CallLine::Connecting, .. } => Input::CallConnected,
            Step::Call { line: CallLine::Interrupted { .. }, .. } => Input::CallResumed,
            Step::Call { line: CallLine::Connected, .. } => match dice.below(7) {
                0 => Input::MeasurementRequested(dice.pick(&Measurement::ALL)),
                1 => Input::SummaryReceived(revised_summary(dice, &word)),
                2 => Input::DocumentReceived(document(&word, dice.below(4) as u8)),
                3 => Input::CallInterrupted,
                5 => Input::NoticeReceived(crate::private::PrivateText::new(&word).unwrap()),
                4 => Input::IdentityChecked(IdentityDocument::Passport),
                _ => Input::CallEnded(dice.pick(&[CallEnd::Physician, CallEnd::Physician, CallEnd::Failed])),
            },
            Step::Documents { .. } => Input::Continued,
            Step::Questionnaire => Input::QuestionnaireAnswered(Questionnaire::default()),
            Step::Storing { .. } if dice.chance(70) => Input::RecordSealed,
            Step::Storing { .. } => Input::RecordNotSealed,
            Step::Forgotten { .. } => Input::Continued,
            Step::Cleaning => Input::Cleaned,
        }
    }

    fn apply(&mut self, input: Input) {
        let before = self.journey.clone();
        let entry = journal::encode(&input, self.now);
        let journalled = input.is_journalled();
        let noted = input.clone();
        match self.journey.apply(input, self.now) {
            Err(_) => assert_eq!(self.journey, before, "refused, and changed by {noted:?}"),
            Ok(effects) => {
                self.note(&noted, &before);
                self.carry_out(&effects);
                if journalled && self.journey.dossier().is_some() {
                    self.journal.push(entry);
                }
            }
        }
    }

    /// What the world remembers beside the journey, to compare.
    fn note(&mut self, input: &Input, before: &Journey) {
        match input {
            Input::Begun(_) => {
                self.patients += 1;
                self.present = self.patients;
                self.kept.clear();
                self.summaries.clear();
                self.documents.clear();
            }
            // The page says again what was not acknowledged: the same word twice is one.
            Input::SummaryReceived(summary) if self.summaries.last().is_none_or(|last| last.summary != *summary) => {
                let physician = before.dossier().and_then(Dossier::physician).expect("a physician wrote it").clone();
                self.summaries.push(ReceivedSummary { summary: summary.clone(), physician, at: self.now });
            }
            Input::DocumentReceived(document) if self.documents.iter().all(|known| known.document != *document) => {
                let physician = before.dossier().and_then(Dossier::physician).expect("a physician sent it").clone();
                self.documents.push(ReceivedDocument { document: document.clone(), physician, at: self.now });
            }
            Input::ReadingsKept => {
                let Some(Guided { measurement, act: Act::Review { readings } }) = before.guided() else {
                    panic!("kept readings that were not shown");
                };
                self.kept.push(Kept {
                    measurement: *measurement,
                    readings: readings.clone(),
                    at: self.now,
                    asked_by_physician: matches!(before.step, Step::Call { .. }),
                });
            }
            Input::CallEnded(_) => self.in_call = false,
            // What was offered before is another record's beginning now.
            Input::CameBack(_) => self.submitted = None,
            Input::InactivityWarned => self.warned_at = Some(self.now),
            Input::WalkedAway => {
                let warned_at = self.warned_at.expect("nobody is forgotten without a warning");
                assert!(self.now.millis_since(warned_at) >= WARNING_MS_MIN);
            }
            _ => {}
        }
    }

    fn carry_out(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::OpenJournal { preamble } => {
                    assert!(self.journal.is_empty(), "a journal holds one patient only");
                    self.journal = preamble.iter().map(|(at, input)| journal::encode(input, *at)).collect();
                }
                Effect::StartMeasurement(measurement) => self.running.push(*measurement),
                Effect::StopMeasurement(measurement) => self.running.retain(|m| m != measurement),
                Effect::AcceptPhysician => {
                    self.in_call = true;
                    self.calls += 1;
                }
                Effect::EndCall => self.in_call = false,
                Effect::SubmitRecord => {
                    let dossier = self.journey.dossier().expect("there is something to submit").clone();
                    if let Some(first) = &self.submitted {
                        assert_eq!(*first, dossier, "a record offered twice is twice the same");
                    }
                    self.submitted = Some(dossier);
                }
                Effect::Forget => {
                    if let Some(dossier) = self.submitted.take() {
                        assert_eq!(dossier.kept, self.kept, "what was kept is in the record");
                        assert_eq!(dossier.summaries, self.summaries, "what the physician wrote is in the record");
                        assert_eq!(dossier.documents, self.documents, "what the physician sent is in the record");
                        self.handed_over.0 += self.summaries.len();
                        self.handed_over.1 += self.documents.len();
                        let outcome = dossier.ended.expect("a record has an outcome").0;
                        assert_eq!(dossier.call_back.is_some(), outcome == Outcome::CallBackAsked, "the request is in");
                        assert_eq!(dossier.come_back.is_some(), outcome == Outcome::ToComeBack, "so is the code");
                        let asked = outcome == Outcome::SecondOpinionAsked;
                        assert_eq!(dossier.second_opinion.is_some(), asked, "the question is in");
                        self.outcomes.push(outcome);
                        if outcome == Outcome::ToComeBack {
                            self.parked.push(Parked {
                                patient: self.present,
                                journal: self.journal.clone(),
                                kept: self.kept.clone(),
                                summaries: self.summaries.clone(),
                                documents: self.documents.clone(),
                            });
                        }
                    }
                    self.journal.clear();
                    self.kept.clear();
                    self.summaries.clear();
                    self.documents.clear();
                    self.forgotten += 1;
                }
                _ => {}
            }
        }
    }

    /// A journey replayed from the bytes of the journal.
    fn replayed(&self) -> Journey {
        let entries = self.journal.iter().map(|bytes| journal::decode(bytes).expect("our own journal"));
        Journey::replay(site(), Policy::default(), entries).expect("a journal of accepted inputs is accepted")
    }

    /// A patient comes back into the clean cabin of whoever is responsible now, as its network and devices are now.
    fn come_back(&mut self) {
        let Some(parked) = self.parked.pop() else { return };
        self.came_back += 1;
        let (live, by) = (self.journey.clone(), self.journey.pharmacist().expect("an open cabin").clone());
        (self.present, self.journal) = (parked.patient, parked.journal);
        (self.kept, self.summaries, self.documents) = (parked.kept, parked.summaries, parked.documents);
        self.journey = self.replayed();
        self.apply(Input::CameBack(by));
        assert!(matches!(self.journey.step(), Step::WarningSigns | Step::WaitingRoom { .. }));
        self.apply(if live.is_online() { Input::NetworkBack } else { Input::NetworkLost });
        for measurement in Measurement::ALL {
            let is_lost = live.lost_devices.contains(&measurement);
            self.apply(if is_lost { Input::DeviceLost(measurement) } else { Input::DeviceBack(measurement) });
        }
        self.apply(Input::EquipmentChecked { missing: live.missing_equipment().to_vec() });
    }

    fn crash(&mut self) {
        self.crashes += 1;
        let mut live = self.journey.clone();
        if live.dossier().is_none() {
            // Nobody is in the cabin: it starts closed, and the pharmacist signs in.
            self.journey = Journey::new(site(), Policy::default());
            return;
        }
        let mut back = self.replayed();
        let effects = back.apply(Input::Restarted, self.now).expect("a replayed journey restarts");
        assert_eq!(live.apply(Input::Restarted, self.now).as_ref(), Ok(&effects));
        assert_eq!(back, live, "the replay is the state");
        self.journey = back;
        self.journal.push(journal::encode(&Input::Restarted, self.now));
        self.carry_out(&effects);
    }

    fn wait(&mut self, ms: u64) {
        let until = Moment(self.now.0 + ms as i64);
        while let Some(at) = self.journey.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            let input = self.journey.timeout_input(self.now).expect("what is due is there");
            let before = self.journey.clone();
            self.apply(input);
            assert_ne!(self.journey, before, "time that changes nothing comes again for ever");
        }
        self.now = until;
    }

    fn verify_invariants(&self) {
        let journey = &self.journey;
        assert_eq!(journey.pharmacist.is_none(), journey.step == Step::Closed, "open means a named pharmacist");
        let measured: Vec<_> = match journey.guided() {
            Some(Guided { measurement, act: Act::Measuring { .. } }) => vec![*measurement],
            _ => vec![],
        };
        assert_eq!(self.running, measured, "exactly the device in front runs");
        assert_eq!(self.in_call, matches!(journey.step, Step::Call { .. }));

        if matches!(journey.step, Step::Closed | Step::Welcome) {
            assert_eq!(journey.used(), [], "a patient begins in a clean cabin");
        }
        let Some(dossier) = journey.dossier() else {
            assert!(matches!(journey.step, Step::Closed | Step::Welcome | Step::Forgotten { .. } | Step::Cleaning));
            assert!(self.journal.is_empty(), "the journal is destroyed with the patient's data");
            assert!(!matches!(journey.emergency, Some(Emergency::Sign(_))));
            if let Help::Called { reason, .. } = journey.help() {
                assert!(matches!(reason, HelpReason::Asked | HelpReason::Emergency), "{reason:?} tells of a patient");
            }
            return;
        };
        assert!(!matches!(journey.step, Step::Closed | Step::Welcome | Step::Forgotten { .. } | Step::Cleaning));
        assert_eq!(dossier.ended.is_some(), matches!(journey.step, Step::Storing { .. }));
        let was_used = |kept: &crate::dossier::Kept| journey.used().contains(&kept.measurement);
        assert!(dossier.kept.iter().all(was_used), "what measured is cleaned afterwards, restart or not");
        assert_eq!(dossier.kept, self.kept, "kept readings stay until the patient is forgotten");
        assert_eq!(dossier.summaries, self.summaries, "every version of the summary stays, in order, with its author");
        assert_eq!(dossier.documents, self.documents, "every document stays, in order, with its author");
        self.verify_one_patient(dossier);
        if let Step::Call { .. } = journey.step {
            let call = dossier.calls.last().expect("a call has its record");
            assert!(call.ended_at.is_none() && call.physician.authentication != Authentication::None);
            assert!(dossier.identity.is_some() && dossier.consents_to(Purpose::Care));
            assert_eq!(journey.may_call(Some(&call.physician)), Ok(()));
        }
        if let Step::MeetPhysician { physician } = &journey.step {
            assert_eq!(journey.may_call(Some(physician)), Ok(()));
        }
        if let Some(guided) = journey.guided() {
            assert!(journey.site.has(guided.measurement));
        }
        let open_ended = dossier.calls.iter().rev().skip(1).filter(|call| call.ended_at.is_none()).count();
        assert_eq!(open_ended, 0, "one call at a time");
    }

    /// Everything that carries a mark carries this patient's.
    fn verify_one_patient(&self, dossier: &Dossier) {
        let word = self.word();
        assert_eq!(dossier.id, self.id(self.present));
        if let Some(reason) = &dossier.reason {
            assert_eq!(reason.line.reveal(), word);
        }
        if let Some(identity) = &dossier.identity {
            assert_eq!(identity.traits().birth_name.reveal(), word);
            assert!(identity.matricule().is_err(), "never given out unless qualified");
        }
        if let Some(contact) = &dossier.contact {
            assert!(matches!(&contact.usual_doctor, UsualDoctor::Named { name, .. } if name.reveal() == word));
        }
        assert!(dossier.guests.iter().all(|there| there.guest.name.reveal() == word));
        let is_in_call = matches!(self.journey.step, Step::Call { .. });
        assert!(is_in_call || dossier.guest().is_none(), "nobody stays behind in a call that is over");
        assert!(dossier.summaries.iter().all(|s| s.summary.text.reveal() == word));
        assert!(dossier.documents.iter().all(|d| d.document.name.reveal() == word));
    }
}

#[test]
fn nothing_that_can_happen_mixes_loses_or_leaks_a_patient() {
    let mut dice = Dice::seeded();
    let mut world = World::new();
    for _ in 0..OPERATIONS {
        match random_op(&mut dice) {
            Op::Sensible if *world.journey.step() == Step::Welcome && dice.chance(10) => world.come_back(),
            Op::Sensible => {
                let input = world.sensible(&mut dice);
                world.apply(input);
            }
            Op::Any => {
                let (word, id) = (world.word(), world.id(world.patients + 1));
                let input = random_input_of(&mut dice, &word, id, world.now);
                // Three ends in a hundred inputs leave no time to reach a call.
                let ends = matches!(input, Input::Left | Input::EmergencyHandedOver);
                if !ends || dice.chance(20) {
                    world.apply(input);
                }
            }
            Op::Wait { ms } => world.wait(ms),
            Op::ClockBack { ms } => world.now = Moment(world.now.0 - ms as i64),
            Op::Crash => world.crash(),
        }
        world.verify_invariants();
    }
    eprintln!(
        "{} patients, {} calls, {} crashes, {} forgotten, {} records with {} summaries and {} documents",
        world.patients,
        world.calls,
        world.crashes,
        world.forgotten,
        world.outcomes.len(),
        world.handed_over.0,
        world.handed_over.1
    );
    // A run that reached nothing has shown nothing.
    assert!(world.patients > 500 && world.calls > 300 && world.crashes > 1_000 && world.forgotten > 500);
    assert!(world.came_back > 20, "{}", world.came_back);
    assert!(world.handed_over.0 > 50 && world.handed_over.1 > 50, "{:?}", world.handed_over);
    let every = [Outcome::Completed, Outcome::Left, Outcome::Emergency, Outcome::WalkedAway, Outcome::CallBackAsked];
    for outcome in every.into_iter().chain([Outcome::ToComeBack, Outcome::SecondOpinionAsked]) {
        assert!(world.outcomes.contains(&outcome), "no consultation ended as {outcome:?}");
    }
}

//! Others than one physician: the specialist who is asked, a third person in the call, the physician who takes the patient
//! again.

use super::examples::*;
use super::transitions::{NOW, at, way_to};
use super::*;
use crate::physician::Authentication;
use crate::vitals::Measurement::Temperature;

#[test]
fn where_no_physician_can_be_seen_a_specialist_is_asked_with_the_whole_dossier() {
    use crate::second_opinion::{AskedOpinion, Field, Missing};
    let mut journey = at(way_to("waiting"));
    let asked_at = Moment(NOW.0 + 1_000);
    let mut hasty = second_opinion("PA");
    hasty.details.clear();
    let refused = journey.apply(Input::SecondOpinionAsked(hasty), asked_at);
    assert_eq!(refused, Err(Refused::OpinionLacks(Missing::Field(Field::Site))));
    let opinion = second_opinion("PA");
    let written = half_written("PA");
    assert_eq!(journey.apply(Input::SecondOpinionWritten(written.clone()), asked_at).unwrap(), []);
    journey.apply(Input::Restarted, asked_at).unwrap();
    assert_eq!(journey.dossier().unwrap().half_written, Some(written));
    let effects = journey.apply(Input::SecondOpinionAsked(opinion.clone()), asked_at).unwrap();
    assert_eq!(effects, [Effect::LeaveWaitingRoom, Effect::SubmitRecord]);
    let dossier = journey.dossier().unwrap();
    assert_eq!(dossier.second_opinion, Some(AskedOpinion { opinion, asked_at }));
    assert_eq!(dossier.half_written, None);
    assert_eq!(dossier.ended, Some((crate::dossier::Outcome::SecondOpinionAsked, asked_at)));
    assert_eq!(journey.apply(Input::Restarted, asked_at).unwrap(), [Effect::SubmitRecord]);
    let mut aside = journey.clone();
    let effects = aside.apply(Input::RecordKeptAside, asked_at).unwrap();
    assert_eq!(effects, [Effect::CallPharmacist(HelpReason::Record), Effect::Forget], "nothing is promised");
    journey.apply(Input::RecordSealed, asked_at).unwrap();
    let forgotten = Step::Forgotten { at: asked_at, recorded: true, promise: Promise::SecondOpinion };
    assert_eq!(*journey.step(), forgotten);
    assert!(!at(way_to("meet")).may_ask_second_opinion(), "a physician is there");
}

#[test]
fn for_a_specialist_more_is_measured_and_the_patient_is_back_in_the_waiting_room() {
    let mut journey = at(way_to("waiting"));
    let kept = journey.dossier().unwrap().kept.len();
    let apply = |journey: &mut Journey, input| journey.apply(input, NOW).unwrap();
    for round in 0..2 {
        let effects = apply(&mut journey, Input::MeasurementAdded(Temperature));
        assert_eq!(effects, [Effect::LeaveWaitingRoom], "round {round}");
        assert!(matches!(journey.step(), Step::Measurement(Guided { measurement: Temperature, .. })));
        apply(&mut journey, Input::MeasuringStarted);
        let readings = readings(&mut Dice::seeded(), Temperature, NOW);
        apply(&mut journey, Input::ReadingsTaken { measurement: Temperature, readings });
        assert_eq!(apply(&mut journey, Input::ReadingsKept), [Effect::EnterWaitingRoom]);
        assert!(matches!(journey.step(), Step::WaitingRoom { .. }));
    }
    assert_eq!(journey.dossier().unwrap().kept.len(), kept + 2);
    assert_eq!(
        journey.apply(Input::MeasurementAdded(crate::vitals::Measurement::WeightAndHeight), NOW),
        Err(Refused::NotFitted)
    );
}

#[test]
fn a_third_person_is_in_the_record_with_every_coming_and_going_and_goes_with_the_call() {
    use crate::guest::{GUESTS_MAX, GuestRole};
    let after = |seconds: i64| Moment(NOW.0 + seconds * 1_000);
    let mut journey = at(way_to("connected"));
    let come = |role| Input::GuestCame(guest("Ana", role));
    assert_eq!(journey.apply(Input::GuestLeft, NOW), Err(Refused::NotHere));
    assert_eq!(journey.apply(Input::GuestCame(guest(" ", GuestRole::Other)), NOW), Err(Refused::NoName));
    journey.apply(come(GuestRole::Interpreter), after(1)).unwrap();
    // Said again after a reconnection: the same.
    journey.apply(Input::CallInterrupted, after(2)).unwrap();
    journey.apply(Input::CallResumed, after(3)).unwrap();
    journey.apply(come(GuestRole::Interpreter), after(4)).unwrap();
    assert_eq!(journey.dossier().unwrap().guest(), Some(&guest("Ana", GuestRole::Interpreter)));
    journey.apply(Input::GuestLeft, after(5)).unwrap();
    assert_eq!(journey.dossier().unwrap().guest(), None);
    journey.apply(come(GuestRole::Interpreter), after(6)).unwrap();
    // Another takes the seat, and the call's end is theirs.
    journey.apply(come(GuestRole::Specialist), after(7)).unwrap();
    journey.apply(Input::CallEnded(CallEnd::Physician), after(8)).unwrap();
    let times = |journey: &Journey| -> Vec<_> {
        journey.dossier().unwrap().guests.iter().map(|there| (there.came_at, there.left_at)).collect()
    };
    let expected = [(1, 5), (6, 7), (7, 8)].map(|(came, left)| (after(came), Some(after(left))));
    assert_eq!(times(&journey), expected);
    assert_eq!(journey.apply(come(GuestRole::Other), after(9)), Err(Refused::NotHere), "nobody comes into no call");

    let mut journey = at(way_to("connected"));
    for n in 0..GUESTS_MAX {
        journey.apply(Input::GuestCame(guest(&n.to_string(), GuestRole::Other)), NOW).unwrap();
    }
    assert_eq!(
        journey.apply(come(GuestRole::Other), NOW),
        Err(Refused::TooMany),
        "nobody of whom the record is silent"
    );
}

#[test]
fn who_takes_the_patient_again_reads_what_each_call_before_left_and_nothing_of_the_present_one() {
    let after = |seconds: i64| Moment(NOW.0 + seconds * 1_000);
    let mut journey = at(way_to("connected"));
    let left = |journey: &Journey| -> Vec<_> {
        let left = journey.dossier().unwrap().left_by_calls_before();
        left.iter().map(|left| (left.at, left.summary.cloned(), left.documents.len())).collect()
    };
    let again = |journey: &mut Journey, at: Moment| {
        journey.apply(Input::CallEnded(CallEnd::GivenBack), at).unwrap();
        journey.apply(Input::PhysicianOffered(physician(Authentication::LocalTotp)), at).unwrap();
        journey.apply(Input::PhysicianAccepted, at).unwrap();
        journey.apply(Input::CallConnected, at).unwrap();
    };
    journey.apply(Input::SummaryReceived(summary("trop")), after(1)).unwrap();
    journey.apply(Input::SummaryReceived(summary("premier")), after(2)).unwrap();
    assert_eq!(left(&journey), [], "the page has written it itself");
    // The first call left two revisions, of which the last counts; the second a document alone; the third nothing.
    again(&mut journey, after(10));
    journey.apply(Input::DocumentReceived(document("PA", 1)), after(11)).unwrap();
    assert_eq!(left(&journey), [(after(2), Some(summary("premier")), 0)]);
    again(&mut journey, after(20));
    again(&mut journey, after(30));
    journey.apply(Input::SummaryReceived(summary("dernier")), after(31)).unwrap();
    assert_eq!(left(&journey), [(after(2), Some(summary("premier")), 0), (after(11), None, 1)]);
    let said = journey.dossier().unwrap().summaries_of_calls();
    assert_eq!(said.iter().map(|said| said.at).collect::<Vec<_>>(), [after(2), after(31)]);
}

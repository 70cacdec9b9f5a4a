//! What is left to a patient who sees no physician: to be called back, or to come back.

use super::examples::*;
use super::transitions::{NOW, at, way_to};
use super::*;
use crate::dossier::{CallBack, Outcome, Pause, Phone};

#[test]
fn who_sees_no_physician_is_called_back_on_the_number_confirmed_and_the_record_says_so() {
    // Whether the network was lost just now or has been away all day.
    let all_day = {
        let mut way = vec![Input::NetworkLost];
        way.extend(way_to("waiting"));
        way
    };
    let cut = {
        let mut way = way_to("interrupted");
        way.extend([Input::NetworkLost, Input::CallEnded(CallEnd::Failed)]);
        way
    };
    for way in [way_to("waiting"), all_day, cut] {
        let mut journey = at(way);
        assert!(journey.may_ask_call_back());
        let phone = Phone::parse("+33 1 98 76 54 32").unwrap();
        let asked_at = Moment(NOW.0 + 1_000);
        let effects = journey.apply(Input::CallBackAsked(phone.clone()), asked_at).unwrap();
        assert_eq!(effects, [Effect::LeaveWaitingRoom, Effect::SubmitRecord]);
        let dossier = journey.dossier().unwrap();
        assert_eq!(dossier.call_back, Some(CallBack { phone, asked_at }));
        assert_eq!(dossier.ended, Some((Outcome::CallBackAsked, asked_at)));
        // A cabin that stops now offers the same record again.
        assert_eq!(journey.apply(Input::Restarted, asked_at).unwrap(), [Effect::SubmitRecord]);
        // A record that cannot be made asks nobody: it is not promised, and the pharmacist is called.
        let mut aside = journey.clone();
        let effects = aside.apply(Input::RecordKeptAside, asked_at).unwrap();
        assert_eq!(effects, [Effect::CallPharmacist(HelpReason::Record), Effect::Forget]);
        assert_eq!(*aside.step(), Step::Forgotten { at: asked_at, recorded: true, promise: Promise::None });
        journey.apply(Input::RecordSealed, asked_at).unwrap();
        assert_eq!(*journey.step(), Step::Forgotten { at: asked_at, recorded: true, promise: Promise::CallBack });
        assert!(journey.dossier().is_none());
    }
    assert!(!at(way_to("meet")).may_ask_call_back(), "a physician is there");
}

#[test]
fn a_call_that_neither_network_nor_picture_carries_any_more_is_lost_and_its_patient_chooses_again() {
    let away_at = Moment(NOW.0 + 5_000);
    for stage in ["interrupted", "connecting"] {
        let mut journey = at(way_to(stage));
        let lost = Input::CallEnded(CallEnd::Failed);
        let far = Moment(NOW.0 + 300_000);
        assert_ne!(journey.timeout_input(far), Some(lost.clone()), "{stage}: a desk that is reached decides");
        journey.apply(Input::NetworkLost, away_at).unwrap();
        let lost_at = Moment(away_at.0 + 120_000);
        assert_eq!(journey.timeout_input(Moment(lost_at.0 - 1)), None);
        assert_eq!(journey.timeout_input(lost_at), Some(lost.clone()), "{stage}");
        journey.apply(lost, lost_at).unwrap();
        assert!(matches!(journey.step(), Step::WaitingRoom { .. }) && journey.may_ask_call_back());
    }
    let mut talking = at(way_to("connected"));
    talking.apply(Input::NetworkLost, away_at).unwrap();
    assert_eq!(talking.timeout_input(Moment(NOW.0 + 300_000)), None, "the direct line to the page still lives");
}

#[test]
fn who_comes_back_with_the_code_finds_everything_and_is_asked_the_warning_signs_again() {
    let asked = come_back(48_219_073, NOW);
    let mut way = way_to("waiting");
    way.push(Input::ComeBackAsked(asked.clone()));
    let mut journey = at(way.clone());
    assert_eq!((journey.step(), &journey.dossier().unwrap().come_back), (&Step::ComeBack, &Some(asked.clone())));
    // A cabin that stops now shows the same code.
    assert_eq!(journey.apply(Input::Restarted, NOW).unwrap(), []);
    assert_eq!(journey.dossier().unwrap().come_back, Some(asked.clone()));
    let effects = journey.apply(Input::Continued, NOW).unwrap();
    assert_eq!(effects, [Effect::SubmitRecord]);
    assert_eq!(journey.dossier().unwrap().ended, Some((Outcome::ToComeBack, NOW)));
    let mut stored = journey.clone();
    stored.apply(Input::RecordSealed, NOW).unwrap();
    let promise = Promise::ComeBack { until: asked.until };
    assert_eq!(*stored.step(), Step::Forgotten { at: NOW, recorded: true, promise });
    assert!(stored.dossier().is_none());

    let back_at = Moment(NOW.0 + 20 * 3_600_000);
    let answers_before = journey.dossier().unwrap().warning_answers.len();
    assert!(answers_before > 0);
    journey.apply(Input::CameBack(pharmacist(2)), back_at).unwrap();
    assert_eq!(*journey.step(), Step::WarningSigns);
    let dossier = journey.dossier().unwrap();
    assert_eq!((&dossier.ended, &dossier.come_back), (&None, &None));
    assert_eq!(dossier.pauses, [Pause { from: NOW, to: back_at, answers_before }]);
    assert_eq!(dossier.pharmacists, [pharmacist(1), pharmacist(2)]);
    assert_eq!(dossier.warning_signs_to_ask().len(), answers_before);
    // Nothing else is asked again.
    assert_eq!(journey.apply(Input::NoWarningSign, back_at).unwrap(), [Effect::EnterWaitingRoom]);
    assert!(matches!(journey.step(), Step::WaitingRoom { .. }));
    assert_eq!(journey.dossier().unwrap().warning_answers.len(), 2 * answers_before);
    assert!(journey.may_ask_come_back(), "once more");
}

#[test]
fn who_walks_off_with_the_code_on_the_screen_may_come_back_and_who_goes_back_waits() {
    let walks_off = vec![Input::InactivityWarned, Input::WalkedAway];
    for (leaving, outcome) in [(vec![Input::Left], Outcome::Left), (walks_off, Outcome::ToComeBack)] {
        let mut journey = at(way_to("come back"));
        for (n, input) in (1..).zip(leaving) {
            journey.apply(input, Moment(NOW.0 + n * 120_000)).unwrap();
        }
        assert_eq!(journey.dossier().unwrap().ended.unwrap().0, outcome);
    }
    let mut rescued = at(way_to("come back"));
    rescued.apply(Input::EmergencyAsked, NOW).unwrap();
    rescued.apply(Input::EmergencyHandedOver, NOW).unwrap();
    assert_eq!(rescued.dossier().unwrap().come_back, None, "nothing is promised");
    let mut journey = at(way_to("come back"));
    assert_eq!(journey.apply(Input::Back, NOW).unwrap(), [Effect::EnterWaitingRoom]);
    assert_eq!(journey.dossier().unwrap().come_back, None);
    let mut aside = at(way_to("parked"));
    let effects = aside.apply(Input::RecordKeptAside, NOW).unwrap();
    assert_eq!(effects, [Effect::CallPharmacist(HelpReason::Record), Effect::Forget], "the code opens nothing");
    assert_eq!(*aside.step(), Step::Forgotten { at: NOW, recorded: true, promise: Promise::None });
}

#[test]
fn only_who_left_with_a_code_comes_back() {
    for stage in ["welcome", "waiting", "come back", "storing", "forgotten", "closed"] {
        let mut journey = at(way_to(stage));
        assert_eq!(journey.apply(Input::CameBack(pharmacist(1)), NOW), Err(Refused::NotHere), "{stage}");
    }
    assert!(!at(way_to("meet")).may_ask_come_back(), "a physician is there");
}

//! Every step against every input: accepted with the step that follows, or refused with nothing changed.

use super::examples::*;
use super::*;
use crate::consent::Decision;
use crate::dossier::{ConsultationId, HelpReason, IncidentKind, Questionnaire, SkipReason};
use crate::physician::Authentication;
use crate::private::PrivateText;
use crate::reason::ReasonKind;
use crate::vitals::Measurement::{BloodPressure, Ecg, Glucose, Temperature};

pub(super) const NOW: Moment = Moment(1_795_305_600_000);

fn name(value: &impl fmt::Debug) -> String {
    let printed = format!("{value:?}");
    printed.chars().take_while(char::is_ascii_alphanumeric).collect()
}

pub(super) fn at(inputs: Vec<Input>) -> Journey {
    let mut journey = Journey::new(site(), Policy::default());
    for input in inputs {
        let printed = name(&input);
        journey.apply(input, NOW).unwrap_or_else(|refused| panic!("{printed} at {:?}: {refused}", journey.step()));
    }
    journey
}

fn taken(measurement: Measurement) -> Input {
    let mut dice = Dice::seeded();
    Input::ReadingsTaken { measurement, readings: readings(&mut dice, measurement, NOW) }
}

/// The inputs that lead to a stage.
pub(super) fn way_to(stage: &str) -> Vec<Input> {
    let then = |before: &str, more: Vec<Input>| {
        let mut way = way_to(before);
        way.extend(more);
        way
    };
    let skip = || Input::Skipped(SkipReason::NotWanted);
    let identity = || Input::IdentityGiven { traits: traits("PA"), matricule: None };
    match stage {
        "closed" => vec![],
        "closed, equipment missing" => vec![Input::EquipmentChecked { missing: vec![DeviceClass::Otoscope] }],
        "welcome" => vec![Input::SignedIn(pharmacist(1))],
        "reason" => then("welcome", vec![Input::Begun(ConsultationId([7; 16]))]),
        "warning signs" => then("reason", vec![Input::ReasonGiven(reason("PA", ReasonKind::FeverFatigue))]),
        "identity" => then("warning signs", vec![Input::NoWarningSign]),
        "usual doctor" => then("identity", vec![identity()]),
        "consent" => then("usual doctor", vec![Input::ContactGiven(contact("PA"))]),
        "care refused" => then("consent", vec![Input::ConsentsAnswered(consents(Decision::Refused, Decision::Given))]),
        "place" => then("consent", vec![Input::ConsentsAnswered(consents(Decision::Given, Decision::Refused))]),
        "measuring" => then("place", vec![Input::MeasuringStarted]),
        "review" => then("measuring", vec![taken(Temperature)]),
        "check cable" => then("measuring", vec![Input::DeviceLost(Temperature)]),
        "waiting" => then("place", vec![skip(), skip(), skip()]),
        "meet" => then("waiting", vec![Input::PhysicianOffered(physician(Authentication::LocalTotp))]),
        "connecting" => then("meet", vec![Input::PhysicianAccepted]),
        "connected" => then("connecting", vec![Input::CallConnected]),
        "interrupted" => then("connected", vec![Input::CallInterrupted]),
        "call place" => then("connected", vec![Input::MeasurementRequested(Temperature)]),
        "call measuring" => then("call place", vec![Input::MeasuringStarted]),
        "call review" => then("call measuring", vec![taken(Temperature)]),
        "documents" => then("connected", vec![Input::CallEnded(CallEnd::Physician)]),
        "printing" => then("documents", vec![Input::PrintAsked]),
        "questionnaire" => then("documents", vec![Input::Continued]),
        "come back" => then("waiting", vec![Input::ComeBackAsked(come_back(73, NOW))]),
        "parked" => then("come back", vec![Input::Continued]),
        "storing" => then("questionnaire", vec![Input::QuestionnaireAnswered(Questionnaire::default())]),
        "storing failed" => then("storing", vec![Input::RecordNotSealed]),
        "forgotten" => then("storing", vec![Input::RecordSealed]),
        "cleaning" => then("forgotten", vec![Input::Continued]),
        "emergency asked" => then("waiting", vec![Input::EmergencyAsked]),
        "emergency sign" => {
            let sign = WarningSign::SuicidalThoughts;
            let mood = Input::ReasonGiven(reason("PA", ReasonKind::MoodSleep));
            then("reason", vec![mood, Input::WarningSignAnswered { sign, present: true }])
        }
        other => panic!("no stage {other}"),
    }
}

/// Accepted at every stage.
const ALWAYS: &str = "SignedIn HelpAsked Touched MoreTime ListenAsked DeviceLost DeviceBack NetworkLost NetworkBack \
                      Restarted EquipmentChecked";

/// Stage, then what it accepts beyond [`ALWAYS`] (`-`: and what not); `>` names the step that follows when it is another one.
#[rustfmt::skip]
const TABLE: &[(&str, &str)] = &[
    ("closed", "SignedIn>Welcome EmergencyAsked"),
    ("closed, equipment missing", "OpenedDegraded>Welcome EmergencyAsked -SignedIn"),
    ("welcome", "Begun>Reason ClosedByPharmacist>Closed EmergencyAsked PresentationChosen"),
    ("reason", "ReasonGiven>WarningSigns Back>Welcome Left>Forgotten EmergencyAsked PresentationChosen \
                AssistanceStarted InactivityWarned"),
    ("warning signs", "WarningSignAnswered NoWarningSign>Identity Back>Reason Left>Forgotten EmergencyAsked \
                       PresentationChosen AssistanceStarted InactivityWarned"),
    ("identity", "IdentityGiven>UsualDoctor Back>WarningSigns Left>Forgotten EmergencyAsked PresentationChosen \
                  AssistanceStarted InactivityWarned"),
    ("usual doctor", "ContactGiven>InformationConsent Back>Identity Left>Forgotten IdentityChecked EmergencyAsked \
                      PresentationChosen AssistanceStarted InactivityWarned"),
    ("consent", "ConsentsAnswered>Measurement Back>UsualDoctor Left>Forgotten IdentityChecked EmergencyAsked \
                 PresentationChosen AssistanceStarted InactivityWarned"),
    ("care refused", "ConsentsAnswered>Measurement Back>UsualDoctor Left>Forgotten IdentityChecked EmergencyAsked \
                      PresentationChosen AssistanceStarted InactivityWarned"),
    ("place", "MeasuringStarted Skipped Back>InformationConsent Left>Storing IdentityChecked EmergencyAsked \
               PresentationChosen AssistanceStarted InactivityWarned"),
    ("measuring", "ReadingsTaken MeasuringFailed Retake Skipped Back Left>Storing IdentityChecked EmergencyAsked \
                   PresentationChosen AssistanceStarted InactivityWarned"),
    ("review", "ReadingsKept Retake Skipped Back Left>Storing IdentityChecked EmergencyAsked PresentationChosen \
                AssistanceStarted InactivityWarned"),
    ("check cable", "Skipped Back>InformationConsent HelpAnswered HelpDone Left>Storing IdentityChecked \
                     EmergencyAsked PresentationChosen AssistanceStarted InactivityWarned"),
    ("waiting", "WaitingRoomNews PhysicianOffered>MeetPhysician CallBackAsked>Storing ComeBackAsked>ComeBack \
                 SecondOpinionAsked>Storing SecondOpinionWritten MeasurementAdded>Measurement Left>Storing \
                 IdentityChecked EmergencyAsked \
                 PresentationChosen AssistanceStarted InactivityWarned"),
    ("meet", "PhysicianOffered PhysicianAccepted>Call PhysicianDeclined>WaitingRoom PhysicianWithdrawn>WaitingRoom \
              CallEnded>WaitingRoom Left>Storing IdentityChecked EmergencyAsked PresentationChosen \
              AssistanceStarted InactivityWarned"),
    ("connecting", "GuestCame NoticeReceived CallConnected HungUp>Documents CallEnded>Documents SummaryReceived DocumentReceived Left>Storing \
                    IdentityChecked EmergencyAsked PresentationChosen AssistanceStarted InactivityWarned"),
    ("connected", "GuestCame NoticeReceived CallInterrupted MeasurementRequested HungUp>Documents CallEnded>Documents SummaryReceived \
                   DocumentReceived Left>Storing IdentityChecked EmergencyAsked PresentationChosen \
                   AssistanceStarted"),
    ("interrupted", "GuestCame NoticeReceived CallConnected CallResumed MeasurementRequested HungUp>Documents CallEnded>Documents \
                     SummaryReceived DocumentReceived Left>Storing IdentityChecked EmergencyAsked \
                     PresentationChosen AssistanceStarted InactivityWarned"),
    ("call place", "GuestCame NoticeReceived CallInterrupted MeasuringStarted Skipped MeasurementRequestWithdrawn HungUp>Documents \
                    CallEnded>Documents SummaryReceived DocumentReceived Left>Storing IdentityChecked \
                    EmergencyAsked PresentationChosen AssistanceStarted"),
    ("call measuring", "GuestCame NoticeReceived CallInterrupted ReadingsTaken MeasuringFailed Retake Skipped Back MeasurementRequestWithdrawn \
                        HungUp>Documents CallEnded>Documents SummaryReceived DocumentReceived Left>Storing \
                        IdentityChecked EmergencyAsked PresentationChosen AssistanceStarted"),
    ("call review", "GuestCame NoticeReceived CallInterrupted ReadingsKept Retake Skipped Back MeasurementRequestWithdrawn HungUp>Documents \
                     CallEnded>Documents SummaryReceived DocumentReceived Left>Storing IdentityChecked \
                     EmergencyAsked PresentationChosen AssistanceStarted"),
    ("documents", "PrintAsked Continued>Questionnaire SummaryReceived DocumentReceived Left>Storing IdentityChecked \
                   EmergencyAsked PresentationChosen AssistanceStarted InactivityWarned"),
    ("printing", "PrintEnded Continued>Questionnaire SummaryReceived DocumentReceived Left>Storing IdentityChecked \
                  EmergencyAsked PresentationChosen AssistanceStarted InactivityWarned"),
    ("questionnaire", "QuestionnaireAnswered>Storing Back>Documents SummaryReceived DocumentReceived Left>Storing \
                       IdentityChecked EmergencyAsked PresentationChosen AssistanceStarted InactivityWarned"),
    ("come back", "Continued>Storing Back>WaitingRoom Left>Storing IdentityChecked EmergencyAsked PresentationChosen \
                   AssistanceStarted InactivityWarned"),
    ("parked", "CameBack>WarningSigns RecordSealed>Forgotten RecordKeptAside>Forgotten RecordNotSealed EmergencyAsked PresentationChosen"),
    ("storing", "RecordSealed>Forgotten RecordKeptAside>Forgotten RecordNotSealed EmergencyAsked PresentationChosen"),
    ("storing failed", "RecordSealed>Forgotten RecordKeptAside>Forgotten RecordNotSealed StoringRetried EmergencyAsked PresentationChosen"),
    ("forgotten", "Continued>Cleaning EmergencyAsked PresentationChosen"),
    ("cleaning", "Cleaned>Welcome EmergencyAsked"),
    ("emergency asked", "EmergencyClosed EmergencyCleared EmergencyHandedOver>Storing HelpAnswered HelpDone \
                         WaitingRoomNews PhysicianOffered>MeetPhysician Left>Storing IdentityChecked \
                         PresentationChosen AssistanceStarted InactivityWarned"),
    ("emergency sign", "EmergencyCleared EmergencyHandedOver>Forgotten HelpAnswered HelpDone Left>Forgotten \
                        PresentationChosen AssistanceStarted InactivityWarned"),
];

#[test]
fn every_step_accepts_what_it_should_and_refuses_the_rest_unchanged() {
    let mut wrong = Vec::new();
    for (stage, accepts) in TABLE {
        let before = at(way_to(stage));
        let here = name(before.step());
        let mut expected = std::collections::HashMap::new();
        for word in ALWAYS.split_whitespace() {
            expected.insert(word, here.as_str());
        }
        for word in accepts.split_whitespace() {
            if let Some(refused) = word.strip_prefix('-') {
                expected.remove(refused);
                continue;
            }
            let (input, step) = word.split_once('>').unwrap_or((word, &here));
            expected.insert(input, step);
        }
        for input in one_of_each() {
            let mut after = before.clone();
            let input_name = name(&input);
            match (after.apply(input, NOW), expected.remove(input_name.as_str())) {
                (Ok(_), Some(step)) if name(after.step()) == step => {}
                (Err(_), None) if after == before => {}
                (Err(_), None) => wrong.push(format!("{stage}: {input_name} refused but something changed")),
                (got, expected) => {
                    wrong.push(format!(
                        "{stage}: {input_name} gave {got:?} at {}, expected {expected:?}",
                        name(after.step())
                    ));
                }
            }
        }
        wrong.extend(expected.keys().map(|input| format!("{stage}: the table names {input}, which is no input")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_call_without_authenticated_physician_identity_and_consent_each_with_its_reason() {
    let meeting = at(way_to("meet"));
    assert_eq!(meeting.may_call(Some(&physician(Authentication::LocalTotp))), Ok(()));

    let mut journey = at(way_to("waiting"));
    let unknown = Input::PhysicianOffered(physician(Authentication::None));
    assert_eq!(journey.apply(unknown, NOW), Err(Refused::NoCall(CallMissing::AuthenticatedPhysician)));
    assert_eq!(journey.may_call(None), Err(CallMissing::AuthenticatedPhysician));

    let mut nobody = meeting.clone();
    nobody.dossier.as_mut().unwrap().identity = None;
    assert_eq!(nobody.apply(Input::PhysicianAccepted, NOW), Err(Refused::NoCall(CallMissing::PatientIdentity)));

    let mut unwilling = meeting.clone();
    let refusal = consents(Decision::Refused, Decision::Given);
    let dossier = unwilling.dossier.as_mut().unwrap();
    dossier.consents.push(crate::consent::Consents { answers: refusal, at: NOW });
    assert_eq!(unwilling.apply(Input::PhysicianAccepted, NOW), Err(Refused::NoCall(CallMissing::CareConsent)));

    let mut offline = meeting;
    offline.apply(Input::NetworkLost, NOW).unwrap();
    assert_eq!(offline.apply(Input::PhysicianAccepted, NOW), Err(Refused::NoNetwork));
}

#[test]
fn refusing_the_optional_purposes_changes_nothing_in_the_care() {
    let inputs = one_of_each();
    let journey = |others| {
        let mut way = way_to("consent");
        way.push(Input::ConsentsAnswered(consents(Decision::Given, others)));
        at(way)
    };
    let (given, refused) = (journey(Decision::Given), journey(Decision::Refused));
    assert_eq!(given.step(), refused.step());
    for input in inputs {
        let (mut given, mut refused) = (given.clone(), refused.clone());
        assert_eq!(given.apply(input.clone(), NOW), refused.apply(input, NOW));
        assert_eq!(given.step(), refused.step());
    }
}

#[test]
fn a_yes_to_a_warning_sign_stops_the_journey_until_the_pharmacist_says_so() {
    let mut journey = at(way_to("emergency sign"));
    assert_eq!(journey.emergency().unwrap().numbers()[0].digits(), "3114");
    assert_eq!(journey.apply(Input::NoWarningSign, NOW), Err(Refused::PharmacistNeeded));
    assert_eq!(journey.apply(Input::EmergencyClosed, NOW), Err(Refused::PharmacistNeeded));
    assert_eq!(journey.dossier().unwrap().warning_answer(WarningSign::SuicidalThoughts), Some(true));
    assert!(matches!(journey.help(), Help::Called { reason: HelpReason::WarningSign(_), .. }));
    journey.apply(Input::EmergencyCleared, NOW).unwrap();
    let (sign, by, at) = journey.dossier().unwrap().sign_cleared.clone().expect("who let it go on");
    assert_eq!((sign, Some(&by), at), (WarningSign::SuicidalThoughts, journey.pharmacist(), NOW));
    journey.apply(Input::NoWarningSign, NOW).unwrap();
    assert_eq!(*journey.step(), Step::Identity);
    assert_eq!(journey.dossier().unwrap().warning_answer(WarningSign::SuicidalThoughts), Some(true), "stays recorded");
}

#[test]
fn a_device_unplugged_in_mid_measurement_calls_the_pharmacist_and_goes_on_when_it_is_back() {
    let mut journey = at(way_to("measuring"));
    let effects = journey.apply(Input::DeviceLost(Temperature), NOW).unwrap();
    assert_eq!(effects, [Effect::StopMeasurement(Temperature), Effect::CallPharmacist(HelpReason::Cable(Temperature))]);
    let later = Moment(NOW.0 + 30_000);
    let effects = journey.apply(Input::DeviceBack(Temperature), later).unwrap();
    assert_eq!(effects, [Effect::StartMeasurement(Temperature)]);
    assert_eq!(*journey.help(), Help::NotAsked);
    let incident = journey.dossier().unwrap().incidents[0];
    assert_eq!((incident.started_at, incident.ended_at), (NOW, Some(later)));
}

#[test]
fn a_recorder_may_take_its_minutes_and_nobody_is_warned_or_forgotten_meanwhile() {
    let mut way = way_to("connected");
    way.extend([Input::MeasurementRequested(Ecg), Input::MeasuringStarted]);
    let mut journey = at(way);
    // The call breaks, so that patience counts again.
    journey.apply(Input::CallInterrupted, NOW).unwrap();
    for minutes in [4, 15] {
        let later = Moment(NOW.0 + minutes * 60_000);
        assert_eq!(journey.timeout_input(later), None, "{minutes} minutes");
    }
    let over = Moment(NOW.0.saturating_add_unsigned(measuring_ms_max(Ecg)));
    let input = Input::MeasuringFailed { measurement: Ecg, trouble: Trouble::TookTooLong };
    assert_eq!(journey.timeout_input(over), Some(input.clone()));
    journey.apply(input, over).unwrap();
    assert!(journey.poll_timeout().unwrap() > Moment(over.0 + 60_000), "who was told to keep still was there");
}

#[test]
fn a_meter_that_says_lo_is_in_the_record_at_once_and_calls_the_pharmacist() {
    let mut way = way_to("connected");
    way.extend([Input::MeasurementRequested(Glucose), Input::MeasuringStarted]);
    for (trouble, reason) in [
        (Trouble::BelowRange, SkipReason::BelowRange),
        (Trouble::AboveRange, SkipReason::AboveRange),
        (Trouble::OutOfRange, SkipReason::OutOfRange),
    ] {
        let mut journey = at(way.clone());
        let effects = journey.apply(Input::MeasuringFailed { measurement: Glucose, trouble }, NOW).unwrap();
        let called = Effect::CallPharmacist(HelpReason::OutOfRange(Glucose));
        assert_eq!(effects, [Effect::StopMeasurement(Glucose), called, Effect::Share]);
        let noted = journey.dossier().unwrap().skipped.last().unwrap();
        assert_eq!((noted.measurement, noted.reason, noted.at), (Glucose, reason, NOW));
        assert_eq!(journey.guided().unwrap().act, Act::Place { trouble: Some(trouble) }, "may be tried again");
        assert!(!format!("{:?}", HelpReason::OutOfRange(Glucose)).contains("Glucose"));
    }
    // What placing it again may mend is no absence yet.
    let mut journey = at(way);
    journey.apply(Input::MeasuringFailed { measurement: Glucose, trouble: Trouble::Moved }, NOW).unwrap();
    assert!(!journey.dossier().unwrap().skipped.iter().any(|skipped| skipped.reason.is_out_of_range()));
}

#[test]
fn a_cuff_plugged_in_again_inflates_only_when_the_patient_asks() {
    let mut way = way_to("connected");
    way.extend([Input::MeasurementRequested(BloodPressure), Input::MeasuringStarted]);
    let mut journey = at(way);
    journey.apply(Input::DeviceLost(BloodPressure), NOW).unwrap();
    assert_eq!(journey.apply(Input::DeviceBack(BloodPressure), NOW), Ok(vec![]));
    assert_eq!(journey.guided().unwrap().act, Act::Place { trouble: None });
}

#[test]
fn starting_again_in_mid_measurement_restarts_the_device_but_a_cuff_waits_for_the_patient() {
    let later = Moment(NOW.0 + 5_000);
    let mut journey = at(way_to("measuring"));
    let restarted = [Effect::StopMeasurement(Temperature), Effect::StartMeasurement(Temperature)];
    assert_eq!(journey.apply(Input::Retake, later).unwrap(), restarted);
    assert_eq!(journey.guided().unwrap().act, Act::Measuring { since: later });

    let mut way = way_to("connected");
    way.extend([Input::MeasurementRequested(BloodPressure), Input::MeasuringStarted]);
    let mut journey = at(way);
    assert_eq!(journey.apply(Input::Retake, later), Ok(vec![Effect::StopMeasurement(BloodPressure)]));
    assert_eq!(journey.guided().unwrap().act, Act::Place { trouble: None });
}

#[test]
fn a_patient_who_walks_away_is_warned_for_at_least_twenty_seconds_and_then_forgotten() {
    for (stage, stored) in [("reason", false), ("review", true), ("waiting", true), ("questionnaire", true)] {
        let mut journey = at(way_to(stage));
        let warn_at = journey.poll_timeout().unwrap();
        assert_eq!(journey.timeout_input(Moment(warn_at.0 - 1)), None);
        let input = journey.timeout_input(warn_at).unwrap();
        assert_eq!(input, Input::InactivityWarned);
        journey.apply(input, warn_at).unwrap();
        assert!(matches!(journey.inactivity(), Inactivity::Warned { .. }));
        for _ in 0..12 {
            let more_at = Moment(journey.poll_timeout().unwrap().0 - 1);
            journey.apply(Input::MoreTime, more_at).unwrap();
            assert_eq!(journey.inactivity(), Inactivity::Active);
            let again_at = journey.poll_timeout().unwrap();
            journey.apply(Input::InactivityWarned, again_at).unwrap();
        }
        let Inactivity::Warned { forgets_at } = journey.inactivity() else { panic!("warned") };
        let early = Moment(forgets_at.0 - 1);
        assert_eq!(journey.apply(Input::WalkedAway, early), Err(Refused::TooEarly));
        assert_eq!(journey.timeout_input(forgets_at), Some(Input::WalkedAway));
        journey.apply(Input::WalkedAway, forgets_at).unwrap();
        if stored {
            assert_eq!(journey.dossier().unwrap().ended, Some((crate::dossier::Outcome::WalkedAway, forgets_at)));
            journey.apply(Input::RecordSealed, forgets_at).unwrap();
        }
        assert_eq!(*journey.step(), Step::Forgotten { at: forgets_at, recorded: stored, promise: Promise::None });
        assert!(journey.dossier().is_none());
    }
    let short = Policy { warning_ms: 5_000, ..Policy::default() };
    assert_eq!(short.checked(), Err(WarningTooShort { asked_ms: 5_000 }));
}

#[test]
fn an_empty_cabin_is_asked_at_once_but_never_while_help_or_the_rescue_is_awaited_or_in_a_call() {
    for stage in ["reason", "review", "waiting", "questionnaire"] {
        let mut journey = at(way_to(stage));
        assert!(journey.asks_an_empty_cabin(), "{stage}");
        assert_eq!(journey.apply(Input::InactivityWarned, NOW), Ok(vec![Effect::WarnInactive]));
        assert!(!journey.asks_an_empty_cabin(), "it is asked once");
        // Whoever is there after all answers, and nothing is forgotten.
        journey.apply(Input::MoreTime, NOW).unwrap();
        assert_eq!(journey.inactivity(), Inactivity::Active);
        journey.apply(Input::HelpAsked, NOW).unwrap();
        assert!(!journey.asks_an_empty_cabin(), "{stage}: who lies on the floor is not seen");
    }
    let mut journey = at(way_to("reason"));
    journey.apply(Input::EmergencyAsked, NOW).unwrap();
    assert!(!journey.asks_an_empty_cabin());
    assert!(!at(way_to("connected")).asks_an_empty_cabin());
    assert!(!at(way_to("welcome")).asks_an_empty_cabin(), "nobody's answers are there");
}

#[test]
fn a_call_for_help_that_nobody_answers_raises_the_alarm_again_and_again() {
    let mut journey = at(way_to("welcome"));
    journey.apply(Input::HelpAsked, NOW).unwrap();
    for minute in 1..4 {
        // Touching Help again does not put the alarm off.
        journey.apply(Input::HelpAsked, Moment(NOW.0 + minute * 60_000 - 1)).unwrap();
        let at = Moment(NOW.0 + minute * 60_000);
        assert_eq!(journey.timeout_input(at), Some(Input::HelpUnanswered));
        let effects = journey.apply(Input::HelpUnanswered, at).unwrap();
        assert_eq!(effects, [Effect::AlarmPharmacist(HelpReason::Asked)]);
    }
    journey.apply(Input::HelpAnswered, Moment(NOW.0 + 200_000)).unwrap();
    assert_eq!(journey.poll_timeout(), None);
}

#[test]
fn what_a_physician_writes_stays_until_it_is_taken_away_or_the_call_ends() {
    let line = |text| Input::NoticeReceived(PrivateText::new(text).unwrap());
    let mut journey = at(way_to("connected"));
    let shown = |journey: &Journey| journey.dossier().unwrap().notice.reveal().to_owned();
    journey.apply(line("Posez le coude sur la table."), NOW).unwrap();
    journey.apply(Input::CallInterrupted, NOW).unwrap();
    assert_eq!(shown(&journey), "Posez le coude sur la table.");
    journey.apply(line(""), NOW).unwrap();
    assert_eq!(shown(&journey), "");
    journey.apply(line("Merci."), NOW).unwrap();
    journey.apply(Input::CallEnded(CallEnd::Physician), NOW).unwrap();
    assert_eq!(shown(&journey), "");
    assert_eq!(journey.apply(line("trop tard"), NOW), Err(Refused::NotHere));
}

#[test]
fn a_call_cut_and_resumed_leaves_an_incident_with_start_and_end() {
    let mut journey = at(way_to("connected"));
    let (cut, back) = (Moment(NOW.0 + 1_000), Moment(NOW.0 + 21_000));
    assert_eq!(journey.apply(Input::CallInterrupted, cut), Ok(vec![Effect::Reconnect]));
    journey.apply(Input::CallResumed, back).unwrap();
    let incident = journey.dossier().unwrap().incidents[0];
    assert_eq!(incident.kind, crate::dossier::IncidentKind::CallInterrupted);
    assert_eq!((incident.started_at, incident.ended_at), (cut, Some(back)));
}

#[test]
fn changing_a_trait_drops_what_the_pharmacist_had_validated_and_confirming_keeps_it() {
    use crate::identity::{IdentityDocument, IdentityStatus};
    let mut journey = at(way_to("usual doctor"));
    journey.apply(Input::IdentityChecked(IdentityDocument::Passport), NOW).unwrap();
    journey.apply(Input::Back, NOW).unwrap();
    journey.apply(Input::IdentityGiven { traits: traits("PA"), matricule: None }, NOW).unwrap();
    let status = |journey: &Journey| journey.dossier().unwrap().identity.as_ref().unwrap().status().clone();
    assert!(matches!(status(&journey), IdentityStatus::Validated(_)));
    journey.apply(Input::Back, NOW).unwrap();
    journey.apply(Input::IdentityGiven { traits: traits("PB"), matricule: None }, NOW).unwrap();
    assert_eq!(status(&journey), IdentityStatus::Provisional);
}

#[test]
fn a_birth_date_to_come_is_refused() {
    let mut journey = at(way_to("identity"));
    let mut unborn = traits("PA");
    unborn.birth_date = crate::identity::BirthDate::new(2026, Some(12), Some(24)).unwrap();
    let given = Input::IdentityGiven { traits: unborn, matricule: None };
    assert_eq!(journey.apply(given, NOW), Err(Refused::BirthDateToCome));
}

#[test]
fn a_restart_comes_back_to_the_same_step_with_the_same_readings_from_every_stage() {
    for (stage, _) in TABLE {
        let mut live = Journey::new(site(), Policy::default());
        let mut journal: Vec<Vec<u8>> = Vec::new();
        for input in way_to(stage) {
            let entry = crate::journal::encode(&input, NOW);
            let journalled = input.is_journalled();
            for effect in live.apply(input, NOW).unwrap() {
                if let Effect::OpenJournal { preamble } = effect {
                    journal = preamble.iter().map(|(at, input)| crate::journal::encode(input, *at)).collect();
                }
            }
            if journalled && live.dossier().is_some() {
                journal.push(entry);
            }
        }
        if live.dossier().is_none() {
            continue;
        }
        let entries = journal.iter().map(|bytes| crate::journal::decode(bytes).unwrap());
        let mut back = Journey::replay(site(), Policy::default(), entries).unwrap();
        let later = Moment(NOW.0 + 60_000);
        let effects = back.apply(Input::Restarted, later).unwrap();
        assert_eq!(live.apply(Input::Restarted, later).unwrap(), effects, "{stage}");
        assert_eq!(back, live, "{stage}");
        assert_eq!(name(back.step()), name(at(way_to(stage)).step()));
    }
}

#[test]
fn nothing_of_a_patient_is_ever_printed() {
    for (stage, _) in TABLE {
        let mut printed = format!("{:?}", at(way_to(stage)));
        for input in way_to(stage).into_iter().chain(one_of_each()) {
            printed.push_str(&format!("{input:?}"));
            let mut journey = at(way_to(stage));
            let answer = journey.apply(input, NOW);
            printed.push_str(&format!("{answer:?} {journey:?}"));
        }
        for secret in
            ["\"PA\"", "Jeanne", "JEANNE", "1950", "Ajaccio", "0612345678", "Melun\"}", "FeverFatigue", "Female"]
        {
            assert!(!printed.contains(secret), "{stage} prints {secret}");
        }
    }
}

#[test]
fn what_the_physician_says_of_a_call_at_its_end_is_in_the_record() {
    use crate::dossier::IncidentKind::{BrokenOff, WithoutPicture};
    for (end, kind) in [(CallEnd::PhysicianWithoutPicture, WithoutPicture), (CallEnd::PhysicianBrokenOff, BrokenOff)] {
        let mut journey = at(way_to("connected"));
        let now = Moment(NOW.0 + 60_000);
        journey.apply(Input::CallEnded(end), now).expect("the physician may end it");
        assert!(matches!(journey.step(), Step::Documents { .. }));
        let said = journey.dossier().and_then(|dossier| dossier.incidents.last()).expect("an incident");
        assert_eq!((said.kind, said.ended_at), (kind, Some(now)));
        assert!(said.started_at < now, "from the moment when picture and sound were there");
    }
}

#[test]
fn a_cabin_opens_without_its_equipment_only_when_that_is_declared_and_every_record_says_so() {
    let mut journey = Journey::new(site(), Policy::default());
    let missing = vec![DeviceClass::Otoscope, DeviceClass::Stethoscope];
    journey.apply(Input::EquipmentChecked { missing }, NOW).unwrap();
    assert_eq!(journey.apply(Input::SignedIn(pharmacist(1)), NOW), Err(Refused::EquipmentMissing));
    journey.apply(Input::OpenedDegraded(pharmacist(1)), NOW).unwrap();
    assert_eq!(journey.missing_equipment(), [DeviceClass::Stethoscope, DeviceClass::Otoscope]);

    journey.apply(Input::Begun(ConsultationId([1; 16])), NOW).unwrap();
    let later = Moment(NOW.0 + 1_000);
    journey.apply(Input::EquipmentChecked { missing: vec![DeviceClass::Otoscope] }, later).unwrap();
    let incidents = &journey.dossier().unwrap().incidents;
    let of = |class| incidents.iter().find(|i| i.kind == IncidentKind::WithoutDevice(class)).unwrap();
    assert_eq!(of(DeviceClass::Stethoscope).ended_at, Some(later));
    assert_eq!(of(DeviceClass::Otoscope).ended_at, None);
    // What fails while the cabin is open closes nobody out.
    let all = DeviceClass::OF_A_PHARMACY.to_vec();
    journey.apply(Input::EquipmentChecked { missing: all }, later).unwrap();
    assert_eq!(journey.step(), &Step::Reason);
}

#[test]
fn a_cabin_that_was_stopped_before_it_was_clean_is_cleaned_before_it_opens() {
    let missing = || Input::EquipmentChecked { missing: vec![DeviceClass::Otoscope] };
    for way in [vec![Input::SignedIn(pharmacist(1))], vec![missing(), Input::OpenedDegraded(pharmacist(1))]] {
        let mut journey = at(vec![]);
        assert!(!journey.is_to_be_cleaned());
        journey.owe_cleaning(vec![Temperature]);
        for input in way {
            assert!(journey.is_to_be_cleaned());
            journey.apply(input, NOW).expect("it opens");
        }
        assert_eq!((journey.step(), journey.used()), (&Step::Cleaning, &[Temperature][..]));
        journey.apply(Input::Cleaned, NOW).expect("cleaned");
        assert_eq!((journey.step(), journey.used(), journey.is_to_be_cleaned()), (&Step::Welcome, &[][..], false));
    }
    let mut open = at(way_to("welcome"));
    open.owe_cleaning(vec![Temperature]);
    assert!(!open.is_to_be_cleaned(), "an open cabin was cleaned");
}

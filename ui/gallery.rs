//! Every screen with fictional data, to be drawn and looked at. No person here exists.

use crate::*;
use slint::{ComponentHandle, Image, ModelRc, VecModel};

mod visit;

use visit::{figure, fill, portrait, pulse};

/// A picture of the gallery: its name (also of its file) and what puts the window in that state.
pub struct Scene {
    /// Sorts the pictures in the order of a visit.
    pub name: &'static str,
    /// Sets the screen, its step and its overlay; the fictional data is already there.
    pub show: fn(&App),
}

/// Every screen, in the order of a visit, then those of the pharmacist and of the technician.
pub const SCENES: &[Scene] = &[
    Scene { name: "01-closed", show: |app| at(app, Screen::Closed, StepName::None) },
    Scene { name: "02-sign-in", show: |app| at(app, Screen::SignIn, StepName::None) },
    Scene { name: "03-welcome", show: |app| at(app, Screen::Welcome, StepName::None) },
    Scene { name: "04-reason", show: |app| at(app, Screen::Reason, StepName::Reason) },
    Scene { name: "05-body-part", show: |app| at(app, Screen::BodyPart, StepName::Reason) },
    Scene { name: "06-reason-words", show: |app| at(app, Screen::ReasonWords, StepName::Reason) },
    Scene { name: "07-warning-signs", show: |app| at(app, Screen::WarningSigns, StepName::Reason) },
    Scene { name: "08-emergency", show: |app| at(app, Screen::Emergency, StepName::None) },
    Scene {
        name: "08b-card",
        show: |app| {
            app.global::<IdentityAdapter>().set_card_holders(ModelRc::default());
            at(app, Screen::VitaleCard, StepName::Identity);
        },
    },
    Scene {
        name: "08c-card-holders",
        show: |app| {
            let holder = |name: &str, day, month, year| CardHolder {
                name: name.into(),
                birth_date: BirthDate { day, month, year },
            };
            let holders =
                vec![holder("PAT-TROIS DOMINIQUE MARIE-LOUISE", 28, 3, 1979), holder("PAT-TROIS LÉO", 2, 11, 2015)];
            app.global::<IdentityAdapter>().set_card_holders(ModelRc::new(VecModel::from(holders)));
            at(app, Screen::VitaleCard, StepName::Identity);
        },
    },
    Scene {
        name: "08d-card-or-code",
        show: |app| {
            let identity = app.global::<IdentityAdapter>();
            identity.set_card_holders(ModelRc::default());
            identity.set_scanner_present(true);
            identity.set_code_camera_present(true);
            identity.set_code_unseen(true);
            identity.set_card(CardState::TakeOut);
            at(app, Screen::VitaleCard, StepName::Identity);
        },
    },
    Scene {
        name: "08e-code-camera",
        show: |app| {
            let identity = app.global::<IdentityAdapter>();
            identity.set_code_state(CodeState::Refused);
            identity.set_code_trouble(CodeTrouble::Unknown);
            identity.set_code_picture(portrait([200, 215, 220], [60, 110, 160]));
            identity.set_code_picture_present(true);
            at(app, Screen::CodeCamera, StepName::Identity);
        },
    },
    Scene { name: "09-birth-name", show: |app| at(app, Screen::BirthName, StepName::Identity) },
    Scene {
        name: "09b-birth-name-scanner",
        show: |app| {
            let identity = app.global::<IdentityAdapter>();
            identity.set_birth_name("".into());
            identity.set_scanner_present(true);
            at(app, Screen::BirthName, StepName::Identity);
        },
    },
    Scene { name: "10-given-names", show: |app| at(app, Screen::GivenNames, StepName::Identity) },
    Scene { name: "11-sex", show: |app| at(app, Screen::Sex, StepName::Identity) },
    Scene { name: "12-birth-date", show: |app| at(app, Screen::BirthDate, StepName::Identity) },
    Scene { name: "13-birth-place", show: |app| at(app, Screen::BirthPlace, StepName::Identity) },
    Scene {
        name: "14-matricule",
        show: |app| {
            let identity = app.global::<IdentityAdapter>();
            identity.set_matricule("279035121518988".into());
            identity.set_matricule_state(MatriculeState::WrongKey);
            at(app, Screen::Matricule, StepName::Identity);
        },
    },
    Scene { name: "15-identity-review", show: |app| at(app, Screen::IdentityReview, StepName::Identity) },
    Scene { name: "16-has-usual-doctor", show: |app| at(app, Screen::HasUsualDoctor, StepName::Identity) },
    Scene { name: "17-usual-doctor-name", show: |app| at(app, Screen::UsualDoctorName, StepName::Identity) },
    Scene { name: "18-usual-doctor-town", show: |app| at(app, Screen::UsualDoctorTown, StepName::Identity) },
    Scene { name: "19-callback-phone", show: |app| at(app, Screen::CallbackPhone, StepName::Identity) },
    Scene { name: "20-consent", show: |app| at(app, Screen::Consent, StepName::Identity) },
    Scene { name: "21-place-oxygen", show: |app| place(app, MeasureKind::Oxygen) },
    Scene { name: "22-place-pressure", show: |app| place(app, MeasureKind::Pressure) },
    Scene { name: "23-place-weight", show: |app| place(app, MeasureKind::WeightHeight) },
    Scene { name: "24-place-temperature", show: |app| place(app, MeasureKind::Temperature) },
    Scene { name: "24b-place-glucose", show: |app| place(app, MeasureKind::Glucose) },
    Scene { name: "24c-place-ecg", show: |app| place(app, MeasureKind::Ecg) },
    Scene { name: "24d-place-ear", show: |app| place(app, MeasureKind::Ear) },
    Scene { name: "24e-place-skin", show: |app| place(app, MeasureKind::Skin) },
    Scene { name: "24f-place-auscultation", show: |app| place(app, MeasureKind::Auscultation) },
    Scene { name: "25-measuring-oxygen", show: |app| measuring(app, MeasureKind::Oxygen) },
    Scene { name: "26-measuring-pressure", show: |app| measuring(app, MeasureKind::Pressure) },
    Scene { name: "26b-measuring-glucose", show: |app| measuring(app, MeasureKind::Glucose) },
    Scene { name: "26c-measuring-ecg", show: |app| measuring(app, MeasureKind::Ecg) },
    Scene { name: "26d-measuring-ear", show: |app| measuring(app, MeasureKind::Ear) },
    Scene { name: "26e-measuring-auscultation", show: |app| measuring(app, MeasureKind::Auscultation) },
    Scene {
        name: "28b-review-ear",
        show: |app| {
            measuring(app, MeasureKind::Ear);
            at(app, Screen::MeasureReview, StepName::Measures);
        },
    },
    Scene {
        name: "25b-place-low",
        show: |app| {
            place(app, MeasureKind::Glucose);
            app.global::<MeasureAdapter>().set_trouble(TryTrouble::BelowRange);
        },
    },
    Scene {
        name: "27-measuring-unplugged",
        show: |app| {
            measuring(app, MeasureKind::WeightHeight);
            app.global::<MeasureAdapter>().set_fault(DeviceFault::Unplugged);
            app.global::<MeasureAdapter>().set_complete(false);
            let unread = |kind| FigureValue { kind, known: false, value: 0, second: 0 };
            let figures = vec![unread(FigureKind::Weight), unread(FigureKind::Height)];
            app.global::<MeasureAdapter>().set_figures(ModelRc::new(VecModel::from(figures)));
        },
    },
    Scene {
        name: "28-measure-review",
        show: |app| {
            measuring(app, MeasureKind::Oxygen);
            at(app, Screen::MeasureReview, StepName::Measures);
        },
    },
    Scene {
        name: "29-review-pressure",
        show: |app| {
            measuring(app, MeasureKind::Pressure);
            app.global::<MeasureAdapter>().set_curve_present(false);
            at(app, Screen::MeasureReview, StepName::Measures);
        },
    },
    Scene { name: "30-skip-reason", show: |app| at(app, Screen::SkipReason, StepName::Measures) },
    Scene { name: "31-waiting-room", show: |app| waiting(app, WaitingState::Waiting) },
    Scene { name: "32-line-cut", show: |app| waiting(app, WaitingState::LineCut) },
    Scene { name: "32b-call-back", show: |app| at(app, Screen::CallBack, StepName::Physician) },
    Scene { name: "32c-opinion-specialty", show: |app| at(app, Screen::OpinionSpecialty, StepName::Physician) },
    Scene { name: "32d-opinion-question", show: |app| at(app, Screen::OpinionField, StepName::Physician) },
    Scene {
        name: "32e-opinion-number",
        show: |app| {
            let opinion = app.global::<OpinionAdapter>();
            opinion.set_field(OpinionField::RequesterNumber);
            opinion.set_text("1000123456".into());
            opinion.set_accepted(false);
            at(app, Screen::OpinionField, StepName::Physician);
        },
    },
    Scene { name: "32g-opinion-pictures", show: |app| at(app, Screen::OpinionPictures, StepName::Physician) },
    Scene { name: "32f-opinion-consent", show: |app| at(app, Screen::OpinionConsent, StepName::Physician) },
    Scene { name: "33-meet-physician", show: |app| at(app, Screen::MeetPhysician, StepName::Physician) },
    Scene { name: "34-call", show: |app| call(app, CallNotice::None) },
    Scene { name: "35-call-no-microphone", show: |app| call(app, CallNotice::MicrophoneMissing) },
    Scene { name: "35b-call-no-loudspeaker", show: |app| call(app, CallNotice::LoudspeakerMissing) },
    Scene { name: "36-call-line-cut", show: |app| call(app, CallNotice::LineCut) },
    Scene {
        name: "36c-call-writing",
        show: |app| {
            let line = |mine, text: &str, arrived| WrittenLine { mine, text: text.into(), arrived };
            let adapter = app.global::<CallAdapter>();
            adapter.set_lines(ModelRc::new(VecModel::from(vec![
                line(false, "Depuis quand avez-vous mal ?", true),
                line(true, "Depuis hier soir, et cette nuit j’ai eu très mal à la gorge, sans pouvoir avaler", true),
                line(false, "Avez-vous de la fièvre ?", true),
                line(true, "Oui", false),
            ])));
            adapter.set_draft("38,5 ce matin".into());
            call(app, CallNotice::None);
            adapter.set_writing(true);
        },
    },
    Scene {
        name: "36d-call-guest",
        show: |app| {
            guest(app);
            call(app, CallNotice::GuestHere);
        },
    },
    Scene {
        name: "36e-call-guest-writing",
        show: |app| {
            guest(app);
            call(app, CallNotice::None);
            app.global::<CallAdapter>().set_writing(true);
        },
    },
    Scene {
        name: "36f-call-guest-gone",
        show: |app| {
            guest(app);
            app.global::<CallAdapter>().set_guest_present(false);
            call(app, CallNotice::GuestGone);
        },
    },
    Scene { name: "36b-call-door-open", show: |app| call(app, CallNotice::DoorOpen) },
    Scene { name: "37-documents", show: |app| at(app, Screen::Documents, StepName::WrapUp) },
    Scene {
        name: "37b-documents-nothing",
        show: |app| {
            let documents = app.global::<DocumentsAdapter>();
            documents.set_summary("".into());
            documents.set_orders("".into());
            documents.set_prescription_present(false);
            documents.set_document_present(false);
            at(app, Screen::Documents, StepName::WrapUp);
        },
    },
    Scene {
        name: "38-documents-code",
        show: |app| {
            app.global::<DocumentsAdapter>().set_phone(PhoneState::Everything);
            at(app, Screen::Documents, StepName::WrapUp);
        },
    },
    Scene { name: "39-questionnaire", show: |app| at(app, Screen::Questionnaire, StepName::WrapUp) },
    Scene { name: "40-forgotten", show: |app| at(app, Screen::Forgotten, StepName::None) },
    Scene { name: "41-cleaning", show: |app| at(app, Screen::Cleaning, StepName::None) },
    Scene { name: "42-help", show: |app| over(app, Overlay::Help) },
    Scene { name: "43-leave", show: |app| over(app, Overlay::Leave) },
    Scene { name: "43b-hang-up", show: |app| over(app, Overlay::HangUp) },
    Scene { name: "43c-close-cabin", show: |app| over(app, Overlay::CloseCabin) },
    Scene { name: "44-inactivity", show: |app| over(app, Overlay::Inactivity) },
    Scene {
        name: "44b-replace-identity",
        show: |app| {
            app.global::<IdentityAdapter>().set_scanned(CardHolder {
                name: "PAT-TROIS DOMINIQUE MARIE-LOUISE".into(),
                birth_date: BirthDate { day: 28, month: 3, year: 1979 },
            });
            at(app, Screen::IdentityReview, StepName::Identity);
            app.global::<Bar>().set_overlay(Overlay::ReplaceIdentity);
        },
    },
    Scene {
        name: "44c-code-refused",
        show: |app| {
            app.global::<IdentityAdapter>().set_code_trouble(CodeTrouble::Product);
            at(app, Screen::GivenNames, StepName::Identity);
            app.global::<Bar>().set_overlay(Overlay::CodeRefused);
        },
    },
    Scene { name: "45-languages", show: |app| over(app, Overlay::Languages) },
    Scene { name: "46-pharmacist-space", show: |app| at(app, Screen::PharmacistSpace, StepName::None) },
    Scene { name: "46b-opinions", show: |app| at(app, Screen::Opinions, StepName::None) },
    Scene { name: "46c-opinion-read", show: |app| at(app, Screen::OpinionRead, StepName::None) },
    Scene {
        name: "46d-opinion-answered",
        show: |app| {
            let opinions = app.global::<OpinionsAdapter>();
            opinions.set_open(false);
            opinions.set_reply("".into());
            opinions.set_letter_to("Dr Jean-Baptiste Villeneuve-Loubet, Saint-Étienne-du-Bois".into());
            opinions.set_print(OpinionPrint::Possible);
            opinions.set_answer(OpinionWords {
                by: "Dr Anne Petit".into(),
                on: "23/11/2026".into(),
                text: "Nævus banal. Pas de biopsie. Le montrer de nouveau dans six mois, ou s’il change.".into(),
            });
            at(app, Screen::OpinionRead, StepName::None);
        },
    },
    Scene {
        name: "46e-opinion-reply-waits",
        show: |app| {
            let opinions = app.global::<OpinionsAdapter>();
            let row = OpinionRow { reply: OpinionReply::Waiting, ..opinions.get_row() };
            opinions.set_row(row.clone());
            opinions.set_rows(ModelRc::new(VecModel::from(vec![row])));
            opinions.set_reach(OpinionsReach::Unreachable);
            opinions.set_replies_waiting(1);
            opinions.set_reply("Non, elle n’a pas saigné.".into());
            opinions.set_not_kept(OpinionNotKept::Reply);
            at(app, Screen::OpinionRead, StepName::None);
        },
    },
    Scene {
        name: "46f-opinions-unsent",
        show: |app| {
            let opinions = app.global::<OpinionsAdapter>();
            let row = OpinionRow { reply: OpinionReply::Refused, ..opinions.get_row() };
            opinions.set_rows(ModelRc::new(VecModel::from(vec![row])));
            opinions.set_replies_waiting(1);
            let words =
                |by: &str, text: &str| OpinionWords { by: by.into(), text: text.into(), ..OpinionWords::default() };
            let stranded = vec![words("Julie Roux", "Non, elle n’a pas saigné."), words("", "")];
            opinions.set_stranded(ModelRc::new(VecModel::from(stranded)));
            at(app, Screen::Opinions, StepName::None);
        },
    },
    Scene {
        name: "46g-opinion-printed",
        show: |app| {
            let opinions = app.global::<OpinionsAdapter>();
            opinions.set_open(false);
            opinions.set_reply("".into());
            opinions.set_physicians(true);
            opinions.set_letter_to("Dr Jean-Baptiste Villeneuve-Loubet, Saint-Étienne-du-Bois".into());
            opinions.set_print(OpinionPrint::Printed);
            opinions.set_answer(OpinionWords {
                by: "Dr Anne Petit".into(),
                on: "23/11/2026".into(),
                text: "Nævus banal. Pas de biopsie.".into(),
            });
            at(app, Screen::OpinionRead, StepName::None);
        },
    },
    Scene { name: "47-identity-check", show: |app| at(app, Screen::IdentityCheck, StepName::None) },
    Scene { name: "47b-morning-check", show: |app| morning_check(app, false) },
    Scene { name: "47c-morning-check-complete", show: |app| morning_check(app, true) },
    Scene {
        name: "47e-morning-check-no-outbox",
        show: |app| {
            morning_check(app, false);
            app.global::<MorningCheckAdapter>().set_record_trouble(RecordTrouble::Silent);
        },
    },
    Scene { name: "47d-morning-checking", show: morning_checking },
    Scene { name: "48-technician", show: |app| at(app, Screen::Technician, StepName::None) },
    Scene { name: "48b-binding-port", show: |app| binding(app, BindingState::ChoosingPort) },
    Scene { name: "48c-binding-model", show: |app| binding(app, BindingState::ChoosingModel) },
    Scene { name: "48d-binding-trial", show: |app| binding(app, BindingState::Trying) },
    Scene { name: "48e-binding-kept", show: |app| binding(app, BindingState::Kept) },
    Scene {
        name: "49-not-kept",
        show: |app| {
            not_kept(app, (true, false));
            over(app, Overlay::NotKept);
        },
    },
    Scene {
        name: "49c-not-kept-no-bell",
        show: |app| {
            not_kept(app, (true, true));
            over(app, Overlay::NotKept);
        },
    },
    Scene {
        name: "49b-not-kept-lost",
        show: |app| {
            not_kept(app, (true, false));
            app.global::<NotKeptAdapter>().set_lost(true);
            over(app, Overlay::NotKept);
        },
    },
    Scene {
        name: "50-not-kept-welcome",
        show: |app| {
            not_kept(app, (false, false));
            at(app, Screen::Welcome, StepName::None);
            app.global::<Bar>().set_overlay(Overlay::NotKept);
        },
    },
    Scene {
        name: "51-welcome-not-joined",
        show: |app| {
            app.global::<WelcomeAdapter>().set_desk(DeskReach::NotJoined);
            at(app, Screen::Welcome, StepName::None);
        },
    },
    Scene { name: "52-waiting-refused", show: |app| waiting(app, WaitingState::Refused) },
    Scene { name: "53-waiting-no-physician", show: |app| waiting(app, WaitingState::NoPhysician) },
    Scene {
        name: "54-emergency-sign",
        show: |app| {
            let emergency = app.global::<EmergencyAdapter>();
            emergency.set_after_warning_sign(true);
            emergency.set_pharmacist_coming(false);
            at(app, Screen::Emergency, StepName::None);
        },
    },
    Scene {
        name: "55-emergency-suicide",
        show: |app| {
            let emergency = app.global::<EmergencyAdapter>();
            emergency.set_after_warning_sign(true);
            emergency.set_about_suicide(true);
            at(app, Screen::Emergency, StepName::None);
        },
    },
    Scene {
        name: "56-help-unanswered",
        show: |app| {
            app.global::<HelpAdapter>().set_state(HelpState::Unanswered);
            over(app, Overlay::Help);
        },
    },
    Scene {
        name: "57-forgotten-nothing-sent",
        show: |app| {
            app.global::<ForgottenAdapter>().set_record(RecordFate::None);
            at(app, Screen::Forgotten, StepName::None);
        },
    },
    Scene {
        name: "57b-forgotten-call-back",
        show: |app| {
            app.global::<ForgottenAdapter>().set_record(RecordFate::OnItsWay);
            app.global::<ForgottenAdapter>().set_call_back(true);
            at(app, Screen::Forgotten, StepName::None);
        },
    },
    Scene {
        name: "57b2-forgotten-come-back",
        show: |app| {
            app.global::<ForgottenAdapter>().set_come_back(true);
            at(app, Screen::Forgotten, StepName::None);
        },
    },
    Scene { name: "57b3-come-back-code", show: |app| at(app, Screen::ComeBack, StepName::Physician) },
    Scene { name: "57b4-come-back-entry", show: |app| at(app, Screen::ComeBackEntry, StepName::None) },
    Scene {
        name: "57b5-come-back-wrong",
        show: |app| {
            let come_back = app.global::<ComeBackAdapter>();
            come_back.set_typed_code("48219073".into());
            come_back.set_typed_birth_date("12031954".into());
            come_back.set_complete(true);
            come_back.set_trouble(ComeBackTrouble::Unknown);
            at(app, Screen::ComeBackEntry, StepName::None);
        },
    },
    Scene {
        name: "57b6-welcome-come-back",
        show: |app| {
            app.global::<WelcomeAdapter>().set_come_back_possible(true);
            at(app, Screen::Welcome, StepName::None);
        },
    },
    Scene {
        name: "57d-forgotten-opinion",
        show: |app| {
            app.global::<ForgottenAdapter>().set_record(RecordFate::OnItsWay);
            app.global::<ForgottenAdapter>().set_second_opinion(true);
            at(app, Screen::Forgotten, StepName::None);
        },
    },
    Scene {
        name: "57c-space-no-physician",
        show: |app| {
            let space = app.global::<SpaceAdapter>();
            space.set_desk(DeskReach::Lost);
            space.set_waiting_for_physician(true);
            space.set_call_back_possible(true);
            space.set_come_back_possible(true);
            space.set_to_come_back(2);
            space.set_opinion_possible(true);
            space.set_replies_unsent(1);
            space.set_call_backs_today(1);
            at(app, Screen::PharmacistSpace, StepName::None);
        },
    },
    Scene {
        name: "57e-space-in-call",
        show: |app| {
            app.global::<SpaceAdapter>().set_in_call(true);
            at(app, Screen::PharmacistSpace, StepName::None);
        },
    },
    Scene {
        name: "58-space-in-trouble",
        show: |app| {
            let space = app.global::<SpaceAdapter>();
            space.set_emergency(true);
            space.set_emergency_sign(true);
            space.set_desk(DeskReach::Refused);
            space.set_records_known(false);
            space.set_record_trouble(RecordTrouble::Silent);
            at(app, Screen::PharmacistSpace, StepName::None);
        },
    },
    Scene {
        name: "59-technician-in-trouble",
        show: |app| {
            let technician = app.global::<TechnicianAdapter>();
            technician.set_desk(DeskReach::NotJoined);
            technician.set_desk_reason("not enrolled".into());
            technician.set_camera_state(MediaState::Missing);
            technician.set_records_set_aside(1);
            technician.set_record_troubles(ModelRc::new(VecModel::from(vec![
                RecordLine { trouble: RecordTrouble::ServerRefuses, detail: "HTTP 401".into() },
                RecordLine { trouble: RecordTrouble::SetAside, detail: "HTTP 422 on Observation".into() },
            ])));
            at(app, Screen::Technician, StepName::None);
        },
    },
    Scene {
        name: "61-documents-words-only",
        show: |app| {
            app.global::<DocumentsAdapter>().set_phone(PhoneState::WordsOnly);
            at(app, Screen::Documents, StepName::WrapUp);
        },
    },
    Scene {
        name: "63-documents-receipt",
        show: |app| {
            app.global::<DocumentsAdapter>().set_receipt_only(true);
            at(app, Screen::Documents, StepName::WrapUp);
        },
    },
    Scene {
        name: "62-documents-impossible",
        show: |app| {
            app.global::<DocumentsAdapter>().set_phone(PhoneState::Impossible);
            app.global::<DocumentsAdapter>().set_print_state(PrintState::NoPrinter);
            app.global::<DocumentsAdapter>().set_by_phone(false);
            app.global::<DocumentsAdapter>().set_line_cut(true);
            at(app, Screen::Documents, StepName::WrapUp);
        },
    },
    Scene {
        name: "60-inactivity-over-staff",
        show: |app| {
            at(app, Screen::PharmacistSpace, StepName::None);
            app.global::<Bar>().set_overlay(Overlay::Inactivity);
        },
    },
];

/// Puts `scene` in the window, with the fictional data around it.
pub fn show(app: &App, scene: &Scene) {
    fill(app);
    (scene.show)(app);
}

fn at(app: &App, screen: Screen, step: StepName) {
    let bar = app.global::<Bar>();
    let inside = !matches!(
        screen,
        Screen::Closed
            | Screen::Welcome
            | Screen::ComeBackEntry
            | Screen::Forgotten
            | Screen::Cleaning
            | Screen::SignIn
            | Screen::PharmacistSpace
            | Screen::IdentityCheck
            | Screen::MorningCheck
            | Screen::Technician
            | Screen::Binding
            | Screen::Opinions
            | Screen::OpinionRead
    );
    bar.set_patient_present(inside);
    let leads_back = inside || screen == Screen::ComeBackEntry;
    bar.set_back_possible(
        leads_back && !matches!(screen, Screen::WaitingRoom | Screen::MeetPhysician | Screen::Emergency),
    );
    bar.set_overlay(Overlay::None);
    bar.set_step(step);
    bar.set_screen(screen);
}

fn over(app: &App, overlay: Overlay) {
    at(app, Screen::Reason, StepName::Reason);
    app.global::<Bar>().set_overlay(overlay);
}

fn binding(app: &App, state: BindingState) {
    let adapter = app.global::<BindingAdapter>();
    let plugged = |product: &str, place: &str, bound: &str| PluggedRow {
        product: product.into(),
        recorder: place.contains("recorder"),
        place: place.into(),
        bound: bound.into(),
    };
    adapter.set_plugged(ModelRc::new(VecModel::from(vec![
        plugged("CP2102 USB to UART Bridge Controller", "id_path pci-0000:00:14.0-usb-0:3:1.0", ""),
        plugged("FT232R USB UART", "id_path pci-0000:00:14.0-usb-0:1:1.0", "oximeter"),
        plugged("", "path /dev/ttyS0", ""),
        plugged("", "path /run/telecabine/recorder", ""),
    ])));
    let model = |kind, name: &str, likely| ModelRow { kind, name: name.into(), likely };
    adapter.set_models(ModelRc::new(VecModel::from(vec![
        model(MeasureKind::Oxygen, "Contec CMS50D+, CMS50E, CMS50F", true),
        model(MeasureKind::WeightHeight, "Health o meter Professional 600KL and other KL scales", true),
        model(MeasureKind::Temperature, "TaiDoc / FORA TD-1241, TD-1261, IR42 (serial or USB cable)", true),
        model(MeasureKind::Pressure, "SunTech Advantage OEM, Advantage A+", false),
    ])));
    adapter.set_product("CP2102 USB to UART Bridge Controller".into());
    adapter.set_place("id_path pci-0000:00:14.0-usb-0:3:1.0".into());
    adapter.set_kind(MeasureKind::Oxygen);
    adapter.set_model_name("Contec CMS50D+, CMS50E, CMS50F".into());
    adapter.set_device(DeviceState::Ready);
    adapter.set_answer(TrialAnswer::Answers);
    adapter
        .set_figures(ModelRc::new(VecModel::from(vec![figure(FigureKind::Oxygen, 97), figure(FigureKind::Pulse, 72)])));
    adapter.set_curve(ModelRc::new(VecModel::from(pulse())));
    adapter.set_state(state);
    at(app, Screen::Binding, StepName::None);
}

fn morning_check(app: &App, complete: bool) {
    let row = |kind, answers: bool, otherwise| EquipmentRow {
        kind,
        state: if answers { EquipmentState::Answers } else { otherwise },
    };
    let rows = vec![
        row(MeasureKind::Auscultation, complete, EquipmentState::NotBound),
        row(MeasureKind::Ear, complete, EquipmentState::Silent),
        row(MeasureKind::Oxygen, true, EquipmentState::Silent),
        row(MeasureKind::Pressure, true, EquipmentState::Silent),
    ];
    let adapter = app.global::<MorningCheckAdapter>();
    adapter.set_rows(ModelRc::new(VecModel::from(rows)));
    adapter.set_complete(complete);
    adapter.set_others_silent(if complete { 0 } else { 2 });
    adapter.set_checking(false);
    adapter.set_record_trouble(RecordTrouble::None);
    at(app, Screen::MorningCheck, StepName::None);
}

fn not_kept(app: &App, (consultation_open, bell_broken): (bool, bool)) {
    let adapter = app.global::<NotKeptAdapter>();
    adapter.set_lost(false);
    adapter.set_consultation_open(consultation_open);
    adapter.set_bell_broken(bell_broken);
}

fn morning_checking(app: &App) {
    morning_check(app, false);
    let adapter = app.global::<MorningCheckAdapter>();
    let row = |kind, state| EquipmentRow { kind, state };
    adapter.set_rows(ModelRc::new(VecModel::from(vec![
        row(MeasureKind::Auscultation, EquipmentState::Checking),
        row(MeasureKind::Ear, EquipmentState::Checking),
        row(MeasureKind::Oxygen, EquipmentState::Answers),
        row(MeasureKind::Pressure, EquipmentState::Checking),
    ])));
    adapter.set_checking(true);
}

fn place(app: &App, kind: MeasureKind) {
    let (sites, site) = match kind {
        MeasureKind::Ear => (vec![BodySite::RightEar, BodySite::LeftEar], BodySite::LeftEar),
        MeasureKind::Auscultation => (vec![BodySite::Heart, BodySite::RightLung, BodySite::LeftLung], BodySite::None),
        MeasureKind::Skin => (
            vec![
                BodySite::Head,
                BodySite::Chest,
                BodySite::Back,
                BodySite::Belly,
                BodySite::ArmHand,
                BodySite::LegFoot,
            ],
            BodySite::None,
        ),
        _ => (Vec::new(), BodySite::None),
    };
    let measure = app.global::<MeasureAdapter>();
    measure.set_sites(ModelRc::new(VecModel::from(sites)));
    measure.set_site(site);
    measure.set_kind(kind);
    at(app, Screen::MeasurePlace, StepName::Measures);
}

fn measuring(app: &App, kind: MeasureKind) {
    let measure = app.global::<MeasureAdapter>();
    measure.set_kind(kind);
    let (figures, hint) = match kind {
        MeasureKind::Oxygen => (vec![figure(FigureKind::Oxygen, 97), figure(FigureKind::Pulse, 72)], SignalHint::Good),
        MeasureKind::Pressure => (
            vec![FigureValue { second: 79, ..figure(FigureKind::Pressure, 122) }, figure(FigureKind::Pulse, 74)],
            SignalHint::Inflating,
        ),
        MeasureKind::WeightHeight => {
            (vec![figure(FigureKind::Weight, 70_340), figure(FigureKind::Height, 1_725)], SignalHint::StandStill)
        }
        MeasureKind::Glucose => (vec![figure(FigureKind::Glucose, 104)], SignalHint::Prick),
        MeasureKind::Ecg => (vec![FigureValue { known: false, ..figure(FigureKind::Ecg, 0) }], SignalHint::Recording),
        MeasureKind::Ear | MeasureKind::Skin => (vec![], SignalHint::Blurred),
        MeasureKind::Auscultation => {
            (vec![FigureValue { known: false, ..figure(FigureKind::Sound, 0) }], SignalHint::Listening)
        }
        _ => (vec![figure(FigureKind::Temperature, 3_680)], SignalHint::Aim),
    };
    measure.set_figures(ModelRc::new(VecModel::from(figures)));
    measure.set_taken(kind == MeasureKind::WeightHeight);
    measure.set_hint(hint);
    let with_curve = [MeasureKind::Oxygen, MeasureKind::Pressure, MeasureKind::Ecg, MeasureKind::Auscultation];
    measure.set_curve_present(with_curve.contains(&kind));
    let with_picture = matches!(kind, MeasureKind::Ear | MeasureKind::Skin);
    measure.set_picture_present(with_picture);
    measure.set_picture(if with_picture { portrait([188, 120, 96], [214, 150, 128]) } else { Image::default() });
    measure.set_resting_seconds(7);
    measure.set_complete(kind == MeasureKind::WeightHeight);
    measure.set_cuff_mmhg(if kind == MeasureKind::Pressure { 148 } else { 0 });
    at(app, Screen::Measuring, StepName::Measures);
}

fn waiting(app: &App, state: WaitingState) {
    app.global::<WaitingRoomAdapter>().set_state(state);
    let nobody = matches!(state, WaitingState::LineCut | WaitingState::NoPhysician);
    app.global::<WaitingRoomAdapter>().set_call_back_possible(nobody);
    app.global::<WaitingRoomAdapter>().set_come_back_possible(nobody || state == WaitingState::Refused);
    at(app, Screen::WaitingRoom, StepName::Physician);
    if state == WaitingState::LineCut {
        app.global::<Bar>().set_line(LineQuality::Cut);
    }
}

fn guest(app: &App) {
    let adapter = app.global::<CallAdapter>();
    adapter.set_guest_present(true);
    adapter.set_guest_name("Jeanne Lemaire-Bouvier".into());
    adapter.set_guest_role(GuestRole::SignInterpreter);
}

fn call(app: &App, notice: CallNotice) {
    app.global::<CallAdapter>().set_notice(notice);
    app.global::<CallAdapter>().set_writing(false);
    at(app, Screen::Call, StepName::Physician);
}

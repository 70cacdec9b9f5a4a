//! Every screen with fictional data, to be drawn and looked at. No person here exists.

use crate::*;
use slint::{ComponentHandle, Image, ModelRc, Rgb8Pixel, SharedPixelBuffer, VecModel};

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
    Scene { name: "09-birth-name", show: |app| at(app, Screen::BirthName, StepName::Identity) },
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
    Scene { name: "33-meet-physician", show: |app| at(app, Screen::MeetPhysician, StepName::Physician) },
    Scene { name: "34-call", show: |app| call(app, CallNotice::None) },
    Scene { name: "35-call-no-microphone", show: |app| call(app, CallNotice::MicrophoneMissing) },
    Scene { name: "35b-call-no-loudspeaker", show: |app| call(app, CallNotice::LoudspeakerMissing) },
    Scene { name: "36-call-line-cut", show: |app| call(app, CallNotice::LineCut) },
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
    Scene { name: "44-inactivity", show: |app| over(app, Overlay::Inactivity) },
    Scene { name: "45-languages", show: |app| over(app, Overlay::Languages) },
    Scene { name: "46-pharmacist-space", show: |app| at(app, Screen::PharmacistSpace, StepName::None) },
    Scene { name: "47-identity-check", show: |app| at(app, Screen::IdentityCheck, StepName::None) },
    Scene { name: "47b-morning-check", show: |app| morning_check(app, false) },
    Scene { name: "47c-morning-check-complete", show: |app| morning_check(app, true) },
    Scene { name: "48-technician", show: |app| at(app, Screen::Technician, StepName::None) },
    Scene { name: "48b-binding-port", show: |app| binding(app, BindingState::ChoosingPort) },
    Scene { name: "48c-binding-model", show: |app| binding(app, BindingState::ChoosingModel) },
    Scene { name: "48d-binding-trial", show: |app| binding(app, BindingState::Trying) },
    Scene { name: "48e-binding-kept", show: |app| binding(app, BindingState::Kept) },
    Scene {
        name: "49-not-kept",
        show: |app| {
            app.global::<NotKeptAdapter>().set_consultation_open(true);
            over(app, Overlay::NotKept);
        },
    },
    Scene {
        name: "50-not-kept-welcome",
        show: |app| {
            app.global::<NotKeptAdapter>().set_consultation_open(false);
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
        name: "58-space-in-trouble",
        show: |app| {
            let space = app.global::<SpaceAdapter>();
            space.set_emergency(true);
            space.set_emergency_sign(true);
            space.set_desk(DeskReach::Refused);
            space.set_desk_reason("UnknownCabin: inscrivez cette cabine au bureau".into());
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
        name: "62-documents-impossible",
        show: |app| {
            app.global::<DocumentsAdapter>().set_phone(PhoneState::Impossible);
            app.global::<DocumentsAdapter>().set_print_state(PrintState::NoPrinter);
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
            | Screen::Forgotten
            | Screen::Cleaning
            | Screen::SignIn
            | Screen::PharmacistSpace
            | Screen::IdentityCheck
            | Screen::MorningCheck
            | Screen::Technician
            | Screen::Binding
    );
    bar.set_patient_present(inside);
    bar.set_back_possible(inside && !matches!(screen, Screen::WaitingRoom | Screen::MeetPhysician | Screen::Emergency));
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
        place: place.into(),
        bound: bound.into(),
    };
    adapter.set_plugged(ModelRc::new(VecModel::from(vec![
        plugged("CP2102 USB to UART Bridge Controller", "id_path pci-0000:00:14.0-usb-0:3:1.0", ""),
        plugged("FT232R USB UART", "id_path pci-0000:00:14.0-usb-0:1:1.0", "oximeter"),
        plugged("", "path /dev/ttyS0", ""),
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
    at(app, Screen::MorningCheck, StepName::None);
}

fn place(app: &App, kind: MeasureKind) {
    app.global::<MeasureAdapter>().set_kind(kind);
    at(app, Screen::MeasurePlace, StepName::Measures);
}

fn measuring(app: &App, kind: MeasureKind) {
    let measure = app.global::<MeasureAdapter>();
    measure.set_kind(kind);
    let (figures, name, hint) = match kind {
        MeasureKind::Oxygen => {
            (vec![figure(FigureKind::Oxygen, 97), figure(FigureKind::Pulse, 72)], "Nonin 3012LP", SignalHint::Good)
        }
        MeasureKind::Pressure => (
            vec![FigureValue { second: 79, ..figure(FigureKind::Pressure, 122) }, figure(FigureKind::Pulse, 74)],
            "SunTech Advantage",
            SignalHint::Inflating,
        ),
        MeasureKind::WeightHeight => (
            vec![figure(FigureKind::Weight, 70_340), figure(FigureKind::Height, 1_725)],
            "Health o meter",
            SignalHint::StandStill,
        ),
        MeasureKind::Glucose => (vec![figure(FigureKind::Glucose, 104)], "Accu-Chek Guide", SignalHint::Prick),
        MeasureKind::Ecg => {
            (vec![FigureValue { known: false, ..figure(FigureKind::Ecg, 0) }], "HealthyPi 5", SignalHint::Recording)
        }
        MeasureKind::Ear | MeasureKind::Skin => (vec![], "Firefly DE550", SignalHint::Blurred),
        MeasureKind::Auscultation => {
            (vec![FigureValue { known: false, ..figure(FigureKind::Sound, 0) }], "Thinklabs One", SignalHint::Listening)
        }
        _ => (vec![figure(FigureKind::Temperature, 3_680)], "TaiDoc", SignalHint::Aim),
    };
    measure.set_figures(ModelRc::new(VecModel::from(figures)));
    measure.set_device_name(name.into());
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
    at(app, Screen::WaitingRoom, StepName::Physician);
    if state == WaitingState::LineCut {
        app.global::<Bar>().set_line(LineQuality::Cut);
    }
}

fn call(app: &App, notice: CallNotice) {
    app.global::<CallAdapter>().set_notice(notice);
    at(app, Screen::Call, StepName::Physician);
}

fn figure(kind: FigureKind, value: i32) -> FigureValue {
    FigureValue { kind, known: true, value, second: 0 }
}

/// Sets every adapter to a state that fills its screen as much as a real visit would.
fn fill(app: &App) {
    fill_visit(app);
    fill_measures(app);
    fill_call(app);
    fill_staff(app);
}

fn fill_visit(app: &App) {
    let bar = app.global::<Bar>();
    bar.set_line(LineQuality::Good);
    let closed = app.global::<ClosedAdapter>();
    closed.set_site_name("Pharmacie du Lavoir".into());
    closed.set_site_address("3 place du Marché, 43390 Auzon".into());
    let welcome = app.global::<WelcomeAdapter>();
    welcome.set_desk(DeskReach::Reached);
    let reason = app.global::<ReasonAdapter>();
    reason.set_kind(ReasonKind::Breathing);
    reason.set_part(BodyPart::Chest);
    reason.set_words("Je tousse depuis 4 jours".into());
    let signs = app.global::<WarningSignsAdapter>();
    signs.set_sign(WarningSign::FaceArmSpeech);
    signs.set_number(3);
    signs.set_count(8);
    let emergency = app.global::<EmergencyAdapter>();
    emergency.set_site_name("Pharmacie du Lavoir".into());
    emergency.set_site_address("3 place du Marché, 43390 Auzon".into());
    emergency.set_after_warning_sign(false);
    emergency.set_about_suicide(false);
    emergency.set_pharmacist_called(true);
    emergency.set_pharmacist_coming(true);
    emergency.set_pharmacist_name("Mme Lefèvre".into());
    let identity = app.global::<IdentityAdapter>();
    identity.set_birth_name("PAT-TROIS".into());
    identity.set_given_names("DOMINIQUE MARIE-LOUISE".into());
    identity.set_birth_name_accepted(true);
    identity.set_given_names_accepted(true);
    identity.set_sex(SexKind::Female);
    identity.set_birth_date(BirthDate { day: 28, month: 3, year: 1979 });
    identity.set_birth_date_state(BirthDateState::Good);
    identity.set_place_search("CHALONS".into());
    let places = [
        ("51108", "CHÂLONS-EN-CHAMPAGNE", "Marne (51)"),
        ("51109", "CHÂLONS-SUR-VESLE", "Marne (51)"),
        ("53052", "CHÂLONS-DU-MAINE", "Mayenne (53)"),
        ("71076", "CHALON-SUR-SAÔNE", "Saône-et-Loire (71)"),
        ("38064", "CHALONS", "Isère (38)"),
    ];
    let places: Vec<PlaceFound> = places
        .iter()
        .map(|(code, name, detail)| PlaceFound { code: (*code).into(), name: (*name).into(), detail: (*detail).into() })
        .collect();
    identity.set_place(places[0].clone());
    identity.set_places(ModelRc::new(VecModel::from(places.clone())));
    identity.set_matricule("279035121518989".into());
    identity.set_matricule_shown("2 79 03 51 215 189 89".into());
    identity.set_matricule_state(MatriculeState::Good);
    let doctor = app.global::<UsualDoctorAdapter>();
    doctor.set_has_one(YesNo::Yes);
    doctor.set_name("BERNARD".into());
    doctor.set_town_search("CHALONS".into());
    doctor.set_town(places[1].clone());
    doctor.set_towns(ModelRc::new(VecModel::from(places)));
    doctor.set_phone("06 39 98 12 34".into());
    doctor.set_phone_accepted(true);
    let consent = app.global::<ConsentAdapter>();
    consent.set_care_version(crate::CARE_TEXT);
    consent.set_usual_doctor_version(crate::USUAL_DOCTOR_TEXT);
    consent.set_statistics_version(crate::STATISTICS_TEXT);
    consent.set_care(YesNo::Yes);
    consent.set_usual_doctor(YesNo::Yes);
    consent.set_statistics(YesNo::No);
    let waiting = app.global::<WaitingRoomAdapter>();
    waiting.set_position(3);
    waiting.set_estimate_minutes(10);
    waiting.set_since(Time { hour: 14, minute: 5 });
    let physician = app.global::<MeetPhysicianAdapter>();
    physician.set_name("Dr Claire Martin".into());
    physician.set_speciality("Médecin généraliste".into());
    physician.set_rpps("10001234567".into());
    physician.set_town("Vierzon".into());
    physician.set_fee_cents(3_000);
    physician.set_fee_text("Tarif de secteur 1, remboursé comme une consultation en cabinet.".into());
    let documents = app.global::<DocumentsAdapter>();
    documents.set_physician_name("Dr Claire Martin".into());
    documents.set_summary(
        "Toux depuis quatre jours, sans signe de gravité. La respiration et l’oxygène sont bons. Le repos suffit le plus souvent."
            .into(),
    );
    documents.set_orders("Boire souvent. Paracétamol si besoin, trois fois par jour au plus, pendant 3 jours.".into());
    documents.set_who_next(WhoNext::UsualDoctor);
    documents.set_who_next_words("Si la fièvre dure plus de 3 jours.".into());
    documents.set_prescription_present(true);
    documents.set_document_present(true);
    documents.set_print_state(PrintState::Printed);
    documents.set_record_kept(true);
    documents.set_code(checkers());
    documents.set_code_present(true);
    documents.set_phone(PhoneState::None);
    documents.set_code_number(1);
    documents.set_code_count(2);
    let questions = app.global::<QuestionnaireAdapter>();
    questions.set_understood(2);
    questions.set_easy(1);
    app.global::<ForgottenAdapter>().set_at(Time { hour: 14, minute: 32 });
    app.global::<ForgottenAdapter>().set_record(RecordFate::OnItsWay);
    let cleaning = app.global::<CleaningAdapter>();
    cleaning.set_items(ModelRc::new(VecModel::from(vec![
        CleaningItem { kind: MeasureKind::Oxygen, done: true },
        CleaningItem { kind: MeasureKind::Pressure, done: false },
        CleaningItem { kind: MeasureKind::Temperature, done: false },
    ])));
    app.global::<HelpAdapter>().set_state(HelpState::Coming);
    app.global::<HelpAdapter>().set_pharmacist_name("Mme Lefèvre".into());
    app.global::<InactivityAdapter>().set_seconds_left(24);
}

fn fill_measures(app: &App) {
    let measure = app.global::<MeasureAdapter>();
    measure.set_number(1);
    measure.set_count(4);
    measure.set_fault(DeviceFault::None);
    measure.set_seconds_left(6);
    measure.set_progress(0.62);
    measure.set_complete(true);
    measure.set_curve(ModelRc::new(VecModel::from(pulse())));
    measure.set_skip_reason(SkipReason::Unable);
}

fn fill_call(app: &App) {
    let call = app.global::<CallAdapter>();
    call.set_physician_name("Dr Claire Martin".into());
    call.set_physician_speciality("Médecin généraliste".into());
    call.set_physician_rpps("10001234567".into());
    call.set_physician_town("Vierzon".into());
    call.set_remote_picture(portrait([150, 178, 184], [236, 240, 243]));
    call.set_remote_picture_present(true);
    call.set_own_picture(portrait([60, 76, 84], [126, 92, 142]));
    call.set_own_picture_present(true);
    call.set_message("Respirez normalement, je vous écoute quelques secondes.".into());
    call.set_figures(ModelRc::new(VecModel::from(vec![
        figure(FigureKind::Oxygen, 97),
        figure(FigureKind::Pulse, 72),
        FigureValue { second: 79, ..figure(FigureKind::Pressure, 122) },
        figure(FigureKind::Temperature, 3_680),
    ])));
}

fn fill_staff(app: &App) {
    let sign_in = app.global::<SignInAdapter>();
    sign_in.set_names(ModelRc::new(VecModel::from(vec![
        PharmacistName { name: "Hélène Lefèvre".into() },
        PharmacistName { name: "Karim Benali".into() },
    ])));
    sign_in.set_chosen(0);
    sign_in.set_digits(3);
    sign_in.set_state(SignInState::Wait);
    sign_in.set_wait_seconds(8);
    let space = app.global::<SpaceAdapter>();
    space.set_pharmacist_name("Hélène Lefèvre".into());
    space.set_consultation_running(true);
    space.set_arrived_at(Time { hour: 14, minute: 20 });
    space.set_identity_entered(true);
    space.set_document(IdentityDocument::IdentityCard);
    space.set_document_seen_at(Time { hour: 14, minute: 23 });
    space.set_consent_care(YesNo::Yes);
    space.set_consent_usual_doctor(YesNo::Yes);
    space.set_consent_statistics(YesNo::No);
    let done = vec![figure(FigureKind::Oxygen, 97), figure(FigureKind::Pulse, 72)];
    let check = |kind, state, figures: Vec<FigureValue>| CheckMeasure {
        kind,
        state,
        figures: ModelRc::new(VecModel::from(figures)),
    };
    space.set_measures(ModelRc::new(VecModel::from(vec![
        check(MeasureKind::Oxygen, MeasureState::Done, done),
        check(MeasureKind::Pressure, MeasureState::Running, vec![]),
        check(MeasureKind::Temperature, MeasureState::ToDo, vec![]),
    ])));
    space.set_cleaning_due(true);
    space.set_consultations_today(4);
    space.set_mean_minutes(12);
    space.set_helps_today(1);
    let device = |kind, state, fault| DeviceRow { kind, state, fault };
    space.set_devices(ModelRc::new(VecModel::from(vec![
        device(MeasureKind::Oxygen, DeviceState::Ready, DeviceFault::None),
        device(MeasureKind::Pressure, DeviceState::Ready, DeviceFault::None),
        device(MeasureKind::WeightHeight, DeviceState::Fault, DeviceFault::Unplugged),
        device(MeasureKind::Temperature, DeviceState::Ready, DeviceFault::None),
    ])));
    space.set_printer(PrinterState::PaperLow);
    space.set_help_asked(false);
    space.set_emergency(false);
    space.set_emergency_sign(false);
    space.set_desk(DeskReach::Reached);
    space.set_desk_reason("".into());
    space.set_records_known(true);
    space.set_record_trouble(RecordTrouble::None);
    space.set_records_set_aside(0);
    space.set_records_waiting(2);
    space.set_last_receipt_known(true);
    space.set_last_receipt_at(Time { hour: 13, minute: 58 });
    let check = app.global::<IdentityCheckAdapter>();
    check.set_birth_name("PAT-TROIS".into());
    check.set_given_names("DOMINIQUE MARIE-LOUISE".into());
    check.set_sex(SexKind::Female);
    check.set_birth_date(BirthDate { day: 28, month: 3, year: 1979 });
    check.set_birth_place("CHÂLONS-EN-CHAMPAGNE".into());
    check.set_document(IdentityDocument::IdentityCard);
    let technician = app.global::<TechnicianAdapter>();
    let line = |kind, model: &str, port: &str, plugged| DeviceLine {
        kind,
        model: model.into(),
        port: port.into(),
        state: if plugged { DeviceState::Ready } else { DeviceState::Absent },
        fault: DeviceFault::None,
        remedy: if plugged { DeviceRemedy::None } else { DeviceRemedy::Held },
        curve: ModelRc::new(VecModel::from(if plugged { pulse() } else { vec![] })),
    };
    technician.set_devices(ModelRc::new(VecModel::from(vec![
        line(MeasureKind::Oxygen, "Nonin 3012LP", "/dev/telecabine/oximeter", true),
        line(MeasureKind::Pressure, "SunTech Advantage", "/dev/telecabine/cuff", true),
        line(MeasureKind::WeightHeight, "Health o meter", "/dev/telecabine/scale", false),
        line(MeasureKind::Temperature, "TaiDoc", "/dev/telecabine/thermometer", true),
    ])));
    technician.set_camera(MediaSource::Named);
    technician.set_camera_name("/dev/video0".into());
    technician.set_camera_state(MediaState::Working);
    technician.set_microphone(MediaSource::Automatic);
    technician.set_microphone_state(MediaState::Untried);
    technician.set_loudspeaker(MediaSource::Automatic);
    technician.set_loudspeaker_state(MediaState::Working);
    technician.set_printer_present(false);
    technician.set_site_name("Pharmacie du Lavoir, Auzon".into());
    technician.set_cabin_id("auzon-1".into());
    technician.set_desk_address("https://bureau.exemple.fr".into());
    technician.set_desk(DeskReach::Reached);
    technician.set_desk_reason("".into());
    technician.set_fhir_address("https://fhir.exemple.fr/r4".into());
    technician.set_turn_address("turn:relais.exemple.fr:3478".into());
    technician.set_records_waiting(2);
    technician.set_records_known(true);
    technician.set_records_set_aside(0);
    technician.set_record_troubles(ModelRc::default());
    technician.set_version("0.1.0".into());
}

/// Seven beats of a pulse at the finger: the wave of the heart and its echo.
fn pulse() -> Vec<f32> {
    (0..560)
        .map(|index| {
            let t = (index % 80) as f32 / 80.0;
            let bump = |centre: f32, width: f32, height: f32| height * (-((t - centre) / width).powi(2)).exp();
            (0.04 + bump(0.22, 0.075, 0.92) + bump(0.5, 0.09, 0.38)).min(1.0)
        })
        .collect()
}

/// A head and shoulders, in the place of the picture of a person.
fn portrait(ground: [u8; 3], coat: [u8; 3]) -> Image {
    let (width, height) = (640u32, 480u32);
    let mut buffer = SharedPixelBuffer::<Rgb8Pixel>::new(width, height);
    for (index, pixel) in buffer.make_mut_slice().iter_mut().enumerate() {
        let x = (index as u32 % width) as f32 - 320.0;
        let y = (index as u32 / width) as f32;
        let inside = |cx: f32, cy: f32, rx: f32, ry: f32| ((x - cx) / rx).powi(2) + ((y - cy) / ry).powi(2) < 1.0;
        let [r, g, b] = if inside(0.0, 190.0, 74.0, 92.0) {
            if y < 140.0 { [58, 42, 34] } else { [217, 182, 153] }
        } else if inside(0.0, 470.0, 170.0, 180.0) {
            coat
        } else {
            ground
        };
        *pixel = Rgb8Pixel { r, g, b };
    }
    Image::from_rgb8(buffer)
}

/// A pattern of squares, where a real visit shows a code to scan.
fn checkers() -> Image {
    let side = 33u32;
    let mut buffer = SharedPixelBuffer::<Rgb8Pixel>::new(side, side);
    let mut state = 0x2545_f491u32;
    for (index, pixel) in buffer.make_mut_slice().iter_mut().enumerate() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (x, y) = (index as u32 % side, index as u32 / side);
        let edge = x < 2 || y < 2 || x >= side - 2 || y >= side - 2;
        let value = if edge || state >> 31 == 0 { 255 } else { 0 };
        *pixel = Rgb8Pixel { r: value, g: value, b: value };
    }
    Image::from_rgb8(buffer)
}

//! A visit that nobody made: every adapter filled as much as a real one would.

use crate::*;
use slint::{ComponentHandle, Image, ModelRc, Rgb8Pixel, SharedPixelBuffer, VecModel};

/// Sets every adapter to a state that fills its screen as much as a real visit would.
pub(super) fn fill(app: &App) {
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
    identity.set_card(CardState::Insert);
    identity.set_scanner_present(false);
    identity.set_code_camera_present(false);
    identity.set_code_unseen(false);
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
    documents.set_receipt_only(false);
    documents.set_by_phone(true);
    documents.set_line_cut(false);
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
    app.global::<ForgottenAdapter>().set_call_back(false);
    app.global::<ForgottenAdapter>().set_come_back(false);
    let (day, at) = (BirthDate { day: 25, month: 11, year: 2026 }, Time { hour: 14, minute: 30 });
    app.global::<ForgottenAdapter>().set_until_day(day.clone());
    app.global::<ForgottenAdapter>().set_until(at.clone());
    let come_back = app.global::<ComeBackAdapter>();
    come_back.set_code("4821 9073".into());
    come_back.set_until_day(day);
    come_back.set_until(at);
    come_back.set_typed_code("".into());
    come_back.set_typed_birth_date("".into());
    come_back.set_complete(false);
    come_back.set_trouble(ComeBackTrouble::None);
    app.global::<WelcomeAdapter>().set_come_back_possible(false);
    app.global::<ForgottenAdapter>().set_second_opinion(false);
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
    measure.set_trouble(TryTrouble::None);
    measure.set_seconds_left(6);
    measure.set_progress(0.62);
    measure.set_complete(true);
    measure.set_taken(true);
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
    space.set_call_back_possible(false);
    space.set_come_back_possible(false);
    space.set_to_come_back(0);
    space.set_opinion_possible(false);
    space.set_replies_unsent(0);
    space.set_call_backs_today(0);
    let device = |kind, state, fault| DeviceRow { kind, fixture: FixtureKind::None, state, fault };
    let fixture = |fixture, state| DeviceRow { fixture, ..device(MeasureKind::Oxygen, state, DeviceFault::None) };
    space.set_devices(ModelRc::new(VecModel::from(vec![
        device(MeasureKind::Oxygen, DeviceState::Ready, DeviceFault::None),
        device(MeasureKind::Pressure, DeviceState::Ready, DeviceFault::None),
        device(MeasureKind::WeightHeight, DeviceState::Fault, DeviceFault::Unplugged),
        device(MeasureKind::Temperature, DeviceState::Ready, DeviceFault::None),
        device(MeasureKind::Ear, DeviceState::Absent, DeviceFault::None),
        fixture(FixtureKind::CardReader, DeviceState::Ready),
        fixture(FixtureKind::Presence, DeviceState::Absent),
    ])));
    space.set_printer(PrinterState::PaperLow);
    space.set_help_asked(false);
    space.set_emergency(false);
    space.set_emergency_sign(false);
    space.set_desk(DeskReach::Reached);
    space.set_records_known(true);
    space.set_record_trouble(RecordTrouble::None);
    space.set_records_set_aside(0);
    space.set_records_waiting(2);
    space.set_last_receipt_known(true);
    space.set_last_receipt_at(Time { hour: 13, minute: 58 });
    fill_opinions(app);
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
        test_source: false,
        state: if plugged { DeviceState::Ready } else { DeviceState::Absent },
        fault: DeviceFault::None,
        remedy: if plugged { DeviceRemedy::None } else { DeviceRemedy::Held },
        detail: "".into(),
        draws: true,
        curve: ModelRc::new(VecModel::from(if plugged { pulse() } else { vec![] })),
    };
    let fixture = |kind, state, remedy| FixtureLine { kind, state, remedy };
    technician.set_fixtures(ModelRc::new(VecModel::from(vec![
        fixture(FixtureKind::CardReader, DeviceState::Ready, DeviceRemedy::None),
        fixture(FixtureKind::Lamp, DeviceState::Absent, DeviceRemedy::Permission),
    ])));
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
    technician.set_door(DoorState::Open);
    technician.set_presence(PresenceState::Somebody);
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
pub(super) fn pulse() -> Vec<f32> {
    (0..560)
        .map(|index| {
            let t = (index % 80) as f32 / 80.0;
            let bump = |centre: f32, width: f32, height: f32| height * (-((t - centre) / width).powi(2)).exp();
            (0.04 + bump(0.22, 0.075, 0.92) + bump(0.5, 0.09, 0.38)).min(1.0)
        })
        .collect()
}

/// A head and shoulders, in the place of the picture of a person.
pub(super) fn portrait(ground: [u8; 3], coat: [u8; 3]) -> Image {
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

pub(super) fn figure(kind: FigureKind, value: i32) -> FigureValue {
    FigureValue { kind, known: true, value, second: 0 }
}

fn fill_opinions(app: &App) {
    let opinion = app.global::<OpinionAdapter>();
    opinion.set_specialty(OpinionSpecialty::Dermatology);
    opinion.set_field(OpinionField::Question);
    opinion.set_number(1);
    opinion.set_count(12);
    opinion.set_text("Cette tache du dos doit-elle être enlevée ?".into());
    opinion.set_optional(false);
    opinion.set_accepted(true);
    let measure = |kind, count| OpinionMeasure { kind, count };
    opinion.set_measures(ModelRc::new(VecModel::from(vec![
        measure(MeasureKind::Skin, 2),
        measure(MeasureKind::Ear, 0),
        measure(MeasureKind::Auscultation, 0),
        measure(MeasureKind::Ecg, 1),
    ])));
    opinion.set_profession(OpinionProfession::Pharmacist);
    opinion.set_delay(OpinionDelay::Usual);
    opinion.set_consent(YesNo::Yes);
    let row = |patient: &str, specialty, state, alert| OpinionRow {
        patient: patient.into(),
        birth_date: "28/03/1979".into(),
        specialty,
        state,
        alert,
        asked_on: "17/11/2026".into(),
        reply: OpinionReply::None,
    };
    let words = |by: &str, text: &str| OpinionWords { by: by.into(), on: "20/11/2026".into(), text: text.into() };
    let opinions = app.global::<OpinionsAdapter>();
    opinions.set_reach(OpinionsReach::Here);
    let first =
        row("PAT-TROIS Dominique", OpinionSpecialty::Dermatology, OpinionState::InfoRequested, OpinionAlert::Soon);
    opinions.set_rows(ModelRc::new(VecModel::from(vec![
        first.clone(),
        row("TESTE Anne", OpinionSpecialty::Wounds, OpinionState::Answered, OpinionAlert::None),
        row("DUPUIS Marc", OpinionSpecialty::Cardiology, OpinionState::Expired, OpinionAlert::Late),
    ])));
    opinions.set_row(first);
    opinions.set_thread(ModelRc::new(VecModel::from(vec![words("Dr Anne Petit", "La tache a-t-elle déjà saigné ?")])));
    opinions.set_answer(OpinionWords::default());
    opinions.set_has_report(true);
    opinions.set_open(true);
    opinions.set_letter_to("".into());
    opinions.set_print(OpinionPrint::Absent);
    opinions.set_physicians(false);
    opinions.set_replies_waiting(0);
    opinions.set_not_kept(OpinionNotKept::None);
    opinions.set_stranded(ModelRc::default());
    opinions.set_reply("Non, jamais".into());
}

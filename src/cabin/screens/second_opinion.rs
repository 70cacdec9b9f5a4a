//! The screens of second opinions: the request that is written with the patient, and what became of former ones.

use consult::journey::Input;
use consult::second_opinion::{Field, Profession, Specialty};
use consult::vitals::{Measurement, Moment};
use signal::second_opinion::{Alert, CabinLine, State};
use slint::{ComponentHandle as _, ModelRc};
use time::OffsetDateTime;
use ui::{
    App, OpinionAdapter, OpinionAlert, OpinionDelay, OpinionField, OpinionMeasure, OpinionNotKept, OpinionPrint,
    OpinionProfession, OpinionReply, OpinionRow, OpinionSpecialty, OpinionState, OpinionWords, OpinionsAdapter,
    OpinionsReach, YesNo,
};

use super::list;
use crate::replies::{Fate, NotKept};
use crate::run_loop::{Cabin, with};
use crate::second_opinion::{Ask, Delay, OpinionDraft, Page, Printing};
use crate::submission::utc_offset_minutes;
use crate::words;

/// What may be added for a specialist, in the order of the screen.
const ADDED: [Measurement; 6] = [
    Measurement::SkinPicture,
    Measurement::EarPicture,
    Measurement::Ecg,
    Measurement::Auscultation,
    Measurement::BloodPressure,
    Measurement::OxygenAndPulse,
];

pub fn connect(app: &App) {
    let draft = |act: fn(&mut OpinionDraft)| with(|cabin| cabin.drafts.opinion.iter_mut().for_each(act));
    let opinion = app.global::<OpinionAdapter>();
    opinion.on_choose_specialty(|chosen| {
        with(|cabin| {
            if let Some(draft) = &mut cabin.drafts.opinion {
                draft.specialty = specialty_of_screen(chosen);
            }
        })
    });
    opinion.on_edited(|text| {
        with(|cabin| {
            if let Some(draft) = &mut cabin.drafts.opinion
                && let Page::Text(ask) = draft.page
            {
                draft.write(ask, &text);
            }
        })
    });
    opinion.on_measure(|kind| {
        with(|cabin| {
            if let Some(measurement) = words::measure_of_screen(kind) {
                cabin.keep_opinion();
                cabin.input(Input::MeasurementAdded(measurement));
            }
        })
    });
    opinion.on_choose_profession(move |profession| match profession {
        OpinionProfession::Nurse => draft(|draft| draft.profession = Profession::Nurse),
        _ => draft(|draft| draft.profession = Profession::Pharmacist),
    });
    opinion.on_choose_delay(move |delay| match delay {
        OpinionDelay::First => draft(|draft| draft.delay = Delay::First),
        OpinionDelay::Usual => draft(|draft| draft.delay = Delay::Usual),
        OpinionDelay::Week => draft(|draft| draft.delay = Delay::Week),
    });
    opinion.on_answer_consent(move |yes| match yes {
        true => draft(|draft| draft.consent = Some(true)),
        false => draft(|draft| draft.consent = Some(false)),
    });
    opinion.on_next(|| with(Cabin::opinion_next));

    let opinions = app.global::<OpinionsAdapter>();
    opinions.on_refresh(|| with(Cabin::ask_opinions));
    opinions.on_choose(|index| with(|cabin| cabin.read_opinion(usize::try_from(index).unwrap_or(usize::MAX))));
    opinions.on_reply_edited(|text| with(|cabin| cabin.write_opinion_reply(&text)));
    opinions.on_send(|| with(|cabin| cabin.step_opinion(false)));
    opinions.on_take_back(|| with(|cabin| cabin.step_opinion(true)));
    opinions.on_print_letter(|| with(Cabin::print_opinion));
    opinions.on_let_go(|index| with(|cabin| cabin.let_reply_go(usize::try_from(index).unwrap_or(usize::MAX))));
    opinions.on_close(|| with(Cabin::close_opinions));
}

/// The request that is being written.
pub fn show(app: &App, cabin: &Cabin, draft: &OpinionDraft) {
    let adapter = app.global::<OpinionAdapter>();
    adapter.set_specialty(draft.specialty.map_or(OpinionSpecialty::None, screen_specialty));
    if let Page::Text(ask) = draft.page {
        adapter.set_field(screen_field(ask));
        if adapter.get_text() != draft.text(ask) {
            adapter.set_text(draft.text(ask).into());
        }
        adapter.set_optional(draft.is_optional(ask));
    }
    let kept = |measurement| {
        let dossier = cabin.journey.dossier();
        dossier.map_or(0, |dossier| dossier.kept.iter().filter(|kept| kept.measurement == measurement).count())
    };
    let measure = |measurement| OpinionMeasure {
        kind: words::screen_measure(measurement),
        count: i32::try_from(kept(measurement)).unwrap_or(i32::MAX),
    };
    let fitted = ADDED.into_iter().filter(|measurement| cabin.journey.site().has(*measurement));
    list(&adapter.get_measures(), fitted.map(measure).collect(), |rows| adapter.set_measures(rows));
    let (number, count) = draft.place();
    adapter.set_number(i32::try_from(number).unwrap_or(0));
    adapter.set_count(i32::try_from(count).unwrap_or(0));
    adapter.set_accepted(draft.is_answered());
    adapter.set_profession(match draft.profession {
        Profession::Pharmacist => OpinionProfession::Pharmacist,
        Profession::Nurse => OpinionProfession::Nurse,
    });
    adapter.set_delay(match draft.delay {
        Delay::First => OpinionDelay::First,
        Delay::Usual => OpinionDelay::Usual,
        Delay::Week => OpinionDelay::Week,
    });
    adapter.set_consent(match draft.consent {
        None => YesNo::Unanswered,
        Some(true) => YesNo::Yes,
        Some(false) => YesNo::No,
    });
}

/// What became of former requests.
pub fn show_list(app: &App, cabin: &Cabin) {
    let adapter = app.global::<OpinionsAdapter>();
    let opinions = &cabin.opinions;
    adapter.set_reach(match (&opinions.lines, opinions.failed || !cabin.desk.up) {
        (_, true) => OpinionsReach::Unreachable,
        (None, false) => OpinionsReach::Asking,
        (Some(_), false) => OpinionsReach::Here,
    });
    let day = |at: i64| day_of(at, utc_offset_minutes(Moment(at)));
    let lines = opinions.lines.as_deref().unwrap_or_default();
    let row = |line: &CabinLine| OpinionRow { reply: reply(cabin.replies.fate(&line.id)), ..row(line, &day) };
    list(&adapter.get_rows(), lines.iter().map(row).collect(), |rows| adapter.set_rows(rows));
    adapter.set_replies_waiting(i32::try_from(cabin.replies.waiting()).unwrap_or(i32::MAX));
    adapter.set_not_kept(match opinions.not_kept {
        None => OpinionNotKept::None,
        Some((_, NotKept::TooMany, _)) => OpinionNotKept::TooMany,
        Some((_, NotKept::Outbox, true)) => OpinionNotKept::TakingBack,
        Some((_, NotKept::Outbox, false)) => OpinionNotKept::Reply,
    });
    let stranded = cabin.stranded_replies().into_iter();
    let stranded = stranded.map(|one| words(&one.by, "", &one.words)).collect();
    list(&adapter.get_stranded(), stranded, |rows| adapter.set_stranded(rows));
    let Some((line, opinion)) = &opinions.read else { return };
    adapter.set_row(row(line));
    let mut thread: Vec<OpinionWords> =
        opinion.thread.iter().map(|said| words(said.by.as_str(), &day(said.at), said.text.as_str())).collect();
    if let Some(refusal) = &opinion.refusal {
        let by = opinion.line.taken_by.as_ref().map_or("", |taken| taken.name.as_str());
        thread.push(words(by, "", refusal.as_str()));
    }
    list(&adapter.get_thread(), thread, |rows| adapter.set_thread(rows));
    adapter.set_answer(
        opinion.answer.as_ref().map_or_else(OpinionWords::default, |answer| {
            words(answer.by.as_str(), &day(answer.at), answer.text.as_str())
        }),
    );
    adapter.set_has_report(opinion.answer.as_ref().is_some_and(|answer| answer.report));
    adapter.set_letter_to(opinions.letter_to.as_ref().map_or("", |to| to.as_str()).into());
    adapter.set_print(match &opinions.printing {
        _ if cabin.settings.printer.is_none() => OpinionPrint::Absent,
        Printing::Not => OpinionPrint::Possible,
        Printing::UnderWay { .. } => OpinionPrint::Printing,
        Printing::Printed => OpinionPrint::Printed,
        Printing::Failed => OpinionPrint::Failed,
    });
    adapter.set_physicians(!opinion.mine);
    adapter.set_open(opinion.line.state.is_open() && opinion.mine);
    if adapter.get_reply() != opinions.reply.as_str() {
        adapter.set_reply(opinions.reply.as_str().into());
    }
}

/// Takes every word of a patient off these screens.
pub fn forget(app: &App) {
    app.global::<OpinionAdapter>().set_text("".into());
    forget_list(app);
}

/// Those of the pharmacist's list only.
pub fn forget_list(app: &App) {
    let opinions = app.global::<OpinionsAdapter>();
    opinions.set_rows(ModelRc::default());
    opinions.set_stranded(ModelRc::default());
    opinions.set_not_kept(OpinionNotKept::None);
    opinions.set_row(OpinionRow::default());
    opinions.set_thread(ModelRc::default());
    opinions.set_answer(OpinionWords::default());
    opinions.set_letter_to("".into());
    opinions.set_reply("".into());
}

fn reply(fate: Option<Fate>) -> OpinionReply {
    match fate {
        None => OpinionReply::None,
        Some(Fate::Waiting) => OpinionReply::Waiting,
        Some(Fate::Refused) => OpinionReply::Refused,
    }
}

fn words(by: &str, on: &str, text: &str) -> OpinionWords {
    OpinionWords { by: by.into(), on: on.into(), text: text.into() }
}

fn row(line: &CabinLine, day: &dyn Fn(i64) -> String) -> OpinionRow {
    let birth: Vec<&str> = line.birth_date.as_str().split('-').rev().collect();
    OpinionRow {
        patient: line.patient.as_str().into(),
        birth_date: birth.join("/").into(),
        specialty: screen_specialty_of(line.specialty.as_str()),
        state: match line.state {
            State::Ready => OpinionState::Ready,
            State::InProgress => OpinionState::InProgress,
            State::InfoRequested => OpinionState::InfoRequested,
            State::Answered => OpinionState::Answered,
            State::Rejected => OpinionState::Rejected,
            State::Cancelled => OpinionState::Cancelled,
            State::Expired => OpinionState::Expired,
        },
        alert: match line.alert {
            None => OpinionAlert::None,
            Some(Alert::Soon) => OpinionAlert::Soon,
            Some(Alert::Late) => OpinionAlert::Late,
        },
        asked_on: day(line.asked_at).into(),
        reply: OpinionReply::None,
    }
}

fn day_of(at: i64, offset_minutes: i16) -> String {
    let local = at.saturating_add(i64::from(offset_minutes) * 60_000);
    let day = OffsetDateTime::from_unix_timestamp(local.div_euclid(1_000)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!("{:02}/{:02}/{}", day.day(), u8::from(day.month()), day.year())
}

fn screen_specialty(specialty: Specialty) -> OpinionSpecialty {
    match specialty {
        Specialty::Dermatology => OpinionSpecialty::Dermatology,
        Specialty::Cardiology => OpinionSpecialty::Cardiology,
        Specialty::Ent => OpinionSpecialty::Ent,
        Specialty::Wounds => OpinionSpecialty::Wounds,
        Specialty::General => OpinionSpecialty::General,
        Specialty::Geriatrics => OpinionSpecialty::Geriatrics,
        Specialty::Neurology => OpinionSpecialty::Neurology,
        Specialty::Diabetology => OpinionSpecialty::Diabetology,
        Specialty::Paediatrics => OpinionSpecialty::Paediatrics,
        Specialty::Psychiatry => OpinionSpecialty::Psychiatry,
        Specialty::Ophthalmology => OpinionSpecialty::Ophthalmology,
        Specialty::Nephrology => OpinionSpecialty::Nephrology,
        Specialty::Haematology => OpinionSpecialty::Haematology,
        Specialty::Radiology => OpinionSpecialty::Radiology,
    }
}

fn screen_specialty_of(code: &str) -> OpinionSpecialty {
    let known = Specialty::ALL.into_iter().find(|specialty| specialty.code() == code);
    known.map_or(OpinionSpecialty::None, screen_specialty)
}

fn specialty_of_screen(specialty: OpinionSpecialty) -> Option<Specialty> {
    Specialty::ALL.into_iter().find(|known| screen_specialty(*known) == specialty)
}

fn screen_field(ask: Ask) -> OpinionField {
    match ask {
        Ask::Question => OpinionField::Question,
        Ask::Context => OpinionField::Context,
        Ask::Name => OpinionField::RequesterName,
        Ask::Rpps => OpinionField::RequesterNumber,
        Ask::Field(field) => match field {
            Field::Site => OpinionField::Site,
            Field::Onset => OpinionField::Onset,
            Field::Size => OpinionField::Size,
            Field::Evolution => OpinionField::Evolution,
            Field::ItchPain => OpinionField::ItchPain,
            Field::Symptoms => OpinionField::Symptoms,
            Field::Side => OpinionField::Side,
            Field::HearingPain => OpinionField::HearingPain,
            Field::Exudate => OpinionField::Exudate,
            Field::AnkleIndex => OpinionField::AnkleIndex,
            Field::Autonomy => OpinionField::Autonomy,
            Field::Cognition => OpinionField::Cognition,
            Field::Deficit => OpinionField::Deficit,
            Field::GlucoseLog => OpinionField::GlucoseLog,
            Field::Hba1c => OpinionField::Hba1c,
            Field::Modality => OpinionField::Modality,
            // Asked by the desk's page alone: they have no screen here.
            Field::History | Field::Pregnancy | Field::FamilyHistory => OpinionField::History,
            Field::Treatments => OpinionField::Treatments,
            Field::Allergies => OpinionField::Allergies,
        },
    }
}

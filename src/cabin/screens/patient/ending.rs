//! Documents, questionnaire, forgotten, cleaning.

use consult::dossier::{ConsultationId, Dossier, Questionnaire, Satisfaction};
use consult::journey::{Input, Paper, Promise, Step};
use consult::physician::{DocumentKind, NextCare};
use consult::vitals::Measurement;
use drivers::ports::system_clock;
use slint::{ComponentHandle as _, Image, Rgb8Pixel, SharedPixelBuffer, SharedString};
use ui::{
    App, CleaningAdapter, CleaningItem, DocumentsAdapter, ForgottenAdapter, PhoneState, PrintState,
    QuestionnaireAdapter, RecordFate, Screen, WhoNext,
};

use super::super::list;
use crate::documents::Tongue;
use crate::documents::code::Code;
use crate::documents::papers::{Link, Sealed, Shown, UnderWay};
use crate::run_loop::{Cabin, with};
use crate::{submission, words};

/// Smallest side of a code on the screen, px: read by a phone held at arm's length.
const CODE_SIDE_MIN: u32 = 520;

pub fn connect(app: &App) {
    let documents = app.global::<DocumentsAdapter>();
    documents.on_print(|| {
        with(|cabin| {
            cabin.input(Input::PrintAsked);
        })
    });
    documents.on_show_code(|| with(Cabin::show_code));
    documents.on_next_code(|| {
        with(|cabin| {
            if let Shown::WordsOnly { codes, place } = &mut cabin.drafts.telephone.shown {
                *place = (*place + 1) % codes.len().max(1);
            }
            cabin.draw_words();
        })
    });
    documents.on_hide_code(|| with(Cabin::hide_code));
    documents.on_next(|| {
        with(|cabin| {
            cabin.hide_code();
            cabin.input(Input::Continued);
        })
    });

    let questions = app.global::<QuestionnaireAdapter>();
    let answer =
        |place: usize| move |value: i32| with(|cabin| cabin.drafts.questions[place] = u8::try_from(value).ok());
    questions.on_answer_understood(answer(0));
    questions.on_answer_easy(answer(1));
    questions.on_answer_elsewhere(answer(2));
    questions.on_next(|| with(Cabin::questionnaire_next));

    app.global::<ForgottenAdapter>().on_next(|| {
        with(|cabin| {
            cabin.input(Input::Continued);
        })
    });

    let cleaning = app.global::<CleaningAdapter>();
    cleaning.on_toggle(|index| {
        with(|cabin| {
            if let Some(done) = usize::try_from(index).ok().and_then(|index| cabin.drafts.cleaned.get_mut(index)) {
                *done = !*done;
            }
        })
    });
    cleaning.on_done(|| {
        with(|cabin| {
            if cabin.input(Input::Cleaned) {
                cabin.drafts.cleaned = Default::default();
            }
        })
    });
}

pub fn show(app: &App, cabin: &Cabin, screen: Screen) {
    match cabin.journey.step() {
        Step::Documents { paper } => documents(app, cabin, *paper),
        Step::Questionnaire => {
            let questions = app.global::<QuestionnaireAdapter>();
            let value = |place: usize| cabin.drafts.questions[place].map_or(-1, i32::from);
            questions.set_understood(value(0));
            questions.set_easy(value(1));
            questions.set_would_have_gone_elsewhere(value(2));
        }
        Step::Forgotten { at, recorded, promise } => {
            let forgotten = app.global::<ForgottenAdapter>();
            forgotten.set_call_back(*promise == Promise::CallBack);
            forgotten.set_second_opinion(*promise == Promise::SecondOpinion);
            let until = if let Promise::ComeBack { until } = promise { Some(*until) } else { None };
            forgotten.set_come_back(until.is_some());
            if let Some(until) = until {
                forgotten.set_until_day(words::screen_date(until));
                forgotten.set_until(words::screen_time(until));
            }
            forgotten.set_at(words::screen_time(*at));
            // This record is the last one: the server's proof is later than its sealing, and nothing waits any more.
            let stored = cabin.outbox_status.as_ref().is_some_and(|status| {
                status.waiting == 0
                    && status.set_aside == 0
                    && status.last_receipt_at.is_some_and(|seconds| seconds > at.0.div_euclid(1_000))
            });
            forgotten.set_record(match (recorded, stored) {
                (false, _) => RecordFate::None,
                (true, true) => RecordFate::Stored,
                (true, false) => RecordFate::OnItsWay,
            });
        }
        Step::Cleaning => {
            let cleaning = app.global::<CleaningAdapter>();
            let items: Vec<_> = cleaned(cabin)
                .into_iter()
                .enumerate()
                .map(|(place, measurement)| CleaningItem {
                    kind: words::screen_measure(measurement),
                    done: cabin.drafts.cleaned.get(place).copied().unwrap_or(false),
                })
                .collect();
            cleaning.set_all_done(items.iter().all(|item| item.done));
            list(&cleaning.get_items(), items, |rows| cleaning.set_items(rows));
        }
        _ => {
            if screen == Screen::Welcome {
                app.global::<DocumentsAdapter>().set_code_present(false);
            }
        }
    }
}

fn documents(app: &App, cabin: &Cabin, paper: Paper) {
    let Some(dossier) = cabin.journey.dossier() else { return };
    let documents = app.global::<DocumentsAdapter>();
    let summaries = dossier.summaries_of_calls();
    let physician = summaries.last().map(|received| &received.physician).or_else(|| dossier.physician());
    documents.set_physician_name(physician.map(|physician| physician.name.as_str()).unwrap_or_default().into());
    if let Some(last) = summaries.last() {
        let tongue = Tongue::of(dossier.presentation.language);
        // Who is next: the last that was said of it. A later call that says nothing takes nothing back.
        let told = summaries.iter().rposition(|received| received.summary.next != NextCare::Nobody);
        // Of several calls: whose words these are, and what each said of who is next, as on paper.
        let said = summaries.iter().enumerate().map(|(place, received)| {
            let summary = &received.summary;
            if summaries.len() == 1 {
                return summary.text.reveal().to_owned();
            }
            let mut said = vec![format!("{}\u{a0}:", received.physician.name), summary.text.reveal().to_owned()];
            if told.is_some_and(|told| place < told) && summary.next != NextCare::Nobody {
                said.push(format!("{} {}", tongue.next(summary.next), summary.next_note.reveal()));
            }
            said.retain(|part| !part.is_empty());
            said.join("\n")
        });
        documents.set_summary(said.collect::<Vec<_>>().join("\n").into());
        let orders = summaries.iter().flat_map(|received| &received.summary.orders);
        let orders: Vec<_> = orders.map(|order| tongue.order(order.kind, order.text.reveal())).collect();
        documents.set_orders(orders.join("\n").into());
        let summary = told.map_or(&last.summary, |told| &summaries[told].summary);
        documents.set_who_next(match summary.next {
            NextCare::Nobody => WhoNext::Nobody,
            NextCare::UsualDoctor => WhoNext::UsualDoctor,
            NextCare::InPerson => WhoNext::DoctorInPerson,
            NextCare::Specialist => WhoNext::Specialist,
            NextCare::Examination => WhoNext::Examination,
            NextCare::Pharmacist => WhoNext::Pharmacist,
            NextCare::Nurse => WhoNext::Nurse,
            NextCare::Teleconsultation => WhoNext::ThisCabinAgain,
            NextCare::EmergencyDepartment => WhoNext::EmergencyRoom,
        });
        documents.set_who_next_words(summary.next_note.reveal().into());
    }
    documents.set_prescription_present(
        dossier.documents.iter().any(|received| received.document.kind == DocumentKind::Prescription),
    );
    documents.set_document_present(!dossier.documents.is_empty());
    documents.set_print_state(match paper {
        _ if !cabin.may_print() => PrintState::NoPrinter,
        Paper::NotAsked => PrintState::NotAsked,
        Paper::Printing => PrintState::Printing,
        Paper::Printed => PrintState::Printed,
        Paper::Failed => PrintState::Failed,
    });
    documents.set_line_cut(!cabin.desk.up);
    let holds_all = cabin.desk.up || dossier.documents.is_empty();
    let is_possible = !matches!(cabin.drafts.telephone.shown, Shown::Impossible);
    documents.set_by_phone(cabin.papers_link().is_some() || (is_possible && holds_all));
    documents.set_receipt_only(cabin.prints_receipt());
    documents.set_code_present(!summaries.is_empty() || !dossier.documents.is_empty());
    documents.set_phone(match &cabin.drafts.telephone.shown {
        Shown::Nothing => PhoneState::None,
        Shown::Sending(_) => PhoneState::Preparing,
        Shown::Everything => PhoneState::Everything,
        Shown::WordsOnly { codes, place } => {
            let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
            documents.set_code_number(number(place + 1));
            documents.set_code_count(number(codes.len()));
            PhoneState::WordsOnly
        }
        Shown::Impossible => PhoneState::Impossible,
    });
    // Each answer was durable in the outbox before the screen moved.
    documents.set_record_kept(!cabin.outbox_failed);
}

pub fn forget(app: &App) {
    let documents = app.global::<DocumentsAdapter>();
    documents.set_summary(SharedString::default());
    documents.set_orders(SharedString::default());
    documents.set_who_next_words(SharedString::default());
    documents.set_code(Image::default());
    documents.set_code_present(false);
}

/// How many summaries and documents are handed over.
fn count(dossier: &Dossier) -> (usize, usize) {
    (dossier.summaries.len(), dossier.documents.len())
}

/// What is to be cleaned: what was used; every device where none was, for the patient may have held any.
fn cleaned(cabin: &Cabin) -> Vec<Measurement> {
    let (site, used) = (cabin.journey.site(), cabin.journey.used());
    let is_due = |measurement: &Measurement| site.has(*measurement) && (used.is_empty() || used.contains(measurement));
    Measurement::ALL.into_iter().filter(is_due).collect()
}

impl Cabin {
    /// Shows one code that opens every paper, once the desk keeps them; without the desk, the words of the sheet.
    pub(crate) fn show_code(&mut self) {
        if matches!(self.drafts.telephone.shown, Shown::Sending(_)) {
            return;
        }
        if let Some(link) = self.papers_link() {
            return self.show_everything(&link);
        }
        let Some(dossier) = self.journey.dossier() else { return };
        let (id, count) = (dossier.id, count(dossier));
        let Some(identity) = self.identity.clone().filter(|_| self.desk.up) else { return self.show_words_only() };
        let tls = std::sync::Arc::clone(&self.tls);
        let (dossier, outbox, settings) = (dossier.clone(), self.outbox.clone(), self.settings.clone());
        let sending = self.runtime.spawn(async move {
            // Up to 40 MiB are read, drawn and sealed: not on the screen's thread.
            let sealed = tokio::task::spawn_blocking(move || {
                let papers = submission::papers(&outbox, &dossier, &settings)?;
                anyhow::Ok(Sealed::of(&papers)?)
            });
            let sent = match sealed.await.map_err(anyhow::Error::from).and_then(|sealed| sealed) {
                Ok(sealed) => sealed.send(&identity, tls).await.map_err(anyhow::Error::from),
                Err(error) => Err(error),
            };
            // Fails only once the screen has stopped.
            slint::invoke_from_event_loop(move || with(|cabin| cabin.papers_sent(id, count, sent))).ok();
        });
        self.drafts.telephone.shown = Shown::Sending(std::sync::Arc::new(UnderWay(sending.abort_handle())));
    }

    /// The address of everything handed over so far, once it is at the desk.
    pub(crate) fn papers_link(&self) -> Option<Link> {
        let so_far = count(self.journey.dossier()?);
        self.drafts.telephone.made.as_ref().filter(|(_, made_of)| *made_of == so_far).map(|(link, _)| link.clone())
    }

    fn papers_sent(&mut self, of: ConsultationId, count: (usize, usize), sent: anyhow::Result<Link>) {
        // The patient may have left, or gone on, meanwhile.
        let awaited = matches!(self.drafts.telephone.shown, Shown::Sending(_)) && self.consultation() == Some(of);
        if !awaited {
            return;
        }
        match sent {
            Ok(link) => {
                self.show_everything(&link);
                self.drafts.telephone.made = Some((link, count));
            }
            Err(fault) => {
                tracing::warn!(%fault, "no code for all papers");
                self.show_words_only();
            }
        }
        self.go_on_with_receipt(of);
    }

    fn show_everything(&mut self, link: &Link) {
        match link.code() {
            Ok(code) => {
                self.draw_code(&code);
                self.drafts.telephone.shown = Shown::Everything;
            }
            Err(error) => {
                tracing::error!(%error, "an address does not fit in a code");
                self.show_words_only();
            }
        }
    }

    /// The sheet's words as codes: no PDF is in them, and the screen says so.
    fn show_words_only(&mut self) {
        let Some(dossier) = self.journey.dossier() else { return };
        let codes = submission::patient_sheet(dossier, &self.settings, system_clock())
            .map_err(anyhow::Error::from)
            .and_then(|sheet| Ok(sheet.codes()?));
        self.drafts.telephone.shown = match codes {
            Ok(codes) => Shown::WordsOnly { codes, place: 0 },
            Err(error) => {
                tracing::warn!(%error, "no code can be shown");
                Shown::Impossible
            }
        };
        self.draw_words();
    }

    fn draw_words(&self) {
        if let Shown::WordsOnly { codes, place } = &self.drafts.telephone.shown
            && let Some(code) = codes.get(*place)
        {
            self.draw_code(code);
        }
    }

    fn draw_code(&self, code: &Code) {
        let picture = code.picture(CODE_SIDE_MIN);
        let rgb: Vec<u8> = picture.luma.iter().flat_map(|luma| [*luma; 3]).collect();
        let buffer = SharedPixelBuffer::<Rgb8Pixel>::clone_from_slice(&rgb, picture.side, picture.side);
        self.app.global::<DocumentsAdapter>().set_code(Image::from_rgb8(buffer));
    }

    /// The picture goes with the code: it holds the key.
    pub(crate) fn hide_code(&mut self) {
        self.drafts.telephone.shown = Shown::Nothing;
        self.app.global::<DocumentsAdapter>().set_code(Image::default());
    }

    fn questionnaire_next(&mut self) {
        let [understood, easy, elsewhere] = self.drafts.questions;
        let answers = Questionnaire {
            // Not easy, a little, easy: 1, 3 and 5 of 5.
            satisfaction: easy.and_then(|value| Satisfaction::from_stars(value * 2 + 1)),
            // "Would you have seen a physician?": no is having gone without care.
            would_have_gone_without_care: elsewhere.map(|value| value == 0),
            understood: understood.map(|value| value == 2),
        };
        self.input(Input::QuestionnaireAnswered(answers));
    }
}

//! Second opinions: asked with the patient where no physician can be seen, read by the pharmacist where they are kept.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use consult::journey::{Input, Step};
use consult::vitals::Moment;
use signal::cabin::{FromCabin, FromDesk};
use signal::second_opinion::{REPORT_BYTES_MAX, Step as OpinionStep, What};
use signal::{ItemId, Text};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::effects::PRINT_PATIENCE;
use super::{Cabin, Event, Front, post};
use crate::documents::letter;
use crate::documents::papers::UnderWay;
use crate::documents::print::{PrintFault, print_all};
use crate::replies::{Fate, Stranded};
use crate::second_opinion::{OpinionDraft, Opinions, Page, Printing, REPLY_CHARS_MAX};
use crate::{screens, submission};

/// A touch so soon after another is the same finger's.
const BETWEEN_TOUCHES: Duration = Duration::from_secs(1);

impl Cabin {
    /// Whether a specialist may be asked now: where no physician can be seen, and some specialist answers.
    pub(crate) fn may_ask_opinion(&self) -> bool {
        self.instead().opinion && self.settings.second_opinion && self.journey.may_ask_second_opinion()
    }

    /// The pharmacist begins a request, with the patient.
    pub(crate) fn begin_opinion(&mut self) {
        if !self.may_ask_opinion() {
            return;
        }
        // Refused only where the pharmacist helps already.
        self.input(Input::AssistanceStarted);
        self.drafts.calling_back = false;
        let name = self.journey.pharmacist().map_or("", |pharmacist| pharmacist.name.as_str()).to_owned();
        let written = self.journey.dossier().and_then(|dossier| dossier.half_written.as_ref());
        self.drafts.opinion = Some(match written {
            Some(written) => OpinionDraft::begun(&name, written),
            None => OpinionDraft::new(&name),
        });
        self.front = Front::Patient;
    }

    /// Main button of the request's screens.
    pub(crate) fn opinion_next(&mut self) {
        let Some(draft) = &mut self.drafts.opinion else { return };
        if draft.page != Page::Consent {
            // Kept before the page is turned; what cannot be kept stays in front, and the screen says why.
            if self.keep_opinion()
                && let Some(draft) = &mut self.drafts.opinion
            {
                draft.forward();
            }
        } else if let Some(opinion) = draft.finished() {
            self.input(Input::SecondOpinionAsked(opinion));
        }
    }

    /// Back, in the request that is written; from its beginning, to the waiting room.
    pub(crate) fn opinion_back(&mut self) {
        self.keep_opinion();
        if !self.drafts.opinion.as_mut().is_some_and(OpinionDraft::back) {
            self.drafts.opinion = None;
        }
    }

    /// What is written of the request is sealed with the patient's dossier, page by page.
    pub(crate) fn keep_opinion(&mut self) -> bool {
        let kept = self.journey.dossier().and_then(|dossier| dossier.half_written.as_ref());
        let written = self.drafts.opinion.as_ref().and_then(OpinionDraft::half_written);
        match written.filter(|written| Some(written) != kept) {
            Some(written) => self.input(Input::SecondOpinionWritten(written)),
            None => true,
        }
    }

    /// The line is lost: the rest of a report does not come.
    pub(super) fn stop_fetching_report(&mut self) {
        if matches!(self.opinions.printing, Printing::UnderWay { job: None, .. }) {
            self.opinions.printing = Printing::Failed;
        }
    }

    /// What could not be kept is not said later, when nobody expects it.
    fn give_up_reply(&mut self) {
        if let Some((step, ..)) = self.opinions.not_kept.take() {
            self.replies.give_up(&step);
        }
    }

    /// The pharmacist has read a reply that no request leads to.
    pub(crate) fn let_reply_go(&mut self, index: usize) {
        // The next one moves under the finger: a second touch at once is none.
        let is_twice = self.opinions.let_go_at.is_some_and(|at| at.elapsed() < BETWEEN_TOUCHES);
        if let Some(stranded) = self.stranded_replies().get(index).filter(|_| !is_twice) {
            self.replies.let_go(stranded.letter);
            self.opinions.let_go_at = Some(Instant::now());
        }
    }

    /// Replies to which no request of the list leads. Before the list is there, none that it might lead to.
    pub(crate) fn stranded_replies(&self) -> Vec<Stranded> {
        let listed = self.opinions.lines.as_ref().map(|lines| lines.iter().map(|line| &line.id).collect::<Vec<_>>());
        self.replies.stranded(listed.as_deref())
    }

    /// The pharmacist's list, asked of the desk anew.
    pub(crate) fn ask_opinions(&mut self) {
        self.give_up_reply();
        if let Some(request) = self.opinions.reread.take() {
            self.replies.read(&request);
        }
        self.opinions = Opinions { failed: !self.desk.up, heard: self.opinions.heard, ..Opinions::default() };
        self.front = Front::Opinions;
        self.say(FromCabin::SecondOpinionsWanted {});
    }

    /// One of the list.
    pub(crate) fn read_opinion(&mut self, index: usize) {
        let line = self.opinions.lines.as_ref().and_then(|lines| lines.get(index));
        let Some(request) = line.map(|line| line.id.clone()) else { return };
        self.say(FromCabin::SecondOpinionWanted { request });
    }

    /// The request in front is another one: what the desk did not take of it is there to be written anew, and nothing
    /// that was written for another patient's.
    fn begin_reply(&mut self) {
        let Some(request) = self.opinions.read.as_ref().map(|(line, _)| line.id.clone()) else { return };
        let words = self.replies.refused_words(&request);
        // Taking back has no words, and is read all the same.
        self.opinions.reread = (self.replies.fate(&request) == Some(Fate::Refused)).then_some(request);
        self.give_up_reply();
        self.opinions.reply = words.unwrap_or_default().chars().take(REPLY_CHARS_MAX).collect();
    }

    pub(crate) fn write_opinion_reply(&mut self, text: &str) {
        self.opinions.reply = text.chars().take(REPLY_CHARS_MAX).collect();
    }

    /// What is written goes to the specialist, or the request is taken back: now, or once the line is back.
    pub(crate) fn step_opinion(&mut self, take_back: bool) {
        let Some((line, _)) = &self.opinions.read else { return };
        let text = self.opinions.reply.trim();
        if text.is_empty() && !take_back {
            return;
        }
        let what = match take_back {
            true => What::Cancel { text: Text::cut(text) },
            false => What::Say { text: Text::cut(text) },
        };
        let request = line.id.clone();
        // What was not kept, as far as is known, is said again by the same name.
        let before = self.opinions.not_kept.take().map(|(id, ..)| id);
        let Some(id) = before.or_else(|| ItemId::new(Uuid::new_v4().to_string()).ok()) else { return };
        let by = self.journey.pharmacist().map_or("", |pharmacist| pharmacist.name.as_str());
        let step = OpinionStep { id: id.clone(), what };
        if let Err(why) = self.replies.push(request, Text::cut(by), step) {
            self.opinions.not_kept = Some((id, why, take_back));
        } else {
            self.opinions.reply.clear();
            self.opinions.reread = None;
            self.send_reply();
        }
    }

    /// Says to the desk what it has not stored yet. The next one goes when this one is answered.
    pub(super) fn send_reply(&self) {
        if let Some(said) = self.replies.next().filter(|_| self.desk.up) {
            self.say(said);
        }
    }

    /// What the desk tells of them. What names a patient is dropped unread when they are no longer in front.
    pub(super) fn hear_opinions(&mut self, said: FromDesk) {
        match said {
            FromDesk::SecondOpinionKept { request, step } => {
                self.replies.stored(&step);
                self.read_again(request);
                self.send_reply();
            }
            FromDesk::SecondOpinionRefused { request, step, code, reason } => {
                tracing::warn!(?code, reason = reason.as_str(), "the desk did not take what was said to a specialist");
                if self.replies.refused(&step, code) {
                    self.read_again(request);
                    self.send_reply();
                }
            }
            FromDesk::SecondOpinionReport { request, offset, bytes, part } => {
                self.report_part(request, offset, bytes, part.as_str());
            }
            said if self.front == Front::Opinions => {
                let read = |opinions: &Opinions| opinions.read.as_ref().map(|(line, _)| line.id.clone());
                let before = read(&self.opinions);
                self.opinions.take(said);
                if read(&self.opinions) != before {
                    self.begin_reply();
                }
            }
            _ => {}
        }
    }

    /// The request that is read changed.
    fn read_again(&self, request: ItemId) {
        if self.opinions.read.as_ref().is_some_and(|(line, _)| line.id == request) {
            self.say(FromCabin::SecondOpinionWanted { request });
        }
    }

    /// Prints the answer: a letter to the usual doctor, and the specialist's own report, which is fetched first.
    pub(crate) fn print_opinion(&mut self) {
        let Some((line, opinion)) = &self.opinions.read else { return };
        let Some(answer) = &opinion.answer else { return };
        if matches!(self.opinions.printing, Printing::UnderWay { .. }) || self.settings.printer.is_none() {
            return;
        }
        let offset_minutes = submission::utc_offset_minutes(Moment(answer.at));
        let letter = match &self.opinions.letter_to {
            None => None,
            Some(to) => match letter::letter(to.as_str(), line, opinion, answer, offset_minutes) {
                Ok(pdf) => Some(Zeroizing::new(pdf)),
                Err(error) => {
                    tracing::error!(%error, "a letter cannot be drawn");
                    self.opinions.printing = Printing::Failed;
                    return;
                }
            },
        };
        let (request, has_report) = (line.id.clone(), answer.report);
        self.opinions.printing =
            Printing::UnderWay { papers: letter.into_iter().collect(), report: Zeroizing::default(), job: None };
        match has_report {
            true if self.desk.up => self.say(FromCabin::SecondOpinionReportWanted { request, offset: 0 }),
            true => self.opinions.printing = Printing::Failed,
            false => self.print_papers(request),
        }
    }

    /// A part of the report: the next is asked for, or all is printed.
    fn report_part(&mut self, request: ItemId, offset: u32, bytes: u32, part: &str) {
        let is_read = self.opinions.read.as_ref().is_some_and(|(line, _)| line.id == request);
        let Printing::UnderWay { papers, report, job: None } = &mut self.opinions.printing else { return };
        if !is_read || report.len() != offset as usize || bytes as usize > REPORT_BYTES_MAX {
            return;
        }
        let Ok(part) = STANDARD.decode(part).map(Zeroizing::new) else { return };
        report.extend_from_slice(&part);
        let have = report.len();
        if part.is_empty() || have > bytes as usize {
            self.opinions.printing = Printing::Failed;
        } else if have < bytes as usize {
            let offset = u32::try_from(have).unwrap_or(u32::MAX);
            self.say(FromCabin::SecondOpinionReportWanted { request, offset });
        } else {
            papers.push(std::mem::take(report));
            self.print_papers(request);
        }
    }

    fn print_papers(&mut self, request: ItemId) {
        let Some(address) = self.settings.printer.clone() else { return };
        let Printing::UnderWay { papers, job, .. } = &mut self.opinions.printing else { return };
        let papers = std::mem::take(papers);
        let printing = self.runtime.spawn(async move {
            let printed = print_all(&address, papers, PRINT_PATIENCE).await;
            post(Event::OpinionPrinted { request, printed: printed == Ok(true), fault: printed.err() });
        });
        *job = Some(UnderWay(printing.abort_handle()));
    }

    pub(super) fn opinion_printed(&mut self, request: &ItemId, printed: bool, fault: Option<PrintFault>) {
        if let Some(fault) = &fault {
            tracing::warn!(%fault, "printing failed");
        }
        self.print_fault = fault;
        if self.opinions.read.as_ref().is_some_and(|(line, _)| line.id == *request) {
            self.opinions.printing = if printed { Printing::Printed } else { Printing::Failed };
        }
    }

    /// Back to the pharmacist's space; nothing of what was read stays.
    pub(crate) fn close_opinions(&mut self) {
        if let Some(request) = self.opinions.reread.take() {
            self.replies.read(&request);
        }
        self.forget_opinions();
        self.front = Front::Space;
    }

    pub(super) fn forget_opinions(&mut self) {
        self.give_up_reply();
        let heard = self.opinions.heard;
        self.opinions = Opinions::default();
        // The buffers of the line held it too. In a call it waits until the patient is forgotten.
        match &self.link {
            Some(link) if heard && !matches!(self.journey.step(), Step::Call { .. }) => link.redial(),
            _ => self.opinions.heard = heard,
        }
        screens::forget_opinions(&self.app);
    }
}

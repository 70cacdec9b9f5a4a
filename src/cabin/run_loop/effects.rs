//! Carrying out what the journey asks for.

use consult::dossier::{ConsultationId, Dossier, HelpReason};
use consult::journey::{Effect, Input, Step};
use consult::vitals::Moment;

use drivers::fixtures::printer_escpos::{Paper, PrinterStatus};
use drivers::ports::fixtures::{PrinterAddress, PrinterFault, print, printer_status};
use drivers::ports::system_clock;
use zeroize::Zeroizing;

use super::{Cabin, Event, Front, Over, post};
use crate::bell::{self, Loudness};
use crate::documents;
use crate::documents::papers::{Shown, UnderWay};
use crate::documents::print::{PrintFault, print_all};
use crate::drafts::Drafts;
use crate::{screens, submission};

/// How long a printer may take before the patient is offered the code to scan instead.
pub(super) const PRINT_PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// A record that its own contents keep from being sealed is tried so often; then its journal is kept aside, so that the
/// cabin can receive the next patient.
const SEALS_MAX: u32 = 3;

impl Cabin {
    pub(super) fn carry_out(&mut self, effect: Effect, now: Moment) {
        match effect {
            // Written with the input that caused it, before the screen moved.
            Effect::OpenJournal { .. } => {}
            Effect::CallPharmacist(why) => self.ring(why, Loudness::Loud),
            Effect::AlarmPharmacist(why) => self.ring(why, Loudness::Loud),
            Effect::WarnInactive => bell::ring(Loudness::Soft),
            Effect::Speak => self.speak(),
            Effect::StartMeasurement(measurement) => self.start_device(measurement),
            Effect::StopMeasurement(measurement) => {
                self.recordings.turn();
                self.devices.stop(measurement);
                self.instruments.stop(measurement, &self.runtime);
            }
            Effect::EnterWaitingRoom => self.tell_waiting(),
            Effect::LeaveWaitingRoom => self.leave_waiting_room(),
            Effect::AcceptPhysician => self.accept_physician(),
            Effect::DeclinePhysician => self.decline_physician(),
            Effect::Reconnect => self.reconnect(),
            Effect::Share => self.share_all(),
            Effect::EndCall => self.end_call(),
            Effect::Print => self.print(),
            Effect::SubmitRecord => self.submit(now),
            Effect::Forget => self.forget(),
        }
    }

    /// Reads the screen aloud, in its language.
    pub(crate) fn speak(&mut self) {
        let words = screens::words(&self.app);
        let language = self.journey.presentation().language;
        if let Err(error) = self.voice.say(&words, language.code()) {
            tracing::warn!(%error, "no voice");
        }
    }

    /// Seals the dossier for the server, or throws it away when there is nothing to send.
    fn submit(&mut self, now: Moment) {
        let Some(dossier) = self.journey.dossier() else { return };
        if !dossier.is_to_be_recorded() {
            let discarded = self.outbox.discard().map_err(Into::into);
            return self.sealed(discarded, now);
        }
        if std::mem::replace(&mut self.sealing, true) {
            return;
        }
        // Megabytes of curves and pictures: beside the screen's thread, which goes on moving.
        let around = (self.settings.clone(), self.identity.clone());
        let told = |of, sealed| post(Event::Sealed(of, sealed));
        submission::seal(&self.runtime, &self.outbox, dossier.clone(), around, now, told);
    }

    pub(super) fn handed_over(&mut self, of: ConsultationId, sealed: anyhow::Result<()>) {
        self.sealing = false;
        if self.consultation() == Some(of) {
            self.sealed(sealed, system_clock());
        }
    }

    fn sealed(&mut self, sealed: anyhow::Result<()>, now: Moment) {
        let mut ended = Input::RecordSealed;
        let sealed = match sealed {
            Err(error) if submission::is_lasting(&error) => {
                self.seals_failed += 1;
                if self.seals_failed < SEALS_MAX {
                    Err(error)
                } else {
                    tracing::error!(%error, "the record cannot be sealed: its journal is kept aside for a technician");
                    ended = Input::RecordKeptAside;
                    self.outbox.set_aside().map_err(Into::into)
                }
            }
            other => other,
        };
        match sealed {
            Ok(()) => {
                self.outbox_failed = false;
                self.count(now);
                self.input(ended);
            }
            Err(error) => {
                tracing::error!(%error, "the record could not be sealed; nothing is forgotten before it is");
                self.outbox_failed = true;
                self.input(Input::RecordNotSealed);
            }
        }
    }

    fn count(&mut self, now: Moment) {
        if let Some(dossier @ Dossier { ended: Some((consult::dossier::Outcome::Completed, _)), .. }) =
            self.journey.dossier()
        {
            let minutes = u32::try_from(dossier.present_ms(now) / 60_000).unwrap_or(u32::MAX);
            self.day.count(now, |counts| {
                counts.consultations += 1;
                counts.minutes = counts.minutes.saturating_add(minutes);
            });
        }
    }

    /// Nothing of the patient stays in this program: see also `outbox::forget`, which wipes what is freed.
    fn forget(&mut self) {
        // A patient who went back to the welcome before saying anything leaves an open journal. After a submission
        // there is none, and the outbox refuses: that is as it should be.
        self.outbox.discard().ok();
        self.owed.clear();
        self.touched_unkept = None;
        self.seals_failed = 0;
        self.muted = (false, false);
        self.physician = None;
        self.call_number += 1;
        self.call_stats = None;
        self.voice.stop();
        self.drafts = Drafts::default();
        self.devices.forget();
        self.instruments.forget(&self.runtime);
        self.recordings.turn();
        self.close_code_camera();
        self.room.touched();
        self.desk.forget();
        if let Some(link) = &self.link {
            link.waiting(None);
        }
        self.over = Over::Nothing;
        // Who closed the call for help does not find it over the farewell.
        self.help_hidden &= self.help_is_asked();
        self.print_fault = None;
        if !matches!(self.front, Front::Technician | Front::Binding) {
            self.front = Front::Patient;
        }
        self.forget_opinions();
        screens::forget(&self.app);
    }

    /// Prints the patient's sheet and the physician's documents, one job each, off the screen's thread.
    fn print(&mut self) {
        let Some(dossier) = self.journey.dossier().cloned() else { return };
        let Some(address) = self.settings.printer.clone() else {
            return self.print_receipt(dossier.id);
        };
        let (of, outbox, settings) = (dossier.id, self.outbox.clone(), self.settings.clone());
        let printing = self.runtime.spawn(async move {
            let papers = tokio::task::spawn_blocking(move || submission::papers(&outbox, &dossier, &settings)).await;
            let papers = match papers.map_err(anyhow::Error::from).and_then(|papers| papers) {
                Ok(papers) if !papers.is_empty() => papers,
                Ok(_) => return post(Event::Printed { of, printed: false, fault: None }),
                Err(error) => {
                    tracing::error!(%error, "the documents cannot be read back for printing");
                    return post(Event::Printed { of, printed: false, fault: None });
                }
            };
            let printed = print_all(&address, papers.into_iter().map(|paper| paper.pdf), PRINT_PATIENCE).await;
            post(Event::Printed { of, printed: printed == Ok(true), fault: printed.err() });
        });
        self.drafts.printing = Some(std::sync::Arc::new(UnderWay(printing.abort_handle())));
    }

    /// There is a printer for the papers, or one for the receipt that leads to them.
    pub fn may_print(&self) -> bool {
        self.settings.printer.is_some() || self.prints_receipt()
    }

    /// What is printed is a receipt that leads to the papers, and there is something to lead to.
    pub fn prints_receipt(&self) -> bool {
        let reachable = self.drafts.telephone.made.is_some() || (self.desk.up && self.identity.is_some());
        self.settings.printer.is_none() && self.settings.receipt_printer.is_some() && reachable
    }

    /// Without a printer for whole pages: the code of the papers on a receipt, for a telephone that is not at hand. The
    /// papers go to the desk first.
    fn print_receipt(&mut self, of: ConsultationId) {
        match self.settings.receipt_printer.clone() {
            Some((at, paper)) => match self.papers_link() {
                Some(link) => self.print_link(of, at, paper, Zeroizing::new(link.reveal().to_owned())),
                None => {
                    self.show_code();
                    self.drafts.telephone.receipt_awaited = true;
                    self.go_on_with_receipt(of);
                }
            },
            None => drop(self.input(Input::PrintEnded { printed: false })),
        }
    }

    /// The papers are at the desk, or cannot go there.
    pub(crate) fn go_on_with_receipt(&mut self, of: ConsultationId) {
        let sending = matches!(self.drafts.telephone.shown, Shown::Sending(_));
        if sending || !std::mem::take(&mut self.drafts.telephone.receipt_awaited) {
            return;
        }
        let link = self.papers_link().map(|link| Zeroizing::new(link.reveal().to_owned()));
        match (self.settings.receipt_printer.clone(), link) {
            (Some((at, paper)), Some(link)) => {
                // A receipt was asked for, not a code on the screen.
                self.hide_code();
                self.print_link(of, at, paper, link);
            }
            _ => drop(self.input(Input::PrintEnded { printed: false })),
        }
    }

    fn print_link(&mut self, of: ConsultationId, at: PrinterAddress, paper: Paper, link: Zeroizing<String>) {
        let Some(dossier) = self.journey.dossier() else { return };
        let offset = submission::utc_offset_minutes(dossier.started_at);
        let receipt = documents::receipt(&self.settings.site, dossier, &link, offset);
        self.runtime.spawn_blocking(move || {
            let fault = match receipt.print(paper) {
                Ok(ticket) => print(&at, &ticket).err().map(PrintFault::from),
                Err(error) => {
                    tracing::error!(%error, "no receipt can be made");
                    return post(Event::Printed { of, printed: false, fault: None });
                }
            };
            post(Event::Printed { of, printed: fault.is_none(), fault });
        });
    }

    /// Asks the receipt printer how it is, beside the screen's thread: the pharmacist reads of an empty roll before a
    /// patient needs it. Not while it prints.
    pub(super) fn ask_receipt_printer(&self) {
        let at = self.settings.receipt_printer.as_ref().map(|(at, _)| at.clone());
        if let Some(at) = at.filter(|_| !matches!(self.journey.step(), Step::Documents { .. })) {
            self.runtime.spawn_blocking(move || post(Event::ReceiptPrinter(printer_status(&at))));
        }
    }

    /// How the receipt printer is: where there is no other, it is the printer.
    pub(super) fn receipt_printer_is(&mut self, status: Result<Option<PrinterStatus>, PrinterFault>) {
        let (paper_low, fault) = match status {
            Ok(Some(status)) if !status.is_good() => (status.paper_low, Some(PrinterFault::NotReady(status))),
            Ok(status) => (status.is_some_and(|status| status.paper_low), None),
            Err(fault) => (false, Some(fault)),
        };
        self.receipt_paper_low = paper_low;
        if self.settings.printer.is_none() {
            let fault = fault.map(PrintFault::from);
            if let Some(fault) = fault.as_ref().filter(|fault| self.print_fault.as_ref() != Some(*fault)) {
                tracing::warn!(%fault, "no receipt could be printed now");
            }
            self.print_fault = fault;
        }
    }

    pub(super) fn printed(&mut self, of: ConsultationId, printed: bool, fault: Option<PrintFault>) {
        if let Some(fault) = &fault {
            tracing::warn!(%fault, "printing failed");
        }
        self.print_fault = fault;
        // Said of the former patient's papers, it is news of the printer and of nobody's papers.
        if self.consultation() == Some(of) {
            self.drafts.printing = None;
            self.input(Input::PrintEnded { printed });
        }
    }
}

/// Why the pharmacist is called, for the log: never the sign itself.
impl Cabin {
    /// Whether the pharmacist was called for the patient's own touch.
    pub fn help_is_asked(&self) -> bool {
        match self.journey.help() {
            consult::journey::Help::NotAsked => false,
            consult::journey::Help::Called { reason, .. } => !matches!(reason, HelpReason::Record),
            consult::journey::Help::Answered { .. } => true,
        }
    }
}

//! The physician in the call: what the page sees, what it asks for, what it hands over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use consult::dossier::{Dossier, Kept};
use consult::ecg::{Ecg, MISSING};
use consult::journey::{Act, CallEnd, CallLine, Input, Journey, Step};
use consult::physician::Document;
use consult::private::PrivateText;
use consult::vitals::{Measurement, Moment, Reading};
use drivers::ports::system_clock;
use signal::cabin::FromCabin;
use signal::call::{EndCause, Sdp};
use signal::data::{MeasurementProgress, Outcome, Record};
use signal::ecg::{Block, ROWS_MAX};
use signal::live::{Frame as LiveFrame, SAMPLES_MAX, WaveformKind};
use signal::{ItemId, RefusalCode, Text, VERSION};
use uuid::Uuid;

use super::desk::wire_id;
use super::{Cabin, Event, post};
use crate::physician_link::{Order, PhysicianEvent, PhysicianLink, Picture};
use crate::{screens, words};

/// What a fault is of.
fn part_of(fault: &call::Fault) -> Option<call::Part> {
    match fault {
        call::Fault::NoCamera | call::Fault::CameraLost { .. } => Some(call::Part::Camera),
        call::Fault::NoMicrophone | call::Fault::MicrophoneLost { .. } => Some(call::Part::Microphone),
        call::Fault::NoLoudspeaker | call::Fault::LoudspeakerLost { .. } => Some(call::Part::Loudspeaker),
        call::Fault::Undecodable { .. } | call::Fault::Relay { .. } => None,
    }
}

/// Name on the wire of readings that are looked at and not yet kept.
fn review_id(readings: &[Reading]) -> String {
    format!("r{}", readings.first().map_or(0, |reading| reading.at.0))
}

impl Cabin {
    /// Opens camera and microphone for a fresh call, in place of any former one.
    pub(super) fn open_call(&mut self) {
        self.call_number += 1;
        let number = self.call_number;
        self.call_faults.clear();
        self.page_fingerprint = None;
        let mut settings = self.settings.call.clone();
        settings.ice_servers = self.ice_servers();
        let app = slint::ComponentHandle::as_weak(&self.app);
        let pictures = Arc::new(AtomicU64::new(0));
        self.pictures_drawn = Arc::clone(&pictures);
        let show = move |picture: Picture, frame: Option<call::Frame>, busy: Arc<AtomicBool>| {
            let pictures = Arc::clone(&pictures);
            let drawn = app.upgrade_in_event_loop(move |app| {
                let is_physician = picture == Picture::Remote && frame.is_some();
                screens::patient::call::picture(&app, picture, frame);
                busy.store(false, Ordering::Release);
                if is_physician && pictures.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::info!(at_ms = system_clock().0, "the first picture of the physician is on the screen");
                }
            });
            if drawn.is_err() {
                tracing::debug!("the screen has stopped");
            }
        };
        let events = move |event| post(Event::Physician(number, event));
        let link = PhysicianLink::start(&self.runtime, settings, events, show);
        link.mute(self.muted);
        self.physician = Some(link);
    }

    /// Those of the configuration, and those that the desk lends.
    pub(super) fn ice_servers(&self) -> Vec<call::IceServer> {
        self.settings.call.ice_servers.iter().chain(&self.desk.ice_servers).cloned().collect()
    }

    /// Ends media and channels; what the desk knows is not touched.
    pub(super) fn close_call(&mut self) {
        if self.physician.take().is_some() {
            let pictures = self.pictures_drawn.load(Ordering::Relaxed);
            tracing::info!(pictures, "the call's media are closed; pictures of the physician that were drawn");
        }
        self.call_number += 1;
        self.call_stats = None;
        screens::patient::call::picture(&self.app, Picture::Remote, None);
        screens::patient::call::picture(&self.app, Picture::Own, None);
    }

    pub(super) fn take_offer(&mut self, sdp: Sdp) {
        // A page that was reloaded, or dialled anew, has another certificate: our former end would never converge
        // with it (RFC 8842: a changed fingerprint is a new DTLS association).
        let fingerprint =
            sdp.sdp.as_str().lines().find_map(|line| line.strip_prefix("a=fingerprint:")).map(str::to_owned);
        let another = self.page_fingerprint.is_some() && self.page_fingerprint != fingerprint;
        if self.physician.is_none() || another {
            self.open_call();
        }
        self.page_fingerprint = fingerprint;
        if let Some(physician) = &self.physician {
            physician.order(Order::Offer(sdp.sdp.as_str().to_owned()));
        }
    }

    pub(super) fn physician_event(&mut self, event: PhysicianEvent) {
        match event {
            PhysicianEvent::Answer(sdp) => self.send_answer(sdp),
            PhysicianEvent::Candidate(candidate) => self.send_candidate(&candidate),
            PhysicianEvent::Connected | PhysicianEvent::Resumed => {
                let input = match self.journey.step() {
                    Step::Call { line: CallLine::Interrupted { .. }, .. } => Input::CallResumed,
                    _ => Input::CallConnected,
                };
                self.input(input);
                self.tell_of_door();
            }
            PhysicianEvent::Interrupted => {
                self.input(Input::CallInterrupted);
            }
            PhysicianEvent::Stuck if self.is_call_forgotten() => self.call_ended(EndCause::CabinLost),
            PhysicianEvent::Stuck if matches!(self.journey.step(), Step::Call { .. }) => {
                self.close_call();
                // An interruption asks for a fresh call itself; one that is known already does not.
                if !self.input(Input::CallInterrupted) {
                    self.reconnect();
                }
            }
            // The page closed its end of a call that is over.
            PhysicianEvent::Stuck => self.close_call(),
            PhysicianEvent::RecordOpen => {
                self.share_all();
                self.share_instrument();
            }
            PhysicianEvent::Record(record) => self.page_said(*record),
            PhysicianEvent::Document { begin, bytes } => self.document(&begin, &bytes),
            PhysicianEvent::Fault(fault) => {
                tracing::warn!(?fault, "a part of the call is missing");
                self.tell_fault(&fault);
                if matches!(fault, call::Fault::Relay { why: call::RelayTrouble::Lost { .. }, .. }) {
                    self.ask_for_another_path();
                }
                self.call_faults.push(fault);
                self.call_faults.truncate(8);
            }
            PhysicianEvent::Restored(part) => {
                tracing::info!(?part, "a part of the call was taken up again");
                self.call_faults.retain(|fault| part_of(fault) != Some(part));
                self.tell_restored(part);
            }
            PhysicianEvent::Stats(stats) => {
                self.tell_link(&stats);
                self.call_stats = Some(stats);
            }
        }
    }

    pub(super) fn tell(&self, record: Record) {
        if let Some(physician) = &self.physician {
            physician.say(record);
        }
    }

    /// Everything that the page shows, again: after each (re)connection and each change.
    pub(super) fn share_all(&self) {
        let Some(dossier) = self.journey.dossier().filter(|_| self.physician.is_some()) else { return };
        let now = system_clock();
        self.tell(Record::Hello { version: VERSION, consultation: wire_id(dossier.id) });
        if let Some(patient) = words::wire_identity(dossier, now) {
            self.tell(Record::Patient(patient));
        }
        if let Some(answers) = words::wire_answers(dossier, &self.settings.enrol_site.kind) {
            self.tell(Record::Answers(answers));
        }
        for left in dossier.left_by_calls_before() {
            self.tell(Record::HandedBefore(words::wire_handed_before(&left)));
        }
        for (place, kept) in dossier.kept.iter().enumerate() {
            self.share_kept(dossier, place, kept, now);
        }
        for skipped in &dossier.skipped {
            let tried_again = dossier.last_kept(skipped.measurement).is_some_and(|kept| kept.at > skipped.at);
            if !tried_again {
                self.tell_state(skipped.measurement, MeasurementProgress::Skipped, words::wire_skip(skipped.reason));
            }
        }
        self.share_progress();
        self.tell_incidents();
        // Written while there was no line, or lost with it.
        for (id, text) in self.drafts.conversation.not_arrived() {
            self.tell(Record::Notice { id: id.clone(), text: Text::cut(text.reveal()), by_patient: true });
        }
    }

    /// What became of a measurement that was in front of the patient, and of the line.
    pub(super) fn share_what_became(&self, before: &Journey, input: &Input) {
        let incidents = |journey: &Journey| journey.dossier().map(|dossier| dossier.incidents.clone());
        if incidents(before) != incidents(&self.journey) {
            self.tell_incidents();
        }
        let (Some(guided), true) = (before.guided(), self.physician.is_some()) else { return };
        if let Act::Review { readings } = &guided.act {
            let kept = *input == Input::ReadingsKept;
            let still = self.guided().is_some_and(|now| now.act == guided.act);
            if !kept && !still {
                // Seen by the physician in review, and not kept.
                let now = system_clock();
                for reading in words::wire_readings(guided.measurement, readings, &review_id(readings), true, now) {
                    self.tell(Record::Reading(reading));
                }
            }
        }
        match input {
            Input::ReadingsKept => self.tell_state(guided.measurement, MeasurementProgress::Kept, None),
            Input::Skipped(reason) => {
                self.tell_state(guided.measurement, MeasurementProgress::Skipped, words::wire_skip(*reason));
            }
            // No number, and perhaps an emergency: said in words.
            Input::MeasuringFailed { trouble, .. } => {
                if let Some(reason) = trouble.out_of_range() {
                    self.tell_state(guided.measurement, MeasurementProgress::Skipped, words::wire_skip(reason));
                }
            }
            _ => {}
        }
    }

    fn tell_state(&self, measurement: Measurement, state: MeasurementProgress, reason: Option<&str>) {
        let measurement = words::wire_measurement(measurement);
        self.tell(Record::MeasurementState { measurement, state, request: None, reason: reason.map(Text::cut) });
    }

    fn share_kept(&self, dossier: &Dossier, place: usize, kept: &Kept, now: Moment) {
        // A later one of the same measurement took its place.
        let retaken = dossier.kept.iter().skip(place + 1).any(|later| later.measurement == kept.measurement);
        for reading in words::wire_readings(kept.measurement, &kept.readings, &format!("k{place}"), retaken, now) {
            self.tell(Record::Reading(reading));
        }
    }

    /// Where the guided measurement is, and what it has just read.
    fn share_progress(&self) {
        let now = system_clock();
        let Some(guided) = self.guided() else { return };
        let state = match &guided.act {
            Act::Place { .. } => MeasurementProgress::Placing,
            Act::Measuring { .. } => MeasurementProgress::Measuring,
            Act::CheckCable { .. } => MeasurementProgress::Fault,
            Act::Review { readings } => {
                for reading in words::wire_readings(guided.measurement, readings, &review_id(readings), false, now) {
                    self.tell(Record::Reading(reading));
                }
                MeasurementProgress::Measuring
            }
        };
        self.tell_state(guided.measurement, state, None);
    }

    /// Passes a curve on while its measurement is in front of the patient.
    pub(super) fn share_curve(&mut self, measurement: Measurement, samples: &[u16]) {
        if self.physician.is_none() || !self.is_measuring(measurement) {
            return;
        }
        let Some(device) = self.devices.serving(measurement) else { return };
        let (rate_hz, full_scale, seq) = (device.rate_hz, device.full_scale, device.seq);
        let t0_ms = system_clock().0;
        let mut sent = 0;
        for part in samples.chunks(SAMPLES_MAX) {
            // The wire is signed: a 16-bit curve loses its last bit of drawing, which no screen shows.
            let samples =
                part.iter().map(|sample| if full_scale > 0x7fff { (sample >> 1) as i16 } else { *sample as i16 });
            let frame = LiveFrame {
                kind: WaveformKind::Pleth,
                seq: seq.wrapping_add(sent),
                rate_hz,
                t0_ms,
                samples: samples.collect(),
            };
            match (frame.write(), &self.physician) {
                (Ok(bytes), Some(physician)) => physician.order(Order::Live(bytes)),
                (Err(refusal), _) => tracing::error!(%refusal, "a curve breaks the protocol"),
                (Ok(_), None) => {}
            }
            sent += 1;
        }
        self.devices.count_frames(measurement, sent);
    }

    /// Passes an electrocardiogram on while it is taken; its first row came when its bytes `arrived`.
    pub(super) fn share_ecg(&mut self, measurement: Measurement, ecg: &Ecg, arrived: Instant) {
        if self.physician.is_none() || !self.is_measuring(measurement) {
            return;
        }
        let Some(device) = self.devices.serving(measurement) else { return };
        let t0_ms = system_clock().0 - i64::try_from(arrived.elapsed().as_millis()).unwrap_or(0);
        let mut seq = device.seq;
        for part in ecg.samples().chunks(ecg.leads().len() * ROWS_MAX) {
            let (shift, samples) = signal::ecg::fit(part, MISSING);
            let block = Block {
                shift,
                seq,
                rate_hz: ecg.rate_hz(),
                femtovolts_per_step: ecg.femtovolts_per_step(),
                t0_ms,
                leads: ecg.leads().iter().map(|lead| *lead as u8).collect(),
                samples,
            };
            match (block.write(), &self.physician) {
                (Ok(bytes), Some(physician)) => physician.order(Order::Ecg(bytes)),
                (Err(refusal), _) => tracing::error!(%refusal, "an electrocardiogram breaks the protocol"),
                (Ok(_), None) => {}
            }
            seq = seq.wrapping_add(1);
        }
        let sent = seq.wrapping_sub(device.seq);
        self.devices.count_frames(measurement, sent);
    }

    fn page_said(&mut self, record: Record) {
        match record {
            Record::Hello { version, consultation } => {
                if version != VERSION || self.consultation().map(wire_id) != Some(consultation) {
                    tracing::warn!("the page speaks of another consultation or in another version");
                    self.refuse(RefusalCode::UnknownCall, "another consultation, or another version of the protocol");
                }
            }
            Record::RequestMeasurement { id, measurement } => {
                let Some(asked) = words::measurement(measurement) else {
                    return self.refuse(RefusalCode::Forbidden, "cette cabine n’a pas cet appareil");
                };
                if self.input(Input::MeasurementRequested(asked)) {
                    self.acknowledge(id.clone());
                    let state = MeasurementProgress::Requested;
                    self.tell(Record::MeasurementState { measurement, state, request: Some(id), reason: None });
                } else {
                    self.acknowledge(id.clone());
                    let reason = Some(Text::cut("pas possible maintenant : mesure en cours ou appareil absent"));
                    let state = MeasurementProgress::Fault;
                    self.tell(Record::MeasurementState { measurement, state, request: Some(id), reason });
                }
            }
            Record::Notice { id, text, .. } => {
                let Ok(notice) = PrivateText::new(text.as_str()) else {
                    return self.refuse(RefusalCode::TooLarge, "message trop long");
                };
                // Acknowledged once a restart of the cabin shows it again.
                if self.input(Input::NoticeReceived(notice)) {
                    self.drafts.conversation.heard(&id, text.as_str());
                    self.acknowledge(id);
                } else {
                    self.refuse(RefusalCode::OutOfOrder, "le message n’a pas pu être gardé : réessayez");
                }
            }
            Record::Guest { id, guest } => self.guest_comes(id, &guest),
            Record::GuestGone { id } => self.guest_goes(id),
            Record::Summary(summary) => {
                let id = summary.id.clone();
                let Some(dossier) = self.journey.dossier() else { return };
                let summary = match crate::documents::received::summary(&summary, dossier) {
                    Ok(summary) => summary,
                    Err(refused) => return self.refuse(refused.code(), &refused.to_string()),
                };
                // Acknowledged once it is durable, never before.
                if self.input(Input::SummaryReceived(summary)) {
                    self.acknowledge(id);
                } else {
                    self.refuse(RefusalCode::OutOfOrder, "la conclusion n’a pas pu être gardée : réessayez");
                }
            }
            Record::End { id, outcome, with_video } => {
                let end = match outcome {
                    Outcome::Interrupted => CallEnd::PhysicianBrokenOff,
                    Outcome::Completed | Outcome::Emergency if with_video => CallEnd::Physician,
                    Outcome::Completed | Outcome::Emergency => CallEnd::PhysicianWithoutPicture,
                };
                if !self.input(Input::CallEnded(end)) && matches!(self.journey.step(), Step::Call { .. }) {
                    return self.refuse(RefusalCode::OutOfOrder, "la fin n’a pas pu être gardée : réessayez");
                }
                self.acknowledge(id);
                self.leave_physician();
                if outcome == Outcome::Emergency {
                    self.input(Input::EmergencyAsked);
                }
            }
            Record::GivenBack { id } => {
                // Said twice, the call is over already.
                if matches!(self.journey.step(), Step::Call { .. }) {
                    if !self.input(Input::CallEnded(CallEnd::GivenBack)) {
                        return self.refuse(RefusalCode::OutOfOrder, "la fin n’a pas pu être gardée : réessayez");
                    }
                    self.leave_physician();
                }
                self.acknowledge(id);
            }
            Record::RecordingWanted { number, sha256, received } => self.hand_over(number, &sha256, received),
            Record::Ack { id } => {
                self.drafts.conversation.arrived(&id);
            }
            Record::Error { code, reason } => {
                tracing::warn!(?code, reason = reason.as_str(), "the page refused a message")
            }
            Record::DocumentBegin(_)
            | Record::Patient(_)
            | Record::Answers(_)
            | Record::HandedBefore(_)
            | Record::Reading(_)
            | Record::MeasurementState { .. }
            | Record::DocumentAck { .. }
            | Record::DocumentRefused { .. }
            | Record::RecordingReceived { .. }
            | Record::RecordingRefused { .. }
            | Record::Link(_)
            | Record::Incidents { .. } => {}
        }
    }

    /// Nothing is seen or heard any more; the page closes its end once it has the acknowledgement, and says the end to a desk
    /// that knows the call.
    fn leave_physician(&mut self) {
        if let Some(physician) = &self.physician {
            physician.mute((true, true));
        }
        self.desk.ticket = None;
        self.desk.accepted = false;
    }

    /// A third person comes. Acknowledged once the patient's screen says so and a restart would say it again: the page lets
    /// nobody see or hear the patient before.
    fn guest_comes(&mut self, id: ItemId, said: &signal::guest::Guest) {
        let Some(guest) = words::guest(said) else { return self.refuse(RefusalCode::TooLarge, "nom trop long") };
        let is_there = self.journey.dossier().and_then(Dossier::guest) == Some(&guest);
        if is_there || self.input(Input::GuestCame(guest)) {
            self.acknowledge(id);
        } else {
            self.refuse(RefusalCode::OutOfOrder, "la cabine n’a pas pu dire au patient qui vient : réessayez");
        }
    }

    fn guest_goes(&mut self, id: ItemId) {
        let is_there = self.journey.dossier().is_some_and(|dossier| dossier.guest().is_some());
        if !is_there || self.input(Input::GuestLeft) {
            self.acknowledge(id);
        } else {
            self.refuse(RefusalCode::OutOfOrder, "le départ n’a pas pu être gardé : réessayez");
        }
    }

    fn document(&mut self, begin: &signal::data::DocumentBegin, bytes: &[u8]) {
        let id = begin.id.clone();
        let refused = |code, reason: &str| Record::DocumentRefused { id: id.clone(), code, reason: Text::cut(reason) };
        // Sent again after a reconnection: it is held already.
        let held = self.journey.dossier().is_some_and(|dossier| {
            dossier.documents.iter().any(|document| document.document.sha256 == *begin.sha256.bytes())
        });
        if !held {
            let blob = match self.outbox.put_blob(begin.title.as_str(), "application/pdf", bytes) {
                Ok(blob) => blob,
                Err(error) => {
                    tracing::error!(%error, "a document could not be kept");
                    return self
                        .tell(refused(RefusalCode::TooSlow, "la cabine n’a pas pu garder ce document : réessayez"));
                }
            };
            let Ok(name) = PrivateText::new(begin.title.as_str()) else {
                return self.tell(refused(RefusalCode::TooLarge, "titre trop long"));
            };
            let document = Document {
                kind: words::document_kind(begin.kind),
                name,
                blob: blob.to_string(),
                sha256: *begin.sha256.bytes(),
                size_bytes: bytes.len() as u64,
            };
            if !self.input(Input::DocumentReceived(document)) {
                return self.tell(refused(RefusalCode::TooMany, "la cabine ne prend plus de document"));
            }
        }
        self.tell(Record::DocumentAck { id, received: begin.bytes, stored: true });
    }

    fn acknowledge(&self, id: ItemId) {
        self.tell(Record::Ack { id });
    }

    fn refuse(&self, code: RefusalCode, reason: &str) {
        self.tell(Record::Error { code, reason: Text::cut(reason) });
    }

    /// A line beside the picture of the physician's page, which is French.
    pub(crate) fn tell_physician(&mut self, words: &str) {
        // The page shows a name once, and remembers it longer than this program runs.
        if let Ok(id) = ItemId::new(format!("cabin-{}", Uuid::new_v4().simple())) {
            self.tell(Record::Notice { id, text: Text::cut(words), by_patient: false });
        }
    }

    /// The pharmacist wants an interpreter or a specialist in the call: only the physician invites.
    pub(crate) fn ask_for_guest(&mut self) {
        if self.in_call() {
            self.tell_physician("Le pharmacien demande un interprète ou un spécialiste dans l’échange : « Inviter ».");
            self.drafts.guest_asked = true;
        }
    }

    /// What the patient writes to the physician. False when it is nothing, or too long.
    pub(crate) fn write_to_physician(&mut self, text: &str) -> bool {
        let Some((id, text)) = self.drafts.conversation.write(text) else { return false };
        self.tell(Record::Notice { id, text: Text::cut(text.reveal()), by_patient: true });
        true
    }

    fn tell_fault(&mut self, fault: &call::Fault) {
        self.tell_physician(match fault {
            call::Fault::NoMicrophone | call::Fault::MicrophoneLost { .. } => {
                "Le micro de la cabine ne marche pas : vous n’entendez pas le patient."
            }
            call::Fault::NoCamera | call::Fault::CameraLost { .. } => {
                "La caméra de la cabine ne marche pas : une image d’essai la remplace."
            }
            call::Fault::NoLoudspeaker | call::Fault::LoudspeakerLost { .. } => {
                "Le haut-parleur de la cabine ne marche pas : le patient ne vous entend pas."
            }
            call::Fault::Relay { why: call::RelayTrouble::Lost { .. }, .. } => {
                "Le relais du réseau s’est arrêté : la liaison cherche un autre chemin."
            }
            // Of a relay that does not answer nobody need know as long as another path is found.
            call::Fault::Relay { .. } | call::Fault::Undecodable { .. } => return,
        });
    }

    fn tell_restored(&mut self, part: call::Part) {
        self.tell_physician(match part {
            call::Part::Camera => "La caméra de la cabine marche de nouveau.",
            call::Part::Microphone => "Le micro de la cabine marche de nouveau : vous entendez le patient.",
            call::Part::Loudspeaker => "Le haut-parleur de la cabine marche de nouveau : le patient vous entend.",
        });
    }

    /// The patient was told that help comes: the physician hears it too.
    pub(crate) fn tell_help_comes(&self) {
        if let Some(id) = self.consultation().filter(|_| self.physician.is_some()) {
            self.say(FromCabin::HelpAcknowledged { consultation: wire_id(id) });
        }
    }
}

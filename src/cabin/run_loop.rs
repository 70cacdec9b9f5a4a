//! The cabin at work: what happens comes in as an event, goes through the journey, is journalled, and only then moves
//! the screen.
//!
//! Everything here runs on the screen's thread; what may take time (call, desk, printing, PIN) runs elsewhere and posts
//! events. The one wait is for the outbox to say that an answer is durable: the screen promises nothing before that.

mod asked;
mod binding;
mod coming_back;
mod desk;
mod effects;
mod examining;
mod fixture_health;
mod fixtures;
mod gate;
mod keeping;
mod opinions;
mod pharmacist;
mod physician;
mod posting;
mod recordings;
mod room;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime};

use consult::dossier::{ConsultationId, HelpReason};
use consult::journey::{Act, CallLine, Guided, Input, Journey, Step};
use consult::site::Pharmacist;
use consult::vitals::{Measurement, Moment};
use drivers::fixtures::light_blink1::CabinState;
use drivers::fixtures::printer_escpos::PrinterStatus;
use drivers::ports::fixtures::{Fixtures, PrinterFault};
use drivers::ports::{Closed, Message, system_clock};
use outbox::Client;
use ui::{App, CodeTrouble};

use crate::code_camera::{CodeCamera, CodeEvent};
use crate::day::Day;
use crate::desk_link::{DeskEvent, DeskLink};
use crate::devices::{Devices, Health, News};
use crate::documents::print::PrintFault;
use crate::drafts::Drafts;
use crate::enrolment::Identity;
use crate::equipment::Check;
use crate::instruments::{InstrumentEvent, Instruments};
use crate::joining::JoinEvent;
use crate::physician_link::{PhysicianEvent, PhysicianLink};
use crate::replies::Replies;
use crate::second_opinion::Opinions;
use crate::settings::Settings;
use crate::voice::Voice;
use crate::{captures, cleaning, equipment, journal, life};
use keeping::{OWED_MAX, is_behind, is_obeyed_at_once, is_open_already};
use recordings::{Content, Kept, Pending, Recordings};

pub use binding::{BindingDraft, Trouble as BindingTroubleKind};
pub use coming_back::ComingBack;
pub use desk::DeskState;
pub use fixture_health::FixtureHealth;
pub use pharmacist::SignInDraft;
pub use posting::{install, post, post_device, remove, with};
pub use room::Room;

/// How often the screen's countdowns move and time is looked at.
const TICK: Duration = Duration::from_millis(250);
/// How often the outbox is asked how it is, and time's own inputs are tried again after it failed, ticks.
const STATUS_TICKS: u64 = 20;
/// How often it is looked which cameras are plugged, ticks: one is back on the screen within 2 s of its cable.
const LOOK_TICKS: u64 = 4;
/// How often the receipt printer is asked how it is, ticks.
const RECEIPT_TICKS: u64 = 120;
/// How often what the desk has not stored of a pharmacist's words is said again, ticks.
const REPLY_TICKS: u64 = 120;
/// A day, ticks.
const DAY_TICKS: u64 = 4 * 24 * 3_600;
/// Longest wait for one answer of the outbox while a person looks at the screen. Asking how it is waits longer, beside
/// the screen's thread and on a connection of its own.
const OUTBOX_PATIENCE: Duration = Duration::from_secs(4);

/// What comes from outside the screen's thread.
pub enum Event {
    /// From a device's port.
    Port(Message),
    /// What is plugged in, for the technician who asked.
    Plugged(Vec<binding::Plugged>),
    /// From the card reader, the door or the radar.
    Fixture(drivers::fixtures::Message),
    /// How the fixture of that key is: asked, where it says nothing by itself.
    FixtureIs(&'static str, Health),
    /// From the device that the technician tries; of a former trial nothing is heard.
    Trial(u64, Message),
    /// From the camera to which a code is shown, opened as this many before it; of a former one nothing is heard.
    Code(u64, CodeEvent),
    /// From an instrument that sees.
    Instrument(InstrumentEvent),
    /// From the line to the desk.
    Desk(DeskEvent),
    /// From the desk that is being joined.
    Join(JoinEvent),
    /// Packets leave by another network than before.
    RouteChanged,
    /// From the call with this number; of a former call nothing is heard.
    Physician(u64, PhysicianEvent),
    /// A PIN was checked.
    PinChecked {
        /// Which pharmacist.
        index: usize,
        /// Right.
        right: bool,
    },
    /// Printing ended.
    Printed {
        /// Whose papers.
        of: ConsultationId,
        /// All of them, on paper.
        printed: bool,
        /// What is wrong with the printer.
        fault: Option<PrintFault>,
    },
    /// Printing a specialist's answer ended.
    OpinionPrinted {
        /// Which request.
        request: signal::ItemId,
        /// All of it, on paper.
        printed: bool,
        /// What is wrong with the printer.
        fault: Option<PrintFault>,
    },
    /// How the printer of receipts is; `None`: it tells nothing of itself.
    ReceiptPrinter(Result<Option<PrinterStatus>, PrinterFault>),
    /// How the outbox is; `None` when it does not answer.
    Outbox(Option<outbox::Status>),
    /// A recording is in the outbox, or is not.
    Kept(Box<Pending>, Result<Kept, outbox::Error>),
    /// The record of a consultation is sealed, or is not.
    Sealed(ConsultationId, anyhow::Result<()>),
}

/// Whose screen is in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// The journey's.
    Patient,
    /// Name and PIN.
    SignIn,
    /// The pharmacist's space.
    Space,
    /// Comparing a document with the traits.
    IdentityCheck,
    /// What the place must have, before it opens.
    MorningCheck,
    /// The technician's page.
    Technician,
    /// Binding a device to where it is plugged.
    Binding,
    /// What became of what was asked of specialists.
    Opinions,
}

/// What lies over the patient's screen by the patient's own touch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Over {
    /// Nothing.
    Nothing,
    /// "Do you want to leave?"
    Leave,
    /// "Do you want to hang up?"
    HangUp,
    /// "Close the cabin?", over the pharmacist's space.
    Close,
    /// The list of languages.
    Languages,
    /// "Replace your answers?": a code says others.
    Replace,
    /// A code was presented that fills in nothing.
    CodeRefused(CodeTrouble),
}

/// The cabin.
pub struct Cabin {
    pub(crate) app: App,
    pub(crate) settings: Settings,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) identity: Option<Identity>,
    pub(crate) tls: std::sync::Arc<rustls::ClientConfig>,
    pub(crate) journey: Journey,
    pub(crate) outbox: Client,
    pub(crate) outbox_status: Option<outbox::Status>,
    /// The outbox did not take the last answer: the patient and the pharmacist are told.
    pub(crate) outbox_failed: bool,
    /// So many times in a row the outbox had another consultation open than this patient's, or none.
    pub(crate) others_open: u8,
    /// What a person touched when the outbox was away: done when it is back.
    touched_unkept: Option<Input>,
    unsaved: VecDeque<Input>,
    /// How often the record of this consultation could not be sealed for what it is itself.
    seals_failed: u32,
    /// The record is being sealed, beside the screen's thread: meanwhile nothing is added to its journal.
    sealing: bool,
    recordings: Recordings,
    /// What was obeyed at once and is written before anything else, oldest first.
    owed: VecDeque<(Moment, Input)>,
    /// Asks only how the outbox is.
    outbox_watch: Client,
    /// Whether the outbox has said if a consultation was under way.
    journal_known: bool,
    pub(crate) devices: Devices,
    pub(crate) instruments: Instruments,
    pub(crate) binding: BindingDraft,
    /// How many devices were tried: the last one's number.
    trials: u64,
    /// Lines that are being let go, beside the screen: what opens them next waits for that.
    closing: Vec<Closed>,
    pub(crate) fixtures: Fixtures,
    /// What door and radar say.
    pub(crate) room: Room,
    pub(crate) fixture_health: FixtureHealth,
    /// A card is looked for.
    card_wanted: bool,
    /// A code is being shown to the camera.
    pub(crate) code_camera: Option<CodeCamera>,
    /// How often that was so.
    codes_shown: u64,
    /// What the lamp outside was last told.
    lamp: Option<CabinState>,
    pub(crate) link: Option<DeskLink>,
    pub(crate) desk: DeskState,
    pub(crate) physician: Option<PhysicianLink>,
    pub(crate) call_number: u64,
    /// Fingerprint of the page's end of the call that is open: another one is a new end.
    pub(crate) page_fingerprint: Option<String>,
    /// Microphone and camera, switched off by the patient: kept over a reconnection of the same call.
    pub(crate) muted: (bool, bool),
    pub(crate) call_stats: Option<call::Stats>,
    /// Pictures of the physician that were drawn in this call.
    pub(crate) pictures_drawn: Arc<AtomicU64>,
    pub(crate) call_faults: Vec<call::Fault>,
    pub(crate) drafts: Drafts,
    /// What the pharmacist reads of former requests to specialists.
    pub(crate) opinions: Opinions,
    /// What was said to specialists and is not at the desk yet.
    pub(crate) replies: Replies,
    pub(crate) front: Front,
    pub(crate) over: Over,
    pub(crate) help_hidden: bool,
    pub(crate) sign_in: SignInDraft,
    /// Whose PIN was right while equipment is missing: the check is in front of this pharmacist.
    opening: Option<Pharmacist>,
    /// What the place must have is being asked whether it is there.
    check: Option<Check>,
    pub(crate) print_fault: Option<PrintFault>,
    /// The roll of the receipt printer ends soon.
    pub(crate) receipt_paper_low: bool,
    pub(crate) voice: Voice,
    pub(crate) day: Day,
    timer: slint::Timer,
    ticks: u64,
    /// When the screen was last set.
    shown_at: Instant,
}

impl Cabin {
    /// A cabin whose journey is as its journal left it.
    pub fn new(
        app: App,
        settings: Settings,
        runtime: tokio::runtime::Handle,
        identity: Option<Identity>,
        tls: std::sync::Arc<rustls::ClientConfig>,
    ) -> anyhow::Result<Self> {
        let outbox = Client::with_patience(&settings.outbox_socket, OUTBOX_PATIENCE);
        let outbox_watch = Client::new(&settings.outbox_socket);
        let devices = Devices::open(settings.bindings.clone(), |message| post_device(Event::Port(message)))?;
        let (fixtures, said) = Fixtures::open(settings.fixtures.clone());
        std::thread::Builder::new()
            .name("fixtures".into())
            .spawn(move || said.into_iter().for_each(|message| post_device(Event::Fixture(message))))?;
        let replies = Replies::new(outbox.clone(), outbox_watch.clone(), &runtime);
        let day = Day::open(&settings.data_dir, &runtime);
        let found = journal::read_back(&outbox, &settings);
        let journal_known = found.is_ok();
        let found = found.unwrap_or_default();
        let restarted = found.is_some();
        let mut journey = found.unwrap_or_else(|| Journey::new(settings.site.clone(), settings.policy));
        if let Some(used) = cleaning::owed(&settings.data_dir) {
            journey.owe_cleaning(used);
        }
        let mut cabin = Self {
            app,
            runtime,
            identity: None,
            tls,
            journey,
            outbox,
            outbox_status: None,
            outbox_failed: false,
            others_open: 0,
            touched_unkept: None,
            unsaved: VecDeque::new(),
            seals_failed: 0,
            sealing: false,
            recordings: Recordings::default(),
            owed: VecDeque::new(),
            outbox_watch,
            journal_known,
            instruments: Instruments::new(&settings.instruments),
            binding: BindingDraft::default(),
            trials: 0,
            closing: Vec::new(),
            fixtures,
            room: Room::default(),
            fixture_health: FixtureHealth::new(&settings.fixtures),
            card_wanted: false,
            code_camera: None,
            codes_shown: 0,
            lamp: None,
            devices,
            link: None,
            desk: DeskState::default(),
            physician: None,
            call_number: 0,
            page_fingerprint: None,
            muted: (false, false),
            call_stats: None,
            pictures_drawn: Arc::default(),
            call_faults: Vec::new(),
            drafts: Drafts::default(),
            opinions: Opinions::default(),
            replies,
            front: Front::Patient,
            over: Over::Nothing,
            help_hidden: false,
            sign_in: SignInDraft::new(&settings),
            opening: None,
            check: None,
            print_fault: None,
            receipt_paper_low: false,
            voice: Voice::default(),
            day,
            timer: slint::Timer::default(),
            ticks: 0,
            shown_at: Instant::now(),
            settings,
        };
        cabin.runtime.spawn(call::route::watch(|_| post(Event::RouteChanged)));
        cabin.dial_desk(identity);
        if restarted {
            tracing::info!("the consultation that was under way is back");
            cabin.drafts = cabin.journey.dossier().map(Drafts::of).unwrap_or_default();
            cabin.input(Input::Restarted);
        }
        // Nothing is known of the line before the desk answers.
        cabin.input(Input::NetworkLost);
        Ok(cabin)
    }

    /// Takes one event.
    pub fn handle(&mut self, event: Event) {
        match event {
            Event::Port(message) => self.port(message),
            Event::Plugged(plugged) => self.plugged(plugged),
            Event::Fixture(message) => self.fixture(message),
            Event::FixtureIs(fixture, health) => self.fixture_health.is(fixture, health),
            Event::Trial(number, message) => self.trial(number, message),
            Event::Code(number, event) if number == self.codes_shown => self.code_event(event),
            Event::Code(..) => {}
            Event::Instrument(event) => self.instrument(event),
            Event::Desk(event) => self.desk_event(event),
            Event::Join(event) => self.join_event(event),
            Event::RouteChanged => self.route_changed(),
            Event::Physician(number, event) if number == self.call_number => self.physician_event(event),
            Event::Physician(..) => {}
            Event::PinChecked { index, right } => self.pin_checked(index, right),
            Event::Printed { of, printed, fault } => self.printed(of, printed, fault),
            Event::OpinionPrinted { request, printed, fault } => self.opinion_printed(&request, printed, fault),
            Event::ReceiptPrinter(status) => self.receipt_printer_is(status),
            Event::Outbox(status) => self.outbox_is(status),
            Event::Kept(pending, result) => self.recording_kept(*pending, result),
            Event::Sealed(of, result) => self.handed_over(of, result),
        }
    }

    /// Applies an input of a person, a device or the desk. Says whether it was taken.
    pub fn input(&mut self, input: Input) -> bool {
        if !self.unsaved.is_empty() && input.is_journalled() && !is_obeyed_at_once(&input) {
            return self.keep_unsaved(input);
        }
        self.take(input)
    }

    fn take(&mut self, input: Input) -> bool {
        let now = system_clock();
        let mut next = self.journey.clone();
        let effects = match next.apply(input.clone(), now) {
            Ok(effects) => effects,
            Err(refused) => {
                tracing::debug!(?refused, "refused");
                return false;
            }
        };
        match self.keep(&effects, &input, now, &next) {
            Ok(true) => self.outbox_failed = false,
            Ok(false) => {}
            Err(error) if is_behind(&error) && self.take_journal_again() => return false,
            Err(error) => {
                tracing::error!(%error, "an answer could not be kept; it is tried again");
                self.outbox_fails();
                let alarms = next.emergency().is_some() && self.journey.emergency().is_none();
                if !(alarms || is_obeyed_at_once(&input)) || self.owed.len() >= OWED_MAX {
                    return self.keep_unsaved(input);
                }
                self.owed.push_back((now, input.clone()));
            }
        }
        let before = std::mem::replace(&mut self.journey, next);
        if before.is_to_be_cleaned() != self.journey.is_to_be_cleaned() {
            self.keep_cleaning();
        }
        self.after(&input);
        for effect in effects {
            self.carry_out(effect, now);
        }
        self.share_what_became(&before, &input);
        self.drop_unnamed(&before);
        true
    }

    /// A restart, a power cut at closing time: whoever opens the cabin then must know that it is not clean.
    fn keep_cleaning(&self) {
        let kept = if self.journey.is_to_be_cleaned() {
            cleaning::keep(&self.settings.data_dir, self.journey.used())
        } else {
            cleaning::done(&self.settings.data_dir)
        };
        if let Err(error) = kept {
            tracing::error!(%error, "a restart would not know whether the cabin is clean: is the disk full?");
        }
    }

    /// What an accepted input changes beside the journey.
    fn after(&mut self, input: &Input) {
        match input {
            Input::ReadingsKept | Input::Skipped(_) => (self.drafts.skipping, self.drafts.site) = (None, None),
            Input::Retake | Input::MeasuringStarted => {
                self.drafts.skipping = None;
            }
            // A physician is there after all.
            Input::PhysicianOffered(_) => (self.drafts.calling_back, self.drafts.opinion) = (false, None),
            Input::SecondOpinionAsked(_) => self.drafts.opinion = None,
            Input::CallBackAsked(_) => {
                self.drafts.calling_back = false;
                self.day.count(system_clock(), |counts| counts.call_backs += 1);
            }
            Input::HelpAsked | Input::EmergencyAsked => {
                self.day.count(system_clock(), |counts| counts.helps += 1);
                self.help_hidden = false;
            }
            _ => {}
        }
        self.over = if matches!(input, Input::Left) { Over::Nothing } else { self.over };
    }

    /// The clock moved.
    fn tick(&mut self) {
        self.ticks += 1;
        if !self.journal_known && self.ticks.is_multiple_of(STATUS_TICKS) {
            self.ask_for_journal();
        }
        // An outbox that hangs is waited for now and then, not at every tick.
        if !self.outbox_failed || self.ticks.is_multiple_of(STATUS_TICKS) {
            // In their order: behind the first that fails again, the others wait again.
            for input in std::mem::take(&mut self.unsaved) {
                self.input(input);
            }
            // What was recorded and waits for the outbox is no measurement that took too long.
            let waits =
                |input: &Input| matches!(input, Input::MeasuringFailed { .. }) && self.recordings.are_under_way();
            if let Some(input) = self.journey.timeout_input(system_clock()).filter(|input| !waits(input)) {
                self.time_asks(input);
            }
            if self.ticks.is_multiple_of(STATUS_TICKS) {
                let told = |pending, result| post(Event::Kept(pending, result));
                self.recordings.try_again(&self.outbox, &self.runtime, told);
            }
        }
        if self.ticks.is_multiple_of(REPLY_TICKS) {
            self.send_reply();
        }
        self.tend_offer();
        self.lock_when_quiet();
        self.tend_typed_code();
        self.tend_fixtures();
        self.tend_equipment();
        self.tend_fixture_health();
        if self.ticks % DAY_TICKS == 1 {
            let data_dir = self.settings.data_dir.clone();
            self.runtime.spawn_blocking(move || captures::purge(&data_dir, SystemTime::now()));
        }
        if self.ticks % LOOK_TICKS == 1 {
            self.instruments.look(&self.runtime, |event| post(Event::Instrument(event)));
        }
        if self.ticks % RECEIPT_TICKS == 1 {
            self.ask_receipt_printer();
        }
        // Every few seconds, off this thread: a slow disk must not stop the screen.
        if self.ticks % STATUS_TICKS == 1 {
            let outbox = self.outbox_watch.clone();
            let data_dir = self.settings.data_dir.clone();
            self.runtime.spawn_blocking(move || post(Event::Outbox(keeping::status(&outbox, &data_dir))));
            life::answers(equipment::answering(self.desk.up, &self.devices, &self.instruments, &self.fixture_health));
        }
    }

    fn port(&mut self, message: Message) {
        let port = message.port.clone();
        let arrived = message.arrived;
        let Some((measurement, news)) = self.devices.take(message) else {
            return tracing::debug!(%port, "a message of an unknown port");
        };
        self.device_news(measurement, news, arrived);
    }

    fn device_news(&mut self, measurement: Measurement, news: News, arrived: Instant) {
        match news {
            News::Picture => {}
            News::Curve(samples) => self.share_curve(measurement, &samples),
            News::Ecg(ecg) => self.share_ecg(measurement, &ecg, arrived),
            News::Recorded { ecg, device, device_at, at } => {
                self.keep_recording(Pending::new(measurement, Content::Ecg(ecg), device, (device_at, at), None));
            }
            News::Probed => self.equipment_asked(),
            News::Lost => {
                self.input(Input::DeviceLost(measurement));
                self.equipment_changed();
            }
            News::Back => {
                self.input(Input::DeviceBack(measurement));
                self.equipment_changed();
            }
            News::Taken(readings) => {
                self.input(Input::ReadingsTaken { measurement, readings });
                tracing::debug!(micros = arrived.elapsed().as_micros(), "a reading is on the screen and on its way");
            }
            News::Failed(trouble) => {
                self.input(Input::MeasuringFailed { measurement, trouble });
            }
        }
    }

    /// The guided measurement in front of the patient.
    pub fn guided(&self) -> Option<&Guided> {
        self.journey.guided()
    }

    /// Whether the device of `measurement` is being read for the patient now.
    pub fn is_measuring(&self, measurement: Measurement) -> bool {
        self.guided()
            .is_some_and(|guided| guided.measurement == measurement && matches!(guided.act, Act::Measuring { .. }))
    }

    /// The consultation's name, while there is one.
    pub fn consultation(&self) -> Option<ConsultationId> {
        self.journey.dossier().map(|dossier| dossier.id)
    }

    /// Whether picture and sound are there.
    pub fn in_call(&self) -> bool {
        matches!(self.journey.step(), Step::Call { line: CallLine::Connected, .. })
    }

    /// Begins a consultation: the outbox opens its journal first.
    pub fn begin(&mut self) {
        if !self.journal_known {
            self.ask_for_journal();
        }
        match self.outbox.begin() {
            Ok(id) => {
                self.drafts = Drafts::default();
                self.help_hidden = false;
                if !self.input(Input::Begun(ConsultationId(*id.0.as_bytes()))) {
                    self.outbox.discard().ok();
                }
            }
            Err(error) => {
                tracing::error!(%error, "no consultation can begin: the outbox keeps nothing");
                // One is open that this program does not know: its folder came back after another outbox ran.
                self.journal_known &= !is_open_already(&error);
                self.outbox_failed = true;
            }
        }
    }

    /// Calls the pharmacist to the cabin by sound.
    pub(crate) fn ring(&mut self, why: HelpReason, loudness: crate::bell::Loudness) {
        tracing::info!(?why, "the pharmacist is called");
        crate::bell::ring(loudness);
        if let Some(id) = self.consultation() {
            self.tell_desk_of_help(id);
        }
    }
}

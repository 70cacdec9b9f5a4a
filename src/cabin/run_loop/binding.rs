//! Binding a device by touch: look what is plugged in, choose the model, see it speak, keep it in the configuration.

use std::path::PathBuf;
use std::time::Duration;

use consult::vitals::{Measurement, Value};
use drivers::Model;
use drivers::ports::{Address, Binding, Found, Message, Port, PortEvent, find, system_clock};
use drivers::probe::Probed;

use super::{Cabin, Event, Front, post, post_device, with};
use crate::captures;
use crate::devices::Devices;

/// Name of the binding that is tried, which no configuration can hold: names there are small letters.
const TRIAL: &str = "Trial";

/// A device that did not answer is asked again after that.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(3);

/// Something that is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugged {
    /// As it names itself; empty when it does not.
    pub product: String,
    /// Where it is, in the way that lasts longest.
    pub address: Address,
    /// What the kernel says of it: what it may be is decided by that.
    pub found: Found,
    /// Name of the device that the configuration has there.
    pub bound: Option<String>,
}

/// Why a binding was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Somebody is in the cabin.
    PatientPresent,
    /// Its memory tells of others: it is not recorded.
    TellsOfOthers,
    /// The file was not changed; its own words.
    NotWritten(String),
}

/// How far the technician is.
#[derive(Default)]
pub struct BindingDraft {
    /// Looking.
    pub looking: bool,
    /// What is plugged in.
    pub plugged: Vec<Plugged>,
    chosen: Option<usize>,
    /// Models that it may be, and whether its identity says so; those first.
    pub models: Vec<(&'static Model, bool)>,
    /// The model chosen.
    pub model: Option<&'static Model>,
    /// The device, open as that model.
    pub trial: Option<Devices>,
    /// Whether it speaks; `None` until that is known.
    pub answer: Option<Probed>,
    /// What a trial measurement gave.
    pub taken: Vec<Value>,
    /// A trial measurement is under way.
    pub measuring: bool,
    /// The exchange is being recorded.
    pub recording: bool,
    /// Where the last recording is.
    pub capture: Option<PathBuf>,
    /// Why it was not kept.
    pub trouble: Option<Trouble>,
    /// It is in the configuration.
    pub kept: bool,
}

impl BindingDraft {
    /// What was chosen of what is plugged in.
    pub fn chosen(&self) -> Option<&Plugged> {
        self.chosen.and_then(|index| self.plugged.get(index))
    }
}

impl Cabin {
    /// Opens the screen and looks.
    pub fn open_binding(&mut self) {
        self.binding = BindingDraft::default();
        self.front = Front::Binding;
        self.look_for_devices();
    }

    /// Looks what is plugged in, off the screen's thread: asking a serial port what it is takes time.
    pub fn look_for_devices(&mut self) {
        self.binding.looking = true;
        let bindings = self.settings.bindings.clone();
        self.runtime.spawn_blocking(move || post(Event::Plugged(look(&bindings))));
    }

    pub(super) fn plugged(&mut self, plugged: Vec<Plugged>) {
        self.binding.looking = false;
        // What was chosen of the former list meanwhile stays chosen.
        if self.binding.chosen.is_none() {
            self.binding.plugged = plugged;
        }
    }

    /// Chooses one of what is plugged in.
    pub fn choose_port(&mut self, index: usize) {
        let Some(place) = self.binding.plugged.get(index) else { return };
        self.binding.models = drivers::models_for(&place.found);
        self.binding.chosen = Some(index);
    }

    /// Opens the device as that model, to see whether it speaks.
    pub fn choose_model(&mut self, index: usize) {
        let (Some((model, _)), Some(place)) = (self.binding.models.get(index).copied(), self.binding.chosen()) else {
            return;
        };
        let address = place.address.clone();
        // The cabin's own port on it would hold it.
        if let Some(name) = place.bound.clone() {
            let others = self.settings.bindings.iter().filter(|binding| binding.name != name).cloned();
            self.reopen_devices(others.collect());
        }
        let binding = Binding { name: TRIAL.to_owned(), model, address };
        self.close_trial();
        self.trials += 1;
        let number = self.trials;
        match Devices::open_after(&self.closing, vec![binding], move |message| {
            post_device(Event::Trial(number, message))
        }) {
            Ok(trial) => self.binding.trial = Some(trial),
            Err(error) => tracing::error!(%error, "a device cannot be tried"),
        }
        (self.binding.model, self.binding.taken, self.binding.answer) = (Some(model), Vec::new(), None);
        (self.binding.measuring, self.binding.recording, self.binding.trouble) = (false, false, None);
    }

    /// Takes what the trial of that number said; a former trial's device says nothing of this one's.
    pub(super) fn trial(&mut self, number: u64, message: Message) {
        let Some(trial) = self.binding.trial.as_mut().filter(|_| number == self.trials) else { return };
        // A port that opens says that there is a cable; only an answer says that it is this model.
        let port = trial.port(TRIAL);
        let answer = &mut self.binding.answer;
        match &message.event {
            PortEvent::Opened { .. } => {
                *answer = None;
                port.into_iter().for_each(Port::probe);
            }
            PortEvent::Lost { .. } | PortEvent::Refused { .. } => *answer = None,
            // What it says by itself stays said.
            PortEvent::Probed(_) if *answer == Some(Probed::Answered) => {}
            // Asked while it measures: whatever it says then is its answer.
            PortEvent::Probed(Probed::InUse) => {}
            PortEvent::Probed(probed) => {
                *answer = Some(*probed);
                if *probed == Probed::NoAnswer {
                    // Somebody may be switching it on.
                    slint::Timer::single_shot(ASKED_AGAIN_AFTER, move || with(|cabin| cabin.ask_trial(number)));
                }
            }
            PortEvent::Live(_) | PortEvent::Waveform(_) | PortEvent::Ecg(_) => *answer = Some(Probed::Answered),
            PortEvent::Reading(reading) => {
                *answer = Some(Probed::Answered);
                self.binding.taken.push(reading.value);
            }
            PortEvent::Finished => {
                self.binding.measuring = false;
                if *answer != Some(Probed::Answered) {
                    port.into_iter().for_each(Port::probe);
                }
            }
            _ => {}
        }
        trial.take(message);
    }

    /// Asks the device of that trial whether it is there, unless its line is being recorded: questions are not its own.
    fn ask_trial(&mut self, number: u64) {
        let silent = self.binding.answer == Some(Probed::NoAnswer) && !self.binding.measuring;
        let trial = self.binding.trial.as_ref().filter(|_| number == self.trials && silent && !self.binding.recording);
        if let Some(port) = trial.and_then(|trial| trial.port(TRIAL)) {
            port.probe();
        }
    }

    /// Begins or ends a measurement with the device that is tried. What it gives is the technician's own.
    pub fn try_measuring(&mut self) {
        let Some(port) = self.binding.trial.as_ref().and_then(|trial| trial.port(TRIAL)) else { return };
        if self.binding.measuring {
            port.stop();
        } else {
            port.start();
        }
        self.binding.measuring = !self.binding.measuring;
        self.binding.taken.clear();
    }

    /// Begins or ends the recording of what is said on the line: for whoever mends a driver. Never with a patient.
    pub fn record_trial(&mut self) {
        let (Some(trial), Some(model)) = (&self.binding.trial, self.binding.model) else { return };
        let Some(port) = trial.port(TRIAL) else { return };
        if self.binding.recording {
            port.end_record();
            self.binding.recording = false;
            return;
        }
        if self.journey.dossier().is_some() {
            self.binding.trouble = Some(Trouble::PatientPresent);
            return;
        }
        if model.tells_of_others() {
            self.binding.trouble = Some(Trouble::TellsOfOthers);
            return;
        }
        let folder = captures::folder(&self.settings.data_dir);
        if let Err(error) = std::fs::create_dir_all(&folder) {
            self.binding.trouble = Some(Trouble::NotWritten(format!("{}: {error}", folder.display())));
            return;
        }
        let file = folder.join(format!("{}-{}.capture", model.key, system_clock().0 / 1_000));
        port.record(file.clone());
        (self.binding.capture, self.binding.recording) = (Some(file), true);
    }

    /// Writes the binding into the configuration and uses it from now on.
    pub fn keep_binding(&mut self) {
        let (Some(place), Some(model)) = (self.binding.chosen(), self.binding.model) else { return };
        if self.journey.dossier().is_some() {
            self.binding.trouble = Some(Trouble::PatientPresent);
            return;
        }
        let name = self.name_for(place, model);
        let address = place.address.clone();
        if let Err(error) = wiring::edit::set_device(&self.settings.file, &name, model.key, &wiring::port(&address)) {
            tracing::warn!(%error, "a binding was not kept");
            self.binding.trouble = Some(Trouble::NotWritten(error.to_string()));
            return;
        }
        tracing::info!(name, model = model.key, %address, "bound by the technician");
        let mut bindings = self.settings.bindings.clone();
        let binding = Binding { name, model, address };
        match bindings.iter_mut().find(|known| known.name == binding.name) {
            Some(known) => *known = binding,
            None => bindings.push(binding),
        }
        self.settings.bindings = bindings.clone();
        self.close_trial();
        self.reopen_devices(bindings);
        (self.binding.kept, self.binding.trouble) = (true, None);
    }

    /// A device that measures the same is replaced: parts are swapped more often than doubled.
    fn name_for(&self, place: &Plugged, model: &Model) -> String {
        let same = |binding: &&Binding| binding.model.measurement == model.measurement;
        let known = self.settings.bindings.iter().find(same).map(|binding| binding.name.clone());
        place.bound.clone().or(known).unwrap_or_else(|| usual_name(model.measurement).to_owned())
    }

    fn reopen_devices(&mut self, bindings: Vec<Binding>) {
        let instruments = self.settings.instruments.iter().map(|instrument| instrument.measurement);
        let fitted = bindings.iter().map(|binding| binding.model.measurement).chain(instruments).collect();
        if let Err(refused) = self.journey.refit(fitted) {
            return tracing::warn!(%refused, "the devices stay as they are");
        }
        match Devices::open(Vec::new(), |_| {}) {
            // The former ports are closed before the new ones open: each line has one reader.
            Ok(none) => {
                let former = std::mem::replace(&mut self.devices, none);
                self.closing.retain(|closed| !closed.is_closed());
                self.closing.push(former.close());
            }
            Err(error) => return tracing::error!(%error, "the devices cannot be opened again: restart the cabin"),
        }
        match Devices::open_after(&self.closing, bindings, |message| post_device(Event::Port(message))) {
            Ok(devices) => self.devices = devices,
            Err(error) => tracing::error!(%error, "the devices cannot be opened again: restart the cabin"),
        }
    }

    /// Closes what was tried, beside the screen. True when there was something.
    fn close_trial(&mut self) -> bool {
        let Some(trial) = self.binding.trial.take() else { return false };
        self.closing.retain(|closed| !closed.is_closed());
        self.closing.push(trial.close());
        true
    }

    /// Leaves the screen: what was tried is closed, and the cabin's own devices are its own again.
    pub(super) fn close_binding(&mut self) {
        let was_tried = self.close_trial();
        let draft = std::mem::take(&mut self.binding);
        if was_tried && draft.chosen().is_some_and(|place| place.bound.is_some()) {
            self.reopen_devices(self.settings.bindings.clone());
        }
    }

    /// One step back; what was tried is closed, and the cabin's own device opened again.
    pub fn binding_back(&mut self) {
        if self.binding.kept || self.binding.chosen.is_none() {
            self.binding = BindingDraft::default();
            self.front = Front::Technician;
        } else if self.close_trial() {
            if self.binding.chosen().is_some_and(|place| place.bound.is_some()) {
                self.reopen_devices(self.settings.bindings.clone());
            }
            (self.binding.measuring, self.binding.recording, self.binding.trouble) = (false, false, None);
        } else {
            self.binding.chosen = None;
        }
    }
}

fn usual_name(measurement: Measurement) -> &'static str {
    match measurement {
        Measurement::OxygenAndPulse => "oximeter",
        Measurement::BloodPressure => "cuff",
        Measurement::WeightAndHeight => "scale",
        Measurement::Temperature => "thermometer",
        Measurement::Glucose => "glucose_meter",
        Measurement::Ecg => "ecg",
        Measurement::EarPicture => "otoscope",
        Measurement::SkinPicture => "dermatoscope",
        Measurement::Auscultation => "stethoscope",
    }
}

/// Looks what is plugged in, and which of it the configuration has.
fn look(bindings: &[Binding]) -> Vec<Plugged> {
    let bound: Vec<_> = bindings
        .iter()
        .map(|binding| (&binding.name, find::resolve(&binding.address).map(|at| at.path), &binding.address))
        .collect();
    let plugged = drivers::plugged(bindings).into_iter().map(|found| {
        let address = drivers::lasting(&found);
        // The folder of a recorder may not be there yet.
        let is_it = |at: &Option<PathBuf>, known: &Address| at.as_ref() == Some(&found.path) || *known == address;
        Plugged {
            bound: bound.iter().find(|(_, at, known)| is_it(at, known)).map(|(name, ..)| (*name).clone()),
            product: found.product.clone().unwrap_or_default(),
            address,
            found,
        }
    });
    plugged.collect()
}

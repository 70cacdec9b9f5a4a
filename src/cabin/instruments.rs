//! The instruments that see and hear: otoscope, dermatoscope, stethoscope. Each is open only while a person uses it, so
//! that no lamp burns and nobody else is seen or heard; whether it is plugged is read from the kernel's files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use consult::vitals::{DeviceIdentity, Measurement};
use exam::camera::still::{Still, StillError};
use exam::camera::{self, Camera, CameraEvent};
use exam::sound::clip::{CLIP, Clip, ClipError};
use exam::sound::{self, Curve, Stethoscope, StethoscopeEvent};
use exam::{Device, picture};
use media::{Frame, SoundBlock};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::devices::Health;

/// A camera that sends gives its next picture within that time.
const STILL_WITHIN: Duration = Duration::from_secs(3);
/// Blocks of sound, a fiftieth of a second each, that wait for the call at most.
const BLOCKS_WAITING_MAX: usize = 25;

/// Where an instrument is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A camera.
    Camera(camera::Source),
    /// A stethoscope.
    Stethoscope(sound::Source),
}

/// Which instrument, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// What it is for.
    pub measurement: Measurement,
    /// Where it is.
    pub source: Source,
}

impl Setting {
    fn is_plugged(&self) -> bool {
        match &self.source {
            Source::Camera(camera::Source::Test(_)) | Source::Stethoscope(sound::Source::Test) => true,
            Source::Camera(camera::Source::Picture(file)) => file.exists(),
            Source::Camera(camera::Source::Plugged(address)) => camera::find::is_plugged(address),
            Source::Stethoscope(sound::Source::Plugged(address)) => sound::find::is_plugged(address),
        }
    }

    /// The test picture or sound, in the place of an instrument.
    pub fn is_test(&self) -> bool {
        matches!(self.source, Source::Camera(camera::Source::Test(_)) | Source::Stethoscope(sound::Source::Test))
    }

    /// Where it is, as the configuration says.
    pub fn address(&self) -> String {
        match &self.source {
            Source::Camera(camera::Source::Plugged(address)) | Source::Stethoscope(sound::Source::Plugged(address)) => {
                address.to_string()
            }
            Source::Camera(camera::Source::Test(_)) | Source::Stethoscope(sound::Source::Test) => "test".to_owned(),
            Source::Camera(camera::Source::Picture(file)) => file.display().to_string(),
        }
    }
}

/// What happens to the instruments.
pub enum InstrumentEvent {
    /// What is plugged was looked at: of each instrument, whether it is there.
    Seen(Vec<(Measurement, bool)>),
    /// One that was opened says something.
    Said(Opening, Said),
    /// It was opened to see whether it gives anything; what is wrong, in its own words.
    Tried(Measurement, Result<(), String>),
}

/// One opening of an instrument. What an earlier one still says belongs to an act that is over, and may be of another
/// patient: nobody hears it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// Which instrument.
    pub measurement: Measurement,
    /// Counts the openings of all instruments.
    pub number: u64,
}

/// What an instrument that was opened does.
pub enum Said {
    /// It is open and gives its picture or sound.
    Opened(Device),
    /// Its cable was pulled out, or it stopped; the kernel's words.
    Lost(String),
    /// It is there and cannot be used; what to do.
    Refused(String),
    /// Its button was pressed.
    Pressed,
    /// What the stethoscope hears; the flag is cleared once it is drawn.
    Hears(Curve, Arc<AtomicBool>),
    /// A picture was taken, or not.
    Taken(Box<Result<Still, StillError>>),
    /// A sound was recorded, or not.
    Recorded(Box<Result<Clip, ClipError>>),
}

/// What a person should do for a better picture or sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// For a better picture.
    Picture(picture::Advice),
    /// For a better sound.
    Sound(sound::measures::Advice),
}

enum Open {
    Camera(Arc<Camera>),
    Stethoscope(Stethoscope),
}

/// What an open instrument gives, as it comes.
pub enum Live {
    /// Its pictures, the newest each time.
    Pictures(watch::Receiver<Option<Frame>>),
    /// Its sound.
    Sound(mpsc::Receiver<SoundBlock>),
}

/// One instrument.
pub struct Instrument {
    /// Which.
    pub setting: Setting,
    /// How it is.
    pub health: Health,
    /// Its name, once it was open.
    pub name: String,
    /// What a person should do for a better picture or sound.
    pub advice: Option<Advice>,
    /// It is open and gives something.
    pub ready: bool,
    /// A picture or a sound is being taken; a sound until then.
    pub taking: Option<Instant>,
    /// What was taken, as it is drawn.
    pub frozen: Option<Frame>,
    /// What the stethoscope hears, lowest and highest of each fiftieth of a second.
    pub curve: Curve,
    open: Option<(u64, Open)>,
    trial: Trial,
    /// What is wrong with it, in its own words; empty when nothing is.
    pub trouble: String,
}

/// Whether it was opened to see whether it gives anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    /// Not since it was plugged.
    Untried,
    UnderWay,
    Gave,
    GaveNothing,
}

/// All instruments of the cabin.
#[derive(Default)]
pub struct Instruments {
    all: Vec<Instrument>,
    /// How often one was opened.
    openings: u64,
}

impl Instruments {
    /// As configured, none open.
    pub fn new(settings: &[Setting]) -> Self {
        let instrument = |setting: &Setting| Instrument {
            setting: setting.clone(),
            health: Health::Unknown,
            name: setting.address(),
            advice: None,
            ready: false,
            taking: None,
            frozen: None,
            curve: Curve::default(),
            open: None,
            trial: Trial::Untried,
            trouble: String::new(),
        };
        Self { all: settings.iter().map(instrument).collect(), openings: 0 }
    }

    /// The instrument of a measurement.
    pub fn serving(&self, measurement: Measurement) -> Option<&Instrument> {
        self.all.iter().find(|instrument| instrument.setting.measurement == measurement)
    }

    fn serving_mut(&mut self, measurement: Measurement) -> Option<&mut Instrument> {
        self.all.iter_mut().find(|instrument| instrument.setting.measurement == measurement)
    }

    /// Every instrument.
    pub fn iter(&self) -> impl Iterator<Item = &Instrument> {
        self.all.iter()
    }

    /// Looks which are plugged, off the screen's thread; the answer is an event. An open one says by itself when it
    /// goes.
    pub fn look(&self, runtime: &Handle, events: impl Fn(InstrumentEvent) + Send + 'static) {
        let closed: Vec<_> = self.all.iter().filter(|i| i.open.is_none()).map(|i| i.setting.clone()).collect();
        if closed.is_empty() {
            return;
        }
        runtime.spawn_blocking(move || {
            let seen = closed.iter().map(|setting| (setting.measurement, setting.is_plugged()));
            events(InstrumentEvent::Seen(seen.collect()));
        });
    }

    /// Takes what was seen; of each whose state changed, whether it is there now.
    pub fn seen(&mut self, seen: Vec<(Measurement, bool)>) -> Vec<(Measurement, bool)> {
        let mut changed = Vec::new();
        for (measurement, is_there) in seen {
            let Some(instrument) = self.serving_mut(measurement).filter(|i| i.open.is_none()) else { continue };
            let health = if is_there { Health::Ready } else { Health::Unplugged };
            if instrument.health != health {
                instrument.health = health;
                // One that was pulled out under a trial is tried again by the next.
                (instrument.trial, instrument.trouble) = (Trial::Untried, String::new());
                changed.push((measurement, is_there));
            }
        }
        changed
    }

    /// Whether it is open still, or again: only then is what it says of the act in front of the patient.
    pub fn is_open(&self, opening: Opening) -> bool {
        self.serving(opening.measurement)
            .is_some_and(|instrument| instrument.open.as_ref().is_some_and(|(number, _)| *number == opening.number))
    }

    /// Opens each that is closed for a picture or some sound, all at the same time, off the screen's thread; the
    /// answers are events.
    pub fn try_all(&mut self, runtime: &Handle, events: impl Fn(InstrumentEvent) + Clone + Send + 'static) {
        let mut sources: Vec<(Source, Vec<Measurement>)> = Vec::new();
        for instrument in self.all.iter_mut().filter(|i| i.open.is_none() && i.trial != Trial::UnderWay) {
            instrument.trial = Trial::UnderWay;
            // One camera may serve for ear and skin: it is opened once.
            match sources.iter_mut().find(|(source, _)| *source == instrument.setting.source) {
                Some((_, measurements)) => measurements.push(instrument.setting.measurement),
                None => sources.push((instrument.setting.source.clone(), vec![instrument.setting.measurement])),
            }
        }
        for (source, measurements) in sources {
            let events = events.clone();
            runtime.spawn_blocking(move || {
                let tried = match source {
                    Source::Camera(source) => exam::trial::picture(source),
                    Source::Stethoscope(source) => exam::trial::sound(source),
                };
                for measurement in measurements {
                    events(InstrumentEvent::Tried(measurement, tried.clone()));
                }
            });
        }
    }

    /// Takes what a trial gave.
    pub fn tried(&mut self, measurement: Measurement, tried: Result<(), String>) {
        if let Some(instrument) = self.serving_mut(measurement) {
            instrument.trial = if tried.is_ok() { Trial::Gave } else { Trial::GaveNothing };
            instrument.trouble = tried.err().unwrap_or_default();
        }
    }

    /// Opens the instrument of a measurement. Live pictures go to `show`, which clears the flag once one is drawn.
    pub fn start(
        &mut self,
        measurement: Measurement,
        runtime: &Handle,
        events: impl Fn(InstrumentEvent) + Clone + Send + 'static,
        show: impl Fn(Opening, Option<Frame>, Arc<AtomicBool>) + Send + 'static,
    ) {
        self.openings += 1;
        let opening = Opening { measurement, number: self.openings };
        let Some(instrument) = self.serving_mut(measurement) else { return };
        instrument.forget();
        let said = move |said| events(InstrumentEvent::Said(opening, said));
        let opened = match &instrument.setting.source {
            Source::Camera(source) => {
                open_camera(source.clone(), runtime, said, move |frame, busy| show(opening, frame, busy))
            }
            Source::Stethoscope(source) => open_stethoscope(source.clone(), runtime, said),
        };
        match opened {
            Ok(open) => instrument.open = Some((opening.number, open)),
            Err(error) => tracing::error!(%error, "an instrument cannot be opened"),
        }
    }

    /// What the instrument of a measurement gives while it is open; whoever listened to its sound before no longer does.
    pub fn live(&self, measurement: Measurement) -> Option<Live> {
        match &self.serving(measurement)?.open {
            Some((_, Open::Camera(camera))) => Some(Live::Pictures(camera.live())),
            Some((_, Open::Stethoscope(stethoscope))) => {
                let (to, heard) = mpsc::channel(BLOCKS_WAITING_MAX);
                stethoscope.listen(to);
                Some(Live::Sound(heard))
            }
            None => None,
        }
    }

    /// Closes it, off the screen's thread.
    pub fn stop(&mut self, measurement: Measurement, runtime: &Handle) {
        if let Some(instrument) = self.serving_mut(measurement) {
            (instrument.ready, instrument.taking) = (false, None);
            if let Some((_, open)) = instrument.open.take() {
                runtime.spawn_blocking(move || drop(open));
            }
        }
    }

    /// Takes a picture, or begins a recording; it comes as an event.
    pub fn take(
        &mut self,
        measurement: Measurement,
        runtime: &Handle,
        events: impl Fn(InstrumentEvent) + Send + 'static,
    ) {
        let Some(instrument) = self.serving_mut(measurement).filter(|i| i.ready && i.taking.is_none()) else { return };
        let Some((number, open)) = &instrument.open else { return };
        let opening = Opening { measurement, number: *number };
        let said = move |said| events(InstrumentEvent::Said(opening, said));
        match open {
            Open::Camera(camera) => {
                let camera = camera.clone();
                instrument.taking = Some(Instant::now());
                runtime.spawn_blocking(move || said(Said::Taken(Box::new(camera.still(STILL_WITHIN)))));
            }
            Open::Stethoscope(stethoscope) => match stethoscope.clip(CLIP) {
                Err(error) => said(Said::Recorded(Box::new(Err(error)))),
                Ok(done) => {
                    instrument.taking = Some(Instant::now() + CLIP);
                    runtime.spawn_blocking(move || recorded(&done, said));
                }
            },
        }
    }

    /// An instrument gives its picture or sound. True when that is news.
    pub fn opened(&mut self, measurement: Measurement, device: &Device) -> bool {
        let Some(instrument) = self.serving_mut(measurement).filter(|i| i.open.is_some()) else { return false };
        instrument.ready = true;
        (instrument.trial, instrument.trouble) = (Trial::Gave, String::new());
        instrument.name.clone_from(&device.name);
        std::mem::replace(&mut instrument.health, Health::Ready) != Health::Ready
    }

    /// An instrument is gone or cannot be used. True when that is news.
    pub fn gone(&mut self, measurement: Measurement, health: Health, why: String) -> bool {
        let Some(instrument) = self.serving_mut(measurement).filter(|i| i.open.is_some()) else { return false };
        (instrument.ready, instrument.taking, instrument.advice) = (false, None, None);
        (instrument.trial, instrument.trouble) = (Trial::Untried, why);
        let was = std::mem::replace(&mut instrument.health, health);
        was == Health::Ready
    }

    /// What the stethoscope hears.
    pub fn hears(&mut self, measurement: Measurement, curve: Curve) {
        if let Some(instrument) = self.serving_mut(measurement).filter(|i| i.open.is_some()) {
            instrument.curve = curve;
        }
    }

    /// What was taken: what is drawn of it, and what could be better.
    pub fn taken(&mut self, measurement: Measurement, frozen: Option<Frame>, advice: Option<Advice>) {
        if let Some(instrument) = self.serving_mut(measurement) {
            (instrument.taking, instrument.frozen, instrument.advice) = (None, frozen, advice);
        }
    }

    /// Nothing of the last patient stays.
    pub fn forget(&mut self, runtime: &Handle) {
        let measurements: Vec<_> = self.all.iter().map(|instrument| instrument.setting.measurement).collect();
        for measurement in measurements {
            self.stop(measurement, runtime);
        }
        self.all.iter_mut().for_each(Instrument::forget);
    }
}

impl Instrument {
    /// It is plugged, and gave something when it was tried last.
    pub fn answers(&self) -> bool {
        self.health == Health::Ready && self.trial != Trial::GaveNothing
    }

    /// It was tried, and what came of it is known.
    pub fn is_tried(&self) -> bool {
        matches!(self.trial, Trial::Gave | Trial::GaveNothing) || self.open.is_some()
    }

    fn forget(&mut self) {
        (self.advice, self.ready, self.taking, self.frozen) = (None, false, None, None);
        self.curve = Curve::default();
    }
}

/// Hands the live picture on, the newest each time: the flag is cleared once it is drawn. Ends with the camera.
pub(crate) fn draw_live(
    mut live: watch::Receiver<Option<Frame>>,
    runtime: &Handle,
    show: impl Fn(Option<Frame>, Arc<AtomicBool>) + Send + 'static,
) {
    runtime.spawn(async move {
        let busy = Arc::new(AtomicBool::new(false));
        while live.changed().await.is_ok() {
            let frame = live.borrow_and_update().clone();
            if !busy.swap(true, Ordering::AcqRel) {
                show(frame, Arc::clone(&busy));
            }
        }
    });
}

fn open_camera(
    source: camera::Source,
    runtime: &Handle,
    said: impl Fn(Said) + Send + 'static,
    show: impl Fn(Option<Frame>, Arc<AtomicBool>) + Send + 'static,
) -> std::io::Result<Open> {
    let (sender, receiver) = sync_channel(camera::EVENTS_MAX);
    let camera = Camera::open(source, sender)?;
    draw_live(camera.live(), runtime, show);
    // Ends with the camera, whose end of the channel it is.
    runtime.spawn_blocking(move || {
        for event in receiver {
            said(match event {
                CameraEvent::Opened { device, .. } => Said::Opened(device),
                CameraEvent::Lost { why } => Said::Lost(why),
                CameraEvent::Refused { why, .. } => Said::Refused(why),
                CameraEvent::Pressed => Said::Pressed,
            });
        }
    });
    Ok(Open::Camera(Arc::new(camera)))
}

fn open_stethoscope(
    source: sound::Source,
    runtime: &Handle,
    said: impl Fn(Said) + Clone + Send + 'static,
) -> std::io::Result<Open> {
    let (sender, receiver) = sync_channel(sound::EVENTS_MAX);
    let stethoscope = Stethoscope::open(source, sender)?;
    let mut heard = stethoscope.curve();
    let curves = said.clone();
    runtime.spawn(async move {
        let busy = Arc::new(AtomicBool::new(false));
        while heard.changed().await.is_ok() {
            let curve = heard.borrow_and_update().clone();
            if !busy.swap(true, Ordering::AcqRel) {
                curves(Said::Hears(curve, Arc::clone(&busy)));
            }
        }
    });
    runtime.spawn_blocking(move || {
        for event in receiver {
            said(match event {
                StethoscopeEvent::Opened { device, .. } => Said::Opened(device),
                StethoscopeEvent::Lost { why } => Said::Lost(why),
                StethoscopeEvent::Refused { why } => Said::Refused(why),
            });
        }
    });
    Ok(Open::Stethoscope(stethoscope))
}

/// Waits for a clip; a stethoscope that was closed meanwhile gives none.
fn recorded(done: &Receiver<Result<Clip, ClipError>>, said: impl Fn(Said)) {
    said(Said::Recorded(Box::new(done.recv().unwrap_or(Err(ClipError::Lost)))));
}

/// What takes the place of a model's key.
pub fn kind(measurement: Measurement) -> &'static str {
    match measurement {
        Measurement::EarPicture => "otoscope_uvc",
        Measurement::SkinPicture => "dermatoscope_uvc",
        _ => "stethoscope_uac",
    }
}

/// An instrument, as a record names a device.
pub fn identity(measurement: Measurement, device: &Device) -> DeviceIdentity {
    let usb = device.usb.as_ref();
    DeviceIdentity {
        model: kind(measurement).to_owned(),
        serial: usb.and_then(|usb| usb.serial.clone()),
        firmware: usb.and_then(|usb| usb.revision.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use exam::camera::format::{Coding, Mode};

    use super::*;

    const EAR: Measurement = Measurement::EarPicture;

    fn otoscope() -> Instruments {
        let mode = Mode { coding: Coding::Jpeg, width: 320, height: 240, rate: (20, 1) };
        Instruments::new(&[Setting { measurement: EAR, source: Source::Camera(camera::Source::Test(mode)) }])
    }

    /// The next thing an opened instrument says that fits, and of which opening.
    fn heard(events: &mpsc::Receiver<InstrumentEvent>, fits: fn(&Said) -> bool) -> (Opening, Said) {
        loop {
            match events.recv_timeout(Duration::from_secs(60)).expect("nothing is said") {
                InstrumentEvent::Said(opening, said) if fits(&said) => return (opening, said),
                _ => {}
            }
        }
    }

    #[test]
    fn a_picture_that_comes_after_its_patient_was_forgotten_is_nobodys() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (post, events) = mpsc::channel();
        let told = move |event| drop(post.send(event));
        let show = |_, _, busy: Arc<AtomicBool>| busy.store(false, Ordering::Release);
        let mut instruments = otoscope();
        instruments.start(EAR, runtime.handle(), told.clone(), show);
        let (first, said) = heard(&events, |said| matches!(said, Said::Opened(_)));
        let Said::Opened(device) = said else { unreachable!("it fits") };
        assert!(instruments.is_open(first) && instruments.opened(EAR, &device));
        instruments.take(EAR, runtime.handle(), told.clone());
        // The picture is on its way, and the patient leaves; the next one begins.
        instruments.forget(runtime.handle());
        instruments.start(EAR, runtime.handle(), told.clone(), show);
        // In either order.
        let (mut late, mut second) = (None, None);
        while late.is_none() || second.is_none() {
            match heard(&events, |said| matches!(said, Said::Taken(_) | Said::Opened(_))) {
                (opening, Said::Taken(_)) => late = Some(opening),
                (opening, _) => second = Some(opening),
            }
        }
        let (late, second) = (late.unwrap(), second.unwrap());
        assert_eq!(late, first);
        assert!(!instruments.is_open(late), "it would be the next patient's");
        assert!(second != first && instruments.is_open(second));
        assert!(instruments.serving(EAR).unwrap().frozen.is_none());
        instruments.forget(runtime.handle());
        assert!(!instruments.is_open(second));
    }
}

//! The instruments that see: otoscope and dermatoscope. Each is open only while a person uses it, so that no lamp burns
//! and no camera looks at anybody else; whether it is plugged is read from the kernel's files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use consult::vitals::{DeviceIdentity, Measurement};
use exam::camera::still::{Still, StillError};
use exam::camera::{Camera, CameraEvent, EVENTS_MAX, Source, find};
use exam::picture::Advice;
use exam::{Address, Device};
use media::Frame;
use tokio::runtime::Handle;

use crate::devices::Health;

/// A camera that sends gives its next picture within that time.
const STILL_WITHIN: Duration = Duration::from_secs(3);

/// Which instrument, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// What it is for.
    pub measurement: Measurement,
    /// Which camera.
    pub source: Source,
}

/// What an instrument does.
pub enum InstrumentEvent {
    /// What is plugged was looked at: of each instrument, whether it is there.
    Seen(Vec<(Measurement, bool)>),
    /// The open camera says something.
    Camera(Measurement, CameraEvent),
    /// A picture was taken, or not.
    Taken(Measurement, Box<Result<Still, StillError>>),
}

/// One instrument.
pub struct Instrument {
    /// Which.
    pub setting: Setting,
    /// How it is.
    pub health: Health,
    /// Its name, once it was open.
    pub name: String,
    /// What a person should do for a better picture.
    pub advice: Option<Advice>,
    /// The first picture has come.
    pub ready: bool,
    /// A picture is being taken.
    pub taking: bool,
    /// What was taken, as it is drawn.
    pub frozen: Option<Frame>,
    open: Option<Arc<Camera>>,
}

/// All instruments of the cabin.
#[derive(Default)]
pub struct Instruments {
    all: Vec<Instrument>,
}

impl Instruments {
    /// As configured, none open.
    pub fn new(settings: &[Setting]) -> Self {
        let instrument = |setting: &Setting| Instrument {
            setting: setting.clone(),
            health: Health::Unknown,
            name: match &setting.source {
                Source::Plugged(address) => address.to_string(),
                Source::Test(_) => "test".to_owned(),
            },
            advice: None,
            ready: false,
            taking: false,
            frozen: None,
            open: None,
        };
        Self { all: settings.iter().map(instrument).collect() }
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

    /// Looks which are plugged, off the screen's thread; the answer is an event. An open camera says by itself when it
    /// goes.
    pub fn look(&self, runtime: &Handle, events: impl Fn(InstrumentEvent) + Send + 'static) {
        let closed: Vec<_> = self.all.iter().filter(|i| i.open.is_none()).map(|i| i.setting.clone()).collect();
        if closed.is_empty() {
            return;
        }
        runtime.spawn_blocking(move || {
            let is_there = |setting: &Setting| match &setting.source {
                Source::Test(_) => true,
                Source::Plugged(address) => find::is_plugged(address),
            };
            events(InstrumentEvent::Seen(closed.iter().map(|s| (s.measurement, is_there(s))).collect()));
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
                changed.push((measurement, is_there));
            }
        }
        changed
    }

    /// Opens the camera of a measurement. Live pictures go to `show`, which clears the flag once it has drawn one.
    pub fn start(
        &mut self,
        measurement: Measurement,
        runtime: &Handle,
        events: impl Fn(InstrumentEvent) + Send + 'static,
        show: impl Fn(Option<Frame>, Arc<AtomicBool>) + Send + 'static,
    ) {
        let Some(instrument) = self.serving_mut(measurement) else { return };
        (instrument.advice, instrument.ready, instrument.taking, instrument.frozen) = (None, false, false, None);
        let (sender, receiver) = sync_channel(EVENTS_MAX);
        let camera = match Camera::open(instrument.setting.source.clone(), sender) {
            Ok(camera) => camera,
            Err(error) => return tracing::error!(%error, "a camera cannot be opened"),
        };
        let mut live = camera.live();
        runtime.spawn(async move {
            let busy = Arc::new(AtomicBool::new(false));
            while live.changed().await.is_ok() {
                let frame = live.borrow_and_update().clone();
                if !busy.swap(true, Ordering::AcqRel) {
                    show(frame, Arc::clone(&busy));
                }
            }
        });
        // Ends with the camera, whose end of the channel it is.
        runtime.spawn_blocking(move || {
            for event in receiver {
                events(InstrumentEvent::Camera(measurement, event));
            }
        });
        instrument.open = Some(Arc::new(camera));
    }

    /// Closes it, off the screen's thread.
    pub fn stop(&mut self, measurement: Measurement, runtime: &Handle) {
        if let Some(instrument) = self.serving_mut(measurement) {
            (instrument.advice, instrument.ready, instrument.taking) = (None, false, false);
            if let Some(camera) = instrument.open.take() {
                runtime.spawn_blocking(move || drop(camera));
            }
        }
    }

    /// Takes a picture; it comes as an event.
    pub fn take(
        &mut self,
        measurement: Measurement,
        runtime: &Handle,
        events: impl Fn(InstrumentEvent) + Send + 'static,
    ) {
        let Some(instrument) = self.serving_mut(measurement).filter(|i| i.ready && !i.taking) else { return };
        let Some(camera) = instrument.open.clone() else { return };
        instrument.taking = true;
        runtime.spawn_blocking(move || {
            let still = camera.still(STILL_WITHIN);
            events(InstrumentEvent::Taken(measurement, Box::new(still)));
        });
    }

    /// What an open camera said; whether its device came or went by it.
    pub fn camera(&mut self, measurement: Measurement, event: &CameraEvent) -> Option<bool> {
        let instrument = self.serving_mut(measurement).filter(|instrument| instrument.open.is_some())?;
        let was = instrument.health.clone();
        match event {
            CameraEvent::Opened { device, .. } => {
                (instrument.health, instrument.ready) = (Health::Ready, true);
                instrument.name.clone_from(&device.name);
            }
            CameraEvent::Lost { why } => {
                tracing::warn!(why, "an instrument's camera is gone: check its cable");
                (instrument.health, instrument.ready, instrument.taking) = (Health::Unplugged, false, false);
            }
            CameraEvent::Refused { why, .. } => {
                tracing::warn!(why, "an instrument's camera cannot be used");
                (instrument.health, instrument.ready, instrument.taking) = (Health::AtFault, false, false);
            }
            CameraEvent::Pressed => {}
        }
        (was != instrument.health).then_some(instrument.health == Health::Ready)
    }

    /// A still that was taken: what is drawn of it, and what could be better.
    pub fn taken(&mut self, measurement: Measurement, still: Option<&Still>) {
        if let Some(instrument) = self.serving_mut(measurement) {
            instrument.taking = false;
            instrument.advice = still.and_then(|still| still.advice);
            instrument.frozen = still.map(|still| still.frozen.clone());
        }
    }

    /// Nothing of the last patient stays.
    pub fn forget(&mut self, runtime: &Handle) {
        let measurements: Vec<_> = self.all.iter().map(|instrument| instrument.setting.measurement).collect();
        for measurement in measurements {
            self.stop(measurement, runtime);
        }
        for instrument in &mut self.all {
            instrument.frozen = None;
        }
    }
}

/// Which camera a text of the configuration names: a file, or `usb=VENDOR:PRODUCT`, with `/SERIAL` or `@SOCKET`.
pub fn address(text: &str) -> Option<Address> {
    let Some(usb) = text.strip_prefix("usb=") else { return Some(Address::Named(text.to_owned())) };
    let usb: drivers::ports::UsbAddress = usb.parse().ok()?;
    let (serial, socket) = match usb.which {
        drivers::ports::Which::Only => (None, None),
        drivers::ports::Which::Serial(serial) => (Some(serial), None),
        drivers::ports::Which::Socket(socket) => (None, Some(socket)),
    };
    Some(Address::Usb { vendor: usb.vid, product: usb.pid, serial, socket })
}

/// A camera, as a record names a device.
pub fn identity(measurement: Measurement, device: &Device) -> DeviceIdentity {
    let kind = match measurement {
        Measurement::EarPicture => "otoscope_uvc",
        Measurement::SkinPicture => "dermatoscope_uvc",
        _ => "stethoscope_uac",
    };
    let usb = device.usb.as_ref();
    DeviceIdentity {
        model: kind.to_owned(),
        serial: usb.and_then(|usb| usb.serial.clone()),
        firmware: usb.and_then(|usb| usb.revision.clone()),
    }
}

//! A simulated device, its port, and what the port says.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use consult::vitals::{Glucose, Reading, Value};
use drivers::model;
use drivers::ports::{Address, Binding, Message, Port, PortEvent};
use sim::Simulator;

/// A test that waits longer than that for a device has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// A device is back within that time of its cable.
pub const BACK_WITHIN: Duration = Duration::from_secs(2);

pub struct Bench {
    pub sim: Simulator,
    pub port: Port,
    messages: Receiver<Message>,
    /// Of its pseudo-terminal or of its files; none on the network.
    dir: Option<PathBuf>,
}

impl Bench {
    /// On a pseudo-terminal; a recorder, as a folder of files.
    pub fn new(key: &'static str, test: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("drivers-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let link = dir.join("port");
        let sim = Simulator::start(key, &link).unwrap();
        Self::opened(key, test, sim, Address::Path(link), Some(dir))
    }

    /// On the network, told `orders` before the cabin comes.
    pub fn on_tcp(key: &'static str, orders: &[&str]) -> Self {
        let address = free_address();
        let sim = Simulator::start_on_tcp(key, &address).unwrap();
        orders.iter().for_each(|order| drop(sim.command(order).unwrap()));
        Self::opened(key, key, sim, Address::Tcp(address), None)
    }

    fn opened(key: &'static str, name: &str, sim: Simulator, address: Address, dir: Option<PathBuf>) -> Self {
        let (sender, messages) = mpsc::sync_channel(drivers::ports::MESSAGES_MAX);
        let binding = Binding { name: name.into(), model: model(key).unwrap(), address };
        let port = Port::open(binding, sender).unwrap();
        let bench = Bench { sim, port, messages, dir };
        bench.until(|event| matches!(event, PortEvent::Opened { .. }));
        bench
    }

    /// Where its port is, and a test may leave files.
    pub fn dir(&self) -> &Path {
        self.dir.as_ref().unwrap()
    }

    pub fn order(&self, command: &str) {
        self.sim.command(command).unwrap();
    }

    /// Everything said, up to and with the first event that fits.
    pub fn until(&self, fits: impl Fn(&PortEvent) -> bool) -> Vec<PortEvent> {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(message) = self.messages.recv_timeout(left) else {
                seen.retain(|event| !matches!(event, PortEvent::Ecg(_)));
                panic!("waited in vain; seen besides live blocks of a curve: {seen:?}")
            };
            assert!(message.arrived <= Instant::now());
            seen.push(message.event);
            if seen.last().is_some_and(&fits) {
                return seen;
            }
        }
    }

    pub fn until_finished(&self) -> Vec<PortEvent> {
        self.until(|event| matches!(event, PortEvent::Finished))
    }

    /// Starts, measures once the device is there, and gives what came.
    pub fn measure(&self) -> Vec<PortEvent> {
        self.port.start();
        self.order("measure");
        self.until_finished()
    }

    /// Unplugs in mid-measurement; the measurement ends well without another start.
    pub fn unplug_and_go_on(&self, under_way: impl Fn(&PortEvent) -> bool) {
        self.port.start();
        self.until(under_way);
        self.order("unplug");
        self.until(|e| matches!(e, PortEvent::Lost { was_open: true, .. }));
        let plugged_at = Instant::now();
        self.order("plug");
        self.until(|e| matches!(e, PortEvent::Opened { .. }));
        assert!(plugged_at.elapsed() < BACK_WITHIN);
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(dir) = &self.dir {
            let _ = std::fs::remove_dir_all(dir);
        }
    }
}

/// A port that nobody listens on: each test takes the next.
fn free_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let base = 20_000 + u16::try_from(std::process::id() % 20_000).unwrap();
    loop {
        let address = format!("127.0.0.1:{}", base + NEXT.fetch_add(1, Ordering::SeqCst));
        if std::net::TcpListener::bind(&address).is_ok() {
            return address;
        }
    }
}

pub fn readings(events: &[PortEvent]) -> Vec<Reading> {
    events.iter().filter_map(|e| if let PortEvent::Reading(r) = e { Some(r.clone()) } else { None }).collect()
}

pub fn numbers(events: &[PortEvent]) -> Vec<u32> {
    let number = |reading: Reading| match reading.value {
        Value::Spo2(v) => vec![v.percent().into()],
        Value::PulseRate(v) => vec![v.per_minute().into()],
        Value::BloodPressure(v) => {
            let pressures = [Some(v.systolic()), Some(v.diastolic()), v.mean()];
            pressures.into_iter().flatten().map(|pressure| pressure.mmhg().into()).collect()
        }
        Value::Weight(v) => vec![v.grams()],
        Value::Height(v) => vec![v.millimetres().into()],
        Value::Temperature(v) => vec![v.centi_celsius().into()],
        Value::PerfusionIndex(v) => vec![v.hundredths_percent().into()],
        Value::Glucose(Glucose::Mass(v)) => vec![v.mg_per_dl().into()],
        Value::Glucose(Glucose::Moles(v)) => vec![v.tenths_mmol_per_l().into()],
        Value::Recording(_) => unreachable!("a port knows no name of a recording"),
    };
    readings(events).into_iter().flat_map(number).collect()
}

//! `cabinctl device read NAME --config FILE`, or `--model MODEL --port PORT`: one measurement, printed as it comes.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use consult::vitals::{Glucose, Reading, Value};
use drivers::ports::{Binding, MESSAGES_MAX, Port, PortEvent};

use crate::arguments::Arguments;
use crate::{config_file, device_words};

/// A device that is not there is waited for that long.
const THERE_WITHIN: Duration = Duration::from_secs(10);
/// After Ctrl-C, a cuff has that long to confirm its stop.
const STOP_WITHIN: Duration = Duration::from_secs(3);
/// How often Ctrl-C is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let binding = binding(&mut arguments)?;
    arguments.end()?;
    measure(binding, None, out)
}

/// The device that the arguments name.
pub(crate) fn binding(arguments: &mut Arguments) -> Result<Binding> {
    match (arguments.option("model"), arguments.option("port")) {
        (Some(model), Some(port)) => Ok(Binding {
            name: model.clone(),
            model: drivers::model(&model)
                .with_context(|| format!("no model {model:?}; there are: {}", wiring::keys().join(", ")))?,
            address: config_file::typed_address(&port)?,
        }),
        (None, None) => {
            let name = arguments.need("the device's name")?;
            let path = PathBuf::from(arguments.need_option("config")?);
            config_file::binding(&config_file::load(&path)?, &name)
        }
        _ => bail!("--model and --port go together"),
    }
}

/// Takes one measurement; prints what comes until it is finished, or Ctrl-C.
pub(crate) fn measure(binding: Binding, record: Option<PathBuf>, out: &mut dyn Write) -> Result<()> {
    // A cuff must not stay inflated because somebody pressed Ctrl-C.
    let interrupted = Arc::new(AtomicBool::new(false));
    let watches = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM]
        .map(|signal| signal_hook::flag::register(signal, interrupted.clone()));
    let measured = measure_until(binding, record, &interrupted, out);
    for watch in watches {
        signal_hook::low_level::unregister(watch?);
    }
    measured
}

fn measure_until(
    binding: Binding,
    record: Option<PathBuf>,
    interrupted: &AtomicBool,
    out: &mut dyn Write,
) -> Result<()> {
    let (sender, messages) = mpsc::sync_channel(MESSAGES_MAX);
    let port = Port::open(binding, sender).context("no thread or file left on this machine")?;
    if let Some(path) = record {
        port.record(path);
    }
    let begun_at = Instant::now();
    let mut there = false;
    let mut stopped_at: Option<Instant> = None;
    let mut samples = 0usize;
    let mut measured = 0usize;
    let mut missing: Option<String> = None;
    loop {
        if interrupted.load(Ordering::SeqCst) && stopped_at.is_none() {
            stopped_at = Some(Instant::now());
            port.stop();
        }
        if stopped_at.is_some_and(|at| at.elapsed() > STOP_WITHIN) {
            bail!("stopped; the device did not confirm");
        }
        if !there && begun_at.elapsed() > THERE_WITHIN {
            bail!("nothing there: check the cable and the port");
        }
        let message = match messages.recv_timeout(LOOK_EVERY) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => bail!("the port ended"),
        };
        match message.event {
            PortEvent::Opened { path } => {
                writeln!(out, "open     {}", path.display())?;
                if !std::mem::replace(&mut there, true) {
                    port.start();
                }
            }
            PortEvent::Lost { address, .. } => writeln!(out, "lost     {address}: check the cable")?,
            PortEvent::Refused { path, remedy } => bail!("{}: {remedy}", path.display()),
            PortEvent::Live(reading) => writeln!(out, "live     {}", words(&reading))?,
            PortEvent::Reading(reading) => {
                measured += 1;
                writeln!(out, "reading  {}{}", words(&reading), details(&reading)?)?;
            }
            PortEvent::Waveform(waveform) => samples += waveform.samples.len(),
            PortEvent::Ecg(ecg) => samples += ecg.samples().len(),
            PortEvent::EcgTaken { ecg, .. } => {
                measured += 1;
                let leads = ecg.leads().iter().map(|lead| lead.name()).collect::<Vec<_>>().join(" ");
                writeln!(out, "recorded {} s of {leads} at {} Hz", ecg.duration_ms() / 1_000, ecg.rate_hz())?;
            }
            PortEvent::Status(status) => writeln!(out, "status   {}", device_words::status(status))?,
            PortEvent::Invalid(absent) => {
                let why = device_words::absent(absent);
                writeln!(out, "absent   {why}")?;
                missing = Some(why);
            }
            PortEvent::Fault(fault) => writeln!(out, "fault    {}", device_words::fault(fault))?,
            // Nobody asked.
            PortEvent::Probed(_) => {}
            PortEvent::Finished => {
                if samples > 0 {
                    writeln!(out, "curve    {samples} samples")?;
                }
                // Who stops it has seen what they wanted to see.
                if measured == 0 && stopped_at.is_none() {
                    bail!("nothing was measured: {}", missing.as_deref().unwrap_or("the device gave no value"));
                }
                writeln!(out, "finished")?;
                return Ok(());
            }
        }
    }
}

fn words(reading: &Reading) -> String {
    match reading.value {
        Value::Spo2(v) => format!("SpO2 {} %", v.percent()),
        Value::PulseRate(v) => format!("pulse {} /min", v.per_minute()),
        Value::BloodPressure(v) => {
            let mean = v.mean().map_or(String::new(), |mean| format!(", mean {}", mean.mmhg()));
            format!("pressure {}/{}{mean} mmHg", v.systolic().mmhg(), v.diastolic().mmhg())
        }
        Value::Weight(v) => format!("weight {}.{:03} kg", v.grams() / 1000, v.grams() % 1000),
        Value::Height(v) => format!("height {}.{} cm", v.millimetres() / 10, v.millimetres() % 10),
        Value::PerfusionIndex(v) => {
            format!("perfusion index {}.{:02} %", v.hundredths_percent() / 100, v.hundredths_percent() % 100)
        }
        Value::Glucose(Glucose::Mass(v)) => format!("glucose {} mg/dL", v.mg_per_dl()),
        Value::Glucose(Glucose::Moles(v)) => {
            format!("glucose {}.{} mmol/L", v.tenths_mmol_per_l() / 10, v.tenths_mmol_per_l() % 10)
        }
        Value::Recording(v) => format!("recording {:?} {} ms, {} bytes", v.kind, v.duration_ms, v.size_bytes),
        Value::Temperature(v) => format!("temperature {}.{:02} Cel", v.centi_celsius() / 100, v.centi_celsius() % 100),
    }
}

fn details(reading: &Reading) -> Result<String> {
    let mut text = String::new();
    if let Some(quality) = reading.high_quality {
        text += if quality { "  high quality" } else { "  low quality" };
    }
    if let Some(at) = reading.device_at {
        let at = time::OffsetDateTime::from_unix_timestamp(at.0 / 1000)?;
        text += &format!("  by its clock at {at}");
    }
    if let Some(serial) = &reading.device.serial {
        text += &format!("  serial {serial}");
    }
    if let Some(firmware) = &reading.device.firmware {
        text += &format!("  firmware {firmware}");
    }
    Ok(text)
}

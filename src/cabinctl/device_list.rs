//! `cabinctl device list [--config FILE]`

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use drivers::MODELS;
use drivers::ports::Binding;
use drivers::ports::find::{self, Found};

use crate::arguments::Arguments;
use crate::config_file;

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let config = arguments.option("config").map(|path| config_file::load(Path::new(&path))).transpose()?;
    arguments.end()?;
    let devices = config.iter().flat_map(|config| &config.devices);
    // What the configuration says of a folder is wanted here; a mistake in it is said further down.
    let bindings: Vec<Binding> = devices.filter_map(|device| wiring::binding(device).ok()).collect();
    let ports = drivers::plugged(&bindings);
    if !ports.iter().any(|port| port.socket.is_none() && !port.is_recorder) {
        writeln!(out, "no serial port with a device behind it on this machine")?;
    }
    for port in &ports {
        write_port(port, out)?;
    }
    if let Some(config) = config {
        writeln!(out, "\nbound in the configuration:")?;
        for device in &config.devices {
            let address = wiring::address(&device.port)?;
            let there = find::resolve(&address)
                .map_or("not there: check the cable".to_owned(), |found| format!("there: {}", found.path.display()));
            writeln!(out, "  {:<14} {:<24} {address}  {there}", device.name, device.model)?;
        }
    }
    writeln!(out, "\nmodels:")?;
    for model in MODELS {
        writeln!(out, "  {:<24} {} {}", model.key, model.maker, model.name)?;
    }
    Ok(())
}

fn write_port(port: &Found, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "{}", port.path.display())?;
    if let Some(id_path) = &port.id_path {
        writeln!(out, "  id_path={id_path}")?;
    }
    match (&port.socket, &port.serial, port.usb) {
        (Some(socket), serial, Some((vid, pid))) => {
            if let Some(serial) = serial {
                writeln!(out, "  usb={vid:04x}:{pid:04x}/{serial}")?;
            }
            writeln!(out, "  usb={vid:04x}:{pid:04x}@{socket}")?;
        }
        (_, Some(serial), _) => writeln!(out, "  serial={serial}")?,
        _ => {}
    }
    if let Some((vid, pid)) = port.usb {
        writeln!(out, "  usb {vid:04x}:{pid:04x} {}", port.product.as_deref().unwrap_or(""))?;
    }
    if port.is_recorder {
        writeln!(out, "  the folder of a recorder")?;
    }
    if port.usb.is_some() || port.is_recorder {
        let likely = drivers::models_for(port).into_iter().filter(|(_, likely)| *likely);
        let models: Vec<&str> = likely.map(|(model, _)| model.key).collect();
        // The identity is the cable's more often than the device's.
        writeln!(out, "  may be: {}", if models.is_empty() { "unknown".into() } else { models.join(", ") })?;
    }
    Ok(())
}

//! `cabinctl camera list`

use std::io::Write;

use anyhow::Result;
use exam::Device;
use exam::camera::{find, format};

use crate::arguments::Arguments;

pub(crate) fn run(arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    arguments.end()?;
    let cameras = find::list();
    if cameras.is_empty() {
        writeln!(out, "no camera on this machine")?;
    }
    for camera in cameras {
        writeln!(out, "{}", camera.node.display())?;
        if let Some(by_id) = &camera.by_id {
            writeln!(out, "  {}", by_id.display())?;
        }
        write_device(&camera.device, out)?;
        let chosen = format::choose(&camera.modes);
        for mode in &camera.modes {
            writeln!(out, "  {mode}{}", if Some(mode) == chosen { "  <- is used" } else { "" })?;
        }
        if chosen.is_none() {
            writeln!(out, "  no format that can be used: does another program hold it?")?;
        }
    }
    Ok(())
}

/// What it is, and how the configuration names it.
pub(crate) fn write_device(device: &Device, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "  {}", device.name)?;
    if let Some(usb) = &device.usb {
        if let Some(serial) = &usb.serial {
            writeln!(out, "  usb={:04x}:{:04x}/{serial}", usb.vendor, usb.product)?;
        }
        writeln!(out, "  usb={:04x}:{:04x}@{}", usb.vendor, usb.product, usb.socket)?;
    }
    Ok(())
}

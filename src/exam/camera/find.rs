//! Which cameras are there: the kernel's list, and of each the one file that gives pictures.
//!
//! A UVC camera has a second file for its metadata, which cannot be told by its name: a file is a camera's when its
//! driver offers a format for pictures there. The kernel's own tree is read rather than GStreamer's device monitor,
//! which needs a running udevd and opens every file of every kind to answer.

use std::fs;
use std::path::{Path, PathBuf};

use gstreamer as gst;
use gstreamer::prelude::*;

use super::format::{self, Mode};
use crate::device::{self, Address, Device};

const CLASS: &str = "/sys/class/video4linux";
const BY_ID: &str = "/dev/v4l/by-id";

/// A camera that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The file that gives its pictures.
    pub node: PathBuf,
    /// The same under a name that stays when it is plugged elsewhere; made by udev.
    pub by_id: Option<PathBuf>,
    /// What it is.
    pub device: Device,
    /// What it can send; none while another program holds it.
    pub modes: Vec<Mode>,
}

/// The cameras of this machine, in the kernel's order. Opens each for some milliseconds; none where GStreamer does not
/// start.
pub fn list() -> Vec<Found> {
    if gst::init().is_err() {
        return Vec::new();
    }
    nodes().into_iter().filter_map(|(class, node)| found(&class, node)).collect()
}

/// Whether the camera that an address means is plugged, by the kernel's files: nothing is opened.
pub fn is_plugged(address: &Address) -> bool {
    match address {
        Address::Named(name) => fs::canonicalize(name).is_ok(),
        Address::Usb { .. } => nodes().iter().any(|(class, _)| address.fits(&behind(class))),
    }
}

/// The camera that an address means: of several alike, none.
pub(crate) fn resolve(address: &Address) -> Option<Found> {
    let mut fitting = nodes().into_iter().filter(|(class, node)| match address {
        Address::Named(name) => fs::canonicalize(name).is_ok_and(|named| named == *node),
        Address::Usb { .. } => address.fits(&behind(class)),
    });
    let first = fitting.find_map(|(class, node)| found(&class, node))?;
    // The files of one camera share a socket; another's do not.
    let socket = |device: &Device| device.usb.as_ref().map(|usb| usb.socket.clone());
    fitting.all(|(class, _)| socket(&behind(&class)) == socket(&first.device)).then_some(first)
}

/// Every file of every camera, those that give no pictures too.
pub(crate) fn all() -> Vec<(PathBuf, Device)> {
    nodes().into_iter().map(|(class, node)| (node, behind(&class))).collect()
}

/// Of the files that an address means, one that this program may not open: then no camera is found there, although it
/// is plugged.
pub(crate) fn forbidden(address: &Address) -> Option<PathBuf> {
    let mut fitting = nodes().into_iter().filter(|(class, node)| match address {
        Address::Named(name) => fs::canonicalize(name).is_ok_and(|named| named == *node),
        Address::Usb { .. } => address.fits(&behind(class)),
    });
    fitting.find_map(|(_, node)| device::is_forbidden(&node).then_some(node))
}

/// Folders of the kernel's tree and the files in `/dev` that belong to them.
fn nodes() -> Vec<(PathBuf, PathBuf)> {
    let nodes = device::numbered(CLASS, "video").into_iter();
    nodes.map(|(number, class)| (class, Path::new("/dev").join(format!("video{number}")))).collect()
}

fn behind(class: &Path) -> Device {
    device::behind(class, &device::text(&class.join("name")).unwrap_or_default())
}

fn found(class: &Path, node: PathBuf) -> Option<Found> {
    let modes = modes(&node)?;
    let links = fs::read_dir(BY_ID).into_iter().flatten().flatten().map(|link| link.path());
    let by_id = links.into_iter().find(|link| fs::canonicalize(link).is_ok_and(|file| file == node));
    Some(Found { by_id, device: behind(class), modes, node })
}

/// What the driver behind a file offers; `None` where it gives no pictures.
fn modes(node: &Path) -> Option<Vec<Mode>> {
    let source = gst::ElementFactory::make("v4l2src").property("device", node.to_str()?).build().ok()?;
    let modes = source.set_state(gst::State::Ready).ok().and_then(|_| {
        let caps = source.static_pad("src")?.query_caps(None);
        Some(format::modes(&caps))
    });
    let _ = source.set_state(gst::State::Null);
    modes
}

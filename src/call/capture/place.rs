//! Where a camera is plugged, so that it is found again when its file has another number.
//!
//! The kernel gives `/dev/video0` to whichever camera comes first: a camera that was pulled out while its file was open
//! comes back as `/dev/video2`, and another one may have taken its name. The names below `/dev/v4l/by-id` and
//! `/dev/v4l/by-path` do not move, and are used as they are.

use crate::lock;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The kernel's list of cameras.
const CLASS: &str = "sys/class/video4linux";
/// Cameras of one cabin that are remembered at most.
const PLACES_MAX: usize = 16;

/// What is known of the cameras that were used under the name of a number: shared by the calls of one program.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<Mutex<HashMap<String, Place>>>);

/// A camera's socket on the machine, which of the device's files it is, and the device's own marks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    socket: PathBuf,
    index: String,
    /// Vendor, product and serial number, where the device has one.
    marks: Option<[String; 3]>,
}

impl Places {
    /// The camera that is meant by this name gives pictures as that file: where it is plugged is remembered.
    pub(crate) fn seen(&self, name: &str, file: &str) {
        self.seen_in(Path::new("/"), name, file);
    }

    /// The file of the camera that was once used under this name: the name itself where none was; `None` while that camera
    /// is not plugged in.
    pub(crate) fn file(&self, name: &str) -> Option<String> {
        self.file_in(Path::new("/"), name)
    }

    fn seen_in(&self, root: &Path, name: &str, file: &str) {
        let mut places = lock(&self.0);
        if let (true, Some(place)) = (is_number(name), place(root, file))
            && (places.len() < PLACES_MAX || places.contains_key(name))
        {
            places.insert(name.to_owned(), place);
        }
    }

    fn file_in(&self, root: &Path, name: &str) -> Option<String> {
        let Some(known) = lock(&self.0).get(name).cloned() else { return Some(name.to_owned()) };
        if place(root, name).is_some_and(|place| place.socket == known.socket && place.index == known.index) {
            return Some(name.to_owned());
        }
        let listed = fs::read_dir(root.join(CLASS)).into_iter().flatten().flatten();
        let found: Vec<(String, Place)> = listed
            .filter_map(|entry| {
                let file = format!("/dev/{}", entry.file_name().to_str()?);
                let place = place(root, &file)?;
                (place.index == known.index).then_some((file, place))
            })
            .collect();
        let there = found.iter().find(|(_, place)| place.socket == known.socket);
        // Plugged into another socket: known by its serial number, where no other has the same.
        let elsewhere = || {
            let mut same = found.iter().filter(|(_, place)| known.marks.is_some() && place.marks == known.marks);
            same.next().filter(|_| same.next().is_none())
        };
        there.or_else(elsewhere).map(|(file, _)| file.clone())
    }
}

/// Whether the name is the kernel's own, which is another after each plugging.
fn is_number(name: &str) -> bool {
    name.strip_prefix("/dev/video").is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Where the camera of `/dev/videoN` is plugged; `None` for other names, and where nothing has that number.
fn place(root: &Path, file: &str) -> Option<Place> {
    let class = root.join(CLASS).join(file.strip_prefix("/dev/").filter(|name| name.starts_with("video"))?);
    let text = |path: PathBuf| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    // The device is the USB interface; what names the whole device is one step above it.
    let socket = fs::canonicalize(class.join("device")).ok()?;
    let above = socket.parent().map(Path::to_owned);
    let mark = |name: &str| text(above.clone()?.join(name)).filter(|text| !text.is_empty());
    let marks = mark("idVendor").zip(mark("idProduct")).zip(mark("serial"));
    let marks = marks.map(|((vendor, product), serial)| [vendor, product, serial]);
    Some(Place { socket, index: text(class.join("index")).unwrap_or_default(), marks })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A machine whose kernel lists cameras as Linux does.
    struct Machine(tempfile::TempDir);

    impl Machine {
        /// Plugs a camera into a socket; the kernel gives its two files (pictures, and what it says of them) these numbers.
        fn plug(&self, socket: &str, serial: &str, numbers: [u32; 2]) {
            let device = self.0.path().join("sys/devices/usb1").join(socket);
            for (name, text) in [("idVendor", "046d"), ("idProduct", "0825"), ("serial", serial)] {
                fs::create_dir_all(&device).unwrap();
                fs::write(device.join(name), format!("{text}\n")).unwrap();
            }
            let interface = device.join(format!("{socket}:1.0"));
            for (index, number) in numbers.into_iter().enumerate() {
                let node = interface.join("video4linux").join(format!("video{number}"));
                fs::create_dir_all(&node).unwrap();
                fs::write(node.join("index"), format!("{index}\n")).unwrap();
                symlink(&interface, node.join("device")).unwrap();
                let class = self.0.path().join(CLASS);
                fs::create_dir_all(&class).unwrap();
                symlink(node, class.join(format!("video{number}"))).unwrap();
            }
        }

        fn unplug(&self, socket: &str, numbers: [u32; 2]) {
            for number in numbers {
                fs::remove_file(self.0.path().join(CLASS).join(format!("video{number}"))).unwrap();
            }
            fs::remove_dir_all(self.0.path().join("sys/devices/usb1").join(socket)).unwrap();
        }
    }

    #[test]
    fn a_camera_is_found_again_under_another_number_and_never_another_under_its_own() {
        let machine = Machine(tempfile::tempdir().unwrap());
        let (places, root) = (Places::default(), machine.0.path());
        machine.plug("1-2", "A", [0, 1]);
        assert_eq!(
            places.file_in(root, "/dev/video0").as_deref(),
            Some("/dev/video0"),
            "never used: the name as it is"
        );
        places.seen_in(root, "/dev/video0", "/dev/video0");
        machine.unplug("1-2", [0, 1]);
        assert_eq!(places.file_in(root, "/dev/video0"), None);
        machine.plug("1-3", "B", [0, 1]);
        assert_eq!(places.file_in(root, "/dev/video0"), None, "another camera took the name");
        machine.plug("1-2", "A", [2, 3]);
        assert_eq!(places.file_in(root, "/dev/video0").as_deref(), Some("/dev/video2"), "the same socket");
        machine.unplug("1-2", [2, 3]);
        machine.plug("1-4", "A", [4, 5]);
        assert_eq!(places.file_in(root, "/dev/video0").as_deref(), Some("/dev/video4"), "another socket, its own mark");
        machine.plug("1-5", "A", [6, 7]);
        assert_eq!(places.file_in(root, "/dev/video0"), None, "two of one mark: neither is taken for it");
    }

    #[test]
    fn names_that_do_not_move_are_used_as_they_are() {
        let machine = Machine(tempfile::tempdir().unwrap());
        let (places, root) = (Places::default(), machine.0.path());
        for name in ["/dev/v4l/by-path/pci-0000:00:14.0-usb-0:2:1.0-video-index0", "/dev/video9"] {
            places.seen_in(root, name, name);
            assert_eq!(places.file_in(root, name).as_deref(), Some(name));
        }
    }
}

//! Which serial ports there are, and what udev knows of them. Read from the kernel's and udev's own files, so that no
//! library is needed to find a port, and a test can lay out any machine.

use std::fs;
use std::path::{Path, PathBuf};

/// Where a device is plugged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// udev's `ID_PATH`: the socket, whatever is plugged into it.
    IdPath(String),
    /// udev's `ID_SERIAL_SHORT`: the adapter, wherever it is plugged.
    Serial(String),
    /// A file, e.g. `/dev/ttyS0` or a simulator's.
    Path(PathBuf),
}

/// A serial port of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Found {
    /// The file to open.
    pub path: PathBuf,
    /// udev's `ID_PATH`.
    pub id_path: Option<String>,
    /// Serial number of the USB adapter.
    pub serial: Option<String>,
    /// USB vendor and product.
    pub usb: Option<(u16, u16)>,
    /// Name that the adapter gives itself.
    pub product: Option<String>,
}

/// Ports looked at: more than any machine has.
const PORTS_MAX: usize = 256;

/// The port at that address, if it is there.
pub fn resolve(address: &Address) -> Option<Found> {
    resolve_in(Path::new("/"), address)
}

/// Every serial port with hardware behind it, by name.
pub fn list() -> Vec<Found> {
    list_in(Path::new("/"))
}

/// [`resolve`] on a machine laid out under `root`.
pub fn resolve_in(root: &Path, address: &Address) -> Option<Found> {
    match address {
        Address::Path(path) => {
            path.exists().then(|| Found { path: path.clone(), ..Found::default() }).map(|found| {
                // A plain path may still be a USB adapter: its serial number belongs to the reading.
                let real = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
                list_in(root)
                    .into_iter()
                    .find(|f| f.path == real)
                    .map_or(found, |known| Found { path: path.clone(), ..known })
            })
        }
        Address::IdPath(id_path) => list_in(root).into_iter().find(|f| f.id_path.as_ref() == Some(id_path)),
        Address::Serial(serial) => list_in(root).into_iter().find(|f| f.serial.as_ref() == Some(serial)),
    }
}

/// [`list`] on a machine laid out under `root`.
pub fn list_in(root: &Path) -> Vec<Found> {
    let mut names: Vec<String> = fs::read_dir(root.join("sys/class/tty"))
        .map(|entries| entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    names.sort();
    names.truncate(PORTS_MAX);
    names.into_iter().filter_map(|name| port(root, &name)).collect()
}

fn port(root: &Path, name: &str) -> Option<Found> {
    let sys = root.join("sys/class/tty").join(name);
    // Consoles and pseudo-terminals have no device behind them.
    let device = fs::canonicalize(sys.join("device")).ok()?;
    let text = |path: PathBuf| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    // A port of the mainboard that does not exist has type 0 (PORT_UNKNOWN).
    if text(sys.join("type")).as_deref() == Some("0") {
        return None;
    }
    let mut found = Found { path: root.join("dev").join(name), ..Found::default() };
    let number = text(sys.join("dev")).unwrap_or_default();
    let udev = text(root.join("run/udev/data").join(format!("c{number}"))).unwrap_or_default();
    let property = |key: &str| {
        udev.lines().find_map(|line| line.strip_prefix("E:")?.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned)
    };
    // The USB device is some levels above the tty: the first folder that has an idVendor.
    let usb = device.ancestors().take(6).find(|folder| folder.join("idVendor").exists());
    let of_usb = |file: &str| usb.and_then(|folder| text(folder.join(file))).filter(|text| !text.is_empty());
    let hex = |text: Option<String>| text.and_then(|text| u16::from_str_radix(&text, 16).ok());
    let vendor = hex(property("ID_VENDOR_ID").or_else(|| of_usb("idVendor")));
    let product = hex(property("ID_MODEL_ID").or_else(|| of_usb("idProduct")));
    found.usb = vendor.zip(product);
    found.id_path = property("ID_PATH");
    found.serial = property("ID_SERIAL_SHORT").or_else(|| of_usb("serial"));
    found.product = property("ID_MODEL_FROM_DATABASE").or_else(|| of_usb("product"));
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Machine(PathBuf);

    impl Machine {
        fn new(name: &str) -> Self {
            let root = std::env::temp_dir().join(format!("drivers-find-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&root);
            Machine(root)
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn adapter(&self, name: &str, minor: u32, serial: &str) {
            let usb = format!("sys/devices/usb1/{minor}");
            self.write(&format!("{usb}/idVendor"), "0403\n");
            self.write(&format!("{usb}/idProduct"), "6001\n");
            self.write(&format!("{usb}/serial"), &format!("{serial}\n"));
            self.write(&format!("{usb}/1.0/{name}/number"), "");
            self.write(&format!("sys/class/tty/{name}/dev"), &format!("188:{minor}\n"));
            let link = self.0.join(format!("sys/class/tty/{name}/device"));
            std::os::unix::fs::symlink(self.0.join(format!("{usb}/1.0/{name}")), link).unwrap();
            self.write(
                &format!("run/udev/data/c188:{minor}"),
                &format!("I:1\nE:ID_PATH=pci-usb-0:{minor}:1.0\nE:ID_PATH_TAG=x\n"),
            );
        }
    }

    impl Drop for Machine {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_port_is_found_by_its_socket_and_by_its_serial_number() {
        let machine = Machine::new("both");
        machine.adapter("ttyUSB0", 0, "A1");
        machine.adapter("ttyUSB1", 1, "B2");
        machine.write("sys/class/tty/console/dev", "5:1\n");
        let found = list_in(&machine.0);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].usb, Some((0x0403, 0x6001)));
        let by_path = resolve_in(&machine.0, &Address::IdPath("pci-usb-0:1:1.0".into())).unwrap();
        let by_serial = resolve_in(&machine.0, &Address::Serial("B2".into())).unwrap();
        assert_eq!(by_path, by_serial);
        assert_eq!(by_path.path, machine.0.join("dev/ttyUSB1"));
        assert_eq!(resolve_in(&machine.0, &Address::Serial("C3".into())), None);
    }
}

//! Which serial ports there are, and what udev knows of them.
//!
//! A list for a person asks `serialport`; the socket (`ID_PATH`), which it does not tell, is read beside it from the
//! kernel's and udev's own files. Only these files are read to find one bound port: the cabin looks five times a
//! second while a cable is out, and `serialport` opens and sets every port of the mainboard to see whether it is real,
//! which would refuse it for that moment to the driver that wants it.

use std::fs;
use std::path::{Path, PathBuf};

use serialport::{SerialPortInfo, SerialPortType};

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
    let seen = serialport::available_ports().unwrap_or_else(|error| {
        tracing::warn!(%error, "udev does not list the serial ports: is libudev1 installed?");
        Vec::new()
    });
    list_in(Path::new("/"), &seen)
}

/// [`resolve`] on a machine laid out under `root`.
pub fn resolve_in(root: &Path, address: &Address) -> Option<Found> {
    match address {
        Address::Path(path) => {
            path.exists().then(|| Found { path: path.clone(), ..Found::default() }).map(|found| {
                // A plain path may still be a USB adapter: its serial number belongs to the reading.
                let real = fs::canonicalize(path).unwrap_or_else(|_| path.clone());
                known_in(root)
                    .into_iter()
                    .find(|f| f.path == real)
                    .map_or(found, |known| Found { path: path.clone(), ..known })
            })
        }
        Address::IdPath(id_path) => known_in(root).into_iter().find(|f| f.id_path.as_ref() == Some(id_path)),
        Address::Serial(serial) => known_in(root).into_iter().find(|f| f.serial.as_ref() == Some(serial)),
    }
}

/// [`list`] on a machine laid out under `root`, on which `serialport` saw these ports.
///
/// It leaves out a port that another program holds, and shows ports that the mainboard has no socket for.
pub fn list_in(root: &Path, seen: &[SerialPortInfo]) -> Vec<Found> {
    let mut ports = known_in(root);
    for info in seen.iter().take(PORTS_MAX) {
        let path = PathBuf::from(&info.port_name);
        if path.file_name().is_some_and(|name| is_unreal(&root.join("sys/class/tty").join(name))) {
            continue;
        }
        let at = ports.iter().position(|port| port.path == path).unwrap_or_else(|| {
            ports.push(Found { path, ..Found::default() });
            ports.len() - 1
        });
        if let SerialPortType::UsbPort(usb) = &info.port_type {
            let port = &mut ports[at];
            port.usb = Some((usb.vid, usb.pid));
            // A port is bound by this number and then sought in udev's files: theirs is the one to show.
            port.serial = port.serial.take().or_else(|| usb.serial_number.clone());
            port.product = usb.product.clone().or_else(|| port.product.take());
        }
    }
    ports.sort_by(|a, b| a.path.cmp(&b.path));
    ports
}

/// What the kernel's and udev's files know.
fn known_in(root: &Path) -> Vec<Found> {
    let mut names: Vec<String> = fs::read_dir(root.join("sys/class/tty"))
        .map(|entries| entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    names.sort();
    names.truncate(PORTS_MAX);
    names.into_iter().filter_map(|name| port(root, &name)).collect()
}

fn text(path: PathBuf) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// A port of the mainboard that does not exist has type 0 (PORT_UNKNOWN).
fn is_unreal(sys: &Path) -> bool {
    text(sys.join("type")).as_deref() == Some("0")
}

fn port(root: &Path, name: &str) -> Option<Found> {
    let sys = root.join("sys/class/tty").join(name);
    // Consoles and pseudo-terminals have no device behind them.
    let device = fs::canonicalize(sys.join("device")).ok()?;
    if is_unreal(&sys) {
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
    found.serial = property("ID_SERIAL_SHORT").or_else(|| property("ID_USB_SERIAL_SHORT")).or_else(|| of_usb("serial"));
    found.product = property("ID_MODEL_FROM_DATABASE").or_else(|| of_usb("product"));
    Some(found)
}

#[cfg(test)]
mod tests {
    use serialport::UsbPortInfo;

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
        let found = list_in(&machine.0, &[]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0].usb, Some((0x0403, 0x6001)));
        let by_path = resolve_in(&machine.0, &Address::IdPath("pci-usb-0:1:1.0".into())).unwrap();
        let by_serial = resolve_in(&machine.0, &Address::Serial("B2".into())).unwrap();
        assert_eq!(by_path, by_serial);
        assert_eq!(by_path.path, machine.0.join("dev/ttyUSB1"));
        assert_eq!(resolve_in(&machine.0, &Address::Serial("C3".into())), None);
    }

    #[test]
    fn what_serialport_sees_is_listed_with_the_socket_that_udev_knows() {
        let machine = Machine::new("seen");
        machine.adapter("ttyUSB0", 0, "A1");
        machine.adapter("ttyUSB1", 1, "B2");
        machine.write("sys/class/tty/ttyS3/type", "0\n");
        let usb = UsbPortInfo {
            vid: 0x0403,
            pid: 0x6001,
            serial_number: Some("A1".into()),
            manufacturer: None,
            product: Some("FT232R USB UART".into()),
        };
        let seen = |name: &str, port_type| SerialPortInfo {
            port_name: machine.0.join("dev").join(name).to_string_lossy().into_owned(),
            port_type,
        };
        // ttyUSB1 is held by the cabin and not seen; rfcomm0 is only seen; ttyS3 has no socket.
        let seen = [
            seen("ttyUSB0", SerialPortType::UsbPort(usb)),
            seen("rfcomm0", SerialPortType::BluetoothPort),
            seen("ttyS3", SerialPortType::Unknown),
        ];
        let listed = list_in(&machine.0, &seen);
        let names: Vec<_> = listed.iter().map(|port| port.path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["rfcomm0", "ttyUSB0", "ttyUSB1"]);
        assert_eq!(listed[1].product.as_deref(), Some("FT232R USB UART"));
        assert_eq!(listed[1].id_path.as_deref(), Some("pci-usb-0:0:1.0"));
        for port in listed.iter().filter(|port| port.serial.is_some()) {
            let bound = Address::Serial(port.serial.clone().unwrap());
            assert_eq!(resolve_in(&machine.0, &bound).unwrap().path, port.path, "what is listed can be bound");
        }
    }
}

//! Which serial ports and USB devices there are, and what udev knows of them.
//!
//! A list for a person asks `serialport`; the socket (`ID_PATH`), which it does not tell, is read beside it from the
//! kernel's and udev's own files. Only these files are read to find one bound port: the cabin looks again and again
//! while a cable is out, and `serialport` opens and sets every port of the mainboard to see whether it is real,
//! which would refuse it for that moment to the driver that wants it.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serialport::{SerialPortInfo, SerialPortType};

use crate::{MODELS, Transport};

/// Where a device is plugged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// udev's `ID_PATH`: the socket, whatever is plugged into it.
    IdPath(String),
    /// udev's `ID_SERIAL_SHORT`: the adapter, wherever it is plugged.
    Serial(String),
    /// A file, e.g. `/dev/ttyS0` or a simulator's.
    Path(PathBuf),
    /// A USB device that has no serial port: a chip that is spoken to over HID.
    Usb(UsbAddress),
    /// `host:port` of a network: for tests, and for devices on a wire of their own.
    Tcp(String),
}

/// A USB device: `10c4:ea80`, `10c4:ea80/SERIAL` or `10c4:ea80@SOCKET`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UsbAddress {
    /// Vendor.
    pub vid: u16,
    /// Product.
    pub pid: u16,
    /// Which of several.
    pub which: Which,
}

/// Which of several USB devices of one vendor and product.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// The only one. If there are more none is opened: it could be another patient's.
    Only,
    /// Its own serial number, wherever it is plugged.
    Serial(String),
    /// The socket as the kernel names it, whatever is plugged into it: bus, then the port of each hub (`1-2.4`).
    Socket(String),
}

impl FromStr for UsbAddress {
    type Err = NoUsbAddress;

    fn from_str(text: &str) -> Result<Self, NoUsbAddress> {
        let (identity, which) = match text.find(['/', '@']) {
            None => (text, Which::Only),
            Some(at) if at + 1 == text.len() => return Err(NoUsbAddress),
            Some(at) => {
                let name = text[at + 1..].to_owned();
                let is_serial = text[at..].starts_with('/');
                (&text[..at], if is_serial { Which::Serial(name) } else { Which::Socket(name) })
            }
        };
        let number = |text: &str| {
            let is_hex = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            u16::from_str_radix(text, 16).ok().filter(|_| is_hex).ok_or(NoUsbAddress)
        };
        let (vid, pid) = identity.split_once(':').ok_or(NoUsbAddress)?;
        Ok(UsbAddress { vid: number(vid)?, pid: number(pid)?, which })
    }
}

impl fmt::Display for UsbAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vid, self.pid)?;
        match &self.which {
            Which::Only => Ok(()),
            Which::Serial(serial) => write!(f, "/{serial}"),
            Which::Socket(socket) => write!(f, "@{socket}"),
        }
    }
}

/// What was typed names no USB device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a USB device is VENDOR:PRODUCT, four hexadecimal digits each, then /SERIAL or @SOCKET if there are several")]
pub struct NoUsbAddress;

/// A serial port, or a USB device without one, of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Found {
    /// The file to open.
    pub path: PathBuf,
    /// udev's `ID_PATH`.
    pub id_path: Option<String>,
    /// Of a USB device without a serial port: its socket, as the kernel names it.
    pub socket: Option<String>,
    /// Serial number of the USB adapter.
    pub serial: Option<String>,
    /// USB vendor and product.
    pub usb: Option<(u16, u16)>,
    /// Name that the adapter gives itself.
    pub product: Option<String>,
    /// It is a USB device with an interface of the personal healthcare class.
    pub is_personal_health: bool,
    /// It is the folder where a recorder's files appear.
    pub is_recorder: bool,
}

impl Found {
    /// The folder where a recorder's files appear.
    pub fn recorder(folder: PathBuf) -> Self {
        Found { path: folder, is_recorder: true, ..Found::default() }
    }
}

/// Where recorders' memory sticks are mounted (`systemd/71-cabin-recorder.rules`), each in a folder named `recorder`,
/// `recorder2`, …
const RECORDERS: &str = "run/telecabine";

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
        // Whether it is there is known only by connecting to it.
        Address::Tcp(host) => Some(Found { path: host.into(), ..Found::default() }),
        Address::Usb(address) => match &mut usb_devices_in(root, address)[..] {
            [found] => Some(std::mem::take(found)),
            _ => None,
        },
    }
}

/// The USB devices at that address: several only when it does not say which.
pub fn usb_devices(address: &UsbAddress) -> Vec<Found> {
    usb_devices_in(Path::new("/"), address)
}

/// Every USB device without a serial port that a model is read over.
pub fn list_usb() -> Vec<Found> {
    let hints = MODELS.iter().flat_map(|model| model.usb).filter(|hint| hint.transport != Transport::Serial);
    let known: BTreeSet<_> = hints.map(|hint| (hint.vid, hint.pid)).collect();
    let root = Path::new("/");
    let all = names_in(&root.join("sys/bus/usb/devices")).into_iter().filter_map(|name| usb_device(root, &name));
    all.filter(|found| found.is_personal_health || found.usb.is_some_and(|usb| known.contains(&usb))).collect()
}

/// The folders of recorders of a machine laid out under `root`: each is there from the first time that its stick was in.
pub(crate) fn recorder_folders(root: &Path) -> Vec<PathBuf> {
    let folder = root.join(RECORDERS);
    let names = names_in(&folder).into_iter().filter(|name| name.starts_with("recorder"));
    names.map(|name| folder.join(name)).filter(|path| path.is_dir()).collect()
}

/// [`usb_devices`] on a machine laid out under `root`.
pub fn usb_devices_in(root: &Path, address: &UsbAddress) -> Vec<Found> {
    let fits = |found: &Found| {
        found.usb == Some((address.vid, address.pid))
            && match &address.which {
                Which::Only => true,
                Which::Serial(serial) => found.serial.as_ref() == Some(serial),
                Which::Socket(socket) => found.socket.as_ref() == Some(socket),
            }
    };
    let devices = root.join("sys/bus/usb/devices");
    // Of all others no more is read than this: a port looks while the machine is busy with what was plugged in.
    let is_it = |name: &String| usb_identity(&devices.join(name)) == Some((address.vid, address.pid));
    let names = names_in(&devices).into_iter().filter(is_it);
    names.filter_map(|name| usb_device(root, &name)).filter(fits).collect()
}

/// The file through which a program speaks to a USB device.
pub(crate) fn usb_file(bus: u8, address: u8) -> PathBuf {
    format!("/dev/bus/usb/{bus:03}/{address:03}").into()
}

/// Whether the device has an interface of the personal healthcare class (USB PHDC 1.0, 4.2).
fn is_personal_health(root: &Path, name: &str) -> bool {
    let devices = root.join("sys/bus/usb/devices");
    let of_it =
        names_in(&devices).into_iter().filter(|other| other.strip_prefix(name).is_some_and(|r| r.starts_with(':')));
    of_it.into_iter().any(|interface| text(devices.join(interface).join("bInterfaceClass")).as_deref() == Some("0f"))
}

/// Vendor and product. Interfaces are in that folder too, and have none.
fn usb_identity(sys: &Path) -> Option<(u16, u16)> {
    let hex = |file: &str| u16::from_str_radix(&text(sys.join(file))?, 16).ok();
    hex("idVendor").zip(hex("idProduct"))
}

fn usb_device(root: &Path, name: &str) -> Option<Found> {
    let sys = root.join("sys/bus/usb/devices").join(name);
    let usb = usb_identity(&sys)?;
    let of_usb = |file: &str| text(sys.join(file)).filter(|text| !text.is_empty());
    let number = |file: &str| of_usb(file)?.parse().ok();
    let file = usb_file(number("busnum")?, number("devnum")?);
    // Until the kernel has configured it, nothing in it can be spoken to: it is there in a moment.
    of_usb("bConfigurationValue")?;
    // Until udev has been at it, it belongs to nobody's group: it is there in a moment. Without udev it is there now.
    let device = of_usb("dev")?;
    if root.join("run/udev/control").exists() && !root.join("run/udev/data").join(format!("c{device}")).exists() {
        return None;
    }
    Some(Found {
        path: file,
        id_path: None,
        socket: Some(name.to_owned()),
        serial: of_usb("serial"),
        usb: Some(usb),
        product: of_usb("product"),
        is_personal_health: is_personal_health(root, name),
        is_recorder: false,
    })
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
    names_in(&root.join("sys/class/tty")).into_iter().filter_map(|name| port(root, &name)).collect()
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .map(|entries| entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    names.sort();
    names.truncate(PORTS_MAX);
    names
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
    fn a_usb_address_is_read_as_it_is_written() {
        for text in ["10c4:ea80", "10c4:ea80/00A1/B@2", "10c4:ea80@1-2.4"] {
            assert_eq!(text.parse::<UsbAddress>().unwrap().to_string(), text);
        }
        for text in ["", "10c4", "10c4:ea8", "10c4:+a80", "10c4:ea80/", "10c4:ea80@", "10c4:ea80:1", "é0c4:ea80"] {
            assert_eq!(text.parse::<UsbAddress>(), Err(NoUsbAddress), "{text}");
        }
    }

    #[test]
    fn a_usb_device_is_found_by_its_serial_number_and_its_socket_and_never_guessed() {
        let machine = Machine::new("usb");
        let thermometer = |socket: &str, device: u32, serial: &str| {
            let sys = format!("sys/bus/usb/devices/{socket}");
            machine.write(&format!("{sys}/idVendor"), "10c4\n");
            machine.write(&format!("{sys}/idProduct"), "ea80\n");
            machine.write(&format!("{sys}/busnum"), "1\n");
            machine.write(&format!("{sys}/devnum"), &format!("{device}\n"));
            machine.write(&format!("{sys}/dev"), &format!("189:{}\n", device - 1));
            machine.write(&format!("{sys}/bConfigurationValue"), "1\n");
            machine.write(&format!("{sys}/serial"), &format!("{serial}\n"));
        };
        let find = |text: &str| resolve_in(&machine.0, &Address::Usb(text.parse().unwrap())).map(|found| found.path);
        thermometer("1-1", 7, "A1");
        machine.write("sys/bus/usb/devices/1-1:1.0/bInterfaceClass", "03\n");
        let first = Some(PathBuf::from("/dev/bus/usb/001/007"));
        assert_eq!(find("10c4:ea80"), first);
        assert_eq!(find("10c4:ea60"), None);
        thermometer("1-2.4", 8, "B2");
        assert_eq!(find("10c4:ea80"), None, "which?");
        assert_eq!(find("10c4:ea80/A1"), first);
        assert_eq!(find("10c4:ea80@1-2.4"), Some("/dev/bus/usb/001/008".into()));
        machine.write("sys/bus/usb/devices/1-1/bConfigurationValue", "\n");
        assert_eq!(find("10c4:ea80@1-1"), None, "not ready yet");
        machine.write("sys/bus/usb/devices/1-1/bConfigurationValue", "1\n");
        // udev runs, and has only been at the first.
        machine.write("run/udev/control", "");
        machine.write("run/udev/data/c189:6", "");
        assert_eq!(find("10c4:ea80@1-2.4"), None, "not ours yet");
        assert_eq!(find("10c4:ea80@1-1"), first);
    }

    #[test]
    fn a_device_of_the_personal_health_class_and_a_recorders_folder_are_known_for_what_they_are() {
        let machine = Machine::new("class");
        for (file, text) in [
            ("idVendor", "0590"),
            ("idProduct", "00ff"),
            ("busnum", "1"),
            ("devnum", "3"),
            ("dev", "189:2"),
            ("bConfigurationValue", "1"),
        ] {
            machine.write(&format!("sys/bus/usb/devices/1-1/{file}"), text);
        }
        machine.write("sys/bus/usb/devices/1-1:1.0/bInterfaceClass", "0f\n");
        let found = resolve_in(&machine.0, &Address::Usb("0590:00ff".parse().unwrap())).unwrap();
        assert!(found.is_personal_health && !found.is_recorder);
        assert!(recorder_folders(&machine.0).is_empty());
        machine.write("run/telecabine/recorder/1.ECG", "");
        machine.write("run/telecabine/other/file", "");
        assert_eq!(recorder_folders(&machine.0), [machine.0.join("run/telecabine/recorder")]);
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

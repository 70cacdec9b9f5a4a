//! Which physical camera or microphone it is, and where it is plugged: read from the kernel's own tree, so that a
//! second program or a restart of a sound server changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

/// A camera or microphone, as its USB descriptors and the kernel name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Maker and product, or what the kernel calls it where it is not on USB.
    pub name: String,
    /// Of a device on USB.
    pub usb: Option<Usb>,
}

/// A device on USB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usb {
    /// Of its maker.
    pub vendor: u16,
    /// Of the product, by its maker.
    pub product: u16,
    /// Serial number, where it has one.
    pub serial: Option<String>,
    /// Its maker's revision, hundredths in binary-coded decimal ("0102" is 1.02).
    pub revision: Option<String>,
    /// The kernel's name of the socket: bus, then the way through hubs, `1-2.3`.
    pub socket: String,
}

/// How the technician names a camera or microphone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A file of a camera (`/dev/v4l/by-id/...`, `/dev/video0`) or the ALSA name of a microphone (`hw:1,0`).
    Named(String),
    /// Whatever of that maker and product is plugged in; with a serial number or socket only that one.
    Usb {
        /// Of its maker.
        vendor: u16,
        /// Of the product.
        product: u16,
        /// Serial number.
        serial: Option<String>,
        /// The kernel's name of the socket.
        socket: Option<String>,
    },
}

impl Address {
    /// Whether a device is the one meant. A name is compared by whoever knows its files.
    pub(crate) fn fits(&self, device: &Device) -> bool {
        match (self, &device.usb) {
            (Address::Usb { vendor, product, serial, socket }, Some(usb)) => {
                (*vendor, *product) == (usb.vendor, usb.product)
                    && (serial.is_none() || *serial == usb.serial)
                    && socket.as_ref().is_none_or(|socket| *socket == usb.socket)
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Named(name) => f.write_str(name),
            Address::Usb { vendor, product, serial, socket } => {
                write!(f, "usb={vendor:04x}:{product:04x}")?;
                if let Some(serial) = serial {
                    write!(f, "/{serial}")?;
                }
                socket.as_ref().map_or(Ok(()), |socket| write!(f, "@{socket}"))
            }
        }
    }
}

/// A text that begins as a USB address and names none: `usb=`, vendor and product in hexadecimal as in `2ce3:3828`, then
/// `/SERIAL` or `@SOCKET` or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected usb=VENDOR:PRODUCT, with /SERIAL or @SOCKET, as in usb=2ce3:3828@1-2")]
pub struct NoAddress;

impl std::str::FromStr for Address {
    type Err = NoAddress;

    /// The inverse of `Display`: any text that does not begin with `usb=` is a name.
    fn from_str(text: &str) -> Result<Address, NoAddress> {
        let Some(usb) = text.strip_prefix("usb=") else { return Ok(Address::Named(text.to_owned())) };
        let number = |text: &str| {
            let right = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            right.then(|| u16::from_str_radix(text, 16).ok()).flatten().ok_or(NoAddress)
        };
        let (identity, which) = usb.split_at_checked(9).ok_or(NoAddress)?;
        let (vendor, product) = identity.split_once(':').ok_or(NoAddress)?;
        let (serial, socket) = match which.split_at_checked(1) {
            None => (None, None),
            Some(("/", serial)) if !serial.is_empty() => (Some(serial.to_owned()), None),
            Some(("@", socket)) if !socket.is_empty() => (None, Some(socket.to_owned())),
            Some(_) => return Err(NoAddress),
        };
        Ok(Address::Usb { vendor: number(vendor)?, product: number(product)?, serial, socket })
    }
}

/// What a technician does about a file that this program may not open.
pub(crate) const NOT_ALLOWED: &str =
    "this account may not open it: install the udev rule 72-cabin-sight-and-sound.rules";

/// Whether the system refuses this program that file.
pub(crate) fn is_forbidden(node: &Path) -> bool {
    let opened = fs::OpenOptions::new().read(true).write(true).open(node);
    opened.is_err_and(|error| is_refusal(error.kind()))
}

fn is_refusal(kind: std::io::ErrorKind) -> bool {
    kind == std::io::ErrorKind::PermissionDenied
}

/// The device behind a folder of `/sys/class`; `named` is what the kernel calls it.
pub(crate) fn behind(class: &Path, named: &str) -> Device {
    match usb_folder(class) {
        Some(folder) => {
            let text = |name: &str| text(&folder.join(name));
            let number = |name: &str| text(name).and_then(|text| u16::from_str_radix(&text, 16).ok());
            let words: Vec<String> = ["manufacturer", "product"].iter().filter_map(|name| text(name)).collect();
            let usb = Usb {
                vendor: number("idVendor").unwrap_or(0),
                product: number("idProduct").unwrap_or(0),
                serial: text("serial"),
                revision: text("bcdDevice"),
                socket: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            };
            let name = if words.is_empty() { named.to_owned() } else { words.join(" ") };
            Device { name, usb: Some(usb) }
        }
        None => Device { name: named.to_owned(), usb: None },
    }
}

/// The USB device that a folder of `/sys/class` belongs to.
pub(crate) fn usb_folder(class: &Path) -> Option<PathBuf> {
    let folder = fs::canonicalize(class.join("device")).ok()?;
    folder.ancestors().find(|folder| folder.join("idVendor").exists()).map(Path::to_owned)
}

/// What a file of the kernel's tree says, without its end of line. Its length is the kernel's to limit (a page).
pub(crate) fn text(path: &Path) -> Option<String> {
    let text = String::from_utf8_lossy(&fs::read(path).ok()?).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// The entries of a folder whose names begin so, in the order of the numbers that follow.
pub(crate) fn numbered(folder: &str, start: &str) -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix(start)?.parse().ok()?;
            Some((number, entry.path()))
        })
        .collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_fits_its_own_device_and_no_other() {
        let usb = |serial: Option<&str>, socket: &str| Device {
            name: "Otoscope".into(),
            usb: Some(Usb {
                vendor: 0x1209,
                product: 0xCA3E,
                serial: serial.map(str::to_owned),
                revision: None,
                socket: socket.into(),
            }),
        };
        let address = |serial: Option<&str>, socket: Option<&str>| Address::Usb {
            vendor: 0x1209,
            product: 0xCA3E,
            serial: serial.map(str::to_owned),
            socket: socket.map(str::to_owned),
        };
        assert!(address(None, None).fits(&usb(Some("A"), "1-1")));
        assert!(address(Some("A"), None).fits(&usb(Some("A"), "1-1")));
        assert!(!address(Some("A"), None).fits(&usb(None, "1-1")));
        assert!(!address(None, Some("1-2")).fits(&usb(None, "1-1")));
        assert!(!address(None, None).fits(&Device { name: "vivid".into(), usb: None }));
    }

    #[test]
    fn what_this_account_may_not_open_is_told_with_the_rule_that_lets_it() {
        assert!(is_refusal(std::io::ErrorKind::PermissionDenied));
        for other in [std::io::ErrorKind::NotFound, std::io::ErrorKind::ResourceBusy] {
            assert!(!is_refusal(other), "{other:?}");
        }
        assert!(!is_forbidden(Path::new("/dev/null")));
        assert!(!is_forbidden(Path::new("/nowhere/video0")), "what is not there is not refused");
        let rule = NOT_ALLOWED.rsplit(' ').next().unwrap();
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systemd").join(rule);
        assert!(rules.is_file(), "{}", rules.display());
    }

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in ["/dev/video0", "hw:1,0", "usb=1209:ca3e", "usb=1209:ca3e/A/B@C", "usb=1209:ca3e@1-2.3"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for text in
            ["usb=", "usb=1209", "usb=1209:ca3", "usb=1209:ca3e/", "usb=1209:ca3e-1", "usb=+209:ca3e", "usb=é:é"]
        {
            assert_eq!(text.parse::<Address>(), Err(NoAddress), "{text}");
        }
    }
}

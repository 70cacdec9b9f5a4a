//! What tells that a device may have come while its port is out, so that it is looked for at once and not when its turn
//! comes: uevents of the kernel and of udev (netlink), and changes of the folder where its file will be (inotify).
//!
//! News is a hint: it may be wrong, lost, or not to be had (a service whose `RestrictAddressFamilies=` leaves out
//! `AF_NETLINK`, a network namespace that udev does not reach). The port looks now and then all the same.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::inotify;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, netlink};

use super::find::Address;

/// Groups of `NETLINK_KOBJECT_UEVENT`: the kernel's own; and udev's, which come when a device's rules have been applied
/// and its file has its group (systemd, `monitor_netlink.c`).
const KERNEL: u32 = 1;
const UDEV: u32 = 2;
/// A uevent is no longer: 2 KiB of properties (Linux, `UEVENT_BUFFER_SIZE`) and a path; udev adds some of its own.
const UEVENT_MAX: usize = 8_192;
/// Changes of a folder read at once: some, each with a name of at most 255 bytes.
const CHANGES_MAX: usize = 2_048;

/// What a port that is out listens to.
pub(crate) struct News {
    uevents: Option<OwnedFd>,
    /// What a uevent of the device has in it.
    mark: String,
    folder: Option<OwnedFd>,
    /// Name of its file there.
    file: Vec<u8>,
}

impl News {
    /// Begins to listen: what comes from now on is told.
    pub(crate) fn of(address: &Address) -> News {
        let mark = match address {
            // As the kernel writes it, of the device and of its interfaces: "PRODUCT=4b4/5500/100".
            Address::Usb(usb) => format!("PRODUCT={:x}/{:x}/", usb.vid, usb.pid),
            Address::IdPath(_) | Address::Serial(_) | Address::Path(_) => "SUBSYSTEM=tty".to_owned(),
            // Nothing tells of another machine's.
            Address::Tcp(_) => return News { uevents: None, mark: String::new(), folder: None, file: Vec::new() },
        };
        let path = if let Address::Path(path) = address { path } else { Path::new("") };
        let file = path.file_name().map(|name| name.as_bytes().to_vec()).unwrap_or_default();
        News { uevents: listen(), mark, folder: path.parent().and_then(watch), file }
    }

    /// Whether it hears anything.
    pub(crate) fn is_heard(&self) -> bool {
        self.uevents.is_some() || self.folder.is_some()
    }

    /// Descriptors that are readable when there may be news.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        [&self.uevents, &self.folder].into_iter().flatten().map(OwnedFd::as_raw_fd)
    }

    /// Takes what has come. True: the device may have.
    pub(crate) fn take(&mut self) -> bool {
        let mut may_have = false;
        let mut buffer = [0; UEVENT_MAX];
        while let Some(uevents) = &self.uevents {
            match rustix::net::recv(uevents, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((count, _)) => may_have |= tells_of(&buffer[..count], &self.mark),
                // More came than the socket holds: it may have been among them.
                Err(rustix::io::Errno::NOBUFS) => may_have = true,
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => break,
                // A descriptor that is readable for ever would keep the port awake.
                Err(_) => self.uevents = None,
            }
        }
        may_have | self.take_of_folder()
    }

    fn take_of_folder(&mut self) -> bool {
        let Some(folder) = &self.folder else { return false };
        let mut may_have = false;
        let mut buffer = [MaybeUninit::uninit(); CHANGES_MAX];
        let mut changes = inotify::Reader::new(folder, &mut buffer);
        loop {
            match changes.next() {
                // Gone with all that was in it.
                Ok(change) if change.events().contains(inotify::ReadFlags::IGNORED) => break,
                // Without a name: more came than the kernel keeps, and it may have been among them.
                Ok(change) => may_have |= change.file_name().is_none_or(|name| name.to_bytes() == self.file),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return may_have,
                Err(_) => break,
            }
        }
        // A descriptor that is readable for ever would keep the port awake.
        self.folder = None;
        true
    }
}

/// Whether a uevent, a row of texts that end with 0, has a text that begins so and tells of something that came.
fn tells_of(uevent: &[u8], mark: &str) -> bool {
    let has = |start: &[u8]| uevent.split(|byte| *byte == 0).any(|text| text.starts_with(start));
    has(mark.as_bytes()) && !has(b"ACTION=remove") && !has(b"ACTION=unbind")
}

fn listen() -> Option<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let protocol = Some(netlink::KOBJECT_UEVENT);
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, protocol).ok()?;
    rustix::net::bind(&socket, &netlink::SocketAddrNetlink::new(0, KERNEL | UDEV)).ok()?;
    Some(socket)
}

/// A folder that is not there is not watched: what makes it is a device under /dev, of which a uevent tells.
fn watch(folder: &Path) -> Option<OwnedFd> {
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).ok()?;
    // A file comes, or becomes ours (udev gives it its group).
    let wanted = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::ATTRIB;
    inotify::add_watch(&watch, folder, wanted | inotify::WatchFlags::ONLYDIR).ok()?;
    Some(watch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usb(text: &str) -> News {
        News::of(&Address::Usb(text.parse().unwrap()))
    }

    #[test]
    fn only_what_comes_and_is_the_ports_own_is_told() {
        let mark = &usb("04b4:5500").mark;
        let event = |action: &str, product: &str| {
            format!("{action}@/devices/x\0ACTION={action}\0DEVTYPE=usb_device\0PRODUCT={product}\0SEQNUM=7\0")
        };
        assert!(tells_of(event("add", "4b4/5500/100").as_bytes(), mark));
        assert!(tells_of(event("bind", "4b4/5500/100").as_bytes(), mark));
        assert!(!tells_of(event("remove", "4b4/5500/100").as_bytes(), mark));
        assert!(!tells_of(event("add", "4b4/550/100").as_bytes(), mark));
        assert!(!tells_of(&[0xFF; 64], mark));
        // As udev sends it: a header of its own before the texts.
        let of_udev = [&b"libudev\0\xFE\xED\xCA\xFE\x28\0\0\0"[..], event("add", "4b4/5500/100").as_bytes()].concat();
        assert!(tells_of(&of_udev, mark));
        assert!(tells_of(b"ACTION=add\0SUBSYSTEM=tty\0", &News::of(&Address::Serial("A1".into())).mark));
    }

    #[test]
    fn a_file_that_comes_is_told_once() {
        let dir = std::env::temp_dir().join(format!("drivers-news-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut news = News::of(&Address::Path(dir.join("port")));
        // What this machine's own ports have to tell meanwhile is not looked at.
        news.uevents = None;
        assert!(news.is_heard() && !news.take());
        std::fs::write(dir.join("another"), "").unwrap();
        assert!(!news.take());
        std::fs::write(dir.join("port"), "").unwrap();
        assert!(news.take() && !news.take());
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(news.take() && !news.is_heard(), "gone with its folder");
        assert!(!News::of(&Address::Tcp("localhost:9".into())).is_heard());
    }
}

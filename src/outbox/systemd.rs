//! What a program tells systemd of itself: that it is ready, and that it is alive (sd_notify(3)).
//!
//! Alive is said only by who has just done what the program is for. A timer of its own would go on saying it while the
//! disk hangs or the screen stays as it is.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The program does what it is for: what waits for it may start.
pub const READY: &str = "READY=1";
/// The program did it just now.
pub const ALIVE: &str = "WATCHDOG=1";
/// How the program is, in the words that follow: `systemctl status` shows them.
pub const STATUS: &str = "STATUS=";
/// The program ends because it was asked to.
pub const STOPPING: &str = "STOPPING=1";

/// Says one line to systemd, where it started this program with `Type=notify`; nothing elsewhere.
///
/// # Errors
/// Nobody listens at the socket that the environment names.
pub fn tell(line: &str) -> io::Result<()> {
    match std::env::var_os("NOTIFY_SOCKET") {
        Some(path) => send(&path, line),
        None => Ok(()),
    }
}

fn send(path: &OsStr, line: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    match path.as_bytes().strip_prefix(b"@") {
        Some(name) => socket.send_to_addr(line.as_bytes(), &SocketAddr::from_abstract_name(name)?)?,
        None => socket.send_to(line.as_bytes(), path)?,
    };
    Ok(())
}

/// How often this program has to say that it is alive: a third of what its unit allows (`WatchdogSec=`), so that one word
/// may come late. `None` where systemd waits for none.
pub fn alive_every() -> Option<Duration> {
    let of = |name| std::env::var(name).ok();
    every(of("WATCHDOG_USEC").as_deref(), of("WATCHDOG_PID").as_deref(), std::process::id())
}

fn every(usec: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    // Inherited from a program that was started so, it is not meant for this one.
    if pid.is_some_and(|pid| pid.parse() != Ok(own)) {
        return None;
    }
    let limit = Duration::from_micros(usec?.parse().ok().filter(|usec| *usec > 0)?);
    Some(limit / 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reaches_a_socket_in_a_folder_and_one_without_a_file() {
        let name = format!("outbox-systemd-{}", uuid::Uuid::new_v4().simple());
        let path = std::env::temp_dir().join(&name);
        let named = UnixDatagram::bind(&path).unwrap();
        let unnamed = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (socket, address) in [(&named, path.as_os_str().to_owned()), (&unnamed, format!("@{name}").into())] {
            send(&address, READY).unwrap();
            let mut line = [0; 64];
            let length = socket.recv(&mut line).unwrap();
            assert_eq!(&line[..length], READY.as_bytes());
        }
        std::fs::remove_file(&path).unwrap();
        assert!(send(path.as_os_str(), READY).is_err());
    }

    #[test]
    fn alive_is_said_three_times_in_what_the_unit_allows_and_only_by_whom_it_asks() {
        assert_eq!(every(Some("60000000"), Some("7"), 7), Some(Duration::from_secs(20)));
        assert_eq!(every(Some("60000000"), None, 7), Some(Duration::from_secs(20)));
        for (usec, pid) in [(Some("60000000"), Some("8")), (None, Some("7")), (Some("0"), None), (Some("soon"), None)] {
            assert_eq!(every(usec, pid, 7), None, "{usec:?} {pid:?}");
        }
    }
}

//! The real card service, for the tests that have a /run of their own.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A service that takes longer does not start.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(10);

pub const PROGRAM: &str = "/usr/sbin/pcscd";
/// Its driver of readers on USB.
#[allow(dead_code, reason = "of the two tests with a service one needs it")]
pub const USB_DRIVER: &str = "/usr/lib/pcsc/drivers/ifd-ccid.bundle";

/// The service while it runs. Ended when dropped.
pub struct Service(Child);

impl Service {
    /// Starts it with the readers of that configuration (reader.conf), beside those on USB.
    pub fn start(readers: &str) -> Service {
        let folder = "/run/readers";
        std::fs::create_dir_all(folder).unwrap();
        std::fs::create_dir_all("/run/pcscd").unwrap();
        std::fs::write(format!("{folder}/readers"), readers).unwrap();
        let daemon = Command::new(PROGRAM).args(["--foreground", "--critical", "-c", folder]).spawn();
        let service = Service(daemon.unwrap());
        let give_up_at = Instant::now() + PATIENCE;
        while !Path::new("/run/pcscd/pcscd.comm").exists() {
            assert!(Instant::now() < give_up_at, "the service does not start");
            // It tells nobody that it is ready: its socket is looked for again.
            std::thread::sleep(LOOK_EVERY);
        }
        service
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = std::fs::remove_file("/run/pcscd/pcscd.comm");
        let _ = std::fs::remove_file("/run/pcscd/pcscd.pid");
    }
}

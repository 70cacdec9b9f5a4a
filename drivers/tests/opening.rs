//! Who may open a line: two cabins never share one, and a cabin that was killed finds its own free again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use drivers::model;
use drivers::ports::{Address, Binding, Port, PortEvent, Ports, Remedy};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// A test that waits longer than that for a port has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// What [`a_cabin`] opens.
const LINE: &str = "DRIVERS_TEST_LINE";

fn first_word(path: &Path) -> (Port, PortEvent) {
    let (sender, messages) = mpsc::sync_channel(64);
    let model = model("scale_health_o_meter").unwrap();
    let address = Address::Path(path.to_owned());
    let port = Port::open(Binding { name: "scale".into(), model, address }, sender).unwrap();
    (port, messages.recv_timeout(PATIENCE).unwrap().event)
}

/// A cabin in a process of its own; killed when dropped.
struct Cabin {
    process: Child,
    says: String,
}

impl Cabin {
    fn start(path: &Path) -> Cabin {
        let program = std::env::current_exe().unwrap();
        // The superuser opens any line, whatever holds it: the cabin of this test has no such power.
        let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        let mut command = Command::new(if is_root { "setpriv".as_ref() } else { program.as_os_str() });
        if is_root {
            command.args(["--bounding-set", "-all", "--inh-caps", "-all"]).arg(program);
        }
        command.args(["--ignored", "--exact", "--nocapture", "a_cabin"]).env(LINE, path);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let says = lines.find_map(|line| line.split_once("cabin: ").map(|(_, says)| says.to_owned()));
        Cabin { process, says: says.expect("the cabin said nothing") }
    }
}

impl Drop for Cabin {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// No test by itself: a program that holds a line, to be refused or killed.
#[test]
#[ignore = "the cabin of the test below, which starts it"]
fn a_cabin() {
    let Some(path) = std::env::var_os(LINE) else { return };
    let (_port, event) = first_word(Path::new(&path));
    let says = match event {
        PortEvent::Opened { .. } => "opened".to_owned(),
        PortEvent::Refused { remedy, .. } => remedy.to_string(),
        other => format!("{other:?}"),
    };
    std::io::stdout().write_all(format!("\ncabin: {says}\n").as_bytes()).unwrap();
    // Until it is killed, or its test is: then nobody holds the other end.
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}

/// A line with both ends held: what is said of it outlives each program that opens it.
fn line() -> (OwnedFd, OwnedFd, PathBuf) {
    let device = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&device).unwrap();
    unlockpt(&device).unwrap();
    let path = PathBuf::from(ptsname(&device, Vec::new()).unwrap().into_string().unwrap());
    let other = rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    (device, other, path)
}

#[test]
fn a_second_cabin_is_refused_and_a_killed_one_gets_its_port_back() {
    let (_device, _other, path) = line();
    let first = Cabin::start(&path);
    assert_eq!(first.says, "opened");
    let second = Cabin::start(&path);
    assert!(second.says.contains("another program"), "{}", second.says);
    drop((second, first));
    let third = Cabin::start(&path);
    assert_eq!(third.says, "opened", "the line of a killed cabin");
}

#[test]
fn what_is_no_serial_port_is_refused_with_a_word_about_the_configuration() {
    let file = std::env::temp_dir().join(format!("drivers-no-port-{}", std::process::id()));
    std::fs::write(&file, "text").unwrap();
    for path in [file.as_path(), Path::new("/dev/null"), Path::new("/tmp")] {
        let (_port, event) = first_word(path);
        let PortEvent::Refused { remedy, .. } = event else { panic!("{}: {event:?}", path.display()) };
        assert_eq!(remedy, Remedy::NotAPort, "{}", path.display());
    }
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn lines_that_are_let_go_elsewhere_are_opened_by_the_next_only_then() {
    let (_device, _other, path) = line();
    let binding = |name: &str| Binding {
        name: name.into(),
        model: model("scale_health_o_meter").unwrap(),
        address: Address::Path(path.clone()),
    };
    let (mut ports, messages) = Ports::open(vec![binding("first")]);
    assert!(matches!(messages.recv_timeout(PATIENCE).unwrap().event, PortEvent::Opened { .. }));
    for round in 0..20 {
        let closed = ports.close();
        let (next, messages) = Ports::open_after(std::slice::from_ref(&closed), vec![binding("next")]);
        let event = messages.recv_timeout(PATIENCE).unwrap().event;
        assert!(matches!(event, PortEvent::Opened { .. }), "round {round}: {event:?}");
        assert!(closed.is_closed(), "round {round}: two readers of one line");
        ports = next;
    }
}

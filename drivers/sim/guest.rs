//! Tests that need a kernel with USB, on a machine that may have none: `tests/tools/usb_guest` starts a virtual machine
//! with virtual ports and runs the same test program in it, with the tests that are ignored outside.

use std::path::{Path, PathBuf};
use std::process::Command;

/// How `tests/tools/usb_guest` says that this machine can have no guest.
const NO_GUEST: i32 = 77;

/// What a test program is run with in a guest.
#[derive(Default)]
pub struct Guest<'a> {
    /// Which of its ignored tests, and other arguments of a test program.
    pub filter: &'a [&'a str],
    /// Variables of the program, in the guest.
    pub inside: Vec<(&'a str, String)>,
    /// Variables of `tests/tools/usb_guest`, which say what machine is wanted.
    pub machine: Vec<(&'a str, String)>,
}

impl Guest<'_> {
    /// Runs the present test program in a guest and returns what it said; `None` where there can be no guest, which
    /// `test` then says. What this machine has not, the one that decides (`CI`) must have.
    ///
    /// # Panics
    /// When a test fails there, or none was run.
    pub fn run(self, test: &str) -> Option<String> {
        let program = std::env::current_exe().expect("a test program has a path");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tools/usb_guest");
        let mut command = Command::new(script);
        command.arg("/usr/bin/env").args(self.inside.into_iter().map(|(name, value)| format!("{name}={value}")));
        command.arg(&program).args(["--ignored", "--test-threads=1", "--nocapture"]).args(self.filter);
        let output = command.envs(self.machine).env("CARGO_TARGET_DIR", target()).output();
        let output = output.expect("tests/tools/usb_guest starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() == Some(NO_GUEST) {
            skip(test, &why);
            return None;
        }
        eprintln!("{said}{why}");
        assert!(output.status.success(), "{test}: {}", output.status);
        assert!(said.contains("test result: ok.") && !said.contains(" 0 passed"), "no test was run in the guest");
        Some(said)
    }
}

/// Says why a test was not run.
///
/// # Panics
/// On the machine that decides (`CI`): it must have everything.
pub fn skip(test: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("{test}: SKIPPED, {}", why.trim());
}

/// A list of GStreamer's plugins for a guest, in which looking at each would take a minute: made here by the ignored test
/// `lists` of the same program. What to add to [`Guest::inside`].
///
/// # Panics
/// When the list is not made.
pub fn gstreamer_registry(lists: &str) -> Vec<(&'static str, String)> {
    let program = std::env::current_exe().expect("a test program has a path");
    let name = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let registry = target().join("usb_guest").join(format!("gstreamer.{name}.registry"));
    std::fs::create_dir_all(registry.parent().expect("it has a folder")).expect("a folder for the list");
    let listed = Command::new(&program).args(["--ignored", lists]).env("GST_REGISTRY", &registry).output();
    assert!(listed.expect("it starts").status.success() && registry.exists(), "no list of plugins");
    vec![("GST_REGISTRY", registry.display().to_string()), ("GST_REGISTRY_UPDATE", "no".to_owned())]
}

/// Where this build is, whatever it was told: what is fetched is kept there.
fn target() -> PathBuf {
    let program = std::env::current_exe().expect("a test program has a path");
    program.ancestors().nth(3).expect("it is in a build").to_owned()
}

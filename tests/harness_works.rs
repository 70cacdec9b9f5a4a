//! The harness is tried on a window of its own before it judges the cabin.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use whole_cabin::process::Process;
use whole_cabin::screen::{Role, Screen, Wanted};

#[test]
fn a_window_is_found_touched_and_typed_into_by_its_accessible_labels() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let screen = Screen::open(folder.path(), 800, 600)?;
    let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_probe-window")));
    screen.show_on(&mut command);
    let mut probe = Process::start("probe-window", command, folder.path())?;
    let window = screen.window_of(&mut probe)?;
    eprintln!("{}", window.tree());

    window.find("Touché 0 fois")?;
    window.press("Toucher")?;
    window.find("Touché 1 fois")?;
    window.activate("Toucher")?;
    window.find("Touché 2 fois")?;
    assert!(window.find("Contraste")?.checked, "a switch says that it is on");

    window.type_into(Wanted::from("Nom de naissance"), "Dupont")?;
    window.find("Bonjour Dupont")?;
    window.holds("Nom de naissance", "Dupont")?;

    window.press(Wanted::from("Montrer").with_role(Role::Button))?;
    window.find("Une question de plus")?;
    window.press("Cacher")?;
    window.gone("Une question de plus")?;
    screen.keep_picture("probe")?;
    probe.end()?;
    Ok(())
}

//! What is on the display while the cabin's program is not.

use std::process::Command;

use anyhow::Result;
use whole_cabin::process::{Process, program};
use whole_cabin::screen::{Screen, containing};

#[test]
fn without_the_cabin_the_display_tells_whom_to_ring_and_from_where() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let settings = folder.path().join("cabin.toml");
    std::fs::write(&settings, include_str!("../src/config/example.toml"))?;
    let screen = Screen::open(folder.path(), 1280, 800)?;
    // A file that says nothing costs the address, and no more.
    let spoilt = folder.path().join("spoilt.toml");
    std::fs::write(&spoilt, "[site\n")?;
    for (file, has_address) in [(&settings, true), (&spoilt, false)] {
        let mut command = Command::new(program("cabin-emergency")?);
        command.arg("--config").arg(file).env("SLINT_BACKEND", "winit-software");
        screen.show_on(&mut command);
        let mut emergency = Process::start("cabin-emergency", command, folder.path())?;
        let window = screen.window_of(&mut emergency)?;
        window.find("15")?;
        window.find("112")?;
        window.find(containing("prévenez la personne qui vous accueille"))?;
        let address = window.look(containing("Pharmacie des Halles, 12 rue des Halles, 49000 Angers"))?;
        assert_eq!(address.is_some(), has_address, "{}", window.tree());
        if has_address {
            screen.keep_picture("emergency")?;
        }
        emergency.end()?;
    }
    Ok(())
}

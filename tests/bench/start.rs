//! From the start of a program to the first screen that it draws.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use whole_cabin::process::{PATIENCE, Process, program};
use whole_cabin::screen::Screen;
use whole_cabin::site::Site;

use crate::table::Row;
use crate::touch::{Part, colours};

/// A display without a window has one colour; a window that is mapped and not drawn adds one.
const COLOURS_MIN: usize = 3;

/// Between two looks at the display.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What a page in a browser without a network costs, to know what a cabin made of web pages would begin with.
const PAGE: &str = "data:text/html,<body style='background:navy;color:white'><h1>Bonjour</h1><hr><hr>";

/// The cabin, and beside it in the same minutes a bare window of the same toolkit and a browser.
pub fn rows(site: &Site, screen: &Screen, starts: usize) -> Result<Vec<Row>> {
    let (mut cabin, mut bare, mut browser) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..starts {
        let mut command = Command::new(program("cabin")?);
        command.arg("--config").arg(site.cabin_settings());
        cabin.push(to_first_screen(screen, "bench-cabin", command, site.folder())?);
        let command = Command::new(program("probe-window")?);
        bare.push(to_first_screen(screen, "bench-bare", command, site.folder())?);
        browser.push(to_first_screen(screen, "bench-browser", browser_command(site.folder()), site.folder())?);
    }
    Ok(vec![
        Row::new("cabin: process start to first drawn screen", "ms", Some(1000), cabin),
        Row::new("  beside: a bare window of the same toolkit", "ms", None, bare),
        Row::new("  beside: chromium --kiosk with one line of text", "ms", None, browser),
    ])
}

fn browser_command(folder: &Path) -> Command {
    let mut command = Command::new("chromium");
    command.args(["--kiosk", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]);
    command.args(["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1280,800"]);
    command.arg(format!("--user-data-dir={}", folder.join("bench-chromium").display()));
    command.arg(format!("--app={PAGE}"));
    command.env("HOME", folder);
    command
}

/// Milliseconds. The program is ended before this returns.
fn to_first_screen(screen: &Screen, name: &str, mut command: Command, folder: &Path) -> Result<f64> {
    screen.show_on(&mut command);
    crate::wait("an empty display", || Ok(screen.display().top_window()?.is_none().then_some(())))?;
    let display = screen.display();
    // A strip down the left half, where every screen has words.
    let part = Part::of_display(screen, (0.2, 0.26), (0.0, 1.0))?;
    ensure!(colours(&part.look(screen)?) < COLOURS_MIN, "the display is not empty before the start of {name}");
    let began = Instant::now();
    let mut program = Process::start(name, command, folder)?;
    let drawn = loop {
        if display.top_window()?.is_some() && colours(&part.look(screen)?) >= COLOURS_MIN {
            break began.elapsed();
        }
        program.check_alive()?;
        ensure!(began.elapsed() < PATIENCE, "{name} drew nothing; its last words:\n{}", program.last_words());
        // Another program's first drawn screen sends this one no event: only its pixels tell.
        std::thread::sleep(LOOK_EVERY);
    };
    program.end()?;
    Ok(drawn.as_secs_f64() * 1000.0)
}

//! `cabin-emergency [--config FILE]`: what is on the display while the cabin's own program is not.
//!
//! It stands on as little as it can: one screen, no network, no devices, nothing of a patient. A file that cannot be read
//! costs the address and nothing else. Started and ended by `systemd/cabin-emergency.service`.

use std::path::PathBuf;
use std::process::ExitCode;

// The generated code documents nothing.
#[allow(missing_docs, clippy::all, clippy::todo, clippy::unimplemented, clippy::print_stdout)]
mod screen {
    slint::include_modules!();
}
use screen::Screen;
use slint::ComponentHandle as _;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let config = match (arguments.next().as_deref(), arguments.next()) {
        (Some("--config"), Some(file)) => Some(PathBuf::from(file)),
        (None, _) => None,
        _ => {
            eprintln!("cabin-emergency [--config FILE]");
            return ExitCode::from(2);
        }
    };
    match show(config.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("no screen: {error}");
            ExitCode::FAILURE
        }
    }
}

fn show(config: Option<&std::path::Path>) -> Result<(), slint::PlatformError> {
    let screen = Screen::new()?;
    match config.map(config::Config::load) {
        Some(Ok(config)) => {
            screen.set_site_name(config.site.name.into());
            screen.set_site_address(config.site.address.join(", ").into());
        }
        Some(Err(mistake)) => eprintln!("the address is not shown: {mistake}"),
        None => {}
    }
    screen.window().set_fullscreen(true);
    screen.run()
}

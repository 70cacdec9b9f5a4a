//! `cabinctl`: see [`cabinctl::USAGE`].

use std::io::{self, Write as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).collect();
    match cabinctl::run(arguments, &mut io::stdin().lock(), &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The one place where a failure is told; nothing can be done if even that fails.
            let _ = writeln!(io::stderr(), "cabinctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}

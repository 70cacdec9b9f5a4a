//! `cabinctl`: see [`cabinctl::USAGE`].

use std::io::{self, Write as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = std::env::args().skip(1).collect();
    match cabinctl::run(arguments, &mut io::stdin().lock(), &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read it has read enough (`| head`, `| grep -q`): as a program ends that the signal ends.
        Err(error) if is_broken_pipe(&error) => ExitCode::from(128 + 13),
        Err(error) => {
            // The one place where a failure is told; nothing can be done if even that fails.
            let _ = writeln!(io::stderr(), "cabinctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

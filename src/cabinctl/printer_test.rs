//! `cabinctl printer test --config FILE`: a receipt without a patient, and what the printer says of itself.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, Result};
use drivers::fixtures::printer_escpos::Receipt;
use drivers::ports::fixtures::{Printed, print, printer_status};

use crate::arguments::Arguments;
use crate::config_file;

pub(crate) fn run(mut arguments: Arguments, out: &mut dyn Write) -> Result<()> {
    let config = config_file::load(Path::new(&arguments.need_option("config")?))?;
    arguments.end()?;
    let printer = config.fixtures.receipt_printer.as_ref();
    let printer = printer.context("the configuration has no [receipt_printer]: papers are printed by [printer]")?;
    let (at, paper) = wiring::receipt_printer(printer)?;
    match printer_status(&at)? {
        Some(status) => writeln!(out, "status   {status}")?,
        None => writeln!(out, "status   this printer tells nothing of itself")?,
    }
    let receipt = Receipt {
        place: config.site.name.clone(),
        lines: config.site.address.clone(),
        code: Some(("À scanner avec un téléphone :".into(), "https://example.org/essai".into())),
        next: vec!["Ceci est un essai d'impression : àâéèêëîïôùûç ÀÉÈÇ œ 20 €.".into()],
    };
    let words = match print(&at, &receipt.print(paper)?)? {
        Printed::Confirmed => "on paper: look at the accents, and scan the code",
        Printed::Sent => "sent; look whether it is on paper",
    };
    Ok(writeln!(out, "printed  {words}")?)
}

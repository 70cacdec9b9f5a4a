//! Prints by IPP (RFC 8011): the bytes go to the printer as they are, at 100 %. A prescription may carry a code that
//! a pharmacy scans, so nothing here draws, scales or converts it.

use std::fmt;
use std::time::Duration;

use drivers::ports::fixtures::PrinterFault;
use ipp::operation::IppOperation;
use ipp::prelude::*;
use zeroize::Zeroizing;

/// Longest wait for one answer of the printer. Past it the patient is offered the code to scan.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause between two questions on how the job is going.
const POLL: Duration = Duration::from_millis(500);

/// Largest document sent, bytes: what the physician's page may hand over.
pub const DOCUMENT_BYTES_MAX: usize = 20 * 1024 * 1024;

/// A printer's address, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Printer {
    uri: Uri,
}

impl fmt::Debug for Printer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Printer({})", self.uri)
    }
}

/// A job that the printer has accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Job {
    id: i32,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// On paper, as far as the printer knows.
    Printed,
    /// Accepted and not finished yet: the paper will come.
    Waiting,
}

/// Why nothing is printed, and what to do. The journey goes on with the code to scan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrintFault {
    /// The address in the configuration is not one of a printer.
    #[error("{address:?} is not a printer's address: write ipp://name:631/ipp/print")]
    Address {
        /// What was written.
        address: String,
    },
    /// Nobody answers there.
    #[error("no printer answers at {printer}: check that it is on and on the network")]
    Missing {
        /// Its address.
        printer: String,
    },
    /// It answers but does not take the document.
    #[error("the printer {printer} refused the document ({status}): check its panel")]
    Refused {
        /// Its address.
        printer: String,
        /// IPP status, as a name.
        status: String,
    },
    /// It cannot read PDF itself.
    #[error("the printer {printer} does not read PDF: use one that does, or a CUPS queue in front of it")]
    NotPdf {
        /// Its address.
        printer: String,
    },
    /// It needs a hand: paper, ink, a door.
    #[error("the printer {printer} stopped ({reasons}): check paper and panel")]
    Stopped {
        /// Its address.
        printer: String,
        /// `job-state-reasons` or `printer-state-reasons`, comma separated.
        reasons: String,
    },
    /// The printer of receipts.
    #[error(transparent)]
    Receipt(#[from] PrinterFault),
    /// What was given is not a PDF, or is too long.
    #[error(
        "this is not a PDF of at most {DOCUMENT_BYTES_MAX} bytes ({bytes} bytes): ask the physician to send it again"
    )]
    Document {
        /// Its length.
        bytes: usize,
    },
}

/// Prints one paper after the other, each kept no longer than until the printer has it. True when all of it is on paper;
/// false when the printer gave one up, or took longer than `patience`.
///
/// # Errors
/// What stands in the way, see [`PrintFault`].
pub async fn print_all(
    address: &str,
    papers: impl IntoIterator<Item = Zeroizing<Vec<u8>>>,
    patience: Duration,
) -> Result<bool, PrintFault> {
    let printer = Printer::parse(address)?;
    for paper in papers {
        let job = printer.print(&paper).await?;
        drop(paper);
        if printer.follow(job, patience).await? != Progress::Printed {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Printer {
    /// Reads an address such as `ipp://printer.local:631/ipp/print`, `ipps://…`, or a CUPS queue
    /// `ipp://localhost/printers/office`.
    pub fn parse(address: &str) -> Result<Printer, PrintFault> {
        let wrong = || PrintFault::Address { address: address.to_owned() };
        let uri: Uri = address.trim().parse().map_err(|_| wrong())?;
        let scheme = matches!(uri.scheme_str(), Some("ipp" | "ipps" | "http" | "https"));
        if !scheme || uri.host().is_none_or(str::is_empty) || uri.path().len() < 2 {
            return Err(wrong());
        }
        Ok(Printer { uri })
    }

    /// Asks whether the printer is there, reads PDF and accepts jobs. For the morning check and the technician.
    pub async fn check(&self) -> Result<(), PrintFault> {
        let operation = IppOperationBuilder::get_printer_attributes(self.uri.clone())
            .attributes(["document-format-supported", "printer-is-accepting-jobs", "printer-state-reasons"])
            .build()
            .map_err(|_| self.address_fault())?;
        let answer = self.send(operation).await?;
        let Some(printer) = answer.attributes().first_of(DelimiterTag::PrinterAttributes) else {
            return Err(self.missing());
        };
        let formats = printer.get("document-format-supported").map(|a| words(a.value())).unwrap_or_default();
        if !formats.iter().any(|f| f == "application/pdf") {
            return Err(PrintFault::NotPdf { printer: self.uri.to_string() });
        }
        let accepting = printer.get("printer-is-accepting-jobs").map(|a| a.value().clone());
        if accepting == Some(IppValue::Boolean(false)) {
            let reasons = printer.get("printer-state-reasons").map(|a| words(a.value())).unwrap_or_default();
            return Err(self.stopped(reasons));
        }
        Ok(())
    }

    /// Sends one PDF, unmodified: 100 %, one copy. The job's name tells nothing of the patient, because queues and
    /// printers keep and show it.
    pub async fn print(&self, pdf: &[u8]) -> Result<Job, PrintFault> {
        if !pdf.starts_with(b"%PDF-") || pdf.len() > DOCUMENT_BYTES_MAX {
            return Err(PrintFault::Document { bytes: pdf.len() });
        }
        let keyword = |name: &str, value: &str| {
            IppValue::new_keyword(value)
                .and_then(|value| IppAttribute::with_name(name, value))
                .map_err(|_| self.address_fault())
        };
        let payload = IppPayload::new(std::io::Cursor::new(pdf.to_vec()));
        let operation = IppOperationBuilder::print_job(self.uri.clone(), payload)
            .user_name("cabin")
            .job_title("document")
            .document_format("application/pdf")
            .attribute(keyword("print-scaling", "none")?)
            .attribute(IppAttribute::with_name("copies", IppValue::new_integer(1)).map_err(|_| self.address_fault())?)
            .build()
            .map_err(|_| self.address_fault())?;
        let answer = self.send(operation).await?;
        answer
            .attributes()
            .first_of(DelimiterTag::JobAttributes)
            .and_then(|job| job.get("job-id"))
            .and_then(|id| match id.value() {
                IppValue::Integer(id) => Some(Job { id: *id }),
                _ => None,
            })
            .ok_or_else(|| PrintFault::Refused { printer: self.uri.to_string(), status: "no job-id".to_owned() })
    }

    /// Asks how the job is going until it is printed, has failed, or `patience` is over.
    pub async fn follow(&self, job: Job, patience: Duration) -> Result<Progress, PrintFault> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            if let Some(progress) = self.progress(job).await? {
                return Ok(progress);
            }
            if tokio::time::Instant::now() + POLL > deadline {
                return Ok(Progress::Waiting);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// `None` while the job waits or prints.
    async fn progress(&self, job: Job) -> Result<Option<Progress>, PrintFault> {
        let operation = IppOperationBuilder::get_job_attributes(self.uri.clone(), job.id)
            .build()
            .map_err(|_| self.address_fault())?;
        let answer = match self.send(operation).await {
            // Printers forget a job soon after it is done.
            Err(PrintFault::Refused { status, .. }) if status == "ClientErrorNotFound" => {
                return Ok(Some(Progress::Printed));
            }
            other => other?,
        };
        let Some(attributes) = answer.attributes().first_of(DelimiterTag::JobAttributes) else { return Ok(None) };
        let state = attributes.get("job-state").map(|a| a.value().clone());
        let reasons = attributes.get("job-state-reasons").map(|a| words(a.value())).unwrap_or_default();
        // RFC 8011, 5.3.7: 3 pending, 4 held, 5 processing, 6 stopped, 7 cancelled, 8 aborted, 9 completed.
        match state {
            Some(IppValue::Enum(9)) => Ok(Some(Progress::Printed)),
            Some(IppValue::Enum(6..=8)) => Err(self.stopped(reasons)),
            _ => Ok(None),
        }
    }

    async fn send(&self, operation: impl IppOperation) -> Result<IppRequestResponse, PrintFault> {
        // The TLS client behind ipps needs a default provider; a second installation is refused, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = AsyncIppClient::builder(self.uri.clone()).request_timeout(ANSWER_TIMEOUT).build();
        let answer = client.send(operation).await.map_err(|error| match error {
            IppError::RequestError(status) => {
                PrintFault::Refused { printer: self.uri.to_string(), status: format!("HTTP {status}") }
            }
            _ => self.missing(),
        })?;
        let status = answer.header().status_code();
        if status.is_success() {
            return Ok(answer);
        }
        Err(match status {
            StatusCode::ClientErrorDocumentFormatNotSupported => PrintFault::NotPdf { printer: self.uri.to_string() },
            StatusCode::ServerErrorNotAcceptingJobs => self.stopped(vec!["not accepting jobs".to_owned()]),
            status => PrintFault::Refused { printer: self.uri.to_string(), status: format!("{status:?}") },
        })
    }

    fn missing(&self) -> PrintFault {
        PrintFault::Missing { printer: self.uri.to_string() }
    }

    fn address_fault(&self) -> PrintFault {
        PrintFault::Address { address: self.uri.to_string() }
    }

    fn stopped(&self, reasons: Vec<String>) -> PrintFault {
        PrintFault::Stopped { printer: self.uri.to_string(), reasons: reasons.join(", ") }
    }
}

/// The words of an attribute of one or several values.
fn words(value: &IppValue) -> Vec<String> {
    match value {
        IppValue::Array(values) => values.iter().flat_map(words).collect(),
        value => vec![value.to_string()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};

    /// A real IPP Everywhere printer: `ippeveprinter`, which keeps every document that it prints. It will not start
    /// without a D-Bus to announce itself on, so it has one of its own, on which nobody listens.
    struct RealPrinter {
        child: Child,
        bus: Option<Child>,
        folder: PathBuf,
        port: u16,
    }

    impl RealPrinter {
        fn start(name: &str) -> Option<RealPrinter> {
            Self::start_with(name, &[])
        }

        fn start_with(name: &str, more: &[&str]) -> Option<RealPrinter> {
            let folder = std::env::temp_dir().join(format!("telecabine-print-{name}-{}", std::process::id()));
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).unwrap();
            // The port is chosen by the system, then given back: ippeveprinter cannot choose for itself.
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut printer = Command::new("ippeveprinter");
            printer
                .args(["-k", "-v", "-n", "localhost", "-r", "off", "-f", "application/pdf", "-p", &port.to_string()])
                .args(more)
                .arg("-d")
                .arg(&folder)
                .arg("Cabin")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped());
            let bus = Command::new("dbus-daemon")
                .args(["--session", "--nofork", "--print-address=1"])
                .arg(format!("--address=unix:dir={}", folder.display()))
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .ok()
                .map(|mut bus| {
                    let mut address = String::new();
                    BufReader::new(bus.stdout.take().unwrap()).read_line(&mut address).unwrap();
                    printer.env("DBUS_SYSTEM_BUS_ADDRESS", address.trim());
                    bus
                });
            let Ok(mut child) = printer.spawn() else {
                assert!(std::env::var_os("CI").is_none(), "ippeveprinter is missing: install cups-ipp-utils");
                eprintln!("SKIPPED: ippeveprinter (package cups-ipp-utils) is not installed");
                return None;
            };
            let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
            let printer = RealPrinter { child, bus, folder, port };
            let mut said = Vec::new();
            // The identifier is the last thing that it tells before it serves.
            let ready = lines.by_ref().map_while(Result::ok).any(|line| {
                said.push(line);
                said.last().is_some_and(|l| l.starts_with("printer-uuid="))
            });
            assert!(ready, "ippeveprinter ended: {said:?}");
            // What it says later is drained so that it never blocks.
            std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
            Some(printer)
        }

        fn address(&self) -> Printer {
            Printer::parse(&format!("ipp://localhost:{}/ipp/print", self.port)).unwrap()
        }

        fn printed(&self) -> Vec<Vec<u8>> {
            let mut files = Vec::new();
            let mut folders = vec![self.folder.clone()];
            while let Some(folder) = folders.pop() {
                for entry in std::fs::read_dir(folder).unwrap() {
                    let path: PathBuf = entry.unwrap().path();
                    if path.is_dir() {
                        folders.push(path);
                    } else if path.extension().is_some_and(|e| e == "pdf") {
                        files.push(std::fs::read(path).unwrap());
                    }
                }
            }
            files
        }
    }

    impl Drop for RealPrinter {
        fn drop(&mut self) {
            for child in [Some(&mut self.child), self.bus.as_mut()].into_iter().flatten() {
                let _ = child.kill();
                let _ = child.wait();
            }
            let _ = std::fs::remove_dir_all(Path::new(&self.folder));
        }
    }

    fn pdf_of(length: usize) -> Vec<u8> {
        let mut pdf = b"%PDF-1.7\n".to_vec();
        pdf.extend((0..length).map(|n| (n % 251) as u8));
        pdf.extend(b"\n%%EOF\n");
        pdf
    }

    #[tokio::test]
    async fn what_comes_out_of_the_printer_is_the_physicians_file_byte_for_byte() {
        let Some(real) = RealPrinter::start("bytes") else { return };
        let printer = real.address();
        printer.check().await.unwrap();
        let pdf = pdf_of(300_000);
        let job = printer.print(&pdf).await.unwrap();
        assert_eq!(printer.follow(job, Duration::from_secs(60)).await, Ok(Progress::Printed));
        assert_eq!(real.printed(), vec![pdf]);
    }

    #[tokio::test]
    async fn a_printer_that_gives_up_in_the_middle_is_said_to_have_stopped() {
        // Takes the document, then fails at it, as without paper.
        let Some(real) = RealPrinter::start_with("stopped", &["-c", "/bin/false"]) else { return };
        let printer = real.address();
        let job = printer.print(&pdf_of(1_000)).await.unwrap();
        let fault = printer.follow(job, Duration::from_secs(60)).await.unwrap_err();
        assert!(matches!(fault, PrintFault::Stopped { .. }), "{fault}");
        assert!(fault.to_string().contains("check paper and panel"));
    }

    #[tokio::test]
    async fn a_printer_that_is_not_there_is_said_to_be_missing() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let printer = Printer::parse(&format!("ipp://127.0.0.1:{port}/ipp/print")).unwrap();
        assert!(matches!(printer.print(&pdf_of(10)).await, Err(PrintFault::Missing { .. })));
        assert!(matches!(printer.check().await, Err(PrintFault::Missing { .. })));
    }

    #[tokio::test]
    async fn what_is_not_a_pdf_never_reaches_the_printer() {
        let printer = Printer::parse("ipp://localhost:1/ipp/print").unwrap();
        assert_eq!(printer.print(b"<html>").await, Err(PrintFault::Document { bytes: 6 }));
        let long = pdf_of(DOCUMENT_BYTES_MAX);
        assert_eq!(printer.print(&long).await, Err(PrintFault::Document { bytes: long.len() }));
    }

    #[test]
    fn an_address_that_is_no_printers_says_how_to_write_one() {
        for wrong in ["", "printer", "ipp://", "ftp://a/b", "ipp://host", "ipp://host/", "ipp://a b/ipp/print"] {
            let fault = Printer::parse(wrong).unwrap_err();
            assert!(fault.to_string().contains("ipp://name:631/ipp/print"), "{wrong}");
        }
        for right in ["ipp://localhost:8631/ipp/print", "ipps://p.local/ipp/print", "ipp://localhost/printers/bureau"] {
            Printer::parse(right).unwrap();
        }
    }
}

//! Speech to be said through a line, and how intelligible it still is there: by the public measure ESTOI.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// What a patient might say: no sentence is like another.
const WORDS: &str = "Je tousse depuis trois jours et j'ai de la fièvre. La douleur est à droite, sous les côtes. \
    Je prends un comprimé le matin et deux le soir. Mon fils a mal à l'oreille gauche. Je suis allergique à la \
    pénicilline. J'ai du mal à respirer quand je monte l'escalier. Cela me brûle quand j'avale.";
/// How often it is said: longer than any measurement.
const TIMES: usize = 12;
/// Before the samples, in what espeak-ng writes: RIFF with one `fmt ` of 16 bytes.
const HEADER_BYTES: usize = 44;

/// The speech as files, and the program that judges.
pub struct Speech {
    folder: TempDir,
    python: PathBuf,
}

impl Speech {
    /// Speaks with `espeak-ng`, and installs what judges, once, beside the build.
    pub fn prepare() -> Result<Speech> {
        let speech = Speech { folder: tempfile::tempdir()?, python: judge()? };
        run(Command::new("espeak-ng").args(["-v", "fr", "-s", "150", "-w"]).arg(speech.once()).arg(WORDS))?;
        let once = std::fs::read(speech.once())?;
        let (header, samples) = once.split_at_checked(HEADER_BYTES).context("a WAV file of espeak-ng")?;
        let bytes = u32::try_from(samples.len() * TIMES)?;
        let mut header = header.to_vec();
        header[4..8].copy_from_slice(&(bytes + HEADER_BYTES as u32 - 8).to_le_bytes());
        header[40..44].copy_from_slice(&bytes.to_le_bytes());
        std::fs::write(speech.file(), [header, samples.repeat(TIMES)].concat())?;
        Ok(speech)
    }

    fn once(&self) -> PathBuf {
        self.folder.path().join("once.wav")
    }

    /// A WAV file in which it is said again and again.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("speech.wav")
    }

    /// How intelligible it is in these samples (16 bits, 48 kHz, one channel), from 0 to 1.
    pub fn score(&self, heard: &[u8]) -> Result<f64> {
        let file = self.folder.path().join("heard.raw");
        std::fs::write(&file, heard)?;
        let score = scripts().join("score.py");
        let printed = run(Command::new(&self.python).arg(score).arg(self.once()).arg(file))?;
        printed.trim().parse().with_context(|| format!("a number, not {printed:?}"))
    }
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/bad_link/intelligibility")
}

/// The Python that has `pystoi`.
fn judge() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.ancestors().nth(2).context("a build folder")?.join("intelligibility");
    let python = folder.join("bin/python");
    let wanted = std::fs::read_to_string(scripts().join("requirements.txt"))?;
    // The stamp holds what was installed: a changed list installs anew.
    let stamp = folder.join("installed");
    if !std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
        run(Command::new(&python).args(pip).arg(scripts().join("requirements.txt")))?;
        std::fs::write(stamp, wanted)?;
    }
    Ok(python)
}

fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}

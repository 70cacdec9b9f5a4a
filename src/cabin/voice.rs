//! Reading the screen aloud, by the system's own speech synthesiser (`espeak-ng`).
//!
//! One voice at a time; a touch stops it. The words go to the synthesiser by its standard input, never by its command
//! line, where every program of the machine could read them.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};

/// Words a minute: slower than the synthesiser's own 175, for people who are ill or old.
const WORDS_A_MINUTE: &str = "140";

/// The voice of the cabin.
#[derive(Default)]
pub struct Voice {
    speaking: Option<Child>,
}

/// The synthesiser is not there, or does not start: install the package `espeak-ng`.
#[derive(Debug, thiserror::Error)]
#[error("the screen cannot be read aloud: {0}. Install the package espeak-ng")]
pub struct Mute(#[from] std::io::Error);

impl Voice {
    /// Says `words` in `language` (an ISO 639-1 code); stops what was being said.
    ///
    /// # Errors
    /// [`Mute`] when the synthesiser is missing.
    pub fn say(&mut self, words: &str, language: &str) -> Result<(), Mute> {
        self.stop();
        let mut child = Command::new("espeak-ng")
            .args(["-v", language, "-s", WORDS_A_MINUTE, "--stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(mut pipe) = child.stdin.take() {
            // A pipe holds 64 KiB, a screen some hundred bytes: this never waits for the voice.
            pipe.write_all(words.as_bytes())?;
        }
        self.speaking = Some(child);
        Ok(())
    }

    /// Falls silent at once.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.speaking.take() {
            // It may have ended by itself: nothing is left to stop then.
            child.kill().ok();
            child.wait().ok();
        }
    }

    /// Whether something is being said now.
    pub fn is_speaking(&mut self) -> bool {
        let speaking = self.speaking.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)));
        if !speaking {
            self.speaking = None;
        }
        speaking
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        self.stop();
    }
}

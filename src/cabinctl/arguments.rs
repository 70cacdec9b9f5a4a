//! Words of a command line: plain words in order, and `--option value`.

use std::collections::VecDeque;

use anyhow::{Context as _, Result, bail};

/// Options without a value.
const FLAGS: &[&str] = &["dev-key", "replace", "show", "with-others"];

pub(crate) struct Arguments {
    words: VecDeque<String>,
    options: Vec<(String, String)>,
}

impl Arguments {
    pub(crate) fn new(words: Vec<String>) -> Result<Self> {
        let mut arguments = Arguments { words: VecDeque::new(), options: Vec::new() };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.strip_prefix("--") {
                Some("help") => arguments.words.push_front("help".into()),
                Some(flag) if FLAGS.contains(&flag) => arguments.options.push((flag.into(), String::new())),
                Some(option) => {
                    let value = words.next().with_context(|| format!("--{option} needs a value"))?;
                    arguments.options.push((option.into(), value));
                }
                None => arguments.words.push_back(word),
            }
        }
        Ok(arguments)
    }

    /// The next plain word.
    pub(crate) fn word(&mut self) -> Option<String> {
        self.words.pop_front()
    }

    /// The next plain word, which must be there; `what` says what it is.
    pub(crate) fn need(&mut self, what: &str) -> Result<String> {
        self.word().with_context(|| format!("{what} is missing; see cabinctl help"))
    }

    /// The value of an option.
    pub(crate) fn option(&mut self, name: &str) -> Option<String> {
        let at = self.options.iter().position(|(option, _)| option == name)?;
        Some(self.options.remove(at).1)
    }

    /// The value of an option that must be there.
    pub(crate) fn need_option(&mut self, name: &str) -> Result<String> {
        self.option(name).with_context(|| format!("--{name} is missing; see cabinctl help"))
    }

    /// Refuses what nobody asked for: a misspelt option must not be ignored.
    pub(crate) fn end(self) -> Result<()> {
        if let Some(word) = self.words.front() {
            bail!("one word too many: {word:?}");
        }
        if let Some((option, _)) = self.options.first() {
            bail!("no option --{option} here; see cabinctl help");
        }
        Ok(())
    }
}

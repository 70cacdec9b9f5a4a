//! Words of a command line: plain words in order, and `--option value`.

use std::collections::VecDeque;

use anyhow::{Context as _, Result, bail};

/// Options without a value.
const FLAGS: &[&str] = &["dev-key", "replace", "show", "with-others"];

pub(crate) struct Arguments {
    words: VecDeque<String>,
    options: Vec<(String, String)>,
    is_help: bool,
}

impl Arguments {
    pub(crate) fn new(words: Vec<String>) -> Result<Self> {
        let mut arguments = Arguments { words: VecDeque::new(), options: Vec::new(), is_help: false };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.strip_prefix("--") {
                Some("help") => arguments.is_help = true,
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

    /// Whether `--help` stands anywhere.
    pub(crate) fn is_help(&self) -> bool {
        self.is_help
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
        self.option(name).with_context(|| {
            let given: Vec<String> = self.options.iter().map(|(option, _)| format!("--{option}")).collect();
            match given.is_empty() {
                true => format!("--{name} is missing; see cabinctl help"),
                false => format!("--{name} is missing (there is {}); see cabinctl help", given.join(", ")),
            }
        })
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

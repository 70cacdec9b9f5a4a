//! What a line is like over time, as a text file that a person can write.

use std::time::Duration;

use crate::Conditions;

/// A seed and phases that follow each other; the last one stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Of the chance of both directions.
    pub seed: u64,
    /// In order; never empty.
    pub phases: Vec<Phase>,
}

/// What the line is like for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// How long.
    pub lasts: Duration,
    /// What it is like.
    pub conditions: Conditions,
}

/// What is wrong with a trace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {wrong}")]
pub struct Mistake {
    /// Counted from 1.
    pub line: usize,
    /// What to write instead.
    pub wrong: String,
}

impl Trace {
    /// One phase that stays.
    pub fn steady(conditions: Conditions, seed: u64) -> Trace {
        Trace { seed, phases: vec![Phase { lasts: Duration::MAX, conditions }] }
    }

    /// Reads a trace: `seed 7`, then a phase a line, either `SECONDS KBIT/S QUEUE_MS DELAY_MS JITTER_MS LOSS_PERCENT`
    /// or `SECONDS cut`; `#` begins a comment.
    ///
    /// # Errors
    ///
    /// Which line says what it must not.
    pub fn read(text: &str) -> Result<Trace, Mistake> {
        let mut trace = Trace { seed: 0, phases: Vec::new() };
        for (index, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            let wrong = |wrong: String| Mistake { line: index + 1, wrong };
            let number = |word: &str, most: f64| match word.parse::<f64>() {
                Ok(number) if (0.0..=most).contains(&number) => Ok(number),
                _ => Err(wrong(format!("`{word}` is not a number from 0 to {most}"))),
            };
            let milliseconds = |word| number(word, 60_000.0).map(|ms| Duration::from_secs_f64(ms / 1_000.0));
            match words.as_slice() {
                [] => {}
                ["seed", seed] => {
                    trace.seed = seed.parse().map_err(|_| wrong(format!("`{seed}` is not a whole number")))?;
                }
                [seconds, "cut"] => {
                    let lasts = Duration::from_secs_f64(number(seconds, 86_400.0)?);
                    trace.phases.push(Phase { lasts, conditions: Conditions::CUT });
                }
                [seconds, kbits, queue, delay, jitter, loss] => {
                    let conditions = Conditions {
                        bits_per_second: (number(kbits, 1e6)? * 1_000.0) as u64,
                        queue: milliseconds(queue)?,
                        delay: milliseconds(delay)?,
                        jitter: milliseconds(jitter)?,
                        loss_thousandths: (number(loss, 100.0)? * 10.0).round() as u32,
                    };
                    let lasts = Duration::from_secs_f64(number(seconds, 86_400.0)?);
                    trace.phases.push(Phase { lasts, conditions });
                }
                _ => {
                    let form = "SECONDS KBIT/S QUEUE_MS DELAY_MS JITTER_MS LOSS_PERCENT";
                    return Err(wrong(format!("write `{form}`, `SECONDS cut` or `seed NUMBER`")));
                }
            }
        }
        if trace.phases.is_empty() {
            return Err(Mistake { line: text.lines().count() + 1, wrong: "no phase is written".to_owned() });
        }
        Ok(trace)
    }

    /// What the line is like at `time` from the start.
    pub fn at(&self, time: Duration) -> Conditions {
        let mut ends = Duration::ZERO;
        let phase = self.phases.iter().find(|phase| {
            ends = ends.saturating_add(phase.lasts);
            time < ends
        });
        phase.or(self.phases.last()).map_or(Conditions::CUT, |phase| phase.conditions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trace_of_the_folder_is_readable() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("traces");
        let mut read = 0;
        for file in std::fs::read_dir(folder).expect("the traces") {
            let file = file.expect("a trace").path();
            let text = std::fs::read_to_string(&file).expect("text");
            Trace::read(&text).unwrap_or_else(|mistake| panic!("{}: {mistake}", file.display()));
            read += 1;
        }
        assert!(read > 0);
    }

    #[test]
    fn phases_follow_each_other_and_the_last_one_stays() {
        let text = "seed 7 # any\n12 2000 400 40 5 0\n\n0.5 cut\n1 300 400 150 10 2.5\n";
        let trace = Trace::read(text).expect("a trace");
        let rate = |seconds| trace.at(Duration::from_secs_f64(seconds)).bits_per_second;
        assert_eq!((trace.seed, rate(0.0), rate(11.9)), (7, 2_000_000, 2_000_000));
        assert_eq!((rate(12.0), rate(12.49), rate(12.5), rate(1e6)), (0, 0, 300_000, 300_000));
        assert_eq!(trace.at(Duration::from_secs(20)).loss_thousandths, 25);
        assert_eq!(Trace::steady(Conditions::GOOD, 1).at(Duration::MAX), Conditions::GOOD);
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        for (text, line) in [("", 1), ("seed x", 1), ("1 2 3", 1), ("1 cut\n1 300 400 150 10 101", 2), ("-1 cut", 1)] {
            assert_eq!(Trace::read(text).expect_err(text).line, line, "{text}");
        }
    }
}

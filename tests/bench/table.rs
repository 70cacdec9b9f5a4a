//! Median, 95th percentile and spread of what was measured, as a table to read and to copy.

use std::fmt;
use std::time::Duration;

use anyhow::Result;

/// The unit of what has none; it is printed with two decimals.
pub const RATIO: &str = "of 1";

/// One thing that was measured many times.
pub struct Row {
    what: &'static str,
    unit: &'static str,
    /// What the project aims at, in the same unit; a reference has none.
    aim: Option<f64>,
    /// Sorted.
    values: Vec<f64>,
}

impl Row {
    /// A row of these values, in any order.
    pub fn new(what: &'static str, unit: &'static str, aim: Option<u32>, mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self { what, unit, aim: aim.map(f64::from), values }
    }

    /// How much the median of one is of the median of another; its spread is that of each value of the one.
    pub fn ratio(what: &'static str, aim: f64, one: &Self, other: &Self) -> Self {
        let other = other.percentile(0.5).unwrap_or(f64::NAN);
        let values = one.values.iter().map(|value| value / other).collect();
        Self { what, unit: RATIO, aim: Some(aim), values }
    }

    /// How much the 95th percentile of one is of that of another.
    pub fn ratio_of_p95(what: &'static str, aim: f64, one: &Self, other: &Self) -> Self {
        let values = one.percentile(0.95).zip(other.percentile(0.95)).map(|(one, other)| one / other);
        Self { what, unit: RATIO, aim: Some(aim), values: values.into_iter().collect() }
    }

    /// The value that this share of the values does not exceed (nearest rank); nothing of nothing.
    fn percentile(&self, share: f64) -> Option<f64> {
        let rank = (share * self.values.len() as f64).ceil() as usize;
        self.values.get(rank.saturating_sub(1)).copied()
    }
}

/// All that was measured, and on what.
pub struct Table {
    /// Of the machine and the programs.
    facts: Vec<(&'static str, String)>,
    /// In the order in which they are printed.
    pub rows: Vec<Row>,
}

impl Table {
    /// An empty table of a machine.
    pub fn new(facts: Vec<(&'static str, String)>) -> Self {
        Self { facts, rows: Vec::new() }
    }

    /// Adds what is known only at the end.
    pub fn finish(&mut self, took: Duration) -> Result<()> {
        self.facts.push(("load after", crate::machine::load()?));
        self.facts.push(("took", format!("{} s", took.as_secs())));
        Ok(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.what.chars().count()).max().unwrap_or_default();
        writeln!(f)?;
        for (what, which) in &self.facts {
            writeln!(f, "{what:<11} {which}")?;
        }
        writeln!(f)?;
        writeln!(f, "{:<width$}  {:>3}  {:>8}  {:>8}  {:>17}  unit  aim", "", "n", "median", "p95", "least to most")?;
        for row in &self.rows {
            let decimals = if row.unit == RATIO { 2 } else { 1 };
            let number =
                |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"));
            let spread = format!("{} to {}", number(row.percentile(0.0)), number(row.percentile(1.0)));
            let aim = row.aim.map(|aim| format!("{aim}")).unwrap_or_default();
            writeln!(
                f,
                "{:<width$}  {:>3}  {:>8}  {:>8}  {spread:>17}  {:<4}  {aim}",
                row.what,
                row.values.len(),
                number(row.percentile(0.5)),
                number(row.percentile(0.95)),
                row.unit,
            )?;
        }
        Ok(())
    }
}

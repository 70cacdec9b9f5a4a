//! Reads TOML tables field by field, and notes every mistake with its line instead of stopping at the first.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::Mistake;

/// Most mistakes listed: past it a person mends those first.
pub(crate) const MISTAKES_MAX: usize = 50;

/// Longest text of a field, bytes.
const TEXT_MAX: usize = 500;

/// Mistakes found so far, and the text in which they are.
pub(crate) struct Notes<'a> {
    text: &'a str,
    pub(crate) mistakes: Vec<Mistake>,
}

impl<'a> Notes<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Notes { text, mistakes: Vec::new() }
    }

    pub(crate) fn line(&self, at: usize) -> usize {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        1 + before.iter().filter(|b| **b == b'\n').count()
    }

    pub(crate) fn note(&mut self, at: usize, key: impl Into<String>, expected: impl Into<String>) {
        if self.mistakes.len() < MISTAKES_MAX {
            let line = self.line(at);
            self.mistakes.push(Mistake { line, key: key.into(), expected: expected.into() });
        }
    }
}

/// One table being read. Each field is asked for by its name; [`Table::end`] notes the fields nobody asked for.
pub(crate) struct Table<'t, 'i> {
    /// `site`, `device 2`: how a person finds it.
    name: String,
    at: usize,
    table: Option<&'t DeTable<'i>>,
    asked: Vec<&'static str>,
}

impl<'t, 'i> Table<'t, 'i> {
    pub(crate) fn root(table: &'t Spanned<DeTable<'i>>) -> Self {
        Table { name: String::new(), at: 0, table: Some(table.get_ref()), asked: Vec::new() }
    }

    fn key(&self, field: &str) -> String {
        if self.name.is_empty() { field.to_owned() } else { format!("{}.{field}", self.name) }
    }

    fn find(&mut self, field: &'static str) -> Option<&'t Spanned<DeValue<'i>>> {
        self.asked.push(field);
        self.table?.iter().find(|(key, _)| key.get_ref().as_ref() == field).map(|(_, value)| value)
    }

    /// Where the table begins, for what is wrong of it as a whole.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn has(&mut self, field: &'static str) -> bool {
        self.find(field).is_some()
    }

    pub(crate) fn line(&self, notes: &Notes<'_>) -> usize {
        notes.line(self.at)
    }

    /// Where a field's value is, or its table where it is missing.
    pub(crate) fn at_field(&mut self, field: &'static str) -> usize {
        let at = self.at;
        self.find(field).map_or(at, |value| value.span().start)
    }

    /// A table inside this one. Absent, it reads as empty: its required fields are then noted as missing.
    pub(crate) fn table(&mut self, field: &'static str, notes: &mut Notes<'_>) -> Table<'t, 'i> {
        let name = self.key(field);
        match self.find(field) {
            None => Table { name, at: self.at, table: None, asked: Vec::new() },
            Some(value) => {
                if let DeValue::Table(table) = value.get_ref() {
                    Table { name, at: value.span().start, table: Some(table), asked: Vec::new() }
                } else {
                    notes.note(value.span().start, &name, format!("a table: [{name}] and its fields below"));
                    Table { name, at: value.span().start, table: None, asked: Vec::new() }
                }
            }
        }
    }

    /// The tables `[[field]]`, at most `max`.
    pub(crate) fn tables(&mut self, field: &'static str, max: usize, notes: &mut Notes<'_>) -> Vec<Table<'t, 'i>> {
        let name = self.key(field);
        let Some(value) = self.find(field) else { return Vec::new() };
        let DeValue::Array(array) = value.get_ref() else {
            notes.note(value.span().start, &name, format!("tables: [[{name}]] before each"));
            return Vec::new();
        };
        if array.len() > max {
            notes.note(value.span().start, &name, format!("at most {max}"));
        }
        let mut tables = Vec::new();
        for (number, item) in array.iter().enumerate().take(max) {
            let name = format!("{name} {}", number + 1);
            if let DeValue::Table(table) = item.get_ref() {
                tables.push(Table { name, at: item.span().start, table: Some(table), asked: Vec::new() });
            } else {
                notes.note(item.span().start, name, "a table of fields");
            }
        }
        tables
    }

    fn missing(&self, field: &str, expected: &str, notes: &mut Notes<'_>) {
        notes.note(self.at, self.key(field), format!("missing: {expected}"));
    }

    fn text_of(
        &self,
        field: &str,
        expected: &str,
        value: &Spanned<DeValue<'i>>,
        notes: &mut Notes<'_>,
    ) -> Option<String> {
        match value.get_ref().as_str() {
            Some(text) if !text.trim().is_empty() && text.len() <= TEXT_MAX => Some(text.to_owned()),
            Some(text) if text.len() > TEXT_MAX => {
                notes.note(value.span().start, self.key(field), format!("{expected}, at most {TEXT_MAX} bytes"));
                None
            }
            Some(_) => {
                notes.note(value.span().start, self.key(field), format!("{expected}; it is empty"));
                None
            }
            None => {
                let found = value.get_ref().type_str();
                notes.note(
                    value.span().start,
                    self.key(field),
                    format!("{expected}, in quotes; this is of type {found}"),
                );
                None
            }
        }
    }

    /// A text that must be there. `check` gives the value, or `None` when it is not what is expected.
    pub(crate) fn required<T>(
        &mut self,
        field: &'static str,
        expected: &str,
        notes: &mut Notes<'_>,
        check: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        if self.find(field).is_none() {
            self.missing(field, expected, notes);
        }
        self.optional(field, expected, notes, check)
    }

    /// A text that may be absent.
    pub(crate) fn optional<T>(
        &mut self,
        field: &'static str,
        expected: &str,
        notes: &mut Notes<'_>,
        check: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.find(field)?;
        let text = self.text_of(field, expected, value, notes)?;
        let checked = check(&text);
        if checked.is_none() {
            notes.note(value.span().start, self.key(field), format!("{expected}; this is {text:?}"));
        }
        checked
    }

    /// One of a few words, or the default when absent.
    pub(crate) fn one_of<T: Copy>(
        &mut self,
        field: &'static str,
        words: &[(&str, T)],
        default: Option<T>,
        notes: &mut Notes<'_>,
    ) -> Option<T> {
        let list: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let expected = format!("one of {}", list.join(", "));
        let check = |text: &str| words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        match default {
            None => self.required(field, &expected, notes, check),
            Some(default) if self.find(field).is_none() => Some(default),
            Some(_) => self.optional(field, &expected, notes, check),
        }
    }

    /// A whole number within bounds, or the default when absent.
    pub(crate) fn number(
        &mut self,
        field: &'static str,
        bounds: Range<u32>,
        default: u32,
        notes: &mut Notes<'_>,
    ) -> u32 {
        let Some(value) = self.find(field) else { return default };
        let number = match value.get_ref() {
            DeValue::Integer(integer) => u32::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok(),
            _ => None,
        };
        match number.filter(|n| bounds.contains(n)) {
            Some(number) => number,
            None => {
                let expected = format!("a whole number from {} to {}", bounds.start, bounds.end - 1);
                notes.note(value.span().start, self.key(field), expected);
                default
            }
        }
    }

    /// `true` or `false`, or the default when absent.
    pub(crate) fn flag(&mut self, field: &'static str, default: bool, notes: &mut Notes<'_>) -> bool {
        let Some(value) = self.find(field) else { return default };
        value.get_ref().as_bool().unwrap_or_else(|| {
            notes.note(value.span().start, self.key(field), "true or false, without quotes");
            default
        })
    }

    /// A list of texts, at most `max`.
    pub(crate) fn list(
        &mut self,
        field: &'static str,
        expected: &str,
        max: usize,
        notes: &mut Notes<'_>,
        check: impl Fn(&str) -> bool,
    ) -> Vec<String> {
        let Some(value) = self.find(field) else { return Vec::new() };
        let DeValue::Array(array) = value.get_ref() else {
            notes.note(value.span().start, self.key(field), format!("a list in square brackets: {expected}"));
            return Vec::new();
        };
        if array.len() > max {
            notes.note(value.span().start, self.key(field), format!("at most {max} of them"));
        }
        let mut texts = Vec::new();
        for item in array.iter().take(max) {
            if let Some(text) = self.text_of(field, expected, item, notes) {
                if check(&text) {
                    texts.push(text);
                } else {
                    notes.note(item.span().start, self.key(field), format!("{expected}; this is {text:?}"));
                }
            }
        }
        texts
    }

    /// Notes what nobody asked for: a misspelt field must not be ignored.
    pub(crate) fn end(self, notes: &mut Notes<'_>) {
        let Some(table) = self.table else { return };
        for (key, _) in table.iter() {
            let name = key.get_ref().as_ref();
            if !self.asked.contains(&name) {
                let mut known = self.asked.clone();
                known.sort_unstable();
                known.dedup();
                notes.note(key.span().start, self.key(name), format!("unknown here; known are {}", known.join(", ")));
            }
        }
    }
}

//! What patient and physician write to each other in the call, for who cannot hear or speak. It is not of the record,
//! which holds the summary and not the conversation: it lives here, and is forgotten with the patient.

use std::collections::VecDeque;

use consult::private::PrivateText;
use signal::ItemId;

/// Characters of one line, as the wire takes them: a letter may have several bytes.
pub const CHARS_MAX: usize = 240;
/// Lines kept: more than a screen shows.
const LINES_MAX: usize = 40;

/// One line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Written by the patient; else by the physician.
    pub is_patients: bool,
    /// In words.
    pub text: PrivateText<CHARS_MAX>,
    /// The physician's page shows it; always so of the physician's own.
    pub arrived: bool,
    id: Option<ItemId>,
}

/// The conversation of one call.
#[derive(Clone, Default, Debug)]
pub struct Conversation {
    lines: VecDeque<Line>,
    /// Of the patient's lines, so that each has its own name.
    written: u32,
    /// The screen to write on is open.
    pub is_open: bool,
}

impl Conversation {
    /// The patient's line, with the name by which it is acknowledged. `None` for an empty or too long one.
    pub fn write(&mut self, text: &str) -> Option<(ItemId, PrivateText<CHARS_MAX>)> {
        let text = PrivateText::new(text).ok().filter(|text: &PrivateText<CHARS_MAX>| !text.is_empty())?;
        self.written = self.written.checked_add(1)?;
        let id = ItemId::new(format!("patient-{}", self.written)).ok()?;
        self.keep(Line { is_patients: true, text: text.clone(), arrived: false, id: Some(id.clone()) });
        Some((id, text))
    }

    /// The physician's line; what takes the last one off the screen is none.
    pub fn heard(&mut self, text: &str) {
        let cut: String = text.chars().take(CHARS_MAX).collect();
        if let Ok(text) = PrivateText::new(&cut)
            && !text.is_empty()
        {
            self.keep(Line { is_patients: false, text, arrived: true, id: None });
        }
    }

    /// The physician's page shows that line. True when it is one of these.
    pub fn arrived(&mut self, id: &ItemId) -> bool {
        let line = self.lines.iter_mut().find(|line| line.id.as_ref() == Some(id));
        line.is_some_and(|line| !std::mem::replace(&mut line.arrived, true))
    }

    /// What the page has not shown yet, oldest first: said again once there is a line again.
    pub fn not_arrived(&self) -> impl Iterator<Item = (&ItemId, &PrivateText<CHARS_MAX>)> {
        self.lines.iter().filter(|line| !line.arrived).filter_map(|line| Some((line.id.as_ref()?, &line.text)))
    }

    /// Oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.lines.iter()
    }

    fn keep(&mut self, line: Line) {
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_said_again_until_the_page_has_shown_it_and_has_a_name_of_its_own() {
        let mut conversation = Conversation::default();
        assert_eq!(conversation.write("  \n "), None);
        assert_eq!(conversation.write(&"é".repeat(CHARS_MAX + 1)), None);
        let (first, text) = conversation.write(" J’entends mal ").unwrap();
        assert_eq!(text.reveal(), "J’entends mal");
        let (second, _) = conversation.write("Oui").unwrap();
        assert_ne!(first, second);
        assert!(conversation.arrived(&first) && !conversation.arrived(&first));
        assert!(!conversation.arrived(&ItemId::new("n1".to_owned()).unwrap()));
        let waiting: Vec<_> = conversation.not_arrived().map(|(id, _)| id.clone()).collect();
        assert_eq!(waiting, [second]);
    }

    #[test]
    fn only_the_last_lines_are_kept_and_a_line_taken_off_is_none() {
        let mut conversation = Conversation::default();
        conversation.heard("");
        for number in 0..=LINES_MAX {
            conversation.heard(&number.to_string());
        }
        assert_eq!(conversation.lines().count(), LINES_MAX);
        assert_eq!(conversation.lines().next().unwrap().text.reveal(), "1");
        assert_eq!(conversation.not_arrived().count(), 0);
        assert!(!format!("{conversation:?}").contains("39"), "a patient's words in a debug line");
    }

    #[test]
    fn the_longest_line_fits_the_wire_whatever_its_letters() {
        let mut conversation = Conversation::default();
        let (_, text) = conversation.write(&"é".repeat(CHARS_MAX)).unwrap();
        assert_eq!(signal::Text::<500>::cut(text.reveal()).as_str(), text.reveal());
    }
}

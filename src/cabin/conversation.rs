//! What patient and physician write to each other in the call, for who cannot hear or speak. It is not of the record,
//! which holds the summary and not the conversation: it lives here, and is forgotten with the patient.

use std::collections::VecDeque;

use consult::private::PrivateText;
use signal::ItemId;
use uuid::Uuid;

/// Characters of a line of the patient: the wire takes 500 bytes, and a letter may have two.
pub const WRITTEN_CHARS_MAX: usize = 240;
/// Characters of any line.
const CHARS_MAX: usize = 500;
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
    id: ItemId,
}

/// The conversation of one call.
#[derive(Clone, Default, Debug)]
pub struct Conversation {
    lines: VecDeque<Line>,
    /// The screen to write on is open.
    pub is_open: bool,
}

impl Conversation {
    /// The patient's line, with the name by which it is acknowledged, which no other line ever has: the page remembers
    /// names longer than this program runs. `None` for an empty or too long one.
    pub fn write(&mut self, text: &str) -> Option<(ItemId, PrivateText<CHARS_MAX>)> {
        let text = PrivateText::new(text).ok().filter(|text: &PrivateText<CHARS_MAX>| !text.is_empty())?;
        if text.reveal().chars().count() > WRITTEN_CHARS_MAX {
            return None;
        }
        let id = ItemId::new(format!("patient-{}", Uuid::new_v4().simple())).ok()?;
        self.keep(Line { is_patients: true, text: text.clone(), arrived: false, id: id.clone() });
        Some((id, text))
    }

    /// The physician's line. What takes the last one off the screen is none, and what is said again is one.
    pub fn heard(&mut self, id: &ItemId, text: &str) {
        if self.lines.iter().any(|line| line.id == *id) {
            return;
        }
        if let Ok(text) = PrivateText::new(text)
            && !text.is_empty()
        {
            self.keep(Line { is_patients: false, text, arrived: true, id: id.clone() });
        }
    }

    /// The physician's page shows that line. True when it is one of these.
    pub fn arrived(&mut self, id: &ItemId) -> bool {
        let line = self.lines.iter_mut().find(|line| line.id == *id);
        line.is_some_and(|line| !std::mem::replace(&mut line.arrived, true))
    }

    /// What the page has not shown yet, oldest first: said again once there is a line again.
    pub fn not_arrived(&self) -> impl Iterator<Item = (&ItemId, &PrivateText<CHARS_MAX>)> {
        self.lines.iter().filter(|line| !line.arrived).map(|line| (&line.id, &line.text))
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

    fn id(name: &str) -> ItemId {
        ItemId::new(name.to_owned()).unwrap()
    }

    #[test]
    fn a_line_is_said_again_until_the_page_has_shown_it_and_no_other_ever_has_its_name() {
        let mut conversation = Conversation::default();
        assert_eq!(conversation.write("  \n "), None);
        assert_eq!(conversation.write(&"é".repeat(WRITTEN_CHARS_MAX + 1)), None);
        let (first, text) = conversation.write(" J’entends mal ").unwrap();
        assert_eq!(text.reveal(), "J’entends mal");
        let (second, _) = conversation.write("Oui").unwrap();
        let (after_a_restart, _) = Conversation::default().write("Oui").unwrap();
        assert!(first != second && first != after_a_restart && second != after_a_restart);
        assert!(conversation.arrived(&first) && !conversation.arrived(&first));
        assert!(!conversation.arrived(&id("n1")));
        let waiting: Vec<_> = conversation.not_arrived().map(|(id, _)| id.clone()).collect();
        assert_eq!(waiting, [second]);
    }

    #[test]
    fn only_the_last_lines_are_kept_one_said_twice_is_one_and_one_taken_off_is_none() {
        let mut conversation = Conversation::default();
        conversation.heard(&id("n"), "");
        for number in 0..=LINES_MAX {
            conversation.heard(&id(&format!("n{number}")), &number.to_string());
        }
        conversation.heard(&id("n9"), "9");
        assert_eq!(conversation.lines().count(), LINES_MAX);
        assert_eq!(conversation.lines().next().unwrap().text.reveal(), "1");
        assert_eq!(conversation.not_arrived().count(), 0);
        let long = "a".repeat(CHARS_MAX);
        conversation.heard(&id("long"), &long);
        assert_eq!(conversation.lines().last().unwrap().text.reveal(), long, "what is written is read to its end");
        assert!(!format!("{conversation:?}").contains("aaa"), "a patient's words in a debug line");
    }

    #[test]
    fn the_longest_line_fits_the_wire_whatever_its_letters() {
        let mut conversation = Conversation::default();
        let (_, text) = conversation.write(&"é".repeat(WRITTEN_CHARS_MAX)).unwrap();
        assert_eq!(signal::Text::<500>::cut(text.reveal()).as_str(), text.reveal());
    }
}

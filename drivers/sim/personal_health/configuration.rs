//! What an agent tells of itself: how it asks for an association, what it measures and how that is laid out, who it is,
//! what is in its store.

use super::wire::{absolute, attribute, list, message, octets, seconds_now};
use super::{Agent, BASIC, COMPOUND, Form, Numeric, SCANNER, SIMPLE, STAMP, STATUS, STORE};

impl Agent {
    pub(super) fn has_own_configuration(&self) -> bool {
        self.is_extended || self.has_store || self.form == Form::Grouped || self.unit.is_some()
    }

    /// Its number: another for each of its own.
    fn configuration_id(&self) -> u16 {
        if !self.has_own_configuration() {
            return self.special.standard;
        }
        let unit = self.unit.unwrap_or(0) & 0x0FFF;
        0x4000 | u16::from(self.is_extended) << 12 | u16::from(self.has_store) << 13 | unit
    }

    pub(super) fn association(&self) -> Vec<u8> {
        let mut information = vec![0x80, 0, 0, 0, if self.is_strange { 0xA0 } else { 0x80 }, 0, 0x80, 0, 0, 0];
        information.extend([0, 0, 0, 0, 0, 0x80, 0, 0]);
        information.extend(octets(&self.system_id()));
        information.extend(self.configuration_id().to_be_bytes());
        information.extend([0, 1, 1, 0]);
        information.extend(if self.is_strange { list(&[attribute(0x0B0B, &[1, 2, 3])]) } else { list(&[]) });
        let ours = [&[0x50, 0x79], &octets(&information)[..]].concat();
        let theirs = [&[0xFF, 0xFF], &octets(&[7; 9])[..]].concat();
        let protocols = if self.is_strange { vec![theirs, ours] } else { vec![ours] };
        message(0xE200, &[&[0x80, 0, 0, 0], &list(&protocols)[..]].concat())
    }

    fn system_id(&self) -> [u8; 8] {
        let [high, low] = self.special.profile.to_be_bytes();
        [0x00, 0x09, 0x1F, 0xFE, 0xFF, 0x80, high, low]
    }

    /// How a value is laid out. In a configuration of its own nothing is where the standard one has it.
    pub(super) fn map(&self, numeric: &Numeric) -> Vec<(u16, u16)> {
        let value = match numeric {
            Numeric { parts: [_, ..], .. } => (COMPOUND, 4 + 2 * numeric.parts.len() as u16),
            Numeric { is_long: true, .. } => (SIMPLE, 4),
            _ => (BASIC, 2),
        };
        match (self.has_own_configuration(), self.special.is_dated) {
            (true, _) => vec![(STAMP, 8), (STATUS, 2), value],
            (false, true) => vec![value, (STAMP, 8)],
            (false, false) => vec![value],
        }
    }

    pub(super) fn configuration(&self) -> Vec<u8> {
        let mut objects: Vec<Vec<u8>> = Vec::new();
        for numeric in &self.special.numerics {
            let kind = [&[0, 2], &numeric.code.to_be_bytes()[..]].concat();
            let mut attributes = vec![attribute(0x092F, &kind), attribute(0x0A46, &[0xF0, 0x40])];
            if !numeric.parts.is_empty() {
                let parts: Vec<_> = numeric.parts.iter().map(|part| part.to_be_bytes().to_vec()).collect();
                attributes.push(attribute(0x0A76, &list(&parts)));
            }
            let unit = if numeric.handle == 1 { self.unit.unwrap_or(numeric.unit) } else { numeric.unit };
            if unit != 0 {
                attributes.push(attribute(0x0996, &unit.to_be_bytes()));
            }
            if self.is_strange {
                attributes.push(attribute(0x0B0B, &[9; 5]));
            }
            attributes.push(attribute(0x0A55, &written(&self.map(numeric))));
            objects.push([&object(6, numeric.handle)[..], &list(&attributes)].concat());
        }
        if self.is_strange {
            // A measurement that nobody knows, before the others.
            objects.insert(0, [&object(9, 77)[..], &list(&[attribute(0x0B0B, &[1])])].concat());
        }
        if self.form == Form::Grouped {
            let entries =
                self.special.numerics.iter().map(|n| [&n.handle.to_be_bytes()[..], &written(&self.map(n))].concat());
            let map = attribute(0x0A53, &list(&entries.collect::<Vec<_>>()));
            objects.push([&object(0x12, SCANNER)[..], &list(&[attribute(0x0953, &[0, 0]), map])].concat());
        }
        if self.has_store {
            let attributes = [attribute(0x0A4D, &[0, 0]), attribute(0x0951, &[0, 1])];
            objects.push([&object(61, STORE)[..], &list(&attributes)].concat());
        }
        [&self.configuration_id().to_be_bytes()[..], &list(&objects)].concat()
    }

    pub(super) fn attributes(&self) -> Vec<u8> {
        let specification =
            |kind: u16, text: &str| [&kind.to_be_bytes(), &[0, 0], &octets(text.as_bytes())[..]].concat();
        let production = list(&[specification(1, "DE124567"), specification(5, "1.4.2 ")]);
        let mut attributes = vec![
            attribute(0x0A5A, &list(&[[&self.special.profile.to_be_bytes()[..], &[0, 1]].concat()])),
            attribute(0x0928, &[octets(b"Simulated "), octets(b"Agent 1 ")].concat()),
            attribute(0x0984, &octets(&self.system_id())),
            attribute(0x0A44, &self.configuration_id().to_be_bytes()),
            attribute(0x092D, &production),
        ];
        if self.special.is_dated || self.has_own_configuration() {
            let can = if self.settable { 0xC0 } else { 0x80 };
            attributes.push(attribute(0x0A45, &[can, 0, 0x1F, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 100, 0, 0, 0, 0, 0, 0]));
            attributes.push(attribute(0x0987, &absolute(seconds_now() + self.zone)));
        }
        list(&attributes)
    }

    pub(super) fn segments(&self) -> Vec<u8> {
        let numeric = &self.special.numerics[0];
        let value = self.map(numeric).into_iter().find(|(id, _)| ![STAMP, STATUS].contains(id)).into_iter();
        let map: Vec<_> = value.chain([(STATUS, 2)]).collect();
        let kind = [&[0, 6, 0, 2], &numeric.code.to_be_bytes()[..], &numeric.handle.to_be_bytes()].concat();
        let map = [&[0x80, 0x00], &list(&[[kind, written(&map)].concat()])[..]].concat();
        let attributes = [
            attribute(0x0922, &[0, 0]),
            attribute(0x0A4E, &map),
            attribute(0x097B, &(self.stored.len() as u32).to_be_bytes()),
        ];
        list(&[[&[0, 0], &list(&attributes)[..]].concat()])
    }
}

/// The head of an object in a configuration.
fn object(class: u16, handle: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (class.to_be_bytes(), handle.to_be_bytes());
    [a, b, c, d]
}

fn written(map: &[(u16, u16)]) -> Vec<u8> {
    list(&map.iter().map(|(id, length)| [id.to_be_bytes(), length.to_be_bytes()].concat()).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_association_request_is_that_of_the_standard() {
        let agent = crate::oximeter_phd::agent();
        let expected = [
            0xE2, 0x00, 0x00, 0x32, 0x80, 0, 0, 0, 0, 1, 0, 0x2A, 0x50, 0x79, 0, 0x26, 0x80, 0, 0, 0, 0x80, 0, 0x80, 0,
            0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 8, 0x00, 0x09, 0x1F, 0xFE, 0xFF, 0x80, 0x10, 0x04, 0x01, 0x90, 0, 1, 1,
            0, 0, 0, 0, 0,
        ];
        assert_eq!(agent.association(), expected);
    }
}

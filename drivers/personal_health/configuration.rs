//! What an agent is made of: its objects, and how each lays its values out in a report.
//!
//! An agent sends its configuration once, or names one that the standards give (`standard.rs`). From then on its
//! values come without names, in the order of the attribute-value map: nothing is decoded here by any other layout.
//!
//! Source: IEEE 11073-20601 6.3 (objects), 7.4.5 (configuration), Annex A.

use super::mder::Reader;
use super::nomenclature as mdc;

/// Most objects of a configuration that are kept; those beyond are passed over and give no values.
const OBJECTS_MAX: usize = 64;
/// Most attributes of one object that are looked at.
const ATTRIBUTES_MAX: usize = 128;
/// Most entries of an attribute-value map: a report of a longer one is not decoded.
const MAP_MAX: usize = 64;
/// Most parts of a compound value.
pub(crate) const PARTS_MAX: usize = 16;

/// How values follow each other: attribute, bytes.
pub(crate) type Map = Vec<(u16, u16)>;

/// Something that an agent measures, keeps, or reports by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) class: u16,
    pub(crate) handle: u16,
    /// Partition and code of what it measures.
    pub(crate) kind: (u16, u16),
    pub(crate) unit: u16,
    /// What the parts of a compound value are.
    pub(crate) parts: Vec<u16>,
    /// How a fixed report lays its values out.
    pub(crate) map: Map,
    /// Of a scanner: how a grouped report lays the values of several objects out, one after the other.
    pub(crate) grouped: Vec<(u16, Map)>,
    /// It is measured once, not followed.
    pub(crate) is_spot: bool,
    /// Of a store: how many segments it has.
    pub(crate) segments: u16,
}

/// The objects of an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Configuration {
    pub(crate) id: u16,
    pub(crate) objects: Vec<Object>,
}

impl Configuration {
    /// Reads what a configuration report carries.
    pub(crate) fn read(report: &[u8]) -> Option<Self> {
        let mut reader = Reader(report);
        let id = reader.u16()?;
        let (count, mut list) = reader.list()?;
        let mut objects = Vec::new();
        for _ in 0..usize::from(count).min(OBJECTS_MAX) {
            let mut object = Object { class: list.u16()?, handle: list.u16()?, ..Object::default() };
            for (attribute, value) in list.attributes(ATTRIBUTES_MAX)? {
                // One that is damaged costs itself: the object may do without it.
                let _ = object.set(attribute, value);
            }
            objects.push(object);
        }
        Some(Self { id, objects })
    }

    pub(crate) fn object(&self, handle: u16) -> Option<&Object> {
        self.objects.iter().find(|object| object.handle == handle)
    }

    pub(crate) fn object_mut(&mut self, handle: u16) -> Option<&mut Object> {
        self.objects.iter_mut().find(|object| object.handle == handle)
    }

    pub(crate) fn of_class(&self, classes: &[u16]) -> impl Iterator<Item = &Object> {
        self.objects.iter().filter(|object| classes.contains(&object.class))
    }
}

impl Object {
    /// Takes an attribute that tells how values are to be read. `None`: it is damaged. Others are passed over.
    pub(crate) fn set(&mut self, attribute: u16, value: &[u8]) -> Option<()> {
        let mut reader = Reader(value);
        match attribute {
            mdc::TYPE => self.kind = (reader.u16()?, reader.u16()?),
            // In the partition of the type.
            mdc::METRIC_ID => self.kind.1 = reader.u16()?,
            mdc::METRIC_ID_LIST => {
                let (count, mut list) = reader.list()?;
                self.parts = (0..count).map_while(|_| list.u16()).take(PARTS_MAX).collect();
            }
            mdc::UNIT => self.unit = reader.u16()?,
            mdc::VALUE_MAP => self.map = map(&mut reader)?,
            mdc::SCANNER_MAP => {
                let (count, mut list) = reader.list()?;
                let entries = (0..count).map_while(|_| Some((list.u16()?, map(&mut list)?)));
                self.grouped = entries.take(OBJECTS_MAX).collect();
            }
            mdc::SUPPLEMENTAL_TYPES => {
                let (count, mut list) = reader.list()?;
                let mut types = (0..count).map_while(|_| Some((list.u16()?, list.u16()?)));
                self.is_spot = types.any(|kind| kind == (mdc::SCADA, mdc::MODALITY_SPOT));
            }
            mdc::SEGMENTS => self.segments = reader.u16()?,
            _ => {}
        }
        Some(())
    }
}

/// An attribute-value map.
pub(crate) fn map(reader: &mut Reader<'_>) -> Option<Map> {
    let (count, mut list) = reader.list()?;
    (usize::from(count) <= MAP_MAX).then(|| (0..count).map_while(|_| Some((list.u16()?, list.u16()?))).collect())
}

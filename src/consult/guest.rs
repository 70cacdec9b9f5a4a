//! A third person in a call: an interpreter, a specialist.

use crate::private::PrivateText;
use crate::vitals::Moment;

/// Longest name of a guest, characters.
pub const GUEST_NAME_CHARS_MAX: usize = 100;
/// Most comings of guests in one consultation: a line that drops makes one at each return. More are refused: nobody comes
/// in of whom the record would not tell.
pub const GUESTS_MAX: usize = 50;

/// In what part somebody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GuestRole {
    /// Interprets between two spoken languages.
    Interpreter,
    /// Interprets between a spoken and a sign language.
    SignInterpreter,
    /// A physician or another professional of a specialty.
    Specialist,
    /// Somebody else.
    Other,
}

impl GuestRole {
    /// Every part.
    pub const ALL: [GuestRole; 4] =
        [GuestRole::Interpreter, GuestRole::SignInterpreter, GuestRole::Specialist, GuestRole::Other];
}

/// Whom the physician let into the call. Name and part are as the guest says them: the physician answers for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Guest {
    /// Name.
    pub name: PrivateText<GUEST_NAME_CHARS_MAX>,
    /// Part.
    pub role: GuestRole,
}

/// A guest, and when they were there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attendance {
    /// Who.
    pub guest: Guest,
    /// When the patient was told that they come; picture and sound follow.
    pub came_at: Moment,
    /// When they were gone; `None` while they are there.
    pub left_at: Option<Moment>,
}

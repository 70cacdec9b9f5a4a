//! The physician: who it is, shown before any picture (R5), and what the physician leaves the patient with.

use std::fmt;

use crate::private::PrivateText;

/// Most characters of a physician's name, speciality or town.
pub const PHYSICIAN_TEXT_CHARS_MAX: usize = 120;
/// Highest fee accepted, euro cents: beyond it the figure is a mistake.
pub const FEE_CENTS_MAX: u32 = 100_000;
/// Most characters of a summary: about four printed pages.
pub const SUMMARY_CHARS_MAX: usize = 12_000;
/// Most characters of one order.
pub const ORDER_CHARS_MAX: usize = 1_000;
/// Most orders in a summary; the wire and the physician's page have the same limit.
pub const ORDERS_MAX: usize = 40;
/// Largest document accepted, bytes.
pub const DOCUMENT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Number of a professional in the French directory: 11 digits, the last a Luhn key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rpps(u64);

/// What is wrong with an offered physician. The desk's account must be corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhysicianRefused {
    /// The RPPS number is not 11 digits with a right key.
    Rpps,
    /// Name, speciality or town is empty or longer than [`PHYSICIAN_TEXT_CHARS_MAX`].
    Text,
    /// The fee is above [`FEE_CENTS_MAX`].
    Fee,
}

impl fmt::Display for PhysicianRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PhysicianRefused::Rpps => "the physician's RPPS number is wrong: correct the account at the desk",
            PhysicianRefused::Text => "name, speciality or town missing or too long: correct the account at the desk",
            PhysicianRefused::Fee => "the physician's fee is implausible: correct the account at the desk",
        })
    }
}

impl std::error::Error for PhysicianRefused {}

impl Rpps {
    /// Accepts 11 digits, or the 12 of the national identifier (`8` + RPPS, interop.md 2.3).
    pub fn parse(text: &str) -> Result<Self, PhysicianRefused> {
        let digits = match (text.len(), text.strip_prefix('8')) {
            (12, Some(rest)) => rest,
            _ => text,
        };
        if digits.len() != 11 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(PhysicianRefused::Rpps);
        }
        let sum: u32 = digits
            .bytes()
            .rev()
            .enumerate()
            .map(|(i, b)| {
                let digit = u32::from(b - b'0');
                if i % 2 == 0 { digit } else { digit * 2 / 10 + digit * 2 % 10 }
            })
            .sum();
        if !sum.is_multiple_of(10) {
            return Err(PhysicianRefused::Rpps);
        }
        digits.parse().map(Self).map_err(|_| PhysicianRefused::Rpps)
    }
}

impl fmt::Display for Rpps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:011}", self.0)
    }
}

/// How the desk made sure of who the physician is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Authentication {
    /// Not at all: no call.
    None,
    /// Local account with a second factor.
    LocalTotp,
    /// An OpenID Connect issuer (Pro Santé Connect or another).
    OpenIdConnect,
}

/// A physician as the patient reads before accepting.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Physician {
    /// Family and given name.
    pub name: String,
    /// Speciality, in words.
    pub speciality: String,
    /// Number in the directory.
    pub rpps: Rpps,
    /// Town of practice.
    pub town: String,
    /// Fee, euro cents.
    pub fee_cents: u32,
    /// How the desk authenticated this physician.
    pub authentication: Authentication,
}

impl Physician {
    /// Checks everything that the patient must be able to read before the call.
    pub fn new(
        name: &str,
        speciality: &str,
        rpps: &str,
        town: &str,
        fee_cents: u32,
        authentication: Authentication,
    ) -> Result<Self, PhysicianRefused> {
        let text = |text: &str| {
            let text = text.trim();
            if text.is_empty() || text.chars().count() > PHYSICIAN_TEXT_CHARS_MAX {
                return Err(PhysicianRefused::Text);
            }
            Ok(text.to_owned())
        };
        if fee_cents > FEE_CENTS_MAX {
            return Err(PhysicianRefused::Fee);
        }
        Ok(Self {
            name: text(name)?,
            speciality: text(speciality)?,
            rpps: Rpps::parse(rpps)?,
            town: text(town)?,
            fee_cents,
            authentication,
        })
    }
}

/// Who should see the patient next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NextCare {
    /// Nobody, unless something changes.
    Nobody,
    /// The usual doctor.
    UsualDoctor,
    /// A specialist.
    Specialist,
    /// The pharmacist.
    Pharmacist,
    /// A laboratory or an imaging centre.
    Examination,
    /// A new teleconsultation.
    Teleconsultation,
    /// The emergency department.
    EmergencyDepartment,
    /// A physician in person.
    InPerson,
    /// A nurse.
    Nurse,
}

impl NextCare {
    /// Every choice of the physician's page.
    pub const ALL: [NextCare; 9] = [
        NextCare::Nobody,
        NextCare::UsualDoctor,
        NextCare::Specialist,
        NextCare::Pharmacist,
        NextCare::Examination,
        NextCare::Teleconsultation,
        NextCare::EmergencyDepartment,
        NextCare::InPerson,
        NextCare::Nurse,
    ];
}

/// What an order asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OrderKind {
    /// A medicine.
    Medicine,
    /// A laboratory test.
    Laboratory,
    /// Imaging.
    Imaging,
    /// Care by another professional.
    Care,
    /// Advice.
    Advice,
    /// Anything else.
    Other,
}

impl OrderKind {
    /// Every choice of the physician's page.
    pub const ALL: [OrderKind; 6] = [
        OrderKind::Medicine,
        OrderKind::Laboratory,
        OrderKind::Imaging,
        OrderKind::Care,
        OrderKind::Advice,
        OrderKind::Other,
    ];
}

/// One order in the physician's words. The prescription itself is a [`Document`].
#[derive(Clone, PartialEq, Eq)]
pub struct Order {
    /// What it asks for.
    pub kind: OrderKind,
    /// In words.
    pub text: PrivateText<ORDER_CHARS_MAX>,
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Order([patient])")
    }
}

/// What the physician wrote for the patient. A later summary replaces an earlier one on the screen; both are kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Summary {
    /// What was found and what to do.
    pub text: PrivateText<SUMMARY_CHARS_MAX>,
    /// Orders, one each; at most [`ORDERS_MAX`].
    pub orders: Vec<Order>,
    /// Who should see the patient next.
    pub next: NextCare,
    /// When to worry, within how long to see whom: the physician's words.
    pub next_note: PrivateText<ORDER_CHARS_MAX>,
}

impl Summary {
    /// Nothing is said at all: no words, no order, nobody to see.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.orders.is_empty() && self.next == NextCare::Nobody && self.next_note.is_empty()
    }
}

impl std::fmt::Debug for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Summary([patient])")
    }
}

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DocumentKind {
    /// A prescription.
    Prescription,
    /// A certificate.
    Certificate,
    /// Something else.
    Other,
    /// A report of the consultation.
    Report,
    /// A letter to another professional.
    Letter,
}

impl DocumentKind {
    /// Every choice of the physician's page.
    pub const ALL: [DocumentKind; 5] = [
        DocumentKind::Prescription,
        DocumentKind::Certificate,
        DocumentKind::Other,
        DocumentKind::Report,
        DocumentKind::Letter,
    ];
}

/// A file that the physician gave; its bytes are a blob of the outbox.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    /// What it is.
    pub kind: DocumentKind,
    /// Its name as the physician gave it.
    pub name: PrivateText<200>,
    /// Key of the blob in the outbox.
    pub blob: String,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Size, bytes.
    pub size_bytes: u64,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Document([patient])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rpps_number_needs_eleven_digits_and_its_key() {
        assert_eq!(Rpps::parse("10001234563").unwrap_err(), PhysicianRefused::Rpps);
        let good = (0..10).map(|k| format!("1000123456{k}")).filter(|t| Rpps::parse(t).is_ok()).collect::<Vec<_>>();
        assert_eq!(good.len(), 1, "exactly one key fits");
        assert_eq!(Rpps::parse(&good[0]).unwrap().to_string(), good[0]);
        assert_eq!(Rpps::parse(&format!("8{}", good[0])).unwrap().to_string(), good[0]);
        for bad in ["", "1", "1000123456", "1000123456a", "100012345678", "８0001234567"] {
            assert!(Rpps::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_physician_who_cannot_be_introduced_is_refused() {
        let new =
            |name, fee| Physician::new(name, "Généraliste", "10100000018", "Brie", fee, Authentication::LocalTotp);
        assert_eq!(new("", 2500).unwrap_err(), PhysicianRefused::Text);
        assert_eq!(new("Anne Roy", 2_500_000).unwrap_err(), PhysicianRefused::Fee);
    }
}

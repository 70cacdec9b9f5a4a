//! The messages (APDUs) of IEEE 11073-20601: where one ends in a stream of bytes, what it asks, and ours.
//!
//! Source: IEEE 11073-20601 Annex A (syntax) and 8 (communication model).

use super::mder::Reader;

/// Longest message that an agent may send to a manager (USB PHDC 1.0, 3.1: 63 KiB). A longer one is no message.
pub(crate) const APDU_MAX: usize = 63 * 1024;
/// Bytes before those that a message's length counts.
pub(crate) const HEAD: usize = 4;
/// Longest message that only begins or ends an association: nothing sends one half as long.
const ASSOCIATION_MAX: usize = 2 * 1024;

const AARQ: u16 = 0xE200;
const AARE: u16 = 0xE300;
const RLRQ: u16 = 0xE400;
const RLRE: u16 = 0xE500;
const ABRT: u16 = 0xE600;
const PRST: u16 = 0xE700;

/// Data protocol 20601.
const PROTOCOL: u16 = 0x5079;
/// Versions of the protocol, in the order in which one is chosen: any agent that knows a later one offers the first
/// too, and nothing of the later ones is needed here.
const VERSIONS: [u32; 3] = [0x8000_0000, 0x4000_0000, 0x2000_0000];
const ASSOCIATION_VERSION: u32 = 0x8000_0000;
const MDER: u16 = 0x8000;
const NOMENCLATURE: u32 = 0x8000_0000;
const SYSTEM_MANAGER: u32 = 0x8000_0000;
/// Of this cabin towards its devices: an EUI-64 out of the part of the numbers that anyone may use.
pub(crate) const MANAGER_ID: [u8; 8] = [0x02, 0x74, 0x65, 0x6C, 0x65, 0x63, 0x61, 0x62];
/// Longest system id kept: they are 8 bytes. A longer one is not refused, it is cut.
const SYSTEM_ID_MAX: usize = 16;

/// What an AARQ is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub(crate) enum Result {
    Accepted = 0,
    /// Send your configuration first.
    AcceptedUnknownConfiguration = 3,
    NoCommonProtocol = 4,
    NoCommonParameter = 5,
    UnsupportedVersion = 8,
}

/// Why an association is broken off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub(crate) enum Abort {
    Undefined = 0,
    ResponseTimeout = 2,
    ConfigurationTimeout = 3,
}

/// What a PRST carries, by its choice.
pub(crate) const EVENT: u16 = 0x0100;
pub(crate) const CONFIRMED_EVENT: u16 = 0x0101;
pub(crate) const GET: u16 = 0x0103;
pub(crate) const CONFIRMED_SET: u16 = 0x0105;
pub(crate) const CONFIRMED_ACTION: u16 = 0x0107;
pub(crate) const EVENT_ANSWER: u16 = 0x0201;
pub(crate) const GET_ANSWER: u16 = 0x0203;
pub(crate) const SET_ANSWER: u16 = 0x0205;
pub(crate) const ACTION_ANSWER: u16 = 0x0207;
pub(crate) const ERROR: u16 = 0x0300;
pub(crate) const REJECT: u16 = 0x0400;

/// What begins a stream of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Front {
    /// Not enough to tell, or a message that is not whole yet.
    Wait,
    /// A message of so many bytes.
    Message(usize),
    /// No message begins here.
    Noise,
}

/// Looks at the front of the bytes that came.
pub(crate) fn front(bytes: &[u8]) -> Front {
    // The first two bytes of every message, as far as they are there.
    let begins = match bytes {
        [] => return Front::Wait,
        [first] => (0xE2..=0xE7).contains(first),
        [first, second, ..] => (0xE2..=0xE7).contains(first) && *second == 0,
    };
    if !begins {
        return Front::Noise;
    }
    let mut reader = Reader(bytes);
    let (Some(kind), Some(length)) = (reader.u16(), reader.u16()) else { return Front::Wait };
    let whole = HEAD + usize::from(length);
    let fits = match kind {
        AARQ | AARE => whole <= ASSOCIATION_MAX,
        RLRQ | RLRE | ABRT => length == 2,
        // A PRST has its length twice.
        _ => (8..=APDU_MAX).contains(&whole) && reader.u16().is_none_or(|inner| inner == length - 2),
    };
    match fits {
        false => Front::Noise,
        true if bytes.len() < whole => Front::Wait,
        true => Front::Message(whole),
    }
}

/// A whole message.
#[derive(Clone, Copy)]
pub(crate) enum Apdu<'a> {
    /// The agent wants an association.
    Aarq(&'a [u8]),
    /// Only a manager sends these.
    Aare,
    /// The agent releases the association.
    Rlrq,
    /// It agrees to a release.
    Rlre,
    /// It broke the association off.
    Abrt,
    /// Something within it.
    Prst(Prst<'a>),
    /// None of these.
    Unreadable,
}

/// What goes on within an association.
#[derive(Clone, Copy)]
pub(crate) struct Prst<'a> {
    pub(crate) invoke: u16,
    pub(crate) choice: u16,
    pub(crate) body: &'a [u8],
}

/// Reads a whole message.
pub(crate) fn read(message: &[u8]) -> Apdu<'_> {
    let mut reader = Reader(message);
    match (reader.u16(), reader.u16()) {
        (Some(AARQ), Some(_)) => Apdu::Aarq(reader.0),
        (Some(AARE), Some(_)) => Apdu::Aare,
        (Some(RLRQ), Some(_)) => Apdu::Rlrq,
        (Some(RLRE), Some(_)) => Apdu::Rlre,
        (Some(ABRT), Some(_)) => Apdu::Abrt,
        (Some(PRST), Some(_)) => prst(reader).map_or(Apdu::Unreadable, Apdu::Prst),
        _ => Apdu::Unreadable,
    }
}

fn prst(mut reader: Reader<'_>) -> Option<Prst<'_>> {
    let mut reader = Reader(reader.octets()?);
    Some(Prst { invoke: reader.u16()?, choice: reader.u16()?, body: reader.octets()? })
}

/// What an agent says of itself when it asks for an association.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Asking {
    /// The protocol version to answer with.
    pub(crate) version: u32,
    pub(crate) system_id: Vec<u8>,
    pub(crate) configuration: u16,
}

/// Reads an AARQ. `Err`: what it is answered; `None`: it is damaged.
pub(crate) fn asking(body: &[u8]) -> Option<std::result::Result<Asking, Result>> {
    let mut reader = Reader(body);
    if reader.u32()? & ASSOCIATION_VERSION == 0 {
        return Some(Err(Result::UnsupportedVersion));
    }
    // An agent may offer several protocols, private ones among them: the first that is ours.
    let (count, mut protocols) = reader.list()?;
    for _ in 0..count {
        let (protocol, information) = (protocols.u16()?, protocols.octets()?);
        if protocol == PROTOCOL {
            return offered(Reader(information));
        }
    }
    Some(Err(Result::NoCommonProtocol))
}

fn offered(mut information: Reader<'_>) -> Option<std::result::Result<Asking, Result>> {
    let (versions, encodings, nomenclature) = (information.u32()?, information.u16()?, information.u32()?);
    let (_functional_units, system) = (information.u32()?, information.u32()?);
    let system_id = information.octets()?;
    let configuration = information.u16()?;
    // What follows (who may ask for data, options) does not change what we do.
    let Some(version) = VERSIONS.into_iter().find(|version| versions & version != 0) else {
        return Some(Err(Result::UnsupportedVersion));
    };
    if encodings & MDER == 0 || nomenclature & NOMENCLATURE == 0 || system & SYSTEM_MANAGER != 0 {
        return Some(Err(Result::NoCommonParameter));
    }
    let system_id = system_id[..system_id.len().min(SYSTEM_ID_MAX)].to_vec();
    Some(Ok(Asking { version, system_id, configuration }))
}

/// The answer to an AARQ.
pub(crate) fn aare(result: Result, version: u32) -> Vec<u8> {
    let mut body = Vec::with_capacity(44);
    body.extend((result as u16).to_be_bytes());
    body.extend(PROTOCOL.to_be_bytes());
    body.extend(38u16.to_be_bytes());
    body.extend(version.to_be_bytes());
    body.extend(MDER.to_be_bytes());
    body.extend(NOMENCLATURE.to_be_bytes());
    // No functional units; a manager; its id.
    body.extend(0u32.to_be_bytes());
    body.extend(SYSTEM_MANAGER.to_be_bytes());
    body.extend(octets(&MANAGER_ID));
    // Configuration, data requests, options: a manager has none.
    body.extend([0; 10]);
    message(AARE, &body)
}

/// The answer to an RLRQ.
pub(crate) fn rlre() -> Vec<u8> {
    message(RLRE, &[0, 0])
}

/// Breaks the association off.
pub(crate) fn abrt(why: Abort) -> Vec<u8> {
    message(ABRT, &(why as u16).to_be_bytes())
}

/// Something within the association.
pub(crate) fn within(invoke: u16, choice: u16, body: &[u8]) -> Vec<u8> {
    let mut data = invoke.to_be_bytes().to_vec();
    data.extend(choice.to_be_bytes());
    data.extend(octets(body));
    message(PRST, &octets(&data))
}

/// An octet string: what we send is short.
pub(crate) fn octets(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), bytes].concat()
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes(), &octets(body)[..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::personal_health::testing::hex;

    /// The agent's first message of a worked exchange with the standard oximeter.
    const AARQ_OXIMETER: &str = "E2000032 80000000 0001002A 50790026 80000000 8000 80000000 00000000 00800000 \
                                 0008 0102030405060708 0190 0001 0100 0000 0000";

    fn asked(text: &str) -> Option<std::result::Result<Asking, Result>> {
        let bytes = hex(text);
        assert_eq!(front(&bytes), Front::Message(bytes.len()));
        let Apdu::Aarq(body) = read(&bytes) else { panic!("no AARQ") };
        asking(body)
    }

    #[test]
    fn an_agent_that_asks_is_read_and_answered() {
        let asking = asked(AARQ_OXIMETER).unwrap().unwrap();
        assert_eq!(asking.system_id, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!((asking.version, asking.configuration), (0x8000_0000, 0x0190));
        let answer = aare(Result::Accepted, asking.version);
        let expected = "E300002C 0000 50790026 80000000 8000 80000000 00000000 80000000 0008 0274656C65636162 \
                        0000 0000 0000 0000 0000";
        assert_eq!(answer, hex(expected));
    }

    #[test]
    fn any_agent_that_offers_what_we_need_among_other_things_is_taken() {
        for other in [
            // A private protocol first; a longer list of attributes at its end.
            "E200 [80000000 0002 [FFFF [ABCD] 5079 [80000000 8000 80000000 00000000 00800000 \
             [0102030405060708] 0190 0001 0100 0001 [0B0B [0000]]]]]",
            // All encodings; later versions; capabilities of a test association.
            "E200 [80000000 0001 [5079 [E0000000 E000 80000000 40000000 00800000 \
             [0102030405060708] 0190 0001 0100 0000 []]]]",
            // A system id of no bytes, and no more than must be there.
            "E200 [80000000 0001 [5079 [80000000 8000 80000000 00000000 00800000 [] 0190]]]",
        ] {
            let bytes = hex(other);
            let Apdu::Aarq(body) = read(&bytes) else { panic!("no AARQ") };
            let asking = asking(body).unwrap().unwrap();
            assert_eq!((asking.version, asking.configuration), (0x8000_0000, 0x0190), "{other}");
        }
    }

    #[test]
    fn an_agent_that_we_cannot_understand_is_told_why() {
        let change = |place: usize, bytes: &[u8]| {
            let mut text = hex(AARQ_OXIMETER);
            text[place..place + bytes.len()].copy_from_slice(bytes);
            let Apdu::Aarq(body) = read(&text) else { panic!("no AARQ") };
            asking(body).unwrap().unwrap_err()
        };
        assert_eq!(change(4, &[0x40]), Result::UnsupportedVersion);
        assert_eq!(change(12, &[0xFF, 0xFF]), Result::NoCommonProtocol);
        assert_eq!(change(16, &[0x01]), Result::UnsupportedVersion);
        // XER only.
        assert_eq!(change(20, &[0x40]), Result::NoCommonParameter);
        // Another manager.
        assert_eq!(change(30, &[0x80, 0x00]), Result::NoCommonParameter);
        let cut = &hex(AARQ_OXIMETER)[4..40];
        assert!(asking(cut).is_none());
    }

    #[test]
    fn a_message_is_taken_only_when_it_is_whole_and_noise_is_known_early() {
        let whole = within(7, GET, &[0; 6]);
        assert_eq!(whole, hex("E700000E 000C 0007 0103 0006 0000 0000 0000"));
        for count in 0..whole.len() {
            assert_eq!(front(&whole[..count]), Front::Wait, "{count}");
        }
        assert_eq!(front(&whole), Front::Message(whole.len()));
        for noise in ["51", "E700000E000B", "E7000001", "E40000030000", "E701", "E200FFFF", "E700FFFFFFFD", "E8000002"]
        {
            assert_eq!(front(&hex(noise)), Front::Noise, "{noise}");
        }
        assert_eq!(abrt(Abort::ConfigurationTimeout), hex("E600 0002 0003"));
        assert_eq!(rlre(), hex("E500 0002 0000"));
    }
}

//! The messages of TURN, as far as two ends need them: both our client and the gate towards the library.

use rtc::crypto::RTCCrypto;
use rtc::stun::attributes::{
    ATTR_CHANNEL_NUMBER, ATTR_DATA, ATTR_LIFETIME, ATTR_MESSAGE_INTEGRITY, ATTR_NONCE, ATTR_REALM,
    ATTR_XOR_PEER_ADDRESS, ATTR_XOR_RELAYED_ADDRESS, ATTR_XORMAPPED_ADDRESS, AttrType,
};
use rtc::stun::error_code::ErrorCodeAttribute;
use rtc::stun::fingerprint::FINGERPRINT;
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{Getter, Message, MessageClass, MessageType, Method, Setter, TransactionId};
use rtc::stun::textattrs::TextAttribute;
use rtc::stun::xoraddr::XorMappedAddress;
use std::net::SocketAddr;
use std::time::Duration;

/// ChannelData's numbers (RFC 8656, 12).
pub(crate) const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x4FFF;

/// Builds a message attribute by attribute.
pub(crate) struct Build(Message);

impl Build {
    pub(crate) fn new(id: TransactionId, method: Method, class: MessageClass) -> Build {
        let mut message = Message::new();
        message.write_header();
        message.transaction_id = id;
        message.write_transaction_id();
        message.set_type(MessageType::new(method, class));
        Build(message)
    }

    pub(crate) fn text(mut self, kind: AttrType, text: &str) -> Build {
        self.0.add(kind, text.as_bytes());
        self
    }

    pub(crate) fn bytes(mut self, kind: AttrType, bytes: &[u8]) -> Build {
        self.0.add(kind, bytes);
        self
    }

    pub(crate) fn lifetime(self, lifetime: Duration) -> Build {
        self.bytes(ATTR_LIFETIME, &u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX).to_be_bytes())
    }

    pub(crate) fn channel(self, number: u16) -> Build {
        let [high, low] = number.to_be_bytes();
        self.bytes(ATTR_CHANNEL_NUMBER, &[high, low, 0, 0])
    }

    pub(crate) fn peer(self, peer: SocketAddr) -> Build {
        self.address(ATTR_XOR_PEER_ADDRESS, peer)
    }

    pub(crate) fn relayed(self, relayed: SocketAddr) -> Build {
        self.address(ATTR_XOR_RELAYED_ADDRESS, relayed)
    }

    pub(crate) fn mapped(self, mapped: SocketAddr) -> Build {
        self.address(ATTR_XORMAPPED_ADDRESS, mapped)
    }

    fn address(mut self, kind: AttrType, address: SocketAddr) -> Build {
        // Fails for no address that a `SocketAddr` can hold.
        let _ = XorMappedAddress { ip: address.ip(), port: address.port() }.add_to_as(&mut self.0, kind);
        self
    }

    pub(crate) fn error(mut self, code: u16, why: &str) -> Build {
        let code = rtc::stun::error_code::ErrorCode(code);
        let _ = ErrorCodeAttribute { code, reason: why.as_bytes().to_vec() }.add_to(&mut self.0);
        self
    }

    /// Signed with the account's key (RFC 8489, 9.2) and closed.
    pub(crate) fn signed(mut self, key: &[u8], crypto: &dyn RTCCrypto) -> Vec<u8> {
        let _ = MessageIntegrity::new_raw_integrity_with_provider(key, crypto).add_to(&mut self.0);
        self.end()
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        let _ = FINGERPRINT.add_to(&mut self.0);
        self.0.raw
    }
}

/// A message of the other end.
pub(crate) struct Said(Message);

impl Said {
    /// `None` for what is no STUN message.
    pub(crate) fn read(bytes: &[u8]) -> Option<Said> {
        let mut message = Message::new();
        message.raw = bytes.to_vec();
        message.decode().ok()?;
        Some(Said(message))
    }

    pub(crate) fn id(&self) -> TransactionId {
        self.0.transaction_id
    }

    pub(crate) fn method(&self) -> Method {
        self.0.typ.method
    }

    pub(crate) fn class(&self) -> MessageClass {
        self.0.typ.class
    }

    fn text(&self, kind: AttrType) -> Option<String> {
        TextAttribute::get_from_as(&self.0, kind).ok().map(|found| found.text)
    }

    pub(crate) fn realm(&self) -> Option<String> {
        self.text(ATTR_REALM)
    }

    pub(crate) fn nonce(&self) -> Option<String> {
        self.text(ATTR_NONCE)
    }

    pub(crate) fn is_signed(&self) -> bool {
        self.0.contains(ATTR_MESSAGE_INTEGRITY)
    }

    pub(crate) fn is_signed_with(&mut self, key: &[u8], crypto: &dyn RTCCrypto) -> bool {
        MessageIntegrity::check(&mut self.0, key, crypto).is_ok()
    }

    /// The error's code and words; 0 where it says none.
    pub(crate) fn error(&self) -> (u16, String) {
        let mut code = ErrorCodeAttribute::default();
        match code.get_from(&self.0) {
            Ok(()) => (code.code.0, String::from_utf8_lossy(&code.reason).into_owned()),
            Err(_) => (0, String::new()),
        }
    }

    pub(crate) fn lifetime(&self) -> Option<Duration> {
        let value: [u8; 4] = self.0.get(ATTR_LIFETIME).ok()?.try_into().ok()?;
        Some(Duration::from_secs(u32::from_be_bytes(value).into()))
    }

    pub(crate) fn channel(&self) -> Option<u16> {
        let value = self.0.get(ATTR_CHANNEL_NUMBER).ok()?;
        Some(u16::from_be_bytes(*value.first_chunk()?))
    }

    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.address(ATTR_XOR_PEER_ADDRESS)
    }

    pub(crate) fn relayed(&self) -> Option<SocketAddr> {
        self.address(ATTR_XOR_RELAYED_ADDRESS)
    }

    fn address(&self, kind: AttrType) -> Option<SocketAddr> {
        let mut found = XorMappedAddress::default();
        found.get_from_as(&self.0, kind).ok()?;
        Some(SocketAddr::new(found.ip, found.port))
    }

    pub(crate) fn data(&self) -> Option<Vec<u8>> {
        self.0.get(ATTR_DATA).ok()
    }
}

/// ChannelData (RFC 8656, 12.4), without padding.
pub(crate) fn channel_data(number: u16, data: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(4 + data.len());
    message.extend(number.to_be_bytes());
    message.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
    message.extend(data);
    message
}

/// The number and data of ChannelData, padded or not; `None` for what is none.
pub(crate) fn read_channel_data(message: &[u8]) -> Option<(u16, &[u8])> {
    let (head, rest) = message.split_first_chunk::<4>()?;
    let (number, length) = (u16::from_be_bytes([head[0], head[1]]), u16::from_be_bytes([head[2], head[3]]));
    let data = rest.get(..usize::from(length))?;
    (head[0] >> 6 == 0b01).then_some((number, data))
}

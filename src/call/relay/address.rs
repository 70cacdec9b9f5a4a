//! Where a TURN server is and how it is reached (RFC 7065).

/// How a TURN server is reached. What it relays is UDP in each case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// `turn:host?transport=udp`, or nothing said.
    Udp,
    /// `turn:host?transport=tcp`.
    Tcp,
    /// `turns:host`: TLS over TCP.
    Tls,
}

/// The standard ports (RFC 8656, 18.8 and RFC 7065, 3.2).
const PORT: u16 = 3478;
const TLS_PORT: u16 = 5349;

/// A parsed `turn:` or `turns:` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// As it was written.
    pub(crate) url: String,
    pub(crate) transport: Transport,
    /// A name, or an IP address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    /// `None` for what is no such URL, or asks for DTLS, which no server of note speaks.
    pub(crate) fn parse(url: &str) -> Option<Address> {
        let (secure, rest) = match (url.strip_prefix("turn:"), url.strip_prefix("turns:")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return None,
        };
        let (authority, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let transport = match (secure, query) {
            (false, None | Some("transport=udp")) => Transport::Udp,
            (false, Some("transport=tcp")) => Transport::Tcp,
            (true, None | Some("transport=tcp")) => Transport::Tls,
            _ => return None,
        };
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        let standard = if secure { TLS_PORT } else { PORT };
        let port = port.map_or(Some(standard), |port| port.parse().ok().filter(|port| *port > 0))?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:".contains(&byte);
        (!host.is_empty() && host.bytes().all(plain)).then(|| Address {
            url: url.to_owned(),
            transport,
            host: host.to_owned(),
            port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_server_port_and_transport_or_is_refused() {
        let read = |url| Address::parse(url).map(|found| (found.transport, found.host, found.port));
        for (url, transport, host, port) in [
            ("turn:turn.example", Transport::Udp, "turn.example", 3478),
            ("turn:turn.example:80?transport=udp", Transport::Udp, "turn.example", 80),
            ("turn:192.0.2.1:443?transport=tcp", Transport::Tcp, "192.0.2.1", 443),
            ("turns:turn.example", Transport::Tls, "turn.example", 5349),
            ("turns:turn.example:443?transport=tcp", Transport::Tls, "turn.example", 443),
            ("turns:[2001:db8::1]:443", Transport::Tls, "2001:db8::1", 443),
            ("turn:[2001:db8::1]", Transport::Udp, "2001:db8::1", 3478),
        ] {
            assert_eq!(read(url), Some((transport, host.to_owned(), port)), "{url}");
        }
        for url in [
            "stun:turn.example",
            "turn:",
            "turn:host:0",
            "turn:host:99999",
            "turn:host?transport=sctp",
            "turns:host?transport=udp",
            "turn:[2001:db8::1",
            "turn:[host]:80",
            "turn:a host",
            "turn://host",
        ] {
            assert_eq!(read(url), None, "{url}");
        }
    }
}

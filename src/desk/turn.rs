//! STUN and TURN servers for one end of a call, with credentials that end by themselves where coturn shares a secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha1::Sha1;
use signal::Text;
use signal::call::IceServer;

use crate::config::Ice;

/// The servers, and when the first of their credentials ends (ms since 1970). `label` names the end for coturn's log.
pub fn servers(ice: &[Ice], label: &str, now_ms: i64) -> (Vec<IceServer>, Option<i64>) {
    let mut first_end: Option<i64> = None;
    let servers = ice.iter().map(|ice| {
        let urls = ice.urls.iter().map(|url| Text::cut(url)).collect();
        let (username, credential) = match &ice.shared_secret {
            None => (ice.username.as_deref().map(Text::cut), ice.credential.as_deref().map(Text::cut)),
            Some(secret) => {
                let end_s = now_ms / 1000 + i64::from(ice.lifetime_s);
                first_end = Some(first_end.map_or(end_s * 1000, |end| end.min(end_s * 1000)));
                let username = format!("{end_s}:{label}");
                let credential = credential(secret, &username);
                (Some(Text::cut(&username)), Some(Text::cut(&credential)))
            }
        };
        IceServer { urls, username, credential }
    });
    (servers.collect(), first_end)
}

/// coturn's `use-auth-secret`: base64 of HMAC-SHA1 of the username under the shared secret.
fn credential(secret: &str, username: &str) -> String {
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(username.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_those_that_coturn_computes_and_end() {
        // printf '1795313600:cabin-1' | openssl dgst -sha1 -hmac north -binary | base64
        assert_eq!(credential("north", "1795313600:cabin-1"), "wn2wmXeAZ6D6ZpcVXG98iCkHTJE=");
        let ice = Ice {
            urls: vec!["turn:turn.example:3478".into()],
            username: None,
            credential: None,
            shared_secret: Some("north".into()),
            lifetime_s: 3600,
        };
        let (servers, end) = servers(&[ice], "cabin-1", 1_795_310_000_000);
        assert_eq!(end, Some(1_795_313_600_000));
        assert_eq!(servers[0].username.as_ref().unwrap().as_str(), "1795313600:cabin-1");
        assert_eq!(servers[0].credential.as_ref().unwrap().as_str(), "wn2wmXeAZ6D6ZpcVXG98iCkHTJE=");
    }
}

//! Who is signed in: a random token in a cookie, kept here as a digest, given up after inactivity.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use signal::call::Authentication;

use crate::cabins::{digest, token};

/// Name of the cookie.
pub const COOKIE: &str = "telecabine_badge";
/// Physicians signed in at once; above, the one longest inactive is signed out.
const BADGES_MAX: usize = 1000;

struct Badge {
    account: String,
    how: Authentication,
    used: Instant,
}

/// Every badge given.
pub struct Badges {
    given: Mutex<HashMap<String, Badge>>,
    inactivity: Duration,
    secure: bool,
}

impl Badges {
    /// `secure`: the cookie is for HTTPS only.
    pub fn new(inactivity: Duration, secure: bool) -> Self {
        Badges { given: Mutex::default(), inactivity, secure }
    }

    /// Signs an account in, which showed who it is in the way `how`; gives the value of `Set-Cookie`.
    pub fn give(&self, account: &str, how: Authentication, now: Instant) -> String {
        let token = token();
        let mut given = self.lock();
        given.retain(|_, badge| now.saturating_duration_since(badge.used) < self.inactivity);
        if given.len() >= BADGES_MAX
            && let Some(oldest) = given.iter().min_by_key(|(_, badge)| badge.used).map(|(key, _)| key.clone())
        {
            given.remove(&oldest);
        }
        given.insert(digest(&token), Badge { account: account.into(), how, used: now });
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict{secure}")
    }

    /// The account signed in by these headers' cookie; being asked counts as activity when `active`.
    pub fn account(&self, headers: &HeaderMap, now: Instant, active: bool) -> Option<(String, String)> {
        let key = digest(&cookie(headers, COOKIE)?);
        self.still(&key, now, active).map(|account| (account, key))
    }

    /// Whether the badge `key` is still good.
    pub fn still(&self, key: &str, now: Instant, active: bool) -> Option<String> {
        let mut given = self.lock();
        let badge = given.get_mut(key)?;
        if now.saturating_duration_since(badge.used) >= self.inactivity {
            given.remove(key);
            return None;
        }
        if active {
            badge.used = now;
        }
        Some(badge.account.clone())
    }

    /// How the one with the badge `key` showed who it is; `None` when the badge is gone.
    pub fn how(&self, key: &str) -> Option<Authentication> {
        self.lock().get(key).map(|badge| badge.how)
    }

    /// Signs out; gives the account and the value of `Set-Cookie` that removes the cookie.
    pub fn take_back(&self, headers: &HeaderMap) -> (Option<String>, String) {
        let badge = cookie(headers, COOKIE).and_then(|token| self.lock().remove(&digest(&token)));
        (badge.map(|badge| badge.account), format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Badge>> {
        self.given.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The value of a cookie.
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(set_cookie: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let pair = set_cookie.split(';').next().unwrap();
        headers.insert(header::COOKIE, format!("other=1; {pair}").parse().unwrap());
        headers
    }

    #[test]
    fn a_badge_ends_by_inactivity_and_by_signing_out() {
        let badges = Badges::new(Duration::from_secs(60), true);
        let start = Instant::now();
        let set = badges.give("claire", Authentication::LocalTotp, start);
        assert!(set.ends_with("; HttpOnly; SameSite=Strict; Secure"), "{set}");
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(badges.account(&headers(&set), at(59), true).is_some());
        assert!(badges.account(&headers(&set), at(118), false).is_some(), "active at 59");
        assert!(badges.account(&headers(&set), at(119), true).is_none(), "looking on is not activity");
        let set = badges.give("claire", Authentication::LocalTotp, start);
        assert_eq!(badges.take_back(&headers(&set)).0.as_deref(), Some("claire"));
        assert!(badges.account(&headers(&set), start, true).is_none());
        assert!(badges.account(&headers("telecabine_badge=guess"), start, true).is_none());
    }
}

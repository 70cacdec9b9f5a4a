//! Who asks for papers or invitations that do not exist. Nobody guesses one of 2^128 names; this keeps them from
//! trying all day.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Misses of one address within [`WINDOW`], after which it waits for the window's end. Telephones of one operator
/// share an address, and each looks at most once or twice at what is no longer there.
pub const MISSES_MAX: u32 = 30;
/// How long misses count.
pub const WINDOW: Duration = Duration::from_secs(600);
/// Most addresses remembered; above, misses of new ones count as one address.
const ADDRESSES_MAX: usize = 10_000;

struct Misses {
    count: u32,
    since: Instant,
}

/// The misses of each address.
#[derive(Default)]
pub struct Guesses {
    misses: Mutex<HashMap<IpAddr, Misses>>,
}

impl Guesses {
    /// Seconds that this address must wait before it may ask again; `None` when it may ask now.
    pub fn wait_s(&self, address: IpAddr, now: Instant) -> Option<u32> {
        let misses = self.misses.lock().unwrap_or_else(PoisonError::into_inner);
        let found = misses.get(&neighbourhood(address)).filter(|found| found.count >= MISSES_MAX)?;
        let left = WINDOW.checked_sub(now.duration_since(found.since))?;
        // At most the window, which is far below u32.
        Some(left.as_secs() as u32 + 1)
    }

    /// Counts a miss.
    pub fn missed(&self, address: IpAddr, now: Instant) {
        let mut misses = self.misses.lock().unwrap_or_else(PoisonError::into_inner);
        let mut address = neighbourhood(address);
        if misses.len() >= ADDRESSES_MAX && !misses.contains_key(&address) {
            misses.retain(|_, found| now.duration_since(found.since) < WINDOW);
            if misses.len() >= ADDRESSES_MAX {
                address = IpAddr::from([0; 4]);
            }
        }
        let found = misses.entry(address).or_insert(Misses { count: 0, since: now });
        if now.duration_since(found.since) >= WINDOW {
            *found = Misses { count: 0, since: now };
        }
        found.count = found.count.saturating_add(1);
    }
}

/// An IPv6 customer has 2^64 addresses: they count as one.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_keeps_guessing_waits_and_who_does_not_is_never_kept_waiting() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        let (one, other): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for _ in 0..MISSES_MAX {
            assert_eq!(guesses.wait_s(one, now), None);
            guesses.missed(one, now);
        }
        assert_eq!(guesses.wait_s(one, now), Some(601));
        assert_eq!(guesses.wait_s(other, now), None);
        assert_eq!(guesses.wait_s(one, now + WINDOW + Duration::from_secs(1)), None);
        guesses.missed(one, now + WINDOW);
        assert_eq!(guesses.wait_s(one, now + WINDOW), None, "a new window begins");
    }

    #[test]
    fn the_addresses_of_one_customer_count_as_one_and_the_table_is_bounded() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for n in 0..MISSES_MAX {
            guesses.missed(format!("2001:db8::{n:x}").parse().unwrap(), now);
        }
        assert!(guesses.wait_s("2001:db8::ffff".parse().unwrap(), now).is_some());
        for n in 0..ADDRESSES_MAX as u32 + 500 {
            guesses.missed(IpAddr::from((0x0a00_0000 + n).to_be_bytes()), now);
        }
        assert!(guesses.misses.lock().unwrap().len() <= ADDRESSES_MAX + 1);
    }
}

//! Where a call stands, as one match on (state, input); decides what the caller is told.
//!
//! Pure: time is an argument. The watchdog lives here because `rtc-dtls` 0.21.1 can hang for ever: its
//! `handshaker.rs` disarms the retransmit timer on any received handshake packet and does not re-arm it
//! while the flight is incomplete, so one lost datagram leaves a call "connecting" with no error
//! (measured: 1 call in 12 at 5 % loss). The caller is then told to build a new call.

use std::time::{Duration, Instant};

/// Encryption takes under two seconds on a bad line; after this it never will.
pub const ENCRYPTION_MAX: Duration = Duration::from_secs(5);
/// A path is found in a few seconds or there is none (a firewall, a wrong TURN server).
pub const ROUTE_MAX: Duration = Duration::from_secs(30);

/// Why a call must be built anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stuck {
    /// No path between the two ends: check the network and the TURN servers of the configuration.
    NoRoute,
    /// A path was found but encryption did not complete in [`ENCRYPTION_MAX`].
    NoEncryption,
    /// The path was lost for so long that it was given up.
    RouteLost,
}

/// What the connection reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// An offer was answered: both ends now look for a path.
    Answered,
    /// A path was found.
    RouteFound,
    /// Encrypted both ways: media and data flow.
    Connected,
    /// Nothing is heard for some seconds.
    Disconnected,
    /// The path was given up.
    Failed,
    /// Closed by one of the two ends.
    Closed,
}

/// What the caller must be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    Connected,
    Interrupted,
    Resumed,
    Stuck(Stuck),
    Ended,
}

/// Where the call stands, and only what is true there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Waiting,
    Searching { until: Instant },
    Encrypting { until: Instant },
    Flowing,
    Interrupted,
    Stuck,
    Ended,
}

impl Progress {
    /// Takes a sign in; says what the caller must be told, if anything.
    pub(crate) fn sign(&mut self, sign: Sign, now: Instant) -> Option<News> {
        use Progress::*;
        let (next, news) = match (*self, sign) {
            (Ended, _) => (Ended, None),
            (_, Sign::Closed) => (Ended, Some(News::Ended)),
            (Waiting, Sign::Answered) => (Searching { until: now + ROUTE_MAX }, None),
            (Waiting | Searching { .. }, Sign::RouteFound) => (Encrypting { until: now + ENCRYPTION_MAX }, None),
            (Waiting | Searching { .. } | Encrypting { .. } | Stuck, Sign::Connected) => {
                (Flowing, Some(News::Connected))
            }
            (Interrupted, Sign::Connected) => (Flowing, Some(News::Resumed)),
            (Flowing, Sign::Disconnected) => (Interrupted, Some(News::Interrupted)),
            (Flowing | Interrupted, Sign::Failed) => (Stuck, Some(News::Stuck(self::Stuck::RouteLost))),
            (Waiting | Searching { .. } | Encrypting { .. }, Sign::Failed) => {
                (Stuck, Some(News::Stuck(self::Stuck::NoRoute)))
            }
            // An offer that restarts ICE gives a lost path a new chance; encryption is still in place.
            (Stuck, Sign::Answered) => (Searching { until: now + ROUTE_MAX }, None),
            (state, _) => (state, None),
        };
        *self = next;
        news
    }

    /// When [`Progress::handle_timeout`] wants to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Progress::Searching { until } | Progress::Encrypting { until } => Some(*until),
            _ => None,
        }
    }

    /// The watchdog.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<News> {
        let stuck = match self {
            Progress::Searching { until } if now >= *until => Stuck::NoRoute,
            Progress::Encrypting { until } if now >= *until => Stuck::NoEncryption,
            _ => return None,
        };
        *self = Progress::Stuck;
        Some(News::Stuck(stuck))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_that_hangs_is_reported_after_five_seconds_and_only_once() {
        let start = Instant::now();
        let mut call = Progress::Waiting;
        assert_eq!(call.sign(Sign::Answered, start), None);
        assert_eq!(call.sign(Sign::RouteFound, start), None);
        let until = start + ENCRYPTION_MAX;
        assert_eq!(call.deadline(), Some(until));
        assert_eq!(call.handle_timeout(until - Duration::from_millis(1)), None);
        assert_eq!(call.handle_timeout(until), Some(News::Stuck(Stuck::NoEncryption)));
        assert_eq!(call.handle_timeout(until + ENCRYPTION_MAX), None);
        assert_eq!(call.deadline(), None);
    }

    #[test]
    fn a_call_that_flows_is_never_stuck() {
        let start = Instant::now();
        let mut call = Progress::Waiting;
        call.sign(Sign::Answered, start);
        call.sign(Sign::RouteFound, start);
        assert_eq!(call.sign(Sign::Connected, start), Some(News::Connected));
        assert_eq!(call.sign(Sign::RouteFound, start), None);
        assert_eq!(call.handle_timeout(start + Duration::from_secs(3_600)), None);
    }

    #[test]
    fn an_interruption_is_said_once_and_so_is_its_end() {
        let now = Instant::now();
        let mut call = Progress::Flowing;
        assert_eq!(call.sign(Sign::Disconnected, now), Some(News::Interrupted));
        assert_eq!(call.sign(Sign::Disconnected, now), None);
        assert_eq!(call.sign(Sign::Connected, now), Some(News::Resumed));
        assert_eq!(call.sign(Sign::Connected, now), None);
    }

    #[test]
    fn nothing_follows_the_end() {
        let now = Instant::now();
        let mut call = Progress::Interrupted;
        assert_eq!(call.sign(Sign::Closed, now), Some(News::Ended));
        for sign in [Sign::Answered, Sign::RouteFound, Sign::Connected, Sign::Disconnected, Sign::Failed, Sign::Closed]
        {
            assert_eq!(call.sign(sign, now), None);
        }
    }
}

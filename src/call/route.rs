//! By which of its addresses this machine reaches the world: by the wire, or by 4G while the wire is cut.
//!
//! The system chooses the route; here it is only noticed that it chose another. A call's path goes by the addresses of
//! when it was found, and so does a connection to the desk: both are then made anew at once, not when they have timed out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

/// How often the route is asked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The addresses from which packets to the world leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Route {
    /// Of IPv4.
    pub v4: Option<IpAddr>,
    /// Of IPv6.
    pub v6: Option<IpAddr>,
}

impl Route {
    /// As it is now. Asks the kernel, sends nothing.
    pub fn now() -> Route {
        // Addresses of documentation (RFC 5737, RFC 3849), which nobody has: the default route leads there.
        Route {
            v4: leaves_from(Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::new(192, 0, 2, 1).into()),
            v6: leaves_from(Ipv6Addr::UNSPECIFIED.into(), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into()),
        }
    }

    /// Whether this is a way that was not there before. That one is gone is no news: the other one is still used.
    fn is_new_after(self, before: Route) -> bool {
        let new = |now: Option<IpAddr>, before| now.is_some() && now != before;
        new(self.v4, before.v4) || new(self.v6, before.v6)
    }
}

/// Connecting a socket of datagrams only chooses its route.
fn leaves_from(any: IpAddr, to: IpAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((to, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Calls `changed` whenever packets leave by a way that was not there before. Never returns.
pub async fn watch(changed: impl Fn(Route)) {
    let mut before = Route::now();
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let now = Route::now();
        if now.is_new_after(before) {
            changed(now);
        }
        before = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_way_is_news_and_the_loss_of_one_is_not() {
        let address = |last| Some(IpAddr::from(Ipv4Addr::new(192, 168, 1, last)));
        let route = |v4, v6| Route { v4, v6 };
        let wire = route(address(7), None);
        assert!(!wire.is_new_after(wire));
        assert!(route(address(8), None).is_new_after(wire), "4G in place of the wire");
        assert!(!Route::default().is_new_after(wire), "no way at all");
        assert!(wire.is_new_after(Route::default()), "the first one");
        assert!(route(address(7), address(9)).is_new_after(wire), "IPv6 as well");
        assert!(!wire.is_new_after(route(address(7), address(9))), "IPv6 is gone, IPv4 is as it was");
    }
}

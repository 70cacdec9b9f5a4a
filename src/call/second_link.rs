//! A cabin with two links whose wire is pulled out in a call: the route changes, the page offers another path, and the
//! same call goes on over the other link.

use crate::two_peers::{End, answered, carry, offer, offer_again};
use crate::*;
use link::{Conditions, Pair};
use std::net::Ipv4Addr;
use tokio::runtime::{Builder, Runtime};

/// From the pulled cable to the far end's picture by the other link. On a machine of its own it takes a second.
const BACK_MAX: Duration = Duration::from_secs(20);
/// Pictures that prove that they move.
const PICTURES: u64 = 10;

/// A runtime all of whose threads are at one end of the lines.
fn runtime(pair: &Arc<Pair>, near: bool) -> Runtime {
    let pair = Arc::clone(pair);
    let enter = move || if near { pair.near.enter() } else { pair.far.enter() }.expect("a way in");
    Builder::new_multi_thread().worker_threads(1).enable_all().on_thread_start(enter).build().expect("a runtime")
}

#[test]
fn when_the_wire_is_pulled_out_the_same_call_goes_on_over_the_other_link() {
    let pair = Pair::open(Conditions::GOOD, 5).and_then(|mut pair| pair.add_second(Conditions::GOOD, 6).map(|()| pair));
    let pair = match pair {
        Ok(pair) => Arc::new(pair),
        Err(missing) => {
            println!("SKIPPED: {missing}");
            return;
        }
    };
    let (near, far) = (runtime(&pair, true), runtime(&pair, false));
    let of = |runtime: &Runtime| runtime.block_on(runtime.spawn(End::new())).expect("an end");
    let (mut page, mut cabin) = (of(&far), of(&near));
    let (told, mut changed) = mpsc::channel(4);
    let watching = near.spawn(route::watch(move |route| told.try_send(route).expect("room")));
    // Their offers and candidates go beside the lines, as by a desk: an end answers on its own threads.
    let agreed = |page: End, cabin: End, again: bool| {
        let offered = async move {
            let sdp = if again { offer_again(&page).await } else { offer(&page).await };
            (page, sdp)
        };
        let (page, sdp) = far.block_on(far.spawn(offered)).expect("an offer");
        let answering = async move {
            let sdp = cabin.call.remote_offer(&sdp).await.expect("an answer");
            (cabin, sdp)
        };
        let (cabin, sdp) = near.block_on(near.spawn(answering)).expect("an answer");
        let taken = async move {
            answered(&page, sdp).await;
            page
        };
        (far.block_on(far.spawn(taken)).expect("an end"), cabin)
    };
    (page, cabin) = agreed(page, cabin, false);
    near.block_on(carry(&mut page, &mut cabin, |event| *event == CallEvent::Connected));

    pair.pull_first().expect("a cable to pull");
    let pulled_at = Instant::now();
    let route = near.block_on(async { tokio::time::timeout(BACK_MAX, changed.recv()).await });
    assert_eq!(route.expect("in time").expect("a route").v4, Some(Ipv4Addr::new(10, 78, 0, 1).into()));
    let noticed = pulled_at.elapsed();
    (page, cabin) = agreed(page, cabin, true);
    let mut seen = cabin.call.remote_picture();
    let number = |seen: &watch::Receiver<Option<Frame>>| seen.borrow().as_ref().map_or(0, |frame| frame.number);
    let from = number(&seen);
    let moving = async {
        while number(&seen) < from + PICTURES {
            seen.changed().await.expect("a call");
        }
    };
    near.block_on(async {
        tokio::select! {
            () = carry(&mut page, &mut cabin, |_| false) => {}
            moved = tokio::time::timeout(BACK_MAX, moving) => moved.expect("a moving picture in time"),
        }
    });
    println!("another route after {noticed:?}, a moving picture after {:?}", pulled_at.elapsed());
    watching.abort();
    far.block_on(page.call.close());
    near.block_on(cabin.call.close());
}

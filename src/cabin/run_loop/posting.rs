//! The way to the cabin, which lives on the screen's thread: from the screen's callbacks, and from other threads.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::{Cabin, Event, TICK, gate};
use crate::screens;

/// While devices say more than can be drawn, the screen is set that often.
const SHOWN_WITHIN: Duration = Duration::from_millis(100);

thread_local! {
    static CABIN: RefCell<Option<Cabin>> = const { RefCell::new(None) };
}

static GATE: gate::Gate = gate::Gate::new();

/// Runs `act` on the cabin, then draws. Only on the screen's thread; nothing when the cabin has stopped.
pub fn with(act: impl FnOnce(&mut Cabin)) {
    with_drawn(act, |_| true);
}

/// The same, drawn only if that is due.
fn with_drawn(act: impl FnOnce(&mut Cabin), is_due: impl FnOnce(&Cabin) -> bool) {
    CABIN.with(|cell| {
        // A callback fired while the cabin sets properties would find it borrowed: there is none that may.
        match cell.try_borrow_mut() {
            Ok(mut slot) => {
                if let Some(cabin) = slot.as_mut() {
                    act(cabin);
                    if is_due(cabin) {
                        screens::show(cabin);
                        cabin.shown_at = Instant::now();
                    }
                }
            }
            Err(_) => tracing::error!("a screen called back while it was being drawn"),
        }
    });
}

/// Posts an event from any thread.
pub fn post(event: Event) {
    // Fails only once the screen has stopped, when nobody is left to tell.
    slint::invoke_from_event_loop(move || with(|cabin| cabin.handle(event))).ok();
}

/// Posts what a device said, from a thread that may wait: of these no more than [`gate::WAITING_MAX`] wait for the screen.
pub fn post_device(event: Event) {
    let Some(pass) = GATE.enter() else { return };
    let taken = slint::invoke_from_event_loop(move || {
        // Where others wait behind it, on a machine that is too slow for all, one of them draws what all of them said:
        // the screen would else be set anew for each and never painted.
        let is_due = |cabin: &Cabin| !pass.others_wait() || cabin.shown_at.elapsed() >= SHOWN_WITHIN;
        with_drawn(|cabin| cabin.handle(event), is_due);
        drop(pass);
    });
    // Fails only once the screen has stopped, when nobody is left to tell.
    taken.ok();
}

/// Puts the cabin in its place on the screen's thread, connected to its screens and its clock.
pub fn install(cabin: Cabin) {
    GATE.set_open(true);
    screens::connect(&cabin.app);
    cabin.timer.start(slint::TimerMode::Repeated, TICK, || with(Cabin::tick));
    CABIN.with(|cell| *cell.borrow_mut() = Some(cabin));
    with(|_| {});
}

/// Takes the cabin away: ends the call, the line and the ports.
pub fn remove() {
    GATE.set_open(false);
    CABIN.with(|cell| cell.borrow_mut().take());
}

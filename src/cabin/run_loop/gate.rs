//! How much of what devices say may wait for the screen's thread.
//!
//! The toolkit's own queue has no limit. A screen that is held up would let every curve of every device pile up in it;
//! so who brings a message waits here, and what comes behind waits where curves may be dropped: at the ports.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Messages of devices that wait for the screen's thread: a second and more of twelve devices that stream.
pub(super) const WAITING_MAX: usize = 1_024;

/// What lets in no more than [`WAITING_MAX`] at a time.
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    waiting: usize,
    is_open: bool,
}

/// Leave to wait for the screen's thread; given back when dropped, which is when the message was dealt with.
pub(super) struct Pass(&'static Gate);

impl Pass {
    /// Whether more messages have entered behind this one.
    pub(super) fn others_wait(&self) -> bool {
        self.0.lock().waiting > 1
    }
}

impl Gate {
    pub(super) const fn new() -> Gate {
        Gate { state: Mutex::new(State { waiting: 0, is_open: true }), changed: Condvar::new() }
    }

    /// Waits for room. `None` once the cabin has stopped: nobody is left to tell.
    pub(super) fn enter(&'static self) -> Option<Pass> {
        let full = |state: &mut State| state.is_open && state.waiting >= WAITING_MAX;
        let mut state = self.changed.wait_while(self.lock(), full).unwrap_or_else(PoisonError::into_inner);
        if !state.is_open {
            return None;
        }
        state.waiting += 1;
        Some(Pass(self))
    }

    /// Whether anybody may enter; who waits when it closes goes away.
    pub(super) fn set_open(&self, is_open: bool) {
        self.lock().is_open = is_open;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.lock().waiting -= 1;
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn no_more_than_its_limit_waits_for_a_screen_that_is_held_up_and_nothing_is_lost_when_it_goes_on() {
        static GATE: Gate = Gate::new();
        // The screen's queue, of which nothing is taken at first.
        let (post, queue) = mpsc::channel();
        let devices: Vec<_> = (0..4)
            .map(|_| {
                let post = post.clone();
                std::thread::spawn(move || {
                    for _ in 0..WAITING_MAX {
                        post.send(GATE.enter().unwrap()).unwrap();
                    }
                })
            })
            .collect();
        drop(post);
        let mut held: Vec<Pass> = queue.iter().take(WAITING_MAX).collect();
        assert!(held[0].others_wait());
        assert!(queue.try_recv().is_err(), "one more than may wait");
        let mut taken = 0;
        while let Some(pass) = held.pop().or_else(|| queue.recv().ok()) {
            assert!(GATE.lock().waiting <= WAITING_MAX);
            taken += 1;
            assert!(taken < 4 * WAITING_MAX || !pass.others_wait(), "the last one draws");
            drop(pass);
        }
        assert_eq!(taken, 4 * WAITING_MAX);
        devices.into_iter().for_each(|device| device.join().unwrap());
        assert_eq!(GATE.lock().waiting, 0);
    }

    #[test]
    fn who_waits_when_the_cabin_stops_goes_away() {
        static GATE: Gate = Gate::new();
        let passes: Vec<_> = (0..WAITING_MAX).map_while(|_| GATE.enter()).collect();
        let (said, heard) = mpsc::channel();
        std::thread::spawn(move || said.send(GATE.enter().is_none()).unwrap());
        GATE.set_open(false);
        assert!(heard.recv().unwrap());
        drop(passes);
        assert!(GATE.enter().is_none());
        GATE.set_open(true);
        assert!(GATE.enter().is_some());
    }
}

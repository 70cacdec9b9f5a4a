//! What systemd is told of the screen: ready with the first picture that was drawn, alive with every later one.
//!
//! Slint's loop on a display runs timers, then draws and waits until the display took the picture before, then waits for
//! events (i-slint-backend-linuxkms 1.18, `calloop_backend.rs`, `dumbbuffer.rs`). So what a timer arms for "at once" is run
//! after the next picture. Where drawing fails the loop ends, and the program with it; where the display never takes a
//! picture the loop stands still: in neither case is anything said, and systemd starts the program anew.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use outbox::systemd;
use slint::{ComponentHandle as _, Timer, TimerMode};

/// Goes on telling for as long as it is kept.
pub struct Life {
    _timer: Timer,
}

/// Begins to tell. Only on the screen's thread, before its loop runs.
pub fn tell(app: &ui::App) -> Life {
    let ready = Rc::new(Cell::new(false));
    let timer = Timer::default();
    let window = app.as_weak();
    let draw = move || draw(&window, &ready);
    // The loop's first timers come before its first picture: one of them asks for that picture as for every other.
    Timer::single_shot(Duration::ZERO, draw.clone());
    if let Some(every) = systemd::alive_every() {
        timer.start(TimerMode::Repeated, every, draw);
    }
    Life { _timer: timer }
}

fn draw(window: &slint::Weak<ui::App>, ready: &Rc<Cell<bool>>) {
    let Some(app) = window.upgrade() else { return };
    app.window().request_redraw();
    let ready = ready.clone();
    Timer::single_shot(Duration::ZERO, move || drawn(&ready));
}

fn drawn(ready: &Cell<bool>) {
    if !ready.replace(true) {
        tracing::info!("the first picture is drawn");
        say(systemd::READY);
    }
    say(systemd::ALIVE);
}

thread_local! {
    static ANSWERS: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Says what answers, one line for people and for the health check of a release, when that has changed. Only on the
/// screen's thread.
pub fn answers(now: String) {
    ANSWERS.with_borrow_mut(|last| {
        if *last != now {
            say(&format!("{}{now}", systemd::STATUS));
            *last = now;
        }
    });
}

fn say(line: &str) {
    if let Err(error) = systemd::tell(line) {
        tracing::warn!(%error, line, "systemd could not be told");
    }
}

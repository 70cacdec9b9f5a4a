//! The patient's screens.

mod answers;
pub mod call;
mod coming_back;
mod ending;
pub mod identity;
pub mod measure;
mod welcome;

use consult::journey::Step;
use media::{Frame, Pixels};
use slint::{Image, Rgb8Pixel, Rgba8Pixel, SharedPixelBuffer};
use ui::{App, Screen};

use crate::run_loop::Cabin;

pub(super) use answers::yes_no;
pub(super) use measure::{curve, device_fault};

/// Connects every callback, once.
pub fn connect(app: &App) {
    welcome::connect(app);
    answers::connect(app);
    identity::connect(app);
    measure::connect(app);
    call::connect(app);
    coming_back::connect(app);
    ending::connect(app);
}

/// Sets the properties of the screen that is about to be drawn.
pub fn show(app: &App, cabin: &Cabin, screen: Screen) {
    welcome::show(app, cabin);
    answers::show(app, cabin);
    identity::show(app, cabin);
    measure::show(app, cabin);
    if matches!(cabin.journey.step(), Step::WaitingRoom { .. } | Step::MeetPhysician { .. } | Step::Call { .. }) {
        call::show(app, cabin);
    }
    coming_back::show(app, cabin);
    ending::show(app, cabin, screen);
}

/// Takes every word and picture of the patient away.
pub fn forget(app: &App) {
    answers::forget(app);
    identity::forget(app);
    measure::forget(app);
    call::forget(app);
    coming_back::forget(app);
    ending::forget(app);
}

/// A picture of a camera or of the call, to be drawn in the place of `former`, whose room it takes where nothing else
/// shows it.
fn image(frame: Option<&Frame>, former: Image) -> Image {
    frame.map_or_else(Image::default, |frame| {
        if let Pixels::Rgba(rgba) = &frame.pixels {
            let pixels = SharedPixelBuffer::<Rgba8Pixel>::clone_from_slice(rgba, frame.width, frame.height);
            return Image::from_rgba8(pixels);
        }
        let room = former.to_rgb8().filter(|room| (room.width(), room.height()) == (frame.width, frame.height));
        drop(former);
        let mut pixels = room.unwrap_or_else(|| SharedPixelBuffer::<Rgb8Pixel>::new(frame.width, frame.height));
        frame.write_rgb(pixels.make_mut_bytes());
        Image::from_rgb8(pixels)
    })
}

//! A camera and a microphone that are pulled out in a call and plugged in again, on a real kernel: in a guest whose own
//! drivers (uvcvideo, snd-usb-audio) serve simulated devices on virtual USB ports. `tests/tools/usb_guest` runs this same
//! program there, with the test below that is ignored here.

use crate::two_peers::{End, connect};
use crate::*;
use sim::guest::{Guest, gstreamer_registry};

#[test]
#[ignore = "minutes in an emulated machine: make soak"]
fn a_camera_and_a_microphone_pulled_out_in_a_call_are_taken_up_when_they_are_back() {
    let inside = gstreamer_registry("plugins_are_listed");
    let machine = [("USB_GUEST_MODULES", "uvcvideo snd-usb-audio"), ("USB_GUEST_SECONDS_MAX", "300")];
    let machine = machine.map(|(name, value)| (name, value.to_owned())).to_vec();
    Guest { filter: &["guest::"], inside, machine }.run("a_camera_and_a_microphone_in_a_call");
}

#[test]
#[ignore = "called by the test above"]
fn plugins_are_listed() {
    gst::init().unwrap();
}

/// What runs in the guest.
mod guest {
    use super::*;
    use std::path::Path;
    use std::process::Command;

    use sim::{CameraMode, Stream};

    /// Everything here is some 30 times slower than on a processor.
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A light picture: the test picture that takes its place is dark.
    fn light_picture() -> Vec<u8> {
        let (width, height) = (320_usize, 240_usize);
        let mut pixels = vec![200; width * height];
        pixels.resize(width * height * 3 / 2, 128);
        let caps = gst::Caps::builder("video/x-raw")
            .field("format", "I420")
            .field("width", width as i32)
            .field("height", height as i32)
            .field("framerate", gst::Fraction::new(1, 1));
        media::convert("jpegenc", &caps.build(), pixels, PATIENCE).unwrap().1
    }

    /// Waits for a picture of the cabin at the far end that is as light as its camera's, or as dark as the test picture.
    async fn until_seen(page: &End, light: bool) {
        let mut seen = page.call.remote_picture();
        let wait = async {
            loop {
                let mean = seen.borrow_and_update().as_ref().map(|frame| {
                    let rgba = frame.rgba();
                    let greens = rgba.chunks_exact(4).map(|pixel| u64::from(pixel[1]));
                    greens.sum::<u64>() / u64::from(frame.width * frame.height).max(1)
                });
                if mean.is_some_and(|mean| if light { mean > 150 } else { mean < 120 }) {
                    return;
                }
                seen.changed().await.expect("a call");
            }
        };
        let what = if light { "the camera" } else { "the test picture" };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("the far end does not see {what}"));
        eprintln!("  the far end sees {what}");
    }

    fn is_here() -> bool {
        std::env::var_os("IN_USB_GUEST").is_some()
    }

    /// What both ends have where nothing else is said.
    fn small() -> Settings {
        let _ = Command::new("/usr/bin/env").args(["ip", "link", "set", "lo", "up"]).status();
        gst::init().unwrap();
        Settings {
            video_source: VideoSource::TestPicture,
            audio_source: AudioSource::TestTone,
            picture: Picture { width: 320, height: 240, frames_per_second: 5 },
            ..Settings::default()
        }
    }

    fn until_there(file: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !Path::new(file).exists() {
            assert!(Instant::now() < deadline, "the kernel made no {file}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether this program has a microphone open.
    fn is_held() -> bool {
        let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let mut names = files.filter_map(|file| std::fs::read_link(file.path()).ok());
        names.any(|name| name.to_string_lossy().starts_with("/dev/snd/pcm"))
    }

    /// Nothing ended, and nothing was told twice. An emulated processor is too slow for some checks of the way.
    async fn close(page: End, cabin: End, was_told: impl Fn(&Fault) -> bool) {
        let again = |event: &CallEvent| match event {
            CallEvent::Fault(fault) => was_told(fault),
            event => *event == CallEvent::Ended,
        };
        assert!(!cabin.early.iter().any(again), "{:?}", cabin.early);
        page.call.close().await;
        cabin.call.close().await;
    }

    #[test]
    #[ignore = "in the guest only"]
    fn a_camera_is_told_replaced_and_taken_up_under_another_number_in_the_same_call() {
        if !is_here() {
            return;
        }
        let with_camera = Settings { video_source: VideoSource::Auto, ..small() };
        let mode = CameraMode { width: 320, height: 240, rate: 5, pictures: vec![light_picture()] };
        let camera = Stream::camera(0, vec![mode]).unwrap();
        until_there("/dev/video0");
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let (page, mut cabin) = connect(End::start(small()).await, End::start(with_camera).await).await;
            until_seen(&page, true).await;
            for _ in 0..2 {
                camera.command("unplug").unwrap();
                cabin.until("loss", |event| matches!(event, CallEvent::Fault(Fault::CameraLost { .. }))).await;
                until_seen(&page, false).await;
                let plugged_at = Instant::now();
                camera.command("plug").unwrap();
                cabin.until("return", |event| *event == CallEvent::Restored(Part::Camera)).await;
                until_seen(&page, true).await;
                eprintln!("  seen {} ms after the plug", plugged_at.elapsed().as_millis());
            }
            close(page, cabin, |fault| matches!(fault, Fault::CameraLost { .. })).await;
        });
    }

    #[test]
    #[ignore = "in the guest only"]
    fn a_microphone_is_told_replaced_and_taken_up_in_the_same_call() {
        if !is_here() {
            return;
        }
        let silent = Settings { video_source: VideoSource::Off, ..small() };
        let with_microphone = Settings { audio_source: AudioSource::Auto, ..silent.clone() };
        let microphone = Stream::stethoscope(1, (0..48_000).map(|at| (at % 480 * 40) as i16).collect()).unwrap();
        until_there("/dev/snd/pcmC0D0c");
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let (page, mut cabin) = connect(End::start(silent).await, End::start(with_microphone).await).await;
            // Cleaning and encoding its sound is more than an emulated processor does in time: what is asked here is whether
            // it is open.
            assert!(is_held(), "the microphone is not open");
            microphone.command("unplug").unwrap();
            cabin.until("loss", |event| matches!(event, CallEvent::Fault(Fault::MicrophoneLost { .. }))).await;
            cabin.early.retain(|event| !matches!(event, CallEvent::Stats(_)));
            let is_tone = |event: &CallEvent| matches!(event, CallEvent::Stats(s) if (-36.0..-28.0).contains(&s.microphone_decibels));
            cabin.until("the test tone", is_tone).await;
            assert!(!is_held(), "the microphone that is gone is still open");
            let plugged_at = Instant::now();
            microphone.command("plug").unwrap();
            cabin.until("return", |event| *event == CallEvent::Restored(Part::Microphone)).await;
            eprintln!("  open {} ms after the plug", plugged_at.elapsed().as_millis());
            assert!(is_held(), "the microphone is not open");
            close(page, cabin, |fault| matches!(fault, Fault::MicrophoneLost { .. })).await;
        });
    }
}

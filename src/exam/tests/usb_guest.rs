//! Camera and stethoscope on real USB: a guest whose kernel enumerates simulated devices on virtual ports, binds its own
//! drivers (uvcvideo, snd-usb-audio) and gives their pictures and sound to this crate, through the same GStreamer and
//! ALSA as in a cabin.
//!
//! `tests/tools/usb_guest` runs this same program in the guest; there it runs the tests below that are ignored here.

use sim::guest::{Guest, gstreamer_registry};

#[test]
fn a_camera_and_a_stethoscope_are_used_on_a_real_kernel() {
    let inside = gstreamer_registry("plugins_are_listed");
    let machine = [("USB_GUEST_MODULES", "uvcvideo evdev snd-usb-audio"), ("USB_GUEST_SECONDS_MAX", "400")];
    let machine = machine.map(|(name, value)| (name, value.to_owned())).to_vec();
    Guest { filter: &["guest::"], inside, machine }.run("a_camera_and_a_stethoscope_are_used_on_a_real_kernel");
}

#[test]
#[ignore = "called by the test above"]
fn plugins_are_listed() {
    gstreamer::init().unwrap();
}

/// What runs in the guest.
mod guest {
    use std::path::PathBuf;
    use std::process::Command;
    use std::sync::mpsc::{self, Receiver};
    use std::time::{Duration, Instant};

    use exam::camera::format::{Coding, Mode};
    use exam::camera::still::{Made, StillError};
    use exam::camera::{self, Camera, CameraEvent};
    use exam::sound::clip::ClipError;
    use exam::sound::{self, Stethoscope, StethoscopeEvent};
    use exam::{Address, jpeg};
    use gstreamer as gst;
    use sha2::{Digest as _, Sha256};
    use sim::{CameraMode, Stream};

    /// A test that waits longer than that has failed: everything here is some 30 times slower than on a processor.
    const PATIENCE: Duration = Duration::from_secs(60);
    /// A device is back within that time of its cable: the aim is 2 s, which an emulated processor beside other tests
    /// is not held to. What it took is printed.
    const BACK_WITHIN: Duration = Duration::from_secs(15);
    const ROUNDS: usize = 6;

    fn is_here() -> bool {
        std::env::var_os("IN_USB_GUEST").is_some()
    }

    fn usb(product: u16) -> Address {
        Address::Usb { vendor: 0x1209, product, serial: None, socket: None }
    }

    /// Files of cameras, microphones and buttons that this program has open.
    fn devices_held() -> Vec<PathBuf> {
        let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
        let names = files.filter_map(|file| std::fs::read_link(file.path()).ok());
        names
            .filter(|name| {
                ["/dev/video", "/dev/snd", "/dev/input"].iter().any(|of| name.to_string_lossy().starts_with(of))
            })
            .collect()
    }

    /// Waits for an event that fits.
    fn until<E: std::fmt::Debug>(events: &Receiver<E>, what: &str, fits: impl Fn(&E) -> bool) -> E {
        let give_up_at = Instant::now() + PATIENCE;
        loop {
            let left = give_up_at.saturating_duration_since(Instant::now());
            let event = events.recv_timeout(left).unwrap_or_else(|_| panic!("waited in vain for {what}"));
            eprintln!("  {event:?}");
            if fits(&event) {
                return event;
            }
        }
    }

    /// A test card as GStreamer packs it, another for each number.
    fn card(width: i32, height: i32, number: usize) -> Vec<u8> {
        gst::init().unwrap();
        let (columns, rows) = (width as usize, height as usize);
        let size = 16 + 8 * number;
        let light = |x: usize, y: usize| if (x / size + y / size).is_multiple_of(2) { 190 } else { 70 };
        let mut pixels: Vec<u8> = (0..columns * rows).map(|at| light(at % columns, at / columns)).collect();
        pixels.resize(columns * rows * 3 / 2, 128);
        let caps = gst::Caps::builder("video/x-raw")
            .field("format", "I420")
            .field("width", width)
            .field("height", height)
            .field("framerate", gst::Fraction::new(1, 1))
            .build();
        media::convert("jpegenc", &caps, pixels, PATIENCE).unwrap().1
    }

    fn jpeg_mode(width: u16, height: u16, pictures: Vec<Vec<u8>>) -> CameraMode {
        CameraMode { width, height, rate: 5, pictures }
    }

    fn open_camera() -> (Camera, Receiver<CameraEvent>) {
        let (events, heard) = mpsc::sync_channel(camera::EVENTS_MAX);
        (Camera::open(camera::Source::Plugged(usb(0xCA3E)), events).unwrap(), heard)
    }

    fn is_open(event: &CameraEvent) -> bool {
        matches!(event, CameraEvent::Opened { .. })
    }

    #[test]
    #[ignore = "in the guest only"]
    fn a_still_is_byte_for_byte_what_an_otoscope_sent_and_its_button_is_heard() {
        if !is_here() {
            return;
        }
        let pictures: Vec<Vec<u8>> = (0..3).map(|number| card(800, 600, number)).collect();
        let sums: Vec<[u8; 32]> = pictures.iter().map(|picture| Sha256::digest(picture).into()).collect();
        let small = vec![card(640, 480, 0)];
        let raw = jpeg_mode(320, 240, Vec::new());
        let modes = vec![jpeg_mode(640, 480, small), jpeg_mode(800, 600, pictures), raw];
        let otoscope = Stream::camera(0, modes).unwrap();
        let (camera, events) = open_camera();
        let opened = until(&events, "the camera", is_open);
        let best = Mode { coding: Coding::Jpeg, width: 800, height: 600, rate: (5, 1) };
        let CameraEvent::Opened { device, mode, has_button, .. } = opened else { panic!("not opened") };
        assert_eq!((&mode, has_button, device.name.as_str()), (&best, true, "Bench Otoscope"));
        let serial = device.usb.as_ref().and_then(|usb| usb.serial.as_deref());
        assert_eq!(serial, Some("OTO1"));
        let begun_at = Instant::now();
        let still = camera.still(PATIENCE).unwrap();
        eprintln!("  a still in {} ms, {:?}, {:?}", begun_at.elapsed().as_millis(), still.measures, still.advice);
        assert!(sums.contains(&still.sha256), "not one of the pictures that were sent");
        assert_eq!((still.width, still.height, still.made), (800, 600, Made::ByCamera));
        assert_eq!(still.advice, None);
        otoscope.command("press").unwrap();
        until(&events, "the button", |event| *event == CameraEvent::Pressed);
        // Torn pictures end as whole ones do; none of them becomes a still.
        otoscope.command("tear on").unwrap();
        let mut torn = camera.still(Duration::ZERO);
        let give_up_at = Instant::now() + PATIENCE;
        while torn.is_ok() && Instant::now() < give_up_at {
            torn = camera.still(Duration::ZERO);
        }
        assert!(matches!(torn, Err(StillError::Damaged { .. })), "{torn:?}");
        otoscope.command("tear off").unwrap();
        let still = camera.still(PATIENCE).unwrap();
        assert!(sums.contains(&still.sha256) && jpeg::whole(still.jpeg.reveal()).is_ok());
        drop(camera);
        // Its second file, of metadata, gives no pictures: one camera is listed, and its formats.
        assert!(std::fs::read_dir("/sys/class/video4linux").unwrap().count() > 1);
        let found = camera::find::list();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].modes.len(), 3, "{found:?}");
    }

    #[test]
    #[ignore = "in the guest only"]
    fn a_camera_pulled_out_and_plugged_in_again_is_back_and_leaks_nothing() {
        if !is_here() {
            return;
        }
        let open_files = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let picture = card(800, 600, 0);
        let sum = <[u8; 32]>::from(Sha256::digest(&picture));
        let otoscope = Stream::camera(0, vec![jpeg_mode(800, 600, vec![picture])]).unwrap();
        let (camera, events) = open_camera();
        until(&events, "the camera", is_open);
        assert_eq!(camera.still(PATIENCE).unwrap().sha256, sum);
        let mut counts = Vec::new();
        for _ in 0..ROUNDS {
            otoscope.command("unplug").unwrap();
            until(&events, "its loss", |event| matches!(event, CameraEvent::Lost { .. }));
            assert_eq!(camera.still(Duration::ZERO).err(), Some(StillError::NoPicture));
            assert!(camera.live().borrow().is_none());
            let plugged_at = Instant::now();
            otoscope.command("plug").unwrap();
            until(&events, "its return", is_open);
            let back_after = plugged_at.elapsed();
            eprintln!("  back {} ms after the plug", back_after.as_millis());
            assert!(back_after < BACK_WITHIN);
            assert_eq!(camera.still(PATIENCE).unwrap().sha256, sum);
            counts.push((open_files(), threads()));
        }
        eprintln!("  files and threads: {counts:?}");
        // GStreamer keeps an idle thread and its files for a while: one or two more or less are no leak, which grows by
        // one each time.
        let (first, last) = (counts[0], counts[ROUNDS - 1]);
        assert!(last.0 <= first.0 + 2 && last.1 <= first.1 + 2, "{counts:?}");
        drop(camera);
        assert_eq!(devices_held(), Vec::<PathBuf>::new());
    }

    /// "Again" closes and opens at once: the former opener is still closing when the next one comes.
    #[test]
    #[ignore = "in the guest only"]
    fn a_camera_opened_again_while_it_closes_is_never_refused() {
        if !is_here() {
            return;
        }
        let _otoscope = Stream::camera(0, vec![jpeg_mode(320, 240, vec![card(320, 240, 0)])]).unwrap();
        let (mut camera, events) = open_camera();
        until(&events, "the camera", is_open);
        for _ in 0..20 {
            let closing = std::thread::spawn(move || drop(camera));
            let (next, events) = open_camera();
            let said = until(&events, "the camera again", |_| true);
            assert!(is_open(&said), "{said:?}");
            closing.join().unwrap();
            camera = next;
        }
        drop(camera);
        assert_eq!(devices_held(), Vec::<PathBuf>::new());
    }

    #[test]
    #[ignore = "in the guest only"]
    fn a_camera_without_jpeg_gives_a_still_that_says_who_packed_it() {
        if !is_here() {
            return;
        }
        let _camera = Stream::camera(0, vec![jpeg_mode(320, 240, Vec::new())]).unwrap();
        let (camera, events) = open_camera();
        let opened = until(&events, "the camera", is_open);
        assert!(matches!(&opened, CameraEvent::Opened { mode, .. } if mode.coding == Coding::Raw("YUY2".into())));
        let still = camera.still(PATIENCE).unwrap();
        assert_eq!(still.made, Made::Here { from: "YUY2".into(), quality: 95 });
        assert_eq!((still.width, still.height, still.advice), (320, 240, None));
        drop(camera);
        assert_eq!(devices_held(), Vec::<PathBuf>::new());
    }

    fn noise() -> Vec<i16> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as i16 / 2
        };
        (0..200_003).map(|_| next()).collect()
    }

    /// The reference decoder's samples of a clip.
    fn unpacked(file: &[u8]) -> Vec<i16> {
        std::fs::write("/tmp/clip.flac", file).unwrap();
        let arguments =
            ["-d", "-s", "-f", "--force-raw-format", "--endian=little", "--sign=signed", "-o", "/tmp/clip.raw"];
        assert!(Command::new("flac").args(arguments).arg("/tmp/clip.flac").status().unwrap().success());
        let raw = std::fs::read("/tmp/clip.raw").unwrap();
        raw.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
    }

    #[test]
    #[ignore = "in the guest only"]
    fn a_clip_holds_every_sample_that_a_stethoscope_sent_and_no_other() {
        if !is_here() {
            return;
        }
        let sent = noise();
        let stethoscope = Stream::stethoscope(1, sent.clone()).unwrap();
        let (events, heard) = mpsc::sync_channel(sound::EVENTS_MAX);
        let listening = Stethoscope::open(sound::Source::Plugged(usb(0x57E7)), events).unwrap();
        let is_open = |event: &StethoscopeEvent| matches!(event, StethoscopeEvent::Opened { rate: 48_000, .. });
        until(&heard, "the stethoscope", is_open);
        let clip = listening.clip(Duration::from_secs(5)).unwrap().recv_timeout(PATIENCE).unwrap().unwrap();
        eprintln!("  {:?}, gaps {:?}, {} bytes", clip.measures, clip.gaps, clip.flac.reveal().len());
        assert_eq!((clip.gaps.len(), clip.rate, clip.measures.samples), (0, 48_000, 240_000));
        let got = unpacked(clip.flac.reveal());
        assert_eq!(got.len(), 240_000);
        let start = sent.windows(64).position(|window| window == &got[..64]).expect("a place in what was sent");
        let unequal = (0..got.len()).find(|at| got[*at] != sent[(start + at) % sent.len()]);
        assert_eq!(unequal, None, "from sample {start} of what was sent");
        // Pulled out while a clip is taken: there is none, and the next one is as good.
        let cut = listening.clip(Duration::from_secs(20)).unwrap();
        stethoscope.command("unplug").unwrap();
        until(&heard, "its loss", |event| matches!(event, StethoscopeEvent::Lost { .. }));
        assert_eq!(cut.recv_timeout(PATIENCE).unwrap().err(), Some(ClipError::Lost));
        let plugged_at = Instant::now();
        stethoscope.command("plug").unwrap();
        until(&heard, "its return", is_open);
        eprintln!("  back {} ms after the plug", plugged_at.elapsed().as_millis());
        assert!(plugged_at.elapsed() < BACK_WITHIN);
        let clip = listening.clip(Duration::from_secs(1)).unwrap().recv_timeout(PATIENCE).unwrap().unwrap();
        assert_eq!(unpacked(clip.flac.reveal()).len(), 48_000);
    }
}

//! Stills: from a picture to its bytes, their wholeness, their words.

use std::sync::mpsc;
use std::time::Duration;

use consult::vitals::Moment;
use exam::Device;
use exam::camera::format::{Coding, Mode};
use exam::camera::still::{self, Made, StillError};
use exam::camera::{Camera, CameraEvent, EVENTS_MAX, Source};
use exam::jpeg::{self, Broken};
use exam::picture::Advice;
use gstreamer as gst;
use sha2::{Digest as _, Sha256};

/// A test that waits longer than that has failed.
const PATIENCE: Duration = Duration::from_secs(30);

fn device() -> Device {
    Device { name: "test picture".into(), usb: None }
}

/// A JPEG picture of GStreamer's (libjpeg-turbo), grey or with its colours at half size.
fn encoded(format: &str, width: i32, height: i32, light: impl Fn(usize, usize) -> u8) -> Vec<u8> {
    gst::init().expect("GStreamer");
    let (columns, rows) = (width as usize, height as usize);
    let mut pixels: Vec<u8> = (0..columns * rows).map(|at| light(at % columns, at / columns)).collect();
    if format == "I420" {
        pixels.extend((0..columns * rows / 2).map(|at| (at * 7 % 256) as u8));
    }
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", format)
        .field("width", width)
        .field("height", height)
        .field("framerate", gst::Fraction::new(1, 1))
        .build();
    media::convert("jpegenc quality=85", &caps, pixels, PATIENCE).expect("a picture").1
}

fn card(x: usize, y: usize) -> u8 {
    if (x / 16 + y / 16).is_multiple_of(2) { 190 } else { 70 }
}

/// Every segment of one kind taken out, or its place and length.
fn without(picture: &[u8], marker: u8) -> Vec<u8> {
    let mut left = picture[..2].to_vec();
    let mut at = 2;
    while picture[at + 1] != 0xDA {
        let length = 2 + usize::from(u16::from_be_bytes([picture[at + 2], picture[at + 3]]));
        if picture[at + 1] != marker {
            left.extend(&picture[at..at + length]);
        }
        at += length;
    }
    left.extend(&picture[at..]);
    left
}

/// 40 by 24 grey pixels with a restart marker after each 4 blocks. Made with Pillow 13.0: pixel (7 x + 11 y) mod 256,
/// quality 30, `restart_marker_blocks=4`.
const RESTARTS: &str = "\
ffd8ffe000104a46494600010100000100010000ffdb0043001b12141714111b1716171e1c1b2028422b28252528513a3d3042605565645f555d5b\
6a7899816a7190735b5d85b586909ea3abadab6780bcc9baa6c799a8aba4ffc0000b080018002801011100ffc4001f000001050101010101010000\
0000000000000102030405060708090a0bffc400b5100002010303020403050504040000017d010203000411051221314106135161072271143281\
91a1082342b1c11552d1f02433627282090a161718191a25262728292a3435363738393a434445464748494a535455565758595a63646566676869\
6a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7\
d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9faffdd00040004ffda0008010100003f00cc82d7dab420b5f6ad182d7da8bcbfb5d386d6fd\
e4dda3423238cf3e83a57fffd0ceb9b9bad45c34ed8518c46b90a3df1ebd79ad882d7daae110dac5e6cf22c683bb1ebec3d4fb5645feb724c4c3639\
8a304832ff130f6f4fe7d3a57ffd1cc82d7dab420b5f6ab97bab5b596f8a11e75c2e4600f954fb9ff000f4c71589349717f379970e5b9c85fe15f6\
03b57ffd2ab05afb568c16bed570886d62f367916341dd8f5f61ea7dabfffd9";

fn restarts() -> Vec<u8> {
    (0..RESTARTS.len()).step_by(2).map(|at| u8::from_str_radix(&RESTARTS[at..at + 2], 16).expect("hex")).collect()
}

#[test]
fn what_is_sought_is_found_in_the_live_picture_or_given_up_by_time_or_by_order() {
    gst::init().unwrap();
    let folder = std::env::temp_dir().join(format!("telecabine-seek-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("chess.png");
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", "GRAY8")
        .field("width", 64)
        .field("height", 64)
        .field("framerate", gst::Fraction::new(1, 1))
        .build();
    let pixels = (0..64 * 64).map(|at| if at % 64 < 32 { 255 } else { 0 }).collect();
    std::fs::write(&file, media::convert("pngenc", &caps, pixels, PATIENCE).expect("a picture").1).unwrap();
    let (events, _heard) = mpsc::sync_channel(EVENTS_MAX);
    let camera = Camera::open(file.to_str().unwrap().parse().unwrap(), events).unwrap();
    let wanted = std::sync::atomic::AtomicBool::new(true);
    let every = Duration::from_millis(1);
    // White on the left of the square, black on its right and where the camera sees past the picture.
    let seen = camera.seek(every, PATIENCE, &wanted, |luma| {
        let at = |x: usize| luma.pixels()[luma.height() / 2 * luma.width() + x];
        Some([at(10), at(luma.width() / 2 - 20), at(luma.width() / 2 + 20)])
    });
    assert!(matches!(seen, Some([0..=30, 220..=255, 0..=30])), "{seen:?}");
    assert_eq!(camera.seek(every, Duration::from_millis(50), &wanted, |_| None::<()>), None, "too late");
    wanted.store(false, std::sync::atomic::Ordering::Release);
    assert_eq!(camera.seek(every, PATIENCE, &wanted, |_| Some(())), None, "nobody wants it");
    drop(camera);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn whole_pictures_of_two_encoders_are_whole() {
    for (format, width, height) in [("I420", 640, 480), ("GRAY8", 16, 16), ("I420", 1_280, 960), ("GRAY8", 36, 20)] {
        let picture = encoded(format, width, height, card);
        let whole = jpeg::whole(&picture).unwrap_or_else(|why| panic!("{format} {width}x{height}: {why}"));
        assert_eq!((i32::from(whole.width), i32::from(whole.height)), (width, height));
        assert_eq!((whole.length, whole.has_tables), (picture.len(), true));
    }
    let whole = jpeg::whole(&restarts()).expect("whole");
    assert_eq!((whole.width, whole.height, whole.length), (40, 24, 504));
}

#[test]
fn a_picture_without_its_tables_is_whole_and_is_read_with_the_usual_ones() {
    // As many cameras send them. The tables of this encoder are the usual ones, so nothing is lost.
    let picture = without(&encoded("I420", 320, 240, card), 0xC4);
    assert!(!jpeg::whole(&picture).expect("whole").has_tables);
    let still = still::of_jpeg(picture.clone(), Made::ByCamera, Moment(1), device(), None).expect("a still");
    assert_eq!(*still.jpeg.reveal(), picture);
    assert_eq!(still.advice, None);
}

#[test]
fn a_picture_that_ends_early_is_cut_off_wherever_it_ends() {
    let picture = encoded("I420", 64, 48, card);
    for length in 0..picture.len() {
        assert!(jpeg::whole(&picture[..length]).is_err(), "{length} of {}", picture.len());
    }
    let padded = [picture.clone(), vec![0; 777]].concat();
    assert_eq!(jpeg::whole(&padded).expect("whole").length, picture.len());
}

#[test]
fn a_piece_missing_in_the_middle_is_noticed_although_the_picture_ends_well() {
    let picture = encoded("I420", 320, 240, |x, y| (x * 13 + y * 7) as u8);
    let scan = picture.windows(2).position(|pair| pair == [0xFF, 0xDA]).expect("a scan") + 20;
    let piece = 512;
    let (mut torn, mut unnoticed) = (0, 0);
    for at in (scan..picture.len() - piece - 2).step_by(311) {
        torn += 1;
        unnoticed += usize::from(jpeg::whole(&[&picture[..at], &picture[at + piece..]].concat()).is_ok());
    }
    // The codes have no sum to check: now and then what is left has as many blocks by chance.
    eprintln!("{unnoticed} of {torn} went unnoticed");
    assert!(torn > 100 && unnoticed * 25 <= torn, "{unnoticed} of {torn}");
    // Between two restart markers too, where every block after it is right again.
    let marked = restarts();
    let second = marked.windows(2).position(|pair| pair == [0xFF, 0xD1]).expect("the second");
    let torn = [&marked[..second - 12], &marked[second..]].concat();
    assert!(matches!(jpeg::whole(&torn), Err(Broken::Blocks(_))));
    let third = marked.windows(2).position(|pair| pair == [0xFF, 0xD2]).expect("the third");
    assert!(jpeg::whole(&[&marked[..second], &marked[third..]].concat()).is_err());
}

#[test]
fn damaged_bytes_never_make_more_of_a_picture_than_an_error() {
    let picture = encoded("I420", 96, 64, card);
    let seed: u64 = 0x5EED_0010;
    eprintln!("seed {seed:#x}");
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for _ in 0..20_000 {
        let mut damaged = picture.clone();
        for _ in 0..1 + random() % 4 {
            let at = random() % damaged.len();
            damaged[at] = random() as u8;
        }
        // A flipped bit may leave a whole picture of other colours; it never panics, nor reads on past the end.
        if let Ok(whole) = jpeg::whole(&damaged) {
            assert!(whole.length <= damaged.len());
        }
        let noise: Vec<u8> = [0xFF, 0xD8].into_iter().chain((0..random() % 300).map(|_| random() as u8)).collect();
        assert!(jpeg::whole(&noise).is_err());
    }
    assert_eq!(jpeg::whole(&vec![0; jpeg::PICTURE_BYTES_MAX + 1]), Err(Broken::TooLong(jpeg::PICTURE_BYTES_MAX + 1)));
    assert_eq!(jpeg::whole(b"GIF89a"), Err(Broken::NotJpeg));
}

#[test]
fn a_dark_and_a_blurred_still_say_what_to_do() {
    let still = |light: &dyn Fn(usize, usize) -> u8| {
        let picture = encoded("GRAY8", 640, 480, light);
        still::of_jpeg(picture, Made::ByCamera, Moment(7), device(), None).expect("a still")
    };
    assert_eq!(still(&card).advice, None);
    assert_eq!(still(&|x, y| card(x, y) / 5).advice, Some(Advice::TooDark));
    let smooth = |x: usize, _: usize| 128 + (50.0 * (x as f64 / 40.0).sin()) as u8;
    assert_eq!(still(&smooth).advice, Some(Advice::Blurred));
}

#[test]
fn a_still_of_the_test_camera_is_its_own_jpeg_with_its_hash() {
    let mode = Mode { coding: Coding::Jpeg, width: 1_280, height: 720, rate: (15, 1) };
    let (events, heard) = mpsc::sync_channel(EVENTS_MAX);
    let camera = Camera::open(Source::Test(mode.clone()), events).expect("a camera");
    let opened = heard.recv_timeout(PATIENCE).expect("an event");
    assert!(matches!(&opened, CameraEvent::Opened { mode: of, has_button: false, .. } if *of == mode), "{opened:?}");
    let still = camera.still(PATIENCE).expect("a still");
    assert_eq!((still.width, still.height, &still.made), (1_280, 720, &Made::ByCamera));
    assert_eq!((still.frozen.width, still.frozen.rgba().len()), (1_280, 1_280 * 720 * 4));
    let bytes = still.jpeg.reveal();
    assert_eq!(still.sha256, <[u8; 32]>::from(Sha256::digest(bytes)));
    assert_eq!(jpeg::whole(bytes).expect("whole").length, bytes.len());
    assert!(still.at.0 > 1_700_000_000_000 && !format!("{still:?}").contains("255"));
    let mut live = camera.live();
    let frame = loop {
        if let Some(frame) = live.borrow_and_update().clone() {
            break frame;
        }
        std::thread::yield_now();
    };
    assert_eq!((frame.width, frame.height), (1_280, 720));
    drop(camera);
    assert!(live.borrow().is_none(), "nothing of it is left");
}

#[test]
fn a_raw_camera_gives_a_still_that_says_it_was_made_here() {
    let mode = Mode { coding: Coding::Raw("YUY2".into()), width: 320, height: 240, rate: (30, 1) };
    let (events, _heard) = mpsc::sync_channel(EVENTS_MAX);
    let camera = Camera::open(Source::Test(mode), events).expect("a camera");
    let still = camera.still(PATIENCE).expect("a still");
    assert_eq!(still.made, Made::Here { from: "YUY2".into(), quality: 95 });
    assert_eq!((still.width, still.height), (320, 240));
}

#[test]
fn a_camera_that_is_not_there_gives_no_still_and_says_so() {
    let (events, _heard) = mpsc::sync_channel(EVENTS_MAX);
    let nowhere = exam::Address::Named("/dev/v4l/by-id/nowhere".into());
    let camera = Camera::open(Source::Plugged(nowhere), events).expect("a camera");
    assert_eq!(camera.still(Duration::from_millis(10)).err(), Some(StillError::NoPicture));
}

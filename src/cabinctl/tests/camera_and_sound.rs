//! The verbs for cameras and stethoscopes, with the test picture and the test sound; real ones are in the guest of
//! `src/exam/tests/usb_guest.rs`.

fn ctl(words: &[&str]) -> Result<String, String> {
    let mut out = Vec::new();
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    let done = cabinctl::run(words, &mut std::io::empty(), &mut out);
    done.map(|()| String::from_utf8(out).unwrap()).map_err(|error| format!("{error:#}"))
}

#[test]
fn a_still_of_the_test_picture_is_written_once_with_what_is_to_know_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("card.jpg").display().to_string();
    let printed = ctl(&["camera", "still", &file, "--camera", "test"]).unwrap();
    assert!(printed.contains("1280x720, as the camera sent it") && printed.contains("sha256   "), "{printed}");
    let bytes = std::fs::read(&file).unwrap();
    assert_eq!(exam::jpeg::whole(&bytes).unwrap().width, 1_280);
    let error = ctl(&["camera", "still", &file, "--camera", "test"]).unwrap_err();
    assert!(error.contains("is there already"), "{error}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
}

#[test]
fn a_clip_of_the_test_sound_is_written_without_loss() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tap.flac").display().to_string();
    let printed = ctl(&["sound", "clip", &file, "--sound", "test", "--seconds", "1"]).unwrap();
    assert!(printed.contains("48000 samples at 48000 Hz, 0 gaps") && printed.contains("advice   good"), "{printed}");
    let head = exam::sound::flac::head(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!((head.samples, head.bits, head.channels), (48_000, 16, 1));
}

#[test]
fn what_is_not_there_or_misspelt_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("none.jpg").display().to_string();
    let error = ctl(&["camera", "still", &file, "--camera", "usb=12"]).unwrap_err();
    assert!(error.contains("usb=VENDOR:PRODUCT"), "{error}");
    let error = ctl(&["camera", "still", &file, "--camera", "/dev/nosuch"]).unwrap_err();
    assert!(error.contains("/dev/nosuch") && error.contains("camera list"), "{error}");
    let picture = folder.path().join("none.png").display().to_string();
    let error = ctl(&["camera", "still", &picture, "--camera", "test"]).unwrap_err();
    assert!(error.contains(".jpg"), "{error}");
    let error = ctl(&["sound", "clip", &file, "--seconds", "61"]).unwrap_err();
    assert!(error.contains("from 1 to 60"), "{error}");
    assert!(ctl(&["camera", "list"]).is_ok() && ctl(&["sound", "list"]).is_ok());
    assert!(!std::path::Path::new(&file).exists());
}

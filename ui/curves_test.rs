//! Curves stay in their box, and text sizes go round.

use ui::{CURVE_SAMPLES_MAX, curve_path, next_text_scale};

#[test]
fn a_curve_goes_from_edge_to_edge_and_stays_in_its_box() {
    let path = curve_path(&[0.0, 1.0, 2.0, f32::NAN], 300.0, 100.0);
    assert_eq!(path, "M0.0 97.0L100.0 3.0L200.0 3.0L300.0 97.0");
}

#[test]
fn a_single_sample_draws_nothing() {
    assert_eq!(curve_path(&[0.5], 300.0, 100.0), "");
    assert_eq!(curve_path(&[0.5, 0.6], 0.0, 100.0), "");
}

#[test]
fn a_curve_that_is_too_long_keeps_the_latest_samples() {
    let mut samples = vec![0.0; CURVE_SAMPLES_MAX * 2];
    samples[CURVE_SAMPLES_MAX * 2 - 1] = 1.0;
    let path = curve_path(&samples, 1000.0, 100.0);
    assert_eq!(path.matches('L').count(), CURVE_SAMPLES_MAX - 1);
    assert!(path.ends_with("L1000.0 3.0"));
}

#[test]
fn text_grows_twice_then_is_normal_again() {
    assert_eq!(next_text_scale(1.0), 1.4);
    assert_eq!(next_text_scale(1.4), 2.0);
    assert_eq!(next_text_scale(2.0), 1.0);
}

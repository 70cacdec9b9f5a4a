//! What is painted over the picture before anything sees it: black while the camera is covered, and the time and a ball on
//! the test picture.

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video as gst_video;
use media::named;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Paints pictures black while the camera is covered, before anything sees them.
pub(super) fn cover_when_asked(pipeline: &gst::Pipeline, covered: Arc<AtomicBool>) -> Result<(), String> {
    let cover: gst::Element = named(pipeline, "cover")?;
    let pad = cover.static_pad("src").ok_or("no pad to cover")?;
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        if !covered.load(Ordering::Relaxed) {
            return gst::PadProbeReturn::Ok;
        }
        let Some(video) = pad.current_caps().and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok()) else {
            return gst::PadProbeReturn::Drop;
        };
        let Some(buffer) = info.buffer_mut() else { return gst::PadProbeReturn::Drop };
        let luma = video.offset().get(1).copied().unwrap_or(0);
        // A copy when someone else still holds the picture.
        match buffer.make_mut().map_writable() {
            Ok(mut pixels) if luma > 0 && luma <= pixels.len() => {
                let (light, colour) = pixels.split_at_mut(luma);
                light.fill(16);
                colour.fill(128);
                gst::PadProbeReturn::Ok
            }
            _ => gst::PadProbeReturn::Drop,
        }
    });
    Ok(())
}

/// Edge of a square of the time code, pixels: large enough to survive a narrow line.
const CODE_SQUARE: usize = 16;
/// Squares a row; two rows of them.
const CODE_ROW: usize = 16;

/// Half the ball's width, pixels.
const BALL_RADIUS: i64 = 20;
/// In which the ball goes its way once, milliseconds.
const BALL_ROUND: u32 = 3_000;

/// Writes into the test picture when it was made: milliseconds since 1970 modulo 2^32, its highest bit first, as white
/// and black squares in the upper left corner. Whoever sees the picture then knows how late it is. With `ball`, a white
/// ball that goes about.
pub(super) fn enliven(pipeline: &gst::Pipeline, covered: Arc<AtomicBool>, ball: bool) -> Result<(), String> {
    let cover: gst::Element = named(pipeline, "cover")?;
    let pad = cover.static_pad("src").ok_or("no pad to write on")?;
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let video = pad.current_caps().and_then(|caps| gst_video::VideoInfo::from_caps(&caps).ok());
        let (Some(video), Some(buffer), false) = (video, info.buffer_mut(), covered.load(Ordering::Relaxed)) else {
            return gst::PadProbeReturn::Ok;
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u32;
        let stride = usize::try_from(video.stride()[0]).unwrap_or(0);
        if (video.width() as usize) < CODE_SQUARE * CODE_ROW || (video.height() as usize) < 2 * CODE_SQUARE {
            return gst::PadProbeReturn::Ok;
        }
        if let Ok(mut pixels) = buffer.make_mut().map_writable() {
            if ball {
                draw_ball(&mut pixels, stride, (video.width(), video.height()), now);
            }
            draw_time(&mut pixels, stride, now);
        }
        gst::PadProbeReturn::Ok
    });
    Ok(())
}

/// Draws the ball into rows of `stride` bytes of lightness: a figure of eight that lies.
fn draw_ball(light: &mut [u8], stride: usize, (width, height): (u32, u32), time: u32) {
    let turn = f64::from(time % BALL_ROUND) / f64::from(BALL_ROUND) * std::f64::consts::TAU;
    let middle = |side: u32, way: f64| {
        let half = f64::from(side) / 2.0;
        (half + (half - BALL_RADIUS as f64) * way) as i64
    };
    let (x, y) = (middle(width, turn.cos()), middle(height, (2.0 * turn).sin()));
    for row in -BALL_RADIUS..=BALL_RADIUS {
        let half = ((BALL_RADIUS * BALL_RADIUS - row * row) as f64).sqrt() as i64;
        let (Ok(row), Ok(left), Ok(right)) =
            (usize::try_from(y + row), usize::try_from(x - half), usize::try_from(x + half))
        else {
            continue;
        };
        if let Some(pixels) = light.get_mut(row * stride..(row + 1) * stride).and_then(|row| row.get_mut(left..right)) {
            pixels.fill(235);
        }
    }
}

/// Draws the squares into rows of `stride` bytes of lightness.
fn draw_time(light: &mut [u8], stride: usize, time: u32) {
    for bit in 0..2 * CODE_ROW {
        let value = if time >> (31 - bit) & 1 == 1 { 235 } else { 16 };
        let (left, top) = (bit % CODE_ROW * CODE_SQUARE, bit / CODE_ROW * CODE_SQUARE);
        for row in top..top + CODE_SQUARE {
            if let Some(pixels) = light.get_mut(row * stride + left..row * stride + left + CODE_SQUARE) {
                pixels.fill(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ball_goes_about_and_stays_in_the_picture() {
        let (width, height) = (320, 240);
        let mut places = std::collections::BTreeSet::new();
        for time in (0..BALL_ROUND).step_by(33) {
            let mut light = vec![62; width * height * 3 / 2];
            draw_ball(&mut light, width, (width as u32, height as u32), time);
            let lit: Vec<usize> = (0..light.len()).filter(|at| light[*at] != 62).collect();
            // A disc of 20 pixels, wherever it is.
            assert!((1_100..1_300).contains(&lit.len()), "{} at {time} ms", lit.len());
            assert!(lit.iter().all(|at| at / width < height), "only lightness");
            places.insert(lit[0]);
        }
        assert!(places.len() > 50, "it moves: {}", places.len());
    }

    #[test]
    fn the_test_picture_says_when_it_was_made() {
        let stride = 640;
        let mut light = vec![100; stride * 480];
        let time = 0x8000_00F1;
        draw_time(&mut light, stride, time);
        let read = (0..32).fold(0_u32, |read, bit| {
            let (x, y) = (bit % 16 * 16 + 8, bit / 16 * 16 + 8);
            read << 1 | u32::from(light[y * stride + x] > 128)
        });
        assert_eq!(read, time);
        assert!(light[256..640].iter().chain(&light[32 * stride..]).all(|light| *light == 100), "only the corner");
    }
}

//! Which of a camera's formats is asked for.
//!
//! The still is the picture that the camera sent: the largest it can send as JPEG. Where it knows no JPEG larger than
//! 640 by 480, its largest raw picture is taken instead, which a USB cable of 480 Mbit/s carries at small sizes only.

use std::fmt;

use gstreamer as gst;

/// Up to that size a raw picture is as quick as a JPEG picture and was never compressed.
const RAW_PIXELS: u64 = 640 * 480;
/// A slower picture cannot be aimed with, in pictures a second.
const RATE_MIN: u32 = 5;
/// A larger picture is not asked for: 12 megapixels, 48 MB once it is unpacked.
const PIXELS_MAX: u64 = 4_096 * 3_072;
/// A camera lists some dozens; more are not looked at.
pub const MODES_MAX: usize = 512;

/// How a picture is sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Coding {
    /// Each picture by itself as JPEG.
    Jpeg,
    /// Pixels, in the format of that name (GStreamer's, `YUY2`).
    Raw(String),
}

/// One of a camera's formats.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mode {
    /// How a picture is sent.
    pub coding: Coding,
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Pictures a second, the most: numerator and denominator.
    pub rate: (u32, u32),
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let coding = match &self.coding {
            Coding::Jpeg => "JPEG",
            Coding::Raw(format) => format,
        };
        write!(f, "{coding} {}x{}, {} a second", self.width, self.height, self.rate.0 / self.rate.1.max(1))
    }
}

impl Mode {
    fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Pictures a second in thousandths.
    fn rate_millihertz(&self) -> u64 {
        u64::from(self.rate.0) * 1_000 / u64::from(self.rate.1.max(1))
    }

    /// What is asked of the camera: this, and nothing like it.
    pub(crate) fn caps(&self) -> gst::Caps {
        let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        let builder = match &self.coding {
            Coding::Jpeg => gst::Caps::builder("image/jpeg"),
            Coding::Raw(format) => gst::Caps::builder("video/x-raw").field("format", format),
        };
        builder
            .field("width", number(self.width))
            .field("height", number(self.height))
            .field("framerate", gst::Fraction::new(number(self.rate.0), number(self.rate.1)))
            .build()
    }
}

/// The format for live picture and still: the largest, JPEG above 640 by 480 and raw up to it, the quickest of equals.
/// `None` where there is none that this machine can use.
pub fn choose(modes: &[Mode]) -> Option<&Mode> {
    let usable = |quick: bool| {
        modes.iter().filter(move |mode| {
            let right = match mode.coding {
                Coding::Jpeg => mode.pixels() > RAW_PIXELS,
                Coding::Raw(_) => true,
            };
            right && mode.pixels() <= PIXELS_MAX && (!quick || mode.rate_millihertz() >= u64::from(RATE_MIN) * 1_000)
        })
    };
    let best = |quick: bool| {
        let large = usable(quick).filter(|mode| mode.coding == Coding::Jpeg).max_by_key(|mode| rank(mode));
        large.or_else(|| usable(quick).max_by_key(|mode| rank(mode)))
    };
    // A camera with small JPEG pictures only, or slow ones only, is better than none.
    best(true)
        .or_else(|| best(false))
        .or_else(|| modes.iter().filter(|mode| mode.pixels() <= PIXELS_MAX).max_by_key(|mode| rank(mode)))
}

fn rank(mode: &Mode) -> (u64, u64) {
    (mode.pixels(), mode.rate_millihertz())
}

/// The formats that a camera's driver offers.
pub(crate) fn modes(caps: &gst::CapsRef) -> Vec<Mode> {
    let mut modes = Vec::new();
    for structure in caps.iter() {
        let codings = match structure.name().as_str() {
            "image/jpeg" => vec![Coding::Jpeg],
            "video/x-raw" => texts(structure, "format").into_iter().map(Coding::Raw).collect(),
            // H.264 and the like: no picture of those stands by itself.
            _ => continue,
        };
        let (Some(width), Some(height)) = (most(structure, "width"), most(structure, "height")) else { continue };
        let rate = quickest(structure).unwrap_or((30, 1));
        for coding in codings {
            if modes.len() < MODES_MAX {
                modes.push(Mode { coding, width, height, rate });
            }
        }
    }
    modes
}

fn texts(structure: &gst::StructureRef, name: &str) -> Vec<String> {
    if let Ok(text) = structure.get::<String>(name) {
        return vec![text];
    }
    let list = structure.get::<gst::List>(name).ok();
    list.iter().flat_map(|list| list.iter()).filter_map(|value| value.get::<String>().ok()).collect()
}

fn most(structure: &gst::StructureRef, name: &str) -> Option<u32> {
    let number = |value: i32| u32::try_from(value).ok().filter(|value| *value > 0);
    if let Ok(value) = structure.get::<i32>(name) {
        return number(value);
    }
    if let Ok(range) = structure.get::<gst::IntRange<i32>>(name) {
        return number(range.max());
    }
    let list = structure.get::<gst::List>(name).ok()?;
    list.iter().filter_map(|value| value.get::<i32>().ok()).filter_map(number).max()
}

fn quickest(structure: &gst::StructureRef) -> Option<(u32, u32)> {
    let rate = |fraction: gst::Fraction| {
        let parts = (u32::try_from(fraction.numer()).ok()?, u32::try_from(fraction.denom()).ok()?);
        (parts.0 > 0 && parts.1 > 0).then_some(parts)
    };
    if let Ok(fraction) = structure.get::<gst::Fraction>("framerate") {
        return rate(fraction);
    }
    if let Ok(range) = structure.get::<gst::FractionRange>("framerate") {
        return rate(range.max());
    }
    let list = structure.get::<gst::List>("framerate").ok()?;
    let rates = list.iter().filter_map(|value| value.get::<gst::Fraction>().ok()).filter_map(rate);
    rates.max_by_key(|(above, below)| u64::from(*above) * 1_000 / u64::from(*below))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jpeg(width: u32, height: u32, rate: u32) -> Mode {
        Mode { coding: Coding::Jpeg, width, height, rate: (rate, 1) }
    }

    fn raw(width: u32, height: u32, rate: u32) -> Mode {
        Mode { coding: Coding::Raw("YUY2".into()), width, height, rate: (rate, 1) }
    }

    #[test]
    fn the_largest_jpeg_is_taken_above_640_by_480_and_the_largest_raw_else() {
        let both = [raw(640, 480, 30), raw(1_280, 720, 10), jpeg(640, 480, 30), jpeg(1_280, 720, 30)];
        assert_eq!(choose(&both), Some(&both[3]));
        let small = [raw(320, 240, 30), raw(640, 480, 30), jpeg(640, 480, 30)];
        assert_eq!(choose(&small), Some(&small[1]));
        let still = [jpeg(1_920, 1_080, 30), jpeg(2_592, 1_944, 15), jpeg(1_920, 1_080, 60)];
        assert_eq!(choose(&still), Some(&still[1]));
        assert_eq!(choose(&[jpeg(1_920, 1_080, 30), jpeg(1_920, 1_080, 60)]).map(|mode| mode.rate.0), Some(60));
    }

    #[test]
    fn a_format_too_slow_to_aim_with_or_too_large_is_left_out_unless_there_is_no_other() {
        let slow = [jpeg(3_264, 2_448, 2), jpeg(1_280, 720, 30), jpeg(8_000, 6_000, 30)];
        assert_eq!(choose(&slow), Some(&slow[1]));
        let only_slow = [raw(1_280, 960, 2), raw(320, 240, 3)];
        assert_eq!(choose(&only_slow), Some(&only_slow[0]));
        let only_small = [jpeg(320, 240, 30), jpeg(640, 480, 15)];
        assert_eq!(choose(&only_small), Some(&only_small[1]));
        assert_eq!(choose(&[]), None);
        assert_eq!(choose(&[raw(u32::MAX, u32::MAX, 30)]), None);
    }

    #[test]
    fn formats_are_read_from_lists_and_ranges() {
        gst::init().expect("GStreamer");
        let text = "image/jpeg, width=1280, height=720, framerate={ 30/1, 15/2 }; \
             video/x-raw, format={ YUY2, NV12 }, width=[ 16, 640 ], height=[ 16, 480 ], framerate=[ 0/1, 25/1 ]; \
             video/x-h264, width=1920, height=1080, framerate=30/1; video/x-raw, format=GRAY8, width=0, height=9";
        let read = modes(&text.parse::<gst::Caps>().expect("caps"));
        let nv12 = Mode { coding: Coding::Raw("NV12".into()), ..raw(640, 480, 25) };
        assert_eq!(read, [jpeg(1_280, 720, 30), raw(640, 480, 25), nv12]);
        assert_eq!(
            read[0].caps().to_string(),
            "image/jpeg, width=(int)1280, height=(int)720, framerate=(fraction)30/1"
        );
    }
}

//! How good a picture is to look at: light and sharpness, measured, and what a person should do about it.
//!
//! It never refuses a picture and says nothing of what is in it: the physician decides what can be seen.

use std::fmt;

/// Pictures are averaged down to at most that many pixels a row before sharpness is measured: a sensor's noise would
/// else pass for detail.
const MEASURED_WIDTH_MAX: usize = 640;
/// Darker than that is black to the eye; brighter than that has lost its detail. Of 0 to 255.
const BLACK: u8 = 8;
const WHITE: u8 = 247;
/// What a lamp lights is at least that bright.
const LIT: u8 = 40;

/// Where fewer pixels than that are lit and some are, the thing looked at is far away. In thousandths.
const LIT_PERMILLE_MIN: u16 = 250;
/// Where the brightest hundredth is darker than that, it is too dark.
const BRIGHTEST_MIN: u8 = 72;
/// More white pixels than that, in thousandths. Wet skin shines: a few are usual.
const WHITE_PERMILLE_MAX: u16 = 120;
/// A sharpness below that is a blurred picture. Ours, from synthetic pictures: no standard gives one.
const SHARPNESS_MIN: u32 = 25;
/// A still that is less sharp than half the best picture seen just before was moved.
const SHARPNESS_OF_BEST: u32 = 2;

/// The light of a picture, a byte a pixel, 0 is black.
#[derive(Clone, PartialEq, Eq)]
pub struct Luma {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// The pixels are of a person: only the shape is printed.
impl fmt::Debug for Luma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Luma {}x{} [patient]", self.width, self.height)
    }
}

impl Luma {
    /// `pixels` in rows from the top. `None` where they are not `width` times `height`, or none.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Option<Luma> {
        let right = width.checked_mul(height).is_some_and(|count| count > 0 && count == pixels.len());
        right.then_some(Luma { width, height, pixels })
    }

    /// The light of a picture of red, green, blue and alpha (ITU-R BT.601, as cameras and JPEG use it).
    pub fn of_rgba(width: usize, height: usize, rgba: &[u8]) -> Option<Luma> {
        let light = |pixel: &[u8]| {
            let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
            u8::try_from((red * 299 + green * 587 + blue * 114 + 500) / 1_000).unwrap_or(u8::MAX)
        };
        Luma::new(width, height, rgba.chunks_exact(4).map(light).collect())
    }

    /// Pixels a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Rows from the top, a byte a pixel.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Averaged over squares of a whole number of pixels, so that rows are no longer than [`MEASURED_WIDTH_MAX`].
    fn reduced(&self) -> Luma {
        let by = self.width.div_ceil(MEASURED_WIDTH_MAX);
        let (width, height) = (self.width / by, self.height / by);
        if by == 1 || height == 0 {
            return self.clone();
        }
        let mut sums = vec![0u32; width * height];
        for (row, line) in self.pixels.chunks_exact(self.width).take(height * by).enumerate() {
            let sums = &mut sums[row / by * width..][..width];
            for (sum, square) in sums.iter_mut().zip(line.chunks_exact(by)) {
                *sum += square.iter().map(|pixel| u32::from(*pixel)).sum::<u32>();
            }
        }
        let count = u32::try_from(by * by).unwrap_or(u32::MAX);
        let pixels = sums.iter().map(|sum| u8::try_from((sum + count / 2) / count).unwrap_or(u8::MAX)).collect();
        Luma { width, height, pixels }
    }
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measures {
    /// Mean light, 0 to 255.
    pub mean: u8,
    /// The hundredth part that is brightest is at least that bright, 0 to 255.
    pub brightest: u8,
    /// Pixels that are black, in thousandths.
    pub black_permille: u16,
    /// Pixels that are white and have lost their detail, in thousandths.
    pub white_permille: u16,
    /// Pixels that a lamp lights, in thousandths.
    pub lit_permille: u16,
    /// Variance of the Laplacian over the lit pixels, in squares of a step of light: fine detail makes it large, blur
    /// makes it small. Pech-Pacheco and others, 2000; Pertuz and others, 2013 (LAP4).
    pub sharpness: u32,
}

/// What a person should do for a better picture, the first thing first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Advice {
    /// More light: is the lamp on, the cap off?
    TooDark,
    /// Less light, or another angle: parts are white.
    TooBright,
    /// Only a small part of the picture is lit: nearer.
    MoveNearer,
    /// Not sharp: hold still, turn the focus ring.
    Blurred,
}

/// Measures a picture. Time grows with its pixels only.
pub fn measure(luma: &Luma) -> Measures {
    let mut counts = [0u32; 256];
    for pixel in &luma.pixels {
        counts[usize::from(*pixel)] += 1;
    }
    let total = luma.pixels.len() as u64;
    let sum: u64 = counts.iter().zip(0u64..).map(|(count, light)| u64::from(*count) * light).sum();
    let permille = |from: u8, to: u8| {
        let count: u64 = counts[usize::from(from)..=usize::from(to)].iter().map(|count| u64::from(*count)).sum();
        u16::try_from(count * 1_000 / total).unwrap_or(1_000)
    };
    let mut above = 0;
    let brightest = (0..=u8::MAX).rev().find(|light| {
        above += u64::from(counts[usize::from(*light)]);
        above * 100 >= total
    });
    Measures {
        mean: u8::try_from((sum + total / 2) / total).unwrap_or(u8::MAX),
        brightest: brightest.unwrap_or(0),
        black_permille: permille(0, BLACK),
        white_permille: permille(WHITE, u8::MAX),
        lit_permille: permille(LIT, u8::MAX),
        sharpness: sharpness(&luma.reduced()),
    }
}

fn sharpness(luma: &Luma) -> u32 {
    let (mut count, mut sum, mut squares) = (0i64, 0i64, 0i64);
    let width = luma.width;
    for row in 1..luma.height.saturating_sub(1) {
        for column in 1..width.saturating_sub(1) {
            let at = row * width + column;
            let light = |at: usize| i64::from(luma.pixels[at]);
            // At the rim of what is lit there is an edge that says nothing of focus.
            if luma.pixels[at] < LIT {
                continue;
            }
            let laplacian = light(at - 1) + light(at + 1) + light(at - width) + light(at + width) - 4 * light(at);
            count += 1;
            sum += laplacian;
            squares += laplacian * laplacian;
        }
    }
    if count == 0 {
        return 0;
    }
    u32::try_from((squares - sum * sum / count) / count).unwrap_or(u32::MAX)
}

/// What to do about it; nothing where it is good. `best` is the sharpest picture seen in the seconds before, where
/// there was one: a still may be sharp by itself and yet less than this camera can.
pub fn advice(measures: &Measures, best: Option<u32>) -> Option<Advice> {
    if measures.brightest < BRIGHTEST_MIN {
        return Some(Advice::TooDark);
    }
    if measures.white_permille > WHITE_PERMILLE_MAX {
        return Some(Advice::TooBright);
    }
    if measures.lit_permille < LIT_PERMILLE_MIN {
        return Some(Advice::MoveNearer);
    }
    let moved = best.is_some_and(|best| measures.sharpness.saturating_mul(SHARPNESS_OF_BEST) < best);
    (measures.sharpness < SHARPNESS_MIN || moved).then_some(Advice::Blurred)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: usize, height: usize, light: impl Fn(usize, usize) -> u8) -> Luma {
        let pixels = (0..width * height).map(|at| light(at % width, at / width)).collect();
        Luma::new(width, height, pixels).expect("a picture")
    }

    /// A card of squares, as a technician holds before a camera.
    fn card() -> Luma {
        picture(640, 480, |x, y| if (x / 16 + y / 16).is_multiple_of(2) { 190 } else { 70 })
    }

    /// Each pixel becomes the mean of the square around it.
    fn blurred(sharp: &Luma, reach: usize) -> Luma {
        picture(sharp.width, sharp.height, |x, y| {
            let rows = y.saturating_sub(reach)..=(y + reach).min(sharp.height - 1);
            let columns = x.saturating_sub(reach)..=(x + reach).min(sharp.width - 1);
            let (mut sum, mut count) = (0u32, 0u32);
            for row in rows {
                for column in columns.clone() {
                    sum += u32::from(sharp.pixels[row * sharp.width + column]);
                    count += 1;
                }
            }
            (sum / count) as u8
        })
    }

    #[test]
    fn stripes_have_the_sharpness_that_arithmetic_gives() {
        // Each column differs from both its neighbours by 10: the Laplacian is 20 or -20, its variance 400.
        let stripes = picture(64, 10, |x, _| if x.is_multiple_of(2) { 100 } else { 110 });
        let measures = measure(&stripes);
        assert_eq!((measures.sharpness, measures.mean, measures.brightest), (400, 105, 110));
        assert_eq!(measure(&picture(64, 64, |x, _| 60 + x as u8)).sharpness, 0, "a slope has no edge");
    }

    #[test]
    fn the_more_a_card_is_blurred_the_less_sharp_it_is_and_then_it_is_said() {
        let sharp = card();
        let all: Vec<u32> = [0, 1, 2, 4, 8].map(|reach| measure(&blurred(&sharp, reach)).sharpness).into();
        assert!(all.windows(2).all(|pair| pair[0] > pair[1]), "{all:?}");
        assert_eq!(advice(&measure(&sharp), None), None);
        assert_eq!(advice(&measure(&blurred(&sharp, 6)), None), Some(Advice::Blurred), "{all:?}");
        let a_little = measure(&blurred(&sharp, 1));
        assert_eq!(advice(&a_little, None), None);
        assert_eq!(advice(&a_little, Some(measure(&sharp).sharpness)), Some(Advice::Blurred), "it can do better");
    }

    #[test]
    fn dark_bright_and_far_pictures_are_told_apart() {
        let darker =
            |by: u8| picture(640, 480, |x, y| if (x / 16 + y / 16).is_multiple_of(2) { 190 / by } else { 70 / by });
        assert_eq!(advice(&measure(&darker(4)), None), Some(Advice::TooDark));
        assert_eq!(advice(&measure(&picture(64, 64, |_, _| 0)), None), Some(Advice::TooDark));
        let bright = picture(640, 480, |x, y| if (x / 16 + y / 16).is_multiple_of(4) { 255 } else { 180 });
        assert_eq!(measure(&bright).white_permille, 250);
        assert_eq!(advice(&measure(&bright), None), Some(Advice::TooBright));
        // An otoscope before the ear: a lit disc in the dark.
        let disc = |radius: usize| {
            picture(640, 480, move |x, y| {
                let lit = x.abs_diff(320).pow(2) + y.abs_diff(240).pow(2) < radius * radius;
                if !lit {
                    2
                } else if (x / 8 + y / 8).is_multiple_of(2) {
                    170
                } else {
                    90
                }
            })
        };
        assert_eq!(advice(&measure(&disc(100)), None), Some(Advice::MoveNearer));
        assert_eq!(advice(&measure(&disc(230)), None), None);
    }

    #[test]
    fn what_is_no_picture_is_none_and_the_smallest_is_measured() {
        assert_eq!(Luma::new(0, 0, Vec::new()), None);
        assert_eq!(Luma::new(3, 2, vec![0; 5]), None);
        assert_eq!(Luma::new(usize::MAX, 2, vec![0; 5]), None);
        assert_eq!(measure(&picture(1, 1, |_, _| 255)).sharpness, 0);
        assert_eq!(measure(&picture(2_000, 1, |_, _| 99)).mean, 99);
        let grey = Luma::of_rgba(1, 2, &[255, 0, 0, 255, 255, 255, 255, 0]).expect("two pixels");
        assert_eq!(grey.pixels, [76, 255]);
        assert!(!format!("{grey:?}").contains("76"));
    }

    #[test]
    fn a_large_picture_is_averaged_before_its_sharpness_is_measured() {
        // Noise of single pixels in a picture of 1,280: four of them averaged are all alike.
        let noise = picture(1_280, 960, |x, y| if (x + y).is_multiple_of(2) { 120 } else { 130 });
        assert_eq!(measure(&noise).sharpness, 0);
    }
}

//! Codes drawn by another program (zint) into pictures as a camera takes them: turned, noisy, out of focus, grey.

use std::process::Command;

use drivers::fixtures::scanner_codes::picture::read;
use drivers::fixtures::scanner_codes::{Accept, Scan};

const WIDTH: u32 = 640;
const HEIGHT: u32 = 480;
/// The example of ANS.
const INS: &str = "IS010000000000000000000000S1279035121518989S21.2.250.1.213.1.4.10S3DOMINIQUE MARIE-LOUISE\\x1dS4PAT-TROIS\\x1dS5FS628-03-1979S751215";

/// The dark squares of a code, row by row. `None`: there is no zint.
fn drawn(options: &[&str], content: &str) -> Option<Vec<Vec<bool>>> {
    let output = Command::new("zint").args(["--dump"]).args(options).args(["-d", content]).output();
    let Ok(output) = output else {
        assert!(std::env::var_os("CI").is_none(), "there is no zint: tests/tools/install test installs it");
        eprintln!("SKIPPED, there is no zint: tests/tools/install test installs it");
        return None;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let bits = |line: &str| -> Vec<bool> {
        let digits = line.chars().filter_map(|c| c.to_digit(16));
        digits.flat_map(|digit| (0..4).rev().map(move |bit| digit >> bit & 1 == 1)).collect()
    };
    let rows: Vec<Vec<bool>> = text.lines().map(bits).filter(|row| !row.is_empty()).collect();
    // All of them are square; a line is filled to its last digit.
    let side = rows.len();
    Some(rows.into_iter().map(|row| row[..side].to_vec()).collect())
}

/// How a picture is taken.
#[derive(Clone, Copy, Debug)]
struct Shot {
    /// Points a square of the code is wide.
    dots: f64,
    degrees: f64,
    /// Most that a point is too bright or too dark, of 255.
    noise: i32,
    /// Points on each side over which it is blurred.
    blur: usize,
    /// Of the paper and of the ink.
    light: (i32, i32),
}

const GOOD: Shot = Shot { dots: 6.0, degrees: 0.0, noise: 0, blur: 0, light: (230, 25) };

fn taken(code: &[Vec<bool>], shot: Shot) -> Vec<u8> {
    let side = code.len() as f64;
    let (sin, cos) = shot.degrees.to_radians().sin_cos();
    let mut noise = 0x9E37_79B9_7F4A_7C15u64;
    let mut points = Vec::new();
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let (dx, dy) = (f64::from(x) - f64::from(WIDTH) / 2.0, f64::from(y) - f64::from(HEIGHT) / 2.0);
            let at = |turned: f64| (turned / shot.dots + side / 2.0).floor();
            let (column, row) = (at(dx * cos + dy * sin), at(dy * cos - dx * sin));
            let inside = |place: f64| (0.0..side).contains(&place);
            let is_paper = |place: f64| (-4.0..side + 4.0).contains(&place);
            let level = if inside(column) && inside(row) && code[row as usize][column as usize] {
                shot.light.1
            } else if is_paper(column) && is_paper(row) {
                shot.light.0
            } else {
                // A table under the paper.
                90 + (x as i32 / 7 + y as i32 / 5) % 40
            };
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            let off = if shot.noise == 0 { 0 } else { (noise >> 33) as i32 % (2 * shot.noise + 1) - shot.noise };
            points.push((level + off).clamp(0, 255));
        }
    }
    let (width, height, blur) = (WIDTH as usize, HEIGHT as usize, shot.blur);
    let blurred = |x: usize, y: usize| {
        let near = |at: usize, most: usize| at.saturating_sub(blur)..(at + blur + 1).min(most);
        let around: Vec<i32> = near(y, height)
            .flat_map(|y| near(x, width).map(move |x| (x, y)))
            .map(|(x, y)| points[y * width + x])
            .collect();
        (around.iter().sum::<i32>() / around.len() as i32) as u8
    };
    (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| blurred(x, y)).collect()
}

fn scan(code: &[Vec<bool>], shot: Shot) -> Option<Scan> {
    read(WIDTH, HEIGHT, &taken(code, shot), Accept::TestsToo)
}

#[test]
fn the_ins_code_is_read_from_pictures_turned_noisy_and_blurred() {
    let Some(code) = drawn(&["-b", "71", "--square", "--esc", "--binary"], INS) else { return };
    let shots = [
        GOOD,
        Shot { dots: 3.0, ..GOOD },
        Shot { dots: 4.3, ..GOOD },
        Shot { degrees: 90.0, ..GOOD },
        Shot { degrees: 180.0, ..GOOD },
        Shot { degrees: 7.0, ..GOOD },
        Shot { degrees: -12.0, ..GOOD },
        Shot { degrees: 33.0, ..GOOD },
        Shot { noise: 40, ..GOOD },
        Shot { blur: 1, ..GOOD },
        Shot { blur: 2, ..GOOD },
        Shot { light: (140, 60), ..GOOD },
        Shot { degrees: 5.0, noise: 25, blur: 1, light: (180, 50), ..GOOD },
    ];
    let mut missed = Vec::new();
    for shot in shots {
        match scan(&code, shot) {
            Some(Scan::Ins(prefill)) => {
                assert_eq!(prefill.birth_name(), Some("PAT-TROIS"), "{shot:?}");
                assert_eq!(prefill.given_names(), Some("DOMINIQUE MARIE-LOUISE"), "{shot:?}");
                assert_eq!(prefill.matricule(), Some("279035121518989"), "{shot:?}");
            }
            other => missed.push((shot, other)),
        }
    }
    assert!(missed.is_empty(), "{} of {}: {missed:?}", missed.len(), shots.len());
}

#[test]
fn other_codes_in_a_picture_are_told_apart_and_nothing_is_found_where_there_is_none() {
    let Some(product) = drawn(&["-b", "71", "--square", "--gs1"], "[01]03453120000011[17]191125[10]ABCD") else {
        return;
    };
    let Some(Scan::Gs1(read_product)) = scan(&product, GOOD) else { panic!("no product") };
    assert_eq!((read_product.gtin.as_str(), read_product.lot.as_deref()), ("03453120000011", Some("ABCD")));
    let token = drawn(&["-b", "58"], "https://example.org/token/8f3a").unwrap();
    assert_eq!(scan(&token, GOOD), Some(Scan::Unknown));
    assert_eq!(scan(&[], GOOD), None);
    assert_eq!(read(WIDTH, HEIGHT, &[0; 10], Accept::Real), None, "no such picture");
    assert_eq!(read(0, 0, &[], Accept::Real), None);
}

#[test]
fn noise_and_damaged_codes_take_nothing_with_them() {
    let Some(code) = drawn(&["-b", "71", "--square", "--esc", "--binary"], INS) else { return };
    let seed = std::env::var("SEED").map_or(7, |seed| seed.parse::<u64>().expect("a number"));
    eprintln!("SEED={seed}");
    let mut noise = seed | 1;
    let mut next = || {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise
    };
    for round in 0..24 {
        let mut picture = taken(&code, Shot { dots: 4.0, ..GOOD });
        for _ in 0..round * 40 {
            // A scratch of a finger's width.
            let at = (next() as usize) % (picture.len() - 2000);
            let level = next() as u8;
            picture[at..at + 1 + (next() as usize) % 60].fill(level);
        }
        match read(WIDTH, HEIGHT, &picture, Accept::TestsToo) {
            None | Some(Scan::InsRefused(_) | Scan::Unknown) => {}
            // Reed-Solomon mends what it can: what it gives is right.
            Some(Scan::Ins(prefill)) => assert_eq!(prefill.matricule(), Some("279035121518989")),
            Some(other) => panic!("{other:?}"),
        }
    }
    let pure: Vec<u8> = (0..WIDTH * HEIGHT).map(|_| next() as u8).collect();
    assert_eq!(read(WIDTH, HEIGHT, &pure, Accept::Real), None);
}

//! From a touch to what it changes on the screen, in pixels.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use whole_cabin::process::PATIENCE;
use whole_cabin::screen::{Screen, Wanted};
use whole_cabin::x11::Picture;

use crate::Visit;
use crate::table::Row;

/// A picture that stays as it is for that long has come to rest.
const STILL: Duration = Duration::from_millis(150);

/// Between two looks at the display.
const LOOK_EVERY: Duration = Duration::from_micros(500);

/// Of a control, the left part is looked at: its picture or first letters, a small and quick copy.
const CONTROL_PART: (i32, i32) = (160, 40);

/// Two choices to touch in turn: the one that is touched was not chosen.
const CHOICES: [&str; 2] = ["Statistiques : oui", "Statistiques : non"];

/// A part of the display, in pixels.
#[derive(Clone, Copy)]
pub struct Part {
    x: i16,
    y: i16,
    width: u16,
    height: u16,
}

impl Part {
    /// Between these shares of the display's width and height.
    pub fn of_display(screen: &Screen, across: (f32, f32), down: (f32, f32)) -> Result<Self> {
        let (width, height) = (f32::from(crate::WIDTH), f32::from(crate::HEIGHT));
        let part = Self {
            x: (width * across.0) as i16,
            y: (height * down.0) as i16,
            width: (width * (across.1 - across.0)) as u16,
            height: (height * (down.1 - down.0)) as u16,
        };
        part.look(screen).map(|_| part)
    }

    /// What it shows now.
    pub fn look(&self, screen: &Screen) -> Result<Picture> {
        screen.display().picture_of(self.x, self.y, self.width, self.height)
    }
}

/// How many different colours a picture has.
pub fn colours(picture: &Picture) -> usize {
    picture.rgb.chunks_exact(3).collect::<HashSet<_>>().len()
}

/// The whole display.
pub fn whole(screen: &Screen) -> Result<Part> {
    Part::of_display(screen, (0.0, 1.0), (0.0, 1.0))
}

/// Waits until a part has not changed for a while, and gives it.
pub fn until_still(screen: &Screen, part: Part) -> Result<Picture> {
    let began = Instant::now();
    let (mut last, mut since) = (part.look(screen)?, Instant::now());
    while since.elapsed() < STILL {
        ensure!(began.elapsed() < PATIENCE, "the screen does not come to rest");
        // No event says that a screen will not change any more.
        std::thread::sleep(Duration::from_millis(10));
        let now = part.look(screen)?;
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    Ok(last)
}

/// Milliseconds from a touch to the first changed pixel of a part, and to the last.
struct Answer {
    first: f64,
    last: f64,
}

/// Touches the middle of a control and watches a part of the display, or the control itself.
fn answer(visit: &Visit, control: Wanted, watched: Option<Part>) -> Result<Answer> {
    let screen = &visit.screen;
    let element = visit.window.find(control)?;
    until_still(screen, whole(screen)?)?;
    let (x, y, width, height) = visit.window.place(&element)?;
    let (part_width, part_height) = (CONTROL_PART.0.min(width), CONTROL_PART.1.min(height));
    let own = Part {
        x: i16::try_from(x)?,
        y: i16::try_from(y + (height - part_height) / 2)?,
        width: u16::try_from(part_width)?,
        height: u16::try_from(part_height)?,
    };
    let part = watched.unwrap_or(own);
    let (x, y) = (i16::try_from(x + width / 2)?, i16::try_from(y + height / 2)?);
    let before = until_still(screen, part)?;

    let began = Instant::now();
    screen.display().touch(x, y)?;
    let (mut latest, mut changes) = (before.clone(), Vec::new());
    loop {
        let now = part.look(screen)?;
        let at = began.elapsed();
        if now != latest {
            latest = now;
            changes.push(at);
        }
        match changes.last() {
            Some(last) if at - *last > STILL => break,
            None if at > PATIENCE => {
                let picture = screen.keep_picture("bench-no-answer")?;
                let log = visit.site.cabin_log();
                bail!("nothing answers a touch of {:?} at {x}, {y}: {}\n{log}", element.name, picture.display())
            }
            // What is measured is when the pixels change, and they send no event.
            _ => std::thread::sleep(LOOK_EVERY),
        }
    }
    ensure!(latest != before, "a touch of {:?} changed the screen and changed it back", element.name);
    let milliseconds = |at: Option<&Duration>| at.map_or(0.0, |at| at.as_secs_f64() * 1000.0);
    Ok(Answer { first: milliseconds(changes.first()), last: milliseconds(changes.last()) })
}

/// On Welcome: letters one size larger, the whole screen laid out and drawn anew; after three touches as before.
pub fn whole_screens(visit: &Visit, touches: usize) -> Result<Row> {
    // The right half between the bars: the touched button is below it.
    let words = Part::of_display(&visit.screen, (0.7, 0.75), (0.15, 0.8))?;
    let answers: Vec<f64> = (0..touches)
        .map(|_| answer(visit, "Plus grand".into(), Some(words)).map(|answer| answer.first))
        .collect::<Result<_>>()?;
    Ok(Row::new("  touch of \"Plus grand\" to the whole screen drawn anew", "ms", None, answers))
}

fn choose(visit: &Visit, touches: usize) -> Result<Vec<Answer>> {
    (0..touches).map(|turn| answer(visit, CHOICES[turn % CHOICES.len()].into(), None)).collect()
}

/// On the screen of consents: ms from a touch of a choice to its drawn answer.
pub fn of_choices(visit: &Visit, touches: usize) -> Result<Vec<f64>> {
    Ok(choose(visit, touches)?.iter().map(|answer| answer.first).collect())
}

/// On the screen of consents.
pub fn choices(visit: &Visit, touches: usize) -> Result<[Row; 2]> {
    let answers = choose(visit, touches)?;
    let all = |of: fn(&Answer) -> f64| answers.iter().map(of).collect();
    Ok([
        Row::new("touch of a choice to its drawn answer", "ms", Some(50), all(|answer| answer.first)),
        Row::new("  until nothing of the choice moves any more", "ms", None, all(|answer| answer.last)),
    ])
}

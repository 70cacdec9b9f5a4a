//! Who gets what of the line: measurements first, then the voice, then the picture with what is left.
//!
//! Pure: no clock, no device. The picture gives way in steps: fewer rows and pictures a second, then stills; the voice
//! never stops. Steps down are taken at once, steps up only when there was room for some seconds.

use crate::Picture;
use crate::estimator::Estimate;
use std::time::Duration;

/// What a packet takes beside its payload: RTP with its extension, SRTP tag, UDP, IPv4.
pub const PACKET_BYTES_AROUND: u32 = 60;
/// What the sound of a stethoscope takes: 64 kbit/s in 50 packets a second.
pub const INSTRUMENT_SOUND_ON_THE_WIRE: u32 = 64_000 + 50 * PACKET_BYTES_AROUND * 8;
/// A picture of any size is sent whole where this part of the most that it may take is there, in hundredths.
const WHOLE_AT: u32 = 45;
/// Below this line the picture is stills.
pub const STILLS_BELOW: u32 = 150_000;
/// Stills end above this line.
const STILLS_ABOVE: u32 = 165_000;
/// And where so much is left to the picture; a picture that moves with less is worse than stills.
const MOVING_MIN: u32 = 50_000;
/// Below this line the voice takes fewer, longer packets and fewer bits.
const NARROW_BELOW: u32 = 110_000;
/// The voice widens above this line.
const NARROW_ABOVE: u32 = 140_000;
/// On a line this wide, that loses next to nothing, the voice goes in packets of half the length: it is heard, and with it
/// its picture is seen, some 20 ms sooner, for 24 kbit/s.
const NEAR_ABOVE: u32 = 800_000;
/// It no longer does below this line.
const NEAR_BELOW: u32 = 600_000;
/// Nor where so much is lost, in thousandths.
const NEAR_LOST_MAX: u32 = 20;
/// Bits that a pixel needs for a picture that moves, VP8 at its fastest.
const BITS_A_PIXEL: f64 = 0.05;
/// The picture leaves faster than it is made by one part in this many.
const PACE_ROOM: u32 = 5;
/// Bits of a still.
const STILL_BITS: u32 = 60_000;
/// A still comes at most, and at least, this often: one a second is a person who moves, where the line has room for it.
const STILL_EVERY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// The picture never asks for less.
const PICTURE_BITS_PER_SECOND_MIN: u32 = 8_000;
/// Room must last so long for a step up.
const UP_AFTER: Duration = Duration::from_secs(3);
/// Room to spare for a step up.
const UP_ROOM: f64 = 1.25;
/// An encoder that makes less than this part of what it may, in hundredths, has no use for more at this size.
const SATED_BELOW: u32 = 80;
/// A size that is kept because the encoder is sated is kept for so long when it no longer is: a person who moves is not
/// another picture.
const SATED_FOR: Duration = Duration::from_secs(2);
/// And for so long after it was taken: it begins with a key frame.
const TAKEN_FOR: Duration = Duration::from_secs(5);
/// So much room over what is made is enough to try the next size.
const EASY_ROOM_MAX: f64 = 1.4;
/// A larger size that was too much is tried again after so long at first, and at last.
const TRY_AGAIN: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(320));
/// A larger size that lasted so long was right.
const RIGHT_AFTER: Duration = Duration::from_secs(60);
/// What an encoder makes counts so long after a change of size.
const MADE_AFTER: Duration = Duration::from_secs(2);
/// Steps: quarters of the full size, pictures a second at most. The last is the size of stills too.
const STEPS: [(u32, u32); 3] = [(4, 30), (3, 25), (2, 15)];

/// How the voice is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound {
    /// Of the encoder.
    pub bits_per_second: u32,
    /// Sound in one packet.
    pub packet_milliseconds: u32,
    /// What the encoder prepares for: each packet then carries a coarse copy of the one before (RFC 6716, 2.1.7).
    pub loss_percent: u32,
}

impl Sound {
    /// The voice on a line of which nothing is known yet.
    pub const WIDE: Sound = Sound { bits_per_second: 32_000, packet_milliseconds: 20, loss_percent: 10 };
    /// On a line with room to spare.
    pub(crate) const NEAR: Sound = Sound { packet_milliseconds: 10, ..Sound::WIDE };
    const NARROW: Sound = Sound { bits_per_second: 20_000, packet_milliseconds: 40, loss_percent: 10 };

    /// What it takes of the line, in bits a second.
    pub fn on_the_wire(self) -> u32 {
        self.bits_per_second + 1_000 / self.packet_milliseconds * PACKET_BYTES_AROUND * 8
    }
}

/// How the picture is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Video {
    /// Of the encoder.
    pub bits_per_second: u32,
    /// How fast its packets leave, in bits a second: a key frame is spread, so that the voice finds a place between.
    pub pace_bits_per_second: u32,
    /// Pixels a row, even.
    pub width: u32,
    /// Rows, even.
    pub height: u32,
    /// Between two pictures at least.
    pub every: Duration,
    /// Each picture is complete in itself.
    pub stills: bool,
}

impl Video {
    /// What all pictures may take together, in bits a second; more than the encoder's where stills need less.
    pub fn share(self) -> u32 {
        self.pace_bits_per_second / (PACE_ROOM + 1) * PACE_ROOM
    }
}

/// How voice and picture are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The voice.
    pub sound: Sound,
    /// The picture.
    pub video: Video,
}

/// What the encoder makes, lately.
#[derive(Debug, Clone, Copy, Default)]
pub struct Made {
    /// Rows and pictures of what is made, and since when.
    since: Option<(u32, Duration, Duration)>,
    bytes: u64,
    smooth: f64,
}

impl Made {
    /// Bits a second, where it has made pictures of this kind for some time. `bytes`: made since the call began;
    /// `elapsed`: since this was asked last.
    pub fn bits_per_second(&mut self, now: Duration, elapsed: Duration, bytes: u64, video: Video) -> Option<u32> {
        let lately = bytes.saturating_sub(self.bytes) as f64 * 8.0 / elapsed.as_secs_f64().max(0.001);
        self.bytes = bytes;
        let kind = (video.height, video.every);
        let since = match self.since {
            Some((height, every, since)) if (height, every) == kind => since,
            _ => {
                self.smooth = lately;
                now
            }
        };
        self.since = Some((video.height, video.every, since));
        self.smooth += (lately - self.smooth) * (elapsed.as_secs_f64() / 1.5).min(1.0);
        (!video.stills && lately > 0.0 && now >= since.saturating_add(MADE_AFTER)).then_some(self.smooth as u32)
    }
}

/// What is known of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Making {
    /// Not yet, at the present size.
    Unknown,
    /// So many bits a second.
    Bits(u32),
    /// An instrument's picture takes most of what pictures may: what the camera's makes tells nothing.
    Beside,
}

/// A larger size that was taken because the encoder was sated.
#[derive(Debug, Clone, Copy)]
struct Try {
    at: Duration,
    /// The step before, and what the encoder made there.
    from: usize,
    made: u32,
}

/// Decides, and remembers where it stands.
#[derive(Debug, Clone)]
pub struct Policy {
    full: Picture,
    maximum: u32,
    /// Index into [`STEPS`]; its length is stills.
    step: usize,
    narrow: bool,
    near: bool,
    /// Since when there is room for the step above.
    room_since: Option<Duration>,
    /// What the encoder made when it was sated last, and until when that bears the present step.
    sated: Option<(u32, Duration)>,
    /// The present step was taken for an encoder that was sated.
    tried: Option<Try>,
    /// When each step is tried again, and how long that is waited for.
    try_after: [(Duration, Duration); STEPS.len()],
    plan: Plan,
}

impl Policy {
    /// For a picture of this size, of which the encoder spends at most `maximum` bits a second.
    pub fn new(full: Picture, maximum: u32) -> Policy {
        let video = Video {
            bits_per_second: maximum.min(crate::estimator::BITS_PER_SECOND_START - Sound::WIDE.on_the_wire()),
            pace_bits_per_second: maximum.saturating_add(maximum / PACE_ROOM),
            width: full.width,
            height: full.height,
            every: Duration::ZERO,
            stills: false,
        };
        let plan = Plan { sound: Sound::WIDE, video };
        Policy {
            full,
            maximum,
            step: 0,
            narrow: false,
            near: false,
            room_since: None,
            sated: None,
            tried: None,
            try_after: [(Duration::ZERO, TRY_AGAIN.0); STEPS.len()],
            plan,
        }
    }

    /// What was decided last.
    pub fn plan(&self) -> Plan {
        self.plan
    }

    /// Decides anew. `taken` is what measurements, documents and retransmissions take of the line, in bits a second;
    /// `making` is what the encoder makes at the present size.
    pub fn decide(&mut self, now: Duration, line: Estimate, taken: u32, making: Making) -> Plan {
        if line.silent {
            // Nothing arrives however little is sent, and the line may come back as it was.
            return self.plan;
        }
        let total = line.bits_per_second;
        // Retransmissions of a burst must not take the picture away altogether.
        let left = total - taken.min(total / 2);
        self.narrow = left < if self.narrow { NARROW_ABOVE } else { NARROW_BELOW };
        self.near = left > if self.near { NEAR_BELOW } else { NEAR_ABOVE } && line.lost_thousandths < NEAR_LOST_MAX;
        let sound = match (self.narrow, self.near) {
            (true, _) => Sound::NARROW,
            (false, true) => Sound::NEAR,
            (false, false) => Sound::WIDE,
        };
        // The encoder spends bits on a loss in small steps, so that it is not changed at every report.
        let loss_percent = (line.lost_thousandths / 10).clamp(5, 25).next_multiple_of(5);
        let sound = Sound { loss_percent, ..sound };
        let picture = left.saturating_sub(sound.on_the_wire()).clamp(PICTURE_BITS_PER_SECOND_MIN, self.maximum);
        self.taste(now, making, picture);
        self.walk(now, total, picture);
        let (quarters, rate) = *STEPS.get(self.step).unwrap_or(&STEPS[STEPS.len() - 1]);
        let side = |full: u32| (full * quarters / 4) & !1;
        let stills = self.step == STEPS.len();
        let every = if stills {
            Duration::from_secs_f64(f64::from(STILL_BITS) / f64::from(picture)).clamp(STILL_EVERY.0, STILL_EVERY.1)
        } else {
            // A little less than the distance of two pictures, so that none is left out for a jitter of its time.
            Duration::from_secs_f64(0.9 / f64::from(rate.min(self.full.frames_per_second)))
        };
        let pace_bits_per_second = picture.saturating_add(picture / PACE_ROOM);
        // A still is as large as it needs to be: what is left makes room for packets that are sent again.
        let bits_per_second = if stills { picture.min(STILL_BITS / STILL_EVERY.0.as_secs() as u32) } else { picture };
        let video = Video {
            bits_per_second,
            pace_bits_per_second,
            width: side(self.full.width),
            height: side(self.full.height),
            every,
            stills,
        };
        self.plan = Plan { sound, video };
        self.plan
    }

    /// Whether the encoder is sated: the present size is as good as it can be, whatever a picture of its pixels needs in
    /// general. An easy picture, of a person who sits still, needs much less than that.
    fn taste(&mut self, now: Duration, making: Making, picture: u32) {
        let allowed = self.plan.video.bits_per_second.min(picture);
        match making {
            Making::Bits(made) if made <= allowed / 100 * SATED_BELOW => {
                let until = self.sated.map_or(Duration::ZERO, |(_, until)| until);
                self.sated = Some((made, until.max(now + SATED_FOR)));
            }
            // What follows is no failure of the size.
            Making::Beside => self.tried = None,
            Making::Bits(_) | Making::Unknown => {}
        }
        // The line became narrow: what was made at ease cannot be made any more.
        self.sated = self.sated.filter(|(made, until)| now < *until && picture >= made / 2);
        if self.tried.is_some_and(|tried| now >= tried.at + RIGHT_AFTER) {
            self.tried = None;
            if let Some((_, wait)) = self.try_after.get_mut(self.step) {
                *wait = TRY_AGAIN.0;
            }
        }
    }

    fn walk(&mut self, now: Duration, total: u32, picture: u32) {
        let bears = |step: usize, room: f64| match STEPS.get(step) {
            None => true,
            Some(_) if total < STILLS_BELOW || f64::from(picture) < f64::from(MOVING_MIN) * room => false,
            // The smallest moving picture is better than a still wherever the line is wide enough.
            Some(_) if step + 1 == STEPS.len() => true,
            Some((quarters, rate)) => {
                let full = f64::from(self.full.width * self.full.height) * 30.0 * BITS_A_PIXEL;
                // A large picture of few bits is what was asked for.
                let scale = (f64::from(self.maximum / 100 * WHOLE_AT) / full).min(1.0);
                let part = f64::from(quarters * quarters * rate) / (16.0 * 30.0);
                f64::from(picture) >= full * scale * part * room
            }
        };
        let moves = self.step < STEPS.len() && total >= STILLS_BELOW && picture >= MOVING_MIN;
        let sated = self.sated.filter(|_| moves).map(|(made, _)| made);
        if sated.is_none() && !bears(self.step, 1.0) {
            self.room_since = None;
            let tried = self.tried.take();
            if let (Some(_), Some((after, wait))) = (tried, self.try_after.get_mut(self.step)) {
                (*after, *wait) = (now + *wait, (*wait * 2).min(TRY_AGAIN.1));
            }
            match tried.filter(|tried| moves && picture >= tried.made) {
                // The size before was right, and needs no more than it did.
                Some(Try { from, made, .. }) => {
                    self.step = from;
                    self.sated = Some((made, now + TAKEN_FOR));
                }
                None => {
                    while !bears(self.step, 1.0) {
                        self.step += 1;
                    }
                }
            }
            return;
        }
        let up = self.step.checked_sub(1);
        let leaves_stills = self.step < STEPS.len() || total >= STILLS_ABOVE;
        // At its limit the picture has all the room that it will ever have.
        let room = if picture == self.maximum { 1.0 } else { UP_ROOM };
        // The line is known no further than one and a half times what goes over it: the larger picture shows the rest.
        let pixels =
            |step: usize| STEPS.get(step).map_or(0.0, |(quarters, rate)| f64::from(quarters * quarters * rate));
        let is_easy = |up: usize| {
            let more = (pixels(up) / pixels(self.step)).sqrt().min(EASY_ROOM_MAX);
            // What was made at the size before says nothing of the one after this.
            let is_known = self.tried.is_none_or(|tried| now >= tried.at + TAKEN_FOR);
            is_known
                && now >= self.try_after[up].0
                && sated.is_some_and(|made| f64::from(picture) >= f64::from(made) * more)
        };
        let Some(up) = up.filter(|up| leaves_stills && (bears(*up, room) || is_easy(*up))) else {
            self.room_since = None;
            return;
        };
        let since = *self.room_since.get_or_insert(now);
        if now >= since.saturating_add(UP_AFTER) {
            if let Some(made) = sated.filter(|_| !bears(up, room)) {
                self.tried = Some(Try { at: now, from: self.step, made });
                self.sated = Some((made, now + TAKEN_FOR));
            }
            self.step = up;
            self.room_since = None;
        }
    }
}

#[cfg(test)]
#[allow(clippy::print_stdout, reason = "the seed of a random test is printed")]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    const FULL: Picture = Picture { width: 640, height: 480, frames_per_second: 30 };

    fn line(bits_per_second: u32) -> Estimate {
        Estimate { bits_per_second, lost_thousandths: 0, round_trip: Duration::from_millis(100), silent: false }
    }

    /// What stands after the line was so for `seconds`.
    fn settled(policy: &mut Policy, from: u64, seconds: u64, estimate: Estimate, taken: u32) -> Plan {
        for tenth in 0..seconds * 10 {
            policy.decide(
                Duration::from_secs(from) + Duration::from_millis(tenth * 100),
                estimate,
                taken,
                Making::Unknown,
            );
        }
        policy.plan()
    }

    #[test]
    fn the_picture_gives_way_in_steps_and_climbs_back_by_itself() {
        let mut policy = Policy::new(FULL, 1_000_000);
        let at = |policy: &mut Policy, from, bits| {
            let plan = settled(policy, from, 10, line(bits), 0);
            (plan.video.height, plan.video.stills, plan.sound.packet_milliseconds)
        };
        assert_eq!(at(&mut policy, 0, 1_056_000), (480, false, 10));
        assert_eq!(at(&mut policy, 10, 350_000), (360, false, 20));
        assert_eq!(at(&mut policy, 20, 200_000), (240, false, 20));
        assert_eq!(at(&mut policy, 30, 140_000), (240, true, 20));
        assert_eq!(at(&mut policy, 40, 90_000), (240, true, 40));
        assert_eq!(at(&mut policy, 50, 160_000), (240, true, 20), "a line on the border does not flicker");
        assert_eq!(at(&mut policy, 60, 200_000), (240, false, 20));
        assert_eq!(at(&mut policy, 70, 700_000), (480, false, 20));
        assert_eq!(at(&mut policy, 80, 1_056_000), (480, false, 10));
        assert_eq!(at(&mut policy, 90, 700_000), (480, false, 10), "nor does the voice flicker");
        let lossy = Estimate { lost_thousandths: 30, ..line(1_056_000) };
        assert_eq!(settled(&mut policy, 100, 10, lossy, 0).sound.packet_milliseconds, 20);
    }

    #[test]
    fn a_step_down_is_taken_at_once_and_one_up_after_three_seconds() {
        let mut policy = Policy::new(FULL, 1_000_000);
        settled(&mut policy, 0, 10, line(1_056_000), 0);
        assert!(policy.decide(Duration::from_secs(10), line(100_000), 0, Making::Unknown).video.stills);
        assert!(settled(&mut policy, 11, 3, line(1_056_000), 0).video.stills);
        assert!(!settled(&mut policy, 14, 1, line(1_056_000), 0).video.stills);
    }

    /// An encoder that makes of a full picture at most so many bits a second, and less of a smaller one, on a line that
    /// carries so much and is known no further than one and a half times what arrived; gives the rows of every second.
    fn rows_of(needs: f64, carries: f64, seconds: u64) -> Vec<u32> {
        let full = Picture { width: 1_280, height: 720, frames_per_second: 30 };
        let (mut policy, mut made) = (Policy::new(full, 3_000_000), Made::default());
        let (mut total, mut bytes, mut rows) = (560_000.0_f64, 0.0, Vec::new());
        let step = Duration::from_millis(250);
        for tick in 0..seconds * 4 {
            let now = step * tick as u32;
            let video = policy.plan().video;
            let part = f64::from(video.width * video.height) / f64::from(1_280 * 720);
            let makes = (needs * part.powf(0.7)).min(f64::from(video.bits_per_second));
            bytes += makes * step.as_secs_f64() / 8.0;
            let making = made.bits_per_second(now, step, bytes as u64, video).map_or(Making::Unknown, Making::Bits);
            let known = (total * 1.06).min((makes + 56_000.0) * 1.5 + 20_000.0).max(total).min(carries);
            total = known;
            policy.decide(now, line(total as u32), 0, making);
            rows.push(policy.plan().video.height);
        }
        rows
    }

    #[test]
    fn an_easy_picture_grows_to_its_full_size_and_stays_there() {
        for needs in [250_000.0, 500_000.0, 900_000.0] {
            let rows = rows_of(needs, 4_000_000.0, 300);
            let grown = rows.iter().position(|rows| *rows == 720);
            assert!(grown.is_some_and(|at| at < 4 * 20), "{needs}: {:?}", &rows[..80]);
            assert!(rows[80..].iter().all(|rows| *rows == 720), "{needs}");
        }
    }

    #[test]
    fn a_picture_that_turns_out_too_large_for_the_line_is_tried_ever_less_often() {
        let rows = rows_of(4_000_000.0, 700_000.0, 600);
        assert!(rows[80..].iter().all(|now| *now == rows[80]), "nothing but the line limits it");
        // Sated where it is small, too much where it is large.
        let rows = rows_of(1_000_000.0, 600_000.0, 1_200);
        let changes = |rows: &[u32]| rows.windows(2).filter(|two| two[0] != two[1]).count();
        let (first, last) = rows.split_at(rows.len() / 2);
        assert!(changes(first) <= 16 && changes(last) <= 6, "{} and {} changes", changes(first), changes(last));
    }

    #[test]
    fn the_size_before_one_that_proved_too_large_is_kept() {
        // On a rural line, a picture that nearly fills it at full size and does not at three quarters.
        let picture = 300_000.0 - 56_000.0;
        for part in [0.9, 0.95, 1.0, 1.05] {
            let rows = rows_of(picture * part, 300_000.0, 1_200);
            let least = rows[240..].iter().filter(|rows| **rows >= 540).count();
            assert!(least * 100 >= rows[240..].len() * 85, "{part}: {least} of {}", rows.len() - 240);
        }
    }

    #[test]
    fn a_line_that_becomes_narrow_ends_what_was_taken_at_ease() {
        let full = Picture { width: 1_280, height: 720, frames_per_second: 30 };
        let mut policy = Policy::new(full, 3_000_000);
        let mut at = |tick: u32, bits, made| {
            policy.decide(Duration::from_millis(250) * tick, line(bits), 0, Making::Bits(made)).video
        };
        let large = (0..80).map(|tick| at(tick, 1_000_000, 300_000)).last().expect("some");
        assert_eq!(large.height, 720);
        assert_eq!(at(80, 180_000, 300_000).height, 360);
        assert!(at(81, 140_000, 300_000).stills);
    }

    #[test]
    fn measurements_come_before_the_picture_and_the_voice_keeps_its_share() {
        let mut policy = Policy::new(FULL, 1_000_000);
        let free = settled(&mut policy, 0, 10, line(300_000), 0);
        let measuring = settled(&mut policy, 10, 10, line(300_000), 60_000);
        assert_eq!(free.video.bits_per_second - measuring.video.bits_per_second, 60_000);
        assert_eq!(free.sound, measuring.sound);
        let swamped = settled(&mut policy, 20, 10, line(300_000), 5_000_000);
        assert_eq!(swamped.sound.bits_per_second, 32_000);
        assert!(swamped.video.bits_per_second + swamped.sound.on_the_wire() <= 150_000);
    }

    #[test]
    fn stills_come_as_often_as_the_line_has_room_for_them_once_a_second_at_most() {
        let mut policy = Policy::new(FULL, 1_000_000);
        let at = |policy: &mut Policy, from, bits| settled(policy, from, 10, line(bits), 0).video;
        let wide = at(&mut policy, 0, 140_000);
        assert!(wide.stills && wide.every == Duration::from_secs(1), "{wide:?}");
        let narrow = at(&mut policy, 10, 60_000);
        assert!(narrow.stills && narrow.every > Duration::from_secs(2), "{narrow:?}");
        assert!(narrow.every <= Duration::from_secs(10), "{narrow:?}");
    }

    #[test]
    fn a_silent_line_changes_nothing() {
        let mut policy = Policy::new(FULL, 1_000_000);
        let before = settled(&mut policy, 0, 10, line(1_056_000), 0);
        let silent = Estimate { silent: true, ..line(45_000) };
        assert_eq!(settled(&mut policy, 10, 30, silent, 0), before);
    }

    #[test]
    fn the_more_is_lost_the_more_the_voice_prepares_for_it() {
        let mut policy = Policy::new(FULL, 1_000_000);
        let percent = |policy: &mut Policy, lost_thousandths| {
            policy
                .decide(Duration::ZERO, Estimate { lost_thousandths, ..line(500_000) }, 0, Making::Unknown)
                .sound
                .loss_percent
        };
        assert_eq!(percent(&mut policy, 0), 5);
        assert_eq!(percent(&mut policy, 62), 10);
        assert_eq!(percent(&mut policy, 1_000), 25);
    }

    #[test]
    fn whatever_the_line_does_voice_and_picture_fit_into_it() {
        let seed = rand::random();
        println!("seed {seed}");
        let mut chance = StdRng::seed_from_u64(seed);
        for _ in 0..200 {
            let full = Picture {
                width: chance.random_range(80..=960) * 2,
                height: chance.random_range(60..=540) * 2,
                frames_per_second: chance.random_range(5..=30),
            };
            let mut policy = Policy::new(full, chance.random_range(100_000..4_000_000));
            for tenth in 0..200 {
                let bits = chance.random_range(crate::estimator::BITS_PER_SECOND_MIN..5_000_000);
                let estimate = Estimate { lost_thousandths: chance.random_range(0..=1_000), ..line(bits) };
                let taken = chance.random_range(0..200_000);
                let Plan { sound, video } =
                    policy.decide(Duration::from_millis(tenth * 100), estimate, taken, Making::Unknown);
                assert!(video.bits_per_second + sound.on_the_wire() <= bits, "{video:?} {sound:?} in {bits}");
                assert_eq!((video.width % 2, video.height % 2), (0, 0));
                assert!(video.width <= full.width && video.height <= full.height);
                assert_eq!(video.stills, policy.step == STEPS.len());
            }
        }
    }
}

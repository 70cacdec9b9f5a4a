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

/// Decides, and remembers where it stands.
#[derive(Debug, Clone)]
pub struct Policy {
    full: Picture,
    maximum: u32,
    /// Index into [`STEPS`]; its length is stills.
    step: usize,
    narrow: bool,
    /// Since when there is room for the step above.
    room_since: Option<Duration>,
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
        Policy { full, maximum, step: 0, narrow: false, room_since: None, plan }
    }

    /// What was decided last.
    pub fn plan(&self) -> Plan {
        self.plan
    }

    /// Decides anew. `taken` is what measurements, documents and retransmissions take of the line, in bits a second.
    pub fn decide(&mut self, now: Duration, line: Estimate, taken: u32) -> Plan {
        if line.silent {
            // Nothing arrives however little is sent, and the line may come back as it was.
            return self.plan;
        }
        let total = line.bits_per_second;
        // Retransmissions of a burst must not take the picture away altogether.
        let left = total - taken.min(total / 2);
        self.narrow = left < if self.narrow { NARROW_ABOVE } else { NARROW_BELOW };
        let sound = if self.narrow { Sound::NARROW } else { Sound::WIDE };
        // The encoder spends bits on a loss in small steps, so that it is not changed at every report.
        let loss_percent = (line.lost_thousandths / 10).clamp(5, 25).next_multiple_of(5);
        let sound = Sound { loss_percent, ..sound };
        let picture = left.saturating_sub(sound.on_the_wire()).clamp(PICTURE_BITS_PER_SECOND_MIN, self.maximum);
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
        if !bears(self.step, 1.0) {
            self.room_since = None;
            while !bears(self.step, 1.0) {
                self.step += 1;
            }
            return;
        }
        let up = self.step.checked_sub(1);
        let leaves_stills = self.step < STEPS.len() || total >= STILLS_ABOVE;
        // At its limit the picture has all the room that it will ever have.
        let room = if picture == self.maximum { 1.0 } else { UP_ROOM };
        let Some(up) = up.filter(|up| leaves_stills && bears(*up, room)) else {
            self.room_since = None;
            return;
        };
        let since = *self.room_since.get_or_insert(now);
        if now >= since.saturating_add(UP_AFTER) {
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
            policy.decide(Duration::from_secs(from) + Duration::from_millis(tenth * 100), estimate, taken);
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
        assert_eq!(at(&mut policy, 0, 1_056_000), (480, false, 20));
        assert_eq!(at(&mut policy, 10, 350_000), (360, false, 20));
        assert_eq!(at(&mut policy, 20, 200_000), (240, false, 20));
        assert_eq!(at(&mut policy, 30, 140_000), (240, true, 20));
        assert_eq!(at(&mut policy, 40, 90_000), (240, true, 40));
        assert_eq!(at(&mut policy, 50, 160_000), (240, true, 20), "a line on the border does not flicker");
        assert_eq!(at(&mut policy, 60, 200_000), (240, false, 20));
        assert_eq!(at(&mut policy, 70, 1_056_000), (480, false, 20));
    }

    #[test]
    fn a_step_down_is_taken_at_once_and_one_up_after_three_seconds() {
        let mut policy = Policy::new(FULL, 1_000_000);
        settled(&mut policy, 0, 10, line(1_056_000), 0);
        assert!(policy.decide(Duration::from_secs(10), line(100_000), 0).video.stills);
        assert!(settled(&mut policy, 11, 3, line(1_056_000), 0).video.stills);
        assert!(!settled(&mut policy, 14, 1, line(1_056_000), 0).video.stills);
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
            policy.decide(Duration::ZERO, Estimate { lost_thousandths, ..line(500_000) }, 0).sound.loss_percent
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
                let Plan { sound, video } = policy.decide(Duration::from_millis(tenth * 100), estimate, taken);
                assert!(video.bits_per_second + sound.on_the_wire() <= bits, "{video:?} {sound:?} in {bits}");
                assert_eq!((video.width % 2, video.height % 2), (0, 0));
                assert!(video.width <= full.width && video.height <= full.height);
                assert_eq!(video.stills, policy.step == STEPS.len());
            }
        }
    }
}

use consult::ecg::Lead;
use consult::vitals::Moment;

use super::*;

/// 2026-03-09 08:41:20 UTC.
const WALL: i64 = 1_773_045_680;

/// A sample that no whole file has.
const DAMAGED: u8 = 254;

/// A file is its date in eight bytes, then so many samples as bytes.
struct Plain;

impl Format for Plain {
    fn may_be(name: &str, size: usize) -> bool {
        name.ends_with(".ECG") && size > 8
    }

    fn read(file: &[u8]) -> Option<(DeviceTime, Ecg)> {
        let (at, samples) = file.split_first_chunk::<8>()?;
        if samples.contains(&DAMAGED) {
            return None;
        }
        let samples = samples.iter().map(|byte| if *byte == 255 { consult::ecg::MISSING } else { (*byte).into() });
        Some((DeviceTime(i64::from_le_bytes(*at)), Ecg::new(vec![Lead::I], 100, 1, samples.collect()).ok()?))
    }
}

fn file(at: i64, samples: &[u8]) -> Vec<u8> {
    [at.to_le_bytes().as_slice(), samples].concat()
}

/// The folder, and a person who plugs and unplugs it.
struct Bench {
    recorder: Recorder<Plain>,
    now: Now,
    /// Name, content, date; none: the recorder is off.
    files: Option<Vec<(&'static str, Vec<u8>, i64)>>,
    read: Vec<String>,
}

impl Bench {
    fn new(files: Option<Vec<(&'static str, Vec<u8>, i64)>>) -> Self {
        let now = Now { instant: Instant::now(), wall: Moment(WALL * 1_000) };
        let mut recorder = Recorder::new();
        recorder.port_opened(now);
        recorder.start(now);
        let mut bench = Bench { recorder, now, files, read: Vec::new() };
        bench.answer();
        bench
    }

    fn answer(&mut self) {
        while let Some(question) = self.recorder.poll_transmit() {
            let answer = match question.bytes() {
                b"?" => self.listing(),
                [b'<', name @ ..] => {
                    let name = std::str::from_utf8(name).unwrap().to_owned();
                    let content = self.files.iter().flatten().find(|(n, ..)| *n == name).map(|(_, c, _)| c.clone());
                    self.read.push(name);
                    content.map_or(vec![NOT_READ], |content| {
                        [&[FILE], (content.len() as u32).to_le_bytes().as_slice(), &content].concat()
                    })
                }
                other => panic!("{other:?}"),
            };
            // In any division.
            for piece in answer.chunks(5) {
                self.recorder.handle_input(piece, self.now);
                assert!(self.recorder.buffered() <= crate::BUFFER_MAX);
            }
        }
    }

    fn listing(&self) -> Vec<u8> {
        let Some(files) = &self.files else { return vec![AWAY] };
        let mut answer = vec![LISTED];
        answer.extend((files.len() as u16).to_le_bytes());
        for (name, content, written) in files {
            answer.push(name.len() as u8);
            answer.extend(name.bytes());
            answer.extend((content.len() as u32).to_le_bytes());
            answer.extend(written.to_le_bytes());
        }
        answer
    }

    fn pass(&mut self, seconds: u64) {
        for _ in 0..5 * seconds {
            self.now.instant += Duration::from_millis(200);
            self.now.wall.0 += 200;
            while self.recorder.poll_timeout().is_some_and(|at| at <= self.now.instant) {
                self.recorder.handle_timeout(self.now);
            }
            self.answer();
        }
    }

    fn add(&mut self, name: &'static str, content: Vec<u8>) {
        let written = self.now.wall.0 / 1_000;
        self.files.as_mut().unwrap().push((name, content, written));
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.recorder.poll_event()).collect()
    }
}

fn taken(events: &[Event]) -> Option<(Vec<i32>, Option<Moment>)> {
    events.iter().find_map(|event| match event {
        Event::EcgTaken { ecg, device_at } => Some((ecg.samples().to_vec(), *device_at)),
        _ => None,
    })
}

fn old() -> Vec<(&'static str, Vec<u8>, i64)> {
    vec![("1.ECG", file(WALL - 7_200, &[1; 600]), WALL - 7_200), ("README.TXT", vec![0; 40], WALL - 7_200)]
}

#[test]
fn what_is_recorded_between_two_connections_is_taken_and_nothing_else_is_ever_read() {
    for zone in [0, 3_600, -12_600] {
        let mut bench = Bench::new(None);
        bench.pass(3);
        assert_eq!(bench.events(), [Event::Status(Status::ConnectDevice)]);
        let mut files = old();
        files.iter_mut().for_each(|(.., written)| *written += zone);
        bench.files = Some(files.clone());
        bench.pass(3);
        assert_eq!(bench.events(), [Event::Status(Status::MeasureOnDevice)]);
        bench.files = None;
        bench.pass(30);
        assert_eq!(bench.events(), [Event::Status(Status::ConnectDevice)]);
        bench.files = Some(files);
        let stamp = bench.now.wall.0 / 1_000 - 20;
        bench.add("2.ECG", file(stamp + zone, &[9; 600]));
        bench.pass(2);
        let events = bench.events();
        assert_eq!(taken(&events), Some((vec![9; 600], Some(Moment(stamp * 1_000)))), "zone {zone}");
        assert_eq!(events.last(), Some(&Event::Finished));
        assert_eq!(bench.read, ["2.ECG"], "an earlier patient's file is never opened");
    }
}

#[test]
fn a_recorder_that_stays_connected_is_read_when_it_has_recorded() {
    let mut bench = Bench::new(Some(old()));
    bench.pass(2);
    bench.add("2.ECG", file(WALL + 1, &[9; 500]));
    bench.pass(1);
    assert!(taken(&bench.events()).is_some());
}

#[test]
fn a_file_that_was_there_first_is_never_this_patients_even_when_it_is_dated_now() {
    let mut files = old();
    files.push(("2.ECG", file(WALL, &[5; 600]), WALL));
    let mut bench = Bench::new(Some(files));
    bench.pass(MEASUREMENT_MAX.as_secs());
    let events = bench.events();
    assert_eq!(taken(&events), None);
    assert!(events.ends_with(&[Event::Invalid(Absent::TimedOut { after_seconds: 900 }), Event::Finished]));
    assert!(bench.read.is_empty());
}

#[test]
fn a_file_that_grows_is_read_when_it_has_stopped() {
    let mut bench = Bench::new(Some(old()));
    bench.add("2.ECG", file(WALL + 1, &[9; 100]));
    for length in (110..=600).step_by(10) {
        bench.files.as_mut().unwrap().last_mut().unwrap().1 = file(WALL + 1, &vec![9; length]);
        bench.now.instant += LOOK_EVERY;
        bench.recorder.handle_timeout(bench.now);
        bench.answer();
        assert!(bench.read.is_empty(), "{length}");
    }
    bench.pass(1);
    assert_eq!(taken(&bench.events()).unwrap().0.len(), 600);
}

#[test]
fn another_recorders_files_are_not_taken_for_new_ones() {
    let mut bench = Bench::new(Some(old()));
    bench.pass(1);
    bench.files = None;
    bench.pass(1);
    bench.files = Some(vec![("7.ECG", file(WALL + 1, &[4; 600]), WALL + 1)]);
    bench.pass(10);
    assert_eq!(taken(&bench.events()), None);
    assert!(bench.read.is_empty());
    bench.add("8.ECG", file(WALL + 12, &[6; 600]));
    bench.pass(1);
    assert_eq!(taken(&bench.events()).unwrap().0[0], 6);
}

#[test]
fn a_new_file_with_a_date_of_long_ago_is_not_taken_and_the_clock_is_said_to_be_wrong() {
    let mut bench = Bench::new(Some(old()));
    bench.pass(1);
    bench.add("2.ECG", file(1_262_304_000, &[9; 600]));
    bench.pass(1);
    assert!(bench.events().ends_with(&[Event::Invalid(Absent::ClockWrong), Event::Finished]));
}

#[test]
fn a_file_that_is_older_than_what_was_there_or_no_recording_is_left_alone() {
    let mut bench = Bench::new(Some(old()));
    bench.pass(1);
    bench.add("2.ECG", file(WALL - 7_300, &[9; 600]));
    bench.add("3.ECG", file(WALL + 1, &[DAMAGED; 600]));
    bench.pass(5);
    assert_eq!(taken(&bench.events()), None);
    bench.add("4.ECG", file(WALL + 5, &[8; 600]));
    bench.pass(1);
    assert_eq!(taken(&bench.events()).unwrap().0[0], 8);
    assert_eq!(bench.read, ["2.ECG", "3.ECG", "4.ECG"], "each once");
}

#[test]
fn a_recording_without_a_signal_or_too_short_is_no_recording() {
    for (samples, why) in [(vec![255; 600], Absent::ElectrodeOff), (vec![1; 499], Absent::Empty)] {
        let mut bench = Bench::new(Some(old()));
        bench.pass(1);
        bench.add("2.ECG", file(WALL + 1, &samples));
        bench.pass(1);
        assert!(bench.events().ends_with(&[Event::Invalid(why), Event::Finished]));
    }
}

#[test]
fn a_stick_pulled_out_in_mid_read_is_read_when_it_is_back() {
    let mut bench = Bench::new(Some(old()));
    bench.pass(1);
    bench.add("2.ECG", file(WALL + 1, &[9; 600]));
    let whole = bench.files.clone();
    // Seen twice, asked for, and gone before it is read.
    for _ in 0..2 {
        bench.now.instant += LOOK_EVERY;
        bench.recorder.handle_timeout(bench.now);
        let listing = bench.listing();
        assert!(bench.recorder.poll_transmit().is_some_and(|sent| sent.bytes() == LIST));
        bench.recorder.handle_input(&listing, bench.now);
    }
    bench.files = None;
    bench.answer();
    assert_eq!(bench.read, ["2.ECG"]);
    bench.pass(2);
    assert_eq!(taken(&bench.events()), None);
    bench.files = whole;
    bench.pass(2);
    assert!(taken(&bench.events()).is_some());
}

//! Whole conversations with agents: worked by hand from the standard, and of agents that others wrote.

use std::time::{Duration, Instant};

use consult::vitals::{Moment, Value};

use super::configuration::Object;
use super::manager::{Heard, Manager};
use super::mder::{Number, write_absolute_time};
use super::nomenclature as mdc;
use super::observation::{Observation, Stamp};
use super::testing::hex;
use crate::device_clock::DeviceTime;
use crate::{Absent, Event, Fault, Measured, Now, Protocol};

/// 2026-03-09 08:41:20 UTC.
const WALL: Moment = Moment(1_773_045_680_000);

fn now() -> Now {
    Now { instant: Instant::now(), wall: WALL }
}

fn after(now: Now, seconds: u64) -> Now {
    let wall = Moment(now.wall.0 + i64::try_from(seconds).unwrap() * 1_000);
    Now { instant: now.instant + Duration::from_secs(seconds), wall }
}

fn anything(object: &Object) -> bool {
    object.class == mdc::METRIC_NUMERIC
}

/// What is sent, in hexadecimal without blanks.
fn said(manager: &mut Manager) -> Vec<String> {
    let text = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    std::iter::from_fn(|| manager.poll_transmit()).map(text).collect()
}

fn heard(manager: &mut Manager) -> Vec<Heard> {
    std::iter::from_fn(|| manager.poll_heard()).collect()
}

fn observations(heard: Vec<Heard>) -> Vec<Observation> {
    let of = |heard| if let Heard::Report { report, .. } = heard { report.observations } else { Vec::new() };
    heard.into_iter().flat_map(of).collect()
}

fn decimal(observation: &Observation, part: usize, decimals: i8) -> i64 {
    observation.values[part].1.in_units_of(decimals).unwrap()
}

fn aarq(configuration: &str) -> Vec<u8> {
    hex(&format!(
        "E200 [80000000 0001 [5079 [80000000 8000 80000000 00000000 00800000 [0102030405060708] {configuration} \
         0001 0100 0000 []]]]"
    ))
}

/// A message within an association: invoke id, choice, body.
fn within(invoke: &str, choice: &str, body: &str) -> Vec<u8> {
    hex(&format!("E700 [[{invoke} {choice} [{body}]]]"))
}

/// An event of the agent itself: its kind and what it tells.
fn event(choice: &str, kind: &str, info: &str) -> Vec<u8> {
    within("0007", choice, &format!("0000 FFFFFFFF {kind} [{info}]"))
}

#[test]
fn the_worked_exchange_with_a_standard_oximeter() {
    let mut manager = Manager::new(anything);
    manager.input(&aarq("0190"), now());
    let sent = said(&mut manager);
    assert!(sent[0].starts_with("E300002C0000507900268000000080008000000000000000800000000008"), "{}", sent[0]);
    assert_eq!(sent[1], "E700000E000C000101030006000000000000");
    assert!(manager.is_operating());
    heard(&mut manager);
    // 96.2 %, 68 /min; dated, although its configuration dates nothing.
    let report = "E7000036 0034 1234 0100 002E 0000 FFFFFFFF 0D1D 0024 F000 0000 0002 001C \
                  0001 000A F3C2 2026030908411700 000A 000A 0044 2026030908411700";
    manager.input(&hex(report), now());
    let seen = observations(heard(&mut manager));
    assert_eq!((decimal(&seen[0], 0, 1), decimal(&seen[1], 0, 0)), (962, 68));
    assert_eq!(seen[0].stamp, Stamp::Clock(DeviceTime(WALL.0 / 1_000 - 3)));
    assert!(said(&mut manager).is_empty(), "it was not to be confirmed");
    manager.input(&hex("E400 0002 0000"), now());
    assert_eq!(said(&mut manager), ["E50000020000"]);
    assert_eq!(heard(&mut manager), [Heard::Ended]);
}

/// Freescale's Medical Connectivity Library 2009-2010, `phd_device_spec.c`: the bytes that its agents send, as they are
/// in its public source. Facts of another's agent: they share nothing with our simulator.
mod freescale {
    pub(super) fn aarq(configuration: &str) -> String {
        format!(
            "E200 0032 80000000 0001002A 5079 0026 80000000 8000 80000000 00000000 00800000 0008 4C4E494147454E54 \
             {configuration} 0001 0100 00000000"
        )
    }

    pub(super) const SCALE_CONFIGURATION: &str = "E700 00A2 00A0 0002 0101 009A 0000 FFFFFFFF 0D1C 0090 4004 0003 008A \
        0006 0001 0004 0024 092F 0004 0002E140 0A46 0002 F040 0996 0002 06C3 0A55 000C 0002 0008 0A560004 09900008 \
        0006 0002 0004 0024 092F 0004 0002E144 0A46 0002 F048 0996 0002 0511 0A55 000C 0002 0008 0A560004 09900008 \
        0006 0003 0005 002A 092F 0004 0002E150 0A46 0002 F042 0996 0002 07A0 0A47 0002 0001 \
        0A55 000C 0002 0008 0A560004 09900008";
    pub(super) const SCALE_ATTRIBUTES: &str = "E700 006E 006C 0003 0203 0066 0000 0006 0060 0A5A 0008 0001 0004 100F0001 \
        0928 001A 000A 467265657363616C6520 000C 4D65646963616C2043465631 0984 000A 0008 1122334455667788 \
        0A44 0002 4004 092D 0012 0001 000E 0001 0000 0008 4445313234353637 0987 0008 2009061212050000";
    /// Of Atmel's PHDC sample (2009, `communication_model.c`), which speaks as Freescale's scale.
    pub(super) const SCALE_REPORT: &str = "E700 005A 0058 1236 0101 0052 0000 00000000 0D1D 0048 F000 0000 0004 0040 \
        0001 000C FF0002FA 2007120612100000 0003 000C FF0000F3 2009061212100000 \
        0001 000C FF0002F8 2009061220050000 0003 000C FF0000F2 2009061220050000";
    pub(super) const CUFF_CONFIGURATION: &str = "E700 0094 0092 0002 0101 008C 0000 FFFFFFFF 0D1C 0082 02BC 0002 007C \
        0006 0001 0007 0040 092F 0004 00024A04 0A46 0002 F040 0A73 0002 0303 0A76 000A 0003 0006 4A054A064A07 \
        0996 0002 0F20 094A 0004 FA1E8480 0A55 000C 0002 0008 0A75000A 09900008 \
        0006 0002 0005 002C 092F 0004 0002482A 0A46 0002 F040 0996 0002 0AA0 094A 0004 FA0F4240 \
        0A55 000C 0002 0008 0A4C0002 09900008";
    pub(super) const CUFF_REPORT: &str = "E700 003E 003C 1236 0101 0036 0000 00000000 0D1D 002C F000 0000 0002 0024 \
        0001 0012 0003 0006 0078 0050 0064 2009061212100000 0002 000A F258 2009061220100000";
    pub(super) const THERMOMETER_CONFIGURATION: &str = "E700 0044 0042 0003 0101 003C 0000 FFFFFFFF 0D1C 0032 0320 0001 \
        002C 0006 0001 0004 0024 092F 0004 00024B5C 0A46 0002 F040 0996 0002 17A0 0A55 000C 0002 0008 0A560004 09900008";
    pub(super) const THERMOMETER_REPORT: &str = "E700 002A 0028 1236 0101 0022 0000 00000000 0D1D 0018 F000 0000 0001 \
        0010 0001 000C FB387520 2009061208300000";
    pub(super) const METER_CONFIGURATION: &str = "E700 009A 0098 0002 0101 0092 0000 FFFFFFFF 0D1C 0088 4005 0003 0082 \
        0006 0001 0004 0024 092F 0004 000271B8 0A46 0002 F040 0996 0002 1272 0A55 000C 0002 0008 0A4C0002 09900008 \
        0005 0002 0003 001E 092F 0004 00807248 0A46 0002 F048 0A55 000C 0002 0008 09900008 0A490002 \
        0006 0003 0004 0028 092F 0004 008071E0 0A46 0002 F048 0996 0002 0220 \
        0A55 0010 0003 000C 09900008 0A590004 0A4C0002";
    pub(super) const METER_REPORT: &str = "E700 0064 0062 1236 0101 005C 0000 00000000 0D1D 0052 F000 0000 0005 004A \
        0001 000A F352 2009061212050000 0001 000A F44C 2009061212050000 \
        0002 000A 2009061212050000 724C 0002 000A 2009061212050000 7250 \
        0003 000E 2009061212050000 01B77400 F384";
}

/// An agent of Freescale's, associated and reporting; what it said of its measurements.
fn held(agent: &str, configuration: &str, report: &str) -> (Manager, Vec<Observation>) {
    let mut manager = Manager::new(anything);
    manager.input(&hex(&freescale::aarq(agent)), now());
    let sent = said(&mut manager);
    assert_eq!((sent.len(), &sent[0][..12]), (1, "E300002C0003"), "its configuration is asked for");
    manager.input(&hex(configuration), now());
    let id = &configuration.replace(' ', "")[44..48];
    let invoke = &configuration.replace(' ', "")[12..16];
    let sent = said(&mut manager);
    assert_eq!(sent[0], format!("E70000160014{invoke}0201000E0000000000000D1C0004{id}0000"));
    assert_eq!(&sent[1][16..20], "0103", "and then who it is");
    assert!(manager.is_operating());
    heard(&mut manager);
    manager.input(&hex(report), now());
    assert_eq!(said(&mut manager), ["E70000120010".to_owned() + "12360201000A0000FFFFFFFF0D1D0000"]);
    let seen = observations(heard(&mut manager));
    (manager, seen)
}

#[test]
fn an_association_is_held_with_freescales_scale_and_its_figures_are_its_own() {
    let (mut manager, seen) = held("4004", freescale::SCALE_CONFIGURATION, freescale::SCALE_REPORT);
    // Two weighings, each with its body mass index.
    assert_eq!(seen.iter().map(|o| decimal(o, 0, 3)).collect::<Vec<_>>(), [76_200, 24_300, 76_000, 24_200]);
    assert_eq!(seen.iter().map(|o| o.unit).collect::<Vec<_>>(), [0x06C3, 0x07A0, 0x06C3, 0x07A0]);
    manager.input(&hex(freescale::SCALE_ATTRIBUTES), now());
    assert_eq!(manager.identity().serial.as_deref(), Some("DE124567"));
    assert_eq!(manager.identity().maker.as_deref(), Some("Freescale"));
    assert!(manager.clock().unwrap().minutes_ahead.is_none(), "2009");
    assert!(said(&mut manager).is_empty(), "it does not say that its clock may be set");
    // Seconds of 0x0A, as its firmware counts them, are no time.
    let report = freescale::SCALE_REPORT.replace("2007120612100000", "2009061212050A00");
    manager.input(&hex(&report), now());
    assert_eq!(observations(heard(&mut manager))[0].stamp, Stamp::Unreadable);
}

#[test]
fn an_association_is_held_with_freescales_cuff_that_names_one_configuration_and_sends_another() {
    let (_, seen) = held("4000", freescale::CUFF_CONFIGURATION, freescale::CUFF_REPORT);
    let parts: Vec<(u16, i64)> = seen[0].values.iter().map(|(code, n)| (*code, n.in_units_of(0).unwrap())).collect();
    assert_eq!(parts, [(mdc::SYSTOLIC, 120), (mdc::DIASTOLIC, 80), (mdc::MEAN, 100)]);
    assert_eq!((seen[1].kind.1, decimal(&seen[1], 0, 0)), (mdc::PULSE_BY_CUFF, 60));
}

#[test]
fn an_association_is_held_with_freescales_thermometer_and_its_glucose_meter() {
    let (_, seen) = held("4000", freescale::THERMOMETER_CONFIGURATION, freescale::THERMOMETER_REPORT);
    assert_eq!((decimal(&seen[0], 0, 2), seen[0].unit), (3_700, mdc::CELSIUS));
    let (_, seen) = held("4005", freescale::METER_CONFIGURATION, freescale::METER_REPORT);
    // 85.0 and 110.0 as it says of mmol/L; meals have no number.
    assert_eq!(seen.iter().map(|o| decimal(o, 0, 1)).collect::<Vec<_>>(), [850, 1_100, 900]);
}

#[test]
fn a_configuration_is_asked_for_once() {
    let (mut manager, _) = held("4004", freescale::SCALE_CONFIGURATION, freescale::SCALE_REPORT);
    manager.input(&hex("E600 0002 0000"), now());
    heard(&mut manager);
    manager.input(&hex(&freescale::aarq("4004")), now());
    assert_eq!(&said(&mut manager)[0][8..12], "0000", "known");
    manager.input(&hex(freescale::SCALE_REPORT), now());
    assert_eq!(decimal(&observations(heard(&mut manager))[0], 0, 3), 76_200);
    // The same number from another device is another configuration.
    manager.input(&hex("E600 0002 0000"), now());
    manager.input(&hex(&freescale::aarq("4004").replace("4C4E", "4C4F")), now());
    assert_eq!(&said(&mut manager).last().unwrap()[8..12], "0003");
}

fn operating() -> Manager {
    let mut manager = Manager::new(anything);
    manager.input(&aarq("05DC"), now());
    assert!(manager.is_operating());
    said(&mut manager);
    heard(&mut manager);
    manager
}

#[test]
fn a_value_that_is_not_as_long_as_announced_is_not_read() {
    // A standard scale's weight is 4 bytes and a date; these are shorter, longer, and of a handle nobody announced.
    let mut manager = operating();
    let report = event(
        "0101",
        "0D1D",
        "F000 0000 0004 [0001 [F2BF 2026030908411700] 0001 [FF0002BF 2026030908411700 0000] 0309 [01020304] \
         0001 [FF0002BF 2026030908411700]]",
    );
    manager.input(&report, now());
    let Some(Heard::Report { report, .. }) = heard(&mut manager).pop() else { panic!("no report") };
    assert_eq!((report.unreadable, report.observations.len()), (2, 1));
    assert_eq!(decimal(&report.observations[0], 0, 3), 70_300);
    assert_eq!(said(&mut manager).len(), 1, "and it is confirmed");
}

#[test]
fn a_variable_report_is_read_by_its_own_names_and_changes_the_unit_for_good() {
    let mut manager = operating();
    let variable = "F000 0001 0001 [0001 0004 [0996 [06E0] 0990 [2026030908411700] 0A56 [FF000708] 0B0B [FFFF]]]";
    manager.input(&event("0100", "0D1E", variable), now());
    let seen = observations(heard(&mut manager));
    assert_eq!((seen[0].unit, decimal(&seen[0], 0, 1)), (mdc::POUND, 1_800));
    let fixed = "F000 0002 0001 [0001 [FF000708 2026030908411700]]";
    manager.input(&event("0100", "0D1D", fixed), now());
    assert_eq!(observations(heard(&mut manager))[0].unit, mdc::POUND);
}

#[test]
fn reports_of_several_persons_are_read_too() {
    let mut manager = operating();
    let weight = |tenths: &str| format!("0001 [0001 [FF00{tenths} 2026030908411700]]");
    let report = format!("F000 0003 0002 [0001 {} 0002 {}]", weight("02BF"), weight("02C0"));
    manager.input(&event("0101", "0D1F", &report), now());
    assert_eq!(observations(heard(&mut manager)).iter().map(|o| decimal(o, 0, 1)).collect::<Vec<_>>(), [703, 704]);
}

#[test]
fn what_a_manager_may_not_hear_ends_the_association() {
    let unasked = within("0007", "0103", "0000 0000 0000");
    let cut = within("0007", "0101", "0000 FFFFFFFF 0D1D");
    let damaged = event("0101", "0D1D", "F000 0000 0005");
    let of_a_manager = super::apdu::aare(super::apdu::Result::Accepted, 0x8000_0000);
    for wrong in [unasked, cut, damaged, aarq("05DC"), of_a_manager] {
        let mut manager = operating();
        manager.input(&wrong, now());
        assert_eq!(said(&mut manager), ["E60000020000"], "{wrong:02X?}");
        assert_eq!(heard(&mut manager), [Heard::Ended]);
        // It asks again, and all is well.
        manager.input(&aarq("05DC"), now());
        assert!(manager.is_operating());
    }
    // One that still believes in an association is told.
    let mut manager = Manager::new(anything);
    manager.input(&hex(freescale::SCALE_REPORT), now());
    assert_eq!(said(&mut manager), ["E60000020000"]);
}

#[test]
fn who_does_not_answer_in_time_is_let_go() {
    let start = now();
    let mut manager = Manager::new(anything);
    manager.input(&aarq("05DC"), start);
    said(&mut manager);
    manager.handle_timeout(after(start, 2));
    assert!(said(&mut manager).is_empty());
    manager.handle_timeout(after(start, 3));
    assert_eq!(said(&mut manager), ["E60000020002"], "no answer");
    manager.input(&aarq("4004"), start);
    said(&mut manager);
    assert_eq!(manager.poll_timeout(), Some(start.instant + Duration::from_secs(10)));
    manager.handle_timeout(after(start, 10));
    assert_eq!(said(&mut manager), ["E60000020003"], "no configuration");
    assert_eq!(manager.poll_timeout(), None);
}

#[test]
fn noise_costs_the_association_and_not_the_next_one() {
    let start = now();
    let mut manager = operating();
    // A message that never becomes whole, and one behind it.
    let mut bytes = hex("E700 1000 0FFE 0001 0203");
    bytes.extend(aarq("05DC"));
    manager.input(&bytes, start);
    assert!(said(&mut manager).is_empty());
    manager.handle_timeout(after(start, 3));
    let sent = said(&mut manager);
    assert_eq!(sent[0], "E60000020000");
    assert!(sent[1].starts_with("E300002C0000"), "{sent:?}");
    assert!(manager.is_operating());
}

#[test]
fn a_message_comes_in_any_division() {
    let whole = hex(freescale::SCALE_REPORT);
    for piece in [1, 3, 17, 64] {
        let mut manager = operating();
        for bytes in whole.chunks(piece) {
            manager.input(bytes, now());
        }
        assert_eq!(observations(heard(&mut manager)).len(), 4, "{piece}");
    }
}

#[test]
fn the_longest_message_is_read_and_a_longer_one_is_noise() {
    let mut manager = operating();
    // Thousands of observations of a handle that nobody announced, and one that counts.
    let mut list = hex("0309 0004 01020304").repeat(8_000);
    list.extend(hex("0001 000C FF0002BF 2026030908411700"));
    let length = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
    let info = [&hex("F000 0000 1F41")[..], &length(list.len()), &list].concat();
    let body = [&hex("0000 FFFFFFFF 0D1D")[..], &length(info.len()), &info].concat();
    let data = [&hex("0007 0101")[..], &length(body.len()), &body].concat();
    let inner = [&length(data.len())[..], &data].concat();
    let whole = [&hex("E700")[..], &length(inner.len()), &inner].concat();
    assert!(whole.len() > 64_000 && whole.len() <= super::BUFFER_MAX);
    manager.input(&whole, now());
    assert_eq!(observations(heard(&mut manager)).len(), 1);
    manager.input(&hex("E700 FFFE FFFC"), now());
    assert!(matches!(heard(&mut manager)[..], [Heard::Ended, Heard::Noise(_)]));
    assert_eq!(manager.buffered(), 0);
}

#[test]
fn a_clock_that_is_wrong_is_set_once_when_it_lets_itself_be_set() {
    let mut manager = operating();
    let attributes = |shown: DeviceTime, can: &str, invoke: &str| {
        let time_info = format!("0A45 [{can} 1F00 FFFFFFFF 0064 0000 00000000]");
        within(invoke, "0203", &format!("0000 0002 [{time_info} 0987 [{}]]", date(shown)))
    };
    let wrong = DeviceTime(WALL.0 / 1_000 + 4_000);
    manager.input(&attributes(wrong, "C000", "0001"), now());
    let sent = said(&mut manager);
    // An hour ahead, which is a zone, and 400 s, which is wrong.
    assert_eq!(sent, ["E700001A001800020107001200000C17000C202603090941200000000000"]);
    manager.input(&within("0002", "0207", "0000 0C17 []"), now());
    assert_eq!(&said(&mut manager)[0][16..20], "0103", "what does it show now?");
    manager.input(&attributes(wrong, "C000", "0003"), now());
    assert!(said(&mut manager).is_empty(), "once is enough");
    let mut manager = operating();
    manager.input(&attributes(wrong, "8000", "0001"), now());
    assert!(said(&mut manager).is_empty(), "it may not be set");
}

/// A configuration of a meter with a store, and what it has in it: the value comes before the status.
const STORE: &str = "4000 0002 [0006 0001 0003 [092F [000271B8] 0996 [0852] 0A46 [F040]] 003D 0100 0001 [0951 [0001]]]";
const SEGMENTS: &str = "0100 0C0D [0001 [0000 0002 [0A4E [8000 0001 [0006 000271B8 0001 0002 [0A4C0002 09470002]]] \
                        097B [00000003]]]]";

fn with_a_store() -> Manager {
    let mut manager = Manager::new(anything);
    manager.input(&aarq("4000"), now());
    manager.input(&within("0010", "0101", &format!("0000 FFFFFFFF 0D1C [{STORE}]")), now());
    assert!(manager.is_operating(), "{:?}", said(&mut manager));
    manager.input(&within("0011", "0203", "0000 0000 []"), now());
    said(&mut manager);
    heard(&mut manager);
    manager
}

#[test]
fn a_store_is_read_by_its_own_map_and_each_part_is_confirmed() {
    let mut manager = with_a_store();
    assert!(manager.read_store(now()));
    assert!(!manager.read_store(now()), "it is being read");
    assert_eq!(said(&mut manager), ["E7000014001200120107000C01000C0D0006000100020000"]);
    manager.input(&within("0012", "0207", SEGMENTS), now());
    assert_eq!(said(&mut manager), ["E7000010000E00130107000801000C1C00020000"]);
    manager.input(&within("0013", "0207", "0100 0C1C [0000 0000]"), now());
    let part = |status: &str| {
        let entries = "2026030908411000 0068 0000 2026030908411500 F0FF 4000";
        let info = format!("0000 00000000 00000002 {status} [{entries}]");
        within("0020", "0101", &format!("0100 FFFFFFFF 0D21 [{info}]"))
    };
    manager.input(&part("8000"), now());
    assert_eq!(said(&mut manager), ["E700001E001C0020020100160100FFFFFFFF0D21000C000000000000000000020080"]);
    let seen = observations(heard(&mut manager));
    assert_eq!((decimal(&seen[0], 0, 1), decimal(&seen[1], 0, 1)), (1_040, 255));
    assert_eq!((seen[0].unit, seen[1].status), (mdc::MG_PER_DL, mdc::STATUS_QUESTIONABLE));
    assert_eq!(seen[0].stamp, Stamp::Clock(DeviceTime(WALL.0 / 1_000 - 10)));
    manager.input(&part("4000"), now());
    assert_eq!(said(&mut manager).len(), 1);
    assert_eq!(heard(&mut manager).last(), Some(&Heard::StoreRead));
}

#[test]
fn a_store_that_is_empty_refused_or_silent_is_not_waited_for() {
    for answer in [("0207", "0100 0C0D []"), ("0207", "0100 0C0D [0000 []]"), ("0300", "0018 []")] {
        let mut manager = with_a_store();
        manager.read_store(now());
        manager.input(&within("0012", answer.0, answer.1), now());
        assert_eq!(heard(&mut manager), [Heard::StoreRead], "{answer:?}");
    }
    let start = now();
    let mut manager = with_a_store();
    manager.read_store(start);
    manager.input(&within("0012", "0207", SEGMENTS), start);
    manager.input(&within("0013", "0207", "0100 0C1C [0000 0003]"), start);
    assert_eq!(heard(&mut manager), [Heard::StoreRead], "empty");
    manager.read_store(start);
    manager.handle_timeout(after(start, 3));
    assert_eq!(said(&mut manager).last().unwrap(), "E60000020002");
}

/// A time, as it is written.
fn date(time: DeviceTime) -> String {
    write_absolute_time(time).iter().map(|byte| format!("{byte:02X}")).collect()
}

/// What an agent answers when it is asked about itself: what its clock shows, or nothing.
fn told(shown: &str) -> Vec<u8> {
    let attributes = if shown.is_empty() { "0000 []".into() } else { format!("0001 [0987 [{shown}]]") };
    within("0001", "0203", &format!("0000 {attributes}"))
}

/// A cuff's protocol, associated with the standard configuration; its clock is ahead by that many seconds.
fn cuff(ahead: i64) -> Box<dyn Protocol> {
    let mut cuff = crate::blood_pressure_phd::protocol();
    cuff.port_opened(now());
    cuff.handle_input(&aarq("02BC"), now());
    cuff.handle_input(&told(&date(DeviceTime(WALL.0 / 1_000 + ahead))), now());
    while cuff.poll_event().is_some() {}
    cuff
}

/// A report of 122/79 (mean 93.3), pulse 68, dated that many seconds after the start by the cuff's clock.
fn pressure(at: i64) -> Vec<u8> {
    let at = date(DeviceTime(WALL.0 / 1_000 + at));
    let values = format!("0001 [0003 [007A 004F F3A5] {at}] 0002 [0044 {at}]");
    event("0101", "0D1D", &format!("F000 0000 0002 [{values}]"))
}

fn events(protocol: &mut dyn Protocol) -> Vec<Event> {
    std::iter::from_fn(|| protocol.poll_event()).filter(|e| !matches!(e, Event::Status(_))).collect()
}

#[test]
fn an_earlier_patients_pressure_is_never_taken_and_this_ones_is() {
    for ahead in [0, 3_600, -5_400] {
        let mut cuff = cuff(ahead);
        cuff.start(now());
        // What it kept from the patient before, delivered now.
        cuff.handle_input(&pressure(ahead - 3), after(now(), 40));
        assert!(events(cuff.as_mut()).is_empty());
        cuff.handle_input(&pressure(ahead + 35), after(now(), 40));
        let seen = events(cuff.as_mut());
        let [
            Event::Reading(Measured { value: Value::BloodPressure(bp), device_at, .. }),
            Event::Reading(pulse),
            Event::Finished,
        ] = seen[..]
        else {
            panic!("{seen:?}")
        };
        assert_eq!((bp.systolic().mmhg(), bp.diastolic().mmhg(), bp.mean()), (122, 79, None));
        assert!(matches!(pulse.value, Value::PulseRate(pulse) if pulse.per_minute() == 68));
        assert_eq!(device_at, Some(Moment(WALL.0 + 35_000)), "without its zone");
    }
}

#[test]
fn what_a_clock_that_is_none_has_dated_is_not_taken() {
    for (ahead, at) in [(-200_000_000, -200_000_000 + 30), (0, 4_000)] {
        let mut cuff = cuff(ahead);
        cuff.start(now());
        cuff.handle_input(&pressure(at), after(now(), 40));
        assert_eq!(events(cuff.as_mut()), [Event::Invalid(Absent::ClockWrong), Event::Finished]);
    }
}

#[test]
fn a_report_that_comes_before_the_clock_is_known_waits_for_it() {
    let mut cuff = crate::blood_pressure_phd::protocol();
    cuff.start(now());
    cuff.port_opened(now());
    cuff.handle_input(&aarq("02BC"), after(now(), 40));
    cuff.handle_input(&pressure(35), after(now(), 40));
    assert!(events(cuff.as_mut()).is_empty());
    cuff.handle_input(&told("2026030908420000"), after(now(), 40));
    assert_eq!(events(cuff.as_mut()).len(), 3);
    // And one that never tells is not believed.
    let mut cuff = crate::blood_pressure_phd::protocol();
    cuff.start(now());
    cuff.handle_input(&aarq("02BC"), after(now(), 40));
    cuff.handle_input(&pressure(35), after(now(), 40));
    cuff.handle_input(&hex("E600 0002 0000"), after(now(), 40));
    assert_eq!(events(cuff.as_mut()), [Event::Invalid(Absent::ClockWrong), Event::Finished]);
}

#[test]
fn a_device_that_could_not_measure_says_so_and_no_number_comes_of_it() {
    let mut cuff = cuff(0);
    cuff.start(now());
    let none = pressure(5).iter().map(|byte| format!("{byte:02X}")).collect::<String>().replace("007A004F", "07FF07FF");
    cuff.handle_input(&hex(&none), after(now(), 10));
    assert_eq!(events(cuff.as_mut()), [Event::Invalid(Absent::Empty), Event::Finished]);
}

#[test]
fn a_device_of_another_kind_is_a_fault_until_the_right_one_comes() {
    let mut cuff = crate::blood_pressure_phd::protocol();
    cuff.port_opened(now());
    cuff.handle_input(&hex(&freescale::aarq("4004")), now());
    cuff.handle_input(&hex(freescale::SCALE_CONFIGURATION), now());
    assert_eq!(events(cuff.as_mut()), [Event::Fault(Fault::Garbled)]);
    let sent: Vec<_> = std::iter::from_fn(|| cuff.poll_transmit()).collect();
    assert!(sent[1].bytes().ends_with(&[0x40, 0x04, 0, 1]), "unsupported: {sent:?}");
    cuff.handle_input(&hex(freescale::CUFF_CONFIGURATION), now());
    assert_eq!(events(cuff.as_mut()), [Event::Fault(Fault::Recovered)]);
}

#[test]
fn an_oximeter_gives_its_figures_once_settled_and_none_with_more_digits_than_ours() {
    for (spo2, expected) in [("0061", Some(97)), ("F3C2", None), ("07FF", None)] {
        let mut oximeter = crate::oximeter_phd::OximeterPhd::new();
        oximeter.port_opened(now());
        oximeter.handle_input(&aarq("0190"), now());
        oximeter.handle_input(&told(""), now());
        oximeter.start(now());
        let mut seen = Vec::new();
        for second in 1..=8 {
            let report = format!("F000 0000 0002 [0001 [{spo2}] 000A [0048]]");
            oximeter.handle_input(&event("0100", "0D1D", &report), after(now(), second));
            seen.extend(events(&mut oximeter));
        }
        let readings: Vec<_> = seen.iter().filter(|event| matches!(event, Event::Reading(_))).collect();
        assert_eq!(readings.len(), if expected.is_some() { 2 } else { 0 }, "{spo2}: {seen:?}");
        let absent = seen.iter().find_map(|event| if let Event::Invalid(why) = event { Some(*why) } else { None });
        match spo2 {
            "F3C2" => assert!(matches!(absent, Some(Absent::Inexact(_)))),
            "07FF" => assert_eq!(absent, Some(Absent::NotTracked)),
            _ => assert_eq!(absent, None),
        }
    }
}

#[test]
fn a_perfusion_index_comes_with_the_figures_and_never_rounded() {
    let numeric = |handle: &str, code: &str, unit: &str| {
        format!("0006 {handle} 0003 [092F [0002{code}] 0996 [{unit}] 0A55 [0001 [0A4C0002]]]")
    };
    let objects = [numeric("0001", "4BB8", "0220"), numeric("000A", "481A", "0AA0"), numeric("000B", "4BB0", "0220")];
    // 3.45 %; then one of 0.005 %, and none.
    for (index, expected) in [("E159", Some(345)), ("D005", None), ("07FF", None)] {
        let mut oximeter = crate::oximeter_phd::OximeterPhd::new();
        oximeter.port_opened(now());
        oximeter.handle_input(&aarq("4003"), now());
        oximeter.handle_input(&event("0101", "0D1C", &format!("4003 0003 [{}]", objects.concat())), now());
        oximeter.handle_input(&within("0008", "0203", "0000 0000 []"), now());
        let report = format!("F000 0000 0003 [0001 [0061] 000A [0048] 000B [{index}]]");
        oximeter.handle_input(&event("0100", "0D1D", &report), after(now(), 5));
        let seen = events(&mut oximeter);
        let perfusion = seen.iter().find_map(|event| match event {
            Event::Live(Measured { value: Value::PerfusionIndex(index), .. }) => Some(index.hundredths_percent()),
            _ => None,
        });
        let lives = seen.iter().filter(|event| matches!(event, Event::Live(_))).count();
        assert_eq!((perfusion, lives), (expected, if expected.is_some() { 3 } else { 2 }), "{index}");
    }
}

#[test]
fn of_two_figures_the_worse_quality_holds_whichever_comes_last() {
    let numeric = |handle: &str, code: &str, unit: &str| {
        format!("0006 {handle} 0003 [092F [0002{code}] 0996 [{unit}] 0A55 [0002 [0A4C0002 09470002]]]")
    };
    let objects = [numeric("0001", "4BB8", "0220"), numeric("000A", "481A", "0AA0")];
    const GOOD: &str = "0000";
    const QUESTIONABLE: &str = "4000";
    for (spo2, pulse, expected) in [
        (GOOD, GOOD, None),
        (QUESTIONABLE, GOOD, Some(false)),
        (GOOD, QUESTIONABLE, Some(false)),
        (QUESTIONABLE, QUESTIONABLE, Some(false)),
    ] {
        let (spo2, pulse) = (format!("0001 [0061 {spo2}]"), format!("000A [0048 {pulse}]"));
        for order in [[&spo2, &pulse], [&pulse, &spo2]] {
            let mut oximeter = crate::oximeter_phd::OximeterPhd::new();
            oximeter.port_opened(now());
            oximeter.handle_input(&aarq("4003"), now());
            oximeter.handle_input(&event("0101", "0D1C", &format!("4003 0002 [{}]", objects.concat())), now());
            oximeter.handle_input(&within("0008", "0203", "0000 0000 []"), now());
            let report = format!("F000 0000 0002 [{} {}]", order[0], order[1]);
            oximeter.handle_input(&event("0100", "0D1D", &report), after(now(), 5));
            let lives = events(&mut oximeter).into_iter().filter_map(|event| match event {
                Event::Live(Measured { high_quality, .. }) => Some(high_quality),
                _ => None,
            });
            assert_eq!(lives.collect::<Vec<_>>(), [expected; 2], "{order:?}");
        }
    }
}

#[test]
fn a_spot_check_is_one_reading_and_an_old_one_is_none() {
    let mut oximeter = crate::oximeter_phd::OximeterPhd::new();
    oximeter.port_opened(now());
    oximeter.handle_input(&aarq("0191"), now());
    oximeter.handle_input(&told("2026030908412000"), now());
    oximeter.start(now());
    let report = |at: &str| event("0101", "0D1D", &format!("F000 0000 0002 [0001 [0061 {at}] 000A [0048 {at}]]"));
    oximeter.handle_input(&report("2026030908400000"), after(now(), 20));
    assert!(events(&mut oximeter).is_empty());
    oximeter.handle_input(&report("2026030908413000"), after(now(), 20));
    let seen = events(&mut oximeter);
    assert!(matches!(seen[..], [Event::Reading(_), Event::Reading(_), Event::Finished]), "{seen:?}");
}

#[test]
fn a_number_of_a_patient_is_not_printed() {
    assert_eq!(format!("{:?}", Number::sfloat(0x0061)), "[patient]");
}

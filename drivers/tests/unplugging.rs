//! Random unplugging, alone in its process: the file descriptors are counted.

use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use drivers::model;
use drivers::ports::{Address, Binding, Port, PortEvent};
use sim::Simulator;

/// Times the cable is pulled out.
const ROUNDS: usize = 20;

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_cable_pulled_out_twenty_times_leaks_nothing_and_is_back_within_two_seconds() {
    let mut seed = std::env::var("SEED").map_or_else(
        |_| u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() & 0xFFFF_FFFF).unwrap(),
        |seed| seed.parse().expect("a number"),
    );
    eprintln!("SEED={seed}");
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed >> 33
    };
    let dir = std::env::temp_dir().join(format!("drivers-unplugging-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let before = open_files();
    {
        let sim = Simulator::start("oximeter_nonin", &dir.join("port")).unwrap();
        let (sender, messages) = mpsc::sync_channel(drivers::ports::MESSAGES_MAX);
        let address = Address::Path(dir.join("port"));
        let model = model("oximeter_nonin").unwrap();
        let port = Port::open(Binding { name: "oximeter".into(), model, address }, sender).unwrap();
        let until = |fits: &dyn Fn(&PortEvent) -> bool| {
            let deadline = Instant::now() + Duration::from_secs(20);
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                let message = messages.recv_timeout(left).expect("waited in vain");
                if fits(&message.event) {
                    return;
                }
            }
        };
        until(&|e| matches!(e, PortEvent::Opened { .. }));
        port.start();
        let during = open_files();
        for _ in 0..ROUNDS {
            // A random number of arrivals of the curve; none: pulled out before it spoke.
            for _ in 0..random() % 12 {
                until(&|e| matches!(e, PortEvent::Waveform(_)));
            }
            sim.command("unplug").unwrap();
            until(&|e| matches!(e, PortEvent::Lost { was_open: true, .. }));
            let plugged_at = Instant::now();
            sim.command("plug").unwrap();
            until(&|e| matches!(e, PortEvent::Opened { .. }));
            assert!(plugged_at.elapsed() < Duration::from_secs(2));
            assert_eq!(open_files(), during);
        }
        // The measurement begun before the first of them ends well.
        until(&|e| matches!(e, PortEvent::Reading(_)));
    }
    assert_eq!(open_files(), before);
    std::fs::remove_dir_all(&dir).unwrap();
}

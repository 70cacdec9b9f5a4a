//! The control socket of a folder of simulators.

use sim::control::{Bench, NAMES, ask};

#[test]
fn a_folder_of_simulators_obeys_its_socket_and_leaves_nothing_behind() {
    let dir = std::env::temp_dir().join(format!("sim-control-{}", std::process::id()));
    let bench = Bench::start(&dir, &[]).unwrap();
    for (name, _) in NAMES {
        assert!(dir.join(name).exists(), "{name} is not plugged in");
    }
    assert_eq!(ask(&dir, "oximeter value spo2=91 pulse=104").unwrap(), "ok");
    assert!(ask(&dir, "oximeter values").unwrap().starts_with("spo2=91 pulse=104"));
    ask(&dir, "cuff unplug").unwrap();
    assert!(!dir.join("cuff").exists());
    ask(&dir, "cuff plug").unwrap();
    assert!(dir.join("cuff").exists());
    assert!(ask(&dir, "toaster unplug").unwrap_err().contains("oximeter, cuff, scale, thermometer"));
    assert!(ask(&dir, "scale value weight=heavy").unwrap_err().contains("weight=70.30"));
    assert!(ask(&dir, "scale dance").unwrap_err().contains("step on|off"));
    drop(bench);
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    std::fs::remove_dir_all(&dir).unwrap();
}

//! A technician swaps a part: the new device is found, tried and kept by touch, without a keyboard and without a file.
//!
//! A pseudo-terminal is no port that the kernel lists. The test runs in a mount namespace of its own, where the kernel's
//! list of ports holds one USB adapter and the adapter's file is the simulator's line.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use whole_cabin::physician::Browser;
use whole_cabin::screen::containing;
use whole_cabin::site::Site;

use super::{Visit, start_outbox_to_the_desk};

/// Any file of a character device that every machine has: the adapter's file is laid over it.
const PORT: &str = "full";
const PRODUCT: &str = "CP2102N USB to UART Bridge";
const SERIAL: &str = "0042ESSAI";

#[test]
fn a_device_is_found_tried_and_kept_by_touch() -> Result<()> {
    let unshare: &[&str] = if rustix::process::geteuid().is_root() { &["-m"] } else { &["-rm"] };
    if !Command::new("unshare").args(unshare).arg("true").status().is_ok_and(|status| status.success()) {
        ensure!(std::env::var_os("CI").is_none(), "this account may make no mount namespace (unshare {unshare:?})");
        eprintln!("a_device_is_found_tried_and_kept_by_touch: SKIPPED, this account may make no mount namespace");
        return Ok(());
    }
    let output = Command::new("unshare")
        .args(unshare)
        .args(["--kill-child", "--fork"])
        .arg(std::env::current_exe()?)
        .args(["--ignored", "--exact", "whole_consultation::technician::apart", "--nocapture"])
        .env("IN_NAMESPACE", "1")
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    eprintln!("{said}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success() && said.contains("test result: ok. 1 passed"), "{}", output.status);
    Ok(())
}

#[test]
#[ignore = "in its namespace only: the test above starts it"]
fn apart() -> Result<()> {
    if std::env::var_os("IN_NAMESPACE").is_none() {
        return Ok(());
    }
    let site = Site::open_with(&[("spare", "oximeter_contec")])?;
    site.device("spare value spo2=91 pulse=64")?;
    lay_out(&site)?;
    let mut visit = Visit::open_at("technician", site, (1280, 800), Browser::Chromium, |site| {
        // Nothing is said of it yet.
        site.take_out_of_settings("\"spare\"")?;
        start_outbox_to_the_desk(site)
    })?;
    visit.pharmacist_opens()?;
    visit.step("the new device is found, and its model proposed");
    visit.pharmacist_signs_in("Espace pharmacien", "Entrer", "chiffre")?;
    let window = &visit.window;
    window.press("Technique")?;
    window.press("Brancher un appareil")?;
    window.find(containing("Qu’avez-vous branché"))?;
    window.press(containing(PRODUCT))?;
    window.find(containing("Quel appareil est-ce"))?;
    let proposed = window.find(containing("CMS50"))?;
    ensure!(proposed.name.contains("probable"), "not proposed: {proposed:?}");
    window.press(containing("CMS50"))?;

    visit.step("it answers, measures, and is kept");
    window.find("L’appareil répond.")?;
    window.press("Mesurer pour essayer")?;
    for figure in ["91", "64"] {
        window.find(figure)?;
    }
    window.press("Garder ce réglage")?;
    window.find(containing("est réglé"))?;
    let settings = fs::read_to_string(visit.site.cabin_settings())?;
    ensure!(settings.contains("model = \"oximeter_contec\"") && settings.contains(SERIAL), "not in the settings");
    ensure!(!settings.contains("oximeter_nonin"), "the former oximeter is still bound");

    visit.step("the next patient is measured with it");
    window.press("Retour")?;
    window.find(containing("CMS50"))?;
    window.press("Retour")?;
    window.press("Verrouiller")?;
    visit.patient_says_why()?;
    visit.patient_says_who()?;
    visit.patient_agrees()?;
    visit.skips("Température")?;
    visit.measure("Oxygène et pouls")?;
    visit.window.find("91")?;
    visit.keep()?;
    visit.close()
}

/// The kernel's list of ports as it is with one adapter plugged in.
fn lay_out(site: &Site) -> Result<()> {
    let mount = |arguments: &[&str]| -> Result<()> {
        let output = Command::new("mount").args(arguments).output()?;
        ensure!(output.status.success(), "mount {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    mount(&["-t", "tmpfs", "tmpfs", "/sys/class/tty"])?;
    let usb = "/sys/class/tty/.usb/1-1";
    fs::create_dir_all(format!("{usb}/1-1:1.0"))?;
    for (file, text) in [("idVendor", "10c4"), ("idProduct", "ea60"), ("product", PRODUCT), ("serial", SERIAL)] {
        fs::write(format!("{usb}/{file}"), format!("{text}\n"))?;
    }
    let class = format!("/sys/class/tty/{PORT}");
    fs::create_dir(&class)?;
    symlink(format!("{usb}/1-1:1.0"), format!("{class}/device"))?;
    fs::write(format!("{class}/dev"), "188:0\n")?;
    let line = fs::canonicalize(site.devices_folder().join("spare"))?;
    mount(&["--bind", line.to_str().context("a line's name")?, &format!("/dev/{PORT}")])
}

//! The harness is tried on a window of its own before it judges the cabin.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use whole_cabin::physician::{Physician, totp_at};
use whole_cabin::process::Process;
use whole_cabin::screen::{Role, Screen, Wanted};
use whole_cabin::site::Site;

#[test]
fn a_window_is_found_touched_and_typed_into_by_its_accessible_labels() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let screen = Screen::open(folder.path(), 800, 600)?;
    let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_probe-window")));
    screen.show_on(&mut command);
    let mut probe = Process::start("probe-window", command, folder.path())?;
    let window = screen.window_of(&mut probe)?;
    eprintln!("{}", window.tree());

    window.find("Touché 0 fois")?;
    window.press("Toucher")?;
    window.find("Touché 1 fois")?;
    window.activate("Toucher")?;
    window.find("Touché 2 fois")?;
    assert!(window.find("Contraste")?.checked, "a switch says that it is on");

    window.type_into(Wanted::from("Nom de naissance"), "Dupont")?;
    window.find("Bonjour Dupont")?;
    window.holds("Nom de naissance", "Dupont")?;

    window.press(Wanted::from("Montrer").with_role(Role::Button))?;
    window.find("Une question de plus")?;
    window.press("Cacher")?;
    window.gone("Une question de plus")?;
    screen.keep_picture("probe")?;
    probe.end()?;
    Ok(())
}

#[test]
fn the_code_of_an_authenticator_is_that_of_the_standard() -> Result<()> {
    // RFC 6238, appendix B, SHA-1, the last six of eight digits; the secret is "12345678901234567890".
    let secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    assert_eq!(totp_at(secret, 59)?, "287082");
    assert_eq!(totp_at(secret, 1_111_111_109)?, "081804");
    assert_eq!(totp_at(secret, 20_000_000_000)?, "353130");
    Ok(())
}

#[test]
fn a_browser_is_driven_by_what_is_written_on_the_page_and_sees_moving_pictures() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let page = folder.path().join("page.html");
    std::fs::write(&page, include_str!("harness/probe_page.html"))?;
    let physician = Physician::open(folder.path(), "probe")?;
    physician.visit(&format!("file://{}", page.display()))?;
    physician.type_into("Conclusion", "Tout va bien")?;
    physician.choose("Ensuite", "Rien de plus")?;
    physician.press("Remettre")?;
    physician.shows("Tout va bien / none")?;
    physician.press("Regarder")?;
    let picture = physician.sees_moving_picture("#own", 5)?;
    assert!(picture.width > 0 && picture.has_content());
    assert!(
        physician.offers("Remettre")? && !physician.offers("Bouton caché")?,
        "only what can be seen can be pressed"
    );
    let browser = physician.browser_id();
    drop(physician);
    assert!(!Path::new(&format!("/proc/{browser}")).exists(), "the browser is gone");
    Ok(())
}

#[test]
fn a_desk_simulators_and_an_outbox_start_as_one_site_and_leave_nothing_running() -> Result<()> {
    let mut site = Site::open()?;
    site.start_outbox(&format!("{}/fhir", site.desk_address()), None)?;
    assert!(!site.device("scale values")?.is_empty());
    let physician = Physician::open(site.folder(), "morel")?;
    physician.visit(&site.desk_address())?;
    let account = site.account();
    physician.sign_in(&account.name, &account.password, &account.totp_secret)?;
    physician.shows("Personne n’attend")?;
    drop(physician);
    site.kill_desk()?;
    site.start_desk()?;
    site.check_alive()?;
    site.close()
}

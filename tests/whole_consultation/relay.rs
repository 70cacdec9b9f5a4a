//! A site whose network lets nothing through but a relay, and a relay that dies in the call.

use anyhow::{Context as _, Result};
use whole_cabin::physician::Browser;
use whole_cabin::relay::Relay;

use super::{Visit, start_outbox_to_the_desk};

#[test]
fn a_call_through_a_relay_alone_goes_on_by_itself_when_the_relay_died_and_is_back() -> Result<()> {
    let mut lent = None;
    let mut visit = Visit::open_with("relay", (1280, 800), Browser::Chromium, |site| {
        let relay = Relay::start(site.folder())?;
        relay.is_lent_by(&site.desk_folder())?;
        lent = Some(relay);
        site.kill_desk()?;
        site.start_desk()?;
        site.change_settings(|settings| settings + "\n[call]\nrelays_only = true\n")?;
        start_outbox_to_the_desk(site)
    })?;
    let mut relay = lent.context("a relay")?;
    visit.pharmacist_opens()?;
    visit.physician_signs_in()?;
    visit.patient_is_ready()?;
    visit.window.find("Vous êtes dans la salle d’attente")?;
    visit.step("they see each other, through the relay alone");
    visit.patient_is_taken_and_seen()?;

    visit.step("the relay dies, and everything went through it: both are told");
    relay.kill()?;
    visit.physician.shows("La liaison avec la cabine est coupée. Elle reprend toute seule.")?;
    visit.window.find("Liaison coupée")?;

    visit.step("the relay is back: the call too, with nobody touching anything");
    relay.start_again()?;
    visit.physician.sees_moving_picture("#remote-video", 5)?;
    visit.window.find("Image du médecin")?;
    visit.window.find("Liaison bonne")?;
    visit.physician_concludes()?;
    visit.window.find("Vos papiers")?;
    relay.kill()?;
    visit.close()
}

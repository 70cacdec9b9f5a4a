//! The cabin's own program, its outbox, or both, killed at any moment of one patient's visit after the other, while the
//! records before are sent to a FHIR server that is not ours and cuts every second answer. What the screen had moved on
//! from is never asked again, and each patient is at the server once, with what they said and what was measured.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use whole_cabin::process::until;
use whole_cabin::screen::{Wanted, containing};

use super::{NO_LINE, Visit, person};
use crate::fhir_peer::{Peer, tools_or_skip};

/// Kills in one run; `CABIN_KILLS` asks for more, and `CABIN_KILLS_SEED` for the same again.
const KILLS: u64 = 12;
/// So many patients at least: of the second one's record the answer is cut.
const PATIENTS_MIN: u64 = 2;
/// The server has its time on a busy machine, and starts of two programs are waited for.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longest wait for what is touched on a page.
const PAGE_PATIENCE: Duration = Duration::from_secs(8);
/// A kill lands at most so long after the last touch of a page, in microseconds: before, in and after what it does.
const AFTER_TOUCH_US: u64 = 60_000;

/// A page that a patient, or the pharmacist, stands before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Page {
    /// The outbox is away: everything waits for it.
    NothingIsKept,
    /// A touch fell on what came under it: the notice that nothing is kept offers to call the pharmacist, and the
    /// pharmacist's page.
    Help,
    SignIn,
    Closed,
    /// Equipment was not there yet when the PIN was right.
    Check,
    Cleaning,
    Farewell,
    Number,
    NoLine,
    Oxygen,
    Pressure,
    Reading,
    Temperature,
    Consent,
    Telephone,
    Town,
    Doctor,
    Who,
    Matricule,
    Birthplace,
    BirthDate,
    Sex,
    GivenNames,
    BirthName,
    Sign,
    Sentence,
    Body,
    Reason,
    Welcome,
}

use Page::{
    BirthDate, BirthName, Birthplace, Body, Check, Cleaning, Closed, Consent, Doctor, Farewell, GivenNames, Help,
    Matricule, NoLine, NothingIsKept, Number, Oxygen, Pressure, Reading, Reason, Sentence, Sex, Sign, SignIn,
    Telephone, Temperature, Town, Welcome, Who,
};

/// What shows each page, its whole name after an equals sign; the first that is there counts.
const PAGES: [(Page, &str); 29] = [
    (SignIn, "=Qui êtes-vous\u{a0}?"),
    (Help, "=Pharmacien\u{a0}: je suis là"),
    (NothingIsKept, "n’arrive pas à garder vos réponses"),
    (Check, "Contrôle avant l’ouverture"),
    (Closed, "=Ouvrir la cabine"),
    (Cleaning, "=La cabine est en nettoyage"),
    (Farewell, "Un médecin vous rappellera au numéro"),
    (Number, "À quel numéro vous rappeler"),
    (NoLine, NO_LINE),
    (Reading, "La mesure est faite"),
    (Oxygen, "=Oxygène et pouls"),
    (Pressure, "=Tension"),
    // While it is measured no page is there.
    (Temperature, "=C’est en place"),
    (Consent, "=Vos données, vos choix"),
    (Telephone, "=Votre numéro de téléphone"),
    (Town, "Dans quelle ville habitez-vous"),
    (Doctor, "Avez-vous un médecin traitant"),
    (Who, "Est-ce bien vous"),
    (Matricule, "=Votre numéro de sécurité sociale"),
    (Birthplace, "=Votre lieu de naissance"),
    (BirthDate, "=Votre date de naissance"),
    (Sex, "=Votre sexe"),
    (GivenNames, "=Vos prénoms"),
    (BirthName, "=Votre nom de naissance"),
    (Sign, "Question "),
    (Sentence, "=Expliquez en une phrase"),
    (Body, "Touchez l’endroit du corps"),
    (Reason, "Pourquoi voulez-vous voir un médecin"),
    (Welcome, "=Commencer"),
];

impl Page {
    /// What is durable once the page is there: a later step is never followed by an earlier one. Pages of one step are
    /// filled in together.
    fn step(self) -> Option<u8> {
        Some(match self {
            NothingIsKept | Help | SignIn | Closed | Check => return None,
            Welcome => 0,
            Reason | Body | Sentence => 1,
            Sign => 2,
            BirthName | GivenNames | Sex | BirthDate | Birthplace | Matricule | Who => 3,
            Doctor | Town | Telephone => 4,
            Consent => 5,
            Temperature | Reading => 6,
            Oxygen => 7,
            Pressure => 8,
            NoLine | Number => 9,
            Farewell => 10,
            Cleaning => 11,
        })
    }
}

fn shown(words: &str) -> Wanted {
    match words.strip_prefix('=') {
        Some(name) => name.into(),
        None => containing(words),
    }
}

/// Letters of a number: every patient has a name of their own.
fn name_of(number: u64) -> String {
    let letters = number.to_string().bytes().map(|digit| char::from(b'A' + digit - b'0')).collect::<String>();
    format!("{}{letters}", person::BIRTH_NAME)
}

impl Visit {
    /// Waits for one of the pages.
    fn page(&self) -> Result<Page> {
        let wanted: Vec<Wanted> = PAGES.iter().map(|(_, words)| shown(words)).collect();
        // Two programs start, devices are found, a temperature is measured: longer than a touch is waited for.
        let page = || Ok(self.window.find_any(&wanted).ok().map(|(which, _)| PAGES[which].0));
        // What the screen held instead is in the words of the last look.
        until("a page", PATIENCE, page).or_else(|late| Ok(PAGES[self.window.find_any(&wanted).context(late)?.0].0))
    }

    fn writes(&self, field: &str, text: &str) -> Result<()> {
        // What a page of before a kill still holds is taken out first.
        let erased = "\u{8}".repeat(40);
        self.window.type_into(field, &(erased + text))?;
        self.window.holds(field, text)
    }

    /// Types a place, and chooses it in the list.
    fn finds(&self, typed: &str, place: &str) -> Result<()> {
        self.screen.display().type_text(&("\u{8}".repeat(20) + typed))?;
        self.window.press(containing(place))?;
        self.window.press("Continuer")
    }

    /// Does what a patient does on that page.
    fn does(&mut self, page: Page, name: &str) -> Result<()> {
        let window = &self.window;
        let chooses = |choice: &str| window.press(choice).and_then(|()| window.press("Continuer"));
        match page {
            NothingIsKept => window.gone(containing("n’arrive pas à garder vos réponses")),
            Closed => self.pharmacist_signs_in("Ouvrir la cabine", "Entrer", "chiffre"),
            Help => window.press("Pharmacien\u{a0}: je suis là"),
            SignIn => window.press("Retour"),
            Check => window.press("Ouvrir la cabine"),
            Welcome => window.press("Commencer"),
            Reason => chooses("Toux, respiration"),
            Body => chooses("Oreilles, nez ou gorge"),
            Sentence => self.writes("Votre phrase", person::LINE).and_then(|()| window.press("Continuer")),
            Sign => {
                // Its number: the next question may be there before this one is touched again.
                let question = window.look(containing("Question "))?.map(|element| element.name);
                question.map_or(Ok(()), |question| self.answers(&question, "Non"))
            }
            BirthName => self.writes("Nom de naissance", name).and_then(|()| window.press("Continuer")),
            GivenNames => self.writes("Prénoms", person::GIVEN_NAMES).and_then(|()| window.press("Continuer")),
            Sex => chooses("Féminin"),
            BirthDate => {
                for (field, typed) in ["Jour", "Mois", "Année"].into_iter().zip([
                    person::BIRTH_DATE.0,
                    person::BIRTH_DATE.1,
                    person::BIRTH_DATE.2,
                ]) {
                    self.writes(field, typed)?;
                }
                window.press("Continuer")
            }
            Birthplace => self.finds("angers", "Angers, 49"),
            Matricule => {
                self.screen.display().type_text(&("\u{8}".repeat(20) + &person::matricule()))?;
                window.press("Continuer")
            }
            Who => window.press("C’est bien moi"),
            Doctor => chooses("Non"),
            Town => self.finds(&person::TOWN.to_lowercase(), &format!("{}, 49", person::TOWN)),
            Telephone => self.writes("Téléphone", person::PHONE).and_then(|()| window.press("Continuer")),
            Consent => {
                for answer in ["Me soigner : oui", "Prévenir mon médecin traitant : oui", "Statistiques : non"] {
                    if window.look(answer)?.is_some() {
                        window.press(answer)?;
                    }
                }
                window.press("Continuer")
            }
            Temperature => window.press("C’est en place"),
            Reading => window.press("Garder"),
            Oxygen | Pressure => {
                window.press("Passer cette mesure")?;
                chooses("Je ne veux pas")
            }
            NoLine => window.press("Être rappelé"),
            Number => self.writes("Téléphone", person::PHONE).and_then(|()| window.press("Être rappelé")),
            Farewell => window.press("Terminé"),
            Cleaning => {
                self.touches_what_was_used()?;
                window.press("Nettoyage fait")
            }
        }
    }
}

#[test]
fn cabin_and_outbox_killed_at_any_moment_of_a_visit_lose_nothing_and_send_nothing_twice() -> Result<()> {
    let test = "cabin_and_outbox_killed_at_any_moment_of_a_visit_lose_nothing_and_send_nothing_twice";
    let Some(tools) = tools_or_skip(test) else { return Ok(()) };
    let asked = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let kills = asked("CABIN_KILLS").unwrap_or(KILLS);
    let seed = asked("CABIN_KILLS_SEED").unwrap_or_else(rand::random);
    eprintln!("CABIN_KILLS_SEED={seed} kills at the same pages again");
    let mut chance = StdRng::seed_from_u64(seed);
    let peer = Peer::start_cutting(tools, 2)?;
    let mut visit = Visit::open("killed", (1280, 800), |site| {
        site.start_outbox(peer.base(), None)?;
        site.kill_desk()
    })?;

    let (mut killed, mut count, mut reached, mut last, mut again) = ([0_u64; 3], 0, 0, None, 0);
    // Of the patient who is there, and of those whose records were made.
    let (mut number, mut done) = (0, 0);
    loop {
        let page = visit.page()?;
        if let Some(step) = page.step() {
            // Nobody is there any more: the one before left a record, for that was the last thing asked.
            let is_next = reached >= 9 && (step == 0 || step == 11);
            if is_next || (step == 10 && reached < 10) {
                done = done.max(number + 1);
            }
            if step == 0 && done == number + 1 {
                (number, reached) = (number + 1, 0);
            }
            // Nobody is there, and everybody who was is written down.
            if is_next && done >= PATIENTS_MIN && killed.iter().sum::<u64>() >= kills {
                break;
            }
            ensure!(step >= reached || is_next, "patient {number} was at step {reached}, and is asked {page:?} again");
            reached = step;
        } else if matches!(page, Closed | Check) {
            ensure!(reached == 0 || reached >= 9, "patient {number} was at step {reached}, and the cabin is closed");
        }
        // A kill may have come before the touch counted: the same page is then there again.
        count += 1;
        ensure!(count < 40 * (kills + 20), "no end is in sight, at {page:?} after {last:?}");
        last = Some(page);
        if let Err(error) = visit.does(page, &name_of(number)) {
            // After a kill of the outbox alone the page may go while it is looked at, or what is typed may fall on the
            // notice that nothing is kept. Then another is there, or the same is done again.
            if visit.page()? == page {
                again += 1;
                ensure!(again <= kills, "patient {number} at {page:?}: {error:?}");
            }
            continue;
        }
        if killed.iter().sum::<u64>() < kills && chance.random_range(0..3) == 0 {
            // Not a wait for anything: it only makes the kill land at a random point of what the touch began.
            std::thread::sleep(Duration::from_micros(chance.random_range(0..AFTER_TOUCH_US)));
            let what = chance.random_range(0..3_usize);
            killed[what] += 1;
            if what != 0 {
                visit.site.kill_cabin()?;
            }
            if what != 1 {
                visit.site.kill_outbox()?;
                visit.site.start_outbox_again()?;
            }
            if what != 0 {
                visit.window = visit.site.start_cabin(&visit.screen)?.with_patience(PAGE_PATIENCE);
            }
        } else {
            // The page goes, or says why it does not.
            let Some((_, words)) = PAGES.iter().find(|(of, _)| *of == page) else { bail!("{page:?} has no words") };
            // A question is answered when another is there.
            if page != Sign {
                // Where the touch fell on the notice that the outbox is away, it is done again.
                if let Err(error) = visit.window.gone(shown(words)) {
                    again += 1;
                    ensure!(again <= kills, "{page:?} stays: {error:?}");
                }
            }
        }
    }

    visit.step("everything is sent");
    visit.outbox_is_drained()?;
    let resources = peer.resources()?;
    let of_kind = |kind: &'static str| resources.iter().filter(move |resource| resource["resourceType"] == kind);
    let mut twice: BTreeMap<String, u64> = BTreeMap::new();
    for resource in &resources {
        if let Some(identifier) = resource["identifier"][0]["value"].as_str() {
            *twice.entry(format!("{} {identifier}", resource["resourceType"])).or_default() += 1;
        }
    }
    twice.retain(|_, count| *count > 1);
    let family = |patient: &Value| patient["name"][0]["family"].as_str().map(str::to_owned);
    let mut found: Vec<_> = of_kind("Patient").filter_map(family).collect();
    let mut expected: Vec<_> = (0..done).map(name_of).collect();
    found.sort();
    expected.sort();
    let is_temperature = |observation: &&Value| observation["valueQuantity"]["value"] == 37.46;
    let temperatures = of_kind("Observation").filter(is_temperature).count();
    // What each one said, in some resource that names them.
    let silent: Vec<_> = of_kind("Patient")
        .filter(|patient| {
            let name = format!("Patient/{}", patient["id"].as_str().unwrap_or_default());
            !resources.iter().map(Value::to_string).any(|text| text.contains(&name) && text.contains(person::LINE))
        })
        .collect();
    let cut = peer.requests()?.iter().filter(|request| request.cut).count();
    eprintln!(
        "{} kills (outbox {}, cabin {}, both {}): {done} patients, {count} pages; {cut} answers stored and cut; at the \
         server {} patients, {temperatures} temperatures; twice: {}",
        killed.iter().sum::<u64>(),
        killed[0],
        killed[1],
        killed[2],
        found.len(),
        twice.len()
    );
    ensure!(cut > 0, "no answer was cut");
    ensure!(twice.is_empty(), "stored twice: {twice:?}");
    ensure!(found == expected, "at the server are {found:?}, where {expected:?} are expected");
    ensure!(silent.is_empty(), "what these said is not there: {silent:?}");
    ensure!(temperatures as u64 == done, "{temperatures} temperatures of {done} patients");
    visit.close()
}

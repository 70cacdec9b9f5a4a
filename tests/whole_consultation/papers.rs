//! The patient's papers: out of a real printer, and into a telephone by the code on the screen.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use whole_cabin::memory::Trace;
use whole_cabin::physician::Physician;
use whole_cabin::process::{PATIENCE, until};
use whole_cabin::screen::{Window, containing};

use super::{Visit, person};

/// On the screen, what the code is called.
const CODE: &str = "Code à lire avec votre téléphone";

impl Visit {
    /// A printer that is off, then on: two files come out, as they went in.
    pub fn patient_prints(&mut self, prescription: &[u8]) -> Result<()> {
        self.step("the printer is off: the screen says so and offers the code");
        let window = &self.window;
        window.find("Vos papiers")?;
        window.press("Imprimer")?;
        window.find(containing("impression n’a pas marché"))?;
        ensure!(window.find("Sur mon téléphone")?.enabled, "no code is offered");

        self.step("the printer is on: the sheet and the prescription come out");
        self.printer.switch_on()?;
        self.window.press("Imprimer")?;
        self.window.find(containing("Vos papiers sont imprimés"))?;
        let printed = self.printer.printed()?;
        ensure!(printed.len() == 2, "{} files were printed", printed.len());
        ensure!(printed.iter().any(|file| file == prescription), "the prescription was printed otherwise than written");
        let sheet = printed.iter().find(|file| *file != prescription).context("the patient's sheet")?;
        ensure!(sheet.starts_with(b"%PDF-"), "the sheet is no PDF");
        Ok(())
    }

    /// Reads the code from the screen and opens everything in a browser that knows nothing else. Gives what must not
    /// be found in the cabin afterwards: the key.
    pub fn patient_takes_papers_by_telephone(&mut self, prescription: &[u8]) -> Result<Vec<Trace>> {
        self.step("the code on the screen opens both papers in a telephone");
        self.window.press("Sur mon téléphone")?;
        let address = scan(&self.window)?;
        let (desk, secret) = address.split_once("/papers/#").context("the address of the papers")?;
        ensure!(desk == self.site.desk_address(), "the code leads to {desk}");
        let (_, key) = secret.split_once('.').context("the key")?;
        ensure!(!self.site.desk_holds(key)?, "the desk has the key");

        let telephone = Physician::open(self.site.folder(), "telephone")?;
        telephone.visit(&address)?;
        telephone.shows("Vos 2 papiers sont là.")?;
        let sheet = saved(&telephone, "Compte rendu de la cabine", "compte-rendu-cabine.pdf")?;
        ensure!(sheet.starts_with(b"%PDF-"), "the sheet is no PDF");
        let order = saved(&telephone, "Ordonnance", "ordonnance.pdf")?;
        ensure!(order == prescription, "the prescription is not the one that the physician attached");
        opens_beside(&telephone, "Ordonnance")?;

        self.step("a wrong key, a wrong name and half a code say what to do");
        let wrong = address.replace(key, &URL_SAFE_NO_PAD.encode([7; 32]));
        for (address, said) in [
            (wrong, "Ce code n’ouvre pas ces papiers."),
            (format!("{desk}/papers/#{}.{key}", URL_SAFE_NO_PAD.encode([7; 16])), "Ces papiers ne sont plus ici."),
            (format!("{desk}/papers/#abc"), "Le code est incomplet."),
        ] {
            telephone.visit(&address)?;
            telephone.shows(said)?;
            ensure!(!telephone.text("#advice")?.is_empty() && telephone.offers("Essayer de nouveau")?);
            ensure!(!telephone.offers("Ouvrir : Ordonnance")?, "a paper is offered without its key");
        }
        telephone.press("English")?;
        telephone.shows("The code is not complete.")?;

        self.window.press("Cacher le code")?;
        self.window.gone(CODE)?;
        let bytes = URL_SAFE_NO_PAD.decode(key)?;
        Ok(vec![Trace::of(key)?, Trace::of_bytes("the key of the papers", &bytes)])
    }
}

impl Visit {
    /// The desk is away: the code holds the words of the sheet, from the screen alone. It is back: the code opens
    /// everything, without anybody's help.
    pub fn patient_takes_words_while_the_desk_is_away(&mut self) -> Result<()> {
        self.step("the desk is away: the code holds the words; it is back: the code opens everything");
        self.site.kill_desk()?;
        self.window.press("Sur mon téléphone")?;
        let words = scan(&self.window)?;
        for written in ["1/", "VOTRE TÉLÉCONSULTATION", person::BIRTH_NAME] {
            ensure!(words.contains(written), "the code holds no {written:?}: {words}");
        }
        ensure!(!words.contains("/papers/#"), "an address that nobody answers");
        self.window.find(containing("L’ordonnance n’y est pas"))?;
        self.window.press(containing("le suivant"))?;
        until("the next code", PATIENCE, || Ok(scan(&self.window)?.starts_with("2/").then_some(())))?;
        self.window.press("Cacher le code")?;
        self.site.start_desk()?;
        let address = until("a code that opens everything", PATIENCE, || {
            self.window.press("Sur mon téléphone")?;
            let code = scan(&self.window)?;
            self.window.press("Cacher le code")?;
            Ok(code.contains("/papers/#").then_some(code))
        })?;
        ensure!(address.starts_with(&self.site.desk_address()), "the code leads to {address}");
        Ok(())
    }
}

/// Reads the code on the cabin's screen, as a telephone does: from its picture.
pub fn scan(window: &Window) -> Result<String> {
    until("a code that can be read", PATIENCE, || {
        let Some(element) = window.look(CODE)? else { return Ok(None) };
        let picture = window.picture_of(&element)?;
        let (width, height) = (usize::from(picture.width), usize::from(picture.height));
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| {
            let [red, green, blue] = picture.at(x as u16, y as u16).map(u16::from);
            ((red + green + blue) / 3) as u8
        });
        let Some(grid) = image.detect_grids().into_iter().next() else { bail!("no code is seen in the picture") };
        Ok(Some(grid.decode()?.1))
    })
}

/// Saves a paper as the patient does, and gives the bytes of the file.
fn saved(telephone: &Physician, paper: &str, file: &str) -> Result<Vec<u8>> {
    telephone.press(&format!("Enregistrer : {paper}"))?;
    let path = telephone.downloads().join(file);
    until(&format!("{} to be saved", path.display()), PATIENCE, || Ok(finished(&path)?.then_some(())))?;
    Ok(std::fs::read(path)?)
}

/// Chromium gives a file its name only once it is whole.
fn finished(path: &Path) -> Result<bool> {
    Ok(std::fs::metadata(path).is_ok_and(|file| file.len() > 0))
}

/// "Ouvrir" shows the PDF in a tab of its own, and nothing that the page may not do was tried.
fn opens_beside(telephone: &Physician, paper: &str) -> Result<()> {
    telephone.press(&format!("Ouvrir : {paper}"))?;
    until("a tab with the paper", PATIENCE, || {
        Ok(telephone.addresses()?.iter().any(|address| address.starts_with("blob:")).then_some(()))
    })?;
    let console = telephone.console();
    ensure!(!console.contains("Content Security Policy"), "{console}");
    Ok(())
}

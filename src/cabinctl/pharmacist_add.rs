//! `cabinctl pharmacist add NAME --config FILE [--id ID] [--replace]`: the PIN comes on standard input.

use std::io::{BufRead, Read as _, Write};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use argon2::Argon2;
use argon2::password_hash::{PasswordHasher as _, SaltString};
use rand::RngCore as _;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::arguments::Arguments;
use crate::config_file;

/// Fewest digits of a PIN.
const PIN_MIN: usize = 6;
/// Most: the cabin's pad takes no more.
const PIN_MAX: usize = 12;

pub(crate) fn run(mut arguments: Arguments, input: &mut dyn BufRead, out: &mut dyn Write) -> Result<()> {
    let path = PathBuf::from(arguments.need_option("config")?);
    let id = arguments.option("id");
    let replace = arguments.option("replace").is_some();
    let name = arguments.need("the pharmacist's name")?;
    arguments.end()?;
    let id = id.unwrap_or_else(|| short(&name));
    let config = config_file::load(&path)?;
    if !replace && config.pharmacists.iter().any(|pharmacist| pharmacist.id == id) {
        bail!("{id:?} is there already: --replace gives a new PIN, --id another name");
    }
    write!(out, "PIN of {name}, {PIN_MIN} to {PIN_MAX} digits: ")?;
    out.flush()?;
    let pin = unseen(input)?;
    writeln!(out)?;
    check(&pin)?;
    wiring::edit::set_pharmacist(&path, &id, &name, &hash(&pin)?)?;
    writeln!(out, "{name} ({id}) can open the cabin from its next start")?;
    Ok(())
}

/// One line, not shown when somebody types it.
fn unseen(input: &mut dyn BufRead) -> Result<Zeroizing<String>> {
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).ok();
    if let Some(before) = &before {
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO;
        tcsetattr(&stdin, OptionalActions::Now, &silent)?;
    }
    let mut line = Zeroizing::new(String::with_capacity(64));
    let read = input.take(64).read_line(&mut line);
    if let Some(before) = &before {
        tcsetattr(&stdin, OptionalActions::Now, before)?;
    }
    read.context("the PIN cannot be read: type digits")?;
    Ok(Zeroizing::new(line.trim().to_owned()))
}

fn check(pin: &str) -> Result<()> {
    ensure!(
        (PIN_MIN..=PIN_MAX).contains(&pin.len()) && pin.bytes().all(|b| b.is_ascii_digit()),
        "a PIN is {PIN_MIN} to {PIN_MAX} digits"
    );
    let steps: Vec<i16> = pin.as_bytes().windows(2).map(|w| i16::from(w[1]) - i16::from(w[0])).collect();
    let even = steps.iter().all(|step| *step == steps[0]) && steps[0].abs() <= 1;
    ensure!(!even, "this PIN is the first that anybody tries: take another");
    Ok(())
}

/// argon2id with the crate's parameters (19 MiB, 2 passes), which the cabin reads back from the text.
fn hash(pin: &str) -> Result<String> {
    let mut salt = [0; 16];
    rand::rng().fill_bytes(&mut salt);
    let salt = SaltString::encode_b64(&salt).map_err(|error| anyhow::anyhow!("salt: {error}"))?;
    let hash = Argon2::default().hash_password(pin.as_bytes(), &salt);
    Ok(hash.map_err(|error| anyhow::anyhow!("the PIN cannot be hashed: {error}"))?.to_string())
}

/// A name as an identifier: `Zoë Le Goff` is `zoe-le-goff`.
fn short(name: &str) -> String {
    let mut id = String::new();
    for letter in name.chars().flat_map(char::to_lowercase) {
        let plain = match letter {
            'à' | 'â' | 'ä' | 'á' | 'ã' => 'a',
            'ç' => 'c',
            'é' | 'è' | 'ê' | 'ë' => 'e',
            'î' | 'ï' | 'í' => 'i',
            'ñ' => 'n',
            'ô' | 'ö' | 'ó' => 'o',
            'ù' | 'û' | 'ü' | 'ú' => 'u',
            'ÿ' => 'y',
            letter if letter.is_ascii_alphanumeric() => letter,
            _ => '-',
        };
        if plain != '-' || !id.is_empty() && !id.ends_with('-') {
            id.push(plain);
        }
    }
    id.truncate(40);
    id.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use argon2::{PasswordHash, PasswordVerifier as _};

    use super::*;

    #[test]
    fn a_pin_is_verified_by_its_hash_and_by_no_other() {
        let hash = hash("739154").unwrap();
        assert!(hash.starts_with("$argon2id$"));
        let parsed = PasswordHash::new(&hash).unwrap();
        assert!(Argon2::default().verify_password(b"739154", &parsed).is_ok());
        assert!(Argon2::default().verify_password(b"739155", &parsed).is_err());
    }

    #[test]
    fn a_pin_that_anybody_tries_first_is_refused() {
        for pin in ["12345", "1234567890123", "12345a", "", "000000", "123456", "987654"] {
            assert!(check(pin).is_err(), "{pin}");
        }
        for pin in ["739154", "135790", "112233"] {
            check(pin).unwrap();
        }
    }

    #[test]
    fn a_name_becomes_a_short_id() {
        assert_eq!(short("Zoë Le Goff"), "zoe-le-goff");
        assert_eq!(short("  Dr. D'Été "), "dr-d-ete");
    }
}

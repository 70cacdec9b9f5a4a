//! The desk's program: `desk --dir D` serves; the other verbs prepare accounts and cabins.
#![allow(clippy::print_stdout, reason = "a command line prints its answers")]

use std::collections::HashMap;
use std::io::{BufRead as _, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, bail};
use desk::accounts::{self, Accounts, Practice};
use desk::cabins::{Cabins, INVITE_LIFETIME_S, token};
use desk::config::Config;
use desk::totp;
use signal::call::{Physician, SHOWN_BYTES_MAX};

const USAGE: &str = "\
desk --dir D                          serves, as D/desk.toml says
desk init --dir D [--listen A]        makes D: configuration, a physician's account, a cabin's invitation
desk account add NAME --dir D --name N --speciality S --rpps R --town T [--fee-cents C] [--fee-text F] [--federated]
                                      the password is read from standard input; --federated: by the issuer only
desk account change NAME --dir D [--name N] [--speciality S] [--rpps R] [--town T] [--fee-cents C] [--fee-text F]
                                      what patients read of it; password and authenticator stay
desk account specialties NAME CODES --dir D
                                      whose second opinions it answers: dermatology,cardiology,... or none
desk account practice NAME --dir D [--finess F --structure N]
                                      where it practises: in that structure, or liberal (as an account is made)
desk account list|remove NAME --dir D
desk account code SECRET              the six digits that an authenticator shows now
desk cabin invite NAME --dir D        a one-time code for a cabin
desk cabin list|revoke ID --dir D";

/// Options with a value.
const OPTIONS: [&str; 10] =
    ["dir", "listen", "name", "speciality", "rpps", "town", "fee-cents", "fee-text", "finess", "structure"];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("desk: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What was not understood, and how it is written: the lines of the usage that begin so, or all of it.
fn not_understood(words: &[&str]) -> anyhow::Error {
    let forms = |start: &str| -> Vec<&str> {
        let form = |line: &&str| line.starts_with(start) && line[start.len()..].starts_with([' ', '|']);
        USAGE.lines().filter(form).collect()
    };
    let closest = (1..=words.len().min(2)).rev().map(|count| forms(&format!("desk {}", words[..count].join(" "))));
    match closest.into_iter().find(|forms| !forms.is_empty()) {
        Some(forms) => anyhow!("this is written\n{}", forms.join("\n")),
        None if words.is_empty() => anyhow!("--dir D is missing\n\n{USAGE}"),
        None => anyhow!("there is no {:?}\n\n{USAGE}", words.join(" ")),
    }
}

fn run() -> Result<()> {
    let (words, options) = arguments(std::env::args().skip(1))?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let dir = || options.get("dir").map(PathBuf::from).ok_or_else(|| anyhow!("--dir D is missing\n\n{USAGE}"));
    match words.as_slice() {
        ["help", ..] => {
            println!("{USAGE}");
            Ok(())
        }
        [] | ["run"] if options.contains_key("dir") => serve(&dir()?),
        ["init"] => init(&dir()?, options.get("listen").map_or("127.0.0.1:8443", String::as_str)),
        ["account", "add", name] => add_account(&data(&dir()?)?, name, &options),
        ["account", "change", name] => change_account(&data(&dir()?)?, name, &options),
        ["account", "list"] => {
            for (name, physician) in Accounts::open(&data(&dir()?)?).list()? {
                println!("{name}\t{}\t{}", physician.rpps.as_str(), physician.name.as_str());
            }
            Ok(())
        }
        ["account", "remove", name] => match Accounts::open(&data(&dir()?)?).remove(name)? {
            true => Ok(()),
            false => bail!("there is no account {name}"),
        },
        ["account", "specialties", name, codes] => {
            let codes: Vec<&str> = codes.split(',').filter(|code| !code.is_empty() && *code != "none").collect();
            Ok(Accounts::open(&data(&dir()?)?).set_specialties(name, &codes)?)
        }
        ["account", "practice", name] => {
            let text = |key: &str| options.get(key).cloned().unwrap_or_default();
            let practice = match options.contains_key("finess") || options.contains_key("structure") {
                true => Practice::Structure { finess: text("finess"), name: text("structure") },
                false => Practice::Liberal,
            };
            Ok(Accounts::open(&data(&dir()?)?).set_practice(name, practice)?)
        }
        ["account", "code", secret] => {
            let secret = totp::from_base32(secret).context("the secret is not base32 text")?;
            println!("{}", totp::code(&secret, now_s()));
            Ok(())
        }
        ["cabin", "invite", name] => {
            println!("{}", Cabins::open(&data(&dir()?)?).invite(name, now_s())?);
            eprintln!("For once, within {} days.", INVITE_LIFETIME_S / 86400);
            Ok(())
        }
        ["cabin", "list"] => {
            for (id, cabin) in Cabins::open(&data(&dir()?)?).list()? {
                let state = if cabin.revoked { "revoked" } else { "enrolled" };
                println!("{id}\t{state}\t{}\t{}", cabin.name.as_str(), cabin.site.town.as_str());
            }
            Ok(())
        }
        ["cabin", "revoke", id] => match Cabins::open(&data(&dir()?)?).revoke(id)? {
            true => Ok(()),
            false => bail!("there is no cabin {id}: see desk cabin list"),
        },
        words => Err(not_understood(words)),
    }
}

fn arguments(arguments: impl Iterator<Item = String>) -> Result<(Vec<String>, HashMap<String, String>)> {
    let (mut words, mut options) = (Vec::new(), HashMap::new());
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        match argument.strip_prefix("--") {
            None => words.push(argument),
            Some("help") => words = vec!["help".into()],
            Some("federated") => drop(options.insert("federated".into(), String::new())),
            Some(name) if !OPTIONS.contains(&name) => bail!("there is no option --{name}\n\n{USAGE}"),
            Some(name) => {
                let value = arguments.next().with_context(|| format!("--{name} needs a value\n\n{USAGE}"))?;
                options.insert(name.to_owned(), value);
            }
        }
    }
    Ok((words, options))
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn config(dir: &Path) -> Result<Config> {
    Ok(Config::load(&dir.join("desk.toml"))?)
}

fn data(dir: &Path) -> Result<PathBuf> {
    let data = config(dir)?.data;
    std::fs::create_dir_all(&data).with_context(|| data.display().to_string())?;
    Ok(data)
}

fn serve(dir: &Path) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_env("DESK_LOG").unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let config = config(dir)?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let mut running = desk::app::start(config).await?;
        println!("{}", running.origin);
        let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            ended = running.ended() => ended.context("the desk stopped serving"),
            _ = tokio::signal::ctrl_c() => { running.stop().await; Ok(()) }
            _ = terminated.recv() => { running.stop().await; Ok(()) }
        }
    })
}

const CONFIG: &str = r#"# The physician's desk. Every setting is described in src/desk/config.rs.
listen = "@LISTEN@"
data = "data"
operator = "Bureau local"
# Also what the code to scan leads to: patients' telephones must reach and trust it.
# public_origin = "https://desk.example"

# Needed as soon as others than this machine must reach the desk:
# [tls]
# certificate = "certificate.pem"
# key = "key.pem"

# [[ice]]
# urls = ["turn:turn.example:3478", "turn:turn.example:3478?transport=tcp", "turns:turn.example:443?transport=tcp"]
# shared_secret = "as in coturn's static-auth-secret"

# [oidc]
# label = "Pro Santé Connect"
# discovery_url = "https://auth.bas.psc.esante.gouv.fr/auth/realms/esante-wallet/.well-known/wallet-openid-configuration"
# client_id = ""
# client_secret = ""
# scope = "openid scope_all"
# acr_values = "eidas1"
# account_claim = "preferred_username"
"#;

/// Answers are `key<TAB>value` lines, so that a script can read them.
fn init(dir: &Path, listen: &str) -> Result<()> {
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let file = dir.join("desk.toml");
    if file.exists() {
        bail!("{} exists: remove it to begin again", file.display());
    }
    let text = CONFIG.replace("@LISTEN@", listen);
    Config::read(&text, &file)?;
    std::fs::write(&file, text).with_context(|| file.display().to_string())?;
    let data = data(dir)?;
    let password: String = token().chars().take(20).collect();
    // 10001234565 has a right key and belongs to nobody: it stands for a real number until one is entered.
    let physician = accounts::physician(
        "Dr Claire Morel",
        "Médecine générale",
        "10001234565",
        "Chartres",
        3000,
        "30 €, remboursés dans les conditions habituelles",
    );
    let added = Accounts::open(&data).add("claire.morel", &password, physician, None)?;
    let invite = Cabins::open(&data).invite("Cabine", now_s())?;
    for (key, value) in [
        ("config", file.display().to_string().as_str()),
        ("account", "claire.morel"),
        ("password", &password),
        ("totp", &added.secret),
        ("otpauth", &added.otpauth),
        ("invite", &invite),
    ] {
        println!("{key}\t{value}");
    }
    Ok(())
}

/// The physician of these words; what they leave out is as it was.
fn physician(options: &HashMap<String, String>, was: Option<&Physician>) -> Result<Physician> {
    let text =
        |key: &str, was: Option<&str>| options.get(key).map_or(was.unwrap_or_default(), String::as_str).to_owned();
    // Before anything is cut to what the protocol carries.
    for shown in ["name", "speciality", "town"] {
        if options.get(shown).is_some_and(|text| text.len() > SHOWN_BYTES_MAX) {
            bail!("--{shown} is longer than a cabin can show: {SHOWN_BYTES_MAX} bytes, an accent counts for two");
        }
    }
    let fee_cents = match options.get("fee-cents") {
        None => was.map_or(3000, |was| was.fee_cents),
        Some(cents) => cents.parse().context("--fee-cents is a whole number of cents")?,
    };
    let fee_text = match (options.get("fee-text"), was) {
        (Some(words), _) => words.clone(),
        (None, Some(was)) if was.fee_cents == fee_cents => was.fee_text.as_str().to_owned(),
        _ => format!("{},{:02} €", fee_cents / 100, fee_cents % 100),
    };
    Ok(accounts::physician(
        &text("name", was.map(|was| was.name.as_str())),
        &text("speciality", was.map(|was| was.speciality.as_str())),
        &text("rpps", was.map(|was| was.rpps.as_str())),
        &text("town", was.map(|was| was.town.as_str())),
        fee_cents,
        &fee_text,
    ))
}

fn change_account(data: &Path, name: &str, options: &HashMap<String, String>) -> Result<()> {
    let accounts = Accounts::open(data);
    if options.len() < 2 {
        bail!("nothing is to be changed: say what\n\n{USAGE}");
    }
    let was = accounts.physician(name)?.with_context(|| format!("there is no account {name}"))?;
    Ok(accounts.change(name, physician(options, Some(&was))?)?)
}

fn add_account(data: &Path, name: &str, options: &HashMap<String, String>) -> Result<()> {
    let physician = physician(options, None)?;
    let accounts = Accounts::open(data);
    if options.contains_key("federated") {
        return Ok(accounts.add_federated(name, physician)?);
    }
    if std::io::stdin().is_terminal() {
        eprintln!("Password, then Enter (it will be seen):");
    }
    let mut password = String::new();
    std::io::stdin().lock().read_line(&mut password)?;
    let added = accounts.add(name, password.trim_end_matches(['\n', '\r']), physician, None)?;
    println!("totp\t{}\notpauth\t{}", added.secret, added.otpauth);
    Ok(())
}

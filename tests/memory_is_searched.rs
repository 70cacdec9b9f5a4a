//! The search for what is left of a patient must be able to fail: it finds what was planted.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use whole_cabin::memory::{Trace, search_files, search_process};

#[test]
fn a_planted_word_is_found_in_a_file_in_every_form_and_across_pieces() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let word = "Lefèvre-Planté";
    let mut bytes = vec![b'.'; (4 << 20) - 5];
    let at = bytes.len() as u64;
    bytes.extend(word.as_bytes());
    bytes.extend(vec![b'.'; 100]);
    fs::write(folder.path().join("utf8"), &bytes)?;
    fs::write(folder.path().join("utf16"), word.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>())?;
    fs::create_dir(folder.path().join("deeper"))?;
    fs::write(folder.path().join("deeper/latin1"), word.chars().map(|c| c as u8).collect::<Vec<u8>>())?;
    fs::write(folder.path().join(format!("{word}.txt")), "")?;

    let found = search_files(&[folder.path()], &[Trace::of(word)?])?;
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found.iter().any(|f| f.form == "UTF-8" && f.at == at && f.place.ends_with("/utf8")), "{found:?}");
    assert!(found.iter().any(|f| f.form == "UTF-16" && f.place.ends_with("/utf16")), "{found:?}");
    assert!(found.iter().any(|f| f.form == "Latin-1" && f.place.ends_with("/latin1")), "{found:?}");
    assert!(found.iter().any(|f| f.place.starts_with("the name of")), "{found:?}");
    Ok(())
}

#[test]
fn a_planted_word_is_found_in_the_memory_of_another_process_and_an_absent_one_is_not() -> Result<()> {
    // The shell holds the word only in a variable that it has put together: no file and no command line has it.
    let script = "x=Qwerty; y=Zxcvb; z=\"$x-$y\"; echo ready; read line; echo \"$z\"";
    let mut child = Command::new("bash").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("its output")?).read_line(&mut line)?;
    assert_eq!(line, "ready\n");

    let traces = [Trace::of("Qwerty-Zxcvb")?, Trace::of("Absent-Patient")?];
    let found = search_process(child.id(), &traces);
    child.kill()?;
    child.wait()?;
    let found = found?;
    assert!(found.iter().any(|f| f.word == "Qwerty-Zxcvb"), "{found:?}");
    assert!(found.iter().all(|f| f.word != "Absent-Patient"), "{found:?}");
    Ok(())
}

#[test]
fn a_word_too_short_to_mean_anything_is_refused() {
    assert!(Trace::of("Lee").is_err());
}

//! `taospg init`: makes a data directory with a password for its superuser, as initdb does, before a server is started on it.
//!
//! The password comes from `--password-file`, from TAOS_PASSWORD, or from whoever sits at the terminal; nowhere does it appear again.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use taospg_query::Engine;

use crate::config::{Init, Settings};
use crate::{data_dir, engine_options};

/// The error is a sentence for the user.
pub async fn init(settings: &Settings, options: &Init) -> Result<(), String> {
    let directory = settings.data_dir.as_path();
    refuse_used(directory)?;
    let password = match (&options.password_file, &settings.password) {
        (Some(file), _) => first_line(file)?,
        (None, Some(password)) => password.clone(),
        (None, None) => asked()?,
    };
    if password.is_empty() {
        return Err("the password is empty".into());
    }
    let _lock = data_dir::lock(directory)?;
    let cannot = |error| format!("cannot make the data directory \"{}\": {error}", directory.display());
    let engine = Engine::open(engine_options(settings)).map_err(cannot)?;
    engine.set_first_password(&password).map_err(cannot)?;
    engine.close().await.map_err(cannot)?;
    println!(
        "made data directory \"{}\"; superuser postgres has its password. Start the server with: taospg --data-dir {}",
        directory.display(),
        directory.display()
    );
    Ok(())
}

/// What somebody keeps there already is not ours to change.
fn refuse_used(directory: &Path) -> Result<(), String> {
    match std::fs::read_dir(directory).map(|mut entries| entries.next().is_some()) {
        Ok(true) => Err(format!(
            "directory \"{}\" exists but is not empty; choose another with --data-dir",
            directory.display()
        )),
        // That it is not there, or cannot be read, is seen when it is made.
        _ => Ok(()),
    }
}

fn first_line(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("cannot read password file \"{}\": {error}", file.display()))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(line.to_owned()),
        _ => Err(format!("password file \"{}\" is empty", file.display())),
    }
}

/// Asks twice at the terminal.
fn asked() -> Result<String, String> {
    if !std::io::stdin().is_terminal() {
        return Err(
            "superuser postgres needs a password: name a file with --password-file, or set TAOS_PASSWORD".into(),
        );
    }
    let first = ask("Enter new superuser password: ")?;
    let second = ask("Enter it again: ")?;
    match first == second {
        true => Ok(first),
        false => Err("the passwords did not match".into()),
    }
}

fn ask(prompt: &str) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("cannot read the password: {error}");
    eprint!("{prompt}");
    std::io::stderr().flush().map_err(cannot)?;
    let quiet = echo("-echo");
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    if quiet {
        echo("echo");
        eprintln!();
    }
    read.map_err(cannot)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Whether the terminal shows what is typed.
fn echo(mode: &str) -> bool {
    let status = Command::new("stty")
        .arg(mode)
        .stdin(Stdio::inherit())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_with_something_in_it_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        assert!(refuse_used(directory.path()).is_ok());
        assert!(refuse_used(&directory.path().join("new")).is_ok());
        std::fs::write(directory.path().join("mine"), "x").unwrap();
        assert!(refuse_used(directory.path()).unwrap_err().contains("not empty"));
    }

    #[test]
    fn a_password_is_the_first_line_of_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("password");
        assert!(first_line(&file).unwrap_err().contains("cannot read"));
        std::fs::write(&file, "").unwrap();
        assert!(first_line(&file).unwrap_err().contains("empty"));
        std::fs::write(&file, "geheim\r\nmore\n").unwrap();
        assert_eq!(first_line(&file).unwrap(), "geheim");
    }
}

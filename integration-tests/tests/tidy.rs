//! House rules that a machine can hold. Each failure says what to do instead.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file of the repository with one of these endings, with its text.
fn files(endings: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut directories = vec![root()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory can be listed") {
            let path = entry.expect("an entry can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                // .git, build output and a server's data are not the repository.
                if !["target", "data", "__pycache__"].contains(&name.as_str())
                    && (!name.starts_with('.') || name == ".ci")
                {
                    directories.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let text = std::fs::read_to_string(&path).expect("source and documents are text");
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

fn manifest(package: &str) -> String {
    std::fs::read_to_string(root().join(package).join("Cargo.toml")).expect("every package has a manifest")
}

#[test]
fn dependencies_between_crates_point_one_way() {
    let allowed: [(&str, &[&str]); 4] = [
        ("storage", &[]),
        ("catalog", &[]),
        ("query", &["taospg-catalog", "taospg-storage"]),
        ("server", &["taospg-query"]),
    ];
    for (package, may_use) in allowed {
        for crate_name in ["taospg-catalog", "taospg-storage", "taospg-query", "taospg-server"] {
            let uses = manifest(package).lines().any(|line| line.starts_with(crate_name));
            assert!(
                !uses || may_use.contains(&crate_name),
                "{package} uses {crate_name}: a decision sits one crate too low; move it up (ARCHITECTURE.md)"
            );
        }
    }
    for package in ["storage", "catalog"] {
        for foreign in ["datafusion", "sqlparser", "pgwire"] {
            assert!(
                !manifest(package).contains(foreign),
                "{package} must not know {foreign}: SQL ends in query, the wire in server"
            );
        }
    }
}

#[test]
fn every_source_file_says_what_it_is_for() {
    for (path, text) in files(&[".rs"]) {
        assert!(
            text.starts_with("//!"),
            "{} does not begin with //!: say what it holds, promises and leaves to others",
            path.display()
        );
    }
}

#[test]
fn nothing_is_left_unfinished() {
    // Put together here, so that this file does not find itself.
    let marks = [
        concat!("to", "do!("),
        concat!("unimple", "mented!("),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("#[ig", "nore"),
    ];
    for (path, text) in files(&[".rs", ".py", ".js", ".sh"]) {
        for mark in marks {
            assert!(
                !text.contains(mark),
                "{} contains {mark}: finish it, or say in the documentation what is missing",
                path.display()
            );
        }
    }
}

#[test]
fn links_in_documents_lead_somewhere() {
    for (path, text) in files(&[".md"]) {
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let target = path.parent().unwrap_or(Path::new(".")).join(target);
            assert!(target.exists(), "{}: the link to {link} leads nowhere", path.display());
        }
    }
}

#[test]
fn unsafe_code_stands_nowhere() {
    let mark = concat!("uns", "afe ");
    for (path, text) in files(&[".rs"]) {
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            let opens = line.contains(&format!("{mark}{{"))
                || line.contains(&format!("{mark}fn"))
                || line.contains(&format!("{mark}impl"));
            assert!(
                !opens,
                "{}: {line}: find a safe way, or name the module and its reason here",
                path.display()
            );
        }
    }
}

#[test]
fn packages_that_must_agree_have_one_version() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).expect("the lock file is there");
    for package in ["arrow", "datafusion", "sqlparser", "pgwire", "object_store"] {
        let versions = lock.matches(&format!("name = \"{package}\"\n")).count();
        assert_eq!(
            versions, 1,
            "{package} is there in {versions} versions: their types would not agree"
        );
    }
}

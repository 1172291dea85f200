//! The data directory: made at the first start, and held by one server at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

/// Its content is the process id of the server that holds the lock; the lock itself is the kernel's and ends with the process.
const LOCK_FILE: &str = "taospg.lock";

/// Held while the server runs.
pub struct DataDirLock {
    _file: File,
}

/// Makes the directory if needed and locks it. The error is a sentence for the user.
pub fn lock(data_dir: &Path) -> Result<DataDirLock, String> {
    fs::create_dir_all(data_dir)
        .map_err(|error| format!("cannot make the data directory \"{}\": {error}", data_dir.display()))?;
    let path = data_dir.join(LOCK_FILE);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|error| format!("cannot write to the data directory \"{}\": {error}", data_dir.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            // Only for the message: without it, the message says less.
            let _ = file.read_to_string(&mut owner);
            let owner = owner.trim();
            let process = if owner.is_empty() {
                String::new()
            } else {
                format!(" (process {owner})")
            };
            return Err(format!(
                "the data directory \"{}\" is in use by another server{process}",
                data_dir.display()
            ));
        }
        Err(TryLockError::Error(error)) => {
            return Err(format!("cannot lock \"{}\": {error}", path.display()));
        }
    }
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(|error| format!("cannot write to the data directory \"{}\": {error}", data_dir.display()))?;
    Ok(DataDirLock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_at_a_time() {
        let parent = tempfile::tempdir().unwrap();
        let data_dir = parent.path().join("new/data");
        let first = lock(&data_dir).unwrap();
        let message = lock(&data_dir).err().unwrap();
        assert!(message.contains("in use by another server"), "{message}");
        assert!(message.contains(&std::process::id().to_string()), "{message}");
        drop(first);
        lock(&data_dir).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        fs::write(&path, "").unwrap();
        assert!(lock(&path).err().unwrap().contains("data\""));
    }
}

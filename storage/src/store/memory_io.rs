//! A file system in memory, for tests of the store.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::io::{Io, IoFile};

type Contents = Arc<RwLock<Vec<u8>>>;

#[derive(Default)]
pub(super) struct MemoryIo {
    files: Mutex<BTreeMap<PathBuf, Contents>>,
    folders: Mutex<BTreeSet<PathBuf>>,
}

struct MemoryFile(Contents);

fn missing(path: &Path) -> Error {
    Error::new(ErrorKind::NotFound, path.display().to_string())
}

impl MemoryIo {
    /// How many data files there are.
    pub fn data_files(&self) -> u64 {
        let is_data = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "data");
        self.files.lock().keys().filter(is_data).count() as u64
    }
}

impl Io for MemoryIo {
    fn create(&self, path: &Path) -> Result<Box<dyn IoFile>> {
        let folder = path.parent().unwrap();
        if !self.folders.lock().contains(folder) {
            return Err(missing(folder));
        }
        let contents = self.files.lock().entry(path.to_path_buf()).or_default().clone();
        Ok(Box::new(MemoryFile(contents)))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn IoFile>> {
        let contents = self.files.lock().get(path).cloned();
        Ok(Box::new(MemoryFile(contents.ok_or_else(|| missing(path))?)))
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.lock().contains_key(path) || self.folders.lock().contains(path)
    }

    fn create_dir_all(&self, path: &Path) -> Result<()> {
        self.folders.lock().extend(path.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    fn read_dir(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let inside = |entry: &&PathBuf| entry.parent() == Some(path);
        let mut all: Vec<PathBuf> = self.files.lock().keys().filter(inside).cloned().collect();
        all.extend(self.folders.lock().iter().filter(inside).cloned());
        Ok(all)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let mut files = self.files.lock();
        let contents = files.remove(from).ok_or_else(|| missing(from))?;
        files.insert(to.to_path_buf(), contents);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.files.lock().remove(path).map(|_| ()).ok_or_else(|| missing(path))
    }

    fn remove_dir_all(&self, path: &Path) -> Result<()> {
        self.files.lock().retain(|file, _| !file.starts_with(path));
        self.folders.lock().retain(|folder| !folder.starts_with(path));
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> Result<()> {
        Ok(())
    }

    fn free_bytes(&self, _: &Path) -> Result<u64> {
        Ok(u64::MAX)
    }
}

impl IoFile for MemoryFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        let bytes = self.0.read();
        let part = bytes.get(offset as usize..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(part.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, new: &[u8], offset: u64) -> Result<()> {
        let mut bytes = self.0.write();
        let end = offset as usize + new.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset as usize..end].copy_from_slice(new);
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(self.0.read().len() as u64)
    }

    fn set_len(&self, length: u64) -> Result<()> {
        self.0.write().resize(length as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        Ok(())
    }
}

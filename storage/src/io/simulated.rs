//! For tests: a disk in memory that loses what a real one may lose, and fails where it is told to.
//!
//! ```text
//! write --> cache --sync_data--> platter          create, rename, remove --> cache --sync_dir--> platter
//!             \__ power_cut: per 512-byte sector, by seed __/     \__ power_cut: a prefix per directory __/
//! ```
//!
//! - [`SimulatedIo::power_cut`] keeps what syncs covered, and of the rest whatever the seed says: single sectors of a write,
//!   the first few entries of a directory. [`SimulatedIo::kill`] keeps everything, as kill -9 does.
//! - Both return the disk after the restart and switch the old one off: threads and files of the former life get errors.
//! - [`SimulatedIo::switch_off_at_call`] lets the power go at the k-th call.
//! - [`SimulatedIo::fail_call`] lets the k-th call fail; a sync that fails has dropped its writes, so a retry would lie, as on Linux.
//! - [`SimulatedIo::set_capacity`] makes the disk full.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Io, IoFile};

/// Bytes that a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// EIO. A write has then written its first half.
    Broken,
    /// ENOSPC. A write has then written its first half.
    Full,
}

impl Failure {
    fn error(self) -> io::Error {
        match self {
            Failure::Broken => io::Error::other("simulated i/o error"),
            Failure::Full => io::Error::new(io::ErrorKind::StorageFull, "simulated full disk"),
        }
    }
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone)]
pub struct SimulatedIo(Arc<Mutex<Disk>>);

type FileNumber = u64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Directory,
    File(FileNumber),
}

/// A change to names, not yet synced.
#[derive(Clone, Debug)]
enum Naming {
    Add(PathBuf, Entry),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Naming {
    fn touches(&self, directory: &Path) -> bool {
        match self {
            Naming::Add(path, _) | Naming::Remove(path) => path.parent() == Some(directory),
            Naming::Rename(from, to) => from.parent() == Some(directory) || to.parent() == Some(directory),
        }
    }

    fn directory(&self) -> PathBuf {
        match self {
            Naming::Add(path, _) | Naming::Remove(path) | Naming::Rename(_, path) => {
                path.parent().unwrap_or(Path::new("")).to_path_buf()
            }
        }
    }
}

type Names = BTreeMap<PathBuf, Entry>;

fn apply_naming(names: &mut Names, naming: &Naming) {
    match naming {
        Naming::Add(path, entry) => {
            names.insert(path.clone(), *entry);
        }
        Naming::Remove(path) => names.retain(|name, _| !name.starts_with(path)),
        Naming::Rename(from, to) => {
            let moved: Vec<PathBuf> = names.keys().filter(|name| name.starts_with(from)).cloned().collect();
            for name in moved {
                let rest = name.strip_prefix(from).expect("filtered by this prefix");
                let target = if rest.as_os_str().is_empty() {
                    to.clone()
                } else {
                    to.join(rest)
                };
                if let Some(entry) = names.remove(&name) {
                    names.insert(target, entry);
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Write {
    Bytes(u64, Vec<u8>),
    Length(u64),
}

fn apply_write(contents: &mut Vec<u8>, write: &Write) {
    match write {
        Write::Bytes(offset, bytes) => {
            let start = *offset as usize;
            let end = start + bytes.len();
            if contents.len() < end {
                contents.resize(end, 0);
            }
            contents[start..end].copy_from_slice(bytes);
        }
        Write::Length(length) => contents.resize(*length as usize, 0),
    }
}

#[derive(Clone, Debug, Default)]
struct Contents {
    cached: Vec<u8>,
    platter: Vec<u8>,
    unsynced: Vec<Write>,
}

#[derive(Clone)]
struct Disk {
    on: bool,
    off_at: Option<u64>,
    names: Names,
    names_platter: Names,
    unsynced: Vec<Naming>,
    files: BTreeMap<FileNumber, Contents>,
    next_file: FileNumber,
    calls: u64,
    failing: BTreeMap<u64, Failure>,
    failed: u64,
    syncs: u64,
    capacity: u64,
}

impl Disk {
    /// Counts a call; an error if the power is off or this call is to fail.
    fn call(&mut self) -> io::Result<()> {
        match self.count() {
            Err(error) => Err(error),
            Ok(Some(failure)) => Err(failure.error()),
            Ok(None) => Ok(()),
        }
    }

    fn count(&mut self) -> io::Result<Option<Failure>> {
        if !self.on {
            return Err(io::Error::other("the simulated disk is switched off"));
        }
        self.calls += 1;
        if self.off_at == Some(self.calls) {
            self.on = false;
            return Err(io::Error::other("the simulated disk is just switched off"));
        }
        let failure = self.failing.remove(&self.calls);
        self.failed += u64::from(failure.is_some());
        Ok(failure)
    }

    fn used(&self) -> u64 {
        let live: BTreeSet<FileNumber> = self
            .names
            .values()
            .filter_map(|entry| match entry {
                Entry::File(number) => Some(*number),
                Entry::Directory => None,
            })
            .collect();
        live.iter()
            .filter_map(|number| self.files.get(number))
            .map(|contents| contents.cached.len() as u64)
            .sum()
    }

    fn name(&mut self, naming: Naming) {
        apply_naming(&mut self.names, &naming);
        self.unsynced.push(naming);
    }

    fn file(&self, path: &Path) -> io::Result<FileNumber> {
        match self.names.get(path) {
            Some(Entry::File(number)) => Ok(*number),
            Some(Entry::Directory) => Err(io::Error::other("is a directory")),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn is_directory(&self, path: &Path) -> bool {
        path.parent().is_none() || path.as_os_str().is_empty() || self.names.get(path) == Some(&Entry::Directory)
    }

    fn write(&mut self, number: FileNumber, write: Write) -> io::Result<()> {
        let contents = self.files.get_mut(&number).ok_or(io::ErrorKind::NotFound)?;
        apply_write(&mut contents.cached, &write);
        contents.unsynced.push(write);
        Ok(())
    }
}

impl Default for SimulatedIo {
    fn default() -> Self {
        SimulatedIo::new()
    }
}

impl SimulatedIo {
    /// An empty disk of endless size.
    pub fn new() -> SimulatedIo {
        SimulatedIo(Arc::new(Mutex::new(Disk {
            on: true,
            off_at: None,
            names: Names::new(),
            names_platter: Names::new(),
            unsynced: Vec::new(),
            files: BTreeMap::new(),
            next_file: 1,
            calls: 0,
            failing: BTreeMap::new(),
            failed: 0,
            syncs: 0,
            capacity: u64::MAX,
        })))
    }

    /// Calls made so far. `exists` is not counted, as it cannot fail.
    pub fn calls(&self) -> u64 {
        self.0.lock().calls
    }

    /// Calls of `sync_data` and `sync_dir` that succeeded.
    pub fn syncs(&self) -> u64 {
        self.0.lock().syncs
    }

    /// Lets the call fail that is the k-th from now (1 is the next one). Several may be set.
    pub fn fail_call(&self, k: u64, failure: Failure) {
        let mut disk = self.0.lock();
        let at = disk.calls + k;
        disk.failing.insert(at, failure);
    }

    /// No call is to fail any more.
    pub fn heal(&self) {
        self.0.lock().failing.clear();
    }

    /// How many of the calls set to fail have come.
    pub fn failed(&self) -> u64 {
        self.0.lock().failed
    }

    /// Bytes that all files together may have.
    pub fn set_capacity(&self, bytes: u64) {
        self.0.lock().capacity = bytes;
    }

    /// Bytes that all files together have.
    pub fn used_bytes(&self) -> u64 {
        self.0.lock().used()
    }

    /// Changes bytes of a file behind everybody's back, on the platter too: bit rot, or a forged file.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut disk = self.0.lock();
        let number = disk.file(path).expect("the file to damage is there");
        let contents = disk.files.get_mut(&number).expect("a named file has contents");
        change(&mut contents.cached);
        contents.platter = contents.cached.clone();
        contents.unsynced.clear();
    }

    /// What a file holds, to whoever reads it now.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let disk = self.0.lock();
        let number = disk.file(path).ok()?;
        disk.files.get(&number).map(|contents| contents.cached.clone())
    }

    /// Every file there is, with its length.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let disk = self.0.lock();
        disk.names
            .iter()
            .filter_map(|(path, entry)| match entry {
                Entry::File(number) => Some((path.clone(), disk.files[number].cached.len() as u64)),
                Entry::Directory => None,
            })
            .collect()
    }

    /// Every call fails from now on, until [`SimulatedIo::power_cut`] or [`SimulatedIo::kill`] says what is left.
    pub fn switch_off(&self) {
        self.0.lock().on = false;
    }

    /// Switches off at the k-th call from now (1 is the next one), which does nothing any more.
    pub fn switch_off_at_call(&self, k: u64) {
        let mut disk = self.0.lock();
        disk.off_at = Some(disk.calls + k);
    }

    pub fn is_on(&self) -> bool {
        self.0.lock().on
    }

    /// Another disk just like this one, so that several cuts of it can be tried.
    pub fn copy(&self) -> SimulatedIo {
        SimulatedIo(Arc::new(Mutex::new(self.0.lock().clone())))
    }

    /// The power goes and comes back. Returns the disk as the next start finds it; this one is off.
    pub fn power_cut(&self, seed: u64) -> SimulatedIo {
        let mut random = Random(seed);
        self.restart(Cached::Lost, |disk| {
            let mut files = std::mem::take(&mut disk.files);
            // Of ten cuts one loses everything unsynced and one loses nothing; the others tear.
            let keep_in_ten = random.below(11);
            for contents in files.values_mut() {
                for write in &contents.unsynced {
                    tear(&mut contents.platter, write, keep_in_ten, &mut random);
                }
                contents.cached = contents.platter.clone();
                contents.unsynced.clear();
            }
            let mut names = disk.names_platter.clone();
            let directories: BTreeSet<PathBuf> = disk.unsynced.iter().map(Naming::directory).collect();
            let mut kept: BTreeMap<PathBuf, u64> = BTreeMap::new();
            for directory in directories {
                let pending = disk
                    .unsynced
                    .iter()
                    .filter(|naming| naming.directory() == directory)
                    .count();
                kept.insert(directory, random.below(pending as u64 + 1));
            }
            for naming in &disk.unsynced {
                let left = kept.get_mut(&naming.directory()).expect("collected from the same list");
                if *left > 0 {
                    *left -= 1;
                    apply_naming(&mut names, naming);
                }
            }
            (names, files)
        })
    }

    /// The process dies, the kernel lives: nothing is lost. Returns the disk as the next start finds it; this one is off.
    pub fn kill(&self) -> SimulatedIo {
        self.restart(Cached::Kept, |disk| {
            (disk.names.clone(), std::mem::take(&mut disk.files))
        })
    }

    fn restart(
        &self,
        cached: Cached,
        survive: impl FnOnce(&mut Disk) -> (Names, BTreeMap<FileNumber, Contents>),
    ) -> SimulatedIo {
        let mut disk = self.0.lock();
        disk.on = false;
        let (names, files) = survive(&mut disk);
        // A name whose directory did not survive is gone with it.
        let reachable: Names = names
            .iter()
            .filter(|(path, _)| {
                path.ancestors().skip(1).all(|parent| {
                    parent.parent().is_none() || parent.as_os_str().is_empty() || names.contains_key(parent)
                })
            })
            .map(|(path, entry)| (path.clone(), *entry))
            .collect();
        // What survived a power cut is on the platter; after a kill names may still be only cached.
        let (names_platter, unsynced) = match cached {
            Cached::Lost => (reachable.clone(), Vec::new()),
            Cached::Kept => (disk.names_platter.clone(), disk.unsynced.clone()),
        };
        SimulatedIo(Arc::new(Mutex::new(Disk {
            on: true,
            off_at: None,
            names: reachable,
            names_platter,
            unsynced,
            files,
            next_file: disk.next_file,
            calls: 0,
            failing: BTreeMap::new(),
            failed: 0,
            syncs: 0,
            capacity: disk.capacity,
        })))
    }
}

/// Whether the kernel's cache outlives a restart.
enum Cached {
    Kept,
    Lost,
}

/// Applies the sectors of a write that made it.
fn tear(platter: &mut Vec<u8>, write: &Write, keep_in_ten: u64, random: &mut Random) {
    match write {
        Write::Length(_) if random.below(10) < keep_in_ten => apply_write(platter, write),
        Write::Length(_) => {}
        Write::Bytes(offset, bytes) => {
            let mut done = 0;
            while done < bytes.len() {
                let at = *offset + done as u64;
                let to_boundary = SECTOR_BYTES - (at as usize % SECTOR_BYTES);
                let piece = to_boundary.min(bytes.len() - done);
                if random.below(10) < keep_in_ten {
                    apply_write(platter, &Write::Bytes(at, bytes[done..done + piece].to_vec()));
                }
                done += piece;
            }
        }
    }
}

/// splitmix64: small, and the same for ever, so that a seed in a failure message replays it.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

impl Io for SimulatedIo {
    fn create(&self, path: &Path) -> io::Result<Box<dyn IoFile>> {
        let mut disk = self.0.lock();
        disk.call()?;
        let number = match disk.file(path) {
            Ok(number) => number,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
                if !disk.is_directory(parent) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                let number = disk.next_file;
                disk.next_file += 1;
                disk.files.insert(number, Contents::default());
                disk.name(Naming::Add(path.to_path_buf(), Entry::File(number)));
                number
            }
            Err(error) => return Err(error),
        };
        Ok(Box::new(SimulatedFile {
            disk: self.0.clone(),
            number,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn IoFile>> {
        let mut disk = self.0.lock();
        disk.call()?;
        let number = disk.file(path)?;
        Ok(Box::new(SimulatedFile {
            disk: self.0.clone(),
            number,
        }))
    }

    fn exists(&self, path: &Path) -> bool {
        let disk = self.0.lock();
        disk.on && (disk.names.contains_key(path) || disk.is_directory(path))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.call()?;
        let mut missing: Vec<&Path> = path
            .ancestors()
            .take_while(|parent| !disk.is_directory(parent))
            .collect();
        missing.reverse();
        for directory in missing {
            if disk.names.contains_key(directory) {
                return Err(io::Error::other("a file is in the way of the directory"));
            }
            disk.name(Naming::Add(directory.to_path_buf(), Entry::Directory));
        }
        Ok(())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let mut disk = self.0.lock();
        disk.call()?;
        if !disk.is_directory(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(disk
            .names
            .keys()
            .filter(|name| name.parent() == Some(path))
            .cloned()
            .collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.call()?;
        if !disk.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let parent = to.parent().ok_or(io::ErrorKind::InvalidInput)?;
        if !disk.is_directory(parent) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.name(Naming::Rename(from.to_path_buf(), to.to_path_buf()));
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.call()?;
        disk.file(path)?;
        disk.name(Naming::Remove(path.to_path_buf()));
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.call()?;
        if disk.names.get(path) != Some(&Entry::Directory) {
            return Err(io::ErrorKind::NotFound.into());
        }
        disk.name(Naming::Remove(path.to_path_buf()));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.call()?;
        if !disk.is_directory(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let (now, later): (Vec<Naming>, Vec<Naming>) = std::mem::take(&mut disk.unsynced)
            .into_iter()
            .partition(|naming| naming.touches(path));
        disk.unsynced = later;
        for naming in &now {
            apply_naming(&mut disk.names_platter, naming);
        }
        disk.syncs += 1;
        Ok(())
    }

    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        let mut disk = self.0.lock();
        disk.call()?;
        Ok(disk.capacity.saturating_sub(disk.used()))
    }
}

struct SimulatedFile {
    disk: Arc<Mutex<Disk>>,
    number: FileNumber,
}

impl IoFile for SimulatedFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.call()?;
        let contents = disk.files.get(&self.number).ok_or(io::ErrorKind::NotFound)?;
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
        let bytes = start
            .checked_add(buffer.len())
            .and_then(|end| contents.cached.get(start..end))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let failure = disk.count()?;
        let length = disk
            .files
            .get(&self.number)
            .ok_or(io::ErrorKind::NotFound)?
            .cached
            .len() as u64;
        let growth = (offset + bytes.len() as u64).saturating_sub(length);
        let failure = if growth > 0 && disk.used() + growth > disk.capacity {
            Some(Failure::Full)
        } else {
            failure
        };
        match failure {
            Some(failure) => {
                // Of a refused write no more than fits inside the file, so that capacity holds.
                let inside = length.saturating_sub(offset) as usize;
                let half = (bytes.len() / 2).min(inside);
                disk.write(self.number, Write::Bytes(offset, bytes[..half].to_vec()))?;
                Err(failure.error())
            }
            None => disk.write(self.number, Write::Bytes(offset, bytes.to_vec())),
        }
    }

    fn len(&self) -> io::Result<u64> {
        let mut disk = self.disk.lock();
        disk.call()?;
        let contents = disk.files.get(&self.number).ok_or(io::ErrorKind::NotFound)?;
        Ok(contents.cached.len() as u64)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.call()?;
        disk.write(self.number, Write::Length(bytes))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let failure = disk.count()?;
        let contents = disk.files.get_mut(&self.number).ok_or(io::ErrorKind::NotFound)?;
        let unsynced = std::mem::take(&mut contents.unsynced);
        if let Some(failure) = failure {
            return Err(failure.error()); // the writes are dropped from the cache's duties, not from its pages
        }
        for write in &unsynced {
            apply_write(&mut contents.platter, write);
        }
        disk.syncs += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(io: &SimulatedIo) -> PathBuf {
        let path = PathBuf::from("/disk/a");
        io.create_dir_all(&path).unwrap();
        io.sync_dir(Path::new("/")).unwrap();
        io.sync_dir(Path::new("/disk")).unwrap();
        path
    }

    #[test]
    fn synced_bytes_and_names_survive_every_cut_and_unsynced_ones_only_some() {
        let (mut longer, mut named) = (0, 0);
        for seed in 0..50 {
            let io = SimulatedIo::new();
            let path = directory(&io);
            let file = io.create(&path.join("synced")).unwrap();
            file.write_all_at(&[1; 3000], 0).unwrap();
            file.sync_data().unwrap();
            io.sync_dir(&path).unwrap();
            file.write_all_at(&[2; 3000], 3000).unwrap();
            io.create(&path.join("unsynced")).unwrap();

            let after = io.power_cut(seed);
            assert!(file.len().is_err(), "the old file belongs to the disk that is off");
            let contents = after.contents(&path.join("synced")).unwrap();
            assert_eq!(contents[..3000], [1; 3000]);
            longer += usize::from(contents.len() > 3000);
            named += usize::from(after.exists(&path.join("unsynced")));
        }
        assert!(
            (1..50).contains(&longer) && (1..50).contains(&named),
            "{longer} {named}"
        );
    }

    #[test]
    fn a_kill_loses_nothing_but_leaves_it_unsynced() {
        let lost = (0..50).filter(|seed| {
            let io = SimulatedIo::new();
            let path = directory(&io);
            let file = io.create(&path.join("f")).unwrap();
            file.write_all_at(b"abc", 0).unwrap();
            let after = io.kill();
            assert_eq!(after.contents(&path.join("f")).unwrap(), b"abc");
            after.power_cut(*seed).contents(&path.join("f")).is_none()
        });
        assert!(lost.count() > 0);
    }

    #[test]
    fn a_rename_without_directory_sync_leaves_one_of_the_two_names() {
        for seed in 0..20 {
            let io = SimulatedIo::new();
            let path = directory(&io);
            io.create(&path.join("old")).unwrap().write_all_at(b"x", 0).unwrap();
            io.sync_dir(&path).unwrap();
            io.rename(&path.join("old"), &path.join("new")).unwrap();
            let after = io.power_cut(seed);
            assert!(after.exists(&path.join("old")) ^ after.exists(&path.join("new")));
        }
    }

    #[test]
    fn the_chosen_call_fails_and_a_failed_sync_drops_its_writes() {
        let io = SimulatedIo::new();
        let path = directory(&io);
        let file = io.create(&path.join("f")).unwrap();
        io.sync_dir(&path).unwrap();
        file.write_all_at(b"abc", 0).unwrap();
        io.fail_call(1, Failure::Broken);
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
        assert_eq!(io.failed(), 1);
        assert_eq!(io.power_cut(1).contents(&path.join("f")).unwrap(), b"");
    }

    #[test]
    fn a_full_disk_refuses_growth_and_takes_overwrites() {
        let io = SimulatedIo::new();
        let path = directory(&io);
        let file = io.create(&path.join("f")).unwrap();
        file.write_all_at(&[0; 100], 0).unwrap();
        io.set_capacity(120);
        assert_eq!(io.free_bytes(&path).unwrap(), 20);
        let error = file.write_all_at(&[1; 100], 50).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert_eq!(io.used_bytes(), 100);
        file.write_all_at(&[1; 100], 0).unwrap();
        io.remove_file(&path.join("f")).unwrap();
        assert_eq!(io.free_bytes(&path).unwrap(), 120);
    }
}

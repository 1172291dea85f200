//! Flushing: frozen memtables become data files, one for each file group they touch.
//!
//! Rows are folded among themselves on the way, and what deletes of the same memtables hide is left out. Rows still say whether they replace
//! what older files hold. Memory in use is one batch, and 24 bytes for each row while rows are sorted.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::buffer::BooleanBuffer;

use super::VnodeStore;
use super::chunk::Chunk;
use super::cursor::Plan;
use super::deletes::Order;
use super::disk::{Disk, LiveFile, group_of, group_range};
use super::install::{Edit, Flushed};
use super::manifest::FileEntry;
use super::merge::Merge;
use super::newest;
use super::ordered::Ordered;
use super::piece::Wanted;
use super::view::{Search, VnodeView};
use crate::data_file::{DataFileId, DataFileWriter, SortedRows};
use crate::{
    Compression, Conflict, Direction, FamilyId, Rows, ScanCounters, SeriesSet, StorageError, TimeRange, UpdateMode,
};

/// Rows handed to a data file at once: enough to gather columns in long runs, 5 MB with ten doubles.
const WRITE_BATCH_ROWS: usize = 64 * 1024;

pub(super) fn flush(store: &VnodeStore) -> Result<(), StorageError> {
    let (frozen, disk) = {
        let state = store.state.lock();
        (state.frozen.clone(), state.disk.clone())
    };
    let Some(index) = frozen.iter().filter_map(|memtable| memtable.last_index()).max() else {
        return Ok(());
    };
    let view = VnodeView::new(disk.clone(), frozen.clone(), store.update, store.group_span);
    let families: HashSet<FamilyId> = frozen
        .iter()
        .flat_map(|memtable| memtable.families().map(|(id, _)| id))
        .collect();
    let sources = sources(&view, &families, index)?;

    let mut add = Vec::new();
    for group in groups(&disk, &sources, store.group_span) {
        let file = write_group(store, &view, &sources, group, index).inspect_err(|_| remove_all(store, &add))?;
        add.extend(file);
    }
    let last_rows = carried_last_rows(&view, &families);
    let deletes = frozen
        .iter()
        .flat_map(|memtable| memtable.families())
        .flat_map(|(family, rows)| {
            let list = rows.deletes.list().to_vec();
            list.into_iter().map(move |delete| (family, delete))
        });
    let flushed = Flushed {
        index,
        memtables: frozen.len(),
        deletes: deletes.collect(),
        families,
        last_rows,
    };
    store.flushes.fetch_add(1, Ordering::Relaxed);
    store.install(Edit {
        add,
        flushed: Some(flushed),
        ..Edit::default()
    })?;
    Ok(())
}

fn remove_all(store: &VnodeStore, entries: &[FileEntry]) {
    entries.iter().for_each(|entry| store.directory.remove(entry));
}

/// Chunks of a family that go into files, from the oldest to the newest.
type Source = (FamilyId, Vec<Arc<Chunk>>);

/// What goes into files, families ascending.
fn sources(view: &VnodeView, families: &HashSet<FamilyId>, index: u64) -> Result<Vec<Source>, StorageError> {
    let mut sources = Vec::new();
    for family in families {
        let mut chunks: Vec<Arc<Chunk>> = view.chunks(*family).into_iter().cloned().collect();
        chunks.extend(resolved_upserts(view, *family, &chunks, index)?);
        if !chunks.is_empty() {
            sources.push((*family, chunks));
        }
    }
    sources.sort_by_key(|(family, _)| *family);
    Ok(sources)
}

/// Upserts into a vnode that keeps the first row, as the whole rows that they lead to. A file cannot say "merge with the row before, which itself
/// may have to give way", so that the row before is looked up here; everything older is in the view.
fn resolved_upserts(
    view: &VnodeView,
    family: FamilyId,
    chunks: &[Arc<Chunk>],
    index: u64,
) -> Result<Vec<Arc<Chunk>>, StorageError> {
    let mut resolved = Vec::new();
    if view.update != UpdateMode::KeepFirst {
        return Ok(resolved);
    }
    for chunk in chunks.iter().filter(|chunk| chunk.rules().may_merge()) {
        let sorted = chunk.sorted().clone();
        let is_upserted = |series: u32, time: i64| {
            sorted.series.binary_search(&series).is_ok_and(|at| {
                let (start, end) = sorted.run(at);
                sorted.times[start..end].binary_search(&time).is_ok()
            })
        };
        let mut merge = view.merge(Search {
            family,
            series: SeriesSet::List(sorted.series.iter().map(|series| crate::SeriesId(*series)).collect()),
            time: chunk.time(),
            wanted: Wanted::All,
            bounds: Vec::new(),
            direction: Direction::Ascending,
            limit_per_series: None,
        })?;
        while let Some(parts) = merge.next(WRITE_BATCH_ROWS)? {
            let rows = parts.into_sorted_rows(None);
            let keys = rows.series.iter().zip(rows.times.iter());
            let mask: BooleanBuffer = keys.map(|(series, time)| is_upserted(*series, *time)).collect();
            let order = Order::end_of(index);
            resolved.extend(Chunk::new(filtered(family, rows, mask), order, view.update).map(Arc::new));
        }
    }
    Ok(resolved)
}

fn filtered(family: FamilyId, rows: SortedRows, mask: BooleanBuffer) -> Rows {
    let series: Vec<u32> = mask.set_indices().map(|row| rows.series[row]).collect();
    let times: Vec<i64> = mask.set_indices().map(|row| rows.times[row]).collect();
    let mask = arrow::array::BooleanArray::new(mask, None);
    let columns = rows.columns.iter().map(|(id, array)| {
        let array = arrow::compute::filter(array, &mask).expect("mask and column are as long");
        (*id, array)
    });
    Rows {
        family,
        columns: columns.collect(),
        series: series.into(),
        times: times.into(),
        conflict: Conflict::Replace,
    }
}

/// Numbers of the file groups that rows fall into. Groups that have expired get no file.
fn groups(disk: &Disk, sources: &[(FamilyId, Vec<Arc<Chunk>>)], span: i64) -> BTreeSet<i64> {
    let mut groups = BTreeSet::new();
    for chunk in sources.iter().flat_map(|(_, chunks)| chunks) {
        let first = group_of(chunk.time().start(), span);
        let last = group_of(chunk.time().end(), span);
        groups.extend([first, last]);
        if last.saturating_sub(first) > 1 {
            let mut latest = first;
            for time in chunk.times() {
                let group = group_of(*time, span);
                if group != latest {
                    groups.insert(group);
                    latest = group;
                }
            }
        }
    }
    groups.retain(|group| disk.unexpired(&group_range(*group, span)).is_some());
    groups
}

/// Writes the rows of one group; nothing when deletes hide them all.
fn write_group(
    store: &VnodeStore,
    view: &VnodeView,
    sources: &[(FamilyId, Vec<Arc<Chunk>>)],
    group: i64,
    index: u64,
) -> Result<Option<FileEntry>, StorageError> {
    let range = group_range(group, store.group_span);
    let Some(time) = view.disk.unexpired(&range) else {
        return Ok(None);
    };
    // Sealing spends more on compression when the group has fallen quiet.
    let compression = match store.options.read().compression {
        Compression::High => Compression::Fast,
        other => other,
    };
    let origin = Origin {
        first_index: view.disk.flushed_index + 1,
        last_index: index,
        deletes_applied: index,
    };
    let mut file = GroupFile::new(store, group, compression, origin);
    for (family, chunks) in sources {
        let chunks: Vec<&Arc<Chunk>> = chunks
            .iter()
            .filter(|chunk| chunk.time().intersect(&time).is_some())
            .collect();
        if chunks.is_empty() {
            continue;
        }
        let deletes = view.memory_deletes(*family);
        if let Some(mut ordered) = Ordered::new(&chunks, time, &deletes, store.update) {
            while let Some(rows) = ordered.next() {
                file.append(*family, &rows)?;
            }
            continue;
        }
        let plan = all_rows(*family, time, deletes, store.update);
        let merge = Merge::new(plan, None, &[], &chunks, ScanCounters::default())?;
        file.append_all(*family, merge, Some(store.update))?;
    }
    file.finish()
}

/// A plan for every row and column of a family.
pub(super) fn all_rows(
    family: FamilyId,
    time: TimeRange,
    deletes: Vec<Arc<super::deletes::Deletes>>,
    update: UpdateMode,
) -> Plan {
    Plan {
        rows_of_series: None,
        family,
        series: SeriesSet::All,
        time,
        wanted: Wanted::All,
        bounds: Vec::new(),
        direction: Direction::Ascending,
        deletes,
        update,
    }
}

/// Which log records a new file stands for.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub first_index: u64,
    pub last_index: u64,
    pub deletes_applied: u64,
}

/// A data file being written, made when its first row comes. Dropped unfinished, it removes what it wrote.
pub(super) struct GroupFile<'a> {
    store: &'a VnodeStore,
    writer: Option<DataFileWriter>,
    entry: FileEntry,
    is_unfinished: bool,
}

impl<'a> GroupFile<'a> {
    pub fn new(store: &'a VnodeStore, group: i64, compression: Compression, origin: Origin) -> GroupFile<'a> {
        GroupFile {
            store,
            writer: None,
            entry: FileEntry {
                group,
                number: store.next_file(),
                bytes: 0,
                rows: 0,
                blocks: 0,
                min_time: i64::MAX,
                max_time: i64::MIN,
                first_index: origin.first_index,
                last_index: origin.last_index,
                deletes_applied: origin.deletes_applied,
                compression,
            },
            is_unfinished: false,
        }
    }

    /// Writes all rows of a merge. `flags`: rows keep saying whether they follow the other rule of this mode.
    pub fn append_all(
        &mut self,
        family: FamilyId,
        mut merge: Merge,
        flags: Option<UpdateMode>,
    ) -> Result<(), StorageError> {
        while let Some(parts) = merge.next(WRITE_BATCH_ROWS)? {
            let rows = parts.into_sorted_rows(flags);
            self.append(family, &rows)?;
        }
        Ok(())
    }

    fn append(&mut self, family: FamilyId, rows: &SortedRows) -> Result<(), StorageError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                self.is_unfinished = true;
                none.insert(create(self.store, &self.entry)?)
            }
        };
        writer.append(family, rows)?;
        let entry = &mut self.entry;
        entry.rows += rows.times.len() as u64;
        entry.min_time = rows.times.iter().copied().fold(entry.min_time, i64::min);
        entry.max_time = rows.times.iter().copied().fold(entry.max_time, i64::max);
        Ok(())
    }

    /// The file, synced with its folder; nothing when there was no row.
    pub fn finish(mut self) -> Result<Option<FileEntry>, StorageError> {
        let Some(writer) = self.writer.take() else {
            return Ok(None);
        };
        self.entry.bytes = writer.finish()?;
        let directory = &self.store.directory;
        let group = directory.group(self.entry.group);
        for folder in [&directory.path, &group] {
            directory.io.sync_dir(folder).map_err(StorageError::io(folder))?;
        }
        // Opened at once: a file that cannot be read back must not be named.
        let live = LiveFile::new(directory.clone(), self.entry.clone(), 0);
        self.entry.blocks = live.data()?.blocks().len() as u64;
        self.is_unfinished = false;
        Ok(Some(self.entry.clone()))
    }
}

impl Drop for GroupFile<'_> {
    fn drop(&mut self) {
        if self.is_unfinished {
            self.writer = None;
            self.store.directory.remove(&self.entry);
        }
    }
}

fn create(store: &VnodeStore, entry: &FileEntry) -> Result<DataFileWriter, StorageError> {
    let directory = &store.directory;
    let folder = directory.group(entry.group);
    let _groups = directory.groups.lock();
    directory
        .io
        .create_dir_all(&folder)
        .map_err(StorageError::io(&folder))?;
    let id = DataFileId {
        vnode: directory.vnode,
        number: entry.number,
    };
    let block_rows_max = store.options.read().block_rows_max;
    let path = directory.file(entry);
    DataFileWriter::create(directory.io.as_ref(), &path, id, entry.compression, block_rows_max)
}

/// What the last rows of the flushed families become. One that cannot be worked out is left out, and looked up again when asked for.
fn carried_last_rows(
    view: &VnodeView,
    families: &HashSet<FamilyId>,
) -> HashMap<FamilyId, (Arc<newest::LastRows>, Arc<newest::LastRows>)> {
    let known = view.disk.last_rows.lock().clone();
    let of_flushed = known.into_iter().filter(|(family, _)| families.contains(family));
    of_flushed
        .filter_map(|(family, was)| {
            let is = newest::carried_over(view, family, &was).ok()?;
            Some((family, (was, Arc::new(is))))
        })
        .collect()
}

//! Making children: in bulk, because devices appear by the hundred thousand.
//!
//! ```text
//! resolve: which exist, which are new ──▶ add: a record and a longer chunk for each chunk touched ──▶ synced ──▶ image
//! ```

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::interleave;
use hashbrown::HashTable;

use super::{CHUNK_RECORDS_MAX, ChunkRecords, SeriesGiver};
use crate::children::{CHUNK_ROWS, unexpected};
use crate::image::{DatabaseImage, Image, child_ref};
use crate::names::{Named, SLOT_SUPER};
use crate::rules;
use crate::store::Batch;
use crate::values::{self, Probe};
use crate::{Catalog, CatalogError, ChildChunk, ChildRef, Database, NewChild, Precision, SeriesRef, Table, record};

impl Catalog {
    /// Makes the children that do not exist yet, in one synced batch; an existing child of the same supertable is returned as it is (its
    /// tags unchanged), a name that something else has is an error and nothing is made. Answers as long as `children`.
    pub fn create_children(
        &self,
        supertable_oid: u32,
        children: &[NewChild],
        tags: &[ArrayRef],
    ) -> Result<Vec<ChildRef>, CatalogError> {
        let mut writer = self.writer.lock();
        let plan = resolve(&self.image.read_recursive(), supertable_oid, children, tags)?;
        if plan.new.is_empty() {
            return Ok(plan.answers.into_iter().filter_map(Answer::existing).collect());
        }
        let mut meta = writer.meta.clone();
        let mut addition = Addition {
            first_oid: meta.take_oids(plan.new.len())?,
            table: &plan.table,
            precision: plan.database.options.precision,
            batch: Batch::default(),
            records: writer.records.get(&supertable_oid).cloned().unwrap_or_default(),
            chunks: Vec::new(),
        };
        let mut series_giver = SeriesGiver::new(&writer);
        let series = plan.new.iter().map(|new| series_giver.take(&plan.database, &new.name));
        let series: Vec<SeriesRef> = series.collect::<Result<_, _>>()?;
        let next_series = series_giver.next;
        addition.add(&plan, &series, tags)?;
        let Addition {
            first_oid,
            mut batch,
            records,
            chunks,
            ..
        } = addition;
        batch.put_meta(&meta)?;
        for (vnode, next) in &next_series {
            batch.put_next_series(*vnode, *next);
        }
        writer.store.commit(batch)?;
        writer.meta = meta;
        writer.next_series.extend(next_series);
        writer.records.insert(supertable_oid, records);
        let child = |n: usize| ChildRef {
            oid: first_oid + n as u32,
            supertable: supertable_oid,
            slot: plan.first_slot + n as u32,
            series: series[n],
        };
        self.show(&plan, &chunks, child);
        let answer = |answer| match answer {
            Answer::Existing(child) => child,
            Answer::New(n) => child(n),
        };
        Ok(plan.answers.into_iter().map(answer).collect())
    }

    /// Puts new children into the image, a chunk at a time, so that nobody waits for all of them.
    fn show(&self, plan: &Plan<'_>, chunks: &[(usize, Arc<ChildChunk>)], child: impl Fn(usize) -> ChildRef) {
        let mut shown = 0;
        for (index, chunk) in chunks {
            let end = (*index as u64 * u64::from(CHUNK_ROWS) + chunk.rows() as u64) - u64::from(plan.first_slot);
            let end = end as usize;
            let mut image = self.image.write();
            let Some(database) = image.database_of_table_mut(plan.table.oid) else {
                return;
            };
            // Once for all of them: growing the table is what takes long.
            database.names.reserve(plan.new.len() - shown);
            for (n, new) in plan.new.iter().enumerate().take(end).skip(shown) {
                let ChildRef {
                    oid,
                    supertable,
                    slot,
                    series,
                } = child(n);
                database.names.insert(
                    new.name.as_bytes(),
                    Named {
                        oid,
                        table: supertable,
                        slot,
                        series,
                    },
                );
            }
            if let Some(table) = database.tables.get_mut(&plan.table.oid) {
                table.chunks.set(*index, chunk.clone());
                table.children_alive += (end - shown) as u64;
            }
            shown = end;
        }
    }
}

enum Answer {
    Existing(ChildRef),
    /// Position in `Plan::new`.
    New(usize),
}

impl Answer {
    fn existing(self) -> Option<ChildRef> {
        match self {
            Answer::Existing(child) => Some(child),
            Answer::New(_) => None,
        }
    }
}

struct New<'a> {
    /// Row of the tags.
    row: usize,
    name: Cow<'a, str>,
}

/// What is to be made.
struct Plan<'a> {
    table: Arc<Table>,
    database: Arc<Database>,
    answers: Vec<Answer>,
    new: Vec<New<'a>>,
    first_slot: u32,
    /// The chunk that is not full yet.
    last: Option<Arc<ChildChunk>>,
}

fn resolve<'a>(image: &Image, oid: u32, children: &'a [NewChild], tags: &[ArrayRef]) -> Result<Plan<'a>, CatalogError> {
    let (database, table) = image.supertable(oid)?;
    let precision = database.database.options.precision;
    if tags.len() != table.table.tags.len() {
        let (name, expected) = (&table.table.name, table.table.tags.len());
        let message = format!("supertable \"{name}\" has {expected} tags, not {}", tags.len());
        return Err(CatalogError::BadValue(message));
    }
    let positions: Vec<usize> = (0..tags.len()).collect();
    values::check_tags(
        &table.table,
        precision,
        &positions,
        &tags.iter().collect::<Vec<_>>(),
        children.len(),
    )?;
    let mut search = Search {
        database,
        table: &table.table,
        tags,
        new: Vec::new(),
        new_names: HashTable::new(),
    };
    let answers = children.iter().enumerate().map(|(row, child)| match &child.name {
        Some(name) => search.by_name(row, name),
        None => Ok(search.by_tags(row)),
    });
    let answers = answers.collect::<Result<Vec<_>, _>>()?;
    let new = search.new;
    let slots = table.slots();
    if !database.names.has_room_for(new.len()) || slots + new.len() as u64 > u64::from(SLOT_SUPER - CHUNK_ROWS) {
        let message = format!(
            "supertable \"{}\" or its database can have no more tables",
            table.table.name
        );
        return Err(CatalogError::Refused(message));
    }
    let last = table
        .chunks
        .last()
        .filter(|last| last.rows() < CHUNK_ROWS as usize)
        .cloned();
    let (table, database) = (table.table.clone(), database.database.clone());
    Ok(Plan {
        table,
        database,
        answers,
        new,
        first_slot: slots as u32,
        last,
    })
}

struct Search<'a, 'b> {
    database: &'b DatabaseImage,
    table: &'b Table,
    tags: &'b [ArrayRef],
    new: Vec<New<'a>>,
    /// Positions in `new`, by name.
    new_names: HashTable<u32>,
}

impl<'a> Search<'a, '_> {
    fn by_name(&mut self, row: usize, name: &'a str) -> Result<Answer, CatalogError> {
        if let Some(named) = self.database.names.find(name.as_bytes()) {
            return match child_ref(named).filter(|child| child.supertable == self.table.oid) {
                Some(child) => Ok(Answer::Existing(child)),
                None => Err(CatalogError::Exists {
                    what: "table",
                    name: name.into(),
                }),
            };
        }
        if let Some(n) = self.find_new(name.as_bytes()) {
            return Ok(Answer::New(n));
        }
        if self.database.is_view(name.as_bytes()) {
            return Err(CatalogError::Exists {
                what: "table",
                name: name.into(),
            });
        }
        rules::check_table_name(name)?;
        Ok(self.push(row, Cow::Borrowed(name)))
    }

    fn by_tags(&mut self, row: usize) -> Answer {
        let found = values::probe(self.table, self.tags, row, |name| {
            if let Some(n) = self.find_new(name) {
                let same = values::rows_equal(self.tags, self.new[n].row, self.tags, row);
                return if same {
                    Probe::Match(Answer::New(n))
                } else {
                    Probe::Taken
                };
            }
            match self.database.probe(self.table, self.tags, row, name) {
                Probe::Match(child) => Probe::Match(Answer::Existing(child)),
                Probe::Free => Probe::Free,
                Probe::Taken => Probe::Taken,
            }
        });
        found.unwrap_or_else(|name| self.push(row, Cow::Owned(name.text().into())))
    }

    fn find_new(&self, name: &[u8]) -> Option<usize> {
        let hash = self.database.names.hash(name);
        let same = |n: &u32| self.new[*n as usize].name.as_bytes() == name;
        self.new_names.find(hash, same).map(|n| *n as usize)
    }

    fn push(&mut self, row: usize, name: Cow<'a, str>) -> Answer {
        let n = self.new.len();
        let names = &self.database.names;
        let hash = names.hash(name.as_bytes());
        self.new.push(New { row, name });
        let new = &self.new;
        self.new_names
            .insert_unique(hash, n as u32, |n| names.hash(new[*n as usize].name.as_bytes()));
        Answer::New(n)
    }
}

/// Records and chunks of new children.
struct Addition<'a> {
    table: &'a Table,
    precision: Precision,
    first_oid: u32,
    batch: Batch,
    records: Vec<ChunkRecords>,
    /// Chunks as they will be, with their positions.
    chunks: Vec<(usize, Arc<ChildChunk>)>,
}

impl Addition<'_> {
    fn add(&mut self, plan: &Plan<'_>, series: &[SeriesRef], tags: &[ArrayRef]) -> Result<(), CatalogError> {
        let mut last = plan.last.clone();
        let mut added = 0;
        while added < plan.new.len() {
            let slot = plan.first_slot + added as u32;
            let room = (CHUNK_ROWS - slot % CHUNK_ROWS) as usize;
            let end = plan.new.len().min(added + room);
            let piece = piece(
                &plan.new[added..end],
                &series[added..end],
                self.first_oid + added as u32,
                tags,
            )?;
            let chunk = self.add_piece(slot, last.take().as_deref(), &piece)?;
            self.chunks.push(((slot / CHUNK_ROWS) as usize, Arc::new(chunk)));
            added = end;
        }
        Ok(())
    }

    /// Writes a piece, or the whole chunk when it is full or has been written in too many pieces.
    fn add_piece(
        &mut self,
        slot: u32,
        before: Option<&ChildChunk>,
        piece: &ChildChunk,
    ) -> Result<ChildChunk, CatalogError> {
        let oid = self.table.oid;
        let bytes = record::encode(self.table, piece);
        // What is in memory is what a start would read: without repeated text and what the sender's buffers hold besides.
        let piece = record::decode(self.table, self.precision, &bytes).map_err(unexpected)?;
        let Some(before) = before else {
            self.batch.put_children(oid, slot, &bytes);
            self.records.push(ChunkRecords {
                pieces: vec![slot],
                ..ChunkRecords::default()
            });
            return Ok(piece);
        };
        let mut whole = before.followed_by(&piece)?;
        let records = self
            .records
            .last_mut()
            .ok_or_else(|| unexpected("a chunk without records"))?;
        if whole.rows() == CHUNK_ROWS as usize || records.pieces.len() >= CHUNK_RECORDS_MAX {
            whole = super::children::rewrite(&mut self.batch, records, self.table, self.precision, slot, &whole)?;
        } else {
            self.batch.put_children(oid, slot, &bytes);
            records.pieces.push(slot);
            if whole.is_scattered() {
                whole = whole.compact(self.table, self.precision)?;
            }
        }
        Ok(whole)
    }
}

fn piece(new: &[New<'_>], series: &[SeriesRef], first_oid: u32, tags: &[ArrayRef]) -> Result<ChildChunk, CatalogError> {
    let picks: Vec<(usize, usize)> = new.iter().map(|new| (0, new.row)).collect();
    let pick = |array: &ArrayRef| interleave(&[array], &picks).map_err(unexpected);
    Ok(ChildChunk {
        alive: BooleanBuffer::new_set(new.len()),
        oids: (first_oid..).take(new.len()).collect(),
        series: series.to_vec(),
        names: Arc::new(StringViewArray::from_iter_values(
            new.iter().map(|new| new.name.as_ref()),
        )),
        tags: tags.iter().map(pick).collect::<Result<_, _>>()?,
    })
}

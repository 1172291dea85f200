//! The bodies of records: changes column by column, as the codecs of blocks write them.
//!
//! Numbers are LEB128 varints unless said otherwise. Reading trusts nothing: a count is checked against what is left before
//! anything is allocated by it, and the row count against [`ROWS_MAX`], since a constant column takes few bytes for any number of rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimeUnit};

use super::record::{BODY_BYTES_MAX, Entry, Kind};
use crate::{
    Change, ColumnId, Compression, Conflict, FamilyId, Rows, SeriesId, SeriesSet, StorageError, TimeRange, VnodeId,
    codec,
};

/// Rows in one encoded step; longer steps are written as several. What codecs take at once; bounds what a reader allocates for one
/// column (at 16 bytes a value 64 MiB), and is far above the rows of a statement.
const ROWS_MAX: usize = codec::ROWS_MAX;

/// Below this many rows choosing a codec costs more than it saves: one row of ten metrics is about a hundred bytes either way.
const ROWS_WORTH_PACKING: usize = 16;

/// Room that a body begins with: one row of ten metrics takes 200 bytes, and would have a body grow six times.
const BODY_BYTES_FIRST: usize = 512;

const ROWS: u8 = 1;
const DELETE: u8 = 2;
const DROP_FAMILY: u8 = 3;

type Read<T> = Result<T, &'static str>;

/// The body of [`Kind::Changes`].
pub(crate) fn encode_changes(changes: &[Change]) -> Result<Vec<u8>, StorageError> {
    let mut out = Vec::with_capacity(BODY_BYTES_FIRST);
    append_changes(changes, &mut out)?;
    Ok(out)
}

/// The body of [`Kind::Prepared`].
pub(crate) fn encode_prepared(home: VnodeId, changes: &[Change]) -> Result<Vec<u8>, StorageError> {
    let mut out = Vec::with_capacity(BODY_BYTES_FIRST);
    put(&mut out, u64::from(home.0));
    append_changes(changes, &mut out)?;
    Ok(out)
}

/// The body of [`Kind::PreparedHome`].
pub(crate) fn encode_prepared_home(participants: &[VnodeId], changes: &[Change]) -> Result<Vec<u8>, StorageError> {
    let mut out = Vec::with_capacity(BODY_BYTES_FIRST);
    put(&mut out, participants.len() as u64);
    for participant in participants {
        put(&mut out, u64::from(participant.0));
    }
    append_changes(changes, &mut out)?;
    Ok(out)
}

/// The body of [`Kind::Commit`]. It has no changes of its own: logs of version 1 had the home's there.
pub(crate) fn encode_commit(participants: &[VnodeId]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, participants.len() as u64);
    for participant in participants {
        put(&mut out, u64::from(participant.0));
    }
    put(&mut out, 0);
    out
}

/// The body of [`Kind::Resolved`].
pub(crate) fn encode_resolved(committed: bool) -> Vec<u8> {
    vec![u8::from(committed)]
}

/// The body of [`Kind::Expire`].
pub(crate) fn encode_expire(before: i64) -> Vec<u8> {
    before.to_le_bytes().to_vec()
}

/// What a body says.
pub(crate) fn decode(kind: Kind, body: &[u8]) -> Read<Entry> {
    let mut reader = Reader(body);
    let entry = match kind {
        Kind::Changes => Entry::Changes(reader.changes()?),
        Kind::Prepared => Entry::Prepared {
            home: reader.vnode()?,
            changes: reader.changes()?,
        },
        Kind::Commit => Entry::Commit {
            participants: reader.vnodes()?,
            changes: reader.changes()?,
        },
        Kind::PreparedHome => Entry::PreparedHome {
            participants: reader.vnodes()?,
            changes: reader.changes()?,
        },
        Kind::Resolved => match reader.byte()? {
            0 => Entry::Resolved { committed: false },
            1 => Entry::Resolved { committed: true },
            _ => return Err("an outcome of 0 or 1"),
        },
        Kind::Watermark => Entry::Watermark,
        Kind::Expire => {
            let bytes = reader.take(8)?;
            Entry::Expire {
                before: i64::from_le_bytes(bytes.try_into().expect("eight bytes were taken")),
            }
        }
    };
    if reader.0.is_empty() {
        Ok(entry)
    } else {
        Err("a record body without a rest")
    }
}

fn append_changes(changes: &[Change], out: &mut Vec<u8>) -> Result<(), StorageError> {
    let steps: usize = changes
        .iter()
        .map(|change| match change {
            Change::Rows(rows) => rows.len().div_ceil(ROWS_MAX),
            Change::Delete { .. } | Change::DropFamily(_) => 1,
        })
        .sum();
    put(out, steps as u64);
    for change in changes {
        match change {
            Change::Rows(rows) => append_rows(rows, out)?,
            Change::Delete { family, series, time } => {
                out.push(DELETE);
                put(out, u64::from(family.0));
                put_signed(out, time.start());
                put_signed(out, time.end());
                append_series(series, out);
            }
            Change::DropFamily(family) => {
                out.push(DROP_FAMILY);
                put(out, u64::from(family.0));
            }
        }
    }
    if out.len() > BODY_BYTES_MAX {
        return Err(StorageError::Refused(format!(
            "a transaction of {} bytes in one vnode is more than the {BODY_BYTES_MAX} that one may have",
            out.len()
        )));
    }
    Ok(())
}

fn append_rows(rows: &Rows, out: &mut Vec<u8>) -> Result<(), StorageError> {
    let uneven = |what: String| StorageError::Refused(format!("family {}: {what}", rows.family.0));
    if rows.times.len() != rows.len() {
        return Err(uneven(format!("{} times for {} rows", rows.times.len(), rows.len())));
    }
    let mut data_type = Vec::new();
    let mut last = None;
    for (id, array) in &rows.columns {
        if array.len() != rows.len() {
            return Err(uneven(format!(
                "{} values in column {} for {} rows",
                array.len(),
                id.0,
                rows.len()
            )));
        }
        if last.is_some_and(|last: ColumnId| last.0 >= id.0) {
            return Err(uneven(format!("column {} is out of order", id.0)));
        }
        last = Some(*id);
        let bytes = array.get_array_memory_size();
        if bytes > BODY_BYTES_MAX {
            return Err(uneven(format!(
                "{bytes} bytes in column {} are more than one step may have",
                id.0
            )));
        }
        data_type.clear();
        append_type(array.data_type(), &mut data_type).ok_or_else(|| {
            uneven(format!(
                "column {} has type {}, which is not stored",
                id.0,
                array.data_type()
            ))
        })?;
    }
    for start in (0..rows.len()).step_by(ROWS_MAX) {
        let count = ROWS_MAX.min(rows.len() - start);
        let compression = if count < ROWS_WORTH_PACKING {
            Compression::None
        } else {
            Compression::Fast
        };
        out.push(ROWS);
        put(out, u64::from(rows.family.0));
        out.push(conflict_byte(rows.conflict));
        put(out, count as u64);
        // The same bytes read as signed numbers: codecs know those.
        let series = Int32Array::new(ScalarBuffer::from(rows.series.slice(start, count).into_inner()), None);
        let times = Int64Array::new(rows.times.slice(start, count), None);
        append_array(&(Arc::new(series) as ArrayRef), compression, out);
        append_array(&(Arc::new(times) as ArrayRef), compression, out);
        put(out, rows.columns.len() as u64);
        for (id, array) in &rows.columns {
            put(out, u64::from(id.0));
            append_type(array.data_type(), out).expect("types were looked at above");
            let part = match count == array.len() {
                true => array.clone(),
                false => array.slice(start, count),
            };
            match compression {
                Compression::None => append_array(&part, compression, out),
                // Rows in their order of arrival are other devices' from one to the next: little would come of looking closely.
                _ => append_sized(out, |out| codec::encode_quickly(&part, out)),
            }
        }
    }
    Ok(())
}

fn append_array(array: &ArrayRef, compression: Compression, out: &mut Vec<u8>) {
    append_sized(out, |out| codec::encode(array, compression, out));
}

/// Length in four bytes, then what the codec writes.
fn append_sized(out: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    encode(out);
    // A longer array makes the body longer than BODY_BYTES_MAX, which is refused in the end.
    let bytes = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX);
    out[at..at + 4].copy_from_slice(&bytes.to_le_bytes());
}

fn append_series(series: &SeriesSet, out: &mut Vec<u8>) {
    match series {
        SeriesSet::All => out.push(0),
        SeriesSet::List(list) => {
            out.push(1);
            put(out, list.len() as u64);
            let mut last = 0;
            for series in list.iter() {
                put(out, u64::from(series.0.wrapping_sub(last)));
                last = series.0;
            }
        }
    }
}

fn conflict_byte(conflict: Conflict) -> u8 {
    match conflict {
        Conflict::ByVnode => 0,
        Conflict::Replace => 1,
        Conflict::Merge => 2,
        Conflict::Keep => 3,
    }
}

/// `None` for types that storage does not keep.
fn append_type(data_type: &DataType, out: &mut Vec<u8>) -> Option<()> {
    match data_type {
        DataType::Boolean => out.push(1),
        DataType::Int16 => out.push(2),
        DataType::Int32 => out.push(3),
        DataType::Int64 => out.push(4),
        DataType::Float32 => out.push(5),
        DataType::Float64 => out.push(6),
        DataType::Decimal128(precision, scale) => out.extend_from_slice(&[7, *precision, *scale as u8]),
        DataType::Date32 => out.push(8),
        DataType::Timestamp(unit, zone) => {
            let unit = match unit {
                TimeUnit::Second => 0,
                TimeUnit::Millisecond => 1,
                TimeUnit::Microsecond => 2,
                TimeUnit::Nanosecond => 3,
            };
            let zone = zone.as_deref().unwrap_or("");
            out.extend_from_slice(&[9, unit, u8::try_from(zone.len()).ok()?]);
            out.extend_from_slice(zone.as_bytes());
        }
        DataType::Utf8View => out.push(10),
        DataType::BinaryView => out.push(11),
        _ => return None,
    }
    Some(())
}

fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_signed(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// What is left of a body.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(bytes)
            .ok_or("a record body that is long enough")?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Read<u8> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Read<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("a number of at most 64 bits")
    }

    fn number32(&mut self) -> Read<u32> {
        u32::try_from(self.number()?).map_err(|_| "a number of at most 32 bits")
    }

    fn signed(&mut self) -> Read<i64> {
        Ok(i64::from_le_bytes(
            self.take(8)?.try_into().expect("eight bytes were taken"),
        ))
    }

    fn vnodes(&mut self) -> Read<Vec<VnodeId>> {
        let count = self.count(1)?;
        (0..count).map(|_| self.vnode()).collect()
    }

    /// A count of things that take at least `bytes_each`, so that a forged one is caught before anything is allocated by it.
    fn count(&mut self, bytes_each: usize) -> Read<usize> {
        let count = usize::try_from(self.number()?).map_err(|_| "a count that fits the record")?;
        if count.saturating_mul(bytes_each) > self.0.len() {
            return Err("a count that fits the record");
        }
        Ok(count)
    }

    fn vnode(&mut self) -> Read<VnodeId> {
        Ok(VnodeId(self.number32()?))
    }

    fn family(&mut self) -> Read<FamilyId> {
        Ok(FamilyId(self.number32()?))
    }

    fn changes(&mut self) -> Read<Vec<Change>> {
        let steps = self.count(2)?;
        (0..steps).map(|_| self.change()).collect()
    }

    fn change(&mut self) -> Read<Change> {
        match self.byte()? {
            ROWS => Ok(Change::Rows(self.rows()?)),
            DELETE => {
                let family = self.family()?;
                let (start, end) = (self.signed()?, self.signed()?);
                let time = TimeRange::new(start, end).ok_or("a span of time that is not empty")?;
                Ok(Change::Delete {
                    family,
                    series: self.series()?,
                    time,
                })
            }
            DROP_FAMILY => Ok(Change::DropFamily(self.family()?)),
            _ => Err("a known kind of change"),
        }
    }

    fn series(&mut self) -> Read<SeriesSet> {
        match self.byte()? {
            0 => Ok(SeriesSet::All),
            1 => {
                let count = self.count(1)?;
                let mut list = Vec::with_capacity(count);
                let mut last = 0u32;
                for at in 0..count {
                    let step = self.number32()?;
                    if at > 0 && step == 0 {
                        return Err("series in ascending order");
                    }
                    last = last.checked_add(step).ok_or("series in ascending order")?;
                    list.push(SeriesId(last));
                }
                Ok(SeriesSet::List(list.into()))
            }
            _ => Err("all series or a list"),
        }
    }

    fn rows(&mut self) -> Read<Rows> {
        let family = self.family()?;
        let conflict = match self.byte()? {
            0 => Conflict::ByVnode,
            1 => Conflict::Replace,
            2 => Conflict::Merge,
            3 => Conflict::Keep,
            _ => return Err("a known rule for conflicts"),
        };
        let count = usize::try_from(self.number()?).map_err(|_| "at most 4 Mi rows in a step")?;
        if count > ROWS_MAX {
            return Err("at most 4 Mi rows in a step");
        }
        let series = self.array(&DataType::Int32, count)?;
        let times = self.array(&DataType::Int64, count)?;
        if series.null_count() + times.null_count() > 0 {
            return Err("keys without nulls");
        }
        let series = ScalarBuffer::from(series.as_primitive::<Int32Type>().values().clone().into_inner());
        let times = times.as_primitive::<Int64Type>().values().clone();
        let columns_count = self.count(6)?;
        let mut columns: Vec<(ColumnId, ArrayRef)> = Vec::with_capacity(columns_count);
        for _ in 0..columns_count {
            let id = u16::try_from(self.number()?).map_err(|_| "a column id of at most 16 bits")?;
            if columns.last().is_some_and(|(last, _)| last.0 >= id) {
                return Err("columns in ascending order");
            }
            let data_type = self.data_type()?;
            columns.push((ColumnId(id), self.array(&data_type, count)?));
        }
        Ok(Rows {
            family,
            series,
            times,
            columns,
            conflict,
        })
    }

    fn array(&mut self, data_type: &DataType, rows: usize) -> Read<ArrayRef> {
        let length = self.take(4)?.try_into().expect("four bytes were taken");
        let bytes = self.take(u32::from_le_bytes(length) as usize)?;
        let array = codec::decode(bytes, data_type, rows)?;
        if array.len() == rows && array.data_type() == data_type {
            Ok(array)
        } else {
            Err("an array of the type and length that the record says")
        }
    }

    fn data_type(&mut self) -> Read<DataType> {
        Ok(match self.byte()? {
            1 => DataType::Boolean,
            2 => DataType::Int16,
            3 => DataType::Int32,
            4 => DataType::Int64,
            5 => DataType::Float32,
            6 => DataType::Float64,
            7 => {
                let (precision, scale) = (self.byte()?, self.byte()? as i8);
                if !(1..=38).contains(&precision) || scale > precision as i8 || scale < 0 {
                    return Err("a decimal of at most 38 digits");
                }
                DataType::Decimal128(precision, scale)
            }
            8 => DataType::Date32,
            9 => {
                let unit = match self.byte()? {
                    0 => TimeUnit::Second,
                    1 => TimeUnit::Millisecond,
                    2 => TimeUnit::Microsecond,
                    3 => TimeUnit::Nanosecond,
                    _ => return Err("a known time unit"),
                };
                let length = self.byte()?;
                let zone = std::str::from_utf8(self.take(length as usize)?).map_err(|_| "a time zone in utf-8")?;
                DataType::Timestamp(unit, (!zone.is_empty()).then(|| zone.into()))
            }
            10 => DataType::Utf8View,
            11 => DataType::BinaryView,
            _ => return Err("a known column type"),
        })
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array,
        StringViewArray, TimestampMicrosecondArray,
    };

    use super::*;

    /// Changes of every kind, with a column of every type; `rows` decides whether columns are packed.
    fn every_change(rows: usize) -> Vec<Change> {
        let numbers = || (0..rows).map(|row| (row % 3 != 0).then_some(row));
        let text = || numbers().map(|number| number.map(|number| format!("text number {number}, not inlined")));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(
                numbers()
                    .map(|number| number.map(|number| number % 2 == 0))
                    .collect::<BooleanArray>(),
            ),
            Arc::new(
                numbers()
                    .map(|number| number.map(|number| number as i16))
                    .collect::<Int16Array>(),
            ),
            Arc::new(
                numbers()
                    .map(|number| number.map(|number| number as i32))
                    .collect::<Int32Array>(),
            ),
            Arc::new(
                numbers()
                    .map(|number| number.map(|number| number as i64 * -7))
                    .collect::<Int64Array>(),
            ),
            Arc::new(
                numbers()
                    .map(|number| number.map(|number| number as f32 / 4.0))
                    .collect::<Float32Array>(),
            ),
            Arc::new(
                numbers()
                    .map(|number| number.map(|number| number as f64 / 10.0))
                    .collect::<Float64Array>(),
            ),
            Arc::new(
                numbers()
                    .map(|number| number.map(|number| number as i128))
                    .collect::<Decimal128Array>()
                    .with_precision_and_scale(12, 3)
                    .unwrap(),
            ),
            Arc::new(
                numbers()
                    .map(|number| number.map(|number| number as i32))
                    .collect::<Date32Array>(),
            ),
            Arc::new(
                numbers()
                    .map(|number| number.map(|number| number as i64))
                    .collect::<TimestampMicrosecondArray>()
                    .with_timezone("UTC"),
            ),
            Arc::new(text().collect::<StringViewArray>()),
            Arc::new(
                text()
                    .map(|text| text.map(String::into_bytes))
                    .collect::<BinaryViewArray>(),
            ),
        ];
        let rows = Rows {
            family: FamilyId(300),
            series: (0..rows as u32).map(|row| u32::MAX - row).collect::<Vec<_>>().into(),
            times: (0..rows as i64).map(|row| row * 1_000 - 5).collect::<Vec<_>>().into(),
            columns: (1..).step_by(50).map(ColumnId).zip(columns).collect(),
            conflict: Conflict::Merge,
        };
        let list = SeriesSet::List([0, 1, 130, u32::MAX].map(SeriesId).into());
        vec![
            Change::Rows(rows),
            Change::Delete {
                family: FamilyId(1),
                series: list,
                time: TimeRange::new(-5, 7).unwrap(),
            },
            Change::Delete {
                family: FamilyId(2),
                series: SeriesSet::All,
                time: TimeRange::ALL,
            },
            Change::DropFamily(FamilyId(u32::MAX)),
        ]
    }

    #[test]
    fn changes_come_back_as_they_were() {
        for rows in [1, ROWS_WORTH_PACKING, 1000] {
            let changes = every_change(rows);
            let Entry::Changes(read) = decode(Kind::Changes, &encode_changes(&changes).unwrap()).unwrap() else {
                panic!("another kind");
            };
            assert_eq!(format!("{read:?}"), format!("{changes:?}"));
        }
    }

    #[test]
    fn other_bodies_come_back_as_they_were() {
        let changes = [Change::DropFamily(FamilyId(3))];
        let home = VnodeId(900);
        let body = encode_prepared(home, &changes).unwrap();
        assert!(matches!(
            decode(Kind::Prepared, &body),
            Ok(Entry::Prepared { home: VnodeId(900), .. })
        ));
        let body = encode_prepared_home(&[VnodeId(1), home], &changes).unwrap();
        match decode(Kind::PreparedHome, &body) {
            Ok(Entry::PreparedHome { participants, changes }) => {
                assert_eq!((participants, changes.len()), (vec![VnodeId(1), home], 1));
            }
            other => panic!("{other:?}"),
        }
        // The mark of logs of version 1.
        match decode(Kind::Commit, &body) {
            Ok(Entry::Commit { participants, changes }) => {
                assert_eq!((participants, changes.len()), (vec![VnodeId(1), home], 1));
            }
            other => panic!("{other:?}"),
        }
        match decode(Kind::Commit, &encode_commit(&[home])) {
            Ok(Entry::Commit { participants, changes }) => {
                assert_eq!((participants, changes.len()), (vec![home], 0));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            decode(Kind::Expire, &encode_expire(-8)),
            Ok(Entry::Expire { before: -8 })
        ));
        assert!(matches!(
            decode(Kind::Resolved, &encode_resolved(true)),
            Ok(Entry::Resolved { committed: true })
        ));
        assert!(decode(Kind::Resolved, &[2]).is_err());
        assert!(decode(Kind::Watermark, &[0]).is_err());
    }

    #[test]
    fn cut_and_flipped_bodies_are_errors_or_other_changes_but_never_panics() {
        for rows in [3, 100] {
            let body = encode_changes(&every_change(rows)).unwrap();
            for length in 0..body.len() {
                assert!(
                    decode(Kind::Changes, &body[..length]).is_err(),
                    "{length} of {}",
                    body.len()
                );
            }
            for bit in 0..body.len() * 8 {
                let mut flipped = body.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let _ = decode(Kind::Changes, &flipped);
            }
        }
    }

    #[test]
    fn long_steps_are_written_as_several() {
        let rows = ROWS_MAX + 5;
        let value: ArrayRef = Arc::new(Int32Array::from_iter_values(0..rows as i32));
        let changes = [Change::Rows(Rows {
            family: FamilyId(1),
            series: vec![7; rows].into(),
            times: (0..rows as i64).collect::<Vec<_>>().into(),
            columns: vec![(ColumnId(1), value)],
            conflict: Conflict::ByVnode,
        })];
        let Ok(Entry::Changes(read)) = decode(Kind::Changes, &encode_changes(&changes).unwrap()) else {
            panic!("another kind");
        };
        let [Change::Rows(first), Change::Rows(second)] = &read[..] else {
            panic!("{} steps", read.len())
        };
        assert_eq!(
            (first.len(), second.len(), second.times[4]),
            (ROWS_MAX, 5, rows as i64 - 1)
        );
    }

    #[test]
    fn rows_that_do_not_fit_together_are_refused() {
        let rows = Rows {
            family: FamilyId(1),
            series: vec![1, 2].into(),
            times: vec![1, 2].into(),
            columns: vec![(ColumnId(1), Arc::new(Int32Array::from(vec![1])))],
            conflict: Conflict::ByVnode,
        };
        assert!(matches!(
            encode_changes(&[Change::Rows(rows.clone())]),
            Err(StorageError::Refused(_))
        ));
        let unsorted = vec![2, 2]
            .into_iter()
            .map(|id| (ColumnId(id), Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef));
        let rows = Rows {
            columns: unsorted.collect(),
            ..rows
        };
        assert!(matches!(
            encode_changes(&[Change::Rows(rows)]),
            Err(StorageError::Refused(_))
        ));
    }
}

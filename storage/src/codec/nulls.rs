//! Which rows are null, and the values around them. Only values that are not null are written.

use std::borrow::Cow;

use arrow::buffer::NullBuffer;

/// The values that are not null.
pub(super) fn gather<'a, T: Copy>(values: &'a [T], nulls: Option<&NullBuffer>) -> Cow<'a, [T]> {
    let Some(nulls) = nulls else {
        return Cow::Borrowed(values);
    };
    let mut gathered = Vec::with_capacity(values.len() - nulls.null_count());
    for (start, end) in nulls.valid_slices() {
        gathered.extend_from_slice(&values[start..end]);
    }
    Cow::Owned(gathered)
}

/// The other way: zeros where the nulls are. `gathered` has as many values as are not null.
pub(super) fn spread<T: Copy + Default>(gathered: Vec<T>, rows: usize, nulls: Option<&NullBuffer>) -> Vec<T> {
    let Some(nulls) = nulls else {
        return gathered;
    };
    let mut values = vec![T::default(); rows];
    let mut rest = gathered.as_slice();
    for (start, end) in nulls.valid_slices() {
        let (run, after) = rest.split_at(end - start);
        values[start..end].copy_from_slice(run);
        rest = after;
    }
    values
}

//! The numbers of an array's items: what `generate_subscripts` and `information_schema._pg_expandarray` make rows of.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use crate::pg_type::{self, oid};

/// What is made of each array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Made {
    /// The subscripts of a dimension: from 1, of an int2vector and an oidvector from 0.
    Subscripts,
    /// 1, 2, 3 …
    Numbers,
    /// Items with their numbers: (x, n).
    Expanded,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ArrayNumbers {
    made: Made,
    signature: Signature,
}

/// `array_subscripts(array, dimension)`, `array_numbers(array)` and `array_expanded(array)`.
pub(super) fn functions() -> [ScalarUDF; 3] {
    [Made::Subscripts, Made::Numbers, Made::Expanded].map(|made| {
        let arities = match made {
            Made::Subscripts => vec![TypeSignature::Any(2), TypeSignature::Any(3)],
            Made::Numbers | Made::Expanded => vec![TypeSignature::Any(1)],
        };
        ArrayNumbers {
            made,
            signature: Signature::one_of(arities, Volatility::Immutable),
        }
        .into()
    })
}

impl ScalarUDFImpl for ArrayNumbers {
    fn name(&self) -> &str {
        match self.made {
            Made::Subscripts => "array_subscripts",
            Made::Numbers => "array_numbers",
            Made::Expanded => "array_expanded",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let item = match self.made {
            Made::Subscripts | Made::Numbers => Field::new_list_field(DataType::Int32, true),
            Made::Expanded => match arguments.first() {
                Some(DataType::List(item)) => {
                    Field::new_list_field(DataType::Struct(pair(item.data_type().clone())), true)
                }
                _ => return exec_err!("{} takes an array", self.name()),
            },
        };
        Ok(DataType::List(Arc::new(item)))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = arguments
            .arg_fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, true)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let array = arguments.args[0].to_array(rows)?;
        let Some(list) = array.as_list_opt::<i32>() else {
            return exec_err!("{} takes an array", self.name());
        };
        let made = match self.made {
            Made::Subscripts if !is_first_dimension(&arguments.args[1])? => no_items(list),
            Made::Subscripts => {
                let type_oid = pg_type::field_oid(&arguments.arg_fields[0]);
                numbers(list, i32::from(!matches!(type_oid, oid::INT2_VECTOR | oid::OID_VECTOR)))
            }
            Made::Numbers => numbers(list, 1),
            Made::Expanded => expanded(list),
        };
        Ok(ColumnarValue::Array(made))
    }
}

/// Arrays here have one dimension.
fn is_first_dimension(dimension: &ColumnarValue) -> Result<bool> {
    let dimension = match dimension {
        ColumnarValue::Scalar(value) => value.clone(),
        ColumnarValue::Array(values) => ScalarValue::try_from_array(values, 0)?,
    };
    Ok(dimension.cast_to(&DataType::Int64)? == ScalarValue::Int64(Some(1)))
}

fn pair(item: DataType) -> Fields {
    Fields::from(vec![
        Field::new("x", item, true),
        Field::new("n", DataType::Int32, true),
    ])
}

fn numbers(list: &ListArray, first: i32) -> ArrayRef {
    of_items(
        list,
        Arc::new(Field::new_list_field(DataType::Int32, true)),
        |lengths| Arc::new(count_up(lengths, first)),
    )
}

fn expanded(list: &ListArray) -> ArrayRef {
    let fields = pair(list.value_type());
    let items = Arc::new(Field::new_list_field(DataType::Struct(fields.clone()), true));
    of_items(list, items, |lengths| {
        let start = list.value_offsets().first().map_or(0, |offset| *offset as usize);
        let values = list.values().slice(start, lengths.iter().sum());
        Arc::new(StructArray::new(
            fields,
            vec![values, Arc::new(count_up(lengths, 1))],
            None,
        ))
    })
}

fn no_items(list: &ListArray) -> ArrayRef {
    let item = Arc::new(Field::new_list_field(DataType::Int32, true));
    let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(0, list.len()));
    Arc::new(ListArray::new(
        item,
        offsets,
        Arc::new(Int32Array::from(Vec::<i32>::new())),
        None,
    ))
}

/// A list with as many items in each row.
fn of_items(list: &ListArray, item: FieldRef, make: impl FnOnce(&[usize]) -> ArrayRef) -> ArrayRef {
    let lengths: Vec<usize> = list
        .value_offsets()
        .windows(2)
        .map(|ends| (ends[1] - ends[0]) as usize)
        .collect();
    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
    Arc::new(ListArray::new(item, offsets, make(&lengths), list.nulls().cloned()))
}

fn count_up(lengths: &[usize], first: i32) -> Int32Array {
    lengths
        .iter()
        .flat_map(|length| (first..).take(*length))
        .collect::<Vec<i32>>()
        .into()
}

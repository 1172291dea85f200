//! `only_value(x)`: the value of a group's one row; 21000 where a group has more, NULL where it has none.
//!
//! Correlated subqueries used as values become it (`system/rewrite.rs`), because DataFusion wants an aggregate there. It looks at every group of
//! the subquery, also at those that no outer row asks for: PostgreSQL would not complain of these.

use std::mem::size_of;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

use crate::plan::errors::wrap;
use crate::{ErrorKind, QueryError};

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct OnlyValue {
    signature: Signature,
}

impl OnlyValue {
    pub fn new() -> OnlyValue {
        OnlyValue {
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for OnlyValue {
    fn name(&self) -> &str {
        "only_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> DfResult<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> DfResult<Vec<FieldRef>> {
        let value = args.return_field.data_type().clone();
        Ok(vec![
            Arc::new(Field::new(format_state_name(args.name, "value"), value, true)),
            Arc::new(Field::new(
                format_state_name(args.name, "seen"),
                DataType::Boolean,
                false,
            )),
        ])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> DfResult<Box<dyn Accumulator>> {
        Ok(Box::new(Only {
            value: ScalarValue::try_from(args.return_field.data_type())?,
            seen: false,
        }))
    }
}

#[derive(Debug)]
struct Only {
    value: ScalarValue,
    seen: bool,
}

impl Only {
    fn take(&mut self, values: &ArrayRef, row: usize) -> DfResult<()> {
        if self.seen {
            let message = "more than one row returned by a subquery used as an expression";
            return Err(wrap(QueryError::new(ErrorKind::CardinalityViolation, message)));
        }
        self.seen = true;
        self.value = ScalarValue::try_from_array(values, row)?;
        Ok(())
    }
}

impl Accumulator for Only {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        // Two are enough to know.
        (0..values[0].len().min(2)).try_for_each(|row| self.take(&values[0], row))
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        let mut seen = states[1].as_boolean().values().set_indices();
        seen.try_for_each(|row| self.take(&states[0], row))
    }

    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), ScalarValue::Boolean(Some(self.seen))])
    }

    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of::<Only>() + self.value.size()
    }
}

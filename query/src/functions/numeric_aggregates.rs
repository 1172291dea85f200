//! `sum` and `avg` of numerics without a declared scale, with PostgreSQL's scales: a sum has the largest, an average that of a quotient.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::{DataFusionError, Result as DfResult, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

use super::numeric::{NUMERIC, refused};
use crate::pg_type::numeric::{Decimal, Numeric, NumericError, decode_key};
use crate::plan::errors;
use crate::{ErrorKind, QueryError};

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct NumericAggregate {
    average: bool,
    signature: Signature,
}

impl NumericAggregate {
    pub fn sum() -> NumericAggregate {
        NumericAggregate::new(false)
    }

    pub fn average() -> NumericAggregate {
        NumericAggregate::new(true)
    }

    fn new(average: bool) -> NumericAggregate {
        NumericAggregate {
            average,
            signature: Signature::exact(vec![NUMERIC], Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for NumericAggregate {
    fn name(&self) -> &str {
        if self.average { "numeric_avg" } else { "numeric_sum" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(NUMERIC)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> DfResult<Box<dyn Accumulator>> {
        if args.is_distinct {
            return Err(errors::wrap(
                QueryError::new(
                    ErrorKind::FeatureNotSupported,
                    "sum and avg of DISTINCT numerics without a scale are not supported",
                )
                .with_hint("cast them to numeric(38, 10), or group by them first"),
            ));
        }
        Ok(Box::new(Total {
            average: self.average,
            sum: Numeric::Finite(Decimal::new(0, 0)),
            count: 0,
            nans: 0,
            infinities: [0, 0],
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> DfResult<Vec<FieldRef>> {
        Ok(vec![
            Field::new(format!("{}[sum]", args.name), NUMERIC, true).into(),
            Field::new(format!("{}[count]", args.name), DataType::Int64, true).into(),
        ])
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> DfResult<Box<dyn Accumulator>> {
        self.accumulator(args)
    }
}

/// What is no finite number is counted apart, so that a window can leave it behind again.
#[derive(Debug)]
struct Total {
    average: bool,
    sum: Numeric,
    count: i64,
    nans: i64,
    /// Positive, negative.
    infinities: [i64; 2],
}

fn wrapped(error: NumericError) -> DataFusionError {
    errors::wrap(refused(error, ""))
}

impl Total {
    /// `times`: 1 for a value that comes in, -1 for one that goes out.
    fn add(&mut self, array: &ArrayRef, times: i64) -> DfResult<()> {
        for key in array.as_binary::<i64>().iter().flatten() {
            match decode_key(key) {
                Numeric::NaN => self.nans += times,
                Numeric::Infinity => self.infinities[0] += times,
                Numeric::NegativeInfinity => self.infinities[1] += times,
                value if times > 0 => self.sum = self.sum.plus(&value).map_err(wrapped)?,
                value => self.sum = self.sum.minus(&value).map_err(wrapped)?,
            }
        }
        Ok(())
    }

    fn sum(&self) -> Numeric {
        match (self.nans, self.infinities) {
            (0, [0, 0]) => self.sum.clone(),
            (0, [_, 0]) => Numeric::Infinity,
            (0, [0, _]) => Numeric::NegativeInfinity,
            _ => Numeric::NaN,
        }
    }
}

impl Accumulator for Total {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        self.add(&values[0], 1)?;
        self.count += (values[0].len() - values[0].null_count()) as i64;
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        self.add(&states[0], 1)?;
        self.count += states[1].as_primitive::<Int64Type>().iter().flatten().sum::<i64>();
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        self.add(&values[0], -1)?;
        self.count -= (values[0].len() - values[0].null_count()) as i64;
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        if self.count == 0 {
            return Ok(ScalarValue::LargeBinary(None));
        }
        let result = match self.average {
            true => {
                let count = Numeric::Finite(Decimal::new(self.count, 0));
                self.sum().over(&count).map_err(wrapped)?
            }
            false => self.sum(),
        };
        Ok(result.scalar())
    }

    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![self.sum().scalar(), ScalarValue::Int64(Some(self.count))])
    }

    fn size(&self) -> usize {
        let digits = match &self.sum {
            Numeric::Finite(decimal) => decimal.unscaled.bits() as usize / 8,
            _ => 0,
        };
        size_of_val(self) + digits
    }
}

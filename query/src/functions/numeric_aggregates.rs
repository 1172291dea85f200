//! Sums, averages, variances and deviations of numerics, with PostgreSQL's scales: a sum has the largest, all others that of a quotient.
//!
//! Integers and decimals are added as whole numbers of 128 bits, a batch at a time.

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Field, FieldRef, Int16Type, Int32Type, Int64Type,
};
use datafusion::common::{DataFusionError, Result as DfResult, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

use num_bigint::Sign;

use super::numeric::{NUMERIC, refused, to_numeric};
use crate::pg_type::numeric::{Decimal, Numeric, NumericError, decode_key};
use crate::plan::errors;
use crate::{ErrorKind, QueryError};

/// What is made of the values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Made {
    Sum,
    Average,
    Variance,
    PopulationVariance,
    Deviation,
    PopulationDeviation,
}

impl Made {
    /// Whether the squares of the values are needed.
    fn of_squares(self) -> bool {
        !matches!(self, Made::Sum | Made::Average)
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct NumericAggregate {
    made: Made,
    signature: Signature,
}

impl NumericAggregate {
    /// Takes numerics, and integers and decimals as they come.
    pub fn new(made: Made) -> NumericAggregate {
        NumericAggregate {
            made,
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl AggregateUDFImpl for NumericAggregate {
    fn name(&self) -> &str {
        match self.made {
            Made::Sum => "numeric_sum",
            Made::Average => "numeric_avg",
            Made::Variance => "numeric_var_samp",
            Made::PopulationVariance => "numeric_var_pop",
            Made::Deviation => "numeric_stddev_samp",
            Made::PopulationDeviation => "numeric_stddev_pop",
        }
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
                    "aggregates of DISTINCT numerics without a scale are not supported",
                )
                .with_hint("cast them to numeric(38, 10), or group by them first"),
            ));
        }
        Ok(Box::new(Total {
            made: self.made,
            sum: Numeric::Finite(Decimal::new(0, 0)),
            squares: Numeric::Finite(Decimal::new(0, 0)),
            count: 0,
            nans: 0,
            infinities: [0, 0],
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> DfResult<Vec<FieldRef>> {
        Ok(vec![
            Field::new(format!("{}[sum]", args.name), NUMERIC, true).into(),
            Field::new(format!("{}[squares]", args.name), NUMERIC, true).into(),
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
    made: Made,
    sum: Numeric,
    /// The sum of the values' squares, where it is needed.
    squares: Numeric,
    count: i64,
    nans: i64,
    /// Positive, negative.
    infinities: [i64; 2],
}

fn wrapped(error: NumericError) -> DataFusionError {
    errors::wrap(refused(error, ""))
}

/// Sums of whole numbers that are flushed before they overflow.
#[derive(Default)]
struct Whole {
    sum: i128,
    squares: i128,
}

/// Numbers of at most so many bits have squares of which a batch can be added in 128 bits.
const SMALL_BITS: u32 = 50;

impl Total {
    /// `times`: 1 for values that come in, -1 for those that go out.
    fn add(&mut self, array: &ArrayRef, times: i64) -> DfResult<()> {
        match array.data_type() {
            DataType::Int16 => self.add_whole(array.as_primitive::<Int16Type>(), 0, times),
            DataType::Int32 => self.add_whole(array.as_primitive::<Int32Type>(), 0, times),
            DataType::Int64 => self.add_whole(array.as_primitive::<Int64Type>(), 0, times),
            DataType::Decimal128(_, scale) if *scale >= 0 => {
                let scale = u32::from(scale.unsigned_abs());
                self.add_whole(array.as_primitive::<Decimal128Type>(), scale, times)
            }
            _ => {
                for key in to_numeric(array)?.as_binary::<i64>().iter().flatten() {
                    self.add_one(decode_key(key), times)?;
                }
                Ok(())
            }
        }
    }

    fn add_one(&mut self, value: Numeric, times: i64) -> DfResult<()> {
        match value {
            Numeric::NaN => self.nans += times,
            Numeric::Infinity => self.infinities[0] += times,
            Numeric::NegativeInfinity => self.infinities[1] += times,
            value => {
                let square = match self.made.of_squares() {
                    true => Some(value.times(&value).map_err(wrapped)?),
                    false => None,
                };
                self.add_sums(value, square, times)?;
            }
        }
        Ok(())
    }

    fn add_sums(&mut self, sum: Numeric, squares: Option<Numeric>, times: i64) -> DfResult<()> {
        let added = |total: &Numeric, value: &Numeric| match times > 0 {
            true => total.plus(value).map_err(wrapped),
            false => total.minus(value).map_err(wrapped),
        };
        self.sum = added(&self.sum, &sum)?;
        if let Some(squares) = squares {
            self.squares = added(&self.squares, &squares)?;
        }
        Ok(())
    }

    fn add_whole<T: ArrowPrimitiveType>(&mut self, array: &PrimitiveArray<T>, scale: u32, times: i64) -> DfResult<()>
    where
        T::Native: Into<i128>,
    {
        let mut whole = Whole::default();
        for value in array.iter().flatten() {
            let value: i128 = value.into();
            if value.unsigned_abs() >> SMALL_BITS != 0 {
                self.add_one(Numeric::Finite(Decimal::new(value, scale)), times)?;
                continue;
            }
            whole.sum += value;
            whole.squares += value * value;
        }
        let squares = self.made.of_squares();
        let sum = Numeric::Finite(Decimal::new(whole.sum, scale));
        let squares = squares.then(|| Numeric::Finite(Decimal::new(whole.squares, 2 * scale)));
        self.add_sums(sum, squares, times)
    }

    fn sum(&self) -> Numeric {
        match (self.nans, self.infinities) {
            (0, [0, 0]) => self.sum.clone(),
            (0, [_, 0]) => Numeric::Infinity,
            (0, [0, _]) => Numeric::NegativeInfinity,
            _ => Numeric::NaN,
        }
    }

    /// `(n * sum of squares - sum * sum) / (n * (n - 1))`, or over `n * n`: PostgreSQL's way, whose scale is that of the quotient.
    fn variance(&self, of_sample: bool) -> Result<Numeric, NumericError> {
        if (self.nans, self.infinities) != (0, [0, 0]) {
            return Ok(Numeric::NaN);
        }
        let whole = |value: i64| Numeric::Finite(Decimal::new(value, 0));
        let count = whole(self.count);
        let above = count.times(&self.squares)?.minus(&self.sum.times(&self.sum)?)?;
        let is_positive = matches!(&above, Numeric::Finite(decimal) if decimal.unscaled.sign() == Sign::Plus);
        if !is_positive {
            return Ok(whole(0));
        }
        let others = if of_sample {
            whole(self.count - 1)
        } else {
            count.clone()
        };
        above.over(&count.times(&others)?)
    }
}

/// The square root, with as many digits as the number has.
fn root(variance: Numeric) -> Numeric {
    match variance {
        Numeric::Finite(decimal) => Numeric::Finite(decimal.root(decimal.scale)),
        other => other,
    }
}

impl Accumulator for Total {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        self.add(&values[0], 1)?;
        self.count += (values[0].len() - values[0].null_count()) as i64;
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        for (sum, squares) in states[0].as_binary::<i64>().iter().zip(states[1].as_binary::<i64>()) {
            let (Some(sum), Some(squares)) = (sum, squares) else {
                continue;
            };
            match decode_key(sum) {
                sum @ Numeric::Finite(_) => self.add_sums(sum, Some(decode_key(squares)), 1)?,
                other => self.add_one(other, 1)?,
            }
        }
        self.count += states[2].as_primitive::<Int64Type>().iter().flatten().sum::<i64>();
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
        let of_sample = matches!(self.made, Made::Variance | Made::Deviation);
        if of_sample && self.count < 2 {
            return Ok(ScalarValue::LargeBinary(None));
        }
        let result = match self.made {
            Made::Sum => Ok(self.sum()),
            Made::Average => self.sum().over(&Numeric::Finite(Decimal::new(self.count, 0))),
            Made::Variance | Made::PopulationVariance => self.variance(of_sample),
            Made::Deviation | Made::PopulationDeviation => self.variance(of_sample).map(root),
        };
        let result = result.map_err(wrapped)?;
        Ok(result.scalar())
    }

    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![
            self.sum().scalar(),
            self.squares.scalar(),
            ScalarValue::Int64(Some(self.count)),
        ])
    }

    fn size(&self) -> usize {
        let bytes = |numeric: &Numeric| match numeric {
            Numeric::Finite(decimal) => decimal.unscaled.bits() as usize / 8,
            _ => 0,
        };
        size_of_val(self) + bytes(&self.sum) + bytes(&self.squares)
    }
}

//! `now()` and its kin: the transaction's time, the same in every row; `clock_timestamp()` is the clock's.

use arrow::datatypes::DataType;
use chrono::Utc;
use chrono_tz::Tz;
use datafusion::common::{Result as DfResult, ScalarValue, exec_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use crate::pg_type::{timestamptz_type, utc};

/// What a function of this family gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Instant,
    /// The session's wall clock.
    Local,
    Date,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Now {
    name: &'static str,
    kind: Kind,
    signature: Signature,
}

impl Now {
    pub fn new(name: &'static str, kind: Kind) -> Now {
        Now {
            name,
            kind,
            signature: Signature::nullary(Volatility::Stable),
        }
    }

    /// Whether it is an instant, whatever the session's zone.
    pub fn is_instant(&self) -> bool {
        self.kind == Kind::Instant
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(match self.kind {
            Kind::Instant => timestamptz_type(),
            Kind::Local => DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None),
            Kind::Date => DataType::Date32,
        })
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        exec_err!("{} is known only inside a statement", self.name)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> DfResult<ExprSimplifyResult> {
        let Some(now) = context.query_execution_start_time() else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let zone = super::calendar::session_zone(context.config_options());
        let local = now.with_timezone(&zone).naive_local();
        let value = match self.kind {
            Kind::Instant => ScalarValue::TimestampMicrosecond(Some(now.timestamp_micros()), Some(utc())),
            Kind::Local => ScalarValue::TimestampMicrosecond(Some(local.and_utc().timestamp_micros()), None),
            Kind::Date => {
                let days = local.and_utc().timestamp().div_euclid(86_400);
                ScalarValue::Date32(i32::try_from(days).ok())
            }
        };
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(value, None)))
    }
}

/// `clock_timestamp()`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Clock {
    signature: Signature,
}

impl Clock {
    pub fn new() -> Clock {
        Clock {
            signature: Signature::nullary(Volatility::Volatile),
        }
    }
}

impl ScalarUDFImpl for Clock {
    fn name(&self) -> &str {
        "clock_timestamp"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(timestamptz_type())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let now = Utc::now().with_timezone(&Tz::UTC).timestamp_micros();
        Ok(ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(
            Some(now),
            Some(utc()),
        )))
    }
}

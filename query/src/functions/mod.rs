//! SQL functions beside those of DataFusion, and in place of those that mean something else in PostgreSQL: one file for each family, one list.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF};

mod any_equal;
mod arithmetic;
pub mod arrays;
mod binary;
pub mod calendar;
mod digest;
mod divide;
pub mod first_last;
pub mod interval;
pub mod json;
mod math;
pub mod now;
pub mod number_cast;
mod number_pattern;
pub mod numeric;
pub mod numeric_aggregates;
mod only_value;
pub mod overloaded;
pub mod read_text;
pub mod regular;
mod round;
pub mod sets;
pub mod signature;
mod sleep;
pub mod spans;
pub mod strings;
pub mod text;
pub mod text_style;
pub mod time_bucket;
mod time_pattern;
pub mod time_shift;
pub mod times;

pub use any_equal::ANY_EQUAL;
pub use arithmetic::Operation;
use first_last::FirstLast;
use now::{Kind, Now};

/// The name of `last_row`, which the newest-row rule looks for.
pub const LAST_ROW: &str = "last_row";

/// A function and what it is for.
pub struct FunctionEntry {
    pub make: fn() -> Callable,
    pub description: &'static str,
    pub example: &'static str,
}

pub enum Callable {
    Scalar(ScalarUDF),
    Aggregate(AggregateUDF),
}

impl Callable {
    pub fn name(&self) -> &str {
        match self {
            Callable::Scalar(function) => function.name(),
            Callable::Aggregate(function) => function.name(),
        }
    }
}

/// Every function of ours, by name.
pub const FUNCTIONS: &[FunctionEntry] = &[
    FunctionEntry {
        make: || Callable::Scalar(any_equal::AnyEqual::new().into()),
        description: "whether a value is an element of an array: x = ANY(array)",
        example: "SELECT 2 = ANY(ARRAY[1, 2])",
    },
    FunctionEntry {
        make: || Callable::Scalar(arithmetic::Checked::new(arithmetic::Operation::Add).into()),
        description: "the sum of two integers or floats, refused when it is too large",
        example: "SELECT 1 + 2",
    },
    FunctionEntry {
        make: || Callable::Scalar(arithmetic::Checked::new(arithmetic::Operation::Multiply).into()),
        description: "the product of two integers or floats, refused when it is too large",
        example: "SELECT 2 * 3",
    },
    FunctionEntry {
        make: || Callable::Scalar(arithmetic::Checked::new(arithmetic::Operation::Subtract).into()),
        description: "the difference of two integers or floats, refused when it is too large",
        example: "SELECT 3 - 2",
    },
    FunctionEntry {
        make: || Callable::Scalar(now::Clock::new().into()),
        description: "the clock's time, other in every call",
        example: "SELECT clock_timestamp()",
    },
    FunctionEntry {
        make: || Callable::Scalar(Now::new("current_date", Kind::Date).into()),
        description: "the date in the session's time zone when the transaction began",
        example: "SELECT current_date",
    },
    FunctionEntry {
        make: || Callable::Scalar(Now::new("current_timestamp", Kind::Instant).into()),
        description: "when the transaction began",
        example: "SELECT current_timestamp",
    },
    FunctionEntry {
        make: || Callable::Scalar(time_bucket::TimeBucket::date_bin().into()),
        description: "the beginning of the bucket of a width, counted from an origin, that a time falls into",
        example: "SELECT date_bin('15 minutes', now(), '2026-01-01')",
    },
    FunctionEntry {
        make: || Callable::Scalar(time_bucket::DatePart::new().into()),
        description: "a field of a time or interval: what EXTRACT gives",
        example: "SELECT date_part('hour', now())",
    },
    FunctionEntry {
        make: || Callable::Scalar(time_bucket::DateTrunc::new().into()),
        description: "the beginning of the hour, day, month … that a time is in, in the session's time zone or a named one",
        example: "SELECT date_trunc('day', now(), 'Europe/Berlin')",
    },
    FunctionEntry {
        make: || Callable::Scalar(divide::Divide::new().into()),
        description: "the quotient of two numbers that are no integers, refused when the divisor is zero",
        example: "SELECT 7 / 2.0",
    },
    FunctionEntry {
        make: || Callable::Aggregate(FirstLast::new("first", false, false).into()),
        description: "the value at the earliest time",
        example: "SELECT first(current, ts) FROM meters",
    },
    FunctionEntry {
        make: || Callable::Aggregate(FirstLast::new("first_known", false, true).into()),
        description: "the earliest value that is not NULL: what first(value) means",
        example: "SELECT first(current) FROM meters",
    },
    FunctionEntry {
        make: || Callable::Scalar(interval::IntervalScale::new(true).into()),
        description: "an interval divided by a number",
        example: "SELECT interval '1 hour' / 4",
    },
    FunctionEntry {
        make: || Callable::Scalar(interval::IntervalScale::new(false).into()),
        description: "an interval times a number",
        example: "SELECT interval '1 second' * 90",
    },
    FunctionEntry {
        make: || Callable::Aggregate(FirstLast::new("last", true, false).into()),
        description: "the value at the latest time",
        example: "SELECT last(current, ts) FROM meters",
    },
    FunctionEntry {
        make: || Callable::Aggregate(FirstLast::new("last_known", true, true).into()),
        description: "the latest value that is not NULL: what last(value) means",
        example: "SELECT last(current) FROM meters",
    },
    FunctionEntry {
        make: || Callable::Aggregate(FirstLast::new(LAST_ROW, true, false).into()),
        description: "the value in the newest row, NULL or not; by tags it is answered from memory",
        example: "SELECT tbname, last_row(current) FROM meters GROUP BY tbname",
    },
    FunctionEntry {
        make: || Callable::Scalar(Now::new("localtimestamp", Kind::Local).into()),
        description: "when the transaction began, as the session's wall clock showed it",
        example: "SELECT localtimestamp",
    },
    FunctionEntry {
        make: || Callable::Scalar(digest::Digest::new(digest::Algorithm::Md5).into()),
        description: "the MD5 digest of a text or of bytes, in hexadecimal",
        example: "SELECT md5('taospg')",
    },
    FunctionEntry {
        make: || Callable::Scalar(Now::new("now", Kind::Instant).into()),
        description: "when the transaction began",
        example: "SELECT now() - interval '1 hour'",
    },
    FunctionEntry {
        make: || Callable::Aggregate(only_value::OnlyValue::new().into()),
        description: "the value of the one row that there is; an error if there are more",
        example: "SELECT only_value(x) FROM (VALUES (1)) AS one (x)",
    },
    FunctionEntry {
        make: || Callable::Scalar(sleep::sleep()),
        description: "waits for some seconds",
        example: "SELECT pg_sleep(0.01)",
    },
    FunctionEntry {
        make: || Callable::Scalar(round::Round::new("round", false).into()),
        description: "a number rounded to an integer, or to some digits after the point",
        example: "SELECT round(2.345::numeric, 2)",
    },
    FunctionEntry {
        make: || Callable::Scalar(digest::Digest::new(digest::Algorithm::Sha224).into()),
        description: "the SHA-224 digest of bytes",
        example: "SELECT sha224('taospg')",
    },
    FunctionEntry {
        make: || Callable::Scalar(digest::Digest::new(digest::Algorithm::Sha256).into()),
        description: "the SHA-256 digest of bytes",
        example: "SELECT sha256('taospg')",
    },
    FunctionEntry {
        make: || Callable::Scalar(digest::Digest::new(digest::Algorithm::Sha384).into()),
        description: "the SHA-384 digest of bytes",
        example: "SELECT sha384('taospg')",
    },
    FunctionEntry {
        make: || Callable::Scalar(digest::Digest::new(digest::Algorithm::Sha512).into()),
        description: "the SHA-512 digest of bytes",
        example: "SELECT sha512('taospg')",
    },
    FunctionEntry {
        make: || Callable::Scalar(Now::new("statement_timestamp", Kind::Instant).into()),
        description: "when the transaction began",
        example: "SELECT statement_timestamp()",
    },
    FunctionEntry {
        make: || Callable::Scalar(text::ToText::new().into()),
        description: "a value as text: what a cast to text gives",
        example: "SELECT now()::text",
    },
    FunctionEntry {
        make: || Callable::Scalar(time_bucket::TimeBucket::new().into()),
        description: "the beginning of the bucket of a width that a time falls into; with zone, origin, offset",
        example: "SELECT time_bucket('15 minutes', now())",
    },
    FunctionEntry {
        make: || Callable::Scalar(text::Timezone::new().into()),
        description: "an instant as a zone's wall clock shows it, or back: what AT TIME ZONE gives",
        example: "SELECT now() AT TIME ZONE 'Europe/Berlin'",
    },
    FunctionEntry {
        make: || Callable::Scalar(Now::new("transaction_timestamp", Kind::Instant).into()),
        description: "when the transaction began",
        example: "SELECT transaction_timestamp()",
    },
    FunctionEntry {
        make: || Callable::Scalar(round::Round::new("trunc", true).into()),
        description: "a number without its fraction, or without digits beyond some",
        example: "SELECT trunc(2.345::numeric, 2)",
    },
];

/// Functions by their signatures, family by family; those that end in `_list` give what `sets.rs` makes rows of.
pub const FAMILIES: &[&[signature::Entry]] = &[
    arrays::FUNCTIONS,
    arrays::LISTS,
    binary::FUNCTIONS,
    json::build::FUNCTIONS,
    json::change::FUNCTIONS,
    json::look::FUNCTIONS,
    json::look::LISTS,
    math::FUNCTIONS,
    number_pattern::FUNCTIONS,
    regular::FUNCTIONS,
    regular::LISTS,
    sets::LISTS,
    strings::FUNCTIONS,
    strings::LISTS,
    time_pattern::FUNCTIONS,
    times::FUNCTIONS,
];

/// The function by signature that has a name.
pub fn by_signature(name: &str) -> Option<&'static signature::Entry> {
    static NAMES: LazyLock<HashMap<&'static str, &'static signature::Entry>> = LazyLock::new(|| {
        let all = FAMILIES.iter().flat_map(|family| family.iter());
        all.map(|entry| (entry.name, entry)).collect()
    });
    NAMES.get(name).copied()
}

/// The function of a name that operators and syntax are planned as.
pub fn named(name: &str) -> Option<Arc<ScalarUDF>> {
    static MADE: LazyLock<HashMap<&'static str, Arc<ScalarUDF>>> = LazyLock::new(|| {
        let all = FAMILIES.iter().flat_map(|family| family.iter());
        all.map(|entry| (entry.name, Arc::new(signature::function(entry))))
            .collect()
    });
    MADE.get(name).cloned()
}

/// Name, description and example of every function of ours, by name.
pub fn listed() -> Vec<(String, &'static str, &'static str)> {
    let own = FUNCTIONS
        .iter()
        .map(|entry| ((entry.make)().name().to_owned(), entry.description, entry.example));
    let signed = FAMILIES.iter().flat_map(|family| family.iter());
    let signed = signed.map(|entry| (entry.name.to_owned(), entry.description, entry.example));
    let mut all: Vec<_> = own.chain(signed).collect();
    all.sort();
    all
}

/// Name, description and kind (f or a) of every function of ours.
pub fn described() -> Vec<(String, &'static str, &'static str)> {
    let own = FUNCTIONS.iter().map(|entry| {
        let made = (entry.make)();
        let kind = if matches!(made, Callable::Aggregate(_)) {
            "a"
        } else {
            "f"
        };
        (made.name().to_owned(), entry.description, kind)
    });
    let signed = FAMILIES.iter().flat_map(|family| family.iter());
    own.chain(signed.map(|entry| (entry.name.to_owned(), entry.description, "f")))
        .collect()
}

/// Registers every function, in place of one of DataFusion's with the same name.
pub fn register(state: &mut SessionState) {
    for entry in FAMILIES.iter().flat_map(|family| family.iter()) {
        register_scalar(state, Arc::new(signature::function(entry)));
    }
    register_ours(state);
    overloaded::register(state);
    register_scalar(state, Arc::new(numeric::Negative::new().into()));
    register_scalar(state, Arc::new(numeric::Distinct::new(false).into()));
    register_scalar(state, Arc::new(numeric::Distinct::new(true).into()));
}

fn register_ours(state: &mut SessionState) {
    for entry in FUNCTIONS {
        match (entry.make)() {
            Callable::Scalar(function) => register_scalar(state, Arc::new(function)),
            Callable::Aggregate(function) => {
                if let Err(error) = state.register_udaf(Arc::new(function)) {
                    tracing::error!(%error, "a function could not be registered");
                }
            }
        }
    }
}

pub fn register_scalar(state: &mut SessionState, function: Arc<ScalarUDF>) {
    if let Err(error) = state.register_udf(function) {
        tracing::error!(%error, "a function could not be registered");
    }
}

/// The function behind EXTRACT.
pub fn date_part() -> Arc<ScalarUDF> {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(time_bucket::DatePart::new().into()));
    FUNCTION.clone()
}

/// The function behind AT TIME ZONE.
pub fn timezone() -> Arc<ScalarUDF> {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(text::Timezone::new().into()));
    FUNCTION.clone()
}

/// The function behind casts to text.
pub fn to_text() -> Arc<ScalarUDF> {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(text::ToText::new().into()));
    FUNCTION.clone()
}

/// The function behind `+`, `-` and `*` of integers and floats.
pub fn checked(operation: Operation) -> Arc<ScalarUDF> {
    static FUNCTIONS: LazyLock<[Arc<ScalarUDF>; 3]> = LazyLock::new(|| {
        let make = |operation| Arc::new(arithmetic::Checked::new(operation).into());
        [
            make(Operation::Add),
            make(Operation::Subtract),
            make(Operation::Multiply),
        ]
    });
    FUNCTIONS[operation as usize].clone()
}

/// The function behind `/` of numbers that are no integers.
pub fn divide() -> Arc<ScalarUDF> {
    static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(divide::Divide::new().into()));
    FUNCTION.clone()
}

/// The function behind `interval * number` and `interval / number`.
pub fn interval_scale(divide: bool) -> Arc<ScalarUDF> {
    Arc::new(interval::IntervalScale::new(divide).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_says_what_for() {
        let names: Vec<String> = FUNCTIONS
            .iter()
            .map(|entry| (entry.make)().name().to_string())
            .collect();
        assert!(names.is_sorted(), "{names:?}");
        for entry in FUNCTIONS {
            assert!(!entry.description.is_empty() && entry.example.starts_with("SELECT"));
        }
    }

    #[test]
    fn families_name_a_function_once_and_say_what_for() {
        let mut seen: std::collections::HashSet<String> = FUNCTIONS
            .iter()
            .map(|entry| (entry.make)().name().to_string())
            .collect();
        for entry in FAMILIES.iter().flat_map(|family| family.iter()) {
            assert!(seen.insert(entry.name.to_string()), "{} twice", entry.name);
            assert!(!entry.description.is_empty() && entry.example.starts_with("SELECT"));
            assert!(!entry.overloads.is_empty());
        }
    }
}

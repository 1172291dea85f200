//! Intervals as text, in the four styles of `IntervalStyle`.

use super::IntervalStyle;
use super::datetime::write_clock;

/// An interval in the session's style.
pub fn write_interval(months: i32, days: i32, nanoseconds: i64, style: IntervalStyle, out: &mut Vec<u8>) {
    let fields = || Fields::of(months, days, nanoseconds);
    match style {
        IntervalStyle::Postgres => write_postgres(months, days, nanoseconds, out),
        IntervalStyle::PostgresVerbose => write_verbose(fields(), out),
        IntervalStyle::SqlStandard => write_standard(fields(), out),
        IntervalStyle::Iso8601 => write_iso(fields(), out),
    }
}

/// PostgreSQL's style: `1 year 2 mons 3 days 04:05:06.7`.
fn write_postgres(months: i32, days: i32, nanoseconds: i64, out: &mut Vec<u8>) {
    let start = out.len();
    let mut before_negative = false;
    let parts = [
        (i64::from(months / 12), "year"),
        (i64::from(months % 12), "mon"),
        (i64::from(days), "day"),
    ];
    for (value, name) in parts {
        if value == 0 {
            continue;
        }
        if out.len() > start {
            out.push(b' ');
        }
        // A positive part after a negative one says so.
        if before_negative && value > 0 {
            out.push(b'+');
        }
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
        if value != 1 {
            out.push(b's');
        }
        before_negative = value < 0;
    }
    if nanoseconds != 0 || out.len() == start {
        if out.len() > start {
            out.push(b' ');
        }
        if nanoseconds < 0 {
            out.push(b'-');
        } else if before_negative {
            out.push(b'+');
        }
        let magnitude = nanoseconds.unsigned_abs();
        // At most 2,562,047 hours: no overflow on the way back to i64.
        write_clock(
            (magnitude / 1_000_000_000) as i64,
            (magnitude % 1_000_000_000) as i64,
            out,
        );
    }
}

/// An interval taken apart: every field has the sign of the number that it comes from.
struct Fields {
    years: i64,
    months: i64,
    days: i64,
    hours: i64,
    minutes: i64,
    seconds: i64,
    microseconds: i64,
}

impl Fields {
    fn of(months: i32, days: i32, nanoseconds: i64) -> Fields {
        let seconds = nanoseconds / 1_000_000_000;
        Fields {
            years: i64::from(months / 12),
            months: i64::from(months % 12),
            days: i64::from(days),
            hours: seconds / 3_600,
            minutes: seconds / 60 % 60,
            seconds: seconds % 60,
            microseconds: nanoseconds / 1_000 % 1_000_000,
        }
    }

    fn all(&self) -> [i64; 7] {
        [
            self.years,
            self.months,
            self.days,
            self.hours,
            self.minutes,
            self.seconds,
            self.microseconds,
        ]
    }

    fn has_seconds(&self) -> bool {
        self.seconds != 0 || self.microseconds != 0
    }
}

fn push(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
}

/// Seconds without their sign, with as many digits behind the point as they need.
fn push_seconds(fields: &Fields, width: usize, out: &mut Vec<u8>) {
    push(&format!("{:0width$}", fields.seconds.abs()), out);
    if fields.microseconds != 0 {
        let fraction = format!(".{:06}", fields.microseconds.abs());
        push(fraction.trim_end_matches('0'), out);
    }
}

/// `@ 1 year 2 mons 3 days 4 hours 5 mins 6.7 secs ago`
fn write_verbose(fields: Fields, out: &mut Vec<u8>) {
    out.push(b'@');
    let (mut is_zero, mut ago) = (true, false);
    let parts = [
        (fields.years, "year"),
        (fields.months, "mon"),
        (fields.days, "day"),
        (fields.hours, "hour"),
        (fields.minutes, "min"),
    ];
    for (value, unit) in parts.into_iter().filter(|(value, _)| *value != 0) {
        // The sign of the first part is said by `ago`, behind all of them.
        if is_zero {
            ago = value < 0;
        }
        let value = if ago { -value } else { value };
        let plural = if value == 1 { "" } else { "s" };
        push(&format!(" {value} {unit}{plural}"), out);
        is_zero = false;
    }
    if fields.has_seconds() {
        let negative = fields.seconds < 0 || fields.microseconds < 0;
        if is_zero {
            ago = negative;
        }
        out.push(b' ');
        if negative != ago {
            out.push(b'-');
        }
        push_seconds(&fields, 1, out);
        let one = fields.seconds.abs() == 1 && fields.microseconds == 0;
        push(if one { " sec" } else { " secs" }, out);
        is_zero = false;
    }
    if is_zero {
        push(" 0", out);
    }
    if ago {
        push(" ago", out);
    }
}

/// `P1Y2M3DT4H5M6.7S`
fn write_iso(fields: Fields, out: &mut Vec<u8>) {
    if fields.all().iter().all(|field| *field == 0) {
        return push("PT0S", out);
    }
    let part = |value: i64, designator: char, out: &mut Vec<u8>| {
        if value != 0 {
            push(&format!("{value}{designator}"), out);
        }
    };
    out.push(b'P');
    part(fields.years, 'Y', out);
    part(fields.months, 'M', out);
    part(fields.days, 'D', out);
    if fields.hours != 0 || fields.minutes != 0 || fields.has_seconds() {
        out.push(b'T');
    }
    part(fields.hours, 'H', out);
    part(fields.minutes, 'M', out);
    if fields.has_seconds() {
        if fields.seconds < 0 || fields.microseconds < 0 {
            out.push(b'-');
        }
        push_seconds(&fields, 1, out);
        out.push(b'S');
    }
}

/// `1-2` or `3 4:05:06` where the standard has a word for it, else every part with its sign: `+1-2 -3 +4:05:06`.
fn write_standard(fields: Fields, out: &mut Vec<u8>) {
    let negative = fields.all().iter().any(|field| *field < 0);
    let positive = fields.all().iter().any(|field| *field > 0);
    if !negative && !positive {
        return push("0", out);
    }
    let year_month = fields.years != 0 || fields.months != 0;
    let clock_negative = [fields.hours, fields.minutes, fields.seconds, fields.microseconds]
        .iter()
        .any(|field| *field < 0);
    let has_clock = fields.hours != 0 || fields.minutes != 0 || fields.has_seconds();
    let standard = !(negative && positive) && !(year_month && (fields.days != 0 || has_clock));
    let clock = |out: &mut Vec<u8>| {
        push(&format!("{}:{:02}:", fields.hours.abs(), fields.minutes.abs()), out);
        push_seconds(&fields, 2, out);
    };
    let sign = |negative: bool| if negative { '-' } else { '+' };
    if !standard {
        let years = sign(fields.years < 0 || fields.months < 0);
        let (days, time) = (sign(fields.days < 0), sign(clock_negative));
        let years = format!("{years}{}-{}", fields.years.abs(), fields.months.abs());
        push(&format!("{years} {days}{} {time}", fields.days.abs()), out);
        return clock(out);
    }
    if negative {
        out.push(b'-');
    }
    if year_month {
        return push(&format!("{}-{}", fields.years.abs(), fields.months.abs()), out);
    }
    if fields.days != 0 {
        push(&format!("{} ", fields.days.abs()), out);
    }
    clock(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: (i32, i32, i64), style: IntervalStyle) -> String {
        let mut out = Vec::new();
        write_interval(value.0, value.1, value.2, style, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn intervals_are_in_postgres_style() {
        let interval = |months, days, nanoseconds| text((months, days, nanoseconds), IntervalStyle::Postgres);
        assert_eq!(interval(0, 0, 0), "00:00:00");
        assert_eq!(interval(14, 3, 14_706_700_000_000), "1 year 2 mons 3 days 04:05:06.7");
        assert_eq!(interval(-13, 1, -1_000_000_000), "-1 years -1 mons +1 day -00:00:01");
        assert_eq!(interval(0, -1, 3_600_000_000_000), "-1 days +01:00:00");
        assert_eq!(interval(0, 0, 360_000_000_000_000), "100:00:00");
        assert_eq!(interval(1, 0, 0), "1 mon");
    }

    /// What PostgreSQL 15 prints.
    #[test]
    fn the_other_styles() {
        let cases = [
            ((0, 0, 0), "@ 0", "0", "PT0S"),
            (
                (14, 3, 14_706_700_000_000),
                "@ 1 year 2 mons 3 days 4 hours 5 mins 6.7 secs",
                "+1-2 +3 +4:05:06.7",
                "P1Y2M3DT4H5M6.7S",
            ),
            ((14, 0, 0), "@ 1 year 2 mons", "1-2", "P1Y2M"),
            ((-14, 0, 0), "@ 1 year 2 mons ago", "-1-2", "P-1Y-2M"),
            (
                (0, 3, 7_384_000_000_000),
                "@ 3 days 2 hours 3 mins 4 secs",
                "3 2:03:04",
                "P3DT2H3M4S",
            ),
            (
                (0, -1, 7_384_000_000_000),
                "@ 1 day -2 hours -3 mins -4 secs ago",
                "+0-0 -1 +2:03:04",
                "P-1DT2H3M4S",
            ),
            ((0, 0, -1_000_000_000), "@ 1 sec ago", "-0:00:01", "PT-1S"),
            ((0, 0, 1_000), "@ 0.000001 secs", "0:00:00.000001", "PT0.000001S"),
        ];
        for (value, verbose, standard, iso) in cases {
            assert_eq!(text(value, IntervalStyle::PostgresVerbose), verbose);
            assert_eq!(text(value, IntervalStyle::SqlStandard), standard);
            assert_eq!(text(value, IntervalStyle::Iso8601), iso);
        }
    }
}

//! Times as text, both ways, without a calendar library in the hot loop.

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Two digits.
pub fn push_two(out: &mut Vec<u8>, value: u64) {
    out.push(b'0' + (value / 10) as u8);
    out.push(b'0' + (value % 10) as u8);
}

/// Year, month, day of a day number since 1970 (Hinnant's algorithm).
fn date_of(day: i64) -> (i64, u64, u64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u64, day as u64)
}

fn day_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = (month + 9) % 12;
    let of_year = (153 * shifted_month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year - 719_468
}

/// `2026-01-01 00:00:10+00`, or with six digits of a second where it is not whole. Remembers the last one: rows of a tick share their time.
#[derive(Default)]
pub struct TimeText {
    micros: Option<i64>,
    text: Vec<u8>,
}

impl TimeText {
    pub fn of(&mut self, micros: i64) -> &[u8] {
        if self.micros != Some(micros) {
            self.micros = Some(micros);
            self.text.clear();
            self.write(micros);
        }
        &self.text
    }

    fn write(&mut self, micros: i64) {
        let second = micros.div_euclid(MICROS_PER_SECOND);
        let (year, month, day) = date_of(second.div_euclid(SECONDS_PER_DAY));
        let of_day = second.rem_euclid(SECONDS_PER_DAY);
        let text = format!(
            "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
            of_day / 3_600,
            of_day / 60 % 60,
            of_day % 60
        );
        self.text.extend_from_slice(text.as_bytes());
        let fraction = micros.rem_euclid(MICROS_PER_SECOND);
        if fraction != 0 {
            self.text.extend_from_slice(format!(".{fraction:06}").as_bytes());
        }
        self.text.extend_from_slice(b"+00");
    }
}

pub fn to_text(micros: i64) -> String {
    String::from_utf8_lossy(TimeText::default().of(micros)).into_owned()
}

/// Microseconds of what a system answers for a time: `2026-01-01 00:00:10`, with `T`, a fraction, `Z`, `+00` or `+00:00`. `None` for other text.
pub fn from_text(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() < 19 || bytes[4] != b'-' || bytes[7] != b'-' || bytes[13] != b':' || bytes[16] != b':' {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let day = day_of(number(0..4)?, number(5..7)?, number(8..10)?);
    let seconds = day * SECONDS_PER_DAY + number(11..13)? * 3_600 + number(14..16)? * 60 + number(17..19)?;
    let mut rest = text.get(19..)?;
    let mut micros = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let padded = format!("{:0<6}", fraction.get(..digits.min(6))?);
        micros = padded.parse().ok()?;
        rest = &fraction[digits..];
    }
    matches!(rest, "" | "Z" | "+00" | "+00:00").then_some(seconds * MICROS_PER_SECOND + micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_back() {
        for (micros, text) in [
            (0, "1970-01-01 00:00:00+00"),
            (1_767_225_600_000_000, "2026-01-01 00:00:00+00"),
            (1_772_236_799_000_000, "2026-02-27 23:59:59+00"),
            (1_709_208_000_000_001, "2024-02-29 12:00:00.000001+00"),
        ] {
            assert_eq!(to_text(micros), text);
            assert_eq!(from_text(text), Some(micros));
        }
        assert_eq!(from_text("2026-01-01T00:00:00.500Z"), Some(1_767_225_600_500_000));
        assert_eq!(from_text("2026-01-01 00:00:00+00:00"), Some(1_767_225_600_000_000));
        assert_eq!(from_text("host_1"), None);
        assert_eq!(
            from_text("2026-01-01 00:00:00+05:30"),
            None,
            "answers are asked for in UTC"
        );
    }
}

//! A pattern of PostgreSQL in the spelling of the crate `regex`, and compiled.

use regex::{Regex, RegexBuilder};

use crate::{ErrorKind, QueryError};

/// Bytes of a compiled expression at most: the crate's own default, named because a client's pattern decides what is needed.
const COMPILED_BYTES_MAX: usize = 10 * (1 << 20);

fn invalid(reason: &str) -> QueryError {
    QueryError::new(
        ErrorKind::InvalidRegularExpression,
        format!("invalid regular expression: {reason}"),
    )
}

/// The crate's spelling of a pattern.
fn translated(pattern: &str) -> Result<String, QueryError> {
    let mut out = String::with_capacity(pattern.len());
    let letters: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    let mut depth = 0usize;
    while at < letters.len() {
        match letters[at] {
            '\\' => {
                let Some(next) = letters.get(at + 1) else {
                    return Err(invalid("invalid escape \\ sequence"));
                };
                match next {
                    'm' => out.push_str(r"\b{start}"),
                    'M' => out.push_str(r"\b{end}"),
                    'y' => out.push_str(r"\b"),
                    'Y' => out.push_str(r"\B"),
                    'Z' => out.push_str(r"\z"),
                    'A' => out.push_str(r"\A"),
                    'e' => out.push_str(r"\x1B"),
                    '1'..='9' => {
                        return Err(QueryError::new(
                            ErrorKind::FeatureNotSupported,
                            "references back in a regular expression are not supported",
                        ));
                    }
                    // The crate refuses escapes of letters and of what needs none.
                    'a' | 'b' | 'B' | 'c' | 'd' | 'D' | 'f' | 'n' | 'r' | 's' | 'S' | 't' | 'u' | 'U' | 'v' | 'w'
                    | 'W' | 'x' => {
                        out.push('\\');
                        out.push(*next);
                    }
                    plain => out.push_str(&regex::escape(&plain.to_string())),
                }
                at += 2;
                continue;
            }
            '[' => {
                at = class(&letters, at, &mut out)?;
                continue;
            }
            '(' => {
                depth += 1;
                let looks =
                    letters.get(at + 1) == Some(&'?') && matches!(letters.get(at + 2), Some('=' | '!') | Some('<'));
                if looks {
                    return Err(QueryError::new(
                        ErrorKind::FeatureNotSupported,
                        "looking ahead or behind in a regular expression is not supported",
                    ));
                }
                out.push('(');
            }
            ')' => {
                depth = depth
                    .checked_sub(1)
                    .ok_or_else(|| invalid("parentheses () not balanced"))?;
                out.push(')');
            }
            '{' if !letters.get(at + 1).is_some_and(char::is_ascii_digit) => out.push_str(r"\{"),
            other => out.push(other),
        }
        at += 1;
    }
    match depth {
        0 => Ok(out),
        _ => Err(invalid("parentheses () not balanced")),
    }
}

/// A bracket expression: the crate takes `[` and `&&` inside one for its own. Gives the place after it.
fn class(letters: &[char], start: usize, out: &mut String) -> Result<usize, QueryError> {
    let mut at = start + 1;
    out.push('[');
    if letters.get(at) == Some(&'^') {
        out.push('^');
        at += 1;
    }
    let first = at;
    loop {
        match letters.get(at) {
            None => return Err(invalid("brackets [] not balanced")),
            Some(']') if at > first => {
                out.push(']');
                return Ok(at + 1);
            }
            Some('[') if letters.get(at + 1) == Some(&':') => {
                let rest: String = letters[at..].iter().collect();
                let Some(end) = rest.find(":]") else {
                    return Err(invalid("brackets [] not balanced"));
                };
                let name = &rest[..end + 2];
                out.push_str(name);
                at += name.chars().count();
            }
            Some('\\') => {
                out.push('\\');
                match letters.get(at + 1) {
                    Some(next) => out.push(*next),
                    None => return Err(invalid("brackets [] not balanced")),
                }
                at += 2;
            }
            Some(letter @ ('[' | ']' | '&' | '~')) => {
                out.push('\\');
                out.push(*letter);
                at += 1;
            }
            Some(letter) => {
                out.push(*letter);
                at += 1;
            }
        }
    }
}

/// A pattern in the crate's spelling, and how it is compiled.
struct Settled {
    expression: String,
    insensitive: bool,
    dot_takes_newline: bool,
    lines: bool,
    verbose: bool,
}

impl Settled {
    fn new(pattern: &str, flags: &str) -> Result<Settled, QueryError> {
        // Options inside the pattern: (?i) and its like at its beginning, ***= for a literal.
        let inside = pattern
            .strip_prefix("(?")
            .and_then(|rest| rest.split_once(')'))
            .filter(|(inside, _)| !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_lowercase()));
        let mut settled = Settled {
            expression: String::new(),
            insensitive: false,
            dot_takes_newline: true,
            lines: false,
            verbose: false,
        };
        let mut literal = pattern.starts_with("***=");
        for flag in flags.chars().chain(inside.map_or("", |(inside, _)| inside).chars()) {
            match flag {
                'i' => settled.insensitive = true,
                'c' => settled.insensitive = false,
                'n' | 'm' => (settled.dot_takes_newline, settled.lines) = (false, true),
                's' => (settled.dot_takes_newline, settled.lines) = (true, false),
                'p' => settled.dot_takes_newline = false,
                'w' => settled.lines = true,
                'x' => settled.verbose = true,
                't' => settled.verbose = false,
                'q' => literal = true,
                _ => {}
            }
        }
        let pattern = match inside {
            Some((_, after)) => after,
            None => pattern
                .strip_prefix("***=")
                .or_else(|| pattern.strip_prefix("***:"))
                .unwrap_or(pattern),
        };
        settled.expression = match literal {
            true => regex::escape(pattern),
            false => translated(pattern)?,
        };
        Ok(settled)
    }

    fn build(&self) -> Result<Regex, QueryError> {
        let built = RegexBuilder::new(&self.expression)
            .case_insensitive(self.insensitive)
            .dot_matches_new_line(self.dot_takes_newline)
            .multi_line(self.lines)
            .ignore_whitespace(self.verbose)
            .size_limit(COMPILED_BYTES_MAX)
            .build();
        built.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => {
                QueryError::new(ErrorKind::ProgramLimitExceeded, "regular expression is too complex")
            }
            other => {
                let text = other.to_string();
                let reason = text.lines().next_back().unwrap_or_default();
                let reason = reason.trim().trim_start_matches("error: ");
                match reason.contains("repetition") {
                    true => invalid("quantifier operand invalid"),
                    false => invalid(reason),
                }
            }
        })
    }
}

pub(super) fn compile(pattern: &str, flags: &str) -> Result<Regex, QueryError> {
    Settled::new(pattern, flags)?.build()
}

/// A pattern as DataFusion compiles it: in the crate's spelling, with the options that it needs inside.
pub fn expression(pattern: &str) -> Result<String, QueryError> {
    let settled = Settled::new(pattern, "")?;
    settled.build()?;
    let own = settled.expression;
    // Without options where none matters: DataFusion makes LIKE of plain prefixes.
    let any_letter = own.replace(r"\.", "").contains('.');
    let options = [
        (settled.insensitive, "i"),
        (settled.dot_takes_newline && any_letter, "s"),
        (settled.lines, "m"),
        (settled.verbose, "x"),
    ];
    let options: String = options
        .iter()
        .filter(|(set, _)| *set)
        .map(|(_, letter)| *letter)
        .collect();
    Ok(match options.is_empty() {
        true => own,
        // A comment of an expanded pattern ends with its line.
        false if settled.verbose => format!("(?{options}:{own}\n)"),
        false => format!("(?{options}:{own})"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(pattern: &str, text: &str) -> bool {
        compile(pattern, "").unwrap().is_match(text)
    }

    #[test]
    fn postgresqls_escapes() {
        assert!(is_match(r"\mdef\M", "abc def"));
        assert!(is_match(r"^[[:alpha:]_&&]+$", "a_&"));
        assert!(is_match("(?i)ABC", "abc"));
        assert!(is_match(r"a\.b\-c", "a.b-c"));
        assert!(is_match("^[]a]$", "]"));
        assert!(is_match("***=a.c", "xa.cx"));
        for (pattern, kind) in [
            ("(", ErrorKind::InvalidRegularExpression),
            ("[", ErrorKind::InvalidRegularExpression),
            ("*a", ErrorKind::InvalidRegularExpression),
            (r"(a)\1", ErrorKind::FeatureNotSupported),
            ("a(?=b)", ErrorKind::FeatureNotSupported),
        ] {
            assert_eq!(compile(pattern, "").unwrap_err().kind, kind, "{pattern}");
        }
    }
}

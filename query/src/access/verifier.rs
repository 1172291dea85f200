//! Passwords as they are kept: SCRAM-SHA-256 verifiers in PostgreSQL's form, from which nobody gets the password back.
//!
//! ```text
//! SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>      salt and keys in base64
//! ```

use taospg_catalog::Verifier;

use crate::{ErrorKind, QueryError};

const PREFIX: &str = "SCRAM-SHA-256$";

/// Longest password or verifier: PostgreSQL's clients send no more than this.
const PASSWORD_BYTES_MAX: usize = 1_000;

/// A verifier's parts still in base64.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifierParts<'a> {
    pub iterations: u32,
    pub salt: &'a str,
    pub stored_key: &'a str,
    pub server_key: &'a str,
}

/// Takes a verifier apart; `None` when it is none.
pub fn parts(verifier: &str) -> Option<VerifierParts<'_>> {
    let rest = verifier.strip_prefix(PREFIX)?;
    let (costs, keys) = rest.split_once('$')?;
    let (iterations, salt) = costs.split_once(':')?;
    let (stored_key, server_key) = keys.split_once(':')?;
    /// Of 32 bytes in base64.
    const KEY_CHARACTERS: usize = 44;
    let is_base64 = |text: &str| {
        let character = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        !text.is_empty() && text.len().is_multiple_of(4) && text.bytes().all(character)
    };
    let whole = [salt, stored_key, server_key].into_iter().all(is_base64)
        && stored_key.len() == KEY_CHARACTERS
        && server_key.len() == KEY_CHARACTERS;
    let iterations = iterations.parse().ok().filter(|iterations| *iterations > 0)?;
    whole.then_some(VerifierParts {
        iterations,
        salt,
        stored_key,
        server_key,
    })
}

/// What is kept of a password. A verifier, as psql's `\password` sends one, is kept as it is.
pub(crate) fn of_password(password: &str) -> Result<Verifier, QueryError> {
    let invalid = |message: &str| QueryError::new(ErrorKind::InvalidParameterValue, message);
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(invalid("password is too long"));
    }
    if parts(password).is_some() {
        return Ok(Verifier(password.into()));
    }
    if password.len() == 35 && password.starts_with("md5") && password[3..].bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        let error = QueryError::new(ErrorKind::FeatureNotSupported, "MD5 passwords are not supported");
        return Err(error.with_hint("give the password itself, or a SCRAM-SHA-256 verifier"));
    }
    Ok(Verifier(postgres_protocol::password::scram_sha_256(
        password.as_bytes(),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_becomes_a_verifier_and_a_verifier_stays_one() {
        let Verifier(verifier) = of_password("secret").unwrap();
        assert_eq!(parts(&verifier).unwrap().iterations, 4096);
        assert!(!verifier.contains("secret"));
        assert_eq!(of_password(&verifier).unwrap(), Verifier(verifier.clone()));
        assert_ne!(of_password("secret").unwrap(), Verifier(verifier));
    }

    #[test]
    fn what_is_no_verifier_is_a_password() {
        for text in [
            "",
            "SCRAM-SHA-256$",
            "SCRAM-SHA-256$0:c2FsdA==$a:b",
            "SCRAM-SHA-256$4096:c2FsdA==$a:b",
        ] {
            assert_eq!(parts(text), None, "{text}");
        }
        assert!(of_password("md5d41d8cd98f00b204e9800998ecf8427e").is_err());
    }
}

//! The server's side of SCRAM-SHA-256 (RFC 5802 and 7677), as pure steps from message to message.
//!
//! ```text
//! client-first --begin--> Exchange, server-first    client-final --finish--> server-final, or the password was wrong
//! ```
//!
//! Promises: a user that does not exist, has no password or an expired one cannot be told from one with another password: the same
//! messages, the same work. Comparisons of secrets take the same time whatever they compare.
//! Leaves to others: framing (`mod.rs`), what is kept of a password (`query`).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::digest::CtOutput;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::RngCore as _;
use sha2::{Digest as _, Sha256};
use taospg_query::access::verifier;

pub const MECHANISM: &str = "SCRAM-SHA-256";
pub const MECHANISM_BOUND: &str = "SCRAM-SHA-256-PLUS";
/// The kind of channel binding that PostgreSQL knows: the hash of the server's certificate.
const BINDING: &str = "tls-server-end-point";

/// Bytes of our nonce and of a salt, as in PostgreSQL.
const NONCE_BYTES: usize = 18;
const SALT_BYTES: usize = 16;
/// What new verifiers have; one that is made up must look like them.
const ITERATIONS: u32 = 4096;

type Key = [u8; 32];

/// Why an exchange ends early.
#[derive(Debug, PartialEq)]
pub enum Refusal {
    /// The client breaks the protocol.
    Malformed(&'static str),
    /// The client thinks that we cannot bind to the channel, and we can: somebody stands between.
    Downgraded,
    /// Wrong password, or no such user.
    Wrong,
}

/// What a proof is checked against.
pub struct Secret {
    iterations: u32,
    salt: String,
    stored_key: Key,
    server_key: Key,
    /// Made up for a user that cannot log in: no proof is right.
    mock: bool,
}

impl Secret {
    /// `None` when the verifier is damaged.
    pub fn of_verifier(text: &str) -> Option<Secret> {
        let parts = verifier::parts(text)?;
        let key = |text: &str| BASE64_STANDARD.decode(text).ok()?.try_into().ok();
        Some(Secret {
            iterations: parts.iterations,
            salt: parts.salt.to_owned(),
            stored_key: key(parts.stored_key)?,
            server_key: key(parts.server_key)?,
            mock: false,
        })
    }

    /// For a user that cannot log in. `seed` is secret and stays the same, so that asking twice gives the same salt, as for others.
    pub fn mock(seed: &[u8], user: &str) -> Secret {
        let salt = hmac(seed, &[user.as_bytes()]);
        Secret {
            iterations: ITERATIONS,
            salt: BASE64_STANDARD.encode(&salt[..SALT_BYTES]),
            stored_key: hmac(seed, &[b"stored", user.as_bytes()]),
            server_key: hmac(seed, &[b"server", user.as_bytes()]),
            mock: true,
        }
    }
}

/// Between server-first and client-final.
pub struct Exchange {
    secret: Secret,
    nonce: String,
    client_first_bare: String,
    server_first: String,
    /// What `c=` has to be: the client's header, with the channel's binding behind it.
    binding: Vec<u8>,
}

/// Reads client-first; answers with server-first. `end_point`: the hash of our certificate, when the connection is encrypted.
pub fn begin(
    mechanism: &str,
    client_first: &[u8],
    end_point: Option<&[u8]>,
    secret: Secret,
) -> Result<(Exchange, String), Refusal> {
    let text = std::str::from_utf8(client_first).map_err(|_| Refusal::Malformed("not UTF-8"))?;
    let mut parts = text.splitn(3, ',');
    let (flag, identity) = (parts.next().unwrap_or_default(), parts.next());
    let (Some(identity), Some(bare)) = (identity, parts.next()) else {
        return Err(Refusal::Malformed("no header"));
    };
    if !identity.is_empty() {
        return Err(Refusal::Malformed("an authorization identity is not supported"));
    }
    let mut binding = format!("{flag},{identity},").into_bytes();
    match (mechanism == MECHANISM_BOUND, flag, end_point) {
        (true, flag, Some(end_point)) if flag.strip_prefix("p=") == Some(BINDING) => {
            binding.extend_from_slice(end_point);
        }
        (true, ..) => return Err(Refusal::Malformed("unsupported channel binding")),
        (false, "n", _) | (false, "y", None) => {}
        (false, "y", Some(_)) => return Err(Refusal::Downgraded),
        (false, ..) => return Err(Refusal::Malformed("channel binding without its mechanism")),
    }
    let nonce = bare
        .strip_prefix("n=")
        .and_then(|rest| rest.split_once(','))
        .and_then(|(_, rest)| rest.split(',').next()?.strip_prefix("r="))
        .filter(|nonce| !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or(Refusal::Malformed("no nonce"))?;
    let mut random = [0; NONCE_BYTES];
    rand::rng().fill_bytes(&mut random);
    let nonce = format!("{nonce}{}", BASE64_STANDARD.encode(random));
    let server_first = format!("r={nonce},s={},i={}", secret.salt, secret.iterations);
    let exchange = Exchange {
        secret,
        nonce,
        client_first_bare: bare.to_owned(),
        server_first: server_first.clone(),
        binding,
    };
    Ok((exchange, server_first))
}

impl Exchange {
    /// Reads client-final; answers with server-final when its proof is right.
    pub fn finish(self, client_final: &[u8]) -> Result<String, Refusal> {
        let text = std::str::from_utf8(client_final).map_err(|_| Refusal::Malformed("not UTF-8"))?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(Refusal::Malformed("no proof"))?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|attribute| attribute.strip_prefix("c="));
        let nonce = attributes.next().and_then(|attribute| attribute.strip_prefix("r="));
        let binding = binding.and_then(|binding| BASE64_STANDARD.decode(binding).ok());
        if binding.as_ref() != Some(&self.binding) {
            return Err(Refusal::Malformed("channel binding check failed"));
        }
        if nonce != Some(self.nonce.as_str()) {
            return Err(Refusal::Malformed("nonce does not match"));
        }
        let proof: Option<Key> = BASE64_STANDARD
            .decode(proof)
            .ok()
            .and_then(|proof| proof.try_into().ok());
        let proof = proof.ok_or(Refusal::Malformed("malformed proof"))?;
        let message = [
            self.client_first_bare.as_bytes(),
            b",",
            self.server_first.as_bytes(),
            b",",
            without_proof.as_bytes(),
        ];
        let signature = hmac(&self.secret.stored_key, &message);
        let mut client_key: Key = proof;
        for (byte, mask) in client_key.iter_mut().zip(signature) {
            *byte ^= mask;
        }
        let stored_key: Key = Sha256::digest(client_key).into();
        // Compared in the same time wherever they differ, and for a made up secret as well.
        let equal = same(&stored_key, &self.secret.stored_key);
        if !equal || self.secret.mock {
            return Err(Refusal::Wrong);
        }
        Ok(format!(
            "v={}",
            BASE64_STANDARD.encode(hmac(&self.secret.server_key, &message))
        ))
    }
}

fn hmac(key: &[u8], pieces: &[&[u8]]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    for piece in pieces {
        mac.update(piece);
    }
    mac.finalize().into_bytes().into()
}

fn same(left: &Key, right: &Key) -> bool {
    CtOutput::<Sha256>::new((*left).into()) == CtOutput::<Sha256>::new((*right).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677's example, with its nonce: the server's part of it is random here, so the client computes its own.
    fn client_final(client_first_bare: &str, server_first: &str, header: &[u8], password: &str) -> Vec<u8> {
        let attribute = |prefix: &str| {
            server_first
                .split(',')
                .find_map(|attribute| attribute.strip_prefix(prefix))
                .unwrap()
        };
        let salt = BASE64_STANDARD.decode(attribute("s=")).unwrap();
        let iterations: u32 = attribute("i=").parse().unwrap();
        let mut salted = hmac(password.as_bytes(), &[&salt, &1u32.to_be_bytes()]);
        let mut last = salted;
        for _ in 1..iterations {
            last = hmac(password.as_bytes(), &[&last]);
            salted.iter_mut().zip(last).for_each(|(byte, other)| *byte ^= other);
        }
        let client_key = hmac(&salted, &[b"Client Key"]);
        let stored_key: Key = Sha256::digest(client_key).into();
        let without_proof = format!("c={},r={}", BASE64_STANDARD.encode(header), attribute("r="));
        let message = format!("{client_first_bare},{server_first},{without_proof}");
        let mut proof = hmac(&stored_key, &[message.as_bytes()]);
        proof
            .iter_mut()
            .zip(client_key)
            .for_each(|(byte, other)| *byte ^= other);
        format!("{without_proof},p={}", BASE64_STANDARD.encode(proof)).into_bytes()
    }

    /// The verifier of RFC 7677's example: user `user`, password `pencil`.
    const VERIFIER: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
        WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    fn secret() -> Secret {
        Secret::of_verifier(VERIFIER).unwrap()
    }

    const BARE: &str = "n=user,r=rOprNGfwEbeRWgbNEkqO";

    #[test]
    fn the_right_password_is_let_in_and_no_other() {
        for (password, right) in [("pencil", true), ("pen", false), ("", false)] {
            let first = format!("n,,{BARE}");
            let (exchange, server_first) = begin(MECHANISM, first.as_bytes(), None, secret()).unwrap();
            let answer = exchange.finish(&client_final(BARE, &server_first, b"n,,", password));
            assert_eq!(answer.is_ok(), right, "{password}");
        }
    }

    #[test]
    fn an_unknown_user_has_a_salt_that_stays_and_no_password() {
        let first = format!("n,,{BARE}");
        let salt = || {
            let (exchange, server_first) =
                begin(MECHANISM, first.as_bytes(), None, Secret::mock(b"seed", "eve")).unwrap();
            let answer = exchange.finish(&client_final(BARE, &server_first, b"n,,", "pencil"));
            assert_eq!(answer.unwrap_err(), Refusal::Wrong);
            let (_, salt) = server_first.split_once(",s=").unwrap();
            salt.to_owned()
        };
        assert_eq!(salt(), salt());
        assert_eq!(salt().len(), "W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".len());
    }

    #[test]
    fn the_channel_is_bound_to_our_certificate() {
        let first = format!("p=tls-server-end-point,,{BARE}");
        for (seen, right) in [(&b"ours"[..], true), (b"theirs", false), (b"", false)] {
            let (exchange, server_first) = begin(MECHANISM_BOUND, first.as_bytes(), Some(b"ours"), secret()).unwrap();
            let header = [b"p=tls-server-end-point,,", seen].concat();
            let answer = exchange.finish(&client_final(BARE, &server_first, &header, "pencil"));
            assert_eq!(answer.is_ok(), right);
        }
    }

    #[test]
    fn a_downgrade_is_noticed_and_nonsense_refused() {
        let refusal = |mechanism, first: &str, end_point| begin(mechanism, first.as_bytes(), end_point, secret()).err();
        let with = |flag: &str| format!("{flag},,{BARE}");
        assert_eq!(refusal(MECHANISM, &with("y"), Some(b"ours")), Some(Refusal::Downgraded));
        assert_eq!(refusal(MECHANISM, &with("y"), None), None);
        assert_eq!(refusal(MECHANISM, &with("n"), Some(b"ours")), None);
        for (mechanism, first, end_point) in [
            (MECHANISM_BOUND, with("n"), Some(&b"ours"[..])),
            (MECHANISM_BOUND, with("p=tls-server-end-point"), None),
            (MECHANISM_BOUND, with("p=tls-unique"), Some(b"ours")),
            (MECHANISM, with("p=tls-server-end-point"), Some(b"ours")),
            (MECHANISM, format!("n,a=eve,{BARE}"), None),
            (MECHANISM, "n,,".into(), None),
            (MECHANISM, "n,,n=user".into(), None),
            (MECHANISM, "n,,m=ext,n=user,r=abc".into(), None),
            (MECHANISM, "n,,n=user,r=".into(), None),
            (MECHANISM, String::new(), None),
        ] {
            let refused = refusal(mechanism, &first, end_point);
            assert!(matches!(refused, Some(Refusal::Malformed(_))), "{first}: {refused:?}");
        }
        for end in ["", "c=biws,r=abc,p=AAAA", ",p=", "c=biws,r=abc"] {
            let (exchange, _) = begin(MECHANISM, with("n").as_bytes(), None, secret()).unwrap();
            assert!(
                matches!(exchange.finish(end.as_bytes()), Err(Refusal::Malformed(_))),
                "{end}"
            );
        }
    }
}

//! Login: which rule a connection falls under, and the messages by which its user proves to be who they say.
//!
//! ```text
//! trust:          AuthenticationOk
//! scram-sha-256:  SASL (mechanisms) -> first -> SASLContinue -> final -> SASLFinal, AuthenticationOk
//! reject, or no rule: FATAL 28000
//! ```
//!
//! Promises: nothing but password messages is taken before the proof; who fails is told the same, whatever was wrong. Every login and every
//! failure is an event of the audit log.

pub mod rules;
mod scram;

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use pgwire::messages::startup::Authentication as Message;
use rand::RngCore as _;
use taospg_query::Engine;
use taospg_query::access::audit;

use crate::failure::{Failure, Flow};
use crate::frame::{BodyReader, Frame};
use crate::sqlstate;
use crate::wire::Wire;
use rules::{Method, Rule, Visit};
use scram::{MECHANISM, MECHANISM_BOUND, Refusal, Secret};

/// Bytes of what mock salts are made from when no password is there to make them from.
const SEED_BYTES: usize = 32;

/// How this server lets people in.
pub struct Doorkeeper {
    /// Replaced as a whole; held for the copying of an Arc.
    rules: RwLock<Arc<Vec<Rule>>>,
    seed: [u8; SEED_BYTES],
}

impl Doorkeeper {
    pub fn new(rules: Vec<Rule>) -> Doorkeeper {
        let mut seed = [0; SEED_BYTES];
        rand::rng().fill_bytes(&mut seed);
        Doorkeeper {
            rules: RwLock::new(Arc::new(rules)),
            seed,
        }
    }

    /// From now on these are the rules. Whoever is in stays in.
    pub fn set_rules(&self, rules: Vec<Rule>) {
        *self.rules.write() = Arc::new(rules);
    }

    /// Lets the visitor in, or says why not. AuthenticationOk is left in the output.
    pub async fn admit(&self, wire: &mut Wire, engine: &Engine, visit: Visit<'_>) -> Flow<()> {
        let rules = self.rules.read().clone();
        let method = rules::method(&rules, engine, visit);
        let proved = match method {
            Some(Method::Trust) => Ok(()),
            Some(Method::Scram) => self.exchange(wire, engine, visit).await,
            Some(Method::Reject) => Err(Failure::Fatal {
                code: sqlstate::INVALID_AUTHORIZATION,
                message: format!("an authentication rule rejects connection for {}", described(visit)),
            }),
            None => Err(Failure::Fatal {
                code: sqlstate::INVALID_AUTHORIZATION,
                message: format!("no authentication rule for {}", described(visit)),
            }),
        };
        match &proved {
            Ok(()) => wire.output.message(&Message::Ok),
            Err(Failure::Fatal { message, .. }) => failed(visit, message),
            Err(_) => {}
        }
        proved
    }

    async fn exchange(&self, wire: &mut Wire, engine: &Engine, visit: Visit<'_>) -> Flow<()> {
        let end_point = wire.end_point().map(<[u8]>::to_vec);
        let mut mechanisms = vec![MECHANISM.to_owned()];
        if end_point.is_some() {
            mechanisms.insert(0, MECHANISM_BOUND.to_owned());
        }
        wire.output.message(&Message::SASL(mechanisms));
        wire.send().await?;
        let frame = response(wire).await?;
        let (mechanism, first) = initial(frame)?;
        if mechanism != MECHANISM && (mechanism != MECHANISM_BOUND || end_point.is_none()) {
            return Err(Failure::protocol(
                "client selected an invalid SASL authentication mechanism",
            ));
        }
        let secret = self.secret(engine, visit.user);
        let refused = |refusal| refused(refusal, visit.user);
        let (exchange, server_first) =
            scram::begin(&mechanism, &first, end_point.as_deref(), secret).map_err(refused)?;
        wire.output.message(&Message::SASLContinue(Bytes::from(server_first)));
        wire.send().await?;
        let frame = response(wire).await?;
        let server_final = exchange.finish(&frame.body).map_err(refused)?;
        wire.output.message(&Message::SASLFinal(Bytes::from(server_final)));
        Ok(())
    }

    /// What the user's proof is checked against; a made up secret for who cannot log in.
    fn secret(&self, engine: &Engine, user: &str) -> Secret {
        let login = engine.login(user, std::time::SystemTime::now());
        if let Some(problem) = login.problem {
            tracing::debug!(user, problem, "nobody can log in under this name");
        }
        let of_verifier = login.verifier.and_then(|verifier| Secret::of_verifier(&verifier.0));
        of_verifier.unwrap_or_else(|| {
            // From something secret that outlives a restart, where there is such a thing.
            let kept = engine.login_seed();
            Secret::mock(kept.as_deref().unwrap_or(&self.seed), user)
        })
    }
}

fn described(visit: Visit<'_>) -> String {
    let encryption = if visit.encrypted {
        "SSL encryption"
    } else {
        "no encryption"
    };
    format!(
        "host \"{}\", user \"{}\", database \"{}\", {encryption}",
        visit.address, visit.user, visit.database
    )
}

/// Tells the audit log.
pub fn failed(visit: Visit<'_>, reason: &str) {
    let Visit {
        user,
        database,
        address,
        encrypted,
    } = visit;
    tracing::warn!(target: audit::TARGET, class = "login", user, database, %address, encrypted, reason, "failed");
}

pub fn succeeded(visit: Visit<'_>) {
    let Visit {
        user,
        database,
        address,
        encrypted,
    } = visit;
    tracing::info!(target: audit::TARGET, class = "login", user, database, %address, encrypted, "done");
}

fn refused(refusal: Refusal, user: &str) -> Failure {
    match refusal {
        Refusal::Malformed(problem) => Failure::protocol(format!("malformed SCRAM message: {problem}")),
        Refusal::Downgraded => Failure::Fatal {
            code: sqlstate::INVALID_AUTHORIZATION,
            message: "SCRAM channel binding negotiation error: the client supports channel binding but thinks the server does not".into(),
        },
        Refusal::Wrong => Failure::Fatal {
            code: sqlstate::INVALID_PASSWORD,
            message: format!("password authentication failed for user \"{user}\""),
        },
    }
}

/// The next message, which must be a password message.
async fn response(wire: &mut Wire) -> Flow<Frame> {
    loop {
        match wire.buffered_login_frame()? {
            Some(frame) if frame.kind == b'p' => return Ok(frame),
            Some(frame) => {
                return Err(Failure::protocol(format!(
                    "expected SASL response, got message type {}",
                    frame.kind
                )));
            }
            None => wire.fill().await?,
        }
    }
}

/// SASLInitialResponse: the mechanism's name, and its first message.
fn initial(frame: Frame) -> Flow<(String, Bytes)> {
    let mut body = BodyReader::new(frame.body);
    let mechanism = body.string()?.as_str().to_owned();
    let length = usize::try_from(body.i32()?).map_err(|_| Failure::protocol("no initial SASL response"))?;
    let first = body.bytes(length)?;
    body.end()?;
    Ok((mechanism, first))
}

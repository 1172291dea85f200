//! From the first byte to the first ReadyForQuery: encryption begun or refused, protocol agreed, user admitted, session opened.
//!
//! ```text
//! [GSSENCRequest -> 'N'] [SSLRequest -> 'N', or 'S' and TLS] -> StartupMessage -> login, settings, key, ReadyForQuery
//! [TLS at once]                                              \-> CancelRequest -> closed
//! ```
//!
//! Leaves to others: who may log in (`authentication/`), certificates (`tls.rs`).

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use pgwire::messages::cancel::CancelRequest;
use pgwire::messages::response::{GssEncResponse, SslResponse};
use pgwire::messages::startup::{BackendKeyData, GssEncRequest, NegotiateProtocolVersion, SslRequest, Startup};
use pgwire::messages::{DecodeContext, Message, ProtocolVersion};
use taospg_query::{ConnectRequest, Engine, ErrorKind, Session};

use crate::authentication::rules::Visit;
use crate::authentication::{self, Doorkeeper};
use crate::cancel::{CancelRegistry, Registration};
use crate::failure::{Failure, Flow};
use crate::sqlstate;
use crate::tls::Tls;
use crate::wire::Wire;

/// The only major version there is today, and its newest minor one.
const PROTOCOL_MAJOR: u16 = 3;
const PROTOCOL_MINOR_NEWEST: u16 = 2;
/// From this minor version on, secret keys may be long.
const PROTOCOL_MINOR_LONG_KEYS: u16 = 2;
/// Startup parameters with this prefix ask for protocol extensions; we have none.
const EXTENSION_PREFIX: &str = "_pq_.";

/// What stands before every session.
pub struct Door {
    pub keeper: Doorkeeper,
    pub tls: Option<Arc<Tls>>,
}

/// What a connection turned out to be.
pub enum Opened {
    Session {
        session: Box<Session>,
        registration: Registration,
    },
    /// It only brought a cancel request, or ended before it said anything.
    Done,
}

/// What the startup message asks for.
#[derive(Debug, PartialEq)]
struct Wish {
    user: String,
    database: String,
    settings: Vec<(String, String)>,
    minor: u16,
    extensions: Vec<String>,
}

/// The addresses between which a connection is.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    pub client: SocketAddr,
    /// `None` where the system does not tell.
    pub server: Option<SocketAddr>,
}

/// Answers everything up to and including ReadyForQuery, which is left in the output.
pub async fn open(
    wire: &mut Wire,
    engine: &Arc<Engine>,
    registry: &Arc<CancelRegistry>,
    door: &Door,
    ends: Ends,
) -> Flow<Opened> {
    let Some(packet) = first_packet(wire, registry, door.tls.as_deref()).await? else {
        return Ok(Opened::Done);
    };
    let wish = read_wish(packet)?;
    let registration = registry.register(wish.minor >= PROTOCOL_MINOR_LONG_KEYS);
    if wish.minor > PROTOCOL_MINOR_NEWEST || !wish.extensions.is_empty() {
        let minor = wish.minor.min(PROTOCOL_MINOR_NEWEST);
        let version = (i32::from(PROTOCOL_MAJOR) << 16) | i32::from(minor);
        wire.output
            .message(&NegotiateProtocolVersion::new(version, wish.extensions));
    }
    let visit = Visit {
        user: &wish.user,
        database: &wish.database,
        address: ends.client.ip(),
        encrypted: wire.is_encrypted(),
    };
    door.keeper.admit(wire, engine, visit).await?;
    let request = ConnectRequest {
        user: wish.user.clone(),
        database: wish.database.clone(),
        settings: wish.settings,
        client_address: ends.client.to_string(),
        server_address: ends.server.map(|address| address.to_string()),
        process_id: registration.process_id,
        interruption: registration.interruption.clone(),
    };
    let mut session = engine.connect(request).map_err(|error| {
        authentication::failed(visit, &error.message);
        Failure::Refused(error)
    })?;
    authentication::succeeded(visit);
    for (name, value) in session.take_parameter_reports() {
        wire.output.parameter_status(name, value);
    }
    wire.output
        .message(&BackendKeyData::new(registration.process_id, registration.key.clone()));
    for notice in session.take_notices() {
        wire.output.notice(notice);
    }
    wire.output.ready_for_query(session.transaction_status());
    Ok(Opened::Session {
        session: Box::new(session),
        registration,
    })
}

/// The startup message, after requests for encryption have been answered. `None` after a cancel request.
async fn first_packet(wire: &mut Wire, registry: &Arc<CancelRegistry>, tls: Option<&Tls>) -> Flow<Option<BytesMut>> {
    if let Some(tls) = tls {
        wire.fill().await?;
        if wire.begins_with_handshake() {
            wire.start_tls(&tls.identity(), true).await?;
        }
    }
    let mut asked_for_ssl = wire.is_encrypted();
    let mut asked_for_gss = false;
    loop {
        let mut packet = loop {
            match wire.buffered_startup_packet()? {
                Some(packet) => break packet,
                None => wire.fill().await?,
            }
        };
        if SslRequest::is_ssl_request_packet(&packet) && !asked_for_ssl {
            asked_for_ssl = true;
            match tls {
                None => answer_encryption(wire, SslResponse::BYTE_REFUSE).await?,
                Some(tls) => {
                    answer_encryption(wire, SslResponse::BYTE_ACCEPT).await?;
                    wire.start_tls(&tls.identity(), false).await?;
                }
            }
        } else if GssEncRequest::is_gss_enc_request_packet(&packet) && !asked_for_gss {
            asked_for_gss = true;
            answer_encryption(wire, GssEncResponse::BYTE_REFUSE).await?;
        } else if CancelRequest::is_cancel_request_packet(&packet) {
            let context = DecodeContext::new(ProtocolVersion::PROTOCOL3_2);
            // A request that cannot be read is dropped like one with the wrong key.
            if let Ok(Some(request)) = CancelRequest::decode(&mut packet, &context) {
                registry.cancel(request.pid, &request.secret_key);
            }
            return Ok(None);
        } else {
            return Ok(Some(packet));
        }
    }
}

async fn answer_encryption(wire: &mut Wire, answer: u8) -> Flow<()> {
    // The client waits for our answer: bytes that came already were put there by somebody else.
    if !wire.input_is_empty() {
        return Err(Failure::protocol(
            "received unencrypted data after an encryption request",
        ));
    }
    wire.output.byte(answer);
    wire.send().await
}

fn read_wish(mut packet: BytesMut) -> Flow<Wish> {
    let version = packet
        .get(4..8)
        .and_then(|bytes| bytes.first_chunk::<4>())
        .map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let (major, minor) = ((version >> 16) as u16, version as u16);
    if major != PROTOCOL_MAJOR {
        return Err(Failure::Fatal {
            code: sqlstate::FEATURE_NOT_SUPPORTED,
            message: format!(
                "unsupported frontend protocol {major}.{minor}: server supports {PROTOCOL_MAJOR}.0 to {PROTOCOL_MAJOR}.{PROTOCOL_MINOR_NEWEST}"
            ),
        });
    }
    // pgwire reads key and value up to their zero bytes, within the packet; it must end with the zero of an empty key.
    if packet.last() != Some(&0) {
        return Err(Failure::protocol(
            "invalid startup packet layout: expected terminator as last byte",
        ));
    }
    if std::str::from_utf8(&packet[8..]).is_err() {
        return Err(Failure::protocol(
            "invalid byte sequence for encoding \"UTF8\" in startup packet",
        ));
    }
    let startup = match Startup::decode(&mut packet, &DecodeContext::default()) {
        Ok(Some(startup)) => startup,
        Ok(None) | Err(_) => return Err(Failure::protocol("invalid startup packet")),
    };
    let mut parameters = startup.parameters;
    let user = parameters.remove("user").unwrap_or_default();
    if user.is_empty() {
        return Err(Failure::Fatal {
            code: sqlstate::INVALID_AUTHORIZATION,
            message: "no PostgreSQL user name specified in startup packet".into(),
        });
    }
    let database = parameters
        .remove("database")
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| user.clone());
    if let Some(replication) = parameters.remove("replication")
        && !matches!(replication.as_str(), "false" | "off" | "no" | "0")
    {
        return Err(Failure::Fatal {
            code: sqlstate::FEATURE_NOT_SUPPORTED,
            message: "replication connections are not supported".into(),
        });
    }
    let mut settings = Vec::new();
    let mut extensions = Vec::new();
    if let Some(options) = parameters.remove("options") {
        settings.extend(read_options(&options)?);
    }
    for (name, value) in parameters {
        if name.starts_with(EXTENSION_PREFIX) {
            extensions.push(name);
        } else if name.eq_ignore_ascii_case("client_encoding") {
            settings.push((name, encoding_name(&value)));
        } else {
            settings.push((name, value));
        }
    }
    Ok(Wish {
        user,
        database,
        settings,
        minor,
        extensions,
    })
}

/// The one spelling of UTF-8 that every client understands. asyncpg puts quotes around its value.
fn encoding_name(value: &str) -> String {
    let bare = value.trim().trim_matches('\'');
    let letters: String = bare
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    match letters.as_str() {
        "utf8" | "unicode" => "UTF8".into(),
        _ => bare.into(),
    }
}

/// Settings of the `options` parameter: `-c name=value`, `-cname=value` and `--name=value`; a backslash keeps the next character.
fn read_options(options: &str) -> Flow<Vec<(String, String)>> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.extend(characters.next()),
            _ if character.is_ascii_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            _ => word.push(character),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    let mut settings = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let setting = if word == "-c" {
            words.next()
        } else {
            word.strip_prefix("--")
                .or_else(|| word.strip_prefix("-c"))
                .map(|rest| rest.to_owned())
        };
        let Some((name, value)) = setting.as_deref().and_then(|setting| setting.split_once('=')) else {
            return Err(Failure::Fatal {
                code: sqlstate::sqlstate(ErrorKind::SyntaxError),
                message: format!("invalid command-line argument for server process: {word}"),
            });
        };
        // In options, a dash in a name stands for an underscore.
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(version: u32, parameters: &[(&str, &str)]) -> BytesMut {
        let mut body = version.to_be_bytes().to_vec();
        for (name, value) in parameters {
            body.extend_from_slice(name.as_bytes());
            body.push(0);
            body.extend_from_slice(value.as_bytes());
            body.push(0);
        }
        body.push(0);
        let mut packet = BytesMut::from(&(body.len() as u32 + 4).to_be_bytes()[..]);
        packet.extend_from_slice(&body);
        packet
    }

    const VERSION_3_0: u32 = 3 << 16;

    #[test]
    fn the_database_is_the_users_unless_named() {
        let wish = read_wish(packet(VERSION_3_0, &[("user", "ada")])).unwrap();
        assert_eq!((wish.user.as_str(), wish.database.as_str()), ("ada", "ada"));
        let wish = read_wish(packet(VERSION_3_0, &[("user", "ada"), ("database", "power")])).unwrap();
        assert_eq!(wish.database, "power");
    }

    #[test]
    fn settings_come_as_parameters_and_as_options() {
        let wish = read_wish(packet(
            VERSION_3_0 + 9,
            &[
                ("user", "ada"),
                ("client_encoding", "'utf-8'"),
                ("application_name", "probe"),
                ("options", "-c statement_timeout=5s --search-path=a\\ b -cDateStyle=ISO"),
                ("_pq_.shiny", "1"),
            ],
        ))
        .unwrap();
        let has = |name: &str, value: &str| wish.settings.contains(&(name.into(), value.into()));
        assert!(has("client_encoding", "UTF8"));
        assert!(has("application_name", "probe"));
        assert!(has("statement_timeout", "5s"));
        assert!(has("search_path", "a b"));
        assert!(has("DateStyle", "ISO"));
        assert_eq!(wish.extensions, ["_pq_.shiny"]);
        assert_eq!(wish.minor, 9);
    }

    #[test]
    fn what_cannot_be_a_startup_message_is_refused() {
        assert!(read_wish(packet(2 << 16, &[("user", "ada")])).is_err());
        assert!(read_wish(packet(VERSION_3_0, &[("database", "power")])).is_err());
        assert!(read_wish(packet(VERSION_3_0, &[("user", "ada"), ("options", "-x")])).is_err());
        assert!(read_wish(packet(VERSION_3_0, &[("user", "ada"), ("replication", "database")])).is_err());
        assert!(read_wish(BytesMut::from(&b"\0\0\0\x08\0\x03\0\0"[..])).is_err());
        assert!(read_wish(BytesMut::from(&b"\0\0\0\x0a\0\x03\0\0ab"[..])).is_err());
    }
}

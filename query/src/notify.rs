//! LISTEN and NOTIFY: what one session tells others of its database, when it commits.
//!
//! ```text
//! NOTIFY --transaction--> note --commit--> channels --> mailbox of each listener --> the wire, when its session is idle
//! ```
//!
//! Promises: what a transaction tells arrives after its writes are durable, in order, once; a transaction that fails tells nothing.
//! A mailbox is bounded: a client that never reads loses what does not fit, and is told so with the next that does.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Weak};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use parking_lot::Mutex;

use crate::pg_type::{oid, type_metadata};
use crate::plan::errors;
use crate::{ErrorKind, QueryError};

/// PostgreSQL's bound: a payload is shorter than this.
const PAYLOAD_BYTES_MAX: usize = 8_000;

/// As any name of PostgreSQL.
const CHANNEL_BYTES_MAX: usize = 63;

/// Bytes of notifications that wait for one client. PostgreSQL keeps 8 GB for all; a client that lets megabytes wait does not listen.
const MAILBOX_BYTES_MAX: usize = 8 << 20;

/// Notes of one transaction that are not told yet.
const NOTES_MAX: usize = 100_000;

/// What NOTIFY tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// Of the session that told it.
    pub process_id: i32,
    pub channel: String,
    pub payload: String,
}

/// What waits for a session's client.
#[derive(Default)]
pub struct Mailbox {
    waiting: Mutex<Waiting>,
    arrived: tokio::sync::Notify,
}

#[derive(Default)]
struct Waiting {
    notifications: VecDeque<Arc<Notification>>,
    bytes: usize,
    lost: u64,
}

impl Mailbox {
    /// Waits until something has been put in.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    fn put(&self, notification: &Arc<Notification>) {
        let mut waiting = self.waiting.lock();
        let bytes = size_of::<Notification>() + notification.channel.len() + notification.payload.len();
        if waiting.bytes + bytes > MAILBOX_BYTES_MAX {
            waiting.lost += 1;
        } else {
            waiting.bytes += bytes;
            waiting.notifications.push_back(notification.clone());
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Everything that waits, and how many found no room.
    pub(crate) fn take(&self) -> (Vec<Arc<Notification>>, u64) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        (waiting.notifications.into(), waiting.lost)
    }
}

/// A channel of a database, by the database's OID.
type Channel = (u32, String);

/// Who listens to what, of all sessions.
#[derive(Default)]
pub(crate) struct Channels {
    /// A list has each session once.
    listeners: Mutex<HashMap<Channel, Vec<Weak<Mailbox>>>>,
}

impl Channels {
    fn listen(&self, database_oid: u32, channel: &str, mailbox: &Arc<Mailbox>) {
        let mut listeners = self.listeners.lock();
        let list = listeners.entry((database_oid, channel.to_string())).or_default();
        let mailbox = Arc::downgrade(mailbox);
        list.retain(|other| other.strong_count() > 0 && !other.ptr_eq(&mailbox));
        list.push(mailbox);
    }

    fn unlisten(&self, database_oid: u32, channel: &str, mailbox: &Arc<Mailbox>) {
        let mut listeners = self.listeners.lock();
        let key = (database_oid, channel.to_string());
        let mailbox = Arc::downgrade(mailbox);
        if let Some(list) = listeners.get_mut(&key) {
            list.retain(|other| other.strong_count() > 0 && !other.ptr_eq(&mailbox));
            if list.is_empty() {
                listeners.remove(&key);
            }
        }
    }

    fn notify(&self, database_oid: u32, notification: &Arc<Notification>) {
        let listeners = self.listeners.lock();
        let list = listeners.get(&(database_oid, notification.channel.clone()));
        for mailbox in list.into_iter().flatten().filter_map(Weak::upgrade) {
            mailbox.put(notification);
        }
    }
}

/// What a transaction does to channels when it commits.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Note {
    Listen(String),
    /// `None`: to all.
    Unlisten(Option<String>),
    Notify {
        channel: String,
        payload: String,
    },
}

/// A session's side: what it listens to, and what its transaction has noted.
#[derive(Default)]
pub(crate) struct Notes {
    pub mailbox: Arc<Mailbox>,
    listening: HashSet<Channel>,
    /// Shared with `pg_notify` in the session's queries.
    pub noted: Arc<Mutex<Vec<Note>>>,
}

impl Notes {
    pub fn note(&self, note: Note) -> Result<(), QueryError> {
        add(&self.noted, note)
    }

    pub fn count(&self) -> usize {
        self.noted.lock().len()
    }

    /// Forgets those after the first so many.
    pub fn truncate(&self, count: usize) {
        self.noted.lock().truncate(count);
    }

    /// The transaction has committed: what it noted happens.
    pub fn commit(&mut self, channels: &Channels, database_oid: u32, process_id: i32) {
        let noted = std::mem::take(&mut *self.noted.lock());
        for note in noted {
            match note {
                Note::Listen(channel) => {
                    channels.listen(database_oid, &channel, &self.mailbox);
                    self.listening.insert((database_oid, channel));
                }
                Note::Unlisten(Some(channel)) => {
                    channels.unlisten(database_oid, &channel, &self.mailbox);
                    self.listening.remove(&(database_oid, channel));
                }
                Note::Unlisten(None) => self.unlisten_all(channels),
                Note::Notify { channel, payload } => channels.notify(
                    database_oid,
                    &Arc::new(Notification {
                        process_id,
                        channel,
                        payload,
                    }),
                ),
            }
        }
    }

    pub fn unlisten_all(&mut self, channels: &Channels) {
        for (database_oid, channel) in self.listening.drain() {
            channels.unlisten(database_oid, &channel, &self.mailbox);
        }
    }
}

fn add(noted: &Mutex<Vec<Note>>, note: Note) -> Result<(), QueryError> {
    let invalid = |message: &str| Err(QueryError::new(ErrorKind::InvalidParameterValue, message));
    if let Note::Notify { channel, payload } = &note {
        if channel.is_empty() {
            return invalid("channel name cannot be empty");
        }
        if channel.len() > CHANNEL_BYTES_MAX {
            return invalid("channel name too long");
        }
        if payload.len() >= PAYLOAD_BYTES_MAX {
            return invalid("payload string too long");
        }
    }
    let mut noted = noted.lock();
    // The same told twice in one transaction is told once, as in PostgreSQL; only the neighbour is looked at, so that many stay cheap.
    if noted.last() == Some(&note) {
        return Ok(());
    }
    if noted.len() >= NOTES_MAX {
        let message = format!("a transaction tells at most {NOTES_MAX} notifications");
        return Err(QueryError::new(ErrorKind::ProgramLimitExceeded, message));
    }
    noted.push(note);
    Ok(())
}

/// `pg_notify(channel, payload)` of a session.
pub(crate) fn pg_notify(noted: Arc<Mutex<Vec<Note>>>) -> ScalarUDF {
    PgNotify {
        noted,
        signature: Signature::exact(vec![DataType::Utf8, DataType::Utf8], Volatility::Volatile),
    }
    .into()
}

struct PgNotify {
    noted: Arc<Mutex<Vec<Note>>>,
    signature: Signature,
}

impl std::fmt::Debug for PgNotify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PgNotify")
    }
}

impl PartialEq for PgNotify {
    fn eq(&self, other: &PgNotify) -> bool {
        Arc::ptr_eq(&self.noted, &other.noted)
    }
}

impl Eq for PgNotify {}

impl std::hash::Hash for PgNotify {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.noted).hash(state);
    }
}

impl ScalarUDFImpl for PgNotify {
    fn name(&self) -> &str {
        "pg_notify"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Utf8)
    }

    /// PostgreSQL's void, which clients see as an empty text.
    fn return_field_from_args(&self, _: ReturnFieldArgs) -> DfResult<FieldRef> {
        let field = Field::new("pg_notify", DataType::Utf8, true);
        Ok(Arc::new(field.with_metadata(type_metadata(oid::VOID))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let channels = args.args[0].to_array(args.number_rows)?;
        let payloads = args.args[1].to_array(args.number_rows)?;
        let text = |array, row| -> DfResult<String> {
            let value = ScalarValue::try_from_array(array, row)?;
            Ok(value.try_as_str().flatten().unwrap_or_default().to_string())
        };
        for row in 0..args.number_rows {
            let note = Note::Notify {
                channel: text(&channels, row)?,
                payload: text(&payloads, row)?,
            };
            add(&self.noted, note).map_err(errors::wrap)?;
        }
        let told = ScalarValue::Utf8(Some(String::new()));
        Ok(ColumnarValue::Array(told.to_array_of_size(args.number_rows)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_arrives_in_order_at_those_who_listen() {
        let channels = Channels::default();
        let (mut teller, mut listener) = (Notes::default(), Notes::default());
        listener.note(Note::Listen("a".into())).unwrap();
        listener.commit(&channels, 1, 20);
        for (channel, payload) in [("a", "1"), ("a", "1"), ("b", "2"), ("a", "3")] {
            let note = Note::Notify {
                channel: channel.into(),
                payload: payload.into(),
            };
            teller.note(note).unwrap();
        }
        teller.commit(&channels, 2, 10);
        assert!(listener.mailbox.take().0.is_empty(), "another database");
        teller
            .note(Note::Notify {
                channel: "a".into(),
                payload: "4".into(),
            })
            .unwrap();
        teller.commit(&channels, 1, 10);
        let (told, lost) = listener.mailbox.take();
        let told: Vec<&str> = told.iter().map(|told| told.payload.as_str()).collect();
        assert_eq!((told, lost), (vec!["4"], 0));
        listener.unlisten_all(&channels);
        assert!(channels.listeners.lock().is_empty());
    }

    #[test]
    fn a_full_mailbox_counts_what_is_lost() {
        let mailbox = Mailbox::default();
        let told = Arc::new(Notification {
            process_id: 1,
            channel: "a".into(),
            payload: "x".repeat(PAYLOAD_BYTES_MAX - 1),
        });
        let fits = MAILBOX_BYTES_MAX / PAYLOAD_BYTES_MAX;
        for _ in 0..2 * fits {
            mailbox.put(&told);
        }
        let (kept, lost) = mailbox.take();
        assert_eq!(kept.len() as u64 + lost, 2 * fits as u64);
        assert!(lost > 0 && mailbox.take().0.is_empty());
    }

    #[test]
    fn payloads_are_shorter_than_8000_bytes() {
        let notes = Notes::default();
        let note = |payload: usize| Note::Notify {
            channel: "a".into(),
            payload: "x".repeat(payload),
        };
        assert!(notes.note(note(7_999)).is_ok());
        assert_eq!(notes.note(note(8_000)).unwrap_err().message, "payload string too long");
    }
}

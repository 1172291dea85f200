//! Cancel requests: they come on a connection of their own and name a session by its process id and secret key.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use pgwire::messages::startup::SecretKey;
use rand::RngCore as _;
use taospg_query::Interruption;

/// Bytes of a secret key where the protocol allows more than four (from 3.2 on): far beyond guessing.
const LONG_KEY_BYTES: usize = 32;

struct Entry {
    key: SecretKey,
    interruption: Arc<Interruption>,
}

/// All sessions that can be canceled. Protects the map of process ids; held for a look-up.
#[derive(Default)]
pub struct CancelRegistry {
    sessions: Mutex<HashMap<i32, Entry>>,
    next_process_id: Mutex<i32>,
}

impl CancelRegistry {
    /// Enters a new session. It leaves when the registration is dropped.
    pub fn register(self: &Arc<Self>, long_key: bool) -> Registration {
        let key = if long_key {
            let mut bytes = [0u8; LONG_KEY_BYTES];
            rand::rng().fill_bytes(&mut bytes);
            SecretKey::Bytes(Bytes::copy_from_slice(&bytes))
        } else {
            SecretKey::I32(rand::rng().next_u32() as i32)
        };
        let interruption = Arc::new(Interruption::default());
        let mut sessions = self.sessions.lock();
        let mut next = self.next_process_id.lock();
        // Positive, and not one that a session still has after the numbers have gone round.
        let process_id = loop {
            *next = next.checked_add(1).unwrap_or(1);
            if !sessions.contains_key(&next) {
                break *next;
            }
        };
        sessions.insert(
            process_id,
            Entry {
                key: key.clone(),
                interruption: interruption.clone(),
            },
        );
        Registration {
            registry: self.clone(),
            process_id,
            key,
            interruption,
        }
    }

    /// A request with the wrong key is ignored, and nothing tells the sender so.
    pub fn cancel(&self, process_id: i32, key: &SecretKey) {
        let sessions = self.sessions.lock();
        if let Some(entry) = sessions.get(&process_id)
            && entry.key.eq_value(key)
        {
            entry.interruption.cancel.request();
        }
    }
}

/// A session's place in the registry.
pub struct Registration {
    registry: Arc<CancelRegistry>,
    pub process_id: i32,
    pub key: SecretKey,
    pub interruption: Arc<Interruption>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.sessions.lock().remove(&self.process_id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_cancels() {
        let registry = Arc::new(CancelRegistry::default());
        let session = registry.register(true);
        registry.cancel(session.process_id, &SecretKey::I32(1));
        registry.cancel(session.process_id + 1, &session.key);
        assert!(!session.interruption.cancel.take());
        registry.cancel(session.process_id, &session.key);
        assert!(session.interruption.cancel.take());
        assert!(!session.interruption.cancel.take());
    }

    #[test]
    fn a_session_that_left_cannot_be_canceled() {
        let registry = Arc::new(CancelRegistry::default());
        let session = registry.register(false);
        let (process_id, key) = (session.process_id, session.key.clone());
        let interruption = session.interruption.clone();
        drop(session);
        registry.cancel(process_id, &key);
        assert!(!interruption.cancel.take());
        assert_ne!(registry.register(false).process_id, process_id);
    }
}

//! The journal: the last requests of clients, as they came and were answered.
//!
//! Contract: `stand-in.md`, "Calls".

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use super::exchange::{in_body, in_query};
use super::matcher::{Fields, text};
use super::tenant::locked;
use crate::task::TenantId;

/// The most bytes that all entries take together.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// What an entry takes beside its texts, about.
const OVERHEAD: usize = 512;

/// A request, and how it was answered. Never a token or a signature.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    /// The position among the tenant's requests since the last reset, from 1.
    pub(super) seq: u64,
    /// When, by the tenant's clock.
    pub(super) at: String,
    /// Under which tenant it is filed.
    pub(super) tenant: String,
    /// Which call; absent for another path.
    pub(super) call: Option<&'static str>,
    /// The method.
    pub(super) method: String,
    /// The path as sent.
    pub(super) path: String,
    /// The query as sent.
    pub(super) query: Option<String>,
    /// The headers, but for those that hold credentials.
    pub(super) headers: BTreeMap<String, String>,
    /// The body, as much of it as was read and is kept: JSON, or a text.
    pub(super) body: Option<Value>,
    /// Why there is not all of it: `unread`, or `long` beyond 64 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body_missing: Option<&'static str>,
    /// The credential.
    pub(super) credential: Credential,
    /// The acting user.
    pub(super) user: Option<String>,
    /// The trace id.
    pub(super) trace_id: String,
    /// The status of the answer.
    pub(super) status: u16,
    /// Its code.
    pub(super) code: u32,
    /// The task that it was about.
    pub(super) task_id: Option<String>,
    /// What came of it: `created`, `repeated`, `read`, `refused` or `faulted`.
    pub(super) outcome: &'static str,
    /// The rule that had a say.
    pub(super) rule: Option<String>,
    /// How long it took, without a rule's delay.
    pub(super) duration_ms: f64,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refused: Option<Refusal>,
}

/// A request's credential, without its secret.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Credential {
    /// `none`, `bearer` or `signature`.
    pub(super) kind: &'static str,
    /// The app that claims to have signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) app: Option<String>,
}

/// Why a request was refused.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Refusal {
    /// What the log says.
    pub(super) reason: String,
    /// What the signature should be of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) canonical_request: Option<String>,
    /// What the signature should be of, hashed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) string_to_sign: Option<String>,
    /// What is likely wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) hints: Vec<String>,
}

impl Fields for Entry {
    fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        let optional = |text: &'_ Option<String>| text.clone().map(Cow::Owned);
        match name {
            "tenant" => Some((&*self.tenant).into()),
            "call" => self.call.map(Cow::Borrowed),
            "method" => Some((&*self.method).into()),
            "path" => Some((&*self.path).into()),
            "query" => optional(&self.query),
            "user" => optional(&self.user),
            "credential" => {
                let app = self.credential.app.as_deref();
                Some(app.unwrap_or(self.credential.kind).into())
            }
            "traceId" => Some((&*self.trace_id).into()),
            "status" => Some(self.status.to_string().into()),
            "code" => Some(self.code.to_string().into()),
            "taskId" => optional(&self.task_id),
            "outcome" => Some(self.outcome.into()),
            "rule" => optional(&self.rule),
            _ => self.field_below(name),
        }
    }
}

impl Entry {
    fn field_below(&self, name: &str) -> Option<Cow<'_, str>> {
        if let Some(name) = name.strip_prefix("headers.") {
            let value = self.headers.get(&name.to_ascii_lowercase())?;
            return Some((&**value).into());
        }
        if let Some(name) = name.strip_prefix("query.") {
            return in_query(self.query.as_deref()?, name).map(Cow::Owned);
        }
        in_body(self.body.as_ref()?, name, self.call).map(Cow::Owned)
    }

    /// What it takes in memory, about.
    fn size(&self) -> usize {
        let headers = self.headers.iter();
        let headers: usize = headers
            .map(|(name, value)| name.len().saturating_add(value.len()))
            .sum();
        let body = self
            .body
            .as_ref()
            .map_or(0, |body| text(body).len().saturating_mul(2));
        let refused = self.refused.as_ref().map_or(0, |refused| {
            let canonical = refused.canonical_request.as_ref().map_or(0, String::len);
            let hints: usize = refused.hints.iter().map(String::len).sum();
            canonical
                .saturating_add(hints)
                .saturating_add(refused.reason.len())
        });
        [
            self.path.len(),
            self.query.as_ref().map_or(0, String::len),
            headers.saturating_mul(2),
            body,
            refused,
        ]
        .into_iter()
        .fold(OVERHEAD, usize::saturating_add)
    }
}

/// The last requests of all tenants, within their bounds.
pub(super) struct Journal {
    most: usize,
    ring: Mutex<Ring>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Ring {
    entries: VecDeque<(TenantId, Arc<Entry>, usize)>,
    bytes: usize,
    tenants: HashMap<TenantId, Numbers>,
}

/// A tenant's numbers since its last reset.
#[derive(Debug, Clone, Copy, Default)]
struct Numbers {
    last: u64,
    dropped: u64,
}

/// A tenant's entries.
pub(super) struct Kept {
    /// Those that are there, oldest first.
    pub(super) entries: Vec<Arc<Entry>>,
    /// How many went for want of room.
    pub(super) dropped: u64,
}

impl Journal {
    /// A journal of at most so many entries.
    #[must_use]
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            ring: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// Files an entry, whose number is given to it here; the entry.
    pub(super) fn push(&self, tenant_id: &TenantId, mut entry: Entry) -> Arc<Entry> {
        let mut ring = locked(&self.ring);
        let numbers = ring.tenants.entry(tenant_id.clone()).or_default();
        numbers.last = numbers.last.saturating_add(1);
        entry.seq = numbers.last;
        let (size, entry) = (entry.size(), Arc::new(entry));
        ring.bytes = ring.bytes.saturating_add(size);
        ring.entries
            .push_back((tenant_id.clone(), Arc::clone(&entry), size));
        while (ring.entries.len() > self.most || ring.bytes > MOST_BYTES)
            && let Some((of, _, size)) = ring.entries.pop_front()
        {
            ring.bytes = ring.bytes.saturating_sub(size);
            if let Some(numbers) = ring.tenants.get_mut(&of) {
                numbers.dropped = numbers.dropped.saturating_add(1);
            }
        }
        drop(ring);
        self.changed
            .send_modify(|count| *count = count.wrapping_add(1));
        entry
    }

    /// Forgets a tenant's entries, and their numbers.
    pub(super) fn forget(&self, tenant_id: &TenantId) {
        let mut ring = locked(&self.ring);
        ring.tenants.remove(tenant_id);
        ring.entries.retain(|(of, _, _)| of != tenant_id);
        ring.bytes = ring.entries.iter().map(|(_, _, size)| size).sum();
        drop(ring);
        self.changed
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// The entries of this tenant, or of all.
    #[must_use]
    pub(super) fn kept(&self, tenant_id: Option<&TenantId>) -> Kept {
        let ring = locked(&self.ring);
        let is_meant = |of: &TenantId| tenant_id.is_none_or(|meant| meant == of);
        let entries = ring.entries.iter().filter(|(of, _, _)| is_meant(of));
        let numbers = ring.tenants.iter().filter(|(of, _)| is_meant(of));
        Kept {
            entries: entries.map(|(_, entry, _)| Arc::clone(entry)).collect(),
            dropped: numbers.map(|(_, numbers)| numbers.dropped).sum(),
        }
    }

    /// The last entries of this tenant, or of all, at most `most`, newest first.
    #[must_use]
    pub(super) fn recent(&self, tenant_id: Option<&TenantId>, most: usize) -> Vec<Arc<Entry>> {
        let ring = locked(&self.ring);
        let is_meant = |of: &TenantId| tenant_id.is_none_or(|meant| meant == of);
        let entries = ring.entries.iter().rev();
        let meant = entries.filter(|(of, _, _)| is_meant(of)).take(most);
        meant.map(|(_, entry, _)| Arc::clone(entry)).collect()
    }

    /// Tells of each change.
    #[must_use]
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

//! The publishing half of the Python module; see lib.rs for the rest.

use crate::error::Error;
use crate::frames::{self, Envelope, Kept, Reply, Tail};
use crate::ids;
use crate::schema::{Mode, Violation, unquoted, violations_json};
use crate::schema_binding::{Fields, Rejected, Schemas, validated};
use crate::signatures::{self, Headers, Request};
use crate::signatures_binding::{LONG, Source, Verdict};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList, PyTuple};
use std::sync::OnceLock;

/// What wire.py needs of a [`Reply`]: a kind, a token, a status and the bytes.
type Said<'py> = (&'static str, u64, u16, Bound<'py, PyBytes>);

#[pyclass(frozen, module = "crossdock._native")]
pub struct Message {
    /// Set at once, or when the body of one taken apart is attached.
    inner: OnceLock<frames::Message<PyBackedBytes>>,
    event_id: [u8; 16],
    status: &'static str,
    apart: Option<Box<Apart>>,
}

/// What is known of a message before its body is.
struct Apart {
    subject: String,
    fields: Vec<u8>,
    tail: Tail,
    violations: Vec<Violation>,
}

impl Message {
    fn ready(&self) -> Result<&frames::Message<PyBackedBytes>, Error> {
        self.inner.get().ok_or(Error::Unattached)
    }

    fn id(&self) -> Result<String, Error> {
        ids::typeid("evt", &self.event_id)
    }
}

#[pymethods]
impl Message {
    #[new]
    #[pyo3(signature = (subject, payload, headers=Vec::new()))]
    #[expect(clippy::needless_pass_by_value, reason = "PyO3 extracts into owned values")]
    fn new(
        subject: &str,
        payload: PyBackedBytes,
        headers: Vec<(String, String)>,
    ) -> Result<Self, Error> {
        let mut inner = frames::Message::new(subject, Vec::new(), payload)?;
        for (name, value) in &headers {
            inner.header(name, value)?;
        }
        Ok(Self { inner: inner.into(), event_id: [0; 16], status: "", apart: None })
    }

    #[getter]
    fn size(&self) -> Result<usize, Error> {
        self.ready().map(frames::Message::size)
    }

    #[getter]
    fn event_id<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.event_id)
    }

    #[getter]
    fn status(&self) -> &'static str {
        self.status
    }

    #[getter]
    fn answer<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyBytes>, Error> {
        let id = self.id()?;
        Ok(PyBytes::new(py, format!("{{\"id\":\"{id}\"}}").as_bytes()))
    }

    #[pyo3(
        signature = (body, *, claim="", data_key=&[][..]),
        text_signature = "($self, body, *, claim='', data_key=b'')"
    )]
    fn attach(&self, body: PyBackedBytes, claim: &str, data_key: &[u8]) -> Result<(), Error> {
        let apart = self.apart.as_deref().ok_or(Error::Attached)?;
        if !matches!(data_key.len(), 0 | 16) {
            return Err(Error::UuidLength);
        }
        if !claim.is_empty() && !body.is_empty() {
            return Err(Error::Claimed);
        }
        let mut tail =
            Tail { claim: claim.to_owned(), data_key: data_key.to_vec(), ..apart.tail.clone() };
        if !data_key.is_empty() && !apart.violations.is_empty() {
            // What is sealed must not stand beside it in the open.
            tail.violation = violations_json(&unquoted(&apart.violations));
        }
        let head = frames::head(&apart.fields, &tail, body.len());
        let mut inner = frames::Message::new(&apart.subject, head, body)?;
        inner.header("Nats-Msg-Id", &self.id()?)?;
        inner.tail(tail.encode());
        self.inner.set(inner).map_err(|_| Error::Attached)
    }
}

/// A webhook that was verified, ready to publish; or what there is to say of one that is not.
#[derive(IntoPyObject)]
pub enum Taken {
    Event(Message),
    Other(Verdict),
    Rejected(Rejected),
}

/// What a schema made of an event.
enum Held {
    Kept(Tail, Vec<Violation>),
    Rejected(Rejected),
}

/// Holds an event to its type's schema, where it has one.
fn hold_to(py: Python<'_>, schemas: &Schemas, event_type: &str, body: &[u8]) -> Held {
    let mut tail = Tail::default();
    let Some(found) = schemas.0.get(event_type).filter(|found| found.mode != Mode::Off) else {
        return Held::Kept(tail, Vec::new());
    };
    let violations = validated(py, &found.schema, body);
    tail.schema_version = found.number;
    if !violations.is_empty() {
        tail.violation = violations_json(&violations);
        tail.status = match found.mode {
            Mode::Off | Mode::Warn => "warned",
            Mode::Quarantine => "quarantined",
            Mode::Reject => {
                let event_type = event_type.to_owned();
                return Held::Rejected(Rejected { event_type, number: found.number, violations });
            }
        };
    }
    Held::Kept(tail, violations)
}

#[pyfunction]
#[pyo3(signature = (
    source, subject, ids, url, headers, body, now, schemas=None, *,
    holds=false, apart=false, fields=None
))]
#[expect(clippy::needless_pass_by_value, reason = "PyO3 extracts into owned values")]
#[expect(clippy::too_many_arguments, reason = "one call for all a gateway does")]
pub fn take_webhook(
    source: &Bound<'_, Source>,
    subject: &str,
    ids: (&[u8], &[u8]),
    url: &str,
    headers: &Bound<'_, PyList>,
    body: PyBackedBytes,
    now: f64,
    schemas: Option<&Bound<'_, Schemas>>,
    holds: bool,
    apart: bool,
    fields: Option<&Bound<'_, Fields>>,
) -> PyResult<Taken> {
    let py = source.py();
    let source = &source.get().0;
    let (mut seen, mut repeated) = (0, 0);
    let mut held = Vec::with_capacity(headers.len());
    for pair in headers {
        let pair = pair.cast_into::<PyTuple>()?;
        let name = pair.get_item(0)?.cast_into::<PyBytes>()?;
        let slots = source.slots(name.as_bytes());
        held.push((slots, slots & !seen, name, pair.get_item(1)?.cast_into::<PyBytes>()?));
        repeated |= slots & seen;
        seen |= slots;
    }
    let (mut picked, mut kept) = (Headers::new(repeated), Kept::default());
    let (mut content_type, mut trace) = (&b""[..], None);
    for (slots, fresh, name, value) in &held {
        let (name, value) = (name.as_bytes(), value.as_bytes());
        picked.add(*fresh, value);
        match name {
            b"content-type" => content_type = frames::media_type(value),
            b"traceparent" => trace = Some(value),
            _ if signatures::Source::is_credential(*slots) => {}
            _ => kept.offer(name, value),
        }
    }
    let request = Request { url, headers: &picked, body: &body, now };
    let verdict = if body.len() > LONG {
        py.detach(|| source.verify(&request))
    } else {
        source.verify(&request)
    };
    let accepted = match verdict {
        Ok(accepted) if accepted.handshake.is_none() => accepted,
        other => return Ok(Taken::Other(Verdict(other))),
    };
    let (mut tail, mut violations) = (Tail::default(), Vec::new());
    if let Some(schemas) = schemas {
        match hold_to(py, schemas.get(), &accepted.event_type, &body) {
            Held::Kept(found, wrong) => (tail, violations) = (found, wrong),
            Held::Rejected(rejected) => return Ok(Taken::Rejected(rejected)),
        }
    }
    if holds && tail.status != "quarantined" {
        tail.status = "held";
    }
    if let Some(fields) = fields {
        tail.fields = fields.get().0.keys(&body);
    }
    let event_id = ids::uuid7(millis(now)?)?;
    let envelope = Envelope {
        event_id,
        tenant_id: ids.0.try_into().map_err(|_| Error::UuidLength)?,
        source_id: ids.1.try_into().map_err(|_| Error::UuidLength)?,
        event_type: &accepted.event_type,
        dedupe: accepted.dedupe.as_ref().map(<[u8; 16]>::as_slice),
        provider_id: accepted.provider_id.as_deref(),
        content_type,
        headers: kept.pairs(),
        traceparent: &frames::traceparent(trace, &event_id),
    };
    let status = tail.status;
    if apart {
        let (subject, fields) = (subject.to_owned(), envelope.fields());
        let apart = Some(Box::new(Apart { subject, fields, tail, violations }));
        return Ok(Taken::Event(Message { inner: OnceLock::new(), event_id, status, apart }));
    }
    let before = envelope.encode(&tail, body.len());
    let mut inner = frames::Message::new(subject, before, body.clone_ref(py))?;
    inner.header("Nats-Msg-Id", &ids::typeid("evt", &event_id)?)?;
    inner.tail(tail.encode());
    Ok(Taken::Event(Message { inner: inner.into(), event_id, status, apart: None }))
}

/// The milliseconds of a clock reading.
fn millis(now: f64) -> Result<u64, Error> {
    const LAST: f64 = 253_402_300_799.0;
    if !(0.0..=LAST).contains(&now) {
        return Err(Error::Clock);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    Ok((now * 1000.0) as u64)
}

#[pyfunction]
pub fn plain_frames<'py>(
    py: Python<'py>,
    messages: &Bound<'py, PyList>,
    inbox: &[u8],
    first: u64,
) -> PyResult<Bound<'py, PyBytes>> {
    let held = hold(messages)?;
    let messages = ready(&held)?.into_iter();
    Ok(PyBytes::new(py, &frames::plain(messages, inbox, first)))
}

#[pyfunction]
pub fn batch_frames<'py>(
    py: Python<'py>,
    messages: &Bound<'py, PyList>,
    inbox: &[u8],
    token: u64,
    batch_id: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    let held = hold(messages)?;
    let messages = ready(&held)?.into_iter();
    Ok(PyBytes::new(py, &frames::batch(messages, inbox, token, batch_id)))
}

fn hold<'py>(messages: &Bound<'py, PyList>) -> PyResult<Vec<Bound<'py, Message>>> {
    messages.iter().map(|message| Ok(message.cast_into::<Message>()?)).collect()
}

fn ready<'a>(
    held: &'a [Bound<'_, Message>],
) -> Result<Vec<&'a frames::Message<PyBackedBytes>>, Error> {
    held.iter().map(|message| message.get().ready()).collect()
}

#[pyclass(module = "crossdock._native")]
pub struct Replies(frames::Replies);

#[pymethods]
impl Replies {
    #[new]
    fn new() -> Self {
        Self(frames::Replies::default())
    }

    fn feed<'py>(&mut self, py: Python<'py>, chunk: &[u8]) -> (Vec<u64>, Vec<Said<'py>>) {
        let (mut acknowledged, mut said) = (Vec::new(), Vec::new());
        self.0.feed(chunk, &mut acknowledged, &mut said);
        (acknowledged, said.iter().map(|reply| to_python(py, reply)).collect())
    }
}

fn to_python<'py>(py: Python<'py>, reply: &Reply) -> Said<'py> {
    let (kind, token, status, bytes): (_, _, _, &[u8]) = match reply {
        Reply::Ping => ("PING", 0, 0, &[]),
        Reply::Pong => ("PONG", 0, 0, &[]),
        Reply::Info(json) => ("INFO", 0, 0, json),
        Reply::Err(text) => ("-ERR", 0, 0, text),
        Reply::Other(token, status, payload) => ("MSG", *token, *status, payload),
        Reply::Garbage => ("", 0, 0, &[]),
    };
    (kind, token, status, PyBytes::new(py, bytes))
}

/// The one `content-length` of a request, or -1 where there is none that can be believed.
#[pyfunction]
pub fn content_length(headers: &Bound<'_, PyList>) -> PyResult<i64> {
    for pair in headers {
        let pair = pair.cast_into::<PyTuple>()?;
        let name = pair.get_item(0)?.cast_into::<PyBytes>()?;
        if name.as_bytes() == b"content-length" {
            let value = pair.get_item(1)?.cast_into::<PyBytes>()?;
            let digits = std::str::from_utf8(value.as_bytes()).unwrap_or_default();
            return Ok(digits.parse::<i64>().map_or(-1, |length| length.max(-1)));
        }
    }
    Ok(-1)
}

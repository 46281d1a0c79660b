//! Values that cross between scripts and the server.

use std::{path::PathBuf, sync::Arc, time::Duration};

use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::{PyDict, PyList, PyString, PyTuple},
};
use sems_app::{CallError, Mailbox, MailboxError, MessageInfo, Prompt, Uri, command::EndedBy};

use crate::{line::LegParts, wire::Wire};

/// A sine tone among prompts.
#[pyclass(frozen, module = "ivr")]
#[derive(Debug)]
pub(crate) struct Tone {
    hz: f32,
    length: Duration,
}

/// Quiet among prompts.
#[pyclass(frozen, module = "ivr")]
#[derive(Debug)]
pub(crate) struct Silence {
    length: Duration,
}

#[pymethods]
impl Tone {
    #[new]
    fn new(hz: f32, seconds: f64) -> PyResult<Self> {
        if !hz.is_finite() || hz <= 0.0 {
            return Err(PyValueError::new_err("a tone needs a frequency above 0 Hz"));
        }
        Ok(Self { hz, length: seconds_of(seconds)? })
    }

    fn __repr__(&self) -> String {
        format!("ivr.tone({}, {})", self.hz, self.length.as_secs_f64())
    }
}

#[pymethods]
impl Silence {
    #[new]
    fn new(seconds: f64) -> PyResult<Self> {
        Ok(Self { length: seconds_of(seconds)? })
    }

    fn __repr__(&self) -> String {
        format!("ivr.silence({})", self.length.as_secs_f64())
    }
}

/// A duration from seconds.
///
/// # Errors
/// `ValueError` for what is negative, endless or no number.
pub(crate) fn seconds_of(seconds: f64) -> PyResult<Duration> {
    // A day is longer than any call; the bound keeps sums of durations from overflowing.
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| *duration <= Duration::from_secs(86_400))
        .ok_or_else(|| PyValueError::new_err(format!("{seconds} is no number of seconds from 0 to 86400")))
}

/// A prompt from what a script names one by: a text, a path, a tone, or several of them.
pub(crate) fn prompt_of(value: &Bound<'_, PyAny>) -> PyResult<Prompt> {
    nested_prompt(value, DEEPEST)
}

/// How deep lists of prompts may lie in each other: a list may hold itself.
const DEEPEST: usize = 8;

fn nested_prompt(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Prompt> {
    if let Ok(text) = value.extract::<String>() {
        return Ok(if is_file(&text) { Prompt::file(text) } else { Prompt::named(text) });
    }
    if let Ok(tone) = value.cast::<Tone>() {
        return Ok(Prompt::tone(tone.get().hz, tone.get().length));
    }
    if let Ok(silence) = value.cast::<Silence>() {
        return Ok(Prompt::Silence(silence.get().length));
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(PyValueError::new_err("lists of prompts lie too deep in each other"));
        };
        let parts = value.try_iter()?.map(|part| nested_prompt(&part?, depth));
        let parts = parts.collect::<PyResult<Vec<_>>>()?;
        return Ok(Prompt::sequence(parts));
    }
    value.extract::<PathBuf>().map(Prompt::file).map_err(|_| {
        PyTypeError::new_err("a prompt is a name, a path, ivr.tone(), ivr.silence() or a list of these")
    })
}

/// Whether a text names a file rather than a prompt of the sound set.
fn is_file(text: &str) -> bool {
    let extension = text.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    matches!(extension.as_deref(), Some("wav" | "mp3" | "ogg" | "flac")) || text.starts_with('/')
}

/// A URI as scripts see it: its text, user, host and parameters.
pub(crate) fn uri_parts<'py>(py: Python<'py>, uri: &Uri) -> PyResult<Bound<'py, PyTuple>> {
    let params = PyDict::new(py);
    for (name, value) in uri.params() {
        params.set_item(name, value)?;
    }
    (uri.to_string(), uri.user(), uri.host(), params).into_pyobject(py)
}

/// A configuration value as Python knows it.
pub(crate) fn toml_value<'py>(py: Python<'py>, value: &toml::Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        toml::Value::String(text) => PyString::new(py, text).into_any(),
        toml::Value::Integer(number) => number.into_pyobject(py)?.into_any(),
        toml::Value::Float(number) => number.into_pyobject(py)?.into_any(),
        toml::Value::Boolean(flag) => flag.into_pyobject(py)?.to_owned().into_any(),
        toml::Value::Datetime(moment) => PyString::new(py, &moment.to_string()).into_any(),
        toml::Value::Array(values) => {
            let list = PyList::empty(py);
            for value in values {
                list.append(toml_value(py, value)?)?;
            }
            list.into_any()
        }
        toml::Value::Table(table) => toml_table(py, table)?.into_any(),
    })
}

/// A configuration table as a dictionary.
pub(crate) fn toml_table<'py>(py: Python<'py>, table: &toml::Table) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (key, value) in table {
        dict.set_item(key, toml_value(py, value)?)?;
    }
    Ok(dict)
}

/// A mailbox in a script's hand.
#[pyclass(frozen, module = "_ivr")]
#[derive(Debug)]
pub(crate) struct Opened(pub(crate) Mailbox);

/// What a verb gives.
pub(crate) enum Value {
    Nothing,
    Flag(bool),
    Digit(Option<char>),
    Text(String),
    Status(u16),
    Path(Option<PathBuf>),
    Take { path: PathBuf, duration: Duration, ended_by: EndedBy },
    Leg(LegParts),
    Mailbox(Mailbox),
    Messages(Vec<MessageInfo>),
    Id(Option<Arc<str>>),
}

/// What became of a verb.
pub(crate) type Outcome = Result<Value, CallError>;

/// An outcome for the embedded code: whether it succeeded, and the value or (kind, text, status).
pub(crate) fn outcome<'py>(
    py: Python<'py>,
    outcome: Outcome,
    wire: impl FnOnce(LegParts) -> Wire,
) -> PyResult<(bool, Bound<'py, PyAny>)> {
    match outcome {
        Ok(value) => Ok((true, value.into_python(py, wire)?)),
        Err(error) => {
            let parts = (kind(&error), error.to_string(), error.status());
            Ok((false, parts.into_pyobject(py)?.into_any()))
        }
    }
}

impl Value {
    fn into_python<'py>(
        self,
        py: Python<'py>,
        wire: impl FnOnce(LegParts) -> Wire,
    ) -> PyResult<Bound<'py, PyAny>> {
        Ok(match self {
            Self::Nothing => py.None().into_bound(py),
            Self::Flag(flag) => flag.into_pyobject(py)?.to_owned().into_any(),
            Self::Digit(digit) => digit.into_pyobject(py)?.into_any(),
            Self::Text(text) => text.into_pyobject(py)?.into_any(),
            Self::Status(status) => status.into_pyobject(py)?.into_any(),
            Self::Path(path) => path.map(text_of).into_pyobject(py)?.into_any(),
            Self::Id(id) => id.as_deref().into_pyobject(py)?.into_any(),
            Self::Take { path, duration, ended_by } => {
                (text_of(path), duration.as_secs_f64(), end(ended_by)).into_pyobject(py)?.into_any()
            }
            Self::Leg(parts) => Bound::new(py, wire(parts))?.into_any(),
            Self::Mailbox(mailbox) => Bound::new(py, Opened(mailbox))?.into_any(),
            Self::Messages(messages) => {
                messages.iter().map(message).collect::<Vec<_>>().into_pyobject(py)?.into_any()
            }
        })
    }
}

type Message<'a> = (&'a str, &'a str, Option<&'a str>, f64, f64, bool);

fn message(info: &MessageInfo) -> Message<'_> {
    let received = info.received.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    (
        &info.id.0,
        &info.caller,
        info.caller_name.as_deref(),
        received.as_secs_f64(),
        info.duration.as_secs_f64(),
        info.heard,
    )
}

fn text_of(path: PathBuf) -> String {
    path.into_os_string().into_string().unwrap_or_else(|path| path.to_string_lossy().into_owned())
}

fn end(ended_by: EndedBy) -> String {
    match ended_by {
        EndedBy::Digit(digit) => digit.to_string(),
        EndedBy::Silence => "silence".to_owned(),
        EndedBy::Limit => "limit".to_owned(),
        EndedBy::HangUp => "hang-up".to_owned(),
        EndedBy::Disk => "disk".to_owned(),
        _ => "other".to_owned(),
    }
}

/// The name of the Python exception for an error.
fn kind(error: &CallError) -> &'static str {
    match error {
        CallError::HungUp => "HungUp",
        CallError::Ended(_) => "Ended",
        CallError::NotAnswered { .. } => "NotAnswered",
        CallError::Prompt { .. } => "BadPrompt",
        CallError::Recording { .. } => "RecordingFailed",
        CallError::NoCapacity(_) => "NoCapacity",
        CallError::Mailbox(MailboxError::NotFound) => "NoSuchMailbox",
        CallError::Mailbox(MailboxError::NoSuchMessage) => "NoSuchMessage",
        CallError::Mailbox(MailboxError::Full) => "MailboxFull",
        CallError::Mailbox(MailboxError::Locked) => "MailboxLocked",
        _ => "CallError",
    }
}

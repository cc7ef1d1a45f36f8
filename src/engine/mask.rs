//! Keeps secrets out of everything that is shown, logged, journaled or sent.
//!
//! A [`Masker`] knows every secret of a run, in the forms in which programs print them: as it is, Base64 (also within
//! a longer text, as in an `Authorization` header), URL-encoded, JSON-escaped, quoted by a tracing shell, and line by
//! line where it has several. Every byte that belongs to an occurrence of any of them is replaced; occurrences that
//! overlap become one mark.
//!
//! [`StreamMasker`] does the same for output that comes in pieces cut anywhere. It holds back only bytes that are the
//! beginning of a secret, and never gives them up because the command is slow: a secret written in two halves with a
//! pause between them is as secret as any other.

use std::{borrow::Cow, collections::BTreeSet, fmt, sync::Arc};

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};
use secrecy::{ExposeSecret, SecretString};

/// What stands in a secret's place.
pub const MARK: &str = "•••";

/// Bytes below which a value is no secret: masking every `no` or `42` would make output unreadable and tell the value.
pub const SHORTEST: usize = 4;

/// Base64 fragments shorter than this would match by chance.
const SHORTEST_FRAGMENT: usize = 8;

/// Why a masker could not be made. Never contains a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaskError {
    /// A value too short to be masked.
    #[error("the secret {name} has {length} bytes; it needs at least {SHORTEST} to be masked")]
    TooShort {
        /// The variable's name.
        name: String,
        /// The value's length in bytes, without blanks around it.
        length: usize,
    },
    /// The search could not be built: more or longer secrets than it can hold.
    #[error("secrets can't be masked: {0}")]
    TooMany(String),
}

/// Replaces secrets by [`MARK`].
pub struct Masker {
    /// Sorted, so that the forms with a given beginning stand together.
    forms: Vec<Vec<u8>>,
    /// Finds out quickly that there is nothing to do.
    screen: Option<AhoCorasick>,
    /// Finds every occurrence, also within others.
    search: Option<AhoCorasick>,
    longest: usize,
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masker").field("forms", &self.forms.len()).finish_non_exhaustive()
    }
}

impl Masker {
    /// A masker for named values. Blanks and line ends around a value are not part of the secret.
    ///
    /// # Errors
    /// [`MaskError::TooShort`] for a value of fewer than [`SHORTEST`] bytes. An empty value hides nothing and is left out.
    pub fn new<'a>(
        secrets: impl IntoIterator<Item = (&'a str, &'a SecretString)>,
    ) -> Result<Self, MaskError> {
        let mut forms = BTreeSet::new();
        for (name, secret) in secrets {
            let value = secret.expose_secret().trim();
            if value.is_empty() {
                continue;
            }
            if value.len() < SHORTEST {
                return Err(MaskError::TooShort { name: name.to_owned(), length: value.len() });
            }
            add_forms(value, &mut forms);
        }
        Self::of_forms(forms)
    }

    /// A masker that leaves everything as it is.
    #[must_use]
    pub fn none() -> Self {
        Self { forms: Vec::new(), screen: None, search: None, longest: 0 }
    }

    fn of_forms(forms: BTreeSet<Vec<u8>>) -> Result<Self, MaskError> {
        if forms.is_empty() {
            return Ok(Self::none());
        }
        let build = |kind| {
            AhoCorasick::builder()
                .match_kind(kind)
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(&forms)
                .map_err(|fault| MaskError::TooMany(fault.to_string()))
        };
        Ok(Self {
            // Only the leftmost kinds have the vectorised prefilter, only the standard kind finds overlaps.
            screen: Some(build(MatchKind::LeftmostFirst)?),
            search: Some(build(MatchKind::Standard)?),
            longest: forms.iter().map(Vec::len).max().unwrap_or(0),
            forms: forms.into_iter().collect(),
        })
    }

    /// Whether a secret is in `text`.
    #[must_use]
    pub fn finds(&self, text: &str) -> bool {
        self.screen.as_ref().is_some_and(|screen| screen.is_match(text))
    }

    /// `text` without secrets.
    #[must_use]
    pub fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.mask_bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Forms are whole characters, and so is what is left; nothing is replaced here.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// `bytes` without secrets; for what is whole. Pieces of a stream go through a [`StreamMasker`].
    #[must_use]
    pub fn mask_bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let runs = self.runs(bytes);
        if runs.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut out = Vec::with_capacity(bytes.len());
        let mut done = 0;
        for (start, end) in runs {
            out.extend_from_slice(bytes.get(done..start).unwrap_or_default());
            out.extend_from_slice(MARK.as_bytes());
            done = end;
        }
        out.extend_from_slice(bytes.get(done..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// The stretches of `bytes` that belong to secrets, in order; overlapping occurrences are one stretch.
    fn runs(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let (Some(screen), Some(search)) = (&self.screen, &self.search) else { return Vec::new() };
        let Some(first) = screen.find(bytes) else { return Vec::new() };
        // The leftmost occurrence begins here, so nothing before it matters.
        let from = first.start();
        let rest = bytes.get(from..).unwrap_or_default();
        let mut found: Vec<(usize, usize)> = search
            .find_overlapping_iter(rest)
            .map(|found| (from + found.start(), from + found.end()))
            .collect();
        found.sort_unstable();
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for (start, end) in found {
            match runs.last_mut() {
                Some((_, last)) if start < *last => *last = end.max(*last),
                _ => runs.push((start, end)),
            }
        }
        runs
    }

    /// The length of the longest end of `bytes` with which a secret begins that is not complete yet.
    fn begun(&self, bytes: &[u8]) -> usize {
        let most = self.longest.saturating_sub(1).min(bytes.len());
        (1..=most)
            .rev()
            .find(|length| self.begins(bytes.get(bytes.len() - length..).unwrap_or_default()))
            .unwrap_or(0)
    }

    /// Whether a form is longer than `start` and begins with it.
    fn begins(&self, start: &[u8]) -> bool {
        // The forms that begin with `start` stand right after it; `start` itself, if it is one, is the first.
        let at = self.forms.partition_point(|form| form.as_slice() <= start);
        self.forms.get(at).is_some_and(|form| form.starts_with(start))
    }

    /// Whether `start` is at least half of a form that begins with it.
    fn is_half(&self, start: &[u8]) -> bool {
        let at = self.forms.partition_point(|form| form.as_slice() <= start);
        let following = self.forms.get(at..).unwrap_or_default();
        start.len() >= SHORTEST
            && following
                .iter()
                .take_while(|form| form.starts_with(start))
                .any(|form| form.len() <= 2 * start.len())
    }
}

/// Masks a stream of bytes that comes in pieces. What it gives out does not depend on where the pieces are cut.
pub struct StreamMasker {
    masker: Arc<Masker>,
    /// Bytes held back: the beginning of what may become a secret. At most the longest form less one.
    held: Vec<u8>,
    /// How many of the held bytes belong to a stretch whose mark was given out already.
    marked: usize,
}

impl fmt::Debug for StreamMasker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamMasker").field("held", &self.held.len()).finish_non_exhaustive()
    }
}

impl StreamMasker {
    /// A stream that nothing has come through yet.
    #[must_use]
    pub fn new(masker: Arc<Masker>) -> Self {
        Self { masker, held: Vec::new(), marked: 0 }
    }

    /// Takes the next piece and gives what can be shown.
    pub fn push<'a>(&mut self, piece: &'a [u8]) -> Cow<'a, [u8]> {
        if self.masker.forms.is_empty() || piece.is_empty() {
            return Cow::Borrowed(piece);
        }
        if self.held.is_empty() {
            let runs = self.masker.runs(piece);
            let keep = self.masker.begun(piece);
            let (ready, rest) = piece.split_at(piece.len() - keep);
            if runs.is_empty() {
                self.held.extend_from_slice(rest);
                return Cow::Borrowed(ready);
            }
            return Cow::Owned(self.give(piece, &runs, keep));
        }
        let mut joined = std::mem::take(&mut self.held);
        joined.extend_from_slice(piece);
        let runs = self.masker.runs(&joined);
        let keep = self.masker.begun(&joined);
        Cow::Owned(self.give(&joined, &runs, keep))
    }

    /// The stream is over: gives what was held back. Half of a secret or more at the very end is masked too.
    pub fn finish(&mut self) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        let marked = std::mem::take(&mut self.marked);
        if marked == 0 && self.masker.is_half(&held) {
            return MARK.as_bytes().to_vec();
        }
        held.get(marked..).unwrap_or_default().to_vec()
    }

    /// Gives `bytes` but the last `keep`, which are held back.
    fn give(&mut self, bytes: &[u8], runs: &[(usize, usize)], keep: usize) -> Vec<u8> {
        let ready = bytes.len() - keep;
        let mut out = Vec::with_capacity(ready);
        // Up to here everything was given out, as a mark.
        let mut done = self.marked;
        for &(start, end) in runs {
            if start >= ready {
                break;
            }
            if start >= done {
                out.extend_from_slice(bytes.get(done..start).unwrap_or_default());
                out.extend_from_slice(MARK.as_bytes());
            }
            done = done.max(end);
        }
        out.extend_from_slice(bytes.get(done..ready).unwrap_or_default());
        self.marked = done.saturating_sub(ready);
        self.held.clear();
        self.held.extend_from_slice(bytes.get(ready..).unwrap_or_default());
        out
    }
}

/// Where bytes go that may be shown.
pub type Pass<'a> = &'a mut (dyn FnMut(&[u8]) + 'a);

/// A stream's masking as a function: called with each piece, with `None` at the end, and with the place to put what
/// may be shown.
pub fn filter(masker: Arc<Masker>) -> impl FnMut(Option<&[u8]>, Pass<'_>) + Send {
    let mut stream = StreamMasker::new(masker);
    move |piece, pass| match piece {
        Some(piece) => pass(&stream.push(piece)),
        None => pass(&stream.finish()),
    }
}

/// All the forms in which a value is looked for.
fn add_forms(value: &str, forms: &mut BTreeSet<Vec<u8>>) {
    let bytes = value.as_bytes();
    let mut add = |form: String| {
        if form.len() >= SHORTEST {
            forms.insert(form.into_bytes());
        }
    };
    add(value.to_owned());
    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
        add(engine.encode(bytes));
        // `printf '%s\n' | base64` and its like encode the line end too.
        add(engine.encode([bytes, b"\n"].concat()));
    }
    for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
        for offset in 0..3 {
            let fragment = inner_base64(engine, bytes, offset);
            if fragment.len() >= SHORTEST_FRAGMENT {
                add(fragment);
            }
        }
    }
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let component = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!'()*".contains(&byte);
    for upper in [true, false] {
        add(percent_encoded(bytes, unreserved, upper));
        add(percent_encoded(bytes, component, upper));
    }
    add(url::form_urlencoded::byte_serialize(bytes).collect());
    json_forms(value).into_iter().for_each(&mut add);
    // A shell that traces (`set -x`) writes a quote within quotes in one of these ways.
    add(value.replace('\'', r"'\''"));
    add(value.replace('\'', r#"'"'"'"#));
    // A key file is often printed indented, or with other line ends. Its armour is no secret.
    if value.contains('\n') {
        for line in value.lines().map(str::trim).filter(|line| line.len() >= 8 && !line.starts_with("-----"))
        {
            add(line.to_owned());
        }
    }
}

/// The part of the Base64 of `<offset unknown bytes><value><unknown bytes>` that depends on the value alone.
fn inner_base64(engine: &impl base64::Engine, value: &[u8], offset: usize) -> String {
    let padded = [vec![0; offset], value.to_vec()].concat();
    let encoded = engine.encode(&padded);
    // A character holds six bits: the first that has none of the unknown's, and the last that has only ours.
    let (first, end) = ((offset * 8).div_ceil(6), padded.len() * 8 / 6);
    encoded.get(first..end).unwrap_or_default().to_owned()
}

fn percent_encoded(bytes: &[u8], keep: impl Fn(u8) -> bool, upper: bool) -> String {
    bytes
        .iter()
        .map(|&byte| match (keep(byte), upper) {
            (true, _) => char::from(byte).to_string(),
            (false, true) => format!("%{byte:02X}"),
            (false, false) => format!("%{byte:02x}"),
        })
        .collect()
}

/// As a JSON text, in the ways that writers differ: HTML characters escaped, slashes escaped, all but ASCII escaped.
fn json_forms(value: &str) -> Vec<String> {
    let quoted = serde_json::Value::from(value).to_string();
    let plain =
        quoted.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(&quoted).to_owned();
    let mut forms =
        vec![plain.replace('<', r"\u003c").replace('>', r"\u003e").replace('&', r"\u0026"), plain];
    forms.extend(forms.clone().iter().map(|form| form.replace('/', r"\/")));
    forms.extend(forms.clone().iter().map(|form| ascii_json(form)));
    forms
}

fn ascii_json(text: &str) -> String {
    let mut units = [0; 2];
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            out.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    out
}

#[cfg(test)]
mod tests;

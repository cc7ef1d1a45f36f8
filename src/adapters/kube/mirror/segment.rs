//! One piece of a journal's copy as a `ConfigMap`: packing, unpacking, and its metadata.

use std::io::{Read, Write};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use k8s_openapi::{ByteString, api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::domain::{
    copy::{CopiedRun, CopyHead},
    id::RunId,
    safe_text::SafeText,
    time::Timestamp,
};

use super::{
    super::{fence::FENCE, lease::safe_name, when::at},
    CopyAbout,
};

/// Bytes of the journal in one piece. Compressed, and in base64, it stays far below the megabyte that an object may have,
/// even where nothing in it can be compressed.
pub(super) const SEGMENT: usize = 512 << 10;

/// The key under which a piece's bytes stand.
const KEY: &str = "journal.gz";

/// Characters shown of a text in a copy.
const LONGEST: usize = 200;

/// The label of the run.
pub(super) const RUN: &str = "cutover.dev/run";
/// The label of the Service.
pub(super) const SERVICE: &str = "cutover.dev/service";
/// The label by which all that we make is found.
pub(super) const OURS: (&str, &str) = ("app.kubernetes.io/managed-by", "cutover");

/// A domain of our own, as Kubernetes wants it for annotations that are not its.
const PREFIX: &str = "cutover.dev/";

/// A piece of the journal, ready to be written.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// Bytes of the journal in it.
    pub(super) length: usize,
    /// Their SHA-256.
    pub(super) sha: String,
    /// Whether the journal goes on behind it.
    pub(super) continues: bool,
    packed: Vec<u8>,
}

impl Piece {
    /// Packs the bytes of one piece. Takes some ten milliseconds of a processor.
    pub(super) fn pack(raw: &[u8], continues: bool) -> std::io::Result<Self> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(raw)?;
        Ok(Self { length: raw.len(), sha: sha(raw), continues, packed: encoder.finish()? })
    }

    /// The `ConfigMap` for it.
    pub(super) fn object(
        &self,
        (service, about, index): (&str, &CopyAbout, usize),
        head: &CopyHead,
        (copier, fence): (&str, Option<u64>),
    ) -> Value {
        let mut annotations = json!({});
        for (name, text) in [
            ("run", about.run_id.as_str()),
            ("service", service),
            ("who", &about.who),
            ("host", &about.host),
            ("title", &about.title),
            ("sequence", &head.sequence.to_string()),
            ("at", &head.at.to_string()),
            ("state", &head.state),
            ("ended", if head.ended { "true" } else { "false" }),
            ("segment", &index.to_string()),
            ("continues", if self.continues { "true" } else { "false" }),
            ("sha256", &self.sha),
            ("copier", copier),
        ] {
            annotations[format!("{PREFIX}{name}")] = json!(shown(text));
        }
        if let Some(fence) = fence {
            annotations[FENCE] = json!(fence.to_string());
        }
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name(about.run_id.as_str(), index),
                "labels": {
                    OURS.0: OURS.1,
                    SERVICE: label(service),
                    RUN: label(about.run_id.as_str()),
                },
                "annotations": annotations,
            },
            "binaryData": { KEY: STANDARD.encode(&self.packed) },
        })
    }
}

/// The bytes of a piece as it was read, checked against what it says about itself.
pub(super) fn unpack(object: &ConfigMap) -> Result<Vec<u8>, String> {
    let data = object.binary_data.as_ref().and_then(|data| data.get(KEY));
    let Some(ByteString(packed)) = data else { return Err(format!("it has no `{KEY}`")) };
    let mut raw = Vec::new();
    // One byte more than there may be, so that a longer one is noticed and yet not unpacked.
    let mut decoder = GzDecoder::new(packed.as_slice()).take(SEGMENT as u64 + 1);
    decoder.read_to_end(&mut raw).map_err(|fault| format!("it cannot be unpacked: {fault}"))?;
    if raw.len() > SEGMENT {
        return Err(format!("it contains more than {SEGMENT} bytes"));
    }
    if Label::of(&object.metadata).sha != sha(&raw) {
        return Err("its SHA-256 does not match".to_owned());
    }
    Ok(raw)
}

/// What a piece says about itself.
#[derive(Debug, Clone)]
pub(super) struct Label {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) version: String,
    pub(super) run: CopiedRun,
    /// Which piece it is; nothing where it does not say so.
    pub(super) index: Option<usize>,
    pub(super) continues: bool,
    pub(super) sha: String,
    pub(super) copier: String,
    pub(super) fence: Option<u64>,
}

impl Label {
    /// Read without trust: whoever may write to the namespace could have written it.
    pub(super) fn of(metadata: &ObjectMeta) -> Self {
        let text = |name: &str| {
            let annotations = metadata.annotations.as_ref();
            shown(annotations.and_then(|all| all.get(&format!("{PREFIX}{name}"))).map_or("", String::as_str))
        };
        let time = text("at").parse().map(|at: jiff::Timestamp| Timestamp(at.as_millisecond()));
        Self {
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            version: metadata.resource_version.clone().unwrap_or_default(),
            run: CopiedRun {
                run_id: RunId(text("run")),
                service: text("service"),
                who: text("who"),
                host: text("host"),
                title: text("title"),
                head: CopyHead {
                    sequence: text("sequence").parse().unwrap_or(0),
                    at: time.unwrap_or_default(),
                    state: text("state"),
                    ended: text("ended") == "true",
                },
                begun: metadata.creation_timestamp.as_ref().map(|time| at(Some(time))),
                segments: 1,
            },
            index: text("segment").parse().ok(),
            continues: text("continues") == "true",
            sha: text("sha256"),
            copier: text("copier"),
            fence: super::super::fence::fence_of(metadata),
        }
    }
}

/// The name of a piece.
pub(super) fn name(run: &str, index: usize) -> String {
    format!("{}-{index}", safe_name("cutover-", run, 240))
}

/// A text as a label's value.
pub(super) fn label(text: &str) -> String {
    safe_name("", text, 63)
}

/// A copy whose bytes were changed in the cluster must not become a journal.
pub(super) fn sha(raw: &[u8]) -> String {
    format!("{:x}", Sha256::digest(raw))
}

fn shown(text: &str) -> String {
    let safe: String = SafeText::new(text).into();
    safe.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about() -> CopyAbout {
        CopyAbout {
            run_id: "20261122-140000-ab".into(),
            who: "alice@bastion".to_owned(),
            host: "bastion-2".to_owned(),
            title: "Payment \u{202e}System".to_owned(),
        }
    }

    fn written(piece: &Piece) -> ConfigMap {
        let head = CopyHead { sequence: 12, state: "window".to_owned(), ..CopyHead::default() };
        let object = piece.object(("backend-service", &about(), 3), &head, ("me", Some(7)));
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_piece_comes_out_as_it_went_in() {
        for raw in [Vec::new(), b"a journal".to_vec(), noise(SEGMENT)] {
            let object = written(&Piece::pack(&raw, true).unwrap());
            assert!(serde_json::to_vec(&object).unwrap().len() < 1 << 20, "no room for it in an object");
            assert_eq!(unpack(&object).unwrap(), raw);
            let label = Label::of(&object.metadata);
            assert_eq!((label.index, label.continues, label.fence), (Some(3), true, Some(7)));
            assert_eq!((label.run.head.sequence, label.run.who.as_str()), (12, "alice@bastion"));
            assert!(!label.run.title.contains('\u{202e}'));
        }
    }

    /// Bytes that no compression makes shorter.
    fn noise(length: usize) -> Vec<u8> {
        (0_u64..).flat_map(|n| Sha256::digest(n.to_le_bytes())).take(length).collect()
    }

    #[test]
    fn a_piece_that_was_changed_or_bursts_is_refused() {
        let piece = Piece::pack(b"a journal", false).unwrap();
        let mut changed = written(&piece);
        let other = Piece::pack(b"a juornal", false).unwrap();
        changed.binary_data = written(&other).binary_data;
        assert!(unpack(&changed).unwrap_err().contains("SHA-256"));
        let mut cut = written(&piece);
        for ByteString(bytes) in cut.binary_data.as_mut().unwrap().values_mut() {
            bytes.truncate(12);
        }
        assert!(unpack(&cut).unwrap_err().contains("cannot be unpacked"));
        let bomb = Piece::pack(&vec![0; 64 << 20], false).unwrap();
        assert!(unpack(&written(&bomb)).unwrap_err().contains("more than"));
        let mut empty = written(&piece);
        empty.binary_data = None;
        assert!(unpack(&empty).is_err());
    }
}

//! One message as bytes: a version byte, a 32-bit big-endian length, JSON.

use serde::{Serialize, de::DeserializeOwned};

/// The version of the frames. A screen and an engine of different versions do not talk.
pub const VERSION: u8 = 1;
/// The longest frame that is read or written, bytes. A backlog of 100,000 events fits.
pub const MAX_FRAME: usize = 64 * 1024 * 1024;
const HEAD: usize = 5;

/// Why bytes are no frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side speaks another version.
    #[error(
        "the other side speaks version {0} of the protocol, this is version {VERSION}; start the same cutover on both sides"
    )]
    Version(u8),
    /// Longer than [`MAX_FRAME`], or shorter than it says.
    #[error("a frame of {0} bytes where {1} were announced")]
    Length(usize, usize),
    /// Not the message that was expected.
    #[error("not a message: {0}")]
    Json(#[from] serde_json::Error),
}

/// The frame for a message.
///
/// # Errors
/// If the message cannot be written as JSON or is longer than [`MAX_FRAME`].
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut bytes = vec![VERSION, 0, 0, 0, 0];
    serde_json::to_writer(&mut bytes, message)?;
    let length = bytes.len() - HEAD;
    let announced = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME);
    let announced = announced.ok_or(FrameError::Length(length, MAX_FRAME))?;
    bytes[1..HEAD].copy_from_slice(&announced.to_be_bytes());
    Ok(bytes)
}

/// The message in a frame.
///
/// # Errors
/// If it is of another version, of another length than it says, or no such message.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    let Some((&[version, a, b, c, d], body)) = bytes.split_first_chunk::<HEAD>() else {
        return Err(FrameError::Length(bytes.len(), HEAD));
    };
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    let announced = u32::from_be_bytes([a, b, c, d]) as usize;
    if announced != body.len() || announced > MAX_FRAME {
        return Err(FrameError::Length(body.len(), announced));
    }
    Ok(serde_json::from_slice(body)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::{Command, Request};

    #[test]
    fn a_message_survives_and_damage_does_not() {
        let request = Request { by: "alice".into(), command: Command::Rollback { reason: "errors".into() } };
        let frame = encode(&request).unwrap();
        assert_eq!(decode::<Request>(&frame).unwrap(), request);
        assert!(matches!(decode::<Request>(&frame[..frame.len() - 1]), Err(FrameError::Length(..))));
        let mut other = frame.clone();
        other[0] = 9;
        assert!(matches!(decode::<Request>(&other), Err(FrameError::Version(9))));
        let mut damaged = frame;
        damaged[6] = 0xff;
        assert!(matches!(decode::<Request>(&damaged), Err(FrameError::Json(_))));
    }
}

//! One message as bytes: a version byte, a 32-bit big-endian length, JSON.
//!
//! Read by hand and not by `tokio_util`'s `LengthDelimitedCodec`: that one makes room for the whole frame as soon as its
//! length is announced, so five bytes from whoever connects would cost 64 MiB, and it knows no version byte.

use serde::{Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::domain::message::Update;

/// The version of the frames. A screen and an engine of different versions do not talk.
pub const VERSION: u8 = 1;
/// The longest frame that is read or written, bytes. A backlog of 100,000 events fits.
pub const MAX_FRAME: usize = 64 * 1024 * 1024;
const HEAD: usize = 5;
/// Room that is made for a frame before it has come, bytes.
const AT_ONCE: usize = 64 * 1024;

/// Why bytes are no frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The other side speaks another version.
    #[error(
        "the other side speaks protocol version {0}, this side {VERSION}; use the same version of cutover on \
         both sides"
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

/// The next frame of a stream, head and all; none at its end.
///
/// # Errors
/// The stream's, or a frame of another version, or longer than `most` bytes: nothing of its body is read then.
pub async fn read<R: AsyncRead + Unpin>(stream: &mut R, most: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut head = [0_u8; HEAD];
    match stream.read_exact(&mut head).await {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let [version, a, b, c, d] = head;
    if version != VERSION {
        return Err(std::io::Error::other(FrameError::Version(version)));
    }
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > most {
        return Err(std::io::Error::other(FrameError::Length(length, most)));
    }
    let mut bytes = Vec::with_capacity(HEAD + length.min(AT_ONCE));
    bytes.extend(head);
    // What is announced is not believed before it comes.
    let read = stream.take(length as u64).read_to_end(&mut bytes).await?;
    if read == length { Ok(Some(bytes)) } else { Ok(None) }
}

/// Whether an update may be left out for a screen that is behind.
pub fn is_telemetry(update: &Update) -> bool {
    !matches!(
        update,
        Update::Backlog { .. }
            | Update::Event { .. }
            | Update::Crew { .. }
            | Update::Refused { .. }
            | Update::Closed { .. }
            | Update::Logs { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::Command;

    #[test]
    fn a_message_survives_and_damage_does_not() {
        let request = Command::Rollback { reason: "errors".into() };
        let frame = encode(&request).unwrap();
        assert_eq!(decode::<Command>(&frame).unwrap(), request);
        assert!(matches!(decode::<Command>(&frame[..frame.len() - 1]), Err(FrameError::Length(..))));
        let mut other = frame.clone();
        other[0] = 9;
        assert!(matches!(decode::<Command>(&other), Err(FrameError::Version(9))));
        let mut damaged = frame;
        damaged[6] = 0xff;
        assert!(matches!(decode::<Command>(&damaged), Err(FrameError::Json(_))));
    }
}

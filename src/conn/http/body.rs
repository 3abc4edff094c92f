//! Bodies, read within bounds.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// How much of a body is taken, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// What is kept. 0: nothing is of interest, and what comes within `drain` is no error.
    pub most: usize,
    /// What is read of a body that is too large before its connection is given up, so that the peer reads why.
    pub drain: usize,
}

impl Bounds {
    /// Gives up at once what is larger.
    pub fn of(most: usize) -> Bounds {
        Bounds { most, drain: most }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    #[error("length limit exceeded")]
    TooLarge,
}

/// A whole body. How long it may take is the caller's to say.
pub async fn read(mut body: Incoming, bounds: Bounds) -> Result<Bytes, BodyError> {
    let mut read = BytesMut::new();
    let mut total = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        total = total.saturating_add(data.len());
        if total <= bounds.most {
            read.extend_from_slice(&data);
        } else if total > bounds.drain {
            break;
        }
    }
    if total > bounds.most && (bounds.most > 0 || total > bounds.drain) {
        Err(BodyError::TooLarge)
    } else {
        Ok(read.freeze())
    }
}

/// The beginning of a body, up to where it breaks.
pub async fn beginning(mut body: Incoming, most: usize) -> Vec<u8> {
    let mut read = Vec::new();
    while read.len() < most
        && let Some(Ok(frame)) = body.frame().await
    {
        if let Ok(data) = frame.into_data() {
            read.extend_from_slice(&data[..data.len().min(most - read.len())]);
        }
    }
    read
}

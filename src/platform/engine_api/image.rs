//! Images: loaded from archives and removed.

use std::collections::HashMap;
use std::io::{self, Write};

use bollard::query_parameters::{ImportImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

use super::{Engine, Error};

/// The pieces of an archive that may wait to be sent: what is written runs at most this far ahead of the engine.
const AHEAD: usize = 8;

/// The size of a piece, in bytes.
const PIECE: usize = 256 << 10;

/// An image that is in use stays, and the layers that nothing uses go with it.
const NO_OPTIONS: Option<RemoveImageOptions> = None;

impl Engine {
    /// Loads an image from the archive that `write` writes, piece by piece.
    ///
    /// # Errors
    /// When the archive cannot be written, or the engine does not take it.
    pub fn load(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
        let (send, receive) = mpsc::channel::<io::Result<Bytes>>(AHEAD);
        let pieces = stream::unfold(receive, |mut receive| async move { receive.recv().await.map(|it| (it, receive)) });
        let load = |docker: bollard::Docker| async move {
            let options = ImportImageOptionsBuilder::default().quiet(true).build();
            let mut answers = docker.import_image_stream(options, pieces, None).boxed();
            while let Some(answer) = answers.next().await {
                answer?;
            }
            Ok(())
        };
        let loading = self.begin_polled("load an image", self.patience.image, load);
        let mut pipe = Pieces { send, piece: Vec::with_capacity(PIECE) };
        let written = write(&mut pipe).and_then(|()| pipe.flush());
        if let Err(e) = &written {
            // The engine must not take half an archive for a whole one. It fails if the engine has gone already.
            let _ = pipe.send.blocking_send(Err(io::Error::new(e.kind(), e.to_string())));
        }
        drop(pipe);
        let loaded = loading.wait();
        match (written, loaded) {
            (_, Ok(())) => Ok(()),
            // The pipe broke because the engine gave up: its own words say why.
            (Err(e), Err(_)) if e.kind() != io::ErrorKind::BrokenPipe => {
                Err(Error::Refused { status: 400, message: format!("the archive cannot be written: {e}") })
            }
            (_, Err(e)) => Err(e),
        }
    }

    /// Removes an image by its reference, unless a container uses it; one that is not there is fine.
    ///
    /// # Errors
    /// When the engine could not remove it.
    pub fn remove_image(&self, reference: &str) -> Result<(), Error> {
        let reference = reference.to_owned();
        let remove = |docker: bollard::Docker| async move { docker.remove_image(&reference, NO_OPTIONS, None).await };
        match self.call("remove an image", self.patience.image, remove) {
            Err(e) if e.is_absent() => Ok(()),
            other => other.map(drop),
        }
    }

    /// The references of the images whose name fits `pattern`: `fw-…/*`.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub fn images(&self, pattern: &str) -> Result<Vec<String>, Error> {
        let filters = HashMap::from([("reference".to_owned(), vec![pattern.to_owned()])]);
        let options = ListImagesOptionsBuilder::default().filters(&filters).build();
        let list = |docker: bollard::Docker| async move { docker.list_images(Some(options)).await };
        Ok(self
            .call("list images", self.patience.ordinary, list)?
            .into_iter()
            .flat_map(|image| image.repo_tags)
            .collect())
    }
}

/// Cuts what is written into pieces and hands them to the thread that sends them.
struct Pieces {
    send: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(data);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
        match piece.is_empty() {
            true => Ok(()),
            // It ends when the call does, with its deadline at the latest.
            false => self.send.blocking_send(Ok(piece.into())).map_err(|_| io::ErrorKind::BrokenPipe.into()),
        }
    }
}

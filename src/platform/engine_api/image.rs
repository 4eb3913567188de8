//! Loading, removing and listing images.

use std::collections::HashMap;
use std::io::{self, Write};

use bollard::query_parameters::{ImportImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

use super::{Engine, Error};

/// The chunks of an archive that may wait to be sent. Bounds how far the writer runs ahead of the engine.
const QUEUED_CHUNKS: usize = 8;

/// The size of a chunk, in bytes.
const CHUNK: usize = 256 << 10;

/// By default an image in use stays, and unused layers are removed with it.
const NO_OPTIONS: Option<RemoveImageOptions> = None;

impl Engine {
    /// Loads an image from the archive that `write` writes, chunk by chunk.
    ///
    /// # Errors
    /// The archive cannot be written, or the engine rejects it.
    pub fn load(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
        let (send, receive) = mpsc::channel::<io::Result<Bytes>>(QUEUED_CHUNKS);
        let chunks = stream::unfold(receive, |mut receive| async move { receive.recv().await.map(|it| (it, receive)) });
        let load = |docker: bollard::Docker| async move {
            let options = ImportImageOptionsBuilder::default().quiet(true).build();
            let mut answers = docker.import_image_stream(options, chunks, None).boxed();
            while let Some(answer) = answers.next().await {
                answer?;
            }
            Ok(())
        };
        let loading = self.begin_polled("load an image", self.patience.image, load);
        let mut pipe = Chunks { send, chunk: Vec::with_capacity(CHUNK) };
        let written = write(&mut pipe).and_then(|()| pipe.flush());
        if let Err(e) = &written {
            // The engine must not mistake a partial archive for a whole one. Fails if the engine is gone already.
            let _ = pipe.send.blocking_send(Err(io::Error::new(e.kind(), e.to_string())));
        }
        drop(pipe);
        let loaded = loading.wait();
        match (written, loaded) {
            (_, Ok(())) => Ok(()),
            // A broken pipe means that the engine gave up; its own error states why.
            (Err(e), Err(_)) if e.kind() != io::ErrorKind::BrokenPipe => Err(Error::Archive { reason: e.to_string() }),
            (_, Err(e)) => Err(e),
        }
    }

    /// Removes an image by its reference, unless a container uses it. A missing image is fine.
    ///
    /// # Errors
    /// The engine failed to remove it.
    pub fn remove_image(&self, reference: &str) -> Result<(), Error> {
        let reference = reference.to_owned();
        let remove = |docker: bollard::Docker| async move { docker.remove_image(&reference, NO_OPTIONS, None).await };
        match self.call("remove an image", self.patience.image, remove) {
            Err(e) if e.is_absent() => Ok(()),
            other => other.map(drop),
        }
    }

    /// Lists the references of the images whose name matches `pattern`, such as `fw-…/*`.
    ///
    /// # Errors
    /// The engine does not answer.
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

/// Splits the archive into chunks and passes them to the thread that sends them.
struct Chunks {
    send: mpsc::Sender<io::Result<Bytes>>,
    chunk: Vec<u8>,
}

impl Write for Chunks {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.chunk.extend_from_slice(data);
        if self.chunk.len() >= CHUNK {
            self.flush()?;
        }
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
        match chunk.is_empty() {
            true => Ok(()),
            // Ends with the call, at its deadline at the latest.
            false => self.send.blocking_send(Ok(chunk.into())).map_err(|_| io::ErrorKind::BrokenPipe.into()),
        }
    }
}

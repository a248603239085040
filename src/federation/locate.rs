//! Which backends hold an image: hints first, then everybody at once. Reads only.

use futures::future::join_all;
use image_service::{Context, Error, ErrorKind, Image, ImageId, Result};

use super::Federation;
use super::placement::{self, Copies};

/// What a search for one id found.
#[derive(Debug)]
pub(super) struct Located {
    /// The image as its home has it, with the names of the stores that hold its data.
    pub(super) image: Image,
    /// Where it is.
    pub(super) copies: Copies,
    /// The backends that were asked and silent, so that they may hold it too.
    pub(super) silent: Vec<usize>,
}

/// What some backends said to one id.
struct Answers {
    found: Vec<(usize, Image)>,
    silent: Vec<(usize, Error)>,
    /// Whether somebody remembers that there was such an image.
    deleted: bool,
}

impl Federation {
    /// Finds an image as the caller may see it: where hints say it is, or if that fails, anywhere.
    ///
    /// # Errors
    /// `NotFound` if every backend says so; `Unavailable`, naming them, if some were silent and the others do
    /// not have it.
    pub(super) async fn locate(&self, context: &Context, id: &ImageId) -> Result<Located> {
        if let Some(hinted) = self.owners.of(id) {
            let answers = self.ask(context, id, &hinted).await;
            if answers.silent.is_empty()
                && let Some((image, copies)) = placement::fold(answers.found)
            {
                return Ok(self.named(image, copies, Vec::new()));
            }
        }
        self.search(context, id).await
    }

    /// Asks every backend for an image.
    ///
    /// # Errors
    /// As [`locate`](Self::locate).
    pub(super) async fn search(&self, context: &Context, id: &ImageId) -> Result<Located> {
        let everyone: Vec<usize> = (0..self.guards.len()).collect();
        let answers = self.ask(context, id, &everyone).await;
        let Some((image, copies)) = placement::fold(answers.found) else {
            if answers.silent.is_empty() {
                self.owners.forget(id);
                return Err(if answers.deleted { Error::deleted(id) } else { Error::not_found(id) });
            }
            return Err(unknown(answers.silent.into_iter().map(|(_, error)| error).collect()));
        };
        if answers.silent.is_empty() {
            self.owners.learn(id, &copies.sources);
        } else {
            self.owners.add(id, &copies.sources);
        }
        let silent = answers.silent.into_iter().map(|(source, _)| source).collect();
        Ok(self.named(image, copies, silent))
    }

    /// Asks some backends for an image, all at once.
    async fn ask(&self, context: &Context, id: &ImageId, sources: &[usize]) -> Answers {
        let guards = sources.iter().filter_map(|source| Some((*source, self.guards.get(*source)?)));
        let asked = guards.map(async |(source, guard)| {
            (source, guard.read(context, "show", || guard.service().show(context, id)).await)
        });
        let mut answers = Answers { found: Vec::new(), silent: Vec::new(), deleted: false };
        for (source, answer) in join_all(asked).await {
            match answer {
                Ok(image) => answers.found.push((source, image)),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    answers.deleted |= error.is_of_deleted_image();
                }
                Err(error) => answers.silent.push((source, error)),
            }
        }
        answers
    }

    /// Checks that no backend but `except` holds the id, whoever may see it, or remembers to have held it.
    ///
    /// # Errors
    /// `AlreadyExists` if one does; `Unavailable` if that is not known.
    pub(super) async fn require_unused(&self, context: &Context, id: &ImageId, except: usize) -> Result<()> {
        let mut context = context.clone();
        context.caller.roles.insert(String::from("admin"));
        let others: Vec<usize> = (0..self.guards.len()).filter(|source| *source != except).collect();
        let answers = self.ask(&context, id, &others).await;
        if answers.deleted || !answers.found.is_empty() {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("image ID {id} already exists")));
        }
        if !answers.silent.is_empty() {
            return Err(unknown(answers.silent.into_iter().map(|(_, error)| error).collect()));
        }
        Ok(())
    }

    /// Puts the names of its stores into an image.
    pub(super) fn named(&self, mut image: Image, copies: Copies, silent: Vec<usize>) -> Located {
        let names = copies.with_data.iter().filter_map(|source| self.name_of(*source));
        image.stores = names.map(str::to_owned).collect();
        for source in &copies.conflicting {
            let store = self.name_of(*source).unwrap_or_default();
            tracing::warn!(image = %image.id, store, "another image under the same id is left out");
        }
        Located { image, copies, silent }
    }
}

/// Some backends were silent and no other has the image, so whether it exists is not known.
fn unknown(mut silent: Vec<Error>) -> Error {
    let names: Vec<String> =
        silent.iter().filter_map(|error| Some(error.origin()?.backend.clone())).collect();
    let error = Error::new(
        ErrorKind::Unavailable,
        format!("whether the image exists is not known: no answer from {}", names.join(", ")),
    )
    .answered();
    match silent.pop() {
        Some(source) => error.with_source(source),
        None => error,
    }
}

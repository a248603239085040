//! Which backends hold an image: hints first, then everybody at once. Reads only.
//!
//! Clients may name an image by a derived id ([`aliases`](super::aliases)); its backend knows it by another one.

use futures::future::join_all;
use image_service::{Context, Error, ErrorKind, Image, ImageId, Result};

use super::Federation;
use super::guard::Guard;
use super::hedge::hedged;
use super::narrowing::Standing;
use super::placement::{self, Copies};
use super::twins::{Print, Twins};

/// What a search for one id found.
#[derive(Debug)]
pub(super) struct Located {
    /// The image as its home has it, with the names of the stores that hold its data.
    pub(super) image: Image,
    /// What its backends call it.
    pub(super) native: ImageId,
    /// Where it is.
    pub(super) copies: Copies,
    /// How the record of each that showed it stands. Known after a search alone, and of an image by its own id.
    pub(super) standings: Vec<(usize, Standing)>,
    /// The backends that were asked and silent, so that they may hold it too.
    pub(super) silent: Vec<usize>,
}

/// What some backends said to one id.
#[derive(Default)]
struct Answers {
    asked: Vec<usize>,
    found: Vec<(usize, Image)>,
    silent: Vec<(usize, Error)>,
    /// Whether somebody remembers that there was such an image.
    deleted: bool,
}

impl Answers {
    fn add(&mut self, source: usize, answer: Result<Image>) {
        self.asked.push(source);
        match answer {
            Ok(image) => self.found.push((source, image)),
            Err(error) if error.kind() == ErrorKind::NotFound => self.deleted |= error.is_of_deleted_image(),
            Err(error) => self.silent.push((source, error)),
        }
    }
}

impl Federation {
    /// Finds an image as the caller may see it: where hints say it is, or if that fails, anywhere. Nobody is asked
    /// twice.
    ///
    /// # Errors
    /// `NotFound` if every backend says so; `Unavailable`, naming them, if some were silent and the others do
    /// not have it.
    pub(super) async fn locate(&self, context: &Context, id: &ImageId) -> Result<Located> {
        let mut answers = Answers::default();
        if let Some(twins) = self.owners.twins(id) {
            match self.ask_home(context, id, &twins).await {
                Ok(image) if twins.has_data(&image) => {
                    return Ok(self.named(image, twins.copies.clone(), Vec::new()));
                }
                answer => answers.add(twins.copies.home, answer),
            }
        }
        if let Some(hinted) = self.owners.of(id) {
            self.ask(context, id, &hinted, &mut answers).await;
            if answers.silent.is_empty()
                && let Some((image, copies)) = self.fold(id, &mut answers)
            {
                return Ok(self.named(image, copies, Vec::new()));
            }
        }
        self.search_further(context, id, answers).await
    }

    /// Asks every backend for an image.
    ///
    /// # Errors
    /// As [`locate`](Self::locate).
    pub(super) async fn search(&self, context: &Context, id: &ImageId) -> Result<Located> {
        self.search_further(context, id, Answers::default()).await
    }

    /// Asks every backend that has not been asked yet, for what the id stands for.
    async fn search_further(&self, context: &Context, id: &ImageId, answers: Answers) -> Result<Located> {
        if let Some((source, native)) = self.known_alias(id) {
            return self.search_alias(context, id, source, &native).await;
        }
        match self.search_on(context, id, answers).await {
            Err(error) if error.kind() == ErrorKind::NotFound => match self.possible_alias(id) {
                Some((source, native)) => self.search_alias(context, id, source, &native).await,
                None => Err(error),
            },
            answer => answer,
        }
    }

    /// Asks every backend for the id that the image `id` of `source` has there, and takes its image if the id still
    /// belongs to another one, or that cannot be told.
    async fn search_alias(
        &self,
        context: &Context,
        id: &ImageId,
        source: usize,
        native: &ImageId,
    ) -> Result<Located> {
        let everyone: Vec<usize> = (0..self.guards.len()).collect();
        let mut answers = Answers::default();
        self.ask(context, native, &everyone, &mut answers).await;
        let Answers { found, silent, .. } = answers;
        let copies = placement::judge(found.iter().map(|(source, image)| (*source, image)));
        let silent_owner =
            silent.iter().any(|(silent, _)| *silent < source) && self.known_alias(id).is_some();
        let image = found.into_iter().find(|(holder, _)| *holder == source).map(|(_, image)| image);
        match image {
            Some(image)
                if silent_owner || copies.is_some_and(|copies| copies.conflicting.contains(&source)) =>
            {
                let copies = Copies {
                    home: source,
                    sources: vec![source],
                    with_data: vec![source],
                    conflicting: Vec::new(),
                };
                let image = self.aliased(source, image);
                Ok(Located {
                    image,
                    native: native.clone(),
                    copies,
                    standings: Vec::new(),
                    silent: Vec::new(),
                })
            }
            None if silent.iter().any(|(silent, _)| *silent == source) => Err(unknown(silent)),
            _ => {
                self.forget_alias(id);
                Err(Error::not_found(id))
            }
        }
    }

    /// Asks every backend that has not been asked yet.
    async fn search_on(&self, context: &Context, id: &ImageId, mut answers: Answers) -> Result<Located> {
        let everyone: Vec<usize> = (0..self.guards.len()).collect();
        self.ask(context, id, &everyone, &mut answers).await;
        self.leave_out_aliases(id, &mut answers);
        let mut holders: Vec<usize> = answers.found.iter().map(|(source, _)| *source).collect();
        if holders.is_empty() {
            if answers.silent.is_empty() {
                // It may only be hidden from anybody else.
                if context.caller.is_admin() {
                    self.owners.forget(id);
                }
                return Err(if answers.deleted { Error::deleted(id) } else { Error::not_found(id) });
            }
            return Err(unknown(answers.silent));
        }
        if answers.silent.is_empty() {
            // Who was seen to hold it may still do so, and hide it from this caller.
            if !context.caller.is_admin() {
                holders.extend(self.owners.of(id).unwrap_or_default());
            }
            self.owners.learn(id, &sorted(holders));
        } else {
            self.owners.add(id, &holders);
        }
        let standings = answers.found.iter().map(|(source, image)| (*source, Standing::of(image))).collect();
        let Some((image, copies)) = self.fold(id, &mut answers) else { return Err(Error::not_found(id)) };
        let silent = answers.silent.into_iter().map(|(source, _)| source).collect();
        Ok(Located { standings, ..self.named(image, copies, silent) })
    }

    /// Leaves out what is known to be another image than the one that a silent backend owns.
    fn leave_out_aliases(&self, id: &ImageId, answers: &mut Answers) {
        if let Some(silent) = answers.silent.iter().map(|(source, _)| *source).min() {
            answers.found.retain(|(source, _)| *source < silent || !self.is_aliased(*source, id));
        }
    }

    /// Folds copies into the image, and learns what they have in common.
    fn fold(&self, id: &ImageId, answers: &mut Answers) -> Option<(Image, Copies)> {
        let found = std::mem::take(&mut answers.found);
        let several = if found.len() > 1 { found.as_slice() } else { &[] };
        let prints: Vec<_> = several.iter().map(|(source, image)| (*source, Print::of(image))).collect();
        let (image, copies) = placement::fold(found)?;
        if let Some(twins) = Twins::of(&image, &copies, &prints) {
            self.owners.learn_twins(id, twins);
        }
        Some((image, copies))
    }

    /// Asks the home of an image for it, and if that is slow, a copy that may speak for it.
    async fn ask_home(&self, context: &Context, id: &ImageId, twins: &Twins) -> Result<Image> {
        let show =
            async |guard: &Guard| guard.read(context, "show", || guard.service().show(context, id)).await;
        let home = self.guard(twins.copies.home)?;
        let Some((_, other)) = self.second(twins.alike()) else { return show(home).await };
        let second = async { show(other).await.ok().filter(|image| twins.speaks_for_home(image)) };
        hedged(show(home), home.patience(), || home.may_hedge("show"), second).await
    }

    /// The first of some copies whose backend is asked at present.
    pub(super) fn second(&self, mut others: impl Iterator<Item = usize>) -> Option<(usize, &Guard)> {
        others.find_map(|source| Some((source, self.guard(source).ok().filter(|guard| guard.is_asked())?)))
    }

    /// Asks some backends for an image, all at once, save those that have been asked.
    async fn ask(&self, context: &Context, id: &ImageId, sources: &[usize], answers: &mut Answers) {
        let new = sources.iter().filter(|source| !answers.asked.contains(source));
        let guards = new.filter_map(|source| Some((*source, self.guards.get(*source)?)));
        let asked = guards.map(async |(source, guard)| {
            (source, guard.read(context, "show", || guard.service().show(context, id)).await)
        });
        for (source, answer) in join_all(asked).await {
            answers.add(source, answer);
        }
    }

    /// Checks that no backend but `except` holds the id, whoever may see it, or remembers to have held it.
    ///
    /// A backend that goes by the caller's own token does not tell of what is hidden from it. There an id could be taken
    /// that is somebody's, and be shown to them in place of their own image. So where there is one, only administrators
    /// may say which id a new image has.
    ///
    /// # Errors
    /// `AlreadyExists` if one does; `Unavailable` if one is silent; `Forbidden` if one does not tell this caller.
    pub(super) async fn require_unused(&self, context: &Context, id: &ImageId, except: usize) -> Result<()> {
        let is_admin = context.caller.is_admin();
        let mut context = context.clone();
        context.caller.roles.insert(String::from("admin"));
        let others: Vec<usize> = (0..self.guards.len()).filter(|source| *source != except).collect();
        let mut answers = Answers::default();
        self.ask(&context, id, &others, &mut answers).await;
        if answers.deleted || !answers.found.is_empty() || self.known_alias(id).is_some() {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("image ID {id} already exists")));
        }
        if !answers.silent.is_empty() {
            return Err(unknown(answers.silent));
        }
        match others.into_iter().find(|source| !is_admin && !self.believes_caller(*source)) {
            None => Ok(()),
            Some(source) => Err(Error::forbidden(format!(
                "whether the id is in use cannot be told to you by store '{}', so leave it out",
                self.name_of(source).unwrap_or_default()
            ))),
        }
    }

    fn believes_caller(&self, source: usize) -> bool {
        let guard = self.guards.get(source);
        guard.is_some_and(|guard| guard.service().capabilities().believes_caller.is_yes())
    }

    /// Checks that no backend that is known to hold the image is silent, of those that `concern` picks.
    ///
    /// # Errors
    /// `Unavailable`, naming one that is.
    pub(super) fn require_answers(&self, located: &Located, concern: impl Fn(usize) -> bool) -> Result<()> {
        let id = &located.native;
        let known = self.owners.of(id).unwrap_or_default();
        let holds = |source: &usize| known.contains(source) || self.census.has_counted(*source, id);
        match located.silent.iter().find(|source| concern(**source) && holds(source)) {
            None => Ok(()),
            Some(silent) => {
                let name = self.name_of(*silent).unwrap_or_default();
                let message = format!("a copy of the image is in store '{name}', which does not answer");
                Err(Error::new(ErrorKind::Unavailable, message).answered())
            }
        }
    }

    /// Whether a backend was given a copy of the image since it was located, so that what was taken from its copies must
    /// be taken from that one too. Whoever makes one tells of it before, and looks at the home afterwards.
    pub(super) fn has_come_to_others(&self, located: &Located) -> bool {
        let id = &located.native;
        let known = self.owners.of(id).unwrap_or_default();
        known.into_iter().any(|source| {
            !located.copies.sources.contains(&source)
                && !located.silent.contains(&source)
                && !self.is_aliased(source, id)
        })
    }

    /// Puts the names of its stores into an image.
    pub(super) fn named(&self, mut image: Image, copies: Copies, silent: Vec<usize>) -> Located {
        let mut waits_at = copies.sources.iter().filter(|source| !self.takes_data(**source));
        let waits_at = waits_at.next().filter(|_| !image.has_data());
        let names = copies.with_data.iter().chain(waits_at).filter_map(|source| self.name_of(*source));
        image.stores = names.map(str::to_owned).collect();
        Located { native: image.id.clone(), image, copies, standings: Vec::new(), silent }
    }
}

fn sorted(mut sources: Vec<usize>) -> Vec<usize> {
    sources.sort_unstable();
    sources.dedup();
    sources
}

/// Some backends were silent and no other has the image, so whether it exists is not known.
///
/// They are named in their configured order: that in which they were asked would tell whom hints think of, and with that
/// who has an image that the caller may not know of.
fn unknown(mut silent: Vec<(usize, Error)>) -> Error {
    silent.sort_by_key(|(source, _)| *source);
    let names: Vec<String> =
        silent.iter().filter_map(|(_, error)| Some(error.origin()?.backend.clone())).collect();
    let error = Error::new(
        ErrorKind::Unavailable,
        format!("whether the image exists is not known: no answer from {}", names.join(", ")),
    )
    .answered();
    match silent.pop() {
        Some((_, source)) => error.with_source(source),
        None => error,
    }
}

//! One backend as others than its own projects may see it: no wider than a ceiling, and with its projects by the names
//! that they have here.
//!
//! [`Tenancy`] is an [`ImageService`] around another one. A **ceiling** caps the visibility of every image behind it: with
//! `shared` a public image of a partner's cloud is an image shared with nobody, that is its owner's alone, in lists, by
//! its id and in every other way. **Names** are turned into each other on the way in and out (`names`), so that the store
//! knows callers, owners and members as its own projects, and callers see those of their own.
//!
//! It takes away and never gives: what the store does not show to the caller by the name that it has there is not
//! shown here. Above the ceiling an image is its owner's and an administrator's. Nothing is remembered, so what changes
//! behind is changed at once.
//!
//! An image without an owner can be read by all, whatever its visibility. So where the ceiling is below `community` it is
//! for administrators alone, and none can be made.
//!
//! This module must not know HTTP, the configuration, or that its store is one of several.

mod list;
mod locations;
mod names;
mod sharing;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use image_service::{
    ByteRange, Caller, Capabilities, Context, Download, Error, ErrorKind, Image, ImageChange, ImageId,
    ImageService, Locations, NewImage, Page, Query, Result, Sharing, Stores, Summary, Upload, Visibility,
};

use names::Names;

/// What the tenancy of a store comes to here. By default nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// No image is shown with a wider visibility.
    pub ceiling: Visibility,
    /// Our name of a project → its name in the store. No two may share one, and none of ours may begin with the store's
    /// name and a colon.
    pub projects: BTreeMap<String, String>,
    /// What becomes of projects that are not named.
    pub others: Others,
}

impl Default for Rules {
    fn default() -> Self {
        Self { ceiling: Visibility::Public, projects: BTreeMap::new(), others: Others::default() }
    }
}

/// What becomes of projects that [`Rules::projects`] does not name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Others {
    /// They have the same name on both sides, unless another project has it there.
    #[default]
    Same,
    /// They have nothing to do with each other.
    Apart,
}

/// A store behind a ceiling and other names.
#[derive(Debug)]
pub struct Tenancy {
    inner: Arc<dyn ImageService>,
    store: String,
    ceiling: Visibility,
    names: Names,
}

impl Tenancy {
    /// Puts `rules` around `inner`, which is called `store` in names and sentences.
    ///
    /// # Errors
    /// `Invalid` if two projects would have the same name in the store, or one of ours a name that is for the store's.
    pub fn around(inner: Arc<dyn ImageService>, store: &str, rules: Rules) -> Result<Self> {
        let names = Names::new(store, rules.projects, rules.others)?;
        Ok(Self { inner, store: store.to_owned(), ceiling: rules.ceiling, names })
    }

    /// The request as the store is to see it.
    fn behind(&self, context: &Context) -> Context {
        let project = context.caller.project.as_deref().and_then(|project| self.names.of_caller(project));
        Context { caller: Caller { project, ..context.caller.clone() }, ..context.clone() }
    }

    /// An image of the store as it is shown here.
    fn shown(&self, mut image: Image) -> Image {
        image.visibility = image.visibility.max(self.ceiling);
        image.owner = image.owner.map(|owner| self.names.shown(&owner));
        image
    }

    /// Whether the ceiling hides images that the store would show to this caller.
    fn hides_from(&self, caller: &Caller) -> bool {
        self.ceiling >= Visibility::Shared && !caller.is_admin()
    }

    /// Whether the ceiling lets a caller see an image that the store shows to it, both as the store knows them.
    fn admits(&self, caller: &Caller, image: &Image) -> bool {
        let is_shared_by_store =
            self.ceiling == Visibility::Shared && image.visibility >= self.ceiling && image.owner.is_some();
        !self.hides_from(caller) || caller.owns(image.owner.as_deref()) || is_shared_by_store
    }

    /// An image as the store has it, if the caller may see it here.
    async fn visible(&self, behind: &Context, id: &ImageId) -> Result<Image> {
        let image = self.inner.show(behind, id).await?;
        if self.admits(&behind.caller, &image) { Ok(image) } else { Err(Error::not_found(id)) }
    }

    /// Lets through a caller who may see an image here, for verbs that the store allows or refuses for itself.
    async fn require_visible(&self, behind: &Context, id: &ImageId) -> Result<()> {
        if self.hides_from(&behind.caller) { self.visible(behind, id).await.map(drop) } else { Ok(()) }
    }

    /// The store's name of an owner or a member.
    fn named(&self, project: &str) -> Result<String> {
        self.names.of_project(project).ok_or_else(|| self.unknown(project))
    }

    fn unknown(&self, project: &str) -> Error {
        Error::forbidden(format!("project '{project}' is not known in store '{}'", self.store))
    }

    /// # Errors
    /// `Forbidden` if it is above the ceiling.
    fn require_below_ceiling(&self, visibility: Option<Visibility>) -> Result<()> {
        match visibility.filter(|visibility| *visibility < self.ceiling) {
            None => Ok(()),
            Some(visibility) => Err(Error::forbidden(format!(
                "store '{}' shows no image wider than {}, so none of it can be {visibility}",
                self.store, self.ceiling
            ))),
        }
    }

    /// The store's name of a new owner.
    ///
    /// # Errors
    /// `Forbidden` if it has none, or nobody would be above the ceiling.
    fn owner(&self, owner: Option<&str>) -> Result<Option<String>> {
        match owner {
            Some(owner) => self.named(owner).map(Some),
            None if self.ceiling >= Visibility::Shared => Err(Error::forbidden(format!(
                "store '{}' shows no image wider than {}, and one without an owner is everybody's",
                self.store, self.ceiling
            ))),
            None => Ok(None),
        }
    }

    /// A new image as the store is to make it.
    fn new_image(&self, caller: &Caller, mut image: NewImage) -> Result<NewImage> {
        self.require_below_ceiling(image.visibility)?;
        if image.visibility.is_none() && self.ceiling > Visibility::Shared {
            image.visibility = Some(self.ceiling);
        }
        match image.owner.take() {
            None => match &caller.project {
                Some(project) if self.names.of_caller(project).is_none() => return Err(self.unknown(project)),
                project => drop(self.owner(project.as_deref())?),
            },
            Some(owner) if !caller.is_admin() && !caller.owns(owner.as_deref()) => {
                let owner = owner.as_deref().unwrap_or("nobody");
                return Err(Error::forbidden(format!(
                    "you are not permitted to create images owned by '{owner}'"
                )));
            }
            Some(owner) => image.owner = Some(self.owner(owner.as_deref())?),
        }
        Ok(image)
    }

    /// A change as the store is to make it.
    fn change(&self, caller: &Caller, mut change: ImageChange) -> Result<ImageChange> {
        self.require_below_ceiling(change.visibility)?;
        // Others may not give an image away, and the store says so.
        if let Some(owner) = change.owner.take_if(|_| caller.is_admin()) {
            change.owner = Some(self.owner(owner.as_deref())?);
        }
        Ok(change)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ImageService for Tenancy {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn index(&self, context: &Context, query: &Query) -> Result<Page<Summary>> {
        self.list_names(context, query).await
    }

    async fn detail(&self, context: &Context, query: &Query) -> Result<Page<Image>> {
        self.list(context, query).await
    }

    async fn show(&self, context: &Context, id: &ImageId) -> Result<Image> {
        Ok(self.shown(self.visible(&self.behind(context), id).await?))
    }

    async fn get(&self, context: &Context, id: &ImageId, range: Option<ByteRange>) -> Result<Download> {
        let behind = self.behind(context);
        match self.inner.get(&behind, id, range).await {
            Ok(download) if self.admits(&behind.caller, &download.image) => {
                Ok(Download { image: self.shown(download.image), ..download })
            }
            Ok(_) => Err(Error::not_found(id)),
            Err(error) if error.kind() == ErrorKind::NotFound || error.kind().is_silence() => Err(error),
            // That the store refuses its data tells of an image.
            Err(error) => Err(self.require_visible(&behind, id).await.err().unwrap_or(error)),
        }
    }

    async fn create(&self, context: &Context, image: NewImage, data: Option<Upload>) -> Result<Image> {
        let image = self.new_image(&context.caller, image)?;
        Ok(self.shown(self.inner.create(&self.behind(context), image, data).await?))
    }

    async fn update(
        &self,
        context: &Context,
        id: &ImageId,
        change: ImageChange,
        data: Option<Upload>,
    ) -> Result<Image> {
        let behind = self.behind(context);
        self.require_visible(&behind, id).await?;
        let change = match self.change(&context.caller, change) {
            Ok(change) => change,
            // What is not to be seen is not there, whatever is wanted of it.
            Err(error) => return Err(self.visible(&behind, id).await.err().unwrap_or(error)),
        };
        Ok(self.shown(self.inner.update(&behind, id, change, data).await?))
    }

    async fn delete(&self, context: &Context, id: &ImageId) -> Result<()> {
        let behind = self.behind(context);
        self.require_visible(&behind, id).await?;
        self.inner.delete(&behind, id).await
    }

    fn sharing(&self) -> Option<&dyn Sharing> {
        self.inner.sharing().map(|_| self as &dyn Sharing)
    }

    fn locations(&self) -> Option<&dyn Locations> {
        self.inner.locations().map(|_| self as &dyn Locations)
    }

    /// None: this is around one store, whose own stores nobody asks for.
    fn stores(&self) -> Option<&dyn Stores> {
        None
    }
}

//! Locations of images: those that some backends keep, and beside them the copies in all others.
//!
//! The locations of an image are those of its copies, home first. A copy whose backend keeps no locations is one location
//! itself, with a URL that names the store and leads nowhere. A new location goes to the first backend that takes its
//! URL: the record of a queued image moves there, and an active image gets one more copy there, which holds its data to
//! what the home says of it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use futures::future::try_join_all;
use image_service::{
    Context, Error, ErrorKind, Image, ImageId, Known, Location, Locations, MemberStatus, NewLocation, Result,
    Status, Timestamp, Upload, access,
};

use super::Federation;
use super::guard::Guard;
use super::locate::Located;

/// The scheme of URLs that stand for copies in backends without locations.
const SCHEME: &str = "store";

impl Federation {
    /// The backend that a location at `url` belongs to: `home` if it takes it, else the first that does.
    ///
    /// # Errors
    /// The first refusal; `NotImplemented` if no backend keeps locations.
    fn keeper_of(&self, url: &str, home: Option<usize>) -> Result<usize> {
        let mut refusal = None;
        for source in home.into_iter().chain(0..self.guards.len()) {
            let Some(power) = self.guard(source)?.service().locations() else { continue };
            match power.check(url) {
                Ok(()) => return Ok(source),
                Err(error) => drop(refusal.get_or_insert(error)),
            }
        }
        Err(refusal.unwrap_or_else(|| Error::not_implemented("a location")))
    }

    /// An image for a change of its locations by this caller.
    async fn to_relocate(&self, context: &Context, id: &ImageId) -> Result<Located> {
        let located = self.search(context, id).await?;
        access::may_change(&context.caller, &located.image, Some(MemberStatus::Accepted))?;
        Ok(located)
    }

    /// As [`to_relocate`](Self::to_relocate), of an active image, with its locations.
    async fn to_rearrange(&self, context: &Context, id: &ImageId) -> Result<(Located, Vec<Location>)> {
        let located = self.to_relocate(context, id).await?;
        if located.image.status != Status::Active {
            return Err(not_now(&located.image));
        }
        let now = self.of(context, std::slice::from_ref(&located.image)).await?;
        Ok((located, now.into_iter().flatten().collect()))
    }

    /// The backends that hold the data of an image that was shown, home first, and what they call it.
    async fn holders(&self, context: &Context, image: &Image) -> Result<(Vec<usize>, ImageId)> {
        if !image.has_data() {
            return Ok((Vec::new(), image.id.clone()));
        }
        let of_name = |name: &String| self.guards.iter().position(|guard| guard.backend().name == *name);
        let named: Option<Vec<usize>> = image.stores.iter().map(of_name).collect();
        match named.filter(|sources| !sources.is_empty()) {
            Some(sources) => {
                let native =
                    self.known_alias(&image.id).map_or_else(|| image.id.clone(), |(_, native)| native);
                Ok((sources, native))
            }
            // Somebody else has given it other stores.
            None => match self.locate(context, &image.id).await {
                Ok(located) => Ok((located.copies.with_data, located.native)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok((Vec::new(), image.id.clone())),
                Err(error) => Err(error),
            },
        }
    }

    /// The locations of numbered images in one backend that holds them, by their number and the backend.
    async fn ask_keeper(
        &self,
        context: &Context,
        source: usize,
        images: Vec<(usize, Image)>,
    ) -> Result<Vec<((usize, usize), Vec<Location>)>> {
        let guard = self.guard(source)?;
        let store = &guard.backend().name;
        let (numbers, images): (Vec<usize>, Vec<Image>) = images.into_iter().unzip();
        let lists = match guard.service().locations() {
            Some(power) => guard.read(context, "locations", || power.of(context, &images)).await?,
            None => images.iter().map(|image| vec![of_copy(store, &image.id)]).collect(),
        };
        let named = |location| Location { store: Some(store.clone()), ..location };
        let lists = lists.into_iter().map(|list| list.into_iter().map(named).collect());
        Ok(numbers.into_iter().map(|number| (number, source)).zip(lists).collect())
    }

    /// Has the record of a queued image at `target` too.
    async fn queue_at(&self, context: &Context, located: &Located, target: usize) -> Result<()> {
        // A trial: what it becomes is thrown away.
        located.image.clone().activate(0, Known::default(), Timestamp::now())?;
        self.copy_record(context, located, target).await.map(drop)
    }

    /// Makes sure that the size of what is new is known, before anything is moved for it.
    async fn measured(
        &self,
        image: &Image,
        target: usize,
        new: &mut NewLocation,
        context: &Context,
    ) -> Result<()> {
        if new.known.size.is_some() {
            return Ok(());
        }
        let guard = self.guard(target)?;
        let open = power(guard)?.open(context, image, &new.location.url);
        // What lies there is not read.
        new.known.size = guard.write("open_location", open).await?.size;
        if new.known.size.is_some() {
            return Ok(());
        }
        Err(Error::invalid("invalid location: the server does not say how much data there is"))
    }

    /// Makes a copy of an active image in `target`, whose data lies at a new location.
    async fn copy_at(
        &self,
        context: &Context,
        located: &Located,
        target: usize,
        new: NewLocation,
    ) -> Result<()> {
        let image = &located.image;
        if located.copies.sources.contains(&target) || image.id != located.native {
            let store = self.name_of(target).unwrap_or_default();
            return Err(Error::conflict(format!("store '{store}' has another image of this id")));
        }
        if image.hash.is_none() && image.checksum.is_none() {
            return Err(Error::conflict("the image has no hash that data elsewhere could be held to"));
        }
        image.must_have(&new.known)?;
        let known = Known {
            size: image.size,
            virtual_size: image.virtual_size,
            checksum: image.checksum.clone(),
            hash: image.hash.clone(),
        };
        let to = self.guard(target)?;
        let whole = async {
            self.add_record(context, located, target).await?;
            let new = NewLocation { known, ..new };
            to.write("add_location", power(to)?.add(context, &image.id, new)).await.map(drop)
        };
        let answer = whole.await;
        let failed = answer.is_err();
        let outcome = self.settle(context, located, target, answer).await;
        if failed {
            self.leave_behind(context, image, target).await;
        }
        self.owners.forget_twins(&image.id);
        outcome
    }
}

fn power(guard: &Guard) -> Result<&dyn Locations> {
    guard.service().locations().ok_or_else(|| Error::not_implemented("a location"))
}

fn not_now(image: &Image) -> Error {
    Error::conflict(format!("the locations of an image that is {} cannot be changed so", image.status))
}

/// A copy as a location.
fn of_copy(store: &str, native: &ImageId) -> Location {
    Location {
        url: format!("{SCHEME}://{store}/{native}"),
        metadata: BTreeMap::new(),
        store: Some(store.to_owned()),
    }
}

#[async_trait]
impl Locations for Federation {
    fn check(&self, url: &str) -> Result<()> {
        self.keeper_of(url, None).map(drop)
    }

    async fn of(&self, context: &Context, images: &[Image]) -> Result<Vec<Vec<Location>>> {
        let holders = try_join_all(images.iter().map(|image| self.holders(context, image))).await?;
        // Each backend is asked once, for all that it holds.
        let mut asked: BTreeMap<usize, Vec<(usize, Image)>> = BTreeMap::new();
        for (number, (image, (sources, native))) in images.iter().zip(&holders).enumerate() {
            for source in sources {
                let image = Image { id: native.clone(), ..image.clone() };
                asked.entry(*source).or_default().push((number, image));
            }
        }
        let answers = asked.into_iter().map(|(source, images)| self.ask_keeper(context, source, images));
        let answers = try_join_all(answers).await?;
        let mut kept: BTreeMap<(usize, usize), Vec<Location>> = answers.into_iter().flatten().collect();
        let in_order = |(number, (sources, _)): (usize, &(Vec<usize>, ImageId))| {
            sources.iter().filter_map(|source| kept.remove(&(number, *source))).flatten().collect()
        };
        Ok(holders.iter().enumerate().map(in_order).collect())
    }

    async fn prepare(&self, context: &Context, id: &ImageId, url: &str) -> Result<Image> {
        self.check(url)?;
        let located = self.to_relocate(context, id).await?;
        let target = self.keeper_of(url, Some(located.copies.home))?;
        if located.image.status != Status::Queued {
            return Err(not_now(&located.image));
        }
        self.queue_at(context, &located, target).await?;
        let guard = self.guard(target)?;
        let prepare = power(guard)?.prepare(context, &located.native, url);
        guard.write("prepare_location", prepare).await?;
        Ok(self.search(context, id).await?.image)
    }

    async fn open(&self, context: &Context, image: &Image, url: &str) -> Result<Upload> {
        let guard = self.guard(self.keeper_of(url, None)?)?;
        let upload = guard.write("open_location", power(guard)?.open(context, image, url)).await?;
        Ok(self.made_safe(upload, image))
    }

    async fn add(&self, context: &Context, id: &ImageId, mut new: NewLocation) -> Result<Image> {
        self.check(&new.location.url)?;
        let located = self.to_relocate(context, id).await?;
        let copies = &located.copies;
        let target = self.keeper_of(&new.location.url, Some(copies.home))?;
        match located.image.status {
            Status::Queued => {
                if target != copies.home {
                    self.measured(&located.image, target, &mut new, context).await?;
                }
                self.queue_at(context, &located, target).await?;
            }
            Status::Active if !copies.with_data.contains(&target) => {
                self.measured(&located.image, target, &mut new, context).await?;
                self.copy_at(context, &located, target, new).await?;
                return Ok(self.search(context, id).await?.image);
            }
            Status::Active => {}
            _ => return Err(not_now(&located.image)),
        }
        let guard = self.guard(target)?;
        guard.write("add_location", power(guard)?.add(context, &located.native, new)).await?;
        if located.image.status == Status::Queued {
            for source in copies.sources.iter().filter(|source| **source != target) {
                self.leave_behind(context, &located.image, *source).await;
            }
        }
        self.owners.forget_twins(id);
        Ok(self.search(context, id).await?.image)
    }

    async fn arrange(&self, context: &Context, id: &ImageId, locations: Vec<Location>) -> Result<Image> {
        let (located, now) = self.to_rearrange(context, id).await?;
        let sorted = |locations: &[Location]| {
            let mut urls: Vec<String> = locations.iter().map(|location| location.url.clone()).collect();
            urls.sort_unstable();
            urls
        };
        if sorted(&locations) != sorted(&now) {
            return Err(Error::invalid("the URLs must be those that the image has"));
        }
        let in_store = |store: &str, url: &str| {
            now.iter().any(|location| location.store.as_deref() == Some(store) && location.url == url)
        };
        for source in &located.copies.with_data {
            let guard = self.guard(*source)?;
            let Some(power) = guard.service().locations() else { continue };
            let store = &guard.backend().name;
            let own = locations.iter().filter(|location| in_store(store, &location.url)).cloned().collect();
            guard.write("arrange_locations", power.arrange(context, &located.native, own)).await?;
        }
        self.owners.forget_twins(id);
        Ok(self.search(context, id).await?.image)
    }

    async fn remove(&self, context: &Context, id: &ImageId, url: &str) -> Result<Image> {
        let (located, now) = self.to_rearrange(context, id).await?;
        let Some(store) = now.iter().find(|location| location.url == url).map(|location| &location.store)
        else {
            return Err(Error::new(ErrorKind::NotFound, "the image has no location of this URL"));
        };
        if now.len() == 1 {
            return Err(Error::forbidden("the last location of an image cannot be removed"));
        }
        let named = |source: &&usize| self.name_of(**source) == store.as_deref();
        let source = located.copies.with_data.iter().find(named).copied();
        let source = source.ok_or_else(|| Error::not_found(id))?;
        let guard = self.guard(source)?;
        if now.iter().filter(|location| location.store == *store).count() > 1 {
            guard.write("remove_location", power(guard)?.remove(context, &located.native, url)).await?;
        } else {
            // With its only location a copy goes.
            access::may_delete(&context.caller, &located.image, Some(MemberStatus::Accepted))?;
            guard.write("delete", guard.service().delete(context, &located.native)).await?;
            self.census.remove(source, &located.native);
            self.owners.leave(&located.native, source);
        }
        self.owners.forget_twins(id);
        Ok(self.search(context, id).await?.image)
    }
}

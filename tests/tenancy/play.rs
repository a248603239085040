//! Plays steps against a front door, and tells of the first answer that the rules do not allow.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::asking::{Answer, Ask};
use crate::deeds::{Deed, Edit, Scope, Step};
use crate::expected::{self, data_of, name_of};
use crate::people::{PEOPLE, Person};
use crate::rules::{self, Image, is_wider, sees};
use crate::world::World;

/// What is wrong with an answer.
pub(crate) type Violation = String;

/// A world, and what must be in it.
pub(crate) struct Play {
    pub(crate) world: World,
    pub(crate) images: BTreeMap<usize, Image>,
    /// The ids of images that are gone.
    pub(crate) gone: BTreeMap<usize, String>,
    /// The stores that say nothing.
    pub(crate) silent: BTreeSet<usize>,
    /// What the last images of pages were, for each who asked: they may go on from there.
    pub(crate) markers: BTreeSet<(Option<&'static str>, bool, String)>,
    phantoms: usize,
    /// How many answers were found as they must be.
    pub(crate) checks: usize,
}

impl Play {
    pub(crate) fn new(world: World, images: BTreeMap<usize, Image>) -> Self {
        Self {
            world,
            images,
            gone: BTreeMap::new(),
            silent: BTreeSet::new(),
            markers: BTreeSet::new(),
            phantoms: 0,
            checks: 0,
        }
    }

    /// Takes a step.
    pub(crate) async fn take(&mut self, step: &Step) -> Result<(), Violation> {
        let person = PEOPLE[step.who];
        match &step.deed {
            Deed::Silence(store) => {
                self.silent.insert(*store);
                self.world.stores[*store].switch.silence(true);
                Ok(())
            }
            Deed::Return => {
                for store in std::mem::take(&mut self.silent) {
                    self.world.stores[store].switch.silence(false);
                }
                Ok(())
            }
            Deed::Create { .. } => self.create(person, step.image, &step.deed).await,
            Deed::List { scope, limit, by_marker, sort } => {
                self.walk(person, scope, *limit, *by_marker, sort).await
            }
            deed if self.is_unclear(step.image, deed) => Ok(()),
            deed => match self.images.get(&step.image).cloned() {
                Some(image) if sees(person, &image) => {
                    self.against_seen(person, step.image, image, deed).await
                }
                _ => self.against_unseen(person, step.image, deed).await,
            },
        }
    }

    /// Whether what should come of a deed cannot be said: one that wants named stores where there are none, or that
    /// would make an outdated copy the image.
    fn is_unclear(&self, number: usize, deed: &Deed) -> bool {
        let drifted = self.images.get(&number).is_some_and(|image| image.drifted);
        match deed {
            Deed::RemoveCopy(_) => self.world.names.is_empty() || drifted,
            Deed::Download { prefer: Some(_), .. } => self.world.names.is_empty(),
            _ => false,
        }
    }

    pub(crate) async fn send(&self, person: Person, ask: &Ask, id: &str) -> Result<Answer, Violation> {
        let answer = ask.send(&self.world.router, person, id).await;
        if answer.status >= 500 && (answer.status != 503 || self.silent.is_empty()) {
            return Err(format!("{}: {}", answer.status, answer.text()));
        }
        let text = answer.all_text();
        for image in self.images.values().filter(|image| !sees(person, image)) {
            if text.contains(&image.name) || (image.id != id && text.contains(&image.id)) {
                return Err(format!("the answer tells of image {}: {text}", image.id));
            }
        }
        Ok(answer)
    }

    async fn create(&mut self, person: Person, number: usize, deed: &Deed) -> Result<(), Violation> {
        let Deed::Create { visibility, owner, hidden, protected, names_id, store } = deed else {
            return Ok(());
        };
        let used = self.images.contains_key(&number) || self.gone.contains_key(&number);
        // Whether a store remembers the ids of deleted images is its own business.
        if self.gone.contains_key(&number) && !self.world.names.is_empty() {
            return Ok(());
        }
        let mut body = json!({
            "name": name_of(number, 0), "disk_format": "raw", "container_format": "bare",
            "os_hidden": hidden, "protected": protected,
        });
        if let Some(visibility) = visibility {
            body["visibility"] = (*visibility).into();
        }
        if let Some(owner) = owner {
            body["owner"] = owner.map_or(Value::Null, Into::into);
        }
        if *names_id || used {
            body["id"] = self.id_of(number).into();
        }
        let mut ask = Ask::new("POST", "/v2/images").json(&body);
        if let Some(name) = self.world.names.get(*store) {
            ask = ask.header("x-image-meta-store", *name);
        }
        let answer = self.send(person, &ask, &self.id_of(number)).await?;
        let strange = owner.is_some_and(|owner| !person.is_admin() && !person.owns(owner));
        let leaf = self.leaf_of(*store);
        let ceiling = self.world.stores[leaf].ceiling;
        let owner = owner.map_or_else(|| person.project, |owner| owner);
        let too_wide = visibility.is_some_and(|visibility| is_wider(visibility, ceiling))
            || (owner.is_none() && is_wider("community", ceiling));
        let mut others = self.world.stores.iter().enumerate().filter(|(store, _)| *store != leaf);
        let untold = (*names_id || used) && !person.is_admin() && others.any(|(_, store)| !store.tells);
        let forbidden = !rules::acts(person)
            || untold
            || strange
            || too_wide
            || (*visibility == Some("public") && !person.is_admin());
        let expected: &[u16] = match (forbidden, used) {
            (true, true) => &[403, 409],
            (true, false) => &[403],
            (false, true) => &[409],
            (false, false) => &[201],
        };
        self.check_status(&answer, expected)?;
        if answer.status != 201 {
            return Ok(());
        }
        let made = answer.json();
        let image = Image {
            id: made["id"].as_str().unwrap_or_default().to_owned(),
            name: name_of(number, 0),
            owner: owner.map(str::to_owned),
            visibility: visibility.unwrap_or(if is_wider("shared", ceiling) { ceiling } else { "shared" }),
            hidden: *hidden,
            protected: *protected,
            status: "queued",
            data: Vec::new(),
            tags: BTreeSet::new(),
            members: BTreeMap::new(),
            stores: vec![leaf],
            drifted: false,
            ceiling,
            above: false,
        };
        self.check_record(&made, &image)?;
        self.images.insert(number, image);
        Ok(())
    }

    /// Where an image goes that is to go to a store of this name.
    fn leaf_of(&self, name: usize) -> usize {
        self.world.stores.iter().position(|store| store.name == name).unwrap_or_default()
    }

    fn id_of(&self, number: usize) -> String {
        let known = self.images.get(&number).map(|image| &image.id).or_else(|| self.gone.get(&number));
        known.cloned().unwrap_or_else(|| format!("00000000-0000-4000-8000-{number:012}"))
    }

    fn check_status(&mut self, answer: &Answer, expected: &[u16]) -> Result<(), Violation> {
        self.checks += 1;
        let excused = answer.status == 503 && !self.silent.is_empty();
        if excused || expected.contains(&answer.status) {
            return Ok(());
        }
        Err(format!("{} where {expected:?} was due: {}", answer.status, answer.text()))
    }

    /// Of an image that is not there, or not for this person, the answer must be the same.
    async fn against_unseen(&mut self, person: Person, number: usize, deed: &Deed) -> Result<(), Violation> {
        let id = self.id_of(number);
        let Some(ask) = self.ask(number, deed) else { return Ok(()) };
        let answer = self.send(person, &ask, &id).await?;
        let remembered = (person.project, person.is_admin(), id.clone());
        if matches!(deed, Deed::ListFrom(_)) && self.markers.contains(&remembered) {
            return self.check_status(&answer, &[200, 400]);
        }
        self.check_status(&answer, &[if matches!(deed, Deed::ListFrom(_)) { 400 } else { 404 }])?;
        self.phantoms += 1;
        let phantom = format!("ffffffff-0000-4000-8000-{:012}", self.phantoms);
        let other = self.send(person, &ask, &phantom).await?;
        if answer.face(&id) == other.face(&phantom) {
            return Ok(());
        }
        Err(format!("{:?} of {id} and {:?} of what is not there", answer.face(&id), other.face(&phantom)))
    }

    async fn against_seen(
        &mut self,
        person: Person,
        number: usize,
        image: Image,
        deed: &Deed,
    ) -> Result<(), Violation> {
        let Some(ask) = self.ask(number, deed) else { return Ok(()) };
        let answer = self.send(person, &ask, &image.id).await?;
        let names: Vec<usize> = self.world.stores.iter().map(|store| store.name).collect();
        let mut due = expected::of_seen(person, &image, deed, &names);
        if due == 204 && self.goes_above_a_ceiling(&image, deed) {
            due = 403;
        }
        let dues = if self.may_miss_members(&image, deed) { vec![due, 404] } else { vec![due] };
        self.check_status(&answer, &dues)?;
        if answer.status == 503 {
            return self.check_excuse(person, &image, deed);
        }
        if answer.status >= 300 || answer.status != due {
            return Ok(());
        }
        match deed {
            Deed::Show => return self.check_record(&answer.json(), &image),
            Deed::Download { range, .. } => return check_data(&answer, &image, *range),
            Deed::ListFrom(scope) => return self.check_page(person, &answer, scope),
            Deed::Members => return self.check_members(person, &answer, &image),
            _ => {}
        }
        let mut image = image;
        image.drifted |=
            image.stores.len() > 1 && image.stores.iter().any(|store| self.silent.contains(store));
        let named: &[usize] = if self.world.names.is_empty() { &[] } else { &names };
        if expected::follow(&mut image, deed, number, named) {
            image.ceiling = self.world.stores[image.stores[0]].ceiling;
            if matches!(deed, Deed::Patch(_)) {
                self.check_record(&answer.json(), &image)?;
            }
            self.images.insert(number, image);
        } else {
            self.gone.insert(number, image.id.clone());
            self.images.remove(&number);
        }
        Ok(())
    }

    /// Whether an upload would take an image to a store that shows nothing so wide.
    fn goes_above_a_ceiling(&self, image: &Image, deed: &Deed) -> bool {
        let Deed::Upload { store: Some(store), .. } = deed else { return false };
        let ceiling = self.world.stores[self.leaf_of(*store)].ceiling;
        let moves = !self.world.names.is_empty() && self.world.stores[image.stores[0]].name != *store;
        let too_wide =
            is_wider(image.visibility, ceiling) || (image.owner.is_none() && is_wider("community", ceiling));
        moves && too_wide
    }

    /// Members are told by the home, which may be silent while a copy of the image is shown.
    fn may_miss_members(&self, image: &Image, deed: &Deed) -> bool {
        let home_is_silent = image.stores.first().is_some_and(|home| self.silent.contains(home));
        home_is_silent && matches!(deed, Deed::ShowMember(_))
    }

    /// What can be read somewhere is read, whoever else is silent.
    fn check_excuse(&self, person: Person, image: &Image, deed: &Deed) -> Result<(), Violation> {
        let home_answers = image.stores.first().is_some_and(|home| !self.silent.contains(home));
        let copy_answers = image.stores.iter().any(|store| !self.silent.contains(store))
            && !image.drifted
            && !expected::hangs_on_home(person, image);
        let reads = matches!(deed, Deed::Show | Deed::Download { .. } | Deed::Patch(Edit::Nothing));
        if reads && (home_answers || copy_answers) {
            return Err("silence, where a store that answers has the image".to_owned());
        }
        Ok(())
    }

    /// The request that does a deed.
    fn ask(&self, number: usize, deed: &Deed) -> Option<Ask> {
        let store = |store: &usize| self.world.names.get(*store).copied();
        Some(match deed {
            Deed::Show => Ask::new("GET", "/v2/images/{id}"),
            Deed::ListFrom(scope) => Ask::new("GET", format!("/v2/images?marker={{id}}{}", params(scope))),
            Deed::Download { range, prefer } => {
                let prefer = prefer.as_ref().and_then(store).map(|name| format!("?prefer={name}"));
                let ask = Ask::new("GET", format!("/v2/images/{{id}}/file{}", prefer.unwrap_or_default()));
                match range {
                    Some((first, more)) => ask.header("range", format!("bytes={first}-{}", first + more)),
                    None => ask,
                }
            }
            Deed::Upload { bytes, store: to } => {
                let ask = Ask::new("PUT", "/v2/images/{id}/file").bytes(data_of(number, *bytes));
                let ask = ask.header("content-type", "application/octet-stream");
                match to.as_ref().and_then(store) {
                    Some(name) => ask.header("x-image-meta-store", name),
                    None => ask,
                }
            }
            Deed::Patch(edit) => {
                let operation = expected::value_of(edit, number)
                    .map(|(key, value)| json!({"op": "replace", "path": format!("/{key}"), "value": value}));
                Ask::new("PATCH", "/v2/images/{id}")
                    .header("content-type", "application/openstack-images-v2.1-json-patch")
                    .json(&Value::from_iter(operation))
            }
            Deed::Delete => Ask::new("DELETE", "/v2/images/{id}"),
            Deed::Deactivate => Ask::new("POST", "/v2/images/{id}/actions/deactivate"),
            Deed::Reactivate => Ask::new("POST", "/v2/images/{id}/actions/reactivate"),
            Deed::Members => Ask::new("GET", "/v2/images/{id}/members"),
            Deed::AddMember(member) => {
                Ask::new("POST", "/v2/images/{id}/members").json(&json!({"member": member}))
            }
            Deed::ShowMember(member) => Ask::new("GET", format!("/v2/images/{{id}}/members/{member}")),
            Deed::Answer(member, said) => {
                Ask::new("PUT", format!("/v2/images/{{id}}/members/{member}")).json(&json!({"status": said}))
            }
            Deed::RemoveMember(member) => Ask::new("DELETE", format!("/v2/images/{{id}}/members/{member}")),
            Deed::AddTag(tag) => Ask::new("PUT", format!("/v2/images/{{id}}/tags/{tag}")),
            Deed::RemoveTag(tag) => Ask::new("DELETE", format!("/v2/images/{{id}}/tags/{tag}")),
            Deed::RemoveCopy(name) => Ask::new("DELETE", format!("/v2/stores/{}/{{id}}", store(name)?)),
            Deed::Create { .. } | Deed::List { .. } | Deed::Silence(_) | Deed::Return => return None,
        })
    }
}

/// The parameters of a list.
pub(crate) fn params(scope: &Scope) -> String {
    let mut params = String::new();
    let mut add = |name: &str, value: &str| params.push_str(&format!("&{name}={value}"));
    if let Some(visibility) = scope.visibility {
        add("visibility", visibility);
    }
    if let Some(status) = scope.member_status {
        add("member_status", status);
    }
    if scope.hidden {
        add("os_hidden", "True");
    }
    if let Some(owner) = scope.owner {
        add("owner", owner);
    }
    if let Some(protected) = scope.protected {
        add("protected", if protected { "true" } else { "false" });
    }
    params
}

fn check_data(answer: &Answer, image: &Image, range: Option<(usize, usize)>) -> Result<(), Violation> {
    let due: &[u8] = match range {
        _ if image.status == "queued" => &[],
        Some((first, more)) => &image.data[first..image.data.len().min(first + more + 1)],
        None => &image.data,
    };
    match &answer.body {
        Some(body) if body == due => Ok(()),
        body => Err(format!("the data is {body:?} and not {due:?}")),
    }
}

//! Whether records, member lists and lists of images are what the rules say: all of it, and no more.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::asking::{Answer, Ask};
use crate::deeds::Scope;
use crate::expected;
use crate::people::Person;
use crate::play::{Play, Violation, params};
use crate::rules::{Image, Listed, knows_member, lists};

/// Most pages of one walk.
const PAGES: usize = 300;

impl Play {
    /// Whether a copy of the image may stand for its home, and may be another in what is of no weight.
    fn is_blurred(&self, image: &Image) -> bool {
        image.drifted || (image.stores.len() > 1 && !self.silent.is_empty())
    }

    /// Checks a record as it is shown to somebody.
    pub(crate) fn check_record(&self, shown: &Value, image: &Image) -> Result<(), Violation> {
        let text = |key: &str| shown[key].as_str().map(str::to_owned);
        let size = (image.status != "queued").then_some(image.data.len() as u64);
        let mut right = text("id").as_deref() == Some(&image.id)
            && text("owner") == image.owner
            && text("visibility").as_deref() == Some(image.visibility)
            && shown["os_hidden"] == image.hidden
            && text("status").as_deref() == Some(image.status)
            && shown["size"].as_u64() == size;
        if !self.is_blurred(image) {
            let tags: Vec<&str> = image.tags.iter().map(String::as_str).collect();
            right &= text("name").as_deref() == Some(&image.name)
                && shown["protected"] == image.protected
                && shown["tags"] == serde_json::json!(tags);
        }
        if !self.world.names.is_empty() && image.status != "queued" {
            let told: BTreeSet<String> =
                text("stores").unwrap_or_default().split(',').map(str::to_owned).collect();
            let due: BTreeSet<String> = image.stores.iter().map(|store| self.name_of(*store)).collect();
            // Members are of the home's image alone, so a member may see no more of the copies than that; and a copy
            // may not have taken what granted more.
            let for_a_member = image.visibility == "shared"
                && !image.members.is_empty()
                && image.stores.first().is_some_and(|home| told.contains(&self.name_of(*home)));
            let not_all_are_told = !self.silent.is_empty() || for_a_member || image.drifted;
            right &= told.is_subset(&due) && (told == due || not_all_are_told);
        }
        if right { Ok(()) } else { Err(format!("{shown} is not {image:?}")) }
    }

    fn name_of(&self, store: usize) -> String {
        self.world.names[self.world.stores[store].name].to_owned()
    }

    /// Checks who is told to be a member.
    pub(crate) fn check_members(
        &self,
        person: Person,
        answer: &Answer,
        image: &Image,
    ) -> Result<(), Violation> {
        let answer = answer.json();
        let told: BTreeSet<(String, String)> = answer["members"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|member| (member["member_id"].to_string(), member["status"].to_string()))
            .collect();
        let known = image.members.iter().filter(|(member, _)| knows_member(person, image, member));
        let due: BTreeSet<(String, String)> =
            known.map(|(member, said)| (format!("\"{member}\""), format!("\"{said}\""))).collect();
        let home_is_silent = image.stores.first().is_some_and(|home| self.silent.contains(home));
        if told == due || (home_is_silent && told.is_subset(&due)) {
            return Ok(());
        }
        Err(format!("the members {told:?} are not {due:?}"))
    }

    /// Checks a page of a list: it holds nothing that it must not.
    pub(crate) fn check_page(
        &mut self,
        person: Person,
        answer: &Answer,
        scope: &Scope,
    ) -> Result<(), Violation> {
        let json = answer.json();
        let Some(shown) = json["images"].as_array() else { return Err(format!("no list: {json}")) };
        for record in shown {
            let id = record["id"].as_str().unwrap_or_default();
            let Some(image) = self.images.values().find(|image| image.id == id) else {
                return Err(format!("{id} is listed and is not there"));
            };
            // Members are of the home's image alone. While that is silent, a copy that may be seen without being a member
            // is listed by its own right, whatever a member has said.
            let home_is_silent = image.stores.first().is_some_and(|home| self.silent.contains(home));
            let without_members = Image { members: BTreeMap::new(), ..image.clone() };
            let by_its_own_right = home_is_silent && lists(person, &without_members, scope) != Listed::No;
            if lists(person, image, scope) == Listed::No && !by_its_own_right {
                return Err(format!("{image:?} is listed"));
            }
            self.check_record(record, image)?;
        }
        if let Some(last) = shown.last().and_then(|last| last["id"].as_str()) {
            self.markers.insert((person.project, person.is_admin(), last.to_owned()));
        }
        Ok(())
    }

    /// Reads a list to its end: each image that it must show is in it, and once.
    pub(crate) async fn walk(
        &mut self,
        person: Person,
        scope: &Scope,
        limit: usize,
        by_marker: bool,
        sort: &str,
    ) -> Result<(), Violation> {
        let sort = if sort.is_empty() { String::new() } else { format!("&sort={sort}") };
        let first = format!("/v2/images?limit={limit}{sort}{}", params(scope));
        let mut path = first.clone();
        let mut met = BTreeSet::new();
        for _ in 0..PAGES {
            let answer = self.send(person, &Ask::new("GET", path), "").await?;
            if answer.status == 503 && !self.silent.is_empty() {
                return Ok(());
            }
            if answer.status != 200 {
                return Err(format!("a list is {}: {}", answer.status, answer.text()));
            }
            self.check_page(person, &answer, scope)?;
            let json = answer.json();
            let page = json["images"].as_array().cloned().unwrap_or_default();
            for record in &page {
                if !met.insert(record["id"].as_str().unwrap_or_default().to_owned()) {
                    return Err(format!("{} is listed twice", record["id"]));
                }
            }
            let next = match (page.last(), json["next"].as_str()) {
                (Some(last), _) if by_marker => {
                    Some(format!("{first}&marker={}", last["id"].as_str().unwrap_or_default()))
                }
                (_, next) => next.map(str::to_owned),
            };
            match next {
                Some(next) => path = next,
                None => return self.check_whole(person, scope, &met),
            }
        }
        Err("the walk does not end".to_owned())
    }

    fn check_whole(
        &mut self,
        person: Person,
        scope: &Scope,
        met: &BTreeSet<String>,
    ) -> Result<(), Violation> {
        self.checks += 1;
        for image in self.images.values() {
            let is_due = lists(person, image, scope) == Listed::Yes && self.is_told(person, image);
            if is_due && !met.contains(&image.id) {
                return Err(format!("{image:?} is not listed to {person:?} in {scope:?}"));
            }
        }
        Ok(())
    }

    /// Whether a store answers that shows the image to the person as it is.
    fn is_told(&self, person: Person, image: &Image) -> bool {
        let home_answers = image.stores.first().is_some_and(|home| !self.silent.contains(home));
        let copy_answers = image.stores.iter().any(|store| !self.silent.contains(store));
        home_answers || (copy_answers && !image.drifted && !expected::hangs_on_home(person, image))
    }
}

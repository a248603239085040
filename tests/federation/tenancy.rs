//! A backend behind a ceiling and other names is a backend like any other, and gives nothing away.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use image_service::conformance::{Callers, Fixture};
use image_service::{
    ByteRange, Caller, Context, Direction, ErrorKind, Field, Filter, Image, ImageChange, ImageId,
    ImageService, MemberScope, MemberStatus, NewImage, Query, Result, Scope, Sort, SortKey, Status, Upload,
    Visibility, VisibilityScope,
};
use portico::tenancy::{Others, Rules, Tenancy};

use crate::bent::{Bend, bent};
use crate::made_of::{federation, memory};
use Visibility::{Community, Private, Public, Shared};

fn rules(ceiling: Visibility, projects: &[(&str, &str)], others: Others) -> Rules {
    let projects = projects.iter().map(|(here, there)| ((*here).to_owned(), (*there).to_owned()));
    Rules { ceiling, projects: projects.collect(), others }
}

fn around(inner: Arc<dyn ImageService>, rules: Rules) -> Arc<dyn ImageService> {
    Arc::new(Tenancy::around(inner, "paris", rules).unwrap())
}

/// Two projects are called as each other, one otherwise, and one as here.
fn crossed() -> Rules {
    let projects = [
        ("project-of-owner", "project-of-other"),
        ("project-of-other", "project-of-owner"),
        ("project-of-third", "paris:third"),
    ];
    rules(Public, &projects, Others::Same)
}

fn apart() -> Rules {
    let projects = [
        ("project-of-owner", "1"),
        ("project-of-other", "2"),
        ("project-of-third", "project-of-owner"),
        ("project-of-admin", "4"),
        ("project-of-member", "5"),
    ];
    rules(Public, &projects, Others::Apart)
}

async fn as_it_is() -> Fixture {
    Fixture::new(around(memory().await, Rules::default()))
}

async fn by_other_names() -> Fixture {
    let admin = Caller { project: Some("project-of-admin".into()), ..Caller::administrator() };
    let callers = Callers { admin, ..Callers::default() };
    Fixture::new(around(memory().await, crossed())).with_callers(callers)
}

async fn without_detail_by_other_names() -> Fixture {
    let inner = bent(memory().await, Bend::IndexOnly);
    Fixture::new(federation(vec![("paris", around(inner, crossed())), ("b", memory().await)]))
}

async fn of_short_pages_by_other_names() -> Fixture {
    let inner = bent(memory().await, Bend::RaggedPages(3));
    Fixture::new(federation(vec![("a", memory().await), ("paris", around(inner, crossed()))]))
}

mod identity {
    use super::as_it_is;
    image_service::conformance!(as_it_is);
}
mod renamed {
    use super::by_other_names;
    image_service::conformance!(by_other_names);
}
mod in_a_federation_without_detail {
    use super::without_detail_by_other_names;
    image_service::conformance!(without_detail_by_other_names);
}
mod in_a_federation_of_short_pages {
    use super::of_short_pages_by_other_names;
    image_service::conformance!(of_short_pages_by_other_names);
}

fn of(project: &str) -> Context {
    Context::new(Caller::member_of(project), "req-test")
}

fn root() -> Context {
    let caller = Caller { project: Some("admins".into()), ..Caller::administrator() };
    Context::new(caller, "req-test")
}

/// Puts an image with data into the store itself.
async fn put(store: &Arc<dyn ImageService>, visibility: Visibility, owner: Option<&str>) -> ImageId {
    let new = NewImage {
        name: Some(format!("{visibility} of {owner:?}")),
        visibility: Some(visibility),
        owner: Some(owner.map(str::to_owned)),
        disk_format: Some("raw".into()),
        container_format: Some("bare".into()),
        ..NewImage::default()
    };
    let admin = Context::new(Caller::administrator(), "req-test");
    store.create(&admin, new, Some(Upload::from_bytes("data"))).await.unwrap().id
}

async fn walk(service: &dyn ImageService, context: &Context, query: &Query) -> Vec<Image> {
    let mut query = query.clone();
    let mut walked: Vec<Image> = Vec::new();
    for _ in 0..10_000 {
        let page = service.detail(context, &query).await.unwrap();
        let names = service.index(context, &query).await.unwrap();
        // A page may be shorter than another, and has the same images as far as it goes.
        assert_eq!(names.items.is_empty(), page.items.is_empty());
        assert!(names.items.iter().zip(&page.items).all(|(name, image)| name.id == image.id));
        assert!(query.limit.is_none_or(|limit| page.items.len() <= limit.get()), "a page over its limit");
        assert!(!(page.more && page.items.is_empty()), "an empty page that promises more");
        walked.extend(page.items);
        if !page.more {
            return walked;
        }
        query.position = walked.last().map(|last| query.sort.position_of(last));
        query.resume = page.resume;
    }
    panic!("the walk does not end");
}

fn kind<T>(answer: Result<T>) -> ErrorKind {
    answer.map(drop).unwrap_err().kind()
}

const OWNERS: [Option<&str>; 4] = [Some("a"), Some("b"), Some("admins"), None];

/// Every list of every caller under every ceiling, in pages of any size, against what the rules say of each image.
#[tokio::test]
async fn lists_below_a_ceiling_hold_just_what_it_leaves() {
    let inner = memory().await;
    let mut images: Vec<Image> = Vec::new();
    for _ in 0..3 {
        for owner in OWNERS {
            for visibility in Visibility::ALL.iter().copied() {
                let id = put(&inner, visibility, owner).await;
                let admin = Context::new(Caller::administrator(), "req-test");
                if visibility == Shared && owner == Some("a") {
                    inner.sharing().unwrap().add_member(&admin, &id, "b").await.unwrap();
                    let said = MemberStatus::Accepted;
                    inner.sharing().unwrap().set_member_status(&admin, &id, "b", said).await.unwrap();
                }
                images.push(inner.show(&admin, &id).await.unwrap());
            }
        }
    }
    let scopes = [VisibilityScope::Usual, VisibilityScope::All];
    let scopes = scopes.into_iter().chain(Visibility::ALL.iter().copied().map(VisibilityScope::Only));
    let scopes: Vec<VisibilityScope> = scopes.collect();
    for ceiling in Visibility::ALL.iter().copied() {
        for shape in [None, Some(Bend::RaggedPages(3)), Some(Bend::IndexOnly)] {
            let inner = shape.map_or_else(|| inner.clone(), |shape| bent(inner.clone(), shape));
            let by_id = !inner.capabilities().sort_keys.contains(&SortKey::Name);
            let capped = around(inner, rules(ceiling, &[], Others::Same));
            for context in [of("a"), of("b"), of("c"), root()] {
                for visibility in &scopes {
                    let filters = [None, Some(Filter::text(Field::Owner, "a"))];
                    let words = ["public", "shared"].map(str::to_owned).to_vec();
                    let by_visibility = Filter::Text { field: Field::Visibility, any_of: words };
                    for filter in filters.into_iter().chain([Some(by_visibility)]) {
                        if filter.is_some() && by_id {
                            continue;
                        }
                        let key = if by_id { SortKey::Id } else { SortKey::Name };
                        let sort = Sort::by([(key, Direction::Asc)]);
                        let scope = Scope { visibility: *visibility, member_status: MemberScope::Accepted };
                        let query = Query {
                            filters: filter.clone().into_iter().collect(),
                            scope,
                            sort: sort.clone(),
                            ..Query::default()
                        };
                        let caller = &context.caller;
                        let mut expected: Vec<Image> = images
                            .iter()
                            .filter(|image| sees(caller, image, ceiling))
                            .map(|image| Image {
                                visibility: image.visibility.max(ceiling),
                                ..(*image).clone()
                            })
                            .filter(|image| is_listed(caller, image, *visibility))
                            .filter(|image| filter.as_ref().is_none_or(|filter| filter.matches(image)))
                            .collect();
                        expected.sort_by(|a, b| sort.compare(a, b));
                        for limit in [None, Some(1), Some(2), Some(5), Some(50)] {
                            let limit = limit.and_then(NonZeroUsize::new);
                            let query = Query { limit, ..query.clone() };
                            let walked = walk(capped.as_ref(), &context, &query).await;
                            assert_eq!(walked, expected, "{query:?} of {caller:?} below {ceiling}");
                        }
                    }
                }
                for image in &images {
                    let shown = capped.show(&context, &image.id).await;
                    let download = capped.get(&context, &image.id, None).await;
                    if sees(&context.caller, image, ceiling) {
                        assert_eq!(shown.unwrap().visibility, image.visibility.max(ceiling));
                        assert_eq!(download.unwrap().image.visibility, image.visibility.max(ceiling));
                    } else {
                        assert_eq!((kind(shown), kind(download)), (ErrorKind::NotFound, ErrorKind::NotFound));
                    }
                }
            }
        }
    }
}

/// The rules once more, in the plainest words.
fn sees(caller: &Caller, image: &Image, ceiling: Visibility) -> bool {
    let own = image.owner.is_some() && image.owner == caller.project;
    let open = image.owner.is_none() || image.visibility <= Community;
    let member = image.visibility == Shared
        && image.owner.as_deref() == Some("a")
        && caller.project.as_deref() == Some("b");
    caller.is_admin() || own || (open && ceiling <= Community) || (member && ceiling <= Shared)
}

fn is_listed(caller: &Caller, image: &Image, scope: VisibilityScope) -> bool {
    let own = image.owner.is_some() && image.owner == caller.project;
    match scope {
        VisibilityScope::All => true,
        VisibilityScope::Usual => own || image.visibility != Community,
        VisibilityScope::Only(visibility) => image.visibility == visibility,
    }
}

#[tokio::test]
async fn what_the_ceiling_hides_is_missing_in_every_verb_and_stays() {
    for ceiling in [Shared, Private] {
        let inner = memory().await;
        let capped = around(inner.clone(), rules(ceiling, &[], Others::Same));
        let other = of("b");
        for (visibility, owner) in [(Public, Some("a")), (Community, Some("a")), (Private, None)] {
            let id = put(&inner, visibility, owner).await;
            let deactivate = ImageChange { status: Some(Status::Deactivated), ..ImageChange::default() };
            inner.update(&root(), &id, deactivate, None).await.unwrap();
            let before = inner.show(&root(), &id).await.unwrap();
            let range = Some(ByteRange::From(100));
            let sharing = capped.sharing().unwrap();
            let rename = ImageChange { name: Some(None), ..ImageChange::default() };
            let widen = ImageChange { visibility: Some(Public), ..ImageChange::default() };
            let kinds = [
                kind(capped.show(&other, &id).await),
                kind(capped.get(&other, &id, None).await),
                kind(capped.get(&other, &id, range).await),
                kind(capped.update(&other, &id, rename, None).await),
                kind(capped.update(&other, &id, widen, None).await),
                kind(capped.update(&other, &id, ImageChange::default(), None).await),
                kind(capped.delete(&other, &id).await),
                kind(sharing.members(&other, &id).await),
                kind(sharing.member(&other, &id, "b").await),
                kind(sharing.add_member(&other, &id, "b").await),
                kind(sharing.set_member_status(&other, &id, "b", MemberStatus::Accepted).await),
                kind(sharing.remove_member(&other, &id, "b").await),
            ];
            assert_eq!(kinds, [ErrorKind::NotFound; 12], "{visibility} of {owner:?} below {ceiling}");
            let absent = ImageId::random();
            let (hidden, missing) = (
                capped.show(&other, &id).await.unwrap_err(),
                capped.show(&other, &absent).await.unwrap_err(),
            );
            assert_eq!(
                hidden.message().replace(id.as_str(), ""),
                missing.message().replace(absent.as_str(), "")
            );
            assert_eq!(inner.show(&root(), &id).await.unwrap(), before);
        }
    }
}

#[tokio::test]
async fn a_member_below_a_private_ceiling_sees_nothing_and_answers_nothing() {
    let inner = memory().await;
    let id = put(&inner, Shared, Some("a")).await;
    inner.sharing().unwrap().add_member(&of("a"), &id, "b").await.unwrap();
    let capped = around(inner.clone(), rules(Private, &[], Others::Same));
    let sharing = capped.sharing().unwrap();
    assert_eq!(kind(capped.show(&of("b"), &id).await), ErrorKind::NotFound);
    let answer = sharing.set_member_status(&of("b"), &id, "b", MemberStatus::Accepted).await;
    assert_eq!(kind(answer), ErrorKind::NotFound);
    let member = inner.sharing().unwrap().member(&of("b"), &id, "b").await.unwrap();
    assert_eq!(member.status, MemberStatus::Pending);
    assert_eq!(kind(sharing.members(&of("a"), &id).await), ErrorKind::Forbidden);
    assert_eq!(kind(sharing.add_member(&of("a"), &id, "c").await), ErrorKind::Forbidden);
}

#[tokio::test]
async fn what_is_wider_than_its_ceiling_has_no_members_until_it_is_shared_in_its_store() {
    let inner = memory().await;
    let id = put(&inner, Public, Some("a")).await;
    let capped = around(inner.clone(), rules(Shared, &[], Others::Same));
    let sharing = capped.sharing().unwrap();
    assert_eq!(capped.show(&of("a"), &id).await.unwrap().visibility, Shared);
    assert_eq!(sharing.members(&of("a"), &id).await.unwrap(), []);
    assert_eq!(kind(sharing.add_member(&of("a"), &id, "b").await), ErrorKind::Forbidden);
    assert_eq!(kind(sharing.member(&of("a"), &id, "b").await), ErrorKind::NotFound);
    assert_eq!(kind(sharing.remove_member(&of("a"), &id, "b").await), ErrorKind::NotFound);
    let answer = sharing.set_member_status(&of("a"), &id, "a", MemberStatus::Accepted).await;
    assert_eq!(kind(answer), ErrorKind::Forbidden);
    let share = ImageChange { visibility: Some(Shared), ..ImageChange::default() };
    capped.update(&of("a"), &id, share, None).await.unwrap();
    assert_eq!(inner.show(&of("a"), &id).await.unwrap().visibility, Shared);
    sharing.add_member(&of("a"), &id, "b").await.unwrap();
    capped.show(&of("b"), &id).await.unwrap();
}

#[tokio::test]
async fn nothing_is_made_or_becomes_wider_than_the_ceiling_which_is_named() {
    let inner = memory().await;
    for ceiling in Visibility::ALL.iter().copied() {
        let capped = around(inner.clone(), rules(ceiling, &[], Others::Same));
        for visibility in Visibility::ALL.iter().copied() {
            let new = NewImage { visibility: Some(visibility), ..NewImage::default() };
            let made = capped.create(&of("a"), new, None).await;
            let id = put(&inner, Private, Some("a")).await;
            let change = ImageChange { visibility: Some(visibility), ..ImageChange::default() };
            let changed = capped.update(&of("a"), &id, change, None).await;
            for answer in [made, changed] {
                if visibility >= ceiling {
                    assert_eq!(answer.unwrap().visibility, visibility);
                } else {
                    let error = answer.unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Forbidden);
                    assert!(error.message().contains(&format!("wider than {ceiling}")), "{error}");
                }
            }
        }
        let silent = capped.create(&of("a"), NewImage::default(), None).await.unwrap();
        assert_eq!(silent.visibility, Shared.max(ceiling));
        assert_eq!(inner.show(&root(), &silent.id).await.unwrap().visibility, silent.visibility);
        let nobodys = NewImage { owner: Some(None), ..NewImage::default() };
        let made = capped.create(&root(), nobodys, None).await;
        let disown = ImageChange { owner: Some(None), ..ImageChange::default() };
        let disowned = capped.update(&root(), &silent.id, disown, None).await;
        let nobody = Context::new(Caller { project: None, ..Caller::member_of("a") }, "req-test");
        let made_by_nobody = capped.create(&nobody, NewImage::default(), None).await;
        for answer in [made, disowned, made_by_nobody] {
            assert_eq!(
                answer.err().map(|error| error.kind()),
                (ceiling >= Shared).then_some(ErrorKind::Forbidden)
            );
        }
    }
}

#[tokio::test]
async fn owners_members_and_filters_are_by_the_names_of_here() {
    let inner = memory().await;
    let named = around(inner.clone(), rules(Public, &[("a", "b"), ("b", "c")], Others::Same));
    let made = named.create(&of("a"), NewImage::default(), None).await.unwrap();
    assert_eq!(made.owner.as_deref(), Some("a"));
    assert_eq!(inner.show(&root(), &made.id).await.unwrap().owner.as_deref(), Some("b"));
    let sharing = named.sharing().unwrap();
    let added = sharing.add_member(&of("a"), &made.id, "b").await.unwrap();
    assert_eq!(added.member_id, "b");
    named.show(&of("b"), &made.id).await.unwrap();
    let behind = inner.sharing().unwrap().members(&root(), &made.id).await.unwrap();
    assert_eq!(behind.iter().map(|member| member.member_id.as_str()).collect::<Vec<_>>(), ["c"]);
    let again = sharing.add_member(&of("a"), &made.id, "b").await.unwrap_err();
    assert_eq!((again.kind(), again.message().contains("project b is")), (ErrorKind::AlreadyExists, true));
    let missing = sharing.member(&of("a"), &made.id, "d").await.unwrap_err();
    assert!(missing.message().contains("project d is not a member"), "{missing}");
    sharing.add_member(&of("a"), &made.id, "paris:a").await.unwrap();
    let members = sharing.members(&of("a"), &made.id).await.unwrap();
    assert_eq!(members.iter().map(|member| member.member_id.as_str()).collect::<Vec<_>>(), ["b", "paris:a"]);

    let foreign = put(&inner, Public, Some("a")).await;
    assert_eq!(named.show(&of("d"), &foreign).await.unwrap().owner.as_deref(), Some("paris:a"));
    let by_owner =
        |owner: &str| Query { filters: vec![Filter::text(Field::Owner, owner)], ..Query::default() };
    let mut found: BTreeMap<&str, BTreeSet<ImageId>> = BTreeMap::new();
    for owner in ["a", "b", "c", "paris:a", "paris:b"] {
        let images = walk(named.as_ref(), &root(), &by_owner(owner)).await;
        found.insert(owner, images.into_iter().map(|image| image.id).collect());
    }
    let expected = BTreeMap::from([
        ("a", BTreeSet::from([made.id.clone()])),
        ("b", BTreeSet::new()),
        ("c", BTreeSet::new()),
        ("paris:a", BTreeSet::from([foreign.clone()])),
        ("paris:b", BTreeSet::new()),
    ]);
    assert_eq!(found, expected);
    let give = ImageChange { owner: Some(Some("b".into())), ..ImageChange::default() };
    assert_eq!(named.update(&root(), &made.id, give, None).await.unwrap().owner.as_deref(), Some("b"));
    assert_eq!(inner.show(&root(), &made.id).await.unwrap().owner.as_deref(), Some("c"));
}

/// Project `c` of here is not the store's `c`, which is our `b`; and the store's `a` is nobody of ours.
#[tokio::test]
async fn nobody_is_taken_for_another_project_of_the_same_name() {
    let inner = memory().await;
    let theirs = put(&inner, Private, Some("c")).await;
    let foreign = put(&inner, Private, Some("a")).await;
    let public = put(&inner, Public, Some("c")).await;
    let named = around(inner.clone(), rules(Public, &[("a", "b"), ("b", "c")], Others::Same));
    for caller in ["c", "paris:a", "paris:c"] {
        for id in [&theirs, &foreign] {
            assert_eq!(kind(named.show(&of(caller), id).await), ErrorKind::NotFound, "{caller}");
        }
        named.show(&of(caller), &public).await.unwrap();
        let made = named.create(&of(caller), NewImage::default(), None).await.unwrap_err();
        assert_eq!(made.kind(), ErrorKind::Forbidden);
        assert!(made.message().contains(caller), "{made}");
        assert_eq!(kind(named.delete(&of(caller), &public).await), ErrorKind::Forbidden);
    }
    named.show(&of("b"), &theirs).await.unwrap();
    assert_eq!(kind(named.show(&of("a"), &foreign).await), ErrorKind::NotFound);
}

#[tokio::test]
async fn apart_a_project_that_is_not_named_is_nobody() {
    let inner = memory().await;
    let theirs = put(&inner, Private, Some("x")).await;
    let named = around(inner.clone(), apart());
    assert_eq!(kind(named.show(&of("x"), &theirs).await), ErrorKind::NotFound);
    assert_eq!(named.show(&root(), &theirs).await.unwrap().owner.as_deref(), Some("paris:x"));
    let sharing = named.sharing().unwrap();
    let made = named.create(&of("project-of-owner"), NewImage::default(), None).await.unwrap();
    let owner = of("project-of-owner");
    assert_eq!(kind(sharing.add_member(&owner, &made.id, "x").await), ErrorKind::Forbidden);
    sharing.add_member(&owner, &made.id, "paris:x").await.unwrap();
    assert_eq!(kind(sharing.member(&owner, &made.id, "x").await), ErrorKind::NotFound);
    assert_eq!(kind(sharing.remove_member(&owner, &made.id, "x").await), ErrorKind::NotFound);
    // An administrator's own project is as unknown as any other, and what it makes must not be everybody's.
    assert_eq!(kind(named.create(&root(), NewImage::default(), None).await), ErrorKind::Forbidden);
}

#[tokio::test]
async fn two_projects_by_one_name_are_no_rules() {
    let twice = rules(Public, &[("a", "x"), ("b", "x")], Others::Same);
    let error = Tenancy::around(memory().await, "paris", twice).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("'x'"), "{error}");
}

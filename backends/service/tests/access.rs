//! The rules of tenancy, over every combination that there is.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use image_service::access::{hangs_on_membership, is_listed, may_change, may_delete, may_read_data, may_see};
use image_service::{
    Caller, ErrorKind, Image, MemberScope, MemberStatus, NewImage, Result, Scope, Status, Timestamp,
    Visibility, VisibilityScope,
};

/// One situation: who asks for what, and what its project has said to it.
type Case = (Caller, Image, Option<MemberStatus>);

fn cases() -> Vec<Case> {
    let nobody = Caller::default();
    let admin_of = |project| Caller { project: Some(project), ..Caller::administrator() };
    let callers = [
        nobody,
        Caller::member_of("a"),
        Caller::member_of("b"),
        Caller::administrator(),
        admin_of("a".into()),
    ];
    let mut cases = Vec::new();
    for caller in callers {
        for owner in [None, Some("a")] {
            for visibility in Visibility::ALL.iter().copied() {
                for status in [Status::Queued, Status::Active, Status::Deactivated] {
                    for protected in [false, true] {
                        let answers = MemberStatus::ALL.iter().copied().map(Some).chain([None]);
                        cases.extend(answers.map(|answer| {
                            let new = NewImage {
                                owner: Some(owner.map(str::to_owned)),
                                visibility: Some(visibility),
                                protected,
                                ..NewImage::default()
                            };
                            let image = new.into_image(&Caller::administrator(), Timestamp::now()).unwrap();
                            (caller.clone(), Image { status, ..image }, answer)
                        }));
                    }
                }
            }
        }
    }
    cases
}

fn scopes() -> Vec<Scope> {
    let only = Visibility::ALL.iter().copied().map(VisibilityScope::Only);
    let visibilities = only.chain([VisibilityScope::Usual, VisibilityScope::All]);
    let scope =
        |visibility| MemberScope::ALL.iter().map(move |status| Scope { visibility, member_status: *status });
    visibilities.flat_map(scope).collect()
}

fn kind(answer: Result<()>) -> Option<ErrorKind> {
    answer.err().map(|error| error.kind())
}

#[test]
fn what_is_listed_may_be_seen() {
    for (caller, image, answer) in cases() {
        for scope in scopes() {
            let listed = is_listed(&caller, &image, answer, scope);
            assert!(!listed || may_see(&caller, &image, answer), "{caller:?} {image:?} {answer:?} {scope:?}");
        }
    }
}

#[test]
fn what_may_be_seen_is_in_some_list() {
    let all = Scope { visibility: VisibilityScope::All, member_status: MemberScope::All };
    for (caller, image, answer) in cases() {
        assert_eq!(is_listed(&caller, &image, answer, all), may_see(&caller, &image, answer));
    }
}

#[test]
fn what_may_not_be_seen_is_not_found_whatever_is_asked() {
    for (caller, image, answer) in cases() {
        let seen = may_see(&caller, &image, answer);
        for verdict in [
            may_change(&caller, &image, answer),
            may_delete(&caller, &image, answer),
            may_read_data(&caller, &image, answer),
        ] {
            assert_eq!(kind(verdict) == Some(ErrorKind::NotFound), !seen, "{caller:?} {image:?} {answer:?}");
        }
    }
}

#[test]
fn only_owners_and_administrators_change_and_nobody_deletes_what_is_protected() {
    for (caller, image, answer) in cases() {
        let own = image.owner.is_some() && image.owner == caller.project;
        let may = may_change(&caller, &image, answer).is_ok();
        assert_eq!(may, own || caller.is_admin(), "{caller:?} {image:?}");
        assert_eq!(may_delete(&caller, &image, answer).is_ok(), may && !image.protected);
    }
}

#[test]
fn data_of_a_deactivated_image_is_for_administrators() {
    for (caller, image, answer) in cases() {
        let off = image.status == Status::Deactivated && !caller.is_admin();
        let may = may_read_data(&caller, &image, answer).is_ok();
        assert_eq!(may, may_see(&caller, &image, answer) && !off);
    }
}

#[test]
fn an_answer_matters_only_where_it_is_said_to() {
    let accepted = Some(MemberStatus::Accepted);
    for (caller, image, answer) in cases().into_iter().filter(|(caller, ..)| caller.project.is_some()) {
        if !hangs_on_membership(&caller, &image) {
            assert_eq!(may_see(&caller, &image, answer), may_see(&caller, &image, accepted));
            for scope in scopes() {
                let listed = is_listed(&caller, &image, answer, scope);
                assert_eq!(listed, is_listed(&caller, &image, accepted, scope), "{caller:?} {image:?}");
            }
        }
    }
}

#[test]
fn a_caller_without_a_project_sees_what_is_for_all() {
    for (caller, image, _) in cases().into_iter().filter(|(caller, ..)| caller.project.is_none()) {
        let open = matches!(image.visibility, Visibility::Public | Visibility::Community);
        let expected = open || image.owner.is_none() || caller.is_admin();
        assert_eq!(may_see(&caller, &image, None), expected, "{caller:?} {image:?}");
    }
}

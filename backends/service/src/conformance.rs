//! One case for each promise of the contract, to be run on any service.
//!
//! A crate with a service calls [`conformance!`](crate::conformance!) in its tests, with a function that makes a
//! [`Fixture`], and gets one named test for each case, on a fixture of its own:
//!
//! ```ignore
//! async fn memory() -> Fixture {
//!     Fixture::new(Arc::new(Memory::new("memory", Options::default())))
//! }
//! image_service::conformance!(memory);
//! ```
//!
//! Everything a case makes carries a tag of its own, and lists are asked for that tag, so a service need not be
//! empty. Time stands in whole seconds, so no case relies on two images differing in it. A power that a service
//! lacks is no reason to skip: the case then checks that the service says so.
//!
//! # What Nova's services did in 2011, and where it is checked
//!
//! The behaviours of `BaseImageService` and of the services below it, as the tests and the code of that time
//! had them.
//!
//! | row | behaviour | here |
//! |---|---|---|
//! | B1 | `index` gives id and name | the type [`Summary`](crate::Summary), [`list`] |
//! | B2, B3 | `detail` gives the base attributes, with proper types | the type [`Image`](crate::Image) |
//! | B4 | `index` and `detail` give the same images | [`list`] |
//! | B5 | any unknown id is `NotFound` | [`show`] |
//! | B6 | `show_by_name` | a filter, see [`filters`]: names are not unique |
//! | B7, B8, B9 | ids given and made; a taken one is refused | [`create`] |
//! | B10, B11 | changes are shown | [`update`] |
//! | B12 | what is deleted is gone | [`delete`] |
//! | B13 | `delete_all` | left out: it was a tool of tests, and no verb of the contract |
//! | B14, B34 | what is no attribute is a property, kept as it came | [`create`] |
//! | B15, B16, B19 | private images are not there for others; administrators see all | [`tenancy`] |
//! | B17 | the properties `project_id` and `user_id` decide | left out: there is a real owner now |
//! | B18, B40 | a remote service's word on credentials is taken | left out: a matter of remote services |
//! | B20, B41 | no write to what is not visible, or not one's own | [`tenancy`] |
//! | B21, B22, B23 | forms of times | the type [`Timestamp`](crate::Timestamp) and its tests |
//! | B24, B25, B26, B27, B28 | pages by marker and limit | [`paging`] |
//! | B29 | an unknown marker is `Invalid` | a position needs no living image; one of another sort, in [`paging`] |
//! | B30 | a page that cannot be gone on from | the type [`Page`](crate::Page): a position can always be taken |
//! | B31, B32 | which parameters go over the wire | left out: a matter of remote services |
//! | B33 | structured properties | left out: a property is text, and dialects may put structure into it |
//! | B35 | a name alone is enough to make an image | [`create`] |
//! | B36, B37 | `get` gives the image and exactly its bytes | [`data`] |
//! | B38, B39 | retries | left out: a matter of remote services |
//! | B42 | stray directories are passed over | left out: a matter of the store on disk |
//! | B43 | data makes an image active | [`create`] |
//! | B44, B45, B46 | bundles in S3 | left out: no service here takes bundles |
//! | B47 | `detail` by `index` and `show` where there is none | [`list`] |

#![allow(clippy::unwrap_used, reason = "a case fails by panicking")]

mod feed;
mod fixture;
mod make;
mod walk;

pub mod cancellation;
pub mod create;
pub mod data;
pub mod delete;
pub mod filters;
pub mod list;
pub mod locations;
pub mod paging;
pub mod sharing;
pub mod show;
pub mod stores;
pub mod tenancy;
pub mod update;
pub mod upload;

pub use fixture::{Callers, Fixture};

/// Writes one test for each case of the suite, on fixtures made by an `async fn() -> Fixture` in scope.
///
/// The tests are in one module for each group of cases. Attributes in front of the function's name are put on each:
/// `conformance!(#[ignore = "needs a server"] fixture)`. The crate needs `tokio` with `macros`, `rt` and `time`.
#[macro_export]
macro_rules! conformance {
    ($(#[$attribute:meta])* $fixture:ident) => {
        $crate::conformance!(@groups [$(#[$attribute])*] $fixture,
            cancellation: [
                a_read_that_is_dropped_changes_nothing,
                a_create_that_is_dropped_makes_the_whole_image_or_none,
                a_create_that_is_dropped_midway_leaves_no_half_image,
                a_change_that_is_dropped_is_made_wholly_or_not_at_all,
                a_delete_that_is_dropped_is_done_wholly_or_not_at_all,
            ],
            create: [
                an_image_without_data_is_queued_and_has_the_defaults,
                a_name_is_enough,
                every_attribute_is_kept_as_it_came,
                properties_are_kept_as_they_came,
                a_property_never_takes_the_place_of_an_attribute,
                an_image_gets_an_id_of_its_own,
                a_given_id_is_kept,
                a_taken_id_is_refused_and_its_image_stays_as_it_was,
                an_id_that_many_want_at_once_is_given_to_one,
                an_id_taken_by_what_the_caller_cannot_see_is_refused,
                an_image_with_data_is_active_with_size_and_hashes,
                data_of_unknown_size_is_taken_whole,
                data_without_formats_is_invalid_and_leaves_no_image,
                data_of_another_size_than_announced_leaves_no_image,
                data_that_breaks_off_leaves_no_image,
                too_many_tags_or_properties_leave_no_image,
            ],
            data: [
                the_data_comes_whole_with_the_image_as_shown,
                an_image_without_data_gives_none_whatever_the_range,
                data_of_no_bytes_is_data,
                a_range_gives_exactly_its_bytes,
                a_range_without_a_byte_in_it_is_not_satisfiable,
                a_deactivated_image_is_read_by_administrators_alone,
                a_download_that_is_dropped_harms_nobody,
                several_readers_get_the_same_bytes,
                a_download_ends_whole_or_in_an_error_when_its_image_is_deleted,
            ],
            delete: [
                a_deleted_image_is_gone_from_every_verb,
                a_deleted_image_takes_no_other_with_it,
                only_administrators_may_learn_that_an_image_was_deleted,
                the_id_of_a_deleted_image_is_not_used_again,
                a_protected_image_stays_until_it_is_unprotected,
                an_image_is_deleted_in_whatever_status,
                an_upload_under_way_fails_when_its_image_is_deleted,
            ],
            filters: [
                text_is_compared_byte_for_byte,
                any_of_several_texts_will_do,
                numbers_are_compared,
                times_are_compared_in_whole_seconds,
                flags_are_compared,
                tags_and_properties_are_compared,
                a_part_of_a_name_is_found_where_it_stands,
                all_filters_must_hold,
                an_id_that_is_not_there_filters_all_out,
                filtered_lists_are_paged_like_others,
            ],
            list: [
                an_image_is_listed_just_as_it_is_shown,
                index_gives_id_and_name_of_what_detail_gives,
                a_list_of_nothing_is_an_empty_page,
                the_newest_come_first_if_nothing_else_is_said,
                every_key_sorts_both_ways,
                keys_decide_in_their_order,
                a_list_tells_how_its_sources_fared,
                a_list_with_a_part_missing_is_refused_on_request,
                detail_can_be_made_of_index_and_show,
                what_a_service_can_do_does_not_change,
            ],
            locations: [
                a_location_makes_a_queued_image_active,
                a_hash_of_any_kind_is_kept_and_held_to,
                locations_stand_in_their_order,
                only_the_same_data_is_added_to_an_active_image,
                a_location_that_cannot_be_is_refused,
                all_locations_but_the_last_are_removed,
                a_queued_image_is_made_ready_for_a_location,
                what_lies_at_a_url_can_be_looked_at,
                locations_are_changed_by_those_who_may_change_the_image,
                locations_of_many_images_come_at_once,
            ],
            paging: [
                a_walk_with_any_limit_gives_each_image_once,
                a_walk_in_any_order_gives_each_image_once,
                a_walk_from_any_image_gives_what_is_behind_it,
                nothing_is_behind_the_last_image,
                a_position_holds_when_its_image_is_deleted,
                a_position_holds_when_its_image_has_moved,
                what_comes_and_goes_during_a_walk_disturbs_no_other_image,
                a_position_of_another_sort_is_invalid,
            ],
            sharing: [
                a_new_member_is_pending_and_sees_the_image_at_once,
                a_member_lists_what_it_has_accepted,
                a_member_reads_data_but_changes_nothing,
                owner_and_administrators_see_all_members_and_a_member_itself,
                a_member_that_is_not_there_is_not_found,
                only_shared_images_have_members,
                members_come_back_when_an_image_is_shared_again,
                only_the_owner_and_administrators_add_members,
                a_project_is_a_member_once,
                too_many_members_are_too_large,
                a_member_and_administrators_answer_and_nobody_else,
                a_member_that_is_removed_sees_the_image_no_longer,
                only_the_owner_and_administrators_remove_members,
                images_that_are_not_visible_have_no_members_to_be_seen,
            ],
            show: [
                any_unknown_id_is_missing_in_every_verb,
                the_case_of_an_id_is_significant,
                what_writes_answer_is_what_is_shown,
            ],
            stores: [
                stores_have_names_of_their_own,
                an_image_is_kept_in_the_store_it_was_made_for,
                a_copy_is_the_same_image_in_one_more_store,
                other_data_is_no_copy,
                a_queued_image_gets_its_first_data_as_a_copy,
                a_copy_that_is_taken_back_leaves_the_image_where_else_it_is,
                a_record_without_data_moves,
                copies_are_added_only_where_there_are_none_and_by_the_owner,
                the_last_copy_is_not_removed,
                only_copies_of_active_images_in_known_stores_are_removed,
                copies_are_removed_only_by_those_who_may_delete,
            ],
            tenancy: [
                visibility_decides_who_is_shown_an_image,
                lists_show_what_is_usual_all_or_of_one_visibility,
                what_is_not_visible_is_missing_in_every_verb_and_stays,
                what_is_not_ones_own_cannot_be_changed_or_deleted,
                an_image_without_owner_is_read_by_all_and_changed_by_administrators,
                only_administrators_make_images_for_others,
                only_administrators_give_images_away,
                administrators_change_and_delete_what_is_anyones,
            ],
            update: [
                every_attribute_changes_alone,
                what_may_be_unset_can_be_unset,
                properties_are_set_and_removed_one_by_one,
                an_empty_change_leaves_everything_as_it_was,
                a_change_that_fails_in_one_part_changes_nothing,
                formats_change_only_while_there_is_no_data,
                an_active_image_is_deactivated_and_reactivated,
                only_deactivation_and_reactivation_set_a_status,
                too_many_tags_or_properties_change_nothing,
                a_new_visibility_holds_at_once,
                the_last_of_many_changes_at_once_wins,
            ],
            upload: [
                data_makes_a_queued_image_active,
                a_change_goes_before_its_data,
                a_change_whose_data_is_refused_is_not_made,
                an_image_is_saving_while_data_is_on_its_way,
                only_a_queued_image_takes_data,
                an_image_without_formats_takes_no_data,
                data_of_another_size_than_announced_leaves_the_image_queued,
                data_that_breaks_off_leaves_the_image_queued,
                an_upload_that_is_dropped_leaves_the_image_queued,
                of_several_uploads_one_is_let_in,
                changes_during_an_upload_stay,
            ],
        );
    };
    (@groups $attributes:tt $fixture:ident, $($group:ident: [$($case:ident,)+],)+) => {
        $(mod $group {
            $($crate::conformance!(@case $attributes $fixture, $group, $case);)+
        })+
    };
    (@case [$(#[$attribute:meta])*] $fixture:ident, $group:ident, $case:ident) => {
        $(#[$attribute])*
        #[::tokio::test]
        async fn $case() {
            let case = async { $crate::conformance::$group::$case(super::$fixture().await).await };
            let bound = ::std::time::Duration::from_secs(120);
            ::tokio::time::timeout(bound, case).await.expect("the case ends in two minutes");
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_that_is_written_is_run() {
        let listed = include_str!("conformance.rs");
        let groups = [
            include_str!("conformance/cancellation.rs"),
            include_str!("conformance/create.rs"),
            include_str!("conformance/data.rs"),
            include_str!("conformance/delete.rs"),
            include_str!("conformance/filters.rs"),
            include_str!("conformance/list.rs"),
            include_str!("conformance/locations.rs"),
            include_str!("conformance/paging.rs"),
            include_str!("conformance/sharing.rs"),
            include_str!("conformance/show.rs"),
            include_str!("conformance/stores.rs"),
            include_str!("conformance/tenancy.rs"),
            include_str!("conformance/update.rs"),
            include_str!("conformance/upload.rs"),
        ];
        for source in groups {
            let cases: Vec<&str> = source
                .lines()
                .filter_map(|line| line.strip_prefix("pub async fn ")?.split_once('(').map(|(name, _)| name))
                .collect();
            assert!(!cases.is_empty());
            for case in cases {
                assert!(
                    listed.contains(&format!(" {case},\n")),
                    "{case} is not among the cases of the macro"
                );
            }
        }
    }
}

//! Data is given to whom the store lets see the image now.

use image_service::{ErrorKind, ImageChange, ImageService as _, Status, Visibility};

use crate::site::{Site, admin, bytes, of, owner};

#[tokio::test]
async fn who_may_not_see_an_image_is_not_given_its_data_from_here() {
    let site = Site::open().await;
    let data = bytes(5000, 1);
    let id = site.image(Visibility::Private, &data).await;
    site.read(&owner(), &id).await.unwrap();
    assert_eq!(site.read(&of("other"), &id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(site.read(&owner(), &id).await.unwrap(), data);
    assert_eq!(site.upstream.reads(), (1, 0));
}

#[tokio::test]
async fn a_member_reads_until_it_is_one_no_more() {
    let site = Site::open().await;
    let data = bytes(5000, 2);
    let id = site.image(Visibility::Shared, &data).await;
    site.shown.sharing().unwrap().add_member(&owner(), &id, "member").await.unwrap();
    assert_eq!(site.read(&of("member"), &id).await.unwrap(), data);
    site.shown.sharing().unwrap().remove_member(&owner(), &id, "member").await.unwrap();
    assert_eq!(site.read(&of("member"), &id).await.unwrap_err().kind(), ErrorKind::NotFound);
    // Also if that became known at the store alone.
    site.upstream.sharing().unwrap().add_member(&owner(), &id, "member").await.unwrap();
    assert_eq!(site.read(&of("member"), &id).await.unwrap(), data);
    site.upstream.sharing().unwrap().remove_member(&owner(), &id, "member").await.unwrap();
    assert_eq!(site.read(&of("member"), &id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(site.upstream.reads(), (1, 0));
}

#[tokio::test]
async fn a_deactivated_image_is_for_administrators_also_under_another_name() {
    let site = Site::open().await;
    let data = bytes(5000, 3);
    let (id, same) =
        (site.image(Visibility::Public, &data).await, site.image(Visibility::Public, &data).await);
    site.read(&owner(), &id).await.unwrap();
    let change = ImageChange { status: Some(Status::Deactivated), ..ImageChange::default() };
    site.shown.update(&admin(), &id, change, None).await.unwrap();
    assert_eq!(site.read(&owner(), &id).await.unwrap_err().kind(), ErrorKind::Forbidden);
    assert_eq!(site.read(&admin(), &id).await.unwrap(), data);
    let reads = site.upstream.reads();
    assert_eq!(site.read(&owner(), &same).await.unwrap(), data);
    assert_eq!(site.upstream.reads().0, reads.0 + 1, "the store has let it be read");
}

#[tokio::test]
async fn a_deleted_image_is_gone_and_its_data_with_the_last_that_had_it() {
    let site = Site::open().await;
    let data = bytes(5000, 4);
    let (one, other) =
        (site.image(Visibility::Public, &data).await, site.image(Visibility::Public, &data).await);
    site.read(&owner(), &one).await.unwrap();
    site.read(&owner(), &other).await.unwrap();
    site.shown.delete(&owner(), &one).await.unwrap();
    assert_eq!(site.read(&owner(), &one).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(site.files(), (1, 0));
    // The store loses the other one by itself.
    site.upstream.delete(&owner(), &other).await.unwrap();
    assert_eq!(site.read(&owner(), &other).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(site.files(), (0, 0));
    assert_eq!(site.upstream.reads(), (1, 0));
}

//! Where the data of images lies: told, added, changed.
//!
//! What is told of it, and to whom, is the operator's choice; and by Glance's rule it is told of one's own images alone.
//! A location that comes with a patch is believed; one that is posted is looked at first, behind the caller's back.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use image_service::{Image, ImageId, Location, Locations, NewLocation, Status};
use serde_json::{Value, json};

use super::exchange::Call;
use super::fault::Fault;
use super::places::{self, Move, Named, Places};
use super::{answer, body, imports, policy, wire};
use crate::quotas::Purpose;

/// What can be set about locations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LocationSettings {
    /// Whether images show all their locations, and patches change them. Default: no.
    pub show: bool,
    /// Whether images show the URL of their first location. Default: no.
    pub direct_url: bool,
}

/// What is shown of where the data of each image lies.
pub(super) async fn places_of(call: &Call, images: &[Image]) -> Result<Vec<Places>, Fault> {
    let shown = call.front.settings.locations;
    let empty = Places { locations: shown.show.then(Vec::new), direct_url: None };
    let mut places = vec![empty; images.len()];
    let Some(power) = call.service().locations().filter(|_| shown.show || shown.direct_url) else {
        return Ok(places);
    };
    let caller = &call.context.caller;
    let admitted = call.policy().get_image_location.admit(caller);
    let told = |image: &Image| admitted && image.has_data() && policy::must_own(caller, image).is_ok();
    let (numbers, own): (Vec<usize>, Vec<Image>) = images
        .iter()
        .enumerate()
        .filter(|(_, image)| told(image))
        .map(|(n, image)| (n, image.clone()))
        .unzip();
    if own.is_empty() {
        return Ok(places);
    }
    for (number, locations) in numbers.into_iter().zip(power.of(&call.context, &own).await?) {
        let Some(place) = places.get_mut(number) else { continue };
        place.direct_url = locations.first().filter(|_| shown.direct_url).map(|first| first.url.clone());
        place.locations = shown.show.then_some(locations);
    }
    Ok(places)
}

/// An image as it is shown, with where its data lies as far as that is.
pub(super) async fn shown(call: &Call, image: &Image) -> Result<Value, Fault> {
    let places = places_of(call, std::slice::from_ref(image)).await?;
    Ok(wire::image(image, &places.into_iter().next().unwrap_or_default()))
}

/// The power, if there is one. Without it a Glance that shows no locations says this.
fn power(call: &Call) -> Result<&dyn Locations, Fault> {
    let refusal = || Fault::forbidden("it's not allowed to use locations if locations are invisible");
    call.service().locations().ok_or_else(refusal)
}

/// The power, for whoever can see an image.
async fn power_on<'a>(call: &'a Call, id: &ImageId) -> Result<(Image, &'a dyn Locations), Fault> {
    Ok((call.visible(id).await?, power(call)?))
}

/// Answers with the locations of an image, for other services.
pub(super) async fn list(call: &Call, id: &ImageId) -> Result<Response, Fault> {
    let (image, power) = power_on(call, id).await?;
    call.permit(&call.policy().fetch_image_location, "see locations")?;
    let shown: Vec<Value> = locations(call, power, &image).await?.iter().map(places::location).collect();
    Ok(answer::json(StatusCode::OK, &shown))
}

async fn locations(call: &Call, power: &dyn Locations, image: &Image) -> Result<Vec<Location>, Fault> {
    Ok(power.of(&call.context, std::slice::from_ref(image)).await?.into_iter().flatten().collect())
}

/// Takes a location that is to be looked at, and added then.
pub(super) async fn add(call: &Call, id: &ImageId, body: Body) -> Result<Response, Fault> {
    let (image, power) = power_on(call, id).await?;
    let Some(tasks) = &call.front.imports else {
        return Err(Fault::forbidden("locations are not added where there are no tasks"));
    };
    let Value::Object(body) = body::json(body, &call.front.settings).await? else {
        return Err(Fault::bad_request("a location must be a JSON object"));
    };
    let Some(Value::String(url)) =
        body.get("url").filter(|url| url.as_str().is_none_or(|url| url.len() <= imports::LONGEST))
    else {
        return Err(Fault::bad_request(format!(
            "url: must be a string of at most {} bytes",
            imports::LONGEST
        )));
    };
    let expected = match body.get("validation_data") {
        Some(data) => places::expected(data)?,
        None => None,
    };
    call.permit(&call.policy().add_image_location, "add locations")?;
    policy::must_own(&call.context.caller, &image)?;
    if image.status != Status::Queued {
        return Err(not_now("add", &image));
    }
    power.check(url).map_err(|error| {
        // Clients look for the words.
        Fault::bad_request(format!("URI for add location does not pass filtering: {}", error.message()))
    })?;
    call.admit(Purpose::Upload).await?;
    let input =
        json!({"image_id": id.as_str(), "loc_url": url, "validation_data": body.get("validation_data")});
    tasks.add_location(&call.context, id, url.clone(), expected, input).await?;
    Ok(answer::empty(StatusCode::ACCEPTED))
}

fn not_now(verb: &str, image: &Image) -> Fault {
    Fault::conflict(format!("It's not allowed to {verb} locations if image status is {}.", image.status))
}

/// Lets through changes of locations, as far as that can be said before any is made.
pub(super) fn check(call: &Call, image: &Image, moves: &[Move]) -> Result<(), Fault> {
    if moves.is_empty() {
        return Ok(());
    }
    let (power, policy) = (power(call)?, call.policy());
    for step in moves {
        match step {
            Move::Remove(_) => call.permit(&policy.delete_image_location, "remove locations")?,
            Move::Add(..) | Move::Replace(_) => call.permit(&policy.set_image_location, "set locations")?,
        }
    }
    policy::must_own(&call.context.caller, image)?;
    for step in moves {
        let (verb, named) = match step {
            Move::Remove(_) => ("remove", &[][..]),
            Move::Add(_, named) => ("add", std::slice::from_ref(named)),
            Move::Replace(named) => ("replace", &named[..]),
        };
        let waits = image.status == Status::Queued && !matches!(step, Move::Remove(_));
        if image.status != Status::Active && !waits {
            return Err(not_now(verb, image));
        }
        for named in named {
            named.check_known(image)?;
            // What the image has already need not be allowed any more.
            if waits || matches!(step, Move::Add(..)) {
                power
                    .check(&named.location.url)
                    .map_err(|error| Fault::bad_request(format!("Invalid location: {}", error.message())))?;
            }
        }
    }
    Ok(())
}

/// Makes changes of locations that have been let through, one after the other. Those before one that fails stay made.
pub(super) async fn apply(call: &Call, mut image: Image, moves: Vec<Move>) -> Result<Image, Fault> {
    for step in moves {
        let power = power(call)?;
        image = match step {
            Move::Add(at, named) => add_one(call, power, &image, at, named).await?,
            Move::Replace(named) if image.status == Status::Queued => {
                for named in named {
                    image = add_one(call, power, &image, None, named).await?;
                }
                image
            }
            Move::Replace(named) => {
                for named in &named {
                    image.must_have(&named.known)?;
                }
                let locations = named.into_iter().map(|named| named.location).collect();
                power.arrange(&call.context, &image.id, locations).await?
            }
            Move::Remove(at) => remove_one(call, power, &image, at).await?,
        };
    }
    Ok(image)
}

async fn add_one(
    call: &Call,
    power: &dyn Locations,
    image: &Image,
    at: Option<usize>,
    named: Named,
) -> Result<Image, Fault> {
    if image.status == Status::Queued {
        call.admit(Purpose::Upload).await?;
    }
    let Named { location, known } = named;
    Ok(power.add(&call.context, &image.id, NewLocation { location, at, known }).await?)
}

async fn remove_one(
    call: &Call,
    power: &dyn Locations,
    image: &Image,
    at: Option<usize>,
) -> Result<Image, Fault> {
    let locations = locations(call, power, image).await?;
    if locations.len() <= 1 {
        return Err(Fault::forbidden("Cannot remove last location in the image."));
    }
    let at = at.unwrap_or_else(|| locations.len().saturating_sub(1));
    let Some(location) = locations.get(at) else {
        return Err(Fault::bad_request("Invalid position for removing a location."));
    };
    Ok(power.remove(&call.context, &image.id, &location.url).await?)
}

//! The hosted checkout page: plain forms that work without a script, each answered by a redirect, so that a reload repeats
//! nothing. A guest's stands under a link that is the capability to it; a customer's under its name, and is signed.

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    response::Response,
    routing::{get, post},
};
use firsthand::{
    Error, Merchant,
    checkout::{CheckoutError, Stage, Status, WishError},
    error::Refusal,
    merchant::{Basket, Checkout, Completion, GuestLink, IdempotencyKey, NotAnIdempotencyKey, Order, Typed},
    money::Money,
    order::{Buyer, DraftError},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{
    BASKET_BYTES_MAX, Words, begin,
    caller::{Caller, Found, Trouble},
    completed,
    form::{Errors, Known, Sent},
    order::{After, LOOKS_AGAIN_S, Ordered, UnderWay, ordered, under_way},
    view::{Shown, word},
};
#[cfg(feature = "openapi")]
use crate::problem::Problem;
use crate::{
    lang::Lang,
    routes::{Named, asset},
    web,
};

/// `checkout.css`, the looks of the checkout page.
const STYLE: &str = include_str!("../web/checkout.css");

pub(super) fn routes() -> Router<Merchant> {
    Router::new()
        .route("/checkout", get(begin::nothing).merge(post(begin::begin)))
        .route("/checkout/{name}", get(show).merge(post(act)))
        .route("/checkout.css", get(style))
        .merge(super::order::routes())
        .layer(DefaultBodyLimit::max(BASKET_BYTES_MAX))
}

/// The looks of the checkout page.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, operation_id = "checkout_style", path = "/checkout.css", tag = "browser",
    responses((status = 200, content_type = "text/css", body = String), (status = 304, description = "Known already"))
))]
pub(crate) async fn style(headers: HeaderMap) -> Response {
    asset(&headers, "text/css; charset=utf-8", STYLE, web::etag_of(STYLE))
}

/// A checkout, the payment of one, or the order that it has become.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, operation_id = "checkout_page", path = "/checkout/{name}", tag = "browser",
    params(("name" = String, Path, description = "A guest's link, or the name of a customer's checkout or order"), ("lang" = Option<String>, Query, description = "`en` or `de`")),
    responses(
        (status = 200, content_type = "text/html", body = String),
        (status = 404, content_type = "text/html", body = String),
    )
))]
pub(crate) async fn show(State(merchant): State<Merchant>, Named(name): Named, caller: Caller) -> Response {
    let answer = async {
        match caller.find(&merchant, &name).await? {
            Found::Checkout(checkout) => shown(&merchant, &caller, *checkout).await,
            Found::Order(order) => Ok(caller.page(StatusCode::OK, order_page(&merchant, &caller, &order).await?)),
            Found::Became(order) => Ok(caller.to(&caller.at(order.id().as_str(), ""))),
            Found::Stranger => Ok(caller.turned_away(&merchant)),
        }
    };
    caller.finish(&merchant, answer.await)
}

/// The customer changes something, or orders.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, operation_id = "act_on_checkout_page", path = "/checkout/{name}", tag = "browser", params(("name" = String, Path)),
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "The fields of the page"),
    responses(
        (status = 204, description = "For a signed request: `Firsthand-Location` says where to go on"),
        (status = 303, description = "To the page, which shows what came of it"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Another site sent this"),
        (status = 404, content_type = "text/html", body = String),
        (status = 409, content_type = "text/html", body = String, description = "It was changed elsewhere meanwhile"),
        (status = 422, content_type = "text/html", body = String, description = "Something has to be mended, and is said beside its field"),
    )
))]
pub(crate) async fn act(State(merchant): State<Merchant>, Named(name): Named, caller: Caller) -> Response {
    let answer = async {
        let sent = caller.read()?;
        match caller.find(&merchant, &name).await {
            Ok(Found::Checkout(checkout)) => acted(&merchant, &caller, *checkout, &name, &sent).await,
            // Nothing that the customer has typed is lost because they took their time.
            Err(Error::Refused(Refusal::NoSuchCheckout)) if !sent.items.is_empty() => {
                begin::begun(&merchant, &caller, &sent, "begun_anew").await
            }
            Ok(Found::Order(_)) => Ok(caller.to(&caller.here("said=ordered_already"))),
            Ok(Found::Became(order)) => Ok(caller.to(&caller.at(order.id().as_str(), "said=ordered_already"))),
            Ok(Found::Stranger) => Ok(caller.turned_away(&merchant)),
            Err(error) => Err(error.into()),
        }
    };
    caller.finish(&merchant, answer.await)
}

/// A key that nobody has used.
pub(super) fn new_key(merchant: &Merchant) -> Result<IdempotencyKey, Error> {
    // A form's token is as random as a key has to be.
    let key = merchant.guest_form().parse();
    key.map_err(|error: NotAnIdempotencyKey| Error::Misuse(error.to_string()))
}

/// The page of a checkout, wherever it stands.
async fn shown(merchant: &Merchant, caller: &Caller, checkout: Checkout) -> Result<Response, Trouble> {
    // What the customer's wallet has told meanwhile counts at once.
    let is_theirs = caller.known.is_some() && caller.link().is_none();
    let checkout = match checkout.status() {
        Status::Incomplete | Status::RequiresEscalation if is_theirs && !checkout.missing().is_empty() => {
            checkout.refreshed().await?
        }
        Status::CompleteInProgress => asked(caller, checkout).await?,
        _ => checkout,
    };
    let frame = caller.frame();
    match checkout.status() {
        Status::Completed => {
            let order = checkout.order().await?.ok_or(Refusal::NoSuchOrder)?;
            Ok(caller.page(StatusCode::OK, order_page(merchant, caller, &order).await?))
        }
        Status::CompleteInProgress => {
            let (continue_at, by_wallet) = (checkout.continue_at().await?, checkout.awaits_wallet().await?);
            let looks_again = caller.asks("wait") != Some("no");
            let rail = match &checkout.record().stage {
                Stage::Paying(agreed) => agreed.rail.as_deref(),
                _ => None,
            };
            let standing = UnderWay { continue_at, by_wallet, rail, at_once: caller.asks("go").is_some(), looks_again };
            let mut response = caller.page(StatusCode::OK, under_way(&frame, &standing));
            if looks_again && !standing.at_once {
                response
                    .headers_mut()
                    .insert(HeaderName::from_static("refresh"), HeaderValue::from(u16::from(LOOKS_AGAIN_S)));
            }
            Ok(response)
        }
        Status::Canceled => {
            let title = frame.say("This checkout was given up", "Dieser Einkauf wurde abgebrochen");
            let text = frame.say("Nothing was ordered.", "Es wurde nichts bestellt.");
            Ok(caller.page(StatusCode::OK, word(&frame, title, text)))
        }
        _ => open_page(merchant, caller, &checkout, StatusCode::OK, None, &Errors::new(), notice(caller, &checkout)),
    }
}

/// A payment that is under way: its rail is asked, unless this page is asked for too often.
async fn asked(caller: &Caller, checkout: Checkout) -> Result<Checkout, Trouble> {
    if caller.limits.as_ref().is_some_and(|limits| limits.form().is_err()) {
        return Ok(checkout);
    }
    Ok(checkout.ask_rail().await?)
}

fn open_page(
    merchant: &Merchant,
    caller: &Caller,
    checkout: &Checkout,
    status: StatusCode,
    sent: Option<&Sent>,
    errors: &Errors,
    notice: Option<String>,
) -> Result<Response, Trouble> {
    let address = checkout.address()?.map(|told| (told.for_page(), told.source()));
    let so_far = checkout.typed_so_far()?;
    // The country that was typed or chosen, else the one that most orders go to.
    let typed = so_far.as_ref().map(|address| address.country.clone()).filter(|country| country.len() == 2);
    let estimated_for = typed.or_else(|| merchant.sends_to().into_iter().next());
    let is_guest = caller.link().is_some();
    let has_acted = sent.is_some() || caller.asks("said").is_some() || has_failed(checkout);
    let has_ordered = sent.is_some_and(|sent| sent.act == "complete") || caller.asks("said") == Some("not_ready");
    let shown = Shown {
        frame: &caller.frame(),
        checkout,
        address,
        so_far,
        estimated_for,
        sent,
        errors,
        has_acted,
        has_ordered: has_ordered || has_failed(checkout),
        notice,
        key: &merchant.guest_form(),
        is_guest,
        may_take_over: is_guest && caller.known.is_some(),
    };
    Ok(caller.page(status, shown.html()))
}

/// Whether completing it came to nothing.
fn has_failed(checkout: &Checkout) -> bool {
    !checkout.record().failed.is_empty()
}

/// A word on what came of the last step.
fn notice(caller: &Caller, checkout: &Checkout) -> Option<String> {
    let lang = caller.lang;
    let text = match caller.asks("said")? {
        "updated" => lang.say("Updated.", "Aktualisiert."),
        "begun_anew" => lang.say(
            "This had lain for a while, so it begins anew with what you had entered. Please check it.",
            "Das lag eine Weile, darum beginnt es neu mit dem, was Sie eingegeben hatten. Bitte prüfen Sie es.",
        ),
        "taken_over" => lang.say("You go on as yourself.", "Sie machen als Sie selbst weiter."),
        "changed" => lang.say(
            "This was changed in another tab or window. Here is how it stands now; nothing is ordered yet.",
            "Das wurde in einem anderen Tab oder Fenster geändert. So steht es jetzt; bestellt ist noch nichts.",
        ),
        "price" => {
            let total = checkout.offering().totals.total;
            let was = caller.asks("was").and_then(|was| Money::new(was.parse().ok()?, total.currency()).ok());
            let (now, was) = (lang.amount(total), was.map(|was| lang.amount(was)));
            let was = was.map(|was| format!(" ({} {was})", lang.say("before:", "vorher:"))).unwrap_or_default();
            let (before, after) = (
                lang.say("It now costs", "Es kostet jetzt"),
                lang.say(
                    "Nothing is ordered yet: order again if you agree.",
                    "Bestellt ist noch nichts: Bestellen Sie noch einmal, wenn Sie einverstanden sind.",
                ),
            );
            return Some(format!("{before} {now}{was}. {after}"));
        }
        _ => return None,
    };
    Some(text.to_owned())
}

async fn order_page(merchant: &Merchant, caller: &Caller, order: &Order) -> Result<String, Trouble> {
    let delivery = order.delivery().await?;
    // Whom a wallet made a customer meanwhile finds it among their orders, too.
    let link = caller.link().filter(|_| *order.buyer() == Buyer::Guest);
    let only_key = link.and_then(|_| merchant.origin().join(&caller.path).ok()).map(Into::into);
    let notice = match caller.asks("said") {
        Some("ordered_already") => Some(caller.lang.say(
            "This was ordered already, once. Nothing was done a second time.",
            "Das war schon bestellt, einmal. Es wurde nichts ein zweites Mal getan.",
        )),
        Some("withdrawn") if !order.acknowledgements().is_empty() => Some(caller.lang.say(
            "We have received your withdrawal. Its acknowledgement is below: please save it.",
            "Ihr Widerruf ist bei uns eingegangen. Die Bestätigung steht unten: Bitte sichern Sie sie.",
        )),
        _ => None,
    };
    let (notice, after) = (notice.map(str::to_owned), After::of(order).await?);
    Ok(ordered(&caller.frame(), &Ordered { order, delivery, only_key, notice, after }))
}

/// Why what was sent is not done.
enum NotDone {
    /// Something in it is to be mended, and is said beside its field.
    Mend(Errors),
    /// The checkout is not as the page had it: it is shown anew, with this word in its address.
    Look(String),
    Failed(Box<Trouble>),
}

impl NotDone {
    fn look(said: &str) -> Self {
        Self::Look(said.to_owned())
    }

    fn mend(field: &str, text: &str) -> Self {
        Self::Mend(vec![(field.to_owned(), text.to_owned())])
    }
}

impl From<Error> for NotDone {
    fn from(error: Error) -> Self {
        Self::Failed(Box::new(error.into()))
    }
}

/// What a form of the page does.
async fn acted(
    merchant: &Merchant,
    caller: &Caller,
    checkout: Checkout,
    name: &str,
    sent: &Sent,
) -> Result<Response, Trouble> {
    match checkout.status() {
        Status::Completed => return Ok(caller.to(&caller.here("said=ordered_already"))),
        Status::CompleteInProgress if sent.act == "untap" => {
            checkout.untap().await?;
            return Ok(caller.to(&caller.here("said=untapped")));
        }
        Status::CompleteInProgress if is_ordering(sent) => return resumed(merchant, caller, checkout, sent).await,
        Status::CompleteInProgress | Status::Canceled => return Ok(caller.to(&caller.here(""))),
        _ => {}
    }
    if sent.act == "take_over" {
        return taken_over(merchant, caller, name).await;
    }
    match changed_and_ordered(merchant, caller, &checkout, sent).await {
        Ok(path) => Ok(caller.to(&path)),
        Err(NotDone::Look(said)) => Ok(caller.to(&caller.here(&said))),
        Err(NotDone::Mend(errors)) => {
            open_page(merchant, caller, &checkout, StatusCode::UNPROCESSABLE_ENTITY, Some(sent), &errors, None)
        }
        Err(NotDone::Failed(trouble)) => Err(*trouble),
    }
}

/// The form that ordered is sent once more: what it had begun goes on where it stopped, before anybody was asked to pay. Any
/// other form is shown what there is.
async fn resumed(merchant: &Merchant, caller: &Caller, checkout: Checkout, sent: &Sent) -> Result<Response, Trouble> {
    let (record, total) = (checkout.record(), checkout.offering().totals.total);
    // What the customer saw is the state before they agreed.
    let seen = record.revision.checked_sub(1).filter(|_| matches!(record.stage, Stage::Holding(_)));
    let is_same = sent.total == Some(total.minor())
        && wanted(caller, &checkout, sent).is_ok_and(|basket| differing(&checkout, basket).is_none());
    let Some(seen) = seen.filter(|_| is_same) else { return Ok(caller.to(&caller.here(""))) };
    match completed(checkout, completion(seen, total, sent), key(merchant, &sent.key)?).await {
        Ok(done) => Ok(caller.to(&onward(caller, &done).await?)),
        Err(Error::Checkout(_) | Error::Refused(Refusal::KeyUsed | Refusal::Overtaken)) => {
            Ok(caller.to(&caller.here("")))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whoever is known goes on as themselves with what a guest began.
async fn taken_over(merchant: &Merchant, caller: &Caller, name: &str) -> Result<Response, Trouble> {
    let (Some(known), Ok(link)) = (&caller.known, name.parse::<GuestLink>()) else {
        return Ok(caller.turned_away(merchant));
    };
    let theirs = known.take_over_checkout(&link).await?;
    let path = format!("{}/checkout/{}", caller.mount, theirs.id());
    Ok(caller.to(&caller.there(&path, "said=taken_over")))
}

/// Changes what was changed, and orders it if that button was pressed: where to go on.
async fn changed_and_ordered(
    merchant: &Merchant,
    caller: &Caller,
    checkout: &Checkout,
    sent: &Sent,
) -> Result<String, NotDone> {
    let basket = wanted(caller, checkout, sent)?;
    let checkout = changed(merchant, caller, checkout, sent, basket).await?;
    if !is_ordering(sent) {
        return Ok(caller.here("said=updated"));
    }
    let completion = agreed(&checkout, sent)?;
    let done = completed(checkout, completion, key(merchant, &sent.key)?).await.map_err(|error| match error {
        Error::Checkout(CheckoutError::Stale { .. } | CheckoutError::OtherTotal { .. }) => {
            NotDone::look("said=changed")
        }
        // Pressed twice: what the first one did is shown.
        Error::Checkout(_) | Error::Refused(Refusal::KeyUsed | Refusal::Overtaken) => NotDone::look(""),
        error => error.into(),
    })?;
    Ok(onward(caller, &done).await?)
}

/// Where somebody goes on who has ordered.
async fn onward(caller: &Caller, done: &Checkout) -> Result<String, Error> {
    let continue_at = match done.status() {
        Status::CompleteInProgress => done.continue_at().await?,
        _ => None,
    };
    Ok(match continue_at {
        // The script goes there by itself; a form that is sent plainly may not be led off this origin.
        Some(url) if caller.signed.is_some() => url.into(),
        Some(_) => caller.here("go=1"),
        None => caller.here(""),
    })
}

fn is_ordering(sent: &Sent) -> bool {
    sent.act == "complete"
}

/// What the form wants, if all of it can be read.
fn wanted(caller: &Caller, checkout: &Checkout, sent: &Sent) -> Result<Basket, NotDone> {
    let told = checkout.address()?;
    let so_far = checkout.typed_so_far()?;
    let known = Known { address: told.as_ref().map(|told| (told.for_label(), told.source())), so_far: so_far.as_ref() };
    let needed = is_ordering(sent) && checkout.offering().ships;
    let (basket, mut errors) = sent.basket(caller.lang, known, needed, &caller.settings.countries);
    if basket.wishes.items.is_empty() && errors.is_empty() {
        let text = caller.lang.say("Nothing would be left to order.", "Es bliebe nichts zu bestellen.");
        errors.push(("quantity-0".to_owned(), text.to_owned()));
    }
    let offered = checkout.rails();
    if is_ordering(sent) && !offered.is_empty() && !offered.contains(&sent.rail.as_str()) {
        let text = caller.lang.say("Choose how to pay.", "Wählen Sie, wie Sie bezahlen.");
        errors.push(("rail".to_owned(), text.to_owned()));
    }
    if errors.is_empty() { Ok(basket) } else { Err(NotDone::Mend(errors)) }
}

/// The checkout with what the form wants, which may be what it was.
async fn changed(
    merchant: &Merchant,
    caller: &Caller,
    checkout: &Checkout,
    sent: &Sent,
    basket: Basket,
) -> Result<Checkout, NotDone> {
    let Some(basket) = differing(checkout, basket) else { return Ok(checkout.clone()) };
    let key = key(merchant, &format!("{}.u", sent.key))?;
    // What else was typed is not lost by whoever has to wait.
    let words = Words::of(caller.limits.as_ref(), Some(checkout), &basket)
        .map_err(|_| NotDone::mend("code", too_many_words(caller.lang)))?;
    let changed = checkout.update(sent.revision, &basket, &key).await.inspect(|changed| words.tried(changed));
    changed.map_err(|error| match error {
        Error::Checkout(CheckoutError::Stale { .. }) | Error::Refused(Refusal::KeyUsed) => {
            NotDone::look("said=changed")
        }
        Error::Checkout(CheckoutError::InProgress | CheckoutError::Over(_)) => NotDone::look(""),
        Error::Checkout(CheckoutError::Wish(wish)) => NotDone::mend("quantity-0", &wish_text(caller.lang, wish)),
        Error::Draft(DraftError::Address(error)) => {
            NotDone::mend(error.part(), caller.lang.say("Please check this.", "Bitte prüfen Sie das."))
        }
        error => error.into(),
    })
}

/// A basket that is not what the checkout has already; none if it is.
fn differing(checkout: &Checkout, mut basket: Basket) -> Option<Basket> {
    // An offered way that nobody chose is no wish.
    let offered_way = checkout.offering().carriage.as_ref().map(|way| &way.method);
    if checkout.wishes().way.is_none() && basket.wishes.way.as_ref() == offered_way {
        basket.wishes.way = None;
    }
    let is_same = basket.wishes == *checkout.wishes() && basket.typed == Typed::Nothing;
    (!is_same).then_some(basket)
}

/// What the customer agrees to: what they saw, if that is what it is.
fn agreed(checkout: &Checkout, sent: &Sent) -> Result<Completion, NotDone> {
    if checkout.status() != Status::ReadyForComplete {
        return Err(NotDone::look("said=not_ready"));
    }
    let now = checkout.offering().totals.total;
    if sent.total.and_then(|total| Money::new(total, now.currency()).ok()) != Some(now) {
        return Err(NotDone::Look(format!("said=price&was={}", sent.total.unwrap_or_default())));
    }
    Ok(completion(checkout.revision(), now, sent))
}

fn completion(revision: u64, total: Money, sent: &Sent) -> Completion {
    let completion = Completion::new(revision, total);
    if sent.rail.is_empty() { completion } else { completion.by(&sent.rail) }
}

fn key(merchant: &Merchant, text: &str) -> Result<IdempotencyKey, Error> {
    text.parse().map_or_else(|_| new_key(merchant), Ok)
}

const fn too_many_words(lang: Lang) -> &'static str {
    lang.say(
        "Many wrong discount codes were entered from where you are. Wait a minute before you try one, or leave the field empty.",
        "Von dort, wo Sie sind, wurden viele falsche Rabattcodes eingegeben. Warten Sie eine Minute, bevor Sie einen versuchen, oder lassen Sie das Feld leer.",
    )
}

pub(super) fn wish_text(lang: Lang, wish: WishError) -> String {
    let german = match wish {
        WishError::Nothing => "Es bliebe nichts zu bestellen.",
        WishError::TooMany => "Das ist zu viel auf einmal.",
        _ => "Das ist zu lang oder kein einfacher Text.",
    };
    lang.say(&wish.to_string(), german).to_owned()
}

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
    checkout::{CheckoutError, Status},
    error::Refusal,
    merchant::{Checkout, Completion, GuestLink, IdempotencyKey},
    money::Money,
    order::{Address, Buyer, DeliverySource, DraftError},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{
    BASKET_BYTES_MAX,
    caller::{Caller, Found},
    completed,
    form::{Errors, Sent},
    order::{After, LOOKS_AGAIN_S, Ordered, UnderWay, ordered, under_way},
    view::{Frame, Shown, rails, word},
};
use crate::{
    lang::Lang,
    problem::Problem,
    routes::{Body, Named, asset},
    web,
};

/// `checkout.css`, the looks of the checkout page.
const STYLE: &str = include_str!("../web/checkout.css");

pub(super) fn routes() -> Router<Merchant> {
    Router::new()
        .route("/checkout", get(nothing).merge(post(begin)))
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

/// The checkout page without anything in it.
#[cfg_attr(feature = "openapi", utoipa::path(
    get, operation_id = "empty_checkout_page", path = "/checkout", tag = "browser",
    responses((status = 200, content_type = "text/html", body = String))
))]
pub(crate) async fn nothing(State(merchant): State<Merchant>, caller: Caller) -> Response {
    let frame = caller.frame(&merchant);
    caller.page(StatusCode::OK, empty(&frame))
}

/// A page of the shop hands over a basket: fields `item` and `quantity` in turn, `code` for discounts, and `form`, a token of
/// the shop, with which sending it twice is sending it once.
#[cfg_attr(feature = "openapi", utoipa::path(
    post, operation_id = "open_checkout_page", path = "/checkout", tag = "browser",
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "`item`, `quantity`, `code`, `form`"),
    responses(
        (status = 204, description = "For a signed request: `Firsthand-Location` says where to go on"),
        (status = 303, description = "To the page of the checkout"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "Another site sent this"),
        (status = 422, content_type = "text/html", body = String, description = "This cannot be bought"),
    )
))]
pub(crate) async fn begin(
    State(merchant): State<Merchant>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let answer = async {
        let sent = caller.read(&headers, body)?;
        begun(&merchant, &caller, &sent, "").await
    };
    caller.finish(&merchant, answer.await)
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
pub(crate) async fn show(State(merchant): State<Merchant>, caller: Caller, Named(name): Named) -> Response {
    let answer = async {
        match caller.find(&merchant, &name).await? {
            Found::Checkout(checkout) => shown(&merchant, &caller, *checkout).await,
            Found::Order(order) => Ok(caller.page(StatusCode::OK, order_page(&merchant, &caller, &order).await?)),
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
pub(crate) async fn act(
    State(merchant): State<Merchant>,
    caller: Caller,
    Named(name): Named,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let answer = async {
        let sent = caller.read(&headers, body)?;
        match caller.find(&merchant, &name).await {
            Ok(Found::Checkout(checkout)) => acted(&merchant, &caller, *checkout, &name, &sent).await,
            // Nothing that the customer has typed is lost because they took their time.
            Err(problem) if problem.code() == "no_such_checkout" && !sent.items.is_empty() => {
                begun(&merchant, &caller, &sent, "begun_anew").await
            }
            Ok(Found::Order(_)) => Ok(caller.to(&caller.here("said=ordered_already"))),
            Ok(Found::Stranger) => Ok(caller.turned_away(&merchant)),
            Err(problem) => Err(problem),
        }
    };
    caller.finish(&merchant, answer.await)
}

fn empty(frame: &Frame<'_>) -> String {
    word(
        frame,
        frame.say("There is nothing in your basket", "In Ihrem Korb liegt nichts"),
        frame.say("Choose something in the shop first.", "Suchen Sie sich zuerst im Shop etwas aus."),
    )
}

/// Begins a checkout with what was sent, and leads to its page.
async fn begun(merchant: &Merchant, caller: &Caller, sent: &Sent, said: &str) -> Result<Response, Problem> {
    let (basket, errors) = sent.basket(caller.lang, None, false, &caller.settings.countries);
    let frame = caller.frame(merchant);
    // An address that is not whole is left to be typed there.
    let is_readable = !errors.iter().any(|(field, _)| field.starts_with("quantity"));
    let basket = if errors.is_empty() { basket } else { basket.wishes.into() };
    if !is_readable || basket.wishes.items.is_empty() {
        return Ok(caller.page(StatusCode::UNPROCESSABLE_ENTITY, empty(&frame)));
    }
    let name = match &caller.known {
        Some(known) => {
            let key = sent.form.as_deref().or(Some(sent.key.as_str()).filter(|key| !key.is_empty()));
            let key = key.and_then(|key| key.parse().ok()).map_or_else(|| new_key(merchant), Ok)?;
            known.check_out(&basket, &key).await?.id().to_string()
        }
        None => {
            let form = sent.form.clone().unwrap_or_else(|| merchant.guest_form());
            let begun = match merchant.check_out_as_guest(&basket, &form).await {
                // A page that lay open for a day, or was made for a customer who is not known here.
                Err(Error::Refused(Refusal::FormExpired | Refusal::FormInvalid)) => {
                    merchant.check_out_as_guest(&basket, &merchant.guest_form()).await?
                }
                other => other?,
            };
            begun.link.reveal().to_owned()
        }
    };
    let query = if said.is_empty() { String::new() } else { format!("said={said}") };
    Ok(caller.to(&caller.there(&format!("{}/checkout/{name}", caller.mount), &query)))
}

/// A key that nobody has used.
fn new_key(merchant: &Merchant) -> Result<IdempotencyKey, Problem> {
    // A form's token is as random as a key has to be.
    let key = merchant.guest_form().parse();
    key.map_err(|error: firsthand::merchant::NotAnIdempotencyKey| Error::Misuse(error.to_string()).into())
}

/// The page of a checkout, wherever it stands.
async fn shown(merchant: &Merchant, caller: &Caller, checkout: Checkout) -> Result<Response, Problem> {
    // What the customer's wallet has told meanwhile counts at once.
    let is_theirs = caller.known.is_some() && caller.link().is_none();
    let checkout = match checkout.status() {
        Status::Incomplete | Status::RequiresEscalation if is_theirs && !checkout.missing().is_empty() => {
            checkout.refreshed().await?
        }
        Status::CompleteInProgress => asked(caller, checkout).await?,
        _ => checkout,
    };
    let frame = caller.frame(merchant);
    match checkout.status() {
        Status::Completed => {
            let order = checkout.order().await?.ok_or(Refusal::NoSuchOrder)?;
            Ok(caller.page(StatusCode::OK, order_page(merchant, caller, &order).await?))
        }
        Status::CompleteInProgress => {
            let (continue_at, by_wallet) = (checkout.continue_at().await?, checkout.awaits_wallet().await?);
            let looks_again = caller.asks("wait") != Some("no");
            let standing = UnderWay { continue_at, by_wallet, at_once: caller.asks("go").is_some(), looks_again };
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
async fn asked(caller: &Caller, checkout: Checkout) -> Result<Checkout, Problem> {
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
) -> Result<Response, Problem> {
    let address = checkout.address()?.map(|told| (told.for_page(), told.source()));
    let is_guest = caller.link().is_some();
    let has_acted = sent.is_some() || caller.asks("said").is_some() || has_failed(checkout);
    let has_ordered = sent.is_some_and(|sent| sent.act == "complete") || caller.asks("said") == Some("not_ready");
    let shown = Shown {
        frame: &caller.frame(merchant),
        checkout,
        address,
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

async fn order_page(
    merchant: &Merchant,
    caller: &Caller,
    order: &firsthand::merchant::Order,
) -> Result<String, Problem> {
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
    Ok(ordered(&caller.frame(merchant), &Ordered { order, delivery, only_key, notice, after }))
}

/// What a form of the page does.
async fn acted(
    merchant: &Merchant,
    caller: &Caller,
    checkout: Checkout,
    name: &str,
    sent: &Sent,
) -> Result<Response, Problem> {
    match checkout.status() {
        Status::Completed => return Ok(caller.to(&caller.here("said=ordered_already"))),
        Status::CompleteInProgress if sent.act == "untap" => {
            checkout.untap().await?;
            return Ok(caller.to(&caller.here("said=untapped")));
        }
        Status::CompleteInProgress | Status::Canceled => return Ok(caller.to(&caller.here(""))),
        _ => {}
    }
    if sent.act == "take_over" {
        let (Some(known), Ok(link)) = (&caller.known, name.parse::<GuestLink>()) else {
            return Ok(caller.turned_away(merchant));
        };
        let theirs = known.take_over_checkout(&link).await?;
        let path = format!("{}/checkout/{}", caller.mount, theirs.id());
        return Ok(caller.to(&caller.there(&path, "said=taken_over")));
    }
    let refused = |checkout: &Checkout, errors: &Errors| {
        open_page(merchant, caller, checkout, StatusCode::UNPROCESSABLE_ENTITY, Some(sent), errors, None)
    };
    let ordering = sent.act == "complete";
    let told = checkout.address()?;
    let known: Option<(Address, DeliverySource)> = told.map(|told| (told.for_label().clone(), told.source()));
    let needed = ordering && checkout.offering().ships;
    let known = known.as_ref().map(|(address, source)| (address, *source));
    let (basket, mut errors) = sent.basket(caller.lang, known, needed, &caller.settings.countries);
    if basket.wishes.items.is_empty() && errors.is_empty() {
        let text = caller.lang.say("Nothing would be left to order.", "Es bliebe nichts zu bestellen.");
        errors.push(("quantity-0".to_owned(), text.to_owned()));
    }
    let offered = rails(&checkout);
    if ordering && !offered.is_empty() && !offered.contains(&sent.rail.as_str()) {
        let text = caller.lang.say("Choose how to pay.", "Wählen Sie, wie Sie bezahlen.");
        errors.push(("rail".to_owned(), text.to_owned()));
    }
    if !errors.is_empty() {
        return refused(&checkout, &errors);
    }
    let before = checkout.clone();
    // An offered way that nobody chose is no wish.
    let mut wishes = basket.wishes.clone();
    let offered_way = checkout.offering().carriage.as_ref().map(|way| way.method.clone());
    if checkout.wishes().way.is_none() && wishes.way == offered_way {
        wishes.way = None;
    }
    let is_same = wishes == *checkout.wishes() && basket.address.is_none();
    let checkout = if is_same {
        checkout
    } else {
        let basket = firsthand::merchant::Basket { wishes, address: basket.address };
        let key = key(merchant, &format!("{}.u", sent.key))?;
        match checkout.update(sent.revision, &basket, &key).await {
            Ok(changed) => changed,
            Err(Error::Checkout(CheckoutError::Stale { .. })) => {
                return Ok(caller.to(&caller.here("said=changed")));
            }
            Err(Error::Checkout(CheckoutError::InProgress | CheckoutError::Over(_))) => {
                return Ok(caller.to(&caller.here("")));
            }
            Err(Error::Refused(Refusal::KeyUsed)) => return Ok(caller.to(&caller.here("said=changed"))),
            Err(Error::Checkout(CheckoutError::Wish(wish))) => {
                errors.push(("quantity-0".to_owned(), wish_text(caller.lang, wish)));
                return refused(&before, &errors);
            }
            Err(Error::Draft(DraftError::Address(error))) => {
                let text = caller.lang.say("Please check this.", "Bitte prüfen Sie das.");
                errors.push((error.part().to_owned(), text.to_owned()));
                return refused(&before, &errors);
            }
            Err(error) => return Err(error.into()),
        }
    };
    if !ordering {
        return Ok(caller.to(&caller.here("said=updated")));
    }
    if checkout.status() != Status::ReadyForComplete {
        return Ok(caller.to(&caller.here("said=not_ready")));
    }
    let now = checkout.offering().totals.total;
    let agreed = sent.total.and_then(|total| Money::new(total, now.currency()).ok());
    if agreed != Some(now) {
        let was = sent.total.unwrap_or_default();
        return Ok(caller.to(&caller.here(&format!("said=price&was={was}"))));
    }
    let completion = Completion { revision: checkout.revision(), total: now, rail: sent.rail.clone() };
    let done = match completed(checkout, completion, key(merchant, &sent.key)?).await {
        Ok(done) => done,
        Err(Error::Checkout(CheckoutError::Stale { .. } | CheckoutError::OtherTotal { .. })) => {
            return Ok(caller.to(&caller.here("said=changed")));
        }
        // Pressed twice: what the first one did is shown.
        Err(Error::Checkout(_) | Error::Refused(Refusal::KeyUsed | Refusal::Overtaken)) => {
            return Ok(caller.to(&caller.here("")));
        }
        Err(error) => return Err(error.into()),
    };
    if done.status() == Status::CompleteInProgress {
        return Ok(match done.continue_at().await? {
            // The script goes there by itself; a form that is sent plainly may not be led off this origin.
            Some(url) if caller.signed.is_some() => caller.to(url.as_str()),
            Some(_) => caller.to(&caller.here("go=1")),
            None => caller.to(&caller.here("")),
        });
    }
    Ok(caller.to(&caller.here("")))
}

fn key(merchant: &Merchant, text: &str) -> Result<IdempotencyKey, Problem> {
    text.parse().map_or_else(|_| new_key(merchant), Ok)
}

fn wish_text(lang: Lang, wish: firsthand::checkout::WishError) -> String {
    let german = match wish.code() {
        "checkout_empty" => "Es bliebe nichts zu bestellen.",
        "checkout_too_large" => "Das ist zu viel auf einmal.",
        _ => "Das ist zu lang oder kein einfacher Text.",
    };
    lang.say(&wish.to_string(), german).to_owned()
}

//! The merchant's side: pages and a JSON API for whoever runs the shop, behind the keys of operators.
//!
//! The pages are made here, need no script, and contact nobody else. What a page does and what the API does is one
//! function ([`acts`]), and each act is written to the log: who, what, which order, and nothing of a customer.

mod acts;
mod after;
pub(crate) mod api;
mod bank;
mod export;
mod history;
pub(crate) mod html;
mod multipart;
mod operators;
mod order;
mod orders;
mod outbox;
mod refunds;
mod stock;
mod transfers;
mod view;
mod words;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRequestParts, NestedPath, OriginalUri},
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use firsthand::{Merchant, rail::sepa::FILE_BYTES_MAX, time::UnixTime, trade::Shelf};
use http::{HeaderValue, StatusCode, Uri, header, request::Parts};
use url::form_urlencoded;

pub use self::operators::{KeyDigest, NotAKeyDigest, Operator, OperatorKey, Operators};
use self::{
    html::{Html, html},
    operators::{Door, Shown, guard},
    view::{Here, Trouble},
};
use crate::{lang::Lang, observe::named_at_least, problem::Problem, request_id::RequestId};

/// The largest form, in bytes.
const FORM_BYTES_MAX: usize = 16 * 1024;
/// The largest form with a statement of the bank, in bytes.
const STATEMENT_FORM_BYTES_MAX: usize = FILE_BYTES_MAX + 64 * 1024;
/// How many entries a page shows of a list that is to be worked off.
const LIST: usize = 100;
/// How much of what stands behind `?` goes along into another language.
const QUERY_MAX: usize = 8;

/// The looks of the pages. Everything to change is a property, under the names of the other pages.
const STYLE: &str = include_str!("web/office.css");

/// The merchant's pages, and the JSON API under `/api` beside them, to be mounted where the merchant likes:
/// `.nest_service("/merchant", firsthand_axum::merchant_pages(&merchant, operators))`. (`.nest` does as well, but for `/merchant/`
/// with the slash.) They answer all there is below, what is not there included.
///
/// Orders, with all that can be done about them, what is sent, taken back and withdrawn from after the sale included;
/// transfers that name no order; statements and files of the bank; money that goes back; webhooks that were not taken; the
/// orders of a period as CSV; and stock, if it is counted on a [shelf](BackOffice::shelf). In English and German, by what the
/// browser asks for. It needs no [`CustomerLayer`](crate::CustomerLayer), and minds none.
pub fn merchant_pages<S: Clone + Send + Sync + 'static>(merchant: &Merchant, operators: Operators) -> Router<S> {
    BackOffice::new(merchant, operators).routes()
}

/// The merchant's pages with what can be said about them: [`merchant_pages`] is this without.
///
/// A page of the merchant's own comes behind the same keys by [`guard`](Self::guard):
///
/// ```
/// use axum::{Router, routing::get};
/// use firsthand_axum::{BackOffice, Merchant, Operator, Operators};
///
/// fn app(merchant: &Merchant, operators: Operators) -> Router {
///     let office = BackOffice::new(merchant, operators).stylesheet("/shop.css");
///     let shelf = Router::new().route("/merchant/shelf", get(async |who: Operator| format!("Hello {}", who.name())));
///     Router::new().nest_service("/merchant", office.routes()).merge(office.guard(shelf))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct BackOffice {
    operators: Operators,
    office: Arc<Office>,
}

/// What every handler has.
#[derive(Clone, Debug)]
pub(crate) struct Office {
    merchant: Merchant,
    stylesheet: Option<String>,
    shelf: Option<Shelf>,
    beside: Vec<Beside>,
}

/// A page of the merchant's own that the pages here link to.
#[derive(Clone, Debug)]
struct Beside {
    path: String,
    english: String,
    german: String,
}

impl BackOffice {
    /// The pages of this merchant, for these operators.
    #[must_use]
    pub fn new(merchant: &Merchant, operators: Operators) -> Self {
        let office = Office { merchant: merchant.clone(), stylesheet: None, shelf: None, beside: Vec::new() };
        Self { operators, office: Arc::new(office) }
    }

    /// A page of the merchant's own, such as one behind the same keys ([`guard`](Self::guard)): its path on this origin, and
    /// its name in English and German. Each of the pages here links to it.
    #[must_use]
    pub fn beside(mut self, path: &str, english: &str, german: &str) -> Self {
        let page = Beside { path: path.to_owned(), english: english.to_owned(), german: german.to_owned() };
        Arc::make_mut(&mut self.office).beside.push(page);
        self
    }

    /// A style sheet of the shop's own behind ours: a path of this origin. It may set `--firsthand-accent` and the
    /// other properties that the shop's pages know.
    #[must_use]
    pub fn stylesheet(mut self, path: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.office).stylesheet = Some(path.into());
        self
    }

    /// Stock is counted here: the shelf that the shop's [`Trade`](firsthand::trade::Trade) sells from. With it there are the
    /// pages of stock and of what is held, and the same in the API.
    #[must_use]
    pub fn shelf(mut self, shelf: Shelf) -> Self {
        Arc::make_mut(&mut self.office).shelf = Some(shelf);
        self
    }

    /// The pages and the API, with a fallback of their own: an operator who has mistyped an address sees a page that says so.
    pub fn routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let pages = Router::new()
            .route("/", get(orders::today))
            .route("/orders", get(orders::list))
            .route("/orders.csv", get(export::page))
            .route("/orders/{id}", get(order::page).post(order::act))
            .route("/orders/{id}/acknowledgement", get(after::acknowledgement))
            .route("/transfers", get(transfers::page).post(transfers::act))
            .route("/refunds", get(refunds::page).post(refunds::act))
            .route("/bank", get(bank::page))
            .route("/bank/files", get(bank::page).post(bank::make))
            .route("/bank/files/{id}", get(bank::file))
            .route("/outbox", get(outbox::page).post(outbox::act))
            .route("/style.css", get(style))
            .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
            // A file is larger than a form.
            .merge(
                Router::new()
                    .route("/bank/statement", get(bank::page).post(bank::statement))
                    .layer(DefaultBodyLimit::max(STATEMENT_FORM_BYTES_MAX)),
            );
        let (mut pages, mut api) = (pages, api::routes());
        if self.office.shelf.is_some() {
            pages = pages.merge(stock::routes().layer(DefaultBodyLimit::max(FORM_BYTES_MAX)));
            api = api.merge(api::stock::routes());
        }
        let pages = pages.fallback(nowhere).method_not_allowed_fallback(not_so);
        let api = api.fallback(api::nowhere).method_not_allowed_fallback(api::not_so);
        let (pages, api) = (self.guarded(pages, Shown::Basic), self.guarded(api, Shown::Bearer));
        pages.merge(Router::new().nest("/api", api)).with_state(self.office.clone())
    }

    /// Puts pages of the merchant's own behind the same keys. Their handlers take [`Operator`] for who it is and for
    /// the tokens of forms; a form of another site is refused before it comes to them.
    pub fn guard<S: Clone + Send + Sync + 'static>(&self, pages: Router<S>) -> Router<S> {
        self.guarded(pages, Shown::Basic)
    }

    fn guarded<S: Clone + Send + Sync + 'static>(&self, routes: Router<S>, shown: Shown) -> Router<S> {
        let door = Door { merchant: self.office.merchant.clone(), operators: self.operators.clone(), shown };
        routes.layer(from_fn_with_state(door, guard)).layer(from_fn(named_at_least))
    }
}

/// Whoever is at a page, in their language, and where the pages are.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    merchant: Merchant,
    operator: Operator,
    lang: Lang,
    /// The language that the address names, to be carried on.
    chosen: Option<Lang>,
    /// The address of the page, to be shown in another language.
    address: Uri,
    mount: String,
    stylesheet: Option<String>,
    shelf: Option<Shelf>,
    beside: Vec<Beside>,
    /// What the request is called.
    request: Option<RequestId>,
}

impl FromRequestParts<Arc<Office>> for Desk {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, office: &Arc<Office>) -> Result<Self, Problem> {
        let operator = Operator::from_request_parts(parts, office).await?;
        let nested = NestedPath::from_request_parts(parts, office).await.ok();
        let address = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0).clone();
        let chosen = Lang::named(&address);
        Ok(Self {
            merchant: office.merchant.clone(),
            operator,
            lang: chosen.unwrap_or_else(|| Lang::of(&parts.headers)),
            chosen,
            address,
            mount: nested.map(|path| path.as_str().trim_end_matches('/').to_owned()).unwrap_or_default(),
            stylesheet: office.stylesheet.clone(),
            shelf: office.shelf.clone(),
            beside: office.beside.clone(),
            request: parts.extensions.get().cloned(),
        })
    }
}

impl Desk {
    /// One of two texts.
    const fn say(&self, en: &'static str, de: &'static str) -> &'static str {
        self.lang.say(en, de)
    }

    /// A moment, to the minute, by the clock of the shop.
    fn moment(&self, at: UnixTime) -> Html {
        let zone = self.merchant.time_zone();
        html!("<time datetime=\"{}\">{}</time>", zone.stamp(at), self.lang.moment(zone, at))
    }

    /// The address of one of these pages, by its path, such as `/orders`; empty for the first one. A language that somebody
    /// chose goes with it.
    fn href(&self, path: &str) -> String {
        self.href_with(path, &[])
    }

    /// The same with what stands behind `?`.
    fn href_with(&self, path: &str, query: &[(&str, &str)]) -> String {
        let path =
            if self.mount.is_empty() && path.is_empty() { "/".to_owned() } else { format!("{}{path}", self.mount) };
        let lang = self.chosen.map(|lang| ("lang", lang.tag()));
        let mut behind = form_urlencoded::Serializer::new(String::new());
        let behind = behind.extend_pairs(query.iter().copied().chain(lang)).finish();
        if behind.is_empty() { path } else { format!("{path}?{behind}") }
    }

    /// On to a page that says what was done: reloaded, it says it again and does nothing again.
    fn go(&self, path: &str, said: &str) -> Response {
        self.go_with(path, &[("said", said)])
    }

    /// The same with more behind `?`.
    fn go_with(&self, path: &str, query: &[(&str, &str)]) -> Response {
        let Ok(location) = HeaderValue::from_str(&self.href_with(path, query)) else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
    }

    /// The language that somebody chose, for a form that only looks: what stands behind `?` in its address is left out.
    fn lang_field(&self) -> Html {
        let tag = |lang: Lang| html!("<input type=\"hidden\" name=\"lang\" value=\"{}\">", lang.tag());
        self.chosen.map(tag).unwrap_or_default()
    }

    /// A link to this page in the other language, with all that its address says besides.
    fn language_switch(&self) -> Html {
        let (other, name) = match self.lang {
            Lang::En => (Lang::De, "Deutsch"),
            Lang::De => (Lang::En, "English"),
        };
        let asked = form_urlencoded::parse(self.address.query().unwrap_or_default().as_bytes());
        let kept = asked.take(QUERY_MAX).filter(|(name, _)| name != "lang");
        let mut query = form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(kept).append_pair("lang", other.tag()).finish();
        let address = format!("{}?{query}", self.address.path());
        html!(
            "<a class=\"language\" href=\"{}\" hreflang=\"{}\" lang=\"{}\">{}</a>",
            address,
            other.tag(),
            other.tag(),
            name
        )
    }

    /// A page.
    fn page(&self, here: Here, title: &str, said: &str, trouble: Option<&Trouble>, main: Html) -> Response {
        let notice = match trouble {
            Some(trouble) => Some(html!(
                "<p class=\"notice bad\" role=\"alert\">{}{}</p>",
                trouble.words(self.lang),
                // What is the shop's own fault stands in its log, under this name.
                self.request.as_ref().filter(|_| trouble.problem.status().is_server_error()).map(|request| html!(
                    " {} <code>{}</code>.",
                    self.say("In the log it is called", "Im Protokoll heißt es"),
                    request.as_str()
                ))
            )),
            None => words::done(said)
                .map(|words| html!("<p class=\"notice\" role=\"status\">{}</p>", self.say(words.0, words.1))),
        };
        let nav: Html = Here::ALL
            .into_iter()
            .filter(|place| self.shelf.is_some() || !place.needs_shelf())
            .map(|place| {
                let (path, words) = place.words();
                let current = if place == here { html!(" aria-current=\"page\"") } else { Html::default() };
                html!("<a href=\"{}\"{}>{}</a>", self.href(path), current, self.say(words.0, words.1))
            })
            .collect();
        let beside: Html = self
            .beside
            .iter()
            .map(|page| {
                let path = match self.chosen {
                    Some(lang) => format!("{}?lang={}", page.path, lang.tag()),
                    None => page.path.clone(),
                };
                html!("<a href=\"{}\">{}</a>", path, self.lang.say(&page.english, &page.german))
            })
            .collect();
        let theirs = self.stylesheet.as_ref().map(|path| html!("\n<link rel=\"stylesheet\" href=\"{}\">", path));
        let page = html!(
            "<!doctype html>
<html lang=\"{}\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta name=\"robots\" content=\"noindex\">
<title>{} · {}</title>
<link rel=\"stylesheet\" href=\"{}\">{}
</head>
<body>
<a class=\"skip\" href=\"#main\">{}</a>
<header><nav aria-label=\"{}\">{}{}{}</nav></header>
<main id=\"main\">
<h1>{}</h1>
{}{}
</main>
<footer><p>{} <strong>{}</strong></p></footer>
</body>
</html>
",
            self.lang.tag(),
            title,
            self.say("Office", "Kontor"),
            format!("{}/style.css", self.mount),
            theirs,
            self.say("To the content", "Zum Inhalt"),
            self.say("Office", "Kontor"),
            nav,
            beside,
            self.language_switch(),
            title,
            notice,
            main,
            self.say("Signed in:", "Angemeldet:"),
            self.operator.name(),
        );
        match trouble {
            Some(trouble) => trouble.problem.clone().into_page(page),
            None => page.into_response(),
        }
    }

    /// A page for what went wrong where there is nothing else to show.
    fn sorry(&self, here: Here, trouble: &Trouble) -> Response {
        let title = match trouble.problem.status() {
            StatusCode::NOT_FOUND => self.say("Not found", "Nicht gefunden"),
            _ => self.say("That did not work", "Das hat nicht geklappt"),
        };
        self.page(here, title, "", Some(trouble), Html::default())
    }
}

/// An address that no page has.
async fn nowhere(desk: Desk) -> Response {
    desk.sorry(Here::Today, &Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such page").into())
}

/// A page that is not asked for in that way.
async fn not_so(desk: Desk) -> Response {
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this page takes other methods");
    desk.sorry(Here::Today, &problem.into())
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"))], STYLE).into_response()
}

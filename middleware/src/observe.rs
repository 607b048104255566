//! What is seen of each request: a span in the log, counts for the metrics, and its name.
//!
//! None of it holds what a stranger wrote: not the path but the template of the route, not the method but one of nine words,
//! no query, no header, no body.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::{
    body::Body,
    extract::{MatchedPath, Request},
    middleware::Next,
    response::Response,
};
use firsthand::metrics::{Calls, Dropped, Label, Text, labels};
use http::{Method, StatusCode, header};
use tracing::{Instrument, Span, field};

use crate::{
    problem::{PROBLEM_JSON, Problem},
    request_id::{RequestId, RequestIds, X_REQUEST_ID},
};

/// How many routes are counted by name: more than any program has. What comes later counts as other.
const ROUTES_MAX: usize = 1_024;
/// How many codes of problems are counted by name. They are constants of the program.
const CODES_MAX: usize = 1_024;
/// What a request counts as that no route of the program took.
const NO_ROUTE: &str = "none";

/// What one layer, and its clones, have served.
#[derive(Debug, Default)]
pub(crate) struct Served {
    routes: RwLock<HashMap<Box<str>, Arc<Route>>>,
    problems: RwLock<HashMap<&'static str, Arc<AtomicU64>>>,
    begun: AtomicU64,
}

/// What one route has served.
#[derive(Debug, Default)]
struct Route {
    calls: Calls<Verb, Class>,
}

impl Served {
    /// Serves one request, and sees what becomes of it.
    pub(crate) async fn see<F>(&self, ids: &RequestIds, request: Request, serve: impl FnOnce(Request) -> F) -> Response
    where
        F: Future<Output = Response> + Send,
    {
        let (mut parts, body) = request.into_parts();
        let id = ids.of(&parts);
        let matched = parts.extensions.get::<MatchedPath>();
        let (route, inner_route);
        route = self.route(matched.map_or(NO_ROUTE, MatchedPath::as_str));
        let (is_known, span, verb) = (matched.is_some(), span(&parts, &id), Verb::of(&parts.method));
        parts.extensions.insert(id.clone());
        self.begun.fetch_add(1, Ordering::Relaxed);
        let mut call = route.calls.begins(verb);
        let mut response = serve(Request::from_parts(parts, body)).instrument(span.clone()).await;
        // Routes behind a service of their own are found further inside.
        if let Some(inner) = response.extensions().get::<MatchedPath>().filter(|_| !is_known) {
            span.record("route", inner.as_str());
            inner_route = self.route(inner.as_str());
            call.belongs_to(&inner_route.calls);
        }
        let code = stamp(&id, &mut response);
        if let Some(code) = code {
            self.problem(code);
        }
        say(&span, &response, code, call.begun());
        call.ended(Class::of(response.status()));
        response
    }

    /// The counts of a route, by its template.
    fn route(&self, template: &str) -> Arc<Route> {
        if let Some(route) = self.routes.read().unwrap_or_else(PoisonError::into_inner).get(template) {
            return route.clone();
        }
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let template = if routes.len() < ROUTES_MAX { template } else { "other" };
        routes.entry(template.into()).or_default().clone()
    }

    fn problem(&self, code: &'static str) {
        if let Some(count) = self.problems.read().unwrap_or_else(PoisonError::into_inner).get(code) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut problems = self.problems.write().unwrap_or_else(PoisonError::into_inner);
        let code = if problems.len() < CODES_MAX { code } else { "other" };
        problems.entry(code).or_default().fetch_add(1, Ordering::Relaxed);
    }

    /// Appends what was served to the text that Prometheus reads.
    pub(crate) fn write(&self, text: &mut Text) {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        let mut routes: Vec<(&str, &Route)> = routes.iter().map(|(name, route)| (&**name, &**route)).collect();
        routes.sort_unstable_by_key(|(name, _)| *name);
        let what = "Requests by route, method and class of the answer's status.";
        let mut requests = text.counter("firsthand_http_requests_total", what);
        let mut ended = 0;
        for (route, Route { calls }) in &routes {
            for (method, status, count) in calls.ended() {
                requests.sample(&[("route", *route), ("method", method), ("status", status)], count);
                ended += count;
            }
        }
        let what = "How long it took until an answer began, by route and method.";
        let mut times = text.histogram("firsthand_http_request_seconds", what);
        for (route, Route { calls }) in &routes {
            for (method, took) in calls.took() {
                times.timings(&[("route", *route), ("method", method)], took);
            }
        }
        let mut under_way = text.gauge("firsthand_http_requests_under_way", "Requests that are being answered.");
        under_way.sample(&[], self.begun.load(Ordering::Relaxed).saturating_sub(ended));
        let problems = self.problems.read().unwrap_or_else(PoisonError::into_inner);
        let mut problems: Vec<(&str, u64)> =
            problems.iter().map(|(code, count)| (*code, count.load(Ordering::Relaxed))).collect();
        problems.sort_unstable();
        let mut counted = text.counter("firsthand_problems_total", "Refusals and failures, by their code.");
        for (code, count) in problems {
            counted.sample(&[("code", code)], count);
        }
    }
}

/// A request outside of the customer layer has a name and a span all the same; to the layer it is told which route it took.
pub(crate) async fn named_at_least(request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    if parts.extensions.get::<RequestId>().is_some() {
        let matched = parts.extensions.get::<MatchedPath>().cloned();
        let mut response = next.run(Request::from_parts(parts, body)).await;
        if let Some(matched) = matched {
            response.extensions_mut().insert(matched);
        }
        return response;
    }
    let (id, begun) = (RequestId::new(), Instant::now());
    let span = span(&parts, &id);
    parts.extensions.insert(id.clone());
    let mut response = next.run(Request::from_parts(parts, body)).instrument(span.clone()).await;
    let code = stamp(&id, &mut response);
    say(&span, &response, code, begun);
    response
}

fn span(parts: &http::request::Parts, id: &RequestId) -> Span {
    tracing::info_span!(
        "request",
        request_id = id.as_str(),
        method = Verb::of(&parts.method).name(),
        route = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str),
        status = field::Empty,
        code = field::Empty,
    )
}

/// Writes the name of a request into its answer; says which problem it is, if it is one.
fn stamp(id: &RequestId, response: &mut Response) -> Option<&'static str> {
    if let Some(value) = id.header() {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    let problem = response.extensions_mut().remove::<Problem>()?.of_request(id);
    let code = problem.code();
    // Whoever made a page of it, or compressed it, has a body of their own.
    let headers = response.headers();
    let is_ours = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM_JSON)
        && !headers.contains_key(header::CONTENT_ENCODING);
    if is_ours {
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(problem.body());
    }
    response.extensions_mut().insert(problem);
    Some(code)
}

fn say(span: &Span, response: &Response, code: Option<&'static str>, begun: Instant) {
    let status = response.status().as_u16();
    span.record("status", status);
    if let Some(code) = code {
        span.record("code", code);
    }
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::debug!(status, code, took_ms, "answered"));
}

labels! {
    /// A method: whatever a stranger invents is another.
    enum Verb {
        Get => "get",
        Head => "head",
        Post => "post",
        Put => "put",
        Delete => "delete",
        Patch => "patch",
        Options => "options",
        Other => "other",
    }
}

impl Verb {
    fn of(method: &Method) -> Self {
        match *method {
            Method::GET => Self::Get,
            Method::HEAD => Self::Head,
            Method::POST => Self::Post,
            Method::PUT => Self::Put,
            Method::DELETE => Self::Delete,
            Method::PATCH => Self::Patch,
            Method::OPTIONS => Self::Options,
            _ => Self::Other,
        }
    }
}

labels! {
    /// A class of answers.
    enum Class {
        Informational => "1xx",
        Success => "2xx",
        Redirection => "3xx",
        ClientError => "4xx",
        ServerError => "5xx",
        /// Whoever asked went away.
        Dropped => "dropped",
    }
}

impl Class {
    fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            ..200 => Self::Informational,
            200..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }
}

impl Dropped for Class {
    const DROPPED: Self = Self::Dropped;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_counts_under_its_own_name() {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            assert_eq!(Verb::of(&method.parse().unwrap()).name(), method.to_lowercase());
        }
        assert_eq!(Verb::of(&"BREW".parse().unwrap()).name(), "other");
        for (status, class) in [(101, "1xx"), (204, "2xx"), (304, "3xx"), (404, "4xx"), (599, "5xx"), (999, "5xx")] {
            assert_eq!(Class::of(StatusCode::from_u16(status).unwrap()).name(), class, "{status}");
        }
    }

    #[test]
    fn what_is_counted_by_name_has_an_end() {
        let served = Served::default();
        for number in 0..2 * ROUTES_MAX {
            served.route(&format!("/{number}"));
        }
        assert_eq!(served.routes.read().unwrap().len(), ROUTES_MAX + 1);
    }
}

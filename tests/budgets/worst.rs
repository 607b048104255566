//! The worst that a request can hold.

use bytes::Bytes;
use firsthand::{
    Device,
    protocol::jose::{base64url_encode, encrypt},
    rail::sepa::FILE_BYTES_MAX,
    testing::wallet::Fault,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::{
    made_statements::{Camt, Detail, Entry},
    place::{IBAN, Place, Sent, Walk},
};

/// What is no header of a walk any more.
pub const LONG: usize = 3_000;
/// About as much as an HTTP server reads of all headers.
const HEADERS: usize = 300_000;
/// About as much as it reads of an address.
const ADDRESS: usize = 60_000;

/// What grows when it is repeated, and what it begins and ends with.
fn filled(before: &str, part: &str, after: &str, size: usize) -> String {
    let room = size.saturating_sub(before.len() + after.len());
    format!("{before}{}{after}", part.repeat(room / part.len()))
}

/// The request with one header, its query or a name as long as can be.
pub fn heads(well: &Sent) -> Vec<(String, Sent)> {
    let mut all = Vec::new();
    let deep = base64url_encode(filled("{\"typ\":\"dpop+jwt\",\"jwk\":", "[", "", 4_000).as_bytes());
    let wide = base64url_encode(filled("{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\"", ",\"a\":0", "}", 5_000).as_bytes());
    let claims = base64url_encode(filled("{\"jti\":\"a\"", ",\"b\":[]", "}", 2_500).as_bytes());
    let headers = [
        ("dpop", format!("{deep}.{deep}.")),
        ("dpop", format!("{wide}.{claims}.AAAA")),
        ("dpop", filled("", "e30.", "e30", HEADERS)),
        ("authorization", filled("DPoP ", "A", "", HEADERS)),
        ("authorization", filled("Bearer ", "A", "", HEADERS)),
        ("cookie", filled("", "__Host-firsthand=A.A; ", "", HEADERS)),
        ("accept-language", filled("", "de;q=0.1,", "en", HEADERS)),
        ("accept", filled("", "a/b;q=0.1,", "*/*", HEADERS)),
        ("if-none-match", filled("", "\"a\",", "\"a\"", HEADERS)),
        ("if-match", filled("", "\"1\",", "\"1\"", HEADERS)),
        ("idempotency-key", filled("", "k", "", HEADERS)),
        ("user-agent", filled("", "Firefox/1.0 (", "", HEADERS)),
        ("origin", filled("https://", "a.", "example", HEADERS)),
        ("secure-session-response", filled("\"", "e30.", "\"", HEADERS)),
        ("oauth-client-attestation", filled("", "e30.", "e30", HEADERS)),
        ("x-forwarded-for", filled("", "10.0.0.1,", "::1", HEADERS)),
        ("traceparent", filled("", "00-", "", HEADERS)),
        ("x-request-id", filled("", "a", "", HEADERS)),
    ];
    for (name, value) in headers {
        let mut sent = well.clone();
        sent.headers.insert(HeaderName::from_static(name), HeaderValue::try_from(&value).unwrap());
        all.push((format!("{name} of {} bytes", value.len()), sent));
    }
    let path = well.uri.path();
    let known = well.uri.query().map_or(String::new(), |query| format!("{query}&"));
    let queries =
        [("many parts", "a=1&"), ("escapes", "%61%3D"), ("no end", "client_id"), ("dates", "from=2026-01-01&")];
    for (what, part) in queries {
        let uri = filled(&format!("{path}?{known}"), part, "", ADDRESS);
        all.push((format!("a query with {what}"), Sent { uri: uri.parse::<Uri>().unwrap(), ..well.clone() }));
    }
    let (before, last) = path.rsplit_once('/').unwrap();
    for part in ["a", "%2F", "%F0%9F%98%80"] {
        let uri = filled(&format!("{before}/{last}"), part, "", ADDRESS);
        all.push((format!("a name of {part}"), Sent { uri: uri.parse::<Uri>().unwrap(), ..well.clone() }));
    }
    all
}

/// Bodies of this size; `well` is one that is taken.
pub fn bodies(kind: &str, well: &Bytes, size: usize) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut add = |what: &str, body: String| all.push((what.to_owned(), body));
    let json = |before: &str, after: &str| {
        let fill = |part: &str, end: &str| filled(before, part, &format!("{end}{after}"), size);
        vec![
            ("JSON nested in arrays", filled(before, "[", "", size)),
            ("JSON nested in objects", filled(before, "{\"a\":", "", size)),
            ("JSON of many objects", fill_list(before, "{\"\":0},", "0", after, size)),
            ("JSON of many arrays", fill_list(before, "[],", "0", after, size)),
            ("JSON of many numbers", fill_list(before, "0,", "0", after, size)),
            ("JSON of a long number", fill("9", "")),
            ("JSON of a long string", filled(&format!("{before}\""), "a", &format!("\"{after}"), size)),
            (
                "JSON of a string of escapes",
                filled(&format!("{before}\""), "\\ud83d\\ude00", &format!("\"{after}"), size),
            ),
        ]
    };
    if kind.contains("json") || kind == "*/*" {
        for (what, body) in json("", "") {
            add(what, body);
        }
        let mut keys = String::from("{");
        for number in 0.. {
            let next = format!("\"{number:x}\":0,");
            if keys.len() + next.len() + 8 > size {
                break;
            }
            keys += &next;
        }
        add("JSON of many members", format!("{keys}\"a\":0}}"));
        // One member of a body that is taken, in every shape.
        let members: Value = serde_json::from_slice(well).unwrap_or_default();
        for (name, member) in members.as_object().into_iter().flatten() {
            let mut others = members.clone();
            others.as_object_mut().unwrap().remove(name);
            let others = others.to_string();
            let open = others.trim_end_matches('}');
            let comma = if open == "{" { "" } else { "," };
            let before = format!("{open}{comma}{}:", json!(name));
            for (what, body) in json(&before, "}") {
                add(&format!("{what} in {name}"), body);
            }
            if let Some(first) = member.as_array().and_then(|items| items.first()) {
                let body = fill_list(&before, &format!("{first},"), &first.to_string(), "}", size);
                add(&format!("{name} many times over"), body);
            }
            if let Some(text) = member.as_str() {
                let body = filled(&format!("{before}\""), text, "\"}", size);
                add(&format!("the text of {name} many times over"), body);
                add(&format!("parts of a JWS in {name}"), filled(&format!("{before}\""), "e30.", "\"}", size));
                let tail = filled(&format!("{before}\"{text}"), "~WyJh", "\"}", size);
                add(&format!("disclosures behind {name}"), tail);
            }
        }
    }
    if kind.contains("form") || kind == "*/*" {
        add("a form of many fields", filled("", "a=1&", "", size));
        add("a form of empty fields", filled("", "&", "", size));
        add("a form of escapes", filled("a=", "%F0%9F%98%80", "", size));
        let fields: Vec<(String, String)> = form_urlencoded::parse(well).into_owned().collect();
        for (name, value) in &fields {
            let others = fields.iter().filter(|(other, _)| other != name);
            let others = form_urlencoded::Serializer::new(String::new()).extend_pairs(others).finish();
            let encoded: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
            for (what, part) in [("parts of a JWS", "e30."), ("objects", "{\"\":0},"), ("arrays", "["), ("tildes", "~")]
            {
                add(&format!("{what} in {name}"), filled(&format!("{others}&{name}="), part, "", size));
            }
            add(
                &format!("{name} many times over"),
                filled(&format!("{others}&"), &format!("{name}={encoded}&"), "", size),
            );
        }
    }
    if kind == "*/*" {
        add("XML nested", filled("<?xml version=\"1.0\"?>", "<a>", "", size));
        add("XML of many elements", filled("<?xml version=\"1.0\"?><a>", "<b/>", "</a>", size));
        add("XML of many attributes", filled("<?xml version=\"1.0\"?><a", " b=\"\"", "/>", size));
        add("XML of entities", filled("<?xml version=\"1.0\"?><a>", "&amp;", "</a>", size));
        let bomb = "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY b \"bbbbbbbb\"><!ENTITY c \"&b;&b;&b;&b;\">]><a>";
        add("XML with a bomb", filled(bomb, "&c;", "</a>", size));
    }
    all.into_iter().map(|(what, body)| (what, body.into_bytes())).collect()
}

fn fill_list(before: &str, part: &str, last: &str, after: &str, size: usize) -> String {
    filled(&format!("{before}["), part, &format!("{last}]{after}"), size)
}

/// What a wallet sends encrypted, for a question that is open.
pub async fn answers(place: &std::sync::Arc<Place>) -> Vec<(String, Sent)> {
    let mut all = Vec::new();
    let shop = place.shop.clone();
    let mut number = 0;
    loop {
        let mut browser = Walk::new(place, None).browser();
        let asking = browser.ask("age", Device::SameDevice).await;
        let request = browser.wallet_reads(&asking).await;
        let wallet = &shop.persona("adult").wallet;
        let choice = wallet.choose(&request).unwrap();
        let plain = wallet.answer(&request, &choice, &[Fault::PlainAnswer], shop.clock()).unwrap();
        let field = |name: &str| {
            form_urlencoded::parse(plain.as_bytes())
                .find(|(known, _)| known == name)
                .map(|(_, value)| value.into_owned())
        };
        let token: Value = serde_json::from_str(&field("vp_token").unwrap()).unwrap();
        let (query, shown) = token.as_object().unwrap().iter().next().unwrap();
        let shown = shown[0].as_str().unwrap();
        let room = 170_000;
        let with = |token: &str| format!("{{\"vp_token\":{token},\"state\":{}}}", json!(request.state));
        let (credential, proof) = shown.rsplit_once('~').unwrap();
        let disclosures = |count: usize| -> String {
            (0..count).map(|n| format!("~{}", base64url_encode(format!("[\"s\",\"c{n}\",[]]").as_bytes()))).collect()
        };
        let sd_jwt = |count: usize| {
            let text = format!("{credential}{}~{proof}", disclosures(count));
            with(&json!({ query.as_str(): [text] }).to_string())
        };
        let many = |count: usize| with(&json!({ query.as_str(): vec![shown; count] }).to_string());
        let cases = [
            ("SD-JWT with 240 more disclosures", sd_jwt(240)),
            ("SD-JWT with as many disclosures as fit", sd_jwt(room / 24)),
            ("16 presentations", many(16)),
            ("as many presentations as fit", many(room / shown.len())),
            ("JSON of many objects", with(&fill_list("", "{\"\":0},", "0", "", room))),
            ("JSON of many arrays", with(&fill_list("", "[],", "0", "", room))),
            ("JSON nested", filled("{\"vp_token\":", "[", "", room)),
            (
                "a long disclosure",
                with(&json!({ query.as_str(): [format!("{credential}~{}~{proof}", "W".repeat(room))] }).to_string()),
            ),
            (
                "an mdoc of nested CBOR",
                with(&json!({ query.as_str(): [base64url_encode(&vec![0x81; room / 4 * 3])] }).to_string()),
            ),
            (
                "an mdoc of many integers",
                with(&json!({ query.as_str(): [base64url_encode(&integers(room / 4 * 3))] }).to_string()),
            ),
        ];
        let Some((what, payload)) = cases.into_iter().nth(number) else { return all };
        let Some((key, enc)) = &request.encryption else { return all };
        let response = encrypt(payload.as_bytes(), key, *enc).unwrap();
        let body = form_urlencoded::Serializer::new(String::new()).append_pair("response", &response).finish();
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
        let uri = request.response_uri.path().parse().unwrap();
        all.push((format!("encrypted: {what}"), Sent { method: Method::POST, uri, headers, body: body.into() }));
        number += 1;
    }
}

/// An array of as many integers as it has bytes.
fn integers(bytes: usize) -> Vec<u8> {
    let count = u32::try_from(bytes - 5).unwrap();
    [&[0x9a][..], &count.to_be_bytes(), &vec![1; bytes - 5]].concat()
}

/// Files of a bank that are as large as they may be.
pub fn statements(place: &Place) -> Vec<(String, Sent)> {
    let one = Camt::statement(IBAN, vec![Entry::credit("0.01", "A", Detail::saying("Tee"))]).xml();
    let empty = Camt::statement(IBAN, vec![]).xml();
    let each = one.len() - empty.len();
    let entries = |count: usize| {
        (0..count).map(|number| Entry::credit("0.01", &format!("A{number}"), Detail::saying("Tee"))).collect()
    };
    let mut headers = HeaderMap::new();
    let key = format!("Bearer {}", place.anna.reveal());
    headers.insert("authorization", HeaderValue::try_from(key).unwrap());
    headers.insert("content-type", HeaderValue::from_static("application/xml"));
    let uri: Uri = "/merchant/api/statements".parse().unwrap();
    let count = (FILE_BYTES_MAX - empty.len()) / (each + 8);
    [100, 1_000, count]
        .map(|count| {
            let body = Camt::statement(IBAN, entries(count)).xml().into_bytes().into();
            let sent = Sent { method: Method::POST, uri: uri.clone(), headers: headers.clone(), body };
            (format!("{count} payments in a file"), sent)
        })
        .into()
}

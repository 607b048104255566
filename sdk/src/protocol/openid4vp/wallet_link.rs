//! The link that opens a wallet (OpenID4VP 1.0, 5.4).

use serde_json::Value;
use url::{Host, Url};

use super::{ClientId, RequestError, RequestObject};

/// The parameters that a request has, by reference or by value: an endpoint that brings one would ask in our name.
const OURS: [&str; 13] = [
    "client_id",
    "client_metadata",
    "dcql_query",
    "nonce",
    "request",
    "request_uri",
    "request_uri_method",
    "response_mode",
    "response_type",
    "response_uri",
    "state",
    "transaction_data",
    "verifier_info",
];

/// The link that opens a wallet: `endpoint?client_id=..&request_uri=..[&request_uri_method=post]` (5.4). As a QR code
/// it opens a wallet on another device.
///
/// `endpoint` is a wallet's authorization endpoint: a scheme of its own (`openid4vp://`, `haip-vp://`) or an https
/// address, with or without a query. `post` lets the wallet fetch the request by POST with a nonce of its own.
///
/// # Errors
///
/// If `endpoint` is no such address: a link that runs a script, reads a file or crosses the network in clear is none.
/// http is left to loopback addresses, where a wallet for development listens.
pub fn wallet_link(
    endpoint: &str,
    client_id: &ClientId,
    request_uri: &Url,
    post: bool,
) -> Result<String, RequestError> {
    let mut link = endpoint_url(endpoint)?;
    {
        let mut query = link.query_pairs_mut();
        query.append_pair("client_id", client_id.as_str());
        query.append_pair("request_uri", request_uri.as_str());
        if post {
            query.append_pair("request_uri_method", "post");
        }
    }
    Ok(link.into())
}

/// The link that holds the whole request, which nobody signs: for a [`Prefix::RedirectUri`](super::Prefix::RedirectUri).
/// Parameters that are objects or arrays are their JSON (5.1).
///
/// # Errors
///
/// As [`wallet_link`].
pub fn wallet_link_by_value(endpoint: &str, request: &RequestObject<'_>) -> Result<String, RequestError> {
    let mut link = endpoint_url(endpoint)?;
    {
        let mut query = link.query_pairs_mut();
        for (name, value) in request.parameters() {
            match value {
                Value::String(text) => query.append_pair(&name, &text),
                value => query.append_pair(&name, &value.to_string()),
            };
        }
    }
    Ok(link.into())
}

/// A wallet's authorization endpoint, fit for a link.
fn endpoint_url(endpoint: &str) -> Result<Url, RequestError> {
    let refuse = |reason| RequestError::Endpoint { reason };
    let link = Url::parse(endpoint).map_err(|_| refuse("it is no URL"))?;
    match link.scheme() {
        "https" => {}
        "http" if is_loopback(&link) => {}
        "http" | "ws" | "wss" | "ftp" | "file" | "about" | "blob" | "data" | "javascript" | "vbscript" => {
            return Err(refuse("its scheme opens no wallet"));
        }
        _ => {}
    }
    if link.fragment().is_some() {
        return Err(refuse("it has a fragment"));
    }
    if !link.username().is_empty() || link.password().is_some() {
        return Err(refuse("it has a user name"));
    }
    if link.query_pairs().any(|(name, _)| OURS.contains(&name.as_ref())) {
        return Err(refuse("its query has a parameter of the request"));
    }
    Ok(link)
}

pub(in crate::protocol) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_opens_a_wallet_and_nothing_else() {
        let client_id = ClientId::x509_san_dns("shop.example");
        let request_uri = Url::parse("https://shop.example/wallet/request/p1").unwrap();
        let link = |endpoint: &str, post| wallet_link(endpoint, &client_id, &request_uri, post).map_err(|e| e.code());
        let query =
            "client_id=x509_san_dns%3Ashop.example&request_uri=https%3A%2F%2Fshop.example%2Fwallet%2Frequest%2Fp1";
        assert_eq!(link("openid4vp://", false), Ok(format!("openid4vp://?{query}")));
        assert_eq!(link("openid4vp:", false), Ok(format!("openid4vp:?{query}")));
        assert_eq!(
            link("haip-vp://authorize", true),
            Ok(format!("haip-vp://authorize?{query}&request_uri_method=post"))
        );
        assert_eq!(
            link("https://wallet.example/open?lang=de", false),
            Ok(format!("https://wallet.example/open?lang=de&{query}"))
        );
        assert_eq!(link("https://wallet.example", false), Ok(format!("https://wallet.example/?{query}")));
        assert!(link("http://localhost:8080/_dev/wallet", false).is_ok());
        assert!(link("http://127.0.0.1:8080/_dev/wallet", false).is_ok());
        for refused in [
            "",
            "wallet",
            "//wallet.example",
            "http://wallet.example",
            "http://localhost.wallet.example",
            "javascript:alert(1)//",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "https://wallet.example/#x",
            "https://user:pass@wallet.example/",
            "https://wallet.example/?client_id=x",
            "openid4vp://?request_uri=https://evil.example",
        ] {
            assert_eq!(link(refused, false), Err("wallet_endpoint"), "{refused}");
        }
    }
}

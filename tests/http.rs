//! The whole shop through its router, as browsers and wallets see it: no socket, no sleep, the time moved by hand.

#[path = "http/after_sale.rs"]
mod after_sale;
#[path = "http/answers.rs"]
mod answers;
#[path = "http/card_mdoc.rs"]
mod card_mdoc;
#[path = "http/checkout_cookie.rs"]
mod checkout_cookie;
#[path = "http/checkout_mend.rs"]
mod checkout_mend;
#[path = "http/checkout_order.rs"]
mod checkout_order;
#[path = "http/checkout_page.rs"]
mod checkout_page;
#[path = "http/checkouts.rs"]
mod checkouts;
#[path = "http/cookie.rs"]
mod cookie;
#[path = "http/crash.rs"]
mod crash;
#[path = "http/dc_api.rs"]
mod dc_api;
#[path = "http/dc_mdoc.rs"]
mod dc_mdoc;
#[path = "http/dids.rs"]
mod dids;
#[path = "http/discount_words.rs"]
mod discount_words;
#[path = "http/events.rs"]
mod events;
#[path = "http/haip.rs"]
mod haip;
#[path = "http/identities.rs"]
mod identities;
#[path = "http/issuer.rs"]
mod issuer;
#[path = "http/layer.rs"]
mod layer;
#[path = "http/limits.rs"]
mod limits;
#[path = "http/logs.rs"]
mod logs;
#[path = "support/statements.rs"]
mod made_statements;
#[path = "http/mdoc.rs"]
mod mdoc;
#[path = "http/meetings.rs"]
mod meetings;
#[path = "http/merchant_pages.rs"]
mod merchant_pages;
#[path = "http/one_tap.rs"]
mod one_tap;
#[path = "http/operations.rs"]
mod operations;
#[path = "http/orders.rs"]
mod orders;
#[path = "http/passkeys.rs"]
mod passkeys;
#[path = "http/payments.rs"]
mod payments;
#[path = "http/privacy.rs"]
mod privacy;
#[path = "http/probe.rs"]
mod probe;
#[path = "http/proofs.rs"]
mod proofs;
#[path = "support/psp.rs"]
mod provider;
#[path = "http/psp.rs"]
mod psp;
#[path = "http/receipts.rs"]
mod receipts;
#[path = "http/redeem.rs"]
mod redeem;
#[path = "http/requests.rs"]
mod requests;
#[path = "http/require.rs"]
mod require;
#[path = "http/restored.rs"]
mod restored;
#[path = "http/routes.rs"]
mod routes;
#[path = "http/seen.rs"]
mod seen;
#[path = "http/sessions.rs"]
mod sessions;
#[path = "http/setting.rs"]
mod setting;
#[path = "http/slept.rs"]
mod slept;
#[path = "http/statements.rs"]
mod statements;
#[path = "http/status.rs"]
mod status;
#[path = "http/till.rs"]
mod till;
#[path = "http/together.rs"]
mod together;
#[path = "http/trust.rs"]
mod trust;
#[path = "http/unlinkable.rs"]
mod unlinkable;
#[cfg(feature = "w3c")]
#[path = "http/w3c.rs"]
mod w3c;
#[path = "http/webhooks.rs"]
mod webhooks;
#[path = "support/xmllint.rs"]
mod xmllint;

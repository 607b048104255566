//! The browser side as it is served: the modules, the style sheet, and six small pages (return, shell, post and consent here,
//! call and join in [`meet`]).
//!
//! Pure functions from words to HTML. A page contacts nobody else, carries no script or style of its own, and holds
//! nothing about the customer, so that one text serves everybody who speaks the language; the page that asks for consent
//! names the wallet besides. What depends on the visitor happens in the scripts, which find out by `data-firsthand-page`
//! where they are.

use std::sync::LazyLock;

use crate::lang::Lang;

pub(crate) mod meet;

/// `firsthand.js` as it is written, one ES module.
const SOURCE: &str = include_str!("web/firsthand.js");

/// [`SOURCE`] as it is sent: its comments are a fifth of what would travel, and tell a browser nothing. Empty lines take
/// their place, so that the numbers of the lines in a browser's tools are those of the source.
pub(crate) static SCRIPT: LazyLock<String> = LazyLock::new(|| without_comments(SOURCE));

/// `account.js` as it is written, one ES module beside `firsthand.js`.
const ACCOUNT_SOURCE: &str = include_str!("web/account.js");

/// [`ACCOUNT_SOURCE`] as it is sent.
pub(crate) static ACCOUNT_SCRIPT: LazyLock<String> = LazyLock::new(|| without_comments(ACCOUNT_SOURCE));

/// `dc.js` as it is written, which `firsthand.js` loads where a browser has a way of its own to wallets.
const DC_SOURCE: &str = include_str!("web/dc.js");

/// [`DC_SOURCE`] as it is sent.
pub(crate) static DC_SCRIPT: LazyLock<String> = LazyLock::new(|| without_comments(DC_SOURCE));

/// `page.css`, the looks of the six pages.
pub(crate) const STYLE: &str = include_str!("web/page.css");

/// Content Security Policy of all our pages but the shell. That one carries the merchant's instead: the page
/// that takes its place runs under the policy of the shell, since a document keeps the one it came with.
pub(crate) const PAGE_CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types firsthand";

/// `ETag` of [`SCRIPT`], quotes included.
pub(crate) fn script_etag() -> String {
    static TAG: LazyLock<u64> = LazyLock::new(|| fingerprint(SCRIPT.as_bytes()));
    format!("\"{:016x}\"", *TAG)
}

/// `ETag` of [`ACCOUNT_SCRIPT`], quotes included.
pub(crate) fn account_script_etag() -> String {
    static TAG: LazyLock<u64> = LazyLock::new(|| fingerprint(ACCOUNT_SCRIPT.as_bytes()));
    format!("\"{:016x}\"", *TAG)
}

/// `ETag` of [`DC_SCRIPT`], quotes included.
pub(crate) fn dc_script_etag() -> String {
    static TAG: LazyLock<u64> = LazyLock::new(|| fingerprint(DC_SCRIPT.as_bytes()));
    format!("\"{:016x}\"", *TAG)
}

/// `ETag` of [`STYLE`], quotes included.
pub(crate) fn style_etag() -> String {
    const TAG: u64 = fingerprint(STYLE.as_bytes());
    format!("\"{TAG:016x}\"")
}

/// `ETag` of another file of ours, quotes included.
pub(crate) fn etag_of(text: &str) -> String {
    format!("\"{:016x}\"", fingerprint(text.as_bytes()))
}

/// The page to which a wallet brings the customer back, at `{mount}/return/{presentation}`.
///
/// Static: it is the same for every presentation. The address holds a secret in its fragment, which the script clears
/// first of all; the page sends no referrer. It speaks both languages until the script, which knows the customer's own,
/// takes over.
pub(crate) fn return_page(mount: &str, lang: Lang) -> String {
    let (title, noscript) = match lang {
        Lang::En => (
            "One moment …",
            "Please switch JavaScript on and load this page again: the shop takes the answer of your wallet with it.",
        ),
        Lang::De => (
            "Einen Moment …",
            "Bitte schalten Sie JavaScript ein und laden Sie diese Seite neu: Damit nimmt der Shop die Antwort Ihrer Wallet entgegen.",
        ),
    };
    page(&Page {
        mount,
        lang,
        kind: "return",
        title,
        text: None,
        ask: None,
        panel: None,
        noscript,
        busy: true,
        stylesheet: None,
    })
}

/// The page that stands in for one that only a customer sees, when the browser asked for it without a proof: a reload, a
/// bookmark, a typed address. The script signs, fetches the same address, and puts the answer in its place.
pub(crate) fn shell_page(mount: &str, lang: Lang) -> String {
    shell_page_styled(mount, lang, None)
}

/// [`shell_page`] with the merchant's own style sheet after ours: a URL or path, which has to fit the merchant's policy.
pub(crate) fn shell_page_styled(mount: &str, lang: Lang, stylesheet: Option<&str>) -> String {
    let (title, noscript) = match lang {
        Lang::En => (
            "Loading …",
            "This page is for customers whom the shop knows. It recognises you without a cookie and needs JavaScript for that.",
        ),
        Lang::De => (
            "Wird geladen …",
            "Diese Seite ist für Kundinnen und Kunden, die der Shop kennt. Er erkennt Sie ohne Cookie und braucht dafür JavaScript.",
        ),
    };
    page(&Page {
        mount,
        lang,
        kind: "shell",
        title,
        text: None,
        ask: None,
        panel: None,
        noscript,
        busy: true,
        stylesheet,
    })
}

/// The page for a form that the browser sent without a proof (401): nothing has been done, and this is how to go on.
///
/// It has the button for `ask`, if the target of the form requires one.
pub(crate) fn post_page_asking(mount: &str, lang: Lang, ask: Option<&str>) -> String {
    let (title, text, noscript) = match (lang, ask) {
        (Lang::En, None) => (
            "Please send this once more",
            "The shop could not see that this came from you, so nothing has been done. Go back to the page before, load it again, and send it once more.",
            "The shop recognises you without a cookie and needs JavaScript for that.",
        ),
        (Lang::En, Some(_)) => (
            "One thing is missing",
            "Nothing has been done yet. The shop needs an answer from your wallet first; then you come back to the page before and send it once more.",
            "The shop recognises you without a cookie and needs JavaScript for that.",
        ),
        (Lang::De, None) => (
            "Bitte noch einmal absenden",
            "Der Shop konnte nicht erkennen, dass das von Ihnen kam. Es ist nichts geschehen. Gehen Sie zur vorigen Seite zurück, laden Sie sie neu und senden Sie noch einmal ab.",
            "Der Shop erkennt Sie ohne Cookie und braucht dafür JavaScript.",
        ),
        (Lang::De, Some(_)) => (
            "Eines fehlt noch",
            "Es ist noch nichts geschehen. Der Shop braucht zuerst eine Antwort Ihrer Wallet; danach kommen Sie zur vorigen Seite zurück und senden noch einmal ab.",
            "Der Shop erkennt Sie ohne Cookie und braucht dafür JavaScript.",
        ),
    };
    page(&Page {
        mount,
        lang,
        kind: "post",
        title,
        text: Some(text),
        ask,
        panel: None,
        noscript,
        busy: false,
        stylesheet: None,
    })
}

/// The page that asks whether a wallet may have the shop's credential. What the wallet is called comes from whoever
/// registered it, and the script sends the answer.
pub(crate) fn consent_page(mount: &str, lang: Lang, wallet: &str, place: &str) -> String {
    let (title, text, noscript) = match lang {
        Lang::En => (
            "A wallet asks for your customer card",
            format!("{wallet} ({place}) would like to keep your customer card of this shop."),
            "The shop recognises you without a cookie and needs JavaScript for that.",
        ),
        Lang::De => (
            "Eine Wallet bittet um Ihre Kundenkarte",
            format!("{wallet} ({place}) möchte Ihre Kundenkarte dieses Shops aufbewahren."),
            "Der Shop erkennt Sie ohne Cookie und braucht dafür JavaScript.",
        ),
    };
    let text = Some(text.as_str());
    let panel = Some("firsthand-consent");
    page(&Page { mount, lang, kind: "consent", title, text, ask: None, panel, noscript, busy: false, stylesheet: None })
}

/// The same page for a question that is over: somebody went back, or waited too long.
pub(crate) fn consent_over_page(mount: &str, lang: Lang) -> String {
    let (title, text) = match lang {
        Lang::En => {
            ("This question is over", "It was answered, or too much time has passed. Begin again in the wallet.")
        }
        Lang::De => (
            "Diese Frage ist vorbei",
            "Sie wurde beantwortet, oder es ist zu viel Zeit vergangen. Beginnen Sie in der Wallet noch einmal.",
        ),
    };
    let (ask, panel, stylesheet, text) = (None, None, None, Some(text));
    page(&Page { mount, lang, kind: "consent", title, text, ask, panel, noscript: "", busy: false, stylesheet })
}

struct Page<'a> {
    mount: &'a str,
    lang: Lang,
    /// What `firsthand.js` reads to know where it is.
    kind: &'a str,
    title: &'a str,
    text: Option<&'a str>,
    ask: Option<&'a str>,
    /// An element of `account.js`.
    panel: Option<&'a str>,
    noscript: &'a str,
    busy: bool,
    stylesheet: Option<&'a str>,
}

fn page(page: &Page<'_>) -> String {
    let lang = page.lang.tag();
    let mount = escape(page.mount.trim_end_matches('/'));
    let kind = page.kind;
    let title = escape(page.title);
    let noscript = match page.noscript {
        "" => String::new(),
        text => format!("\n<noscript><p>{}</p></noscript>", escape(text)),
    };
    let busy = if page.busy { " aria-busy=\"true\"" } else { "" };
    let text = page.text.map(|text| format!("\n<p>{}</p>", escape(text))).unwrap_or_default();
    let ask = page
        .ask
        .map(|ask| format!("\n<firsthand-button ask=\"{}\"></firsthand-button>", escape(ask)))
        .unwrap_or_default();
    let panel = page.panel.map(|name| format!("\n<{name}></{name}>")).unwrap_or_default();
    let script = if page.panel.is_some() { "account.js" } else { "firsthand.js" };
    let theirs = page
        .stylesheet
        .map(|href| format!("\n<link rel=\"stylesheet\" href=\"{}\">", escape(href)))
        .unwrap_or_default();
    format!(
        "<!doctype html>
<html lang=\"{lang}\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<meta name=\"robots\" content=\"noindex\">
<title>{title}</title>
<link rel=\"stylesheet\" href=\"{mount}/page.css\">{theirs}
<script type=\"module\" src=\"{mount}/{script}\"></script>
</head>
<body data-firsthand-page=\"{kind}\">
<main{busy}>
<h1>{title}</h1>{text}{ask}{panel}{noscript}
</main>
</body>
</html>
"
    )
}

/// Text for HTML, in an element or in a quoted attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// Empties the lines that are comment and nothing else. What stands behind code on its line stays: to know it from a
/// text would take a parser. A test holds that no line of a text is taken for a comment.
fn without_comments(source: &str) -> String {
    let mut inside = false;
    let mut code = String::with_capacity(source.len());
    for line in source.lines() {
        let text = line.trim();
        let begins = inside || text.starts_with("/*");
        if !(begins || text.starts_with("//")) {
            code.push_str(line);
        }
        inside = begins && !text.ends_with("*/");
        code.push('\n');
    }
    code
}

/// FNV-1a: tells versions of our own files apart; it need not withstand anybody.
const fn fingerprint(mut bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    while let [byte, rest @ ..] = bytes {
        hash = (hash ^ *byte as u64).wrapping_mul(0x0100_0000_01b3);
        bytes = rest;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mount: &str) -> Vec<String> {
        let mut pages = vec![return_page(mount, Lang::En)];
        for lang in [Lang::En, Lang::De] {
            pages.push(return_page(mount, lang));
            pages.push(shell_page(mount, lang));
            pages.push(shell_page_styled(mount, lang, Some("/shop.css")));
            pages.push(post_page_asking(mount, lang, None));
            pages.push(post_page_asking(mount, lang, Some("age")));
            pages.push(consent_page(mount, lang, "A Wallet", "wallet.example"));
            pages.push(consent_over_page(mount, lang));
        }
        pages
    }

    #[test]
    fn pages_contact_nobody_else_and_carry_no_inline_script_or_style() {
        let over = [Lang::En, Lang::De].map(|lang| consent_over_page("/wallet", lang));
        for page in all("/wallet") {
            // Where a question is over, there is nothing that a script would do.
            assert!(page.contains("<noscript>") || over.contains(&page), "{page}");
            assert!(!page.contains("//"), "a page names another host: {page}");
            let attributes = || page.split(['<', '>', ' ', '\n']).filter(|word| word.contains("=\""));
            assert!(!page.contains("<style") && !attributes().any(|name| name.starts_with("style=")), "{page}");
            assert!(!attributes().any(|name| name.starts_with("on")), "{page}");
            assert_eq!(page.matches("<script").count(), 1);
            let script = if page.contains("<firsthand-consent>") { "account.js" } else { "firsthand.js" };
            assert!(page.contains(&format!("<script type=\"module\" src=\"/wallet/{script}\"></script>")));
        }
    }

    #[test]
    fn what_a_merchant_or_a_stranger_says_cannot_leave_its_place() {
        let hostile = "/\"><script>alert(1)</script>'&";
        let mut pages = all(hostile);
        pages.push(shell_page_styled("/wallet", Lang::En, Some(hostile)));
        pages.push(post_page_asking("/wallet", Lang::De, Some(hostile)));
        for lang in [Lang::En, Lang::De] {
            pages.push(consent_page("/wallet", lang, hostile, "</p><script>alert(1)</script>"));
        }
        for page in pages {
            assert!(!page.contains("alert(1)<") && !page.contains("<script>"), "{page}");
        }
    }

    #[test]
    fn a_mount_with_a_slash_at_the_end_is_the_same_mount() {
        assert_eq!(all("/wallet/"), all("/wallet"));
        assert!(shell_page("", Lang::En).contains("src=\"/firsthand.js\""));
    }

    #[test]
    fn each_page_says_which_it_is() {
        for (page, kind) in [
            (return_page("/wallet", Lang::En), "return"),
            (shell_page("/wallet", Lang::De), "shell"),
            (post_page_asking("/wallet", Lang::De, None), "post"),
        ] {
            assert!(page.contains(&format!("<body data-firsthand-page=\"{kind}\">")));
            // The script looks for the same word.
            assert!(SCRIPT.contains(&format!("ourPage() === '{kind}'")));
        }
        let consent = consent_page("/wallet", Lang::En, "A Wallet", "wallet.example");
        assert!(consent.contains("<firsthand-consent></firsthand-consent>"));
        assert!(
            ACCOUNT_SCRIPT.contains("'firsthand-consent'") && !consent_over_page("", Lang::En).contains("-consent>")
        );
    }

    #[test]
    fn tags_are_quoted_and_differ() {
        assert!(script_etag().starts_with('"') && script_etag().ends_with('"'));
        assert_ne!(script_etag(), style_etag());
        assert_ne!(fingerprint(b"ab"), fingerprint(b"ba"));
        // The published value for "a".
        assert_eq!(fingerprint(b"a"), 0xaf63_dc4c_8601_ec8c);
    }

    #[test]
    fn what_is_sent_is_the_source_without_its_comments() {
        assert_eq!(without_comments("/** a\n * b\n */\nc; // d\n  // e\n/* f */\ng"), "\n\n\nc; // d\n\n\ng\n");
        // Every line that is left is the source's own, in its place; and within a text that goes over lines, all are.
        let scripts = [
            (&*SCRIPT, SOURCE),
            (&*ACCOUNT_SCRIPT, ACCOUNT_SOURCE),
            (&*DC_SCRIPT, DC_SOURCE),
            (&*meet::SCRIPT, meet::SOURCE),
        ];
        for (script, source) in scripts {
            let mut inside_a_text = false;
            for (sent, written) in script.lines().zip(source.lines()) {
                assert!(sent == written || (sent.is_empty() && !inside_a_text), "{written}");
                assert!(!sent.contains("/*") && !sent.contains("*/"), "a comment shares this line: {written}");
                inside_a_text ^= !sent.matches('`').count().is_multiple_of(2);
            }
            assert!(!inside_a_text);
            assert_eq!(script.lines().count(), source.lines().count());
        }
    }

    #[test]
    fn the_modules_bring_nothing_from_elsewhere() {
        for script in [&*SCRIPT, &*ACCOUNT_SCRIPT, &*DC_SCRIPT, &*meet::SCRIPT] {
            for forbidden in ["document.cookie", "localStorage", "innerHTML", "eval(", "new Function"] {
                assert!(!script.contains(forbidden), "{forbidden}");
            }
            // The names of SVG and XHTML, which nobody fetches.
            assert_eq!(script.matches("://").count(), script.matches("://www.w3.org/").count());
        }
        // The others import the first, and the first loads `dc.js` where it is of use, and nothing else.
        assert!(!SCRIPT.contains("import "));
        assert_eq!(SCRIPT.matches("import(").count(), SCRIPT.matches("import('./dc.js')").count());
        assert_eq!(DC_SCRIPT.matches("import").count(), 1);
        assert_eq!(DC_SCRIPT.matches(" from './firsthand.js';").count(), 1);
        assert_eq!(ACCOUNT_SCRIPT.matches("import ").count(), 1);
        assert_eq!(ACCOUNT_SCRIPT.matches(" from './firsthand.js';").count(), 1);
    }

    #[test]
    fn the_policy_lets_the_pages_work_and_nothing_else() {
        assert!(PAGE_CSP.starts_with("default-src 'none'; "));
        assert!(!PAGE_CSP.contains("unsafe") && !PAGE_CSP.contains('\n') && !PAGE_CSP.contains("  "));
    }
}

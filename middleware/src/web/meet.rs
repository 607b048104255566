//! The two pages of [`meet.js`](SCRIPT): where a customer answers a desk, and where a browser becomes theirs.
//!
//! All that they ever say stands in the page, in one language; the script shows one step after the other and fills in what
//! the shop answers.

use std::sync::LazyLock;

use super::{escape, fingerprint, without_comments};
use crate::lang::Lang;

/// `meet.js` as it is written, one ES module beside `firsthand.js`.
pub(super) const SOURCE: &str = include_str!("meet.js");

/// [`SOURCE`] as it is sent.
pub(crate) static SCRIPT: LazyLock<String> = LazyLock::new(|| without_comments(SOURCE));

/// `ETag` of [`SCRIPT`], quotes included.
pub(crate) fn script_etag() -> String {
    static TAG: LazyLock<u64> = LazyLock::new(|| fingerprint(SCRIPT.as_bytes()));
    format!("\"{:016x}\"", *TAG)
}

/// What a customer reads who answers a desk, or a browser that wants to join.
struct Words {
    noscript: &'static str,
    failed: &'static str,
    wrong: &'static str,
    wait: &'static str,
    over: &'static str,
    across: &'static str,
    cooling: &'static str,
    sign_in: &'static str,
    sign_in_text: &'static str,
    step_up: &'static str,
    step_up_text: &'static str,
    wallet: &'static str,
    number: &'static str,
    go_on: &'static str,
    retry: &'static str,
    back: &'static str,

    call: &'static str,
    calling: &'static str,
    will_call: &'static str,
    from: &'static str,
    time: &'static str,
    not_calling: &'static str,
    say_number: &'static str,
    say_number_text: &'static str,
    asks: &'static str,
    only_if: &'static str,
    same_words: &'static str,
    yes: &'static str,
    no: &'static str,
    seen: &'static str,
    seen_text: &'static str,
    refused: &'static str,
    refused_text: &'static str,

    join: &'static str,
    begin_text: &'static str,
    begin: &'static str,
    join_text: &'static str,
    type_there: &'static str,
    code: &'static str,
    known: &'static str,
    denied: &'static str,
    theirs: &'static str,
    some_browser: &'static str,
    in_front: &'static str,
    stands_there: &'static str,
    vouch: &'static str,
    not_mine: &'static str,
    vouched: &'static str,
    vouched_text: &'static str,
    sent_away: &'static str,
    sent_away_text: &'static str,
}

const EN: Words = Words {
    noscript: "The shop recognises you without a cookie and needs JavaScript for that.",
    failed: "That did not work. Please try again.",
    wrong: "That is not the number. Please ask for it once more.",
    wait: "Too many tries. Please wait some minutes.",
    over: "The time is over, or this was answered already. Please begin again.",
    across: "You came to this browser by a code between two devices. Please show your wallet or your passkey on this device first.",
    cooling: "Somebody came back to this record by a recovery code. For some days the desk believes only a wallet or a passkey from before.",
    sign_in: "First, show who you are",
    sign_in_text: "The shop does not know this browser. Sign in to the shop here, then come back to this page.",
    step_up: "Please show it once more",
    step_up_text: "For this, the shop needs to see now that it is you: show your wallet or your passkey on this device.",
    wallet: "Continue with your wallet",
    number: "Six digits",
    go_on: "Continue",
    retry: "Try again",
    back: "Back to the shop",
    call: "Is this call from the shop?",
    calling: "Somebody of the shop is calling you.",
    will_call: "Somebody of the shop will call you.",
    from: "From the number",
    time: "Time:",
    not_calling: "Nobody of this shop is calling you at this moment. If somebody says so, hang up.",
    say_number: "You called us, or stand at the till",
    say_number_text: "Type the number that the operator says to you. Nobody of the shop ever asks you for a number.",
    asks: "asks who you are",
    only_if: "Only say yes if you called the shop yourself, or stand in front of this desk. Did somebody call you and give you this number? Say no.",
    same_words: "The operator sees the same words on their screen. Ask them to read these out:",
    yes: "Yes, it is me",
    no: "No",
    seen: "Thank you",
    seen_text: "The desk sees for ten minutes that it is you. It cannot do anything in your name.",
    refused: "You said no",
    refused_text: "The desk was told nothing about you. If somebody urged you to do this, they are not from the shop.",
    join: "Use this browser as well",
    begin_text: "If the shop knows you on another device, say there that this browser is yours, too. This browser keeps a key for it.",
    begin: "Show the code",
    join_text: "Scan this code with a device on which the shop knows you.",
    type_there: "Then type this number there:",
    code: "QR code for your other device",
    known: "The shop knows this browser already.",
    denied: "This was refused on the other device.",
    theirs: "A browser wants to become yours",
    some_browser: "A browser that does not say what it is",
    in_front: "Only go on if that screen is in front of you at this moment, and you began this there. Did somebody send you this link, or tell you a number? Say no: they would be signed in as you.",
    stands_there: "Type the number that stands on that screen.",
    vouch: "It is mine",
    not_mine: "It is not mine",
    vouched: "Done",
    vouched_text: "The other browser is yours from now on. Your history shows it, and there you can say that it was not you.",
    sent_away: "You said no",
    sent_away_text: "The other browser was told that it is not yours.",
};

const DE: Words = Words {
    noscript: "Der Shop erkennt Sie ohne Cookie und braucht dafür JavaScript.",
    failed: "Das hat nicht geklappt. Bitte versuchen Sie es noch einmal.",
    wrong: "Das ist nicht die Nummer. Bitte lassen Sie sie sich noch einmal sagen.",
    wait: "Zu viele Versuche. Bitte warten Sie einige Minuten.",
    over: "Die Zeit ist abgelaufen, oder es wurde schon geantwortet. Bitte beginnen Sie neu.",
    across: "In diesen Browser kamen Sie mit einem Code zwischen zwei Geräten. Bitte zeigen Sie zuerst auf diesem Gerät Ihre Wallet oder Ihren Passkey.",
    cooling: "Jemand kam mit einem Wiederherstellungscode zurück. Einige Tage lang gilt am Schalter nur eine Wallet oder ein Passkey von davor.",
    sign_in: "Zeigen Sie zuerst, wer Sie sind",
    sign_in_text: "Der Shop kennt diesen Browser nicht. Melden Sie sich hier im Shop an und kommen Sie dann auf diese Seite zurück.",
    step_up: "Bitte zeigen Sie es noch einmal",
    step_up_text: "Dafür muss der Shop jetzt sehen, dass Sie es sind: Zeigen Sie auf diesem Gerät Ihre Wallet oder Ihren Passkey.",
    wallet: "Weiter mit Ihrer Wallet",
    number: "Sechs Ziffern",
    go_on: "Weiter",
    retry: "Noch einmal versuchen",
    back: "Zurück zum Shop",
    call: "Ruft wirklich der Shop an?",
    calling: "Jemand vom Shop ruft Sie an.",
    will_call: "Jemand vom Shop wird Sie anrufen.",
    from: "Von der Nummer",
    time: "Zeit:",
    not_calling: "Im Augenblick ruft niemand von diesem Shop Sie an. Wenn das jemand behauptet, legen Sie auf.",
    say_number: "Sie haben uns angerufen oder stehen an der Kassa",
    say_number_text: "Geben Sie die Nummer ein, die Ihnen gesagt wird. Niemand vom Shop fragt Sie je nach einer Nummer.",
    asks: "fragt, wer Sie sind",
    only_if: "Sagen Sie nur Ja, wenn Sie selbst den Shop angerufen haben oder vor diesem Schalter stehen. Hat jemand Sie angerufen und Ihnen diese Nummer gegeben? Dann sagen Sie Nein.",
    same_words: "Auf dem anderen Bildschirm stehen dieselben Worte. Lassen Sie sich diese vorlesen:",
    yes: "Ja, das bin ich",
    no: "Nein",
    seen: "Danke",
    seen_text: "Der Schalter sieht zehn Minuten lang, dass Sie es sind. In Ihrem Namen tun kann er nichts.",
    refused: "Sie haben Nein gesagt",
    refused_text: "Über Sie wurde nichts mitgeteilt. Wenn jemand Sie dazu gedrängt hat, ist er nicht vom Shop.",
    join: "Auch diesen Browser verwenden",
    begin_text: "Wenn der Shop Sie auf einem anderen Gerät kennt, sagen Sie dort, dass auch dieser Browser Ihrer ist. Er bewahrt dafür einen Schlüssel auf.",
    begin: "Code zeigen",
    join_text: "Scannen Sie diesen Code mit einem Gerät, auf dem der Shop Sie kennt.",
    type_there: "Geben Sie dort dann diese Nummer ein:",
    code: "QR-Code für Ihr anderes Gerät",
    known: "Der Shop kennt diesen Browser schon.",
    denied: "Auf dem anderen Gerät wurde das abgelehnt.",
    theirs: "Ein Browser möchte Ihrer werden",
    some_browser: "Ein Browser, der nicht sagt, was er ist",
    in_front: "Machen Sie nur weiter, wenn dieser Bildschirm jetzt vor Ihnen steht und Sie dort begonnen haben. Hat Ihnen jemand diesen Link geschickt oder eine Nummer gesagt? Dann sagen Sie Nein: Er wäre sonst an Ihrer Stelle angemeldet.",
    stands_there: "Geben Sie die Nummer ein, die auf jenem Bildschirm steht.",
    vouch: "Das ist meiner",
    not_mine: "Das ist nicht meiner",
    vouched: "Fertig",
    vouched_text: "Der andere Browser ist ab jetzt Ihrer. Ihr Verlauf zeigt es, und dort können Sie sagen, dass Sie das nicht waren.",
    sent_away: "Sie haben Nein gesagt",
    sent_away_text: "Dem anderen Browser wurde gesagt, dass er nicht Ihrer ist.",
};

const fn words(lang: Lang) -> &'static Words {
    match lang {
        Lang::En => &EN,
        Lang::De => &DE,
    }
}

/// The page `{mount}/call`: whether the shop is calling, and the number that an operator says. `ask` is how a wallet says whose
/// it is.
pub(crate) fn call_page(mount: &str, lang: Lang, ask: Option<&str>) -> String {
    let w = words(lang);
    let steps = [
        // One step, where the shop calls or does not, and the number is asked for.
        format!(
            "<section data-step=\"number\" hidden>\n{}<p data-if=\"call\" class=\"note\"><strong><span data-if=\"call_on\">{}</span><span data-if=\"call_later\">{}</span></strong> <span data-slot=\"call_desk\"></span>: <span data-slot=\"call_purpose\"></span><br>{} <span data-slot=\"call_number\"></span><br>{} <span data-slot=\"call_from\"></span>–<span data-slot=\"call_until\"></span></p>\n<p data-if=\"no_call\" class=\"note\">{}</p>\n<h2>{}</h2>\n<p>{}</p>\n{}</section>\n",
            heading(w.call),
            escape(w.calling),
            escape(w.will_call),
            escape(w.from),
            escape(w.time),
            escape(w.not_calling),
            escape(w.say_number),
            escape(w.say_number_text),
            number_form(w, w.go_on, None),
        ),
        format!(
            "<section data-step=\"question\" hidden>\n<h1 tabindex=\"-1\"><span data-slot=\"desk\"></span> {}</h1>\n<p data-slot=\"purpose\"></p>\n<p>{}</p>\n<p class=\"big\" data-slot=\"binding_message\"></p>\n<p class=\"note\"><strong>{}</strong></p>\n<p>{}{}</p>\n</section>\n",
            escape(w.asks),
            escape(w.same_words),
            escape(w.only_if),
            button("yes", w.yes, true),
            button("no", w.no, false),
        ),
        said("done", w.seen, w.seen_text, w),
        said("refused", w.refused, w.refused_text, w),
    ];
    page(mount, lang, "call", w.call, ask, &steps.concat())
}

/// The page `{mount}/join`: the number and the code of a browser that waits, or the question of the other one.
pub(crate) fn join_page(mount: &str, lang: Lang, ask: Option<&str>) -> String {
    let w = words(lang);
    let steps = [
        format!(
            "<section data-step=\"begin\" hidden>\n{}<p>{}</p>\n<p>{}</p>\n</section>\n",
            heading(w.join),
            escape(w.begin_text),
            button("begin", w.begin, true),
        ),
        format!(
            "<section data-step=\"waiting\" hidden>\n{}<p>{}</p>\n<div class=\"code\" data-slot=\"code\" data-label=\"{}\"></div>\n<p>{}</p>\n<p class=\"big\" data-slot=\"number\"></p>\n</section>\n",
            heading(w.join),
            escape(w.join_text),
            escape(w.code),
            escape(w.type_there),
        ),
        format!(
            "<section data-step=\"question\" hidden>\n{}<p class=\"big\"><span data-slot=\"browser\"></span><span data-if=\"unnamed\">{}</span></p>\n<p class=\"note\"><strong>{}</strong></p>\n<p>{}</p>\n{}</section>\n",
            heading(w.theirs),
            escape(w.some_browser),
            escape(w.in_front),
            escape(w.stands_there),
            number_form(w, w.vouch, Some(w.not_mine)),
        ),
        said("known", w.join, w.known, w),
        said("denied", w.join, w.denied, w),
        said("done", w.vouched, w.vouched_text, w),
        said("refused", w.sent_away, w.sent_away_text, w),
    ];
    page(mount, lang, "join", w.join, ask, &steps.concat())
}

fn heading(text: &str) -> String {
    format!("<h1 tabindex=\"-1\">{}</h1>\n", escape(text))
}

fn button(does: &str, text: &str, main: bool) -> String {
    let class = if main { " class=\"main\"" } else { "" };
    format!("<button type=\"button\" data-does=\"{does}\"{class}>{}</button>", escape(text))
}

fn said(step: &str, title: &str, text: &str, w: &Words) -> String {
    format!(
        "<section data-step=\"{step}\" hidden>\n{}<p>{}</p>\n<p><a data-back href=\"/\">{}</a></p>\n</section>\n",
        heading(title),
        escape(text),
        escape(w.back),
    )
}

fn number_form(w: &Words, go_on: &str, no: Option<&str>) -> String {
    let no = no.map(|no| button("no", no, false)).unwrap_or_default();
    format!(
        "<form>\n<label>{}<br><input name=\"number\" inputmode=\"numeric\" autocomplete=\"off\" required pattern=\"[0-9 \\-]{{6,12}}\" maxlength=\"12\"></label>\n<p><button class=\"main\">{}</button>{no}</p>\n</form>\n",
        escape(w.number),
        escape(go_on),
    )
}

fn page(mount: &str, lang: Lang, kind: &str, title: &str, ask: Option<&str>, steps: &str) -> String {
    let (w, tag) = (words(lang), lang.tag());
    let mount = escape(mount.trim_end_matches('/'));
    let wallet = ask
        .map(|ask| format!("<firsthand-button ask=\"{}\">{}</firsthand-button>\n", escape(ask), escape(w.wallet)))
        .unwrap_or_default();
    let trouble: String = [
        ("failed", w.failed),
        ("wrong_number", w.wrong),
        ("too_many_requests", w.wait),
        ("expired_token", w.over),
        ("across_devices", w.across),
        ("cooling_down", w.cooling),
    ]
    .iter()
    .map(|(code, text)| format!("<p data-trouble=\"{code}\" hidden>{}</p>\n", escape(text)))
    .collect();
    format!(
        "<!doctype html>
<html lang=\"{tag}\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<meta name=\"robots\" content=\"noindex\">
<title>{title}</title>
<link rel=\"stylesheet\" href=\"{mount}/page.css\">
<script type=\"module\" src=\"{mount}/meet.js\"></script>
</head>
<body data-firsthand-page=\"{kind}\">
<main aria-busy=\"true\">
{steps}<section data-step=\"sign_in\" hidden>
{sign_in}<p>{sign_in_text}</p>
{wallet}<p><a data-back href=\"/\">{back}</a></p>
</section>
<section data-step=\"step_up\" hidden>
{step_up}<p>{step_up_text}</p>
{wallet}<p>{retry}</p>
</section>
<section data-step=\"over\" hidden>
{over}<p>{retry}</p>
</section>
<div role=\"alert\">
{trouble}</div>
<noscript><h1>{title}</h1><p>{noscript}</p></noscript>
</main>
</body>
</html>
",
        title = escape(title),
        sign_in = heading(w.sign_in),
        sign_in_text = escape(w.sign_in_text),
        step_up = heading(w.step_up),
        step_up_text = escape(w.step_up_text),
        over = heading(w.over),
        retry = button("again", w.retry, true),
        back = escape(w.back),
        noscript = escape(w.noscript),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mount: &str, ask: Option<&str>) -> Vec<String> {
        let of = |lang| [call_page(mount, lang, ask), join_page(mount, lang, ask)];
        [of(Lang::En), of(Lang::De)].concat()
    }

    #[test]
    fn the_pages_contact_nobody_else_and_carry_no_inline_script_or_style() {
        for page in all("/wallet", Some("back")) {
            assert!(!page.contains("//"), "a page names another host: {page}");
            let attributes = || page.split(['<', '>', ' ', '\n']).filter(|word| word.contains("=\""));
            assert!(!page.contains("<style") && !attributes().any(|name| name.starts_with("style=")), "{page}");
            assert!(!attributes().any(|name| name.starts_with("on")), "{page}");
            assert_eq!(page.matches("<script").count(), 1);
            assert!(page.contains("src=\"/wallet/meet.js\"") && page.contains("<noscript>"));
            assert_eq!(page.matches("<firsthand-button").count(), 2);
        }
        assert!(all("/wallet", None).iter().all(|page| !page.contains("<firsthand-button")));
    }

    #[test]
    fn what_a_merchant_configures_cannot_leave_its_attribute() {
        let hostile = "/\"><script>alert(1)</script>'&";
        for page in all(hostile, Some(hostile)) {
            assert!(!page.contains("alert(1)<") && !page.contains("<script>"), "{page}");
        }
    }

    #[test]
    fn the_script_shows_what_the_pages_have() {
        let attribute = |name: &str, page: &str| -> Vec<String> {
            let marker = format!("data-{name}=\"");
            let values = page.split(&marker).skip(1);
            values.map(|rest| rest.split('"').next().unwrap_or_default().to_owned()).collect()
        };
        for page in all("/wallet", None) {
            for name in ["step", "if", "does"] {
                for value in attribute(name, &page) {
                    assert!(SCRIPT.contains(&value), "{name} {value}");
                }
            }
            // Nobody types a number without being told whose it must not be.
            assert!(page.contains("class=\"note\""));
        }
    }
}

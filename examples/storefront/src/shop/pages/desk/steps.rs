use maud::{Markup, html};

use crate::shop::{
    database::sales::{Buyer, Steps},
    view::View,
};

/// What a purchase takes: the first one, and one by somebody who came back.
pub(super) fn steps(view: &View, steps: &[Steps; 3]) -> Markup {
    html! {
        h2 { (view.say("What a purchase takes", "Was ein Einkauf braucht")) }
        table.steps {
            caption.small {
                (view.say("On average, from the basket to the order", "Im Mittel, vom Korb bis zur Bestellung"))
            }
            thead {
                tr {
                    th scope="col" { (view.say("Buyer", "Wer kauft")) }
                    th scope="col" { (view.say("Sales", "Verkäufe")) }
                    th scope="col" { (view.say("With the wallet", "Mit der Wallet")) }
                    th scope="col" { (view.say("Forms", "Formulare")) }
                }
            }
            tbody {
                @for steps in steps {
                    tr {
                        th scope="row" { (buyer(view, steps.buyer)) }
                        td { (steps.sales) }
                        td { (average(view, steps.steps_wallet, steps.sales)) }
                        td { (average(view, steps.steps_form, steps.sales)) }
                    }
                }
            }
        }
    }
}

pub(super) fn buyer(view: &View, buyer: Buyer) -> &'static str {
    match buyer {
        Buyer::Guest => view.say("Guest", "Gast"),
        Buyer::First => view.say("First purchase", "Erster Einkauf"),
        Buyer::Returning => view.say("Came back", "Wiedergekommen"),
    }
}

/// To one digit behind the point, rounded half up; nothing for nobody.
fn average(view: &View, sum: u64, count: u64) -> String {
    let tenths = sum.saturating_mul(10).saturating_add(count / 2).checked_div(count);
    tenths.map_or_else(|| "–".to_owned(), |tenths| format!("{}{}{}", tenths / 10, view.say(".", ","), tenths % 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_is_rounded_and_never_divided_by_nobody() {
        let view = View::default();
        assert_eq!(average(&view, 3, 2), "1.5");
        assert_eq!(average(&view, 2, 3), "0.7");
        assert_eq!(average(&view, 0, 4), "0.0");
        assert_eq!(average(&view, 0, 0), "–");
    }
}

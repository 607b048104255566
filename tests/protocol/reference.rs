//! Creditor references: found in whatever a bank makes of a transfer's text, and never mistaken.

use firsthand::rail::reference::Reference;
use proptest::{collection::vec, prelude::*};

/// What stands between the characters of a reference: most often nothing.
fn gap() -> impl Strategy<Value = String> {
    prop_oneof![8 => Just(String::new()), 1 => "[ \\-/.]{1,3}", 1 => "\r?\n", 1 => "\\?"]
}

/// What people write beside it.
fn words() -> impl Strategy<Value = String> {
    "([A-Za-zäöüß0-9.,+:]{0,8} ){0,4}"
}

fn own() -> impl Strategy<Value = Reference> {
    any::<[u8; 8]>().prop_map(Reference::from_random)
}

/// The reference with something between its characters, and some of them in small letters.
fn torn(reference: &Reference, gaps: &[String]) -> String {
    let lower = gaps.first().is_some_and(String::is_empty);
    let torn: String = reference.as_str().chars().zip(gaps).map(|(c, gap)| format!("{c}{gap}")).collect();
    if lower { torn.to_lowercase() } else { torn }
}

proptest! {
    #[test]
    fn our_own_reference_is_found_between_words(
        own in own(), gaps in vec(gap(), 18), before in words(), after in words()
    ) {
        let text = format!("{before}{} {after}", torn(&own, &gaps));
        prop_assert_eq!(Reference::find_in(&text), Some(own), "{:?}", text);
    }

    #[test]
    fn of_two_references_none_is_taken(
        one in own(), two in own(), gaps in vec(gap(), 18), between in words()
    ) {
        prop_assume!(one != two);
        let text = format!("{} {between} {}", torn(&one, &gaps), torn(&two, &gaps));
        prop_assert_eq!(Reference::find_in(&text), None, "{:?}", text);
    }

    #[test]
    fn a_reference_with_one_wrong_digit_is_never_found(own in own(), at in 2..18_usize, more in 1..10_u32) {
        let mut wrong: Vec<char> = own.as_str().chars().collect();
        wrong[at] = char::from_digit((wrong[at].to_digit(10).unwrap() + more) % 10, 10).unwrap();
        let wrong: String = wrong.into_iter().collect();
        prop_assert_eq!(Reference::find_in(&wrong), None);
        prop_assert!(wrong.parse::<Reference>().is_err());
    }

    #[test]
    fn no_text_is_too_strange(text in "\\PC{0,300}|(RF|[0-9]{2}|[A-Z]| |\\PC){0,300}") {
        if let Some(found) = Reference::find_in(&text) {
            prop_assert_eq!(found.as_str().parse::<Reference>(), Ok(found.clone()));
            let letters: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
            prop_assert!(letters.to_uppercase().contains(found.as_str()));
        }
        if let Ok(read) = text.parse::<Reference>() {
            prop_assert_eq!(read.printed().parse::<Reference>(), Ok(read));
        }
    }
}

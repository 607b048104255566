//! base58btc, the alphabet of multibase `z`: five letters and four bytes at a time, since the cost grows with the square.

const LETTERS: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Letters that fit a 32-bit digit.
const LETTERS_TO_A_DIGIT: usize = 5;
/// 58 to the power of five.
const DIGIT: u64 = 656_356_768;

pub(crate) fn encode(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    // Digits to the base of 58^5, the lowest first.
    let mut digits: Vec<u64> = Vec::new();
    let (head, rest) = bytes.split_at_checked(bytes.len() % 4).unwrap_or_default();
    for word in std::iter::once(head).chain(rest.chunks(4)) {
        let mut carry = word.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        for digit in &mut digits {
            carry += *digit << (8 * word.len());
            *digit = carry % DIGIT;
            carry /= DIGIT;
        }
        while carry > 0 {
            digits.push(carry % DIGIT);
            carry /= DIGIT;
        }
    }
    let letters = digits.iter().rev().flat_map(|digit| {
        let letter = |power| usize::try_from(digit / 58_u64.pow(power) % 58).unwrap_or_default();
        [4, 3, 2, 1, 0].map(letter)
    });
    let letters = letters.skip_while(|letter| *letter == 0).filter_map(|letter| LETTERS.get(letter));
    std::iter::repeat_n(&b'1', zeros).chain(letters).map(|letter| char::from(*letter)).collect()
}

pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let zeros = text.bytes().take_while(|letter| *letter == b'1').count();
    // 32-bit words, the lowest first.
    let mut words: Vec<u32> = Vec::new();
    for letters in text.as_bytes().chunks(LETTERS_TO_A_DIGIT) {
        let (mut carry, mut base) = (0, 1);
        for letter in letters {
            carry = carry * 58 + LETTERS.iter().position(|known| known == letter)? as u64;
            base *= 58;
        }
        for word in &mut words {
            carry += u64::from(*word) * base;
            *word = (carry & u64::from(u32::MAX)) as u32;
            carry >>= 32;
        }
        if carry > 0 {
            words.push(carry as u32);
        }
    }
    let bytes = words.iter().rev().flat_map(|word| word.to_be_bytes()).skip_while(|byte| *byte == 0);
    Some(std::iter::repeat_n(0, zeros).chain(bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_kept() {
        let whole: Vec<u8> = (0..=255).collect();
        for length in 0..=whole.len() {
            assert_eq!(decode(&encode(&whole[..length])).as_deref(), Some(&whole[..length]), "{length}");
        }
        for bytes in [vec![0], vec![0; 9], vec![0, 0, 1], vec![0xff; 61], vec![57], vec![58], vec![1, 0, 0, 0, 0, 0]] {
            assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
        assert_eq!(encode(b"Hello World!"), "2NEpo7TZRRrLZSi2U");
        for text in ["0", "O", "I", "l", " ", "ä"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}

//! The X25519 key of an Ed25519 key: the same point on the other form of the curve (RFC 7748 section 4.1). Public keys
//! alone come here, so nothing needs to take the same time.

/// A number below 2^256, the lowest 64 bits first; two that differ by a multiple of p are the same.
type Number = [u64; 4];

/// p = 2^255 - 19.
const P: Number = [0xffff_ffff_ffff_ffed, u64::MAX, u64::MAX, 0x7fff_ffff_ffff_ffff];
const ONE: Number = [1, 0, 0, 0];
/// 2^256 modulo p: what overflows comes back as this many.
const WRAP: u64 = 38;

/// `u = (1 + y) / (1 - y)`. The point with `y = 1` has no image; it is of small order, and no key.
pub(super) fn montgomery(ed25519: &[u8; 32]) -> [u8; 32] {
    let mut y = *ed25519;
    if let Some(last) = y.last_mut() {
        *last &= 0x7f; // the sign of x
    }
    let mut number = [0; 4];
    for (limb, bytes) in number.iter_mut().zip(y.chunks_exact(8)) {
        *limb = bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte));
    }
    let u = reduced(product(&sum(&ONE, &number), &inverse(&difference(&ONE, &number))));
    let mut bytes = [0; 32];
    for (out, byte) in bytes.iter_mut().zip(u.iter().flat_map(|limb| limb.to_le_bytes())) {
        *out = byte;
    }
    bytes
}

fn sum(a: &Number, b: &Number) -> Number {
    let (sum, over) = plain_sum(a, b);
    wrapped(sum, u64::from(over))
}

fn difference(a: &Number, b: &Number) -> Number {
    let (mut left, mut under) = plain_difference(a, b);
    while under {
        (left, under) = plain_difference(&left, &[WRAP, 0, 0, 0]);
    }
    left
}

fn product(a: &Number, b: &Number) -> Number {
    let mut wide = [0_u64; 8];
    for (place, a) in a.iter().enumerate() {
        let mut carry = 0;
        let mut out = wide.iter_mut().skip(place);
        for (b, out) in b.iter().zip(out.by_ref()) {
            let sum = u128::from(*a) * u128::from(*b) + u128::from(*out) + carry;
            *out = sum as u64;
            carry = sum >> 64;
        }
        if let Some(out) = out.next() {
            *out = carry as u64;
        }
    }
    let [a, b, c, d, high @ ..] = wide;
    let (mut low, mut carry) = ([a, b, c, d], 0);
    for (low, high) in low.iter_mut().zip(high) {
        let sum = u128::from(*low) + u128::from(high) * u128::from(WRAP) + carry;
        *low = sum as u64;
        carry = sum >> 64;
    }
    wrapped(low, carry as u64)
}

/// `a^(p - 2)`: p - 2 is 255 bits of ones but for the second and fourth.
fn inverse(a: &Number) -> Number {
    let mut power = ONE;
    for bit in (0..255).rev() {
        power = product(&power, &power);
        if bit != 2 && bit != 4 {
            power = product(&power, a);
        }
    }
    power
}

/// A number and how often 2^256 was left over, which is less than 40.
fn wrapped(mut number: Number, mut over: u64) -> Number {
    while over > 0 {
        let (sum, again) = plain_sum(&number, &[over * WRAP, 0, 0, 0]);
        (number, over) = (sum, u64::from(again));
    }
    number
}

/// The one of the equal numbers that is below p.
fn reduced(mut number: Number) -> Number {
    loop {
        match plain_difference(&number, &P) {
            (less, false) => number = less,
            (_, true) => return number,
        }
    }
}

fn plain_sum(a: &Number, b: &Number) -> (Number, bool) {
    let (mut sum, mut carry) = (*a, false);
    for (limb, b) in sum.iter_mut().zip(b) {
        let (with, one) = limb.overflowing_add(*b);
        let (with, two) = with.overflowing_add(u64::from(carry));
        (*limb, carry) = (with, one || two);
    }
    (sum, carry)
}

fn plain_difference(a: &Number, b: &Number) -> (Number, bool) {
    let (mut left, mut borrow) = (*a, false);
    for (limb, b) in left.iter_mut().zip(b) {
        let (without, one) = limb.overflowing_sub(*b);
        let (without, two) = without.overflowing_sub(u64::from(borrow));
        (*limb, borrow) = (without, one || two);
    }
    (left, borrow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_point_is_the_base_point() {
        // RFC 7748 section 4.1: y = 4/5 is u = 9.
        let mut y = [0x66; 32];
        y[0] = 0x58;
        let mut nine = [0; 32];
        nine[0] = 9;
        assert_eq!(montgomery(&y), nine);
        y[31] |= 0x80;
        assert_eq!(montgomery(&y), nine, "whichever x");
    }

    #[test]
    fn numbers_wrap_at_p() {
        let small: Number = [5, 0, 0, 0];
        let below_p = plain_difference(&P, &ONE).0;
        for number in [ONE, small, below_p, [u64::MAX; 4], [1, 2, 3, 4]] {
            assert_eq!(reduced(product(&number, &inverse(&number))), ONE, "{number:?}");
            assert_eq!(reduced(sum(&difference(&small, &number), &number)), small, "{number:?}");
        }
        assert_eq!(reduced(product(&below_p, &below_p)), ONE, "-1 squared");
        assert_eq!(reduced(P), [0; 4]);
        assert_eq!(reduced(inverse(&[0; 4])), [0; 4]);
    }
}

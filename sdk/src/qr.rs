//! QR codes (ISO/IEC 18004) as images.

use qrcode::{Color, EcLevel, QrCode, Version, bits::Bits};

/// The light modules around a code that readers need.
const QUIET_ZONE: usize = 4;

/// The smallest code up to this version, of error level M, that holds these bytes as bytes: left to choose, the encoder
/// might take two bytes of a letter for a character of Japanese.
pub(crate) fn code(bytes: &[u8], version_max: i16) -> Option<QrCode> {
    (1..=version_max).find_map(|version| {
        let mut bits = Bits::new(Version::Normal(version));
        bits.push_byte_data(bytes).ok()?;
        bits.push_terminator(EcLevel::M).ok()?;
        QrCode::with_bits(bits, EcLevel::M).ok()
    })
}

/// Black on its own white ground with the quiet zone inside, so that it reads on a dark page too. One path, no script, no size
/// of its own.
pub(crate) fn svg(code: &QrCode, label: &str) -> String {
    let width = code.width();
    let side = width + 2 * QUIET_ZONE;
    let mut path = String::new();
    for (y, row) in code.to_colors().chunks(width).enumerate() {
        // One bar for each run of dark modules.
        let mut x = QUIET_ZONE;
        for run in row.chunk_by(|a, b| a == b) {
            let length = run.len();
            if run.first() == Some(&Color::Dark) {
                path.push_str(&format!("M{x} {}h{length}v1h-{length}z", y + QUIET_ZONE));
            }
            x += length;
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" role=\"img\" aria-label=\"{label}\" \
         shape-rendering=\"crispEdges\"><rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/>\
         <path fill=\"#000\" d=\"{path}\"/></svg>"
    )
}

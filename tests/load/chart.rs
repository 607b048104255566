//! Lines over two axes, as an SVG: across as it is, up in powers of ten.

use std::fmt::Write as _;

#[derive(Clone, Debug)]
pub struct Chart {
    pub title: String,
    pub across: String,
    pub up: String,
    pub lines: Vec<Line>,
}

/// One line. Two in a row, the second dashed, share a colour.
#[derive(Clone, Debug)]
pub struct Line {
    pub name: String,
    pub dashed: bool,
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 460.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 230.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 60.0;
/// Told apart by those who see few colours, too (Okabe and Ito).
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

impl Chart {
    pub fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let step = step(points().map(|(x, _)| *x).fold(1.0, f64::max) / 8.0);
        let right = (points().map(|(x, _)| *x).fold(step, f64::max) / step).ceil() * step;
        let least = points().map(|(_, y)| y.max(0.01).log10()).fold(0.0, f64::min).floor();
        let most = points().map(|(_, y)| y.max(0.01).log10()).fold(1.0, f64::max).ceil();
        let x = |value: f64| LEFT + value / right * (WIDTH - LEFT - RIGHT);
        let y =
            |value: f64| HEIGHT - BOTTOM - (value.max(0.01).log10() - least) / (most - least) * (HEIGHT - TOP - BOTTOM);

        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"{LEFT}\" y=\"24\" font-size=\"15\">{}</text>\n",
            escaped(&self.title)
        );
        let (bottom, end) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        let mut power = least;
        while power <= most {
            let (at, label) = (y(10f64.powf(power)), 10f64.powf(power));
            let _ = writeln!(svg, "<path d=\"M{LEFT} {at:.1}H{end}\" stroke=\"#ddd\"/>");
            let _ =
                writeln!(svg, "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>", LEFT - 8.0, at + 4.0);
            power += 1.0;
        }
        let mut tick = 0.0;
        while tick <= right + step / 2.0 {
            let at = x(tick);
            let _ = writeln!(svg, "<path d=\"M{at:.1} {TOP}V{bottom}\" stroke=\"#eee\"/>");
            let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>", bottom + 18.0);
            tick += step;
        }
        let _ = writeln!(svg, "<path d=\"M{LEFT} {TOP}V{bottom}H{end}\" fill=\"none\" stroke=\"#333\"/>");
        let (middle, centre) = ((LEFT + end) / 2.0, (TOP + bottom) / 2.0);
        let across = escaped(&self.across);
        let _ = writeln!(svg, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{across}</text>", HEIGHT - 18.0);
        let _ = writeln!(
            svg,
            "<text transform=\"translate(18 {centre}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            escaped(&self.up)
        );
        for (number, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[number / 2 % COLOURS.len()];
            let dash = if line.dashed { " stroke-dasharray=\"6 4\"" } else { "" };
            let path: Vec<String> =
                line.points.iter().map(|(across, up)| format!("{:.1} {:.1}", x(*across), y(*up))).collect();
            let _ = writeln!(
                svg,
                "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/>",
                path.join("L")
            );
            for (across, up) in &line.points {
                let _ =
                    writeln!(svg, "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>", x(*across), y(*up));
            }
            let at = TOP + 10.0 + 20.0 * number as f64;
            let (from, to) = (end + 14.0, end + 44.0);
            let _ = writeln!(svg, "<path d=\"M{from} {at}H{to}\" stroke=\"{colour}\" stroke-width=\"2\"{dash}/>");
            let _ = writeln!(svg, "<text x=\"{}\" y=\"{}\">{}</text>", to + 6.0, at + 4.0, escaped(&line.name));
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// A round number that is not below this: 1, 2 or 5 times a power of ten.
pub fn step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|round| round * power).into_iter().find(|round| *round >= least).unwrap_or(least)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

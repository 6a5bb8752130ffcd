//! A curve in characters.

/// Columns and rows of characters; a character of Braille has two by four dots.
const COLUMNS: usize = 30;
const ROWS: usize = 5;

/// `values` from left to right as a line of dots, with what its top and bottom stand for, and whether the way between is
/// logarithmic; nothing if there are fewer than three.
pub fn curve(values: &[f64]) -> Option<(Vec<String>, bool)> {
    /// Positive values that differ by more are shown by their logarithms.
    const WIDE: f64 = 20.0;
    let mut finite: Vec<(usize, f64)> = values.iter().copied().enumerate().filter(|(_, y)| y.is_finite()).collect();
    if finite.len() < 3 {
        return None;
    }
    let ends = |points: &[(usize, f64)]| {
        points.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |[l, h], (_, y)| [l.min(*y), h.max(*y)])
    };
    let labels = ends(&finite);
    let is_logarithmic = labels[0] > 0.0 && labels[1] > WIDE * labels[0];
    if is_logarithmic {
        finite.iter_mut().for_each(|(_, y)| *y = y.ln());
    }
    let [low, high] = ends(&finite);
    let [width, height] = [2 * COLUMNS, 4 * ROWS];
    let column = |i: usize| (i * (width - 1)).div_ceil(values.len() - 1);
    let row = |y: f64| {
        if high > low { ((high - y) / (high - low) * (height - 1) as f64).round() as usize } else { height / 2 }
    };
    let mut dots = vec![[0u32; COLUMNS]; ROWS];
    for pair in finite.windows(2) {
        let [(from, y0), (to, y1)] = [pair[0], pair[1]];
        let [x0, x1] = [column(from), column(to)];
        let mut before = row(y0);
        for x in x0..=x1 {
            let share = (x - x0) as f64 / (x1 - x0).max(1) as f64;
            let now = row(y0 + share * (y1 - y0));
            // No gap where the line is steep.
            for y in before.min(now)..=before.max(now) {
                dots[y / 4][x / 2] |= DOTS[y % 4][x % 2];
            }
            before = now;
        }
    }
    let label = |row: usize| match row {
        0 => short(labels[1]),
        _ if row == ROWS - 1 => short(labels[0]),
        _ => String::new(),
    };
    let line = |(row, dots): (usize, &[u32; COLUMNS])| {
        let text: String = dots.iter().filter_map(|dots| char::from_u32(0x2800 + dots)).collect();
        format!("{:>8} │{text}", label(row))
    };
    Some((dots.iter().enumerate().map(line).collect(), is_logarithmic))
}

/// The bit of each dot of a character, from U+2800 on.
const DOTS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

fn short(x: f64) -> String {
    if x != 0.0 && !(1e-3..1e5).contains(&x.abs()) { format!("{x:.1e}") } else { format!("{x:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[f64], first: &str, last: &str, is_logarithmic: bool) {
        let (lines, logarithmic) = curve(values).unwrap();
        assert_eq!(lines.len(), ROWS);
        assert_eq!((lines[0].trim_end_matches('⠀'), lines[ROWS - 1].as_str()), (first, last), "{values:?}");
        assert_eq!(logarithmic, is_logarithmic, "{values:?}");
    }

    #[test]
    fn a_falling_loss_falls() {
        check(&[1.0, 0.5, 0.0], "  1.0000 │⠉⠓⠲⠤⣄⣀⡀", &format!("  0.0000 │{}⠈⠉⠓⠲⠤⣄", "⠀".repeat(24)), false);
        check(&[100.0, 10.0, 1.0], "100.0000 │⠉⠓⠲⠤⣄⣀⡀", &format!("  1.0000 │{}⠈⠉⠓⠲⠤⣄", "⠀".repeat(24)), true);
        assert!(curve(&[1.0, f64::NAN, 2.0]).is_none());
        // What is no number is passed over.
        assert!(curve(&[1.0, f64::INFINITY, 0.5, 0.2]).is_some());
        assert_eq!(curve(&[2.0; 9]).unwrap().0[ROWS / 2], format!("         │{}", "⠤".repeat(COLUMNS)));
    }
}

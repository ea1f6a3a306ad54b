/// A place or a direction on the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) x: f32,
    pub(super) y: f32,
}

/// How one system of coordinates lies in another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Matrix(pub(super) [f32; 6]);

impl Matrix {
    pub(super) const IDENTITY: Self = Self([1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);

    pub(super) const fn moved(x: f32, y: f32) -> Self {
        Self([1.0, 0.0, 0.0, 1.0, x, y])
    }

    /// Applies this one first, then the other.
    pub(super) fn then(self, other: Self) -> Self {
        let ([a, b, c, d, e, f], [g, h, i, j, k, l]) = (self.0, other.0);
        Self([a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + l])
    }

    fn origin(self) -> Point {
        Point { x: self.0[4], y: self.0[5] }
    }
}

/// The text of a page, put together by where its pieces lie.
#[derive(Debug, Default)]
pub(super) struct Layout {
    text: String,
    /// Where the last piece ended.
    pen: Option<Pen>,
}

#[derive(Debug)]
struct Pen {
    end: Point,
    /// How high the text was; never zero.
    height: f32,
}

/// What stands between two pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gap {
    None,
    Space,
    Line,
    Paragraph,
}

impl Layout {
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn finish(self) -> String {
        self.text.trim().to_owned()
    }

    /// Adds a piece whose characters are one unit high and `width` units wide under the matrix.
    pub(super) fn show(&mut self, matrix: Matrix, width: f32, text: &str) {
        let Matrix([a, b, c, d, ..]) = matrix;
        let (start, end) = (matrix.origin(), Matrix::moved(width, 0.0).then(matrix).origin());
        let (along, height) = (a.hypot(b), c.hypot(d));
        let is_sound = [start.x, start.y, end.x, end.y, along, height].iter().all(|number| number.is_finite());
        let gap = match &self.pen {
            Some(pen) if is_sound && along > 0.0 => {
                gap(pen, start, Point { x: a / along, y: b / along }, height.max(f32::MIN_POSITIVE))
            }
            // Text of no size or no place is text all the same.
            Some(_) => Gap::Space,
            None => Gap::None,
        };
        if is_sound && height > 0.0 {
            self.pen = Some(Pen { end, height });
        }
        if text.is_empty() {
            // A code that nobody knows leaves its place empty.
            return;
        }
        let blank_start = text.starts_with(char::is_whitespace);
        match gap {
            Gap::Space if !blank_start && !self.text.ends_with(char::is_whitespace) => self.text.push(' '),
            Gap::Line => self.end_line("\n"),
            Gap::Paragraph => self.end_line("\n\n"),
            Gap::None | Gap::Space => {}
        }
        text.chars().for_each(|c| push(&mut self.text, c));
    }

    fn end_line(&mut self, end: &str) {
        self.text.truncate(self.text.trim_end_matches(' ').len());
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push_str(end);
        }
    }
}

/// Tells what stands between the pen and the next piece, which runs in a direction of length one.
fn gap(pen: &Pen, start: Point, direction: Point, height: f32) -> Gap {
    let (x, y) = (start.x - pen.end.x, start.y - pen.end.y);
    let (forward, across) = (x * direction.x + y * direction.y, x * direction.y - y * direction.x);
    let height = height.max(pen.height);
    if across.abs() > 0.5 * height {
        // Ordinary lines are up to one and a half times as far apart as they are high.
        return if (-0.5..=1.9).contains(&(across / height)) { Gap::Line } else { Gap::Paragraph };
    }
    // Characters that are pushed together overlap a little; a jump back is another column, or another word over it.
    if forward < -height {
        Gap::Line
    } else if forward > 0.15 * height {
        Gap::Space
    } else {
        Gap::None
    }
}

/// Writes a character so that it is found: ligatures as letters, and none of what cannot be seen.
fn push(text: &mut String, c: char) {
    match c {
        'ﬀ' => text.push_str("ff"),
        'ﬁ' => text.push_str("fi"),
        'ﬂ' => text.push_str("fl"),
        'ﬃ' => text.push_str("ffi"),
        'ﬄ' => text.push_str("ffl"),
        'ﬅ' | 'ﬆ' => text.push_str("st"),
        '\t' | '\n' | '\r' => text.push(' '),
        '\u{ad}' | '\u{feff}' => {}
        control if control.is_control() => {}
        other => text.push(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows pieces of size 10, each half as wide per character, at places.
    fn lay(pieces: &[(f32, f32, &str)]) -> String {
        let mut layout = Layout::default();
        for (x, y, text) in pieces {
            layout.show(Matrix([10.0, 0.0, 0.0, 10.0, *x, *y]), 0.5 * text.chars().count() as f32, text);
        }
        layout.finish()
    }

    #[test]
    fn places_tell_what_stands_between() {
        assert_eq!(lay(&[(0.0, 700.0, "ab"), (10.0, 700.0, "cd"), (20.5, 700.0, "e")]), "abcde");
        assert_eq!(lay(&[(0.0, 700.0, "ab"), (13.0, 700.0, "cd")]), "ab cd");
        assert_eq!(lay(&[(0.0, 700.0, "ab "), (18.0, 700.0, "cd")]), "ab cd");
        assert_eq!(lay(&[(0.0, 700.0, "ab "), (0.0, 688.0, "cd"), (0.0, 660.0, "ef")]), "ab\ncd\n\nef");
        assert_eq!(lay(&[(300.0, 700.0, "right"), (0.0, 700.0, "left")]), "right\nleft");
        assert_eq!(lay(&[(0.0, 700.0, "x"), (5.0, 703.0, "2")]), "x2");
        assert_eq!(lay(&[(0.0, 100.0, "foot"), (0.0, 700.0, "head")]), "foot\n\nhead");
    }

    #[test]
    fn turned_text_reads_like_any_other() {
        let mut layout = Layout::default();
        for (x, y, text) in [(100.0, 0.0, "ab"), (100.0, 13.0, "cd"), (112.0, 0.0, "ef")] {
            layout.show(Matrix([0.0, 10.0, -10.0, 0.0, x, y]), 1.0, text);
        }
        assert_eq!(layout.finish(), "ab cd\nef");
    }

    #[test]
    fn ligatures_are_letters_and_strange_places_lose_nothing() {
        assert_eq!(lay(&[(0.0, 0.0, "oﬃce\u{ad}\u{0}")]), "office");
        let odd = [f32::NAN, f32::INFINITY, -0.0, f32::MAX, f32::MIN_POSITIVE];
        let mut layout = Layout::default();
        for x in odd {
            for y in odd {
                layout.show(Matrix([x, y, y, x, x, y]), y, "ab");
                layout.show(Matrix([0.0, 0.0, 0.0, 0.0, x, y]), x, "ab");
            }
        }
        assert_eq!(layout.finish().matches("ab").count(), 2 * odd.len() * odd.len());
    }
}

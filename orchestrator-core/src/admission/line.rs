/// What a sample weighs less than the one after it.
const DECAY: f64 = 0.98;
/// The spread of the sizes, relative to their mean square, below which no slope can be told.
const FLAT: f64 = 1e-4;

/// The line `a + b * x` through samples, by least squares; recent ones weigh more, neither `a` nor `b` is below 0.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Line {
    weight: f64,
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
}

impl Line {
    /// What the samples weigh; 0 where there was none.
    pub(super) const fn weight(&self) -> f64 {
        self.weight
    }

    /// Learns that `x` gave `y`.
    pub(super) fn add(&mut self, x: f64, y: f64) {
        for sum in [&mut self.weight, &mut self.x, &mut self.y, &mut self.xx, &mut self.xy] {
            *sum *= DECAY;
        }
        self.weight += 1.0;
        self.x += x;
        self.y += y;
        self.xx += x * x;
        self.xy += x * y;
    }

    /// `a` and `b`; both 0 without samples.
    pub(super) fn fit(&self) -> (f64, f64) {
        if self.weight == 0.0 {
            return (0.0, 0.0);
        }
        let mean = self.y / self.weight;
        let spread = self.weight * self.xx - self.x * self.x;
        if spread <= FLAT * self.weight * self.xx {
            return (mean.max(0.0), 0.0);
        }
        let slope = (self.weight * self.xy - self.x * self.y) / spread;
        let start = mean - slope * self.x / self.weight;
        if slope <= 0.0 {
            (mean.max(0.0), 0.0)
        } else if start < 0.0 {
            (0.0, (self.xy / self.xx).max(0.0))
        } else {
            (start, slope)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(fit: (f64, f64), a: f64, b: f64) -> bool {
        (fit.0 - a).abs() < 1e-6 && (fit.1 - b).abs() < 1e-6
    }

    #[test]
    fn finds_the_line_and_follows_it() {
        let mut line = Line::default();
        assert_eq!(line.fit(), (0.0, 0.0));
        (1..=20).for_each(|x| line.add(f64::from(x), 3.0 + 0.5 * f64::from(x)));
        assert!(near(line.fit(), 3.0, 0.5), "{:?}", line.fit());
        for _ in 0..100 {
            (1..=20).for_each(|x| line.add(f64::from(x), 1.0 + 2.0 * f64::from(x)));
        }
        assert!(near(line.fit(), 1.0, 2.0), "{:?}", line.fit());
    }

    #[test]
    fn neither_end_goes_below_zero() {
        let mut falling = Line::default();
        (1..=20).for_each(|x| falling.add(f64::from(x), 30.0 - f64::from(x)));
        let (a, b) = falling.fit();
        assert!(b == 0.0 && a > 9.0 && a < 30.0, "{a} {b}");

        let mut steep = Line::default();
        (1..=20).for_each(|x| steep.add(f64::from(x), 2.0 * f64::from(x) - 1.5));
        let (a, b) = steep.fit();
        assert!(a == 0.0 && b > 1.8 && b < 2.0, "{a} {b}");
    }

    #[test]
    fn one_size_alone_gives_a_level() {
        let mut line = Line::default();
        (0..10).for_each(|_| line.add(500.0, 2.0));
        assert!(near(line.fit(), 2.0, 0.0), "{:?}", line.fit());
    }
}

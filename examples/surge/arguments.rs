//! What the command line asks for.

use std::error::Error;
use std::path::PathBuf;

use super::arrivals::Sizes;
use super::workload::{MODEST, Workload};

/// As many times what the slots can serve.
const LOADS: [f64; 9] = [0.5, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0];
/// How long a workload must last before it is scaled, in seconds: else hardly anything is left between the slots that fill up
/// and the last requests, of which nobody waits for the end.
const SHORTEST: f64 = 10.0;

#[derive(Debug, PartialEq)]
pub(crate) struct Arguments {
    workloads: Vec<String>,
    loads: Vec<f64>,
    /// On the clock.
    seconds: f64,
    scale: f64,
    seed: u64,
    /// The least goodput that the default policy must have everywhere, in percent.
    pub(crate) at_least: Option<f64>,
    pub(crate) out: Option<PathBuf>,
    pub(crate) json: Option<PathBuf>,
}

impl Arguments {
    /// Reads names and their values.
    ///
    /// # Errors
    ///
    /// Where one has no value, none of that name is known, or nothing sensible would be measured.
    pub(crate) fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut this = Self {
            workloads: Vec::new(),
            loads: LOADS.to_vec(),
            seconds: 15.0,
            scale: 0.1,
            seed: 0,
            at_least: None,
            out: None,
            json: None,
        };
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
            this.set(&name, value)?;
        }
        this.check()?;
        Ok(this)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), Box<dyn Error>> {
        match name {
            "--workload" => self.workloads.push(value),
            "--loads" => self.loads = value.split(',').map(str::parse).collect::<Result<_, _>>()?,
            "--seconds" => self.seconds = value.parse()?,
            "--scale" => self.scale = value.parse()?,
            "--seed" => self.seed = value.parse()?,
            "--at-least" => self.at_least = Some(value.parse()?),
            "--out" => self.out = Some(value.into()),
            "--json" => self.json = Some(value.into()),
            _ => return Err(format!("unknown argument {name}").into()),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Box<dyn Error>> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if ![self.seconds, self.scale].iter().chain(&self.loads).all(|&value| positive(value)) {
            return Err("seconds, scale and loads must be above zero".into());
        }
        if self.seconds < SHORTEST * self.scale {
            return Err(format!("--seconds must be at least {SHORTEST} times --scale").into());
        }
        let all = self.groups();
        let names: Vec<_> = all.iter().flatten().map(|workload| workload.name.as_str()).collect();
        match self.workloads.iter().find(|asked| !names.contains(&asked.as_str())) {
            Some(unknown) => Err(format!("unknown workload {unknown}").into()),
            None => Ok(()),
        }
    }

    /// What is measured, in groups that belong together.
    pub(crate) fn evaluation(&self) -> Vec<Vec<Workload>> {
        let wanted = |workload: &Workload| self.workloads.is_empty() || self.workloads.contains(&workload.name);
        let groups = self.groups().into_iter().filter(|group| group.iter().any(wanted));
        let seeded = |group: Vec<Workload>| group.into_iter().map(|workload| workload.seeded(self.seed)).collect();
        groups.map(seeded).collect()
    }

    /// All that there is to measure.
    fn groups(&self) -> Vec<Vec<Workload>> {
        let seconds = self.seconds / self.scale;
        let spread = Sizes::Spread { mean: 1.0 };
        let steady = |sizes, bursts| -> Vec<_> {
            self.loads.iter().map(|&load| Workload::steady(sizes, bursts, load, seconds).scaled(self.scale)).collect()
        };
        let tenants = [
            Workload::tenants(MODEST, seconds),
            Workload::tenants(10.0, seconds),
            Workload::tenants(10.0, seconds).nameless(),
        ];
        vec![
            steady(spread, false),
            steady(spread, true),
            steady(Sizes::Two, false),
            steady(Sizes::Two, true),
            vec![Workload::classes(10.0, seconds).scaled(self.scale)],
            tenants.map(|workload| workload.scaled(self.scale)).into(),
            vec![Workload::step(1.4, 8.0)],
            vec![Workload::step(10.0, 2.0)],
        ]
    }
}

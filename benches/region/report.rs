//! The table and its verdicts.

#[derive(Default)]
pub struct Report {
    failed: Vec<String>,
    bars: usize,
}

impl Report {
    /// A figure without a bar.
    pub fn tell(&self, name: &str, text: &str) {
        println!("      {name:<34} {text}");
    }

    pub fn judge(&mut self, name: &str, good: bool, text: &str) {
        println!("{}  {name:<34} {text}", if good { "PASS" } else { "FAIL" });
        self.bars += 1;
        if !good {
            self.failed.push(name.to_owned());
        }
    }

    pub fn verdict(&self) -> bool {
        println!("\n{} of {} bars are met", self.bars - self.failed.len(), self.bars);
        if !self.failed.is_empty() {
            println!("failed: {}", self.failed.join(", "));
        }
        self.failed.is_empty()
    }
}
